"""Runs the demo: starts the service as a user would, sends it requests over HTTP, draws what came back."""

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from editing.controls import canny
from studio.client import FINAL, POLL_SECONDS, HttpClient, StudioProblem, encoded, read_key
from studio.demo import guides, pictures
from studio.demo.seam import load_baselines, read_model, seam_panel
from studio.demo.sheet import Panel, Table, draw_sheet
from studio.settings import load_settings

if TYPE_CHECKING:
    from concurrent.futures import Future

    from editing.flux.baselines import FillBaselines

START_SECONDS: Final = 60
EDIT_SECONDS: Final = 600
PROMPTS: Final = {
    "generate": "a red circle on a sand background",
    "inpaint": "a blue star",
    "guided": "a purple triangle left of a yellow square on a grass background",
    "refused": "a realistic photo of the president accepting a bribe",
}
_ADDRESS = re.compile(r"listens on (\S+)")

Jobs = dict[str, dict[str, Any]]


def run(out: Path) -> None:
    """Run the demo.

    Args:
        out: Where the contact sheet goes.

    Raises:
        StudioProblem: The service did not start, or refused what it should not.
    """
    console = Console(stderr=True)
    settings = load_settings()
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as name,
        service(out.with_name("service.log")) as address,
        ThreadPoolExecutor(1) as beside,
    ):
        token = read_key(settings)
        if token is None:
            raise StudioProblem({"code": "key_missing", "detail": "The bootstrap key's file is gone; see studio keys."})
        baselines = beside.submit(load_baselines, settings)  # takes seconds; the service is at work meanwhile
        with HttpClient(address, token) as client:
            console.print(f"The service is ready at {address}. Sending it requests.")
            jobs, outputs = _requests(client, Path(name), console)
        seam = _seam(baselines, outputs["inpaint"], read_model(address, token, jobs["inpaint"]["record"]))
    draw_sheet([*_panels(jobs, outputs), seam]).save(out)
    _report(jobs, out)


@contextmanager
def service(log: Path) -> Iterator[str]:
    """The real service in a process of its own on a free port, its log in a file; yields its address."""
    command = [sys.executable, "-m", "studio", "serve", "--host", "127.0.0.1", "--port", "0"]
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    lines: list[str] = []
    said = threading.Event()

    def listen() -> None:
        for line in process.stdout or ():
            lines.append(line)
            said.set()
        said.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        said.wait(START_SECONDS)
        found = _ADDRESS.search("".join(lines))
        if found is None:
            raise StudioProblem(
                {"code": "not_started", "detail": f"studio serve did not start: {log.read_text()[-2000:]}"}
            )
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _requests(client: HttpClient, folder: Path, console: Console) -> tuple[Jobs, dict[str, Image.Image]]:
    """Send every request; what needs an earlier answer comes second: the erased picture, and the control images."""
    photo = pictures.save(pictures.photograph(), folder / "photo.jpg", quality=95)
    mask = pictures.save(pictures.photograph_mask(), folder / "mask.png")
    cat = pictures.save(pictures.cat(), folder / "cat.png")
    control = pictures.save(pictures.outline(), folder / "outline.png")
    guided = [{"kind": "canny", "image": encoded(control)}]
    first = {
        "generate": client.submit("generate", {"prompt": PROMPTS["generate"], "seed": 7}, {}),
        "refused": client.submit("generate", {"prompt": PROMPTS["refused"]}, {}),
        "inpaint": client.submit("inpaint", {"prompt": PROMPTS["inpaint"], "seed": 3}, {"image": photo, "mask": mask}),
        "outpaint": client.submit("outpaint", {"left": 60, "right": 60, "seed": 5}, {"image": cat}),
        "guided": client.submit("generate", {"prompt": PROMPTS["guided"], "seed": 4, "controls": guided}, {}),
        **guides.ask_for_maps(client, folder),
        **guides.ask_with_loras(client),
    }
    jobs = _follow(client, first, console)
    outputs = {name: _output(client, job) for name, job in jobs.items() if name != "refused"}
    drawn = np.asarray(outputs["generate"])
    area = pictures.save(pictures.around_what_stands_out(drawn), folder / "area.png")
    digest = jobs["generate"]["outputs"][0]["digest"]
    second = {
        "erase": client.submit("erase", {"image": digest, "seed": 6}, {"mask": area}),
        **guides.ask_with_maps(client, jobs, folder),
    }
    second = _follow(client, second, console)
    outputs |= {name: _output(client, job) for name, job in second.items()}
    return jobs | second, outputs


def _follow(client: HttpClient, jobs: Jobs, console: Console) -> Jobs:
    columns = (
        TextColumn("{task.description:15}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        tasks = {name: bar.add_task(name, total=None, state="queued") for name in jobs}
        deadline = time.monotonic() + EDIT_SECONDS
        while any(job["state"] not in FINAL for job in jobs.values()):
            if time.monotonic() > deadline:
                raise StudioProblem({"code": "demo_failed", "detail": "No edit ended in time; is STUDIO_WORKER false?"})
            time.sleep(POLL_SECONDS)
            for name, job in jobs.items():
                if job["state"] not in FINAL:
                    jobs[name] = client.job(job["id"])
                _show(bar, tasks[name], jobs[name])
    return jobs


def _show(bar: Progress, task: Any, job: Mapping[str, Any]) -> None:
    progress = job["progress"]
    if job["state"] in FINAL:
        bar.update(task, completed=1, total=1, state=job["state"])
    elif progress:
        bar.update(task, completed=progress["step"], total=progress["steps"], state=job["state"])
    else:
        bar.update(task, state=job["state"])


def _output(client: HttpClient, job: Mapping[str, Any]) -> Image.Image:
    if job["state"] != "done":
        raise StudioProblem(
            {"code": "demo_failed", "detail": f"{job['operation']} ended as {job['state']}: {job['error']}"}
        )
    return Image.open(io.BytesIO(client.image(job["outputs"][0]["digest"]))).convert("RGB")


def _seam(baselines: "Future[FillBaselines]", after: Image.Image, model: Mapping[str, Any]) -> Panel:
    photo, mask = pictures.photograph(), pictures.photograph_mask()
    return seam_panel(baselines, photo, mask, np.asarray(after), PROMPTS["inpaint"], model)


def _panels(jobs: Jobs, outputs: Mapping[str, Image.Image]) -> list[Panel | Table]:
    photo, mask = pictures.photograph(), pictures.photograph_mask()
    area = pictures.around_what_stands_out(np.asarray(outputs["generate"]))
    edges = canny(pictures.outline(), 100, 200)
    show = Image.fromarray
    return [
        Panel(title="generate", pictures=[("result", outputs["generate"])], note=f"“{PROMPTS['generate']}”"),
        Panel(
            title="inpaint: outside the mask not one pixel changes",
            pictures=[
                ("photograph", show(photo)),
                ("mask", show(pictures.overlay(photo, mask))),
                ("result", outputs["inpaint"]),
            ],
            note=f"“{PROMPTS['inpaint']}”",
        ),
        Panel(
            title="outpaint: 60 pixels more on either side",
            pictures=[("photograph", show(pictures.cat())), ("result", outputs["outpaint"])],
        ),
        Panel(title="refused", text=_refusal(jobs["refused"])),
        Panel(
            title="generate, steered by edges",
            pictures=[("edges (canny)", show(edges)), ("result", outputs["guided"])],
            note=f"“{PROMPTS['guided']}”",
        ),
        Panel(
            title="erase",
            pictures=[
                ("generated above, with mask", show(pictures.overlay(np.asarray(outputs["generate"]), area))),
                ("result", outputs["erase"]),
            ],
        ),
        guides.control_panel(outputs),
        guides.lora_panel(outputs),
    ]


def _refusal(job: Mapping[str, Any]) -> list[str]:
    reasons = (job["verdict"] or {}).get("reasons", [])
    lines = [f"“{PROMPTS['refused']}”", f"The job ended as: {job['state']}."]
    lines += [f"{each['rule']}: {each['reason']}" for each in reasons[:2]]
    return [*lines, f"Its record: {job['record']}"]


def _report(jobs: Jobs, out: Path) -> None:
    typer.echo(f"\ncontact sheet: {out}\n")
    for name, job in jobs.items():
        typer.echo(f"{name:15} {job['state']:9} record {job['record']}")
    typer.echo("\nThe service that shows them all at /docs, with the key in STUDIO_HOME/bootstrap.key:")
    beside = Path(sys.executable).with_name("studio")
    inside = beside.is_relative_to(Path.cwd())
    typer.echo(f"{os.path.relpath(beside) if inside else 'studio'} serve")
