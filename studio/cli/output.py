"""How reporting commands print: a table for people, or one JSON object with `--json`."""

import json
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def emit(table: Table, document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a table, or the document as one line of JSON."""
    if as_json:
        typer.echo(json.dumps(document))
    else:
        Console().print(table)


def cell(text: str) -> str:
    """Somebody's text as a cell of a table: brackets in it are no markup, and what cannot be seen stands as `·`."""
    return escape("".join(each if each.isprintable() else "·" for each in text))
