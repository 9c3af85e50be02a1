"""studio edit: ask for an edit and wait for it, over HTTP or in this process."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from editing.decoding import MaskPolarity
from studio.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="Edit a picture and wait for it. Without --url the same job path runs in this process on STUDIO_HOME.",
)

EXIT = {"done": 0, "failed": 1, "refused": 3, "held": 4, "cancelled": 5}
"""Exit status by the job's final state."""
_FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}

Picture = Annotated[Path, typer.Argument(help="The picture to edit.", exists=True, dir_okay=False, readable=True)]
MaskFile = Annotated[
    Path, typer.Argument(help="Its mask: white, or transparent, is edited.", exists=True, dir_okay=False, readable=True)
]
Prompt = Annotated[str, typer.Argument(help="What it shall show.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write it: .png, .webp (lossless) or .jpg.")]
Url = Annotated[str | None, typer.Option(help="Address of a running studio.", envvar="STUDIO_URL")]
Key = Annotated[
    str | None, typer.Option(help="API key; default STUDIO_KEY, else the bootstrap key.", envvar="STUDIO_KEY")
]
Seed = Annotated[str | None, typer.Option(help="0..2^64-1; drawn and recorded if absent.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps.")]
Guidance = Annotated[float | None, typer.Option(help="FLUX's distilled guidance.")]
CheckpointName = Annotated[str | None, typer.Option("--checkpoint", help="Name from `studio models list`.")]
Polarity = Annotated[MaskPolarity | None, typer.Option(help="Which part of the mask is edited.")]
Canny = Annotated[Path | None, typer.Option(help="Picture whose edges steer the result.", exists=True, dir_okay=False)]


@app.command()
def generate(
    prompt: Prompt,
    out: Out,
    width: Annotated[int | None, typer.Option(help="Columns.")] = None,
    height: Annotated[int | None, typer.Option(help="Rows.")] = None,
    canny: Canny = None,
    seed: Seed = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a picture from text: studio edit generate "a red circle on a sand background" -o out.png"""
    members = {"prompt": prompt, "width": width, "height": height, "controls": _canny(canny)}
    _run("generate", members | _sampling(seed, steps, guidance, checkpoint), {}, out, url, key)


@app.command()
def inpaint(
    picture: Picture,
    mask: MaskFile,
    prompt: Prompt,
    out: Out,
    mask_polarity: Polarity = None,
    strength: Annotated[float | None, typer.Option(help="Share of the schedule that is run, 0..1.")] = None,
    canny: Canny = None,
    seed: Seed = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Repaint part of a picture: studio edit inpaint photo.jpg mask.png "a blue star" -o out.png"""
    members = {"prompt": prompt, "mask_polarity": mask_polarity, "strength": strength, "controls": _canny(canny)}
    pictures = {"image": picture, "mask": mask}
    _run("inpaint", members | _sampling(seed, steps, guidance, checkpoint), pictures, out, url, key)


@app.command()
def outpaint(
    picture: Picture,
    out: Out,
    prompt: Annotated[str, typer.Option(help="What the new part shall show; may be empty.")] = "",
    top: Annotated[int | None, typer.Option(help="Pixels to add above.")] = None,
    right: Annotated[int | None, typer.Option(help="Pixels to add on the right.")] = None,
    bottom: Annotated[int | None, typer.Option(help="Pixels to add below.")] = None,
    left: Annotated[int | None, typer.Option(help="Pixels to add on the left.")] = None,
    width: Annotated[int | None, typer.Option(help="Columns of the whole canvas, instead of margins.")] = None,
    height: Annotated[int | None, typer.Option(help="Rows of the whole canvas.")] = None,
    seed: Seed = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Extend a picture: studio edit outpaint photo.jpg --left 200 --right 200 -o out.png"""
    members = {"prompt": prompt, "top": top, "right": right, "bottom": bottom, "left": left}
    members |= {"width": width, "height": height} | _sampling(seed, steps, guidance, checkpoint)
    _run("outpaint", members, {"image": picture}, out, url, key)


@app.command()
def erase(
    picture: Picture,
    mask: MaskFile,
    out: Out,
    mask_polarity: Polarity = None,
    seed: Seed = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Remove what the mask covers: studio edit erase photo.jpg mask.png -o out.png"""
    members = {"mask_polarity": mask_polarity} | _sampling(seed, steps, guidance, checkpoint)
    _run("erase", members, {"image": picture, "mask": mask}, out, url, key)


@app.command()
def check(
    before: Annotated[Path, typer.Argument(help="The picture before the edit.", exists=True, dir_okay=False)],
    after: Annotated[Path, typer.Argument(help="The picture after it.", exists=True, dir_okay=False)],
    mask: MaskFile,
    mask_polarity: Polarity = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count the values that differ outside the mask; exits 1 if there are any."""
    from rich.table import Table

    from editing.decoding import decode_mask, decode_picture
    from editing.opening import PictureLimits
    from studio.cli.output import emit

    old, new = (decode_picture(each.read_bytes(), PictureLimits()) for each in (before, after))
    if old.size != new.size:
        raise typer.BadParameter(f"the pictures differ in size: {old.size} and {new.size}")
    polarity = mask_polarity or MaskPolarity.AUTO
    painted = decode_mask(mask.read_bytes(), size=old.size, limits=PictureLimits(), polarity=polarity)
    differs = old.pixels != new.pixels
    facts = {
        "width": old.width,
        "height": old.height,
        "pixels_outside": int((painted == 0).sum()),
        "values_differing_outside": int(differs[painted == 0].sum()),
        "values_differing_inside": int(differs[painted > 0].sum()),
    }
    table = Table("measure", "value")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), str(value))
    emit(table, facts, as_json=as_json)
    raise typer.Exit(1 if facts["values_differing_outside"] else 0)


def _sampling(seed: str | None, steps: int | None, guidance: float | None, checkpoint: str | None) -> dict[str, Any]:
    return {"seed": seed, "steps": steps, "guidance": guidance, "checkpoint": checkpoint}


def _canny(picture: Path | None) -> list[dict[str, Any]] | None:
    from studio.client import encoded

    if picture is None:
        return None
    return [{"kind": "canny", "image": encoded(picture)}]


def _run(
    operation: str, members: dict[str, Any], pictures: dict[str, Path], out: Path, url: str | None, key: str | None
) -> None:
    from studio.client import HttpClient, LocalClient, StudioProblem, read_key

    settings = load_settings()
    if out.suffix.lower() not in _FORMATS:
        raise typer.BadParameter(f"--out must end in {', '.join(_FORMATS)}, got {out.suffix or out.name!r}")
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"--out: there is no folder {out.absolute().parent}")
    members = {name: value for name, value in members.items() if value is not None}
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
        out.write_bytes(image(job["outputs"][0]["digest"]))
        typer.echo(f"{out}  (seed {job['seed']}, checkpoint {job['checkpoint']}, record {job['record']})")
        return
    typer.echo(f"{job['state']}  (record {job['record']})", err=True)
    for reason in (job["verdict"] or {}).get("reasons", []):
        typer.echo(f"  {reason['rule']} in {reason['subject']}: {reason['reason']}", err=True)
    if job["error"]:
        typer.echo(f"  {job['error']['code']}: {job['error']['detail']}", err=True)
