"""studio models: the checkpoints, and the licences that have to be accepted first."""

import getpass
from typing import Annotated

import typer
from rich.table import Table

from studio.cli.output import emit
from studio.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="List checkpoints and accept their licences.")


@app.command("list")
def list_models(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List every checkpoint: what it can do, its licence, and whether it may load."""
    from editing.catalogue import CATALOGUE
    from studio import bootstrap
    from studio.api.models import model_view

    store = bootstrap.open_store(load_settings())
    store.database.upgrade()
    views = [
        model_view(each, accepted=not each.needs_acceptance or store.licences.accepted(each.name) is not None)
        for each in CATALOGUE.values()
    ]
    table = Table("checkpoint", "family", "operations", "licence", "may load")
    for each in views:
        may = "yes" if each.accepted else f"studio models accept {each.name}"
        table.add_row(each.name, each.family, ", ".join(each.operations) or ", ".join(each.controls), each.licence, may)
    emit(table, {"models": [each.model_dump() for each in views]}, as_json=as_json)


@app.command("accept")
def accept(
    name: Annotated[str, typer.Argument(help="Name of the checkpoint.")],
    by: Annotated[str | None, typer.Option(help="Who accepts; default: your account on this machine.")] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Accept a checkpoint's licence for this installation. Who accepted, and when, is recorded."""
    from editing.catalogue import find
    from studio import bootstrap

    checkpoint = find(name)
    if not checkpoint.needs_acceptance:
        typer.echo(f"{name} is under {checkpoint.licence}; there is nothing to accept.")
        return
    typer.echo(f"{name} is under the {checkpoint.licence}: {checkpoint.licence_url}\n{checkpoint.acceptance_reason}")
    if not yes:
        typer.confirm("Do you accept this licence for this installation?", abort=True)
    store = bootstrap.open_store(load_settings())
    store.database.upgrade()
    accepted = store.licences.accept(name, checkpoint.licence, by or getpass.getuser())
    typer.echo(f"accepted by {accepted.accepted_by} at {accepted.accepted_at:%Y-%m-%d %H:%M:%S} UTC")
