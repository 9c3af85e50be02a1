"""studio bench: measurements, with a table for people and one JSON object for programs."""

from pathlib import Path
from typing import Annotated

import typer

from studio.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Measure quality and speed.")


@app.callback()
def bench() -> None:
    """Measure quality and speed."""


@app.command("mini")
def mini(
    count: Annotated[int, typer.Option(min=4, help="Prompts per operation.")] = 48,
    sheet: Annotated[Path | None, typer.Option(help="Write the pictures that were judged, with their marks.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure flux-mini with an independent judge: OpenCV colour and contour checks, no learned part."""
    from studio.bench.mini import measure

    measure(load_settings(), count=count, sheet=sheet, as_json=as_json)
