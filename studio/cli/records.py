"""studio records: read provenance records on this home folder."""

import json
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from storage import Outcome
from studio.cli.output import cell, emit
from studio.settings import load_settings

app = typer.Typer(
    no_args_is_help=True, help="Read provenance records: who made what, with which model, under which policy."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


@app.command("list")
def list_records(
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only this operation.")] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only this outcome.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this time, UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most this many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Continue after a page.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List records, newest first."""
    from datetime import UTC

    from studio import bootstrap
    from studio.api.views import record_view

    store = bootstrap.open_store(load_settings())
    page = store.records.list(
        owner,
        since=since and since.replace(tzinfo=UTC),
        until=until and until.replace(tzinfo=UTC),
        operation=operation,
        outcome=outcome,
        limit=limit,
        after=cursor,
    )
    table = Table("operation", "outcome", "owner")
    for name in ("record", "time (UTC)"):
        table.add_column(name, no_wrap=True)  # ids are there to be copied
    for each in page.items:
        moment = each.created_at.strftime("%m-%d %H:%M:%S")
        table.add_row(each.operation, each.outcome.value, cell(each.owner), each.id, moment)
    views = [record_view(each, whole=True).model_dump(mode="json") for each in page.items]
    emit(table, {"records": views, "next": page.next_cursor}, as_json=as_json)
    if page.next_cursor and not as_json:
        typer.echo(f"more: --cursor {page.next_cursor}")


@app.command("show")
def show(record_id: Annotated[str, typer.Argument(help="Its id, rec_...")], *, as_json: AsJson = False) -> None:
    """Print one record whole."""
    from studio import bootstrap
    from studio.api.views import record_view

    record = bootstrap.open_store(load_settings()).records.get(record_id, None)
    document = record_view(record, whole=True).model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(document))
    else:
        Console(soft_wrap=True).print_json(json.dumps(document))
