"""Many different jobs in one worker: each gives the very file that it gives alone, whatever ran or broke off before it.

flux-mini as it is packaged, and tiny weights of the other classes; jobs come in over HTTP and go through the queue.
"""

import ctypes
import gc
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from editing import EditedImage, Operation, Progress
from editing.catalogue import CATALOGUE
from storage import Role
from studio import bootstrap
from studio.app import create_app
from studio.jobs import worker
from studio.jobs.worker import Desk, work
from studio.policies import ActivePolicy
from studio.settings import Settings
from tests.editing.pictures import scenery
from tests.studio.conftest import encoded, png

SIDE = 128
STATM = Path("/proc/self/statm")
"""Memory of this process, in pages (proc(5)): its size, and what of it is resident."""
FEW, MANY = 24, 200
TINY = (
    "FLUX.1-dev",
    "FLUX.1-Kontext-dev",
    "FLUX.1-Redux-dev",
    "flux-ip-adapter",
    "FLUX.2-klein-4B",
    "teed",
)  # fmt: skip
"""What runs on tiny weights; all else is packaged."""


def circle(height: int = SIDE, width: int = SIDE) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.where((rows - height / 2) ** 2 + (columns - width / 2) ** 2 < 30**2, 255, 0).astype(np.uint8)


def requests() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every operation, with every kind of guide: path and members by name. Several share prompts and pictures."""
    photo, other = encoded(png(scenery(SIDE, SIDE))), encoded(png(scenery(48, 64, seed=2)))
    prompt = {"prompt": "a red circle on sand", "steps": 4, "seed": 7}
    sized = {**prompt, "width": SIDE, "height": SIDE}
    part = {"image": photo, "mask": encoded(png(circle()))}
    edit = {**prompt, **part}
    neon, stripes = {"name": "flux-mini-neon"}, {"name": "flux-mini-stripes", "weight": 0.8}
    canny = {"kind": "canny", "image": photo, "checkpoint": "flux-mini-canny", "end": 0.6}
    tile = {"kind": "tile", "image": photo, "checkpoint": "flux-mini-union", "start": 0.25}
    mini, fill = {"checkpoint": "flux-mini"}, {"checkpoint": "flux-mini-fill"}
    small = {**prompt, "steps": 2, "width": 64, "height": 48}
    shown = [{"kind": "redux", "image": other}, {"kind": "ip_adapter", "image": other, "weight": 0.5}]
    return {
        "generate": ("generate", {**sized, **mini}),
        "generate, two of them": ("generate", {**sized, **mini, "n": 2, "seed": 8}),
        "generate with a LoRA": ("generate", {**sized, **mini, "loras": [neon]}),
        "generate with two LoRAs": ("generate", {**sized, **mini, "loras": [stripes, {**neon, "weight": 0.5}]}),
        "generate with a control": ("generate", {**sized, **mini, "controls": [canny]}),
        "generate with two controls": ("generate", {**sized, **mini, "controls": [tile, canny]}),
        "img2img with a LoRA": (
            "img2img",
            {**prompt, **mini, "image": photo, "strength": 0.5, "loras": [stripes], "negative_prompt": "a blue star"},
        ),
        "inpaint by merging, with a LoRA and a control": (
            "inpaint",
            {**edit, **mini, "loras": [neon], "controls": [{"kind": "canny", "checkpoint": "flux-mini-union"}]},
        ),
        "inpaint by Fill": ("inpaint", {**edit, **fill}),
        "outpaint by Fill": ("outpaint", {**prompt, **fill, "image": photo, "left": 40, "bottom": 16}),
        "outpaint with a LoRA": ("outpaint", {**prompt, **mini, "image": photo, "right": 40, "loras": [stripes]}),
        "erase": ("erase", {**part, **fill, "steps": 4, "seed": 7}),
        "instruct": ("instruct", {**prompt, "steps": 2, "image": other, "checkpoint": "FLUX.1-Kontext-dev"}),
        "instruct FLUX.2": (
            "instruct",
            {**prompt, "steps": 2, "image": other, "others": [photo], "checkpoint": "FLUX.2-klein-4B"},
        ),
        "references": ("generate", {**small, "checkpoint": "FLUX.1-dev", "references": shown}),
        "a control image": ("controls/canny", {"image": photo}),
        "a control image by a detector": ("controls/soft_edge", {"image": other, "detector": "teed"}),
    }  # fmt: skip


REQUESTS = requests()
SETTLING = ("inpaint by Fill", "generate with two controls", "generate with two LoRAs")
STEPPING = [name for name, (path, _) in REQUESTS.items() if not path.startswith("controls/")]


@dataclass
class Interrupting:
    """The real engine, during one of whose steps somebody may cancel the job."""

    engine: Any
    at: int | None = None
    cancel: Callable[[], None] = field(default=lambda: None)

    def run(
        self, operation: Operation, *, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]
    ) -> EditedImage:
        def step(progress: Progress) -> None:
            if progress.step == self.at:
                self.cancel()
            on_step(progress)

        return self.engine.run(operation, on_step=step, cancelled=cancelled)


@dataclass
class Office:
    """A service with a queue; workers are made on demand."""

    settings: Settings
    services: bootstrap.Services
    policies: ActivePolicy
    http: TestClient
    alone: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def worker(self) -> tuple[Desk, Interrupting]:
        """One with an engine of its own, on which nothing is loaded."""
        from studio.engines import build_engine

        store = self.services.store
        engine: Any = Interrupting(build_engine(self.settings, store))
        desk = bootstrap.build_desk(self.settings, store, engine, name="worker", facts=dict, policies=self.policies)
        return desk, engine

    def ask(self, name: str) -> str:
        path, members = REQUESTS[name]
        response = self.http.post(f"/v1/{path}", json=members)
        assert response.status_code == 202, response.text
        return response.json()["id"]

    def carried_out(self, job: str, desk: Desk) -> dict[str, Any]:
        work(desk, threading.Event(), only=job)
        return self.http.get(f"/v1/jobs/{job}").json()

    def files(self, name: str, desk: Desk) -> tuple[str, ...]:
        """Digests of what a job gives out."""
        view = self.carried_out(self.ask(name), desk)
        assert view["state"] == "done", (name, view["error"], view["verdict"])
        return tuple(each["digest"] for each in view["outputs"])

    def alone_in_its_worker(self, name: str) -> tuple[str, ...]:
        if name not in self.alone:
            self.alone[name] = self.files(name, self.worker()[0])
        return self.alone[name]

    def begun_and_cancelled(self, name: str, step: int, desk: Desk, engine: Interrupting) -> dict[str, Any]:
        job = self.ask(name)
        engine.at, engine.cancel = step, lambda: self.http.delete(f"/v1/jobs/{job}").raise_for_status()
        view = self.carried_out(job, desk)
        engine.at = None
        return view


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, policies: ActivePolicy) -> Iterator[Office]:
    from tests.editing.tiny import build
    from tests.editing.tiny_detectors import build_detectors
    from tests.editing.tiny_flux2 import build_flux2

    home = tmp_path_factory.mktemp("mixed")
    found = build(home / "flux1") | build_flux2(home / "flux2") | build_detectors(home / "detectors", ("teed",))
    weights = {name: found[name] for name in TINY}
    settings = Settings(home=home / "home", weights=weights, threads=1, poll_seconds=0.01)
    services = bootstrap.build_services(settings, policies)
    store = services.store
    store.database.upgrade()
    for name in TINY:
        if CATALOGUE[name].needs_acceptance:
            store.licences.accept(name, CATALOGUE[name].licence, "somebody")
    _, token = store.keys.create(owner="team", role=Role.OPERATOR, purpose="test")
    with TestClient(create_app(services), headers={"Authorization": f"Bearer {token}"}) as http:
        yield Office(settings, services, policies, http)


@pytest.fixture(autouse=True)
def _every_step_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a wish to cancel is heard in the very step in which it was made."""
    monkeypatch.setattr(worker, "PROGRESS_SECONDS", 0.0)


def shuffled(seed: int) -> Iterator[tuple[str, tuple[str, int] | None]]:
    """Jobs without end, each as often as every other; before about one in four, one to be cancelled at a step."""
    random = np.random.default_rng(seed)
    while True:
        for index in random.permutation(len(REQUESTS)):
            cancelled = (STEPPING[random.integers(len(STEPPING))], int(random.integers(1, 3)))
            yield list(REQUESTS)[index], cancelled if random.random() < 0.25 else None


def resident(office: Office, desk: Desk) -> int:
    """Bytes of this process in memory, in one and the same state: after the same jobs, and without what is free.

    What is free is given back to the system first: how scattered the allocator keeps it changes from job to job by
    more than is looked for here.
    """
    for name in SETTLING:
        office.files(name, desk)
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's
        trim(0)
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run_mixed(
    office: Office, count: int, *, seed: int, after: Callable[[int, Desk], None] = lambda _done, _desk: None
) -> int:
    """Run jobs in one worker and hold each against its single run; returns how many were cancelled between them."""
    desk, engine = office.worker()
    cancels = 0
    for done, (name, cancelled) in enumerate(islice(shuffled(seed), count), start=1):
        if cancelled is not None:
            view = office.begun_and_cancelled(*cancelled, desk, engine)
            assert (view["state"], view["outputs"]) == ("cancelled", []), cancelled
            cancels += 1
        assert office.files(name, desk) == office.alone_in_its_worker(name), f"job {done}: {name}"
        after(done, desk)
    return cancels


def test_jobs_give_what_they_give_alone_whatever_ran_or_was_cancelled_before(office: Office) -> None:
    assert run_mixed(office, FEW, seed=1) >= 4
    assert len(set(office.alone.values())) == len(REQUESTS)  # each is different from every other


@pytest.mark.soak
@pytest.mark.skipif(not STATM.exists(), reason="only Linux tells in /proc how much memory a process holds")
def test_two_hundred_jobs_give_what_they_give_alone_and_the_second_hundred_takes_no_memory(office: Office) -> None:
    for name in REQUESTS:
        office.alone_in_its_worker(name)
    held = {}

    def weigh(done: int, desk: Desk) -> None:
        if done % (MANY // 2) == 0:
            held[done] = resident(office, desk)

    cancels = run_mixed(office, MANY, seed=2, after=weigh)
    assert cancels >= MANY // 8
    assert held[MANY] <= 1.02 * held[MANY // 2], held
