"""studio edit: ask for an edit and wait for it, over HTTP or in this process."""

from pathlib import Path
from typing import Annotated, Any

import typer

from editing import ControlKind, Detector, Intent, Join
from editing.decoding import MaskPolarity
from studio.cli.asking import ask
from studio.cli.edit_options import (
    Aspect,
    CheckpointName,
    Controls,
    Count,
    Embeddings,
    Feather,
    Flags,
    Grow,
    Guidance,
    Height,
    JoinName,
    Key,
    Loras,
    MaskFile,
    Negative,
    Out,
    Picture,
    Polarity,
    PrefillName,
    Prompt,
    References,
    RouteName,
    SeamLimit,
    SeamRetries,
    Seed,
    Steps,
    Strength,
    Threshold,
    Tolerance,
    TrueCfg,
    Url,
    Width,
)
from studio.cli.guide_options import guides

app = typer.Typer(
    no_args_is_help=True,
    help="Edit a picture and wait for it. Without --url the same job path runs in this process on STUDIO_HOME.",
)


@app.command()
def generate(
    prompt: Prompt,
    out: Out,
    width: Width = None,
    height: Height = None,
    aspect: Aspect = None,
    control: Controls = None,
    lora: Loras = None,
    reference: References = None,
    embedding: Embeddings = None,
    negative: Negative = None,
    true_cfg: TrueCfg = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    safety_tolerance: Tolerance = None,
    url: Url = None,
    key: Key = None,
    *,
    prompt_flags: Flags = False,
) -> None:
    """Make a picture from text: studio edit generate "a red circle on a sand background" -o out.png"""
    members: dict[str, Any] = {"prompt": prompt, "width": width, "height": height, "aspect_ratio": aspect}
    members |= guides(control, lora, reference, embedding) | _words(negative, true_cfg, flags=prompt_flags)
    members |= _common(seed, n, steps, guidance, checkpoint, safety_tolerance)
    ask("generate", members, {}, out, url, key)


@app.command()
def img2img(
    picture: Picture,
    prompt: Prompt,
    out: Out,
    strength: Strength = None,
    width: Annotated[int | None, typer.Option(help="Columns, with --height; else the picture's own size.")] = None,
    height: Annotated[int | None, typer.Option(help="Rows, with --width.")] = None,
    control: Controls = None,
    lora: Loras = None,
    reference: References = None,
    embedding: Embeddings = None,
    negative: Negative = None,
    true_cfg: TrueCfg = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    safety_tolerance: Tolerance = None,
    url: Url = None,
    key: Key = None,
    *,
    prompt_flags: Flags = False,
) -> None:
    """Make a whole picture anew from one: studio edit img2img photo.jpg "a red circle" --strength 0.7 -o out.png"""
    members: dict[str, Any] = {"prompt": prompt, "strength": strength, "width": width, "height": height}
    members |= guides(control, lora, reference, embedding) | _words(negative, true_cfg, flags=prompt_flags)
    ask(
        "img2img",
        members | _common(seed, n, steps, guidance, checkpoint, safety_tolerance),
        {"image": picture},
        out,
        url,
        key,
    )


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
    control: Controls = None,
    lora: Loras = None,
    reference: References = None,
    embedding: Embeddings = None,
    negative: Negative = None,
    true_cfg: TrueCfg = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    safety_tolerance: Tolerance = None,
    url: Url = None,
    key: Key = None,
    *,
    prompt_flags: Flags = False,
) -> None:
    """Repaint part of a picture: studio edit inpaint photo.jpg mask.png "a blue star" -o out.png"""
    members: dict[str, Any] = {"prompt": prompt, "mask_polarity": mask_polarity, "threshold": threshold}
    members |= {"intent": intent, "strength": strength, "prefill": prefill, "route": route}
    members |= guides(control, lora, reference, embedding) | _words(negative, true_cfg, flags=prompt_flags)
    members |= _blend(grow, feather, join, seam_limit, seam_retries)
    pictures = {"image": picture, "mask": mask}
    members |= _common(seed, n, steps, guidance, checkpoint, safety_tolerance)
    ask("inpaint", members, pictures, out, url, key)


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
    control: Controls = None,
    lora: Loras = None,
    reference: References = None,
    embedding: Embeddings = None,
    negative: Negative = None,
    true_cfg: TrueCfg = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    safety_tolerance: Tolerance = None,
    url: Url = None,
    key: Key = None,
    *,
    prompt_flags: Flags = False,
) -> None:
    """Extend a picture: studio edit outpaint photo.jpg --left 200 --right 200 -o out.png"""
    members: dict[str, Any] = {"prompt": prompt, "top": top, "right": right, "bottom": bottom, "left": left}
    members |= {"width": width, "height": height, "strength": strength, "prefill": prefill, "route": route}
    members |= guides(control, lora, reference, embedding) | _words(negative, true_cfg, flags=prompt_flags)
    members |= _blend(grow, feather, join, seam_limit, seam_retries)
    ask(
        "outpaint",
        members | _common(seed, n, steps, guidance, checkpoint, safety_tolerance),
        {"image": picture},
        out,
        url,
        key,
    )


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
    safety_tolerance: Tolerance = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Remove what the mask covers: studio edit erase photo.jpg mask.png -o out.png"""
    members: dict[str, Any] = {"mask_polarity": mask_polarity, "threshold": threshold}
    members |= _blend(grow, feather, join, seam_limit, seam_retries)
    pictures = {"image": picture, "mask": mask}
    members |= _common(seed, n, steps, guidance, checkpoint, safety_tolerance)
    ask("erase", members, pictures, out, url, key)


@app.command()
def instruct(
    picture: Picture,
    prompt: Annotated[str, typer.Argument(help="What to change.")],
    out: Out,
    other: Annotated[
        list[Path] | None,
        typer.Option(help="A further picture that the words speak of; up to 3.", exists=True, dir_okay=False),
    ] = None,
    width: Annotated[int | None, typer.Option(help="Columns, with --height; else the picture's own size.")] = None,
    height: Annotated[int | None, typer.Option(help="Rows, with --width.")] = None,
    aspect: Aspect = None,
    lora: Loras = None,
    embedding: Embeddings = None,
    negative: Negative = None,
    true_cfg: TrueCfg = None,
    seed: Seed = None,
    n: Count = None,
    steps: Steps = None,
    guidance: Guidance = None,
    checkpoint: CheckpointName = None,
    safety_tolerance: Tolerance = None,
    url: Url = None,
    key: Key = None,
    *,
    prompt_flags: Flags = False,
) -> None:
    """Change a picture as words say: studio edit instruct photo.jpg "make the car red" -o out.png

    It takes a checkpoint that follows instructions, such as FLUX.1-Kontext-dev or FLUX.2-klein-4B.
    """
    from studio.client import encoded

    members: dict[str, Any] = {"prompt": prompt, "width": width, "height": height, "aspect_ratio": aspect}
    members["others"] = [encoded(each) for each in other] if other else None
    members |= guides(None, lora, None, embedding) | _words(negative, true_cfg, flags=prompt_flags)
    ask(
        "instruct",
        members | _common(seed, n, steps, guidance, checkpoint, safety_tolerance),
        {"image": picture},
        out,
        url,
        key,
    )


@app.command()
def controls(
    kind: Annotated[ControlKind, typer.Argument(help="What the control image shall show.")],
    picture: Annotated[
        Path, typer.Argument(help="The picture it is made of.", exists=True, dir_okay=False, readable=True)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write it: a .png.")],
    detector: Annotated[
        Detector | None, typer.Option(help="What makes it; else the best for this kind whose weights are here.")
    ] = None,
    low: Annotated[int | None, typer.Option(help="Lower Canny threshold; 100 if absent.")] = None,
    high: Annotated[int | None, typer.Option(help="Upper Canny threshold; 200 if absent.")] = None,
    safety_tolerance: Tolerance = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a control image to look at: studio edit controls soft_edge photo.jpg -o map.png

    Mend it and use it: studio edit img2img photo.jpg "a house" --control soft_edge:as_is=map.png -o out.png
    """
    members: dict[str, Any] = {"kind": kind, "detector": detector, "low": low, "high": high}
    members["safety_tolerance"] = safety_tolerance
    ask("control_map", members, {"image": picture}, out, url, key)


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


def _common(
    seed: str | None,
    n: int | None,
    steps: int | None,
    guidance: float | None,
    checkpoint: str | None,
    safety_tolerance: int | None,
) -> dict[str, Any]:
    sampling = {"seed": seed, "n": n, "steps": steps, "guidance": guidance}
    return {**sampling, "checkpoint": checkpoint, "safety_tolerance": safety_tolerance}


def _blend(
    grow: int | None, feather: int | None, join: Join | None, limit: float | None, retries: int | None
) -> dict[str, Any]:
    return {"grow": grow, "feather": feather, "join": join, "seam_limit": limit, "seam_retries": retries}


def _words(negative: str | None, true_cfg: float | None, *, flags: bool) -> dict[str, Any]:
    return {"negative_prompt": negative, "true_cfg": true_cfg, "prompt_flags": flags or None}
