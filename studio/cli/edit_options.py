"""Arguments and options that the edits share; the help texts are where people learn them."""

from pathlib import Path
from typing import Annotated

import typer

from editing import Join, Prefill, Route
from editing.decoding import MaskPolarity

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
Tolerance = Annotated[
    int | None,
    typer.Option(
        "--safety-tolerance", help="How much the policy lets pass, 0 (strictest) up to the key's own; that if absent."
    ),
]
Polarity = Annotated[MaskPolarity | None, typer.Option(help="Which part of the mask is edited.")]
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
Width = Annotated[int | None, typer.Option(help="Columns.")]
Height = Annotated[int | None, typer.Option(help="Rows.")]
Aspect = Annotated[
    str | None,
    typer.Option("--aspect", help="Such as 16:9, instead of --width and --height; at the checkpoint's area."),
]
Controls = Annotated[
    list[str] | None,
    typer.Option(
        "--control",
        help="KIND[:WORD...][=FILE], may be repeated: canny=photo.jpg, soft_edge:teed:0.6=photo.jpg, "
        "depth:as_is=map.png; without FILE of the picture that is edited. A WORD is a conditioning scale, a detector "
        "(see `studio edit controls --help`), or as_is for a file that already is a control image.",
    ),
]
Loras = Annotated[
    list[str] | None,
    typer.Option("--lora", help="NAME[:WEIGHT], may be repeated: of the catalogue, or uploaded by `studio loras add`."),
]
References = Annotated[
    list[str] | None,
    typer.Option(
        "--reference",
        help="KIND[:WEIGHT]=FILE, may be repeated: a picture that the result shall resemble; redux or ip_adapter.",
    ),
]
Embeddings = Annotated[
    list[str] | None,
    typer.Option(
        "--embedding", help="NAME[:TOKEN], may be repeated: an uploaded word; the prompt says it as `<TOKEN>`."
    ),
]
Negative = Annotated[
    str | None, typer.Option("--negative", help="What it shall not show; twice the time, for it takes true CFG.")
]
TrueCfg = Annotated[float | None, typer.Option("--true-cfg", help="Scale of classifier-free guidance; 1 is off.")]
Flags = Annotated[
    bool, typer.Option("--prompt-flags", help="Read --seed, --steps and --no at the prompt's end; --ar always is.")
]
