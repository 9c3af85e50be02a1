"""A whole studio on a temporary home folder: real storage, real policy, real API; the engine paints."""

import base64
import io
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from editing.catalogue import CATALOGUE
from policy import Decision, Finding, Policy, Subject, load_policy
from storage import ApiKey, Database, Job, JobState, Record, Role
from studio import bootstrap
from studio.app import create_app
from studio.jobs.worker import Desk, carry_out
from studio.policies import ActivePolicy
from studio.settings import Settings
from tests.studio.paint import PaintEngine


def png(pixels: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", **options)
    return out.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def noise(height: int = 48, width: int = 64, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def box_mask(height: int = 48, width: int = 64) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[10:30, 20:40] = 255
    return mask


class ReviewScreener:
    """Asks for a person whenever it sees one subject."""

    name, version, time_limit_s = "reviewing", "1", 5.0

    def __init__(self, subject: str) -> None:
        self._subject = subject

    def handles(self, subject: Subject) -> bool:
        return subject.name == self._subject

    def screen(self, subject: Subject) -> Sequence[Finding]:
        return [
            Finding(
                rule="reviewing-01", category="test", decision=Decision.REVIEW, reason="A person looks at this first.",
                screener=self.name, subject=subject.name,
            )
        ]  # fmt: skip


def accept_every_licence(store: bootstrap.Store) -> None:
    for each in CATALOGUE.values():
        if each.needs_acceptance:
            store.licences.accept(each.name, each.licence, "somebody")


@dataclass
class Studio:
    """Everything a test wants to hold."""

    settings: Settings
    services: bootstrap.Services
    engine: PaintEngine
    desk: Desk
    token: str
    key: ApiKey
    http: TestClient
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> bootstrap.Store:
        return self.services.store

    def client(self, role: str, owner: str = "team") -> dict[str, str]:
        """Headers of a fresh key."""
        _, token = self.store.keys.create(owner=owner, role=Role(role), purpose="test")
        return {"Authorization": f"Bearer {token}"}

    def work_off(self, desk: Desk | None = None) -> None:
        """Run the worker until nothing can be leased."""
        desk = desk or self.desk
        while True:
            lease = desk.jobs.lease("test worker", desk.leasing.lease_seconds, desk.leasing.max_attempts)
            if lease is None:
                return
            carry_out(lease, desk, threading.Event())

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """POST an edit that must be accepted."""
        response = self.http.post(f"/v1/{operation}", json=members)
        assert response.status_code == 202, response.text
        return response.json()

    def read(self, job: dict[str, Any]) -> dict[str, Any]:
        return self.http.get(f"/v1/jobs/{job['id']}").json()

    def done(self, operation: str, **members: Any) -> dict[str, Any]:
        """POST an edit and work it off."""
        job = self.ask(operation, **members)
        self.work_off()
        return self.read(job)

    def blob_digests(self) -> set[str]:
        return set(self.store.blobs.digests())

    def counts(self) -> dict[str, int]:
        """What is durable: jobs, records, blobs."""
        return {
            "jobs": len(self.jobs()),
            "records": len(self.records()),
            "blobs": len(self.blob_digests()),
        }

    def states(self) -> list[JobState]:
        return [each.state for each in self.jobs()]

    def jobs(self) -> list[Job]:
        """Every job there is, however many pages that takes."""
        page = self.store.jobs.list(None, limit=500)
        found = [*page.items]
        while page.next_cursor:
            page = self.store.jobs.list(None, limit=500, before=page.next_cursor)
            found += page.items
        return found

    def records(self) -> list[Record]:
        """Every record there is."""
        page = self.store.records.list(None, limit=500)
        found = [*page.items]
        while page.next_cursor:
            page = self.store.records.list(None, limit=500, after=page.next_cursor)
            found += page.items
        return found


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that the migrations built, to be copied: once a session instead of once a test."""
    home = tmp_path_factory.mktemp("migrated")
    database = Database(f"sqlite:///{home / 'studio.db'}")
    database.upgrade()
    database.close()
    return home / "studio.db"


@pytest.fixture(scope="session")
def policy() -> Policy:
    return load_policy()


@pytest.fixture(scope="session")
def policies(policy: Policy) -> ActivePolicy:
    return ActivePolicy.fixed(policy)


@pytest.fixture
def make_studio(tmp_path: Path, migrated: Path, policies: ActivePolicy) -> Iterator[Callable[..., Studio]]:
    made: list[Studio] = []

    def make(**given: Any) -> Studio:
        own = given.pop("policies", policies)
        settings = Settings(home=given.pop("home", tmp_path / "home"), poll_seconds=0.01, **given)
        settings.home_path.mkdir(exist_ok=True)
        if not settings.database_url and not (settings.home_path / "studio.db").exists():
            shutil.copy(migrated, settings.home_path / "studio.db")
        services = bootstrap.build_services(settings, own)
        store = services.store
        store.database.upgrade()
        first = bootstrap.ensure_bootstrap_key(store, settings.bootstrap_key_path)
        assert first is not None
        key, token = first
        engine = PaintEngine()
        desk = bootstrap.build_desk(settings, store, engine, name="test worker", facts=dict, policies=own)
        http = TestClient(
            create_app(services), headers={"Authorization": f"Bearer {token}"}, raise_server_exceptions=False
        )
        made.append(Studio(settings, services, engine, desk, token, key, http))
        return made[-1]

    yield make
    for each in made:
        each.http.close()


@pytest.fixture
def studio(make_studio: Callable[..., Studio]) -> Studio:
    return make_studio()


@pytest.fixture
def picture() -> str:
    return encoded(png(noise()))


@pytest.fixture
def mask() -> str:
    return encoded(png(box_mask()))
