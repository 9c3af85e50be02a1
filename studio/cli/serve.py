"""studio serve and studio worker: the two processes of an installation."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Annotated, Any

import typer
from typing_extensions import override

from studio import __version__
from studio.settings import Settings, load_settings

log = logging.getLogger(__name__)

RESTART_SECONDS = (1.0, 30.0)
"""Shortest and longest pause before a worker that died is started again."""
PARENT_SECONDS = 1.0
"""How often a worker looks whether the service that started it still lives."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default STUDIO_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for a free one; default STUDIO_PORT.")] = None,
    worker: Annotated[bool | None, typer.Option(help="Run a worker too; default STUDIO_WORKER.")] = None,
) -> None:
    """Run the API and a worker on this machine. Migrates the database first; makes a key if there is none."""
    import uvicorn

    from studio import bootstrap
    from studio.app import create_app

    _log_to_stderr()
    settings = load_settings(host=host, port=port, worker=worker)
    services = bootstrap.build_services(settings)
    services.store.database.upgrade()
    made = bootstrap.ensure_bootstrap_key(services.store, settings.bootstrap_key_path)
    listening = _listen(settings)
    host_part = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host_part}:{listening.getsockname()[1]}"
    typer.echo(f"Studio {__version__} listens on {address}  (documentation: {address}/docs)")
    if made:
        typer.echo(f"First API key, shown once and kept in {settings.bootstrap_key_path}: {made[1]}")
    supervisor = _Supervisor(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn hands the signal back to us after its own shutdown
    config = uvicorn.Config(create_app(services), log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    if settings.worker:
        supervisor.start()
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        typer.echo("stopped")
    finally:
        supervisor.halt()


def worker(
    parent: Annotated[int | None, typer.Option(hidden=True, help="End when this process has ended.")] = None,
) -> None:
    """Run a worker: it takes jobs from the database, one at a time. Start one per GPU.

    It does not know where the API listens: if that is beyond this machine, set STUDIO_GUARD_REQUIRED=true for it too.
    """
    from studio import bootstrap

    _log_to_stderr()
    settings = load_settings()
    store = bootstrap.open_store(settings)
    if not store.database.at_head():
        raise typer.BadParameter("the database is of another version: run studio db upgrade first")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if parent is not None:
        threading.Thread(target=_watch_parent, args=(parent, stop), daemon=True).start()
    run_worker(settings, store, stop)


def run_worker(settings: Settings, store: Any, stop: threading.Event) -> None:
    """Work until told to stop, with the real engine."""
    from studio import bootstrap
    from studio.engines import build_engine, cores
    from studio.guards import guarding
    from studio.jobs.worker import work

    name = f"{socket.gethostname()}-{os.getpid()}"
    facts = {"version": __version__, "device": settings.device, "threads": settings.threads or cores()}
    engine = build_engine(settings, store)
    with guarding(settings) as guard:
        policies = bootstrap.build_policies(settings, guard)
        desk = bootstrap.build_desk(settings, store, engine, name=name, facts=lambda: dict(facts), policies=policies)
        log.info("worker %s is ready", name)
        try:
            work(desk, stop)
        finally:
            store.workers.remove(name)


class _Supervisor(threading.Thread):
    """Keeps one worker process running beside the API."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="worker supervisor", daemon=True)
        # The worker does not know of --host, which decides whether it must have a guard model.
        self._environment = os.environ | {"STUDIO_GUARD_REQUIRED": str(settings.guard_is_required).lower()}
        self._stop_asked = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    @override
    def run(self) -> None:
        """Start the worker, and again whenever it dies; the pause doubles while it keeps dying."""
        shortest, longest = RESTART_SECONDS
        pause = shortest
        command = [sys.executable, "-m", "studio", "worker", "--parent", str(os.getpid())]
        while not self._stop_asked.is_set():
            begun = time.monotonic()
            self._child = subprocess.Popen(command, env=self._environment)  # noqa: S603 - our own interpreter and module
            while self._child.poll() is None and not self._stop_asked.wait(0.2):
                pass
            if self._stop_asked.is_set():
                return
            if time.monotonic() - begun > longest:
                pause = shortest  # it had worked well for a while
            log.warning("the worker ended with %s; starting another in %.0f s", self._child.returncode, pause)
            self._stop_asked.wait(pause)
            pause = min(pause * 2, longest)

    def halt(self) -> None:
        """Ask the worker to put its job back and end; insist after a while."""
        self._stop_asked.set()
        if self.is_alive():
            self.join()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._child.kill()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise OSError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; try another --port"
        ) from error
    listening.listen(128)
    return listening


def _watch_parent(parent: int, stop: threading.Event) -> None:
    while not stop.wait(PARENT_SECONDS):
        if os.getppid() != parent:
            log.warning("the service that started this worker has ended; putting the job back")
            stop.set()


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "alembic", "diffusers", "transformers"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
