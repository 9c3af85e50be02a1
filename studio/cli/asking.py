"""Asking for an edit on the command line: send it, show how far it is, write what came of it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from studio.settings import load_settings

EXIT = {"done": 0, "failed": 1, "refused": 3, "held": 4, "cancelled": 5}
"""Exit status by the job's final state."""
_FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}


def ask(
    operation: str, members: dict[str, Any], pictures: dict[str, Path], out: Path, url: str | None, key: str | None
) -> None:
    """Send an edit, show its progress until it has ended, write its pictures; exits with the status of its end."""
    from studio.client import HttpClient, LocalClient, StudioProblem, read_key

    settings = load_settings()
    if out.suffix.lower() not in _FORMATS:
        raise typer.BadParameter(f"--out must end in {', '.join(_FORMATS)}, got {out.suffix or out.name!r}")
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"--out: there is no folder {out.absolute().parent}")
    members = {name: value for name, value in members.items() if value is not None}
    if operation == "control_map":
        if out.suffix.lower() != ".png":
            raise typer.BadParameter(f"--out: a control image is a PNG, got {out.suffix}")
    else:
        members["output_format"] = _FORMATS[out.suffix.lower()]
    if url:
        token = key or read_key(settings)
        if not token:
            raise StudioProblem({"code": "key_missing", "detail": "Give --key, or STUDIO_KEY."})
        client: Any = HttpClient(url, token)
    else:
        client = LocalClient(settings, key)
    with client:
        job = client.submit(operation, members, pictures)
        job = follow(client.job, client.cancel, job)
        _report(job, out, client.image)
    raise typer.Exit(EXIT[job["state"]])


def follow(read: Callable[[str], dict[str, Any]], cancel: Callable[[str], None], job: dict[str, Any]) -> dict[str, Any]:
    """Show a job's progress until it has ended; Ctrl-C cancels it."""
    from studio.client import FINAL, POLL_SECONDS

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(job["state"], total=None)
        while job["state"] not in FINAL:
            try:
                time.sleep(POLL_SECONDS)
                job = read(job["id"])
            except KeyboardInterrupt:
                cancel(job["id"])
                continue
            progress = job["progress"] or {"step": 0, "steps": None}
            bar.update(task, description=job["state"], completed=progress["step"], total=progress["steps"])
    return job


def _report(job: dict[str, Any], out: Path, image: Callable[[str], bytes]) -> None:
    if job["state"] == "done":
        for number, output in enumerate(job["outputs"], start=1):
            path = _numbered(out, number)
            path.write_bytes(image(output["digest"]))
            typer.echo(f"{path}  ({_told(output)}checkpoint {job['checkpoint']}, record {job['record']})")
        for notice in job["notices"]:
            typer.echo(f"  {notice['rule']}: {notice['reason']}", err=True)
        return
    typer.echo(f"{job['state']}  (record {job['record']})", err=True)
    for reason in (job["verdict"] or {}).get("reasons", []):
        typer.echo(f"  {reason['rule']} in {reason['subject']}: {reason['reason']}", err=True)
    if job["appeal"]:
        typer.echo(f"  {job['appeal']}", err=True)
    if job["error"]:
        typer.echo(f"  {job['error']['code']}: {job['error']['detail']}", err=True)


def _numbered(out: Path, number: int) -> Path:
    return out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")


def _told(output: dict[str, Any]) -> str:
    seam, seed = output["seam_score"], output["seed"]
    return ("" if seed is None else f"seed {seed}, ") + ("" if seam is None else f"seam score {seam:.2f}, ")
