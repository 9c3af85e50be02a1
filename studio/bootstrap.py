"""The composition root: picks every real part and hands it to those who need it.

No module holds settings, sessions, clocks or clients of its own; they are arguments, and this is where they come from.
The engine is built in `studio.engines`, apart from here, so that the API process imports no torch.
"""

import logging
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from editing import EditEngine, EditingError
from editing.catalogue import find
from editing.diffusion.settings import EngineSettings
from editing.diffusion.weights import at_hand
from editing.opening import PictureLimits
from policy import Policy, Screener, load_policy
from storage import (
    AdapterStore,
    ApiKey,
    Clock,
    Database,
    FileBlobs,
    ImageStore,
    JobStore,
    KeyStore,
    LicenceStore,
    NotFoundError,
    RecordStore,
    Role,
    SketchStore,
    TextVault,
    WorkerStore,
    utc_now,
)
from studio.guards import guard_of_service
from studio.jobs.accept import Intake
from studio.jobs.run import Parts
from studio.jobs.shadow import Shadow
from studio.jobs.volume import VolumeWatch
from studio.jobs.worker import Desk, Leasing
from studio.policies import ActivePolicy
from studio.settings import Settings

log = logging.getLogger(__name__)

BOOTSTRAP_PURPOSE = "first key, made by the service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Everything durable, opened once per process."""

    database: Database
    blobs: FileBlobs
    vault: TextVault
    jobs: JobStore
    records: RecordStore
    images: ImageStore
    keys: KeyStore
    licences: LicenceStore
    adapters: AdapterStore
    workers: WorkerStore
    sketches: SketchStore
    clock: Clock

    def read_text(self, ref: str) -> str | None:
        """Read personal text; None once it was erased."""
        with self.database.reading() as session:
            return self.vault.get(session, ref)

    def owned(self, digest: str, owner: str) -> bool:
        """Whether this owner may use this image."""
        try:
            self.images.get(digest, owner)
        except NotFoundError:
            return False
        return True

    def requester(self, key_id: str) -> Mapping[str, Any]:
        """Who asked, for the record: the key's role, declared purpose and tolerance at this time."""
        key = self.keys.get(key_id)
        return {"role": key.role.value, "purpose": key.purpose, "safety_tolerance": key.safety_tolerance}


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the API works with."""

    settings: Settings
    store: Store
    policies: ActivePolicy
    intake: Intake
    limits: PictureLimits

    @property
    def policy(self) -> Policy:
        """The policy in force; ask once for each request."""
        return self.policies.current()


def open_store(settings: Settings, *, clock: Clock = utc_now) -> Store:
    """Open database and blobs; makes the home folder, does not migrate."""
    home = settings.home_path
    home.mkdir(parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    vault = TextVault(clock)
    images = ImageStore(database, clock)
    records = RecordStore(database, images, clock)
    return Store(
        database=database,
        blobs=FileBlobs(home / "blobs"),
        vault=vault,
        jobs=JobStore(database, vault, records, clock),
        records=records,
        images=images,
        keys=KeyStore(database, clock),
        licences=LicenceStore(database, clock),
        adapters=AdapterStore(database, clock),
        workers=WorkerStore(database, clock),
        sketches=SketchStore(database, clock),
        clock=clock,
    )


def limits_of(settings: Settings) -> PictureLimits:
    """Largest pictures to decode."""
    return PictureLimits(max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)


def weights_of(settings: Settings) -> EngineSettings:
    """What finding a checkpoint's weights takes; nothing runs by these."""
    return EngineSettings(weights=settings.weights, revisions=settings.revisions)


def build_policies(settings: Settings, screeners: Sequence[Screener] = ()) -> ActivePolicy:
    """The acceptable-use policy; one that cannot load blocks everything and says why in `/health/ready`.

    Args:
        settings: Where the operator's rules and list are; both are looked after.
        screeners: Further ones, such as a model; they outlive every change of the rules.
    """
    rules, listed = settings.rules, settings.known_pictures
    return ActivePolicy(
        lambda: load_policy(rules=rules, operator_list=listed, screeners=screeners),
        tuple(each for each in (rules, listed) if each is not None),
    )


def build_shadow(settings: Settings) -> Shadow | None:
    """The candidate rules that are asked beside those in force, if the operator has any."""
    folder = settings.shadow_rules
    if folder is None:
        return None
    return Shadow(ActivePolicy(lambda: load_policy(rules=folder), (folder,), candidate=True))


def build_services(settings: Settings, policies: ActivePolicy | None = None) -> Services:
    """Everything the API process needs; None reads the policy from its files."""
    policies = policies or build_policies(settings, guard_of_service(settings))
    store = open_store(settings)
    limits = limits_of(settings)
    whereabouts = weights_of(settings)
    intake = Intake(
        jobs=store.jobs,
        blobs=store.blobs,
        adapters=store.adapters,
        owned=store.owned,
        licensed=lambda name: store.licences.accepted(name) is not None,
        found=lambda name: at_hand(find(name), whereabouts),
        limits=limits,
        prefer=settings.checkpoints,
        max_queued=settings.max_queued,
        max_model_steps=settings.max_model_steps,
    )
    return Services(settings=settings, store=store, policies=policies, intake=intake, limits=limits)


def build_desk(
    settings: Settings,
    store: Store,
    engine: EditEngine,
    *,
    name: str,
    facts: Callable[[], dict[str, object]],
    policies: ActivePolicy | None = None,
) -> Desk:
    """Everything a worker needs, around a given engine; None reads the policy from its files."""
    parts = Parts(
        policies=policies or build_policies(settings),
        engine=engine,
        blobs=store.blobs,
        limits=limits_of(settings),
        clock=store.clock,
        parent=store.images.producer,
        requester=store.requester,
        report=report_failure,
        volume=VolumeWatch(store.sketches),
        shadow=build_shadow(settings),
    )
    leasing = Leasing(
        worker_id=name,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        poll_seconds=settings.poll_seconds,
    )
    return Desk(
        jobs=store.jobs, read_text=store.read_text, workers=store.workers, parts=parts, leasing=leasing, facts=facts
    )


def report_failure(job_id: str, error: BaseException) -> None:
    """Tell the operator where a job failed: our own errors in words, others by their stack.

    A library's message is left out, because it might repeat a prompt.
    """
    if isinstance(error, EditingError):
        log.error("%s failed: %s: %s", job_id, error.code, error)
        return
    stack = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s failed: %s\n%s", job_id, type(error).__name__, stack)


def ensure_bootstrap_key(store: Store, path: Path) -> tuple[ApiKey, str] | None:
    """Make the first key if there is none yet, and keep its token in a file only its owner reads.

    The file is written before the key is committed: a crash between the two leaves a file that the next start
    overwrites, never a key whose token nobody knows.

    Returns:
        The key and its token if one was made now, to be shown once.
    """

    def keep(token: str) -> None:
        temporary = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    return store.keys.create_first(owner="bootstrap", role=Role.OPERATOR, purpose=BOOTSTRAP_PURPOSE, keep=keep)
