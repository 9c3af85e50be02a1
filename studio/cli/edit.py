"""studio edit: ask for an edit and wait for it, over HTTP or in this process."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from editing import Intent, Join, Prefill, Route
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
Strength = Annotated[float | None, typer.Option(help="Share of the schedule that is run, above 0 up to 1.")]
Count = Annotated[
    int | None, typer.Option("--n", "-n", help="Pictures to make, 1..8; the second goes to NAME-2 and so on.")
]
Threshold = Annotated[float | None, typer.Option(help="Make the mask hard: from this value on, above 0 up to 1.")]
Grow = Annotated[int | None, typer.Option(help="Pixels by which the model's mask is widened.")]
Feather = Annotated[int | None, typer.Option(help="Pixels of soft edge, inside the mask.")]
PrefillName = Annotated[
    Prefill | None, typer.Option("--prefill", help="What lies under the mask where the model starts from it.")
]
JoinName = Annotated[Join | None, typer.Option("--join", help="Lay it over by a soft edge, or by gradients.")]
RouteName = Annotated[Route | None, typer.Option("--route", help="How the model is made to paint only a part.")]
SeamLimit = Annotated[float | None, typer.Option(help="Paint again while the seam score is over this.")]
SeamRetries = Annotated[int | None, typer.Option(help="How often at most; 1 if only --seam-limit is given.")]


@app.command()
def generate(
    prompt: Prompt,
    out: Out,
    width: Annotated[int | None, typer.Option(help="Columns.")] = None,
    height: Annotated[int | None, typer.Option(help="Rows.")] = None,
    canny: Canny = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a picture from text: studio edit generate "a red circle on a sand background" -o out.png"""
    members = {"prompt": prompt, "width": width, "height": height, "controls": _canny(canny)}
    _run("generate", members | _sampling(seed, n, steps, guidance, checkpoint), {}, out, url, key)


@app.command()
def img2img(
    picture: Picture,
    prompt: Prompt,
    out: Out,
    strength: Strength = None,
    width: Annotated[int | None, typer.Option(help="Columns, with --height; else the picture's own size.")] = None,
    height: Annotated[int | None, typer.Option(help="Rows, with --width.")] = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a whole picture anew from one: studio edit img2img photo.jpg "a red circle" --strength 0.7 -o out.png"""
    members = {"prompt": prompt, "strength": strength, "width": width, "height": height}
    _run("img2img", members | _sampling(seed, n, steps, guidance, checkpoint), {"image": picture}, out, url, key)


@app.command()
def inpaint(
    picture: Picture,
    mask: MaskFile,
    prompt: Prompt,
    out: Out,
    mask_polarity: Polarity = None,
    threshold: Threshold = None,
    intent: Annotated[
        Intent | None, typer.Option(help="What it is for: fill, add or replace_background choose other defaults.")
    ] = None,
    strength: Strength = None,
    grow: Grow = None,
    feather: Feather = None,
    prefill: PrefillName = None,
    join: JoinName = None,
    route: RouteName = None,
    seam_limit: SeamLimit = None,
    seam_retries: SeamRetries = None,
    canny: Canny = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Repaint part of a picture: studio edit inpaint photo.jpg mask.png "a blue star" -o out.png"""
    members: dict[str, Any] = {"prompt": prompt, "mask_polarity": mask_polarity, "threshold": threshold}
    members |= {"intent": intent, "strength": strength, "prefill": prefill, "route": route, "controls": _canny(canny)}
    members |= _blend(grow, feather, join, seam_limit, seam_retries)
    pictures = {"image": picture, "mask": mask}
    _run("inpaint", members | _sampling(seed, n, steps, guidance, checkpoint), pictures, out, url, key)


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
    strength: Strength = None,
    grow: Grow = None,
    feather: Feather = None,
    prefill: PrefillName = None,
    join: JoinName = None,
    route: RouteName = None,
    seam_limit: SeamLimit = None,
    seam_retries: SeamRetries = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Extend a picture: studio edit outpaint photo.jpg --left 200 --right 200 -o out.png"""
    members: dict[str, Any] = {"prompt": prompt, "top": top, "right": right, "bottom": bottom, "left": left}
    members |= {"width": width, "height": height, "strength": strength, "prefill": prefill, "route": route}
    members |= _blend(grow, feather, join, seam_limit, seam_retries)
    _run("outpaint", members | _sampling(seed, n, steps, guidance, checkpoint), {"image": picture}, out, url, key)


@app.command()
def erase(
    picture: Picture,
    mask: MaskFile,
    out: Out,
    mask_polarity: Polarity = None,
    threshold: Threshold = None,
    grow: Grow = None,
    feather: Feather = None,
    join: JoinName = None,
    seam_limit: SeamLimit = None,
    seam_retries: SeamRetries = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Remove what the mask covers: studio edit erase photo.jpg mask.png -o out.png"""
    members: dict[str, Any] = {"mask_polarity": mask_polarity, "threshold": threshold}
    members |= _blend(grow, feather, join, seam_limit, seam_retries)
    pictures = {"image": picture, "mask": mask}
    _run("erase", members | _sampling(seed, n, steps, guidance, checkpoint), pictures, out, url, key)


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


def _sampling(
    seed: str | None, n: int | None, steps: int | None, guidance: float | None, checkpoint: str | None
) -> dict[str, Any]:
    return {"seed": seed, "n": n, "steps": steps, "guidance": guidance, "checkpoint": checkpoint}


def _blend(
    grow: int | None, feather: int | None, join: Join | None, limit: float | None, retries: int | None
) -> dict[str, Any]:
    return {"grow": grow, "feather": feather, "join": join, "seam_limit": limit, "seam_retries": retries}


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
        for number, output in enumerate(job["outputs"], start=1):
            path = _numbered(out, number)
            path.write_bytes(image(output["digest"]))
            typer.echo(f"{path}  ({_told(output)}checkpoint {job['checkpoint']}, record {job['record']})")
        return
    typer.echo(f"{job['state']}  (record {job['record']})", err=True)
    for reason in (job["verdict"] or {}).get("reasons", []):
        typer.echo(f"  {reason['rule']} in {reason['subject']}: {reason['reason']}", err=True)
    if job["error"]:
        typer.echo(f"  {job['error']['code']}: {job['error']['detail']}", err=True)


def _numbered(out: Path, number: int) -> Path:
    return out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")


def _told(output: dict[str, Any]) -> str:
    seam = output["seam_score"]
    return f"seed {output['seed']}, " + ("" if seam is None else f"seam score {seam:.2f}, ")
