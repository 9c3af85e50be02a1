"""studio demo: the whole service, shown on one sheet."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Where to write the contact sheet.")] = Path("demo/contact-sheet.png"),
) -> None:
    """Start the service on a free port, send it real requests, and draw a contact sheet of what came back."""
    from studio.demo.run import run

    run(out)
