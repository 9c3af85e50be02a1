"""Two ways to reach a studio: over HTTP, or in this process on the same home folder. Both follow the same job path."""

import base64
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import httpx

from editing import EditingError
from storage import ApiKey, ConflictError, StorageError
from studio import bootstrap
from studio.api.bodies import validate
from studio.api.views import job_view
from studio.guards import guarding
from studio.jobs.accept import accept
from studio.jobs.requests import REQUESTS
from studio.jobs.worker import work
from studio.problems import Problem, from_editing, from_storage
from studio.settings import Settings

FINAL: Final = frozenset({"done", "refused", "held", "failed", "cancelled"})
POLL_SECONDS: Final = 0.15
PICTURES: Final = ("image", "mask")


class StudioProblem(Exception):  # noqa: N818 - a problem document, whichever way it came
    """The studio said no.

    Attributes:
        document: The problem details.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(str(document.get("detail", document)))
        self.document = document


class Client(Protocol):
    """What the command line and the demo need of a studio."""

    def submit(self, operation: str, members: Mapping[str, Any], pictures: Mapping[str, Path]) -> dict[str, Any]:
        """Ask for an edit; returns the job."""

    def job(self, job_id: str) -> dict[str, Any]:
        """Read a job."""

    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has ended is left alone."""

    def image(self, digest: str) -> bytes:
        """Read an output."""

    def __enter__(self) -> Self:
        """Open it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""


class HttpClient:
    """A studio behind an address."""

    def __init__(self, url: str, key: str, *, timeout: float = 60) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=timeout)

    def submit(self, operation: str, members: Mapping[str, Any], pictures: Mapping[str, Path]) -> dict[str, Any]:
        """POST the edit: as a form if it has pictures, else as JSON."""
        given = {name: value for name, value in members.items() if value is not None}
        path = f"/v1/controls/{given.pop('kind')}" if operation == "control_map" else f"/v1/{operation}"
        files = {name: (path.name, path.read_bytes()) for name, path in pictures.items()}
        try:
            if files:
                data = {name: form_text(value) for name, value in given.items()}
                return self._json(self._http.post(path, data=data, files=files))
            return self._json(self._http.post(path, json=given))
        except UnicodeEncodeError:  # half a pair cannot even be sent; the server would say the same
            detail = "text must be Unicode without NUL and lone surrogates"
            raise StudioProblem({"code": "text_invalid", "detail": detail}) from None

    def job(self, job_id: str) -> dict[str, Any]:
        """GET the job."""
        return self._json(self._http.get(f"/v1/jobs/{job_id}"))

    def cancel(self, job_id: str) -> None:
        """DELETE the job."""
        self._http.delete(f"/v1/jobs/{job_id}")

    def image(self, digest: str) -> bytes:
        """GET the image."""
        response = self._http.get(f"/v1/images/{digest}")
        if response.is_error:
            self._json(response)
        return response.content

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    @staticmethod
    def _json(response: httpx.Response) -> dict[str, Any]:
        try:
            document: dict[str, Any] = response.json()
        except ValueError:
            document = {"code": "not_a_studio", "detail": f"{response.url} answered {response.status_code}"}
            raise StudioProblem(document) from None
        if response.is_error:
            raise StudioProblem(document)
        return document


class LocalClient:
    """The studio of this home folder, run in this process: same queue, same screening, same records."""

    def __init__(self, settings: Settings, key: str | None = None) -> None:
        self._settings = settings
        self._token = key
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._fault: BaseException | None = None
        self._guarded = ExitStack()

    def __enter__(self) -> Self:
        from studio.engines import build_engine

        with ExitStack() as opening:
            guard = opening.enter_context(guarding(self._settings))
            policies = bootstrap.build_policies(self._settings, guard)
            self._services = bootstrap.build_services(self._settings, policies)
            self._store = self._services.store
            self._store.database.upgrade()
            bootstrap.ensure_bootstrap_key(self._store, self._settings.bootstrap_key_path)
            self._key = self._own_key()
            # Before anything is queued: settings that no engine can be built from must not leave a job behind.
            self._desk = bootstrap.build_desk(
                self._settings,
                self._store,
                build_engine(self._settings, self._store),
                name=f"command line {os.getpid()}",
                facts=dict,
                policies=policies,
            )
            self._guarded = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._guarded.close()

    def submit(self, operation: str, members: Mapping[str, Any], pictures: Mapping[str, Path]) -> dict[str, Any]:
        """Accept the edit and begin to carry it out in a thread of its own."""
        body = dict(members) | {name: encoded(path) for name, path in pictures.items()}
        job = self._ask(lambda: accept(validate(body, REQUESTS[operation]), self._key, self._services.intake))
        thread = threading.Thread(target=self._carry_out, args=(job.id,), name=f"worker of {job.id}")
        thread.start()
        self._threads.append(thread)
        return self.job(job.id)

    def job(self, job_id: str) -> dict[str, Any]:
        """Read the job; raises what its thread died of, since nothing else would end it."""
        if self._fault is not None:
            raise self._fault
        job = self._store.jobs.get(job_id, self._key.owner)
        contact = self._settings.appeal_contact
        return job_view(job, self._store.jobs.position(job), appeal_contact=contact).model_dump(mode="json")

    def cancel(self, job_id: str) -> None:
        """Ask that it stop."""
        with suppress(ConflictError):
            self._store.jobs.request_cancel(job_id, self._key.owner)

    def image(self, digest: str) -> bytes:
        """Read an image of ours."""
        return self._store.blobs.get(self._store.images.get(digest, self._key.owner).digest)

    def _carry_out(self, job_id: str) -> None:
        try:
            work(self._desk, self._stop, only=job_id)
            self._store.workers.remove(self._desk.leasing.worker_id)
        except Exception as error:  # noqa: BLE001 - a thread's edge: the caller polls `job`, which raises it
            self._fault = error

    def _own_key(self) -> ApiKey:
        token = self._token or os.environ.get("STUDIO_KEY") or read_key(self._settings)
        key = self._store.keys.find(token) if token else None
        if key is None:
            raise StudioProblem(
                {
                    "code": "key_invalid",
                    "detail": "No valid key in --key, STUDIO_KEY or STUDIO_HOME/bootstrap.key; see studio keys create.",
                }
            )
        return key

    @staticmethod
    def _ask(question: Callable[[], Any]) -> Any:
        try:
            return question()
        except Problem as problem:
            raise StudioProblem(problem.document()) from problem
        except EditingError as error:
            raise StudioProblem(from_editing(error).document()) from error
        except StorageError as error:
            raise StudioProblem(from_storage(error).document()) from error


def form_text(value: Any) -> str:
    """One member of a request as a form says it: text as it is, all else as in JSON (`true`, `0.5`, a list)."""
    return str(value) if isinstance(value, str) else json.dumps(value)


def encoded(path: Path) -> str:
    """A picture file as the JSON of a request holds it."""
    return base64.b64encode(path.read_bytes()).decode()


def read_key(settings: Settings) -> str | None:
    """The token of the bootstrap key, if its file is there."""
    path = settings.bootstrap_key_path
    return path.read_text().strip() if path.is_file() else None
