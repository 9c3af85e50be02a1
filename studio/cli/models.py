"""studio models: the checkpoints, their licences and weights, and how this machine's memory is used."""

import getpass
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from studio.cli.output import emit
from studio.settings import Settings, load_settings

if TYPE_CHECKING:
    from editing.catalogue import Checkpoint
    from studio.cli.machine import Memory

app = typer.Typer(help="List checkpoints and accept their licences.")


@app.callback(invoke_without_command=True)
def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@app.command("list")
def list_models(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List every checkpoint, its licence and weights, and how this machine's memory is used."""
    from editing.catalogue import CATALOGUE
    from studio import bootstrap
    from studio.api.models import model_view
    from studio.cli.machine import memory_of

    settings = load_settings()
    store = bootstrap.open_store(settings)
    store.database.upgrade()
    listed = []
    for each in CATALOGUE.values():
        accepted = not each.needs_acceptance or store.licences.accepted(each.name) is not None
        listed.append(model_view(each, accepted=accepted).model_dump() | {"weights": _weights(each, settings)})
    memory = memory_of(settings)
    document = {"memory": _memory_view(memory), "models": listed}
    if not as_json:
        _print_memory(memory)
    emit(_table(listed), document, as_json=as_json)


def _weights(checkpoint: "Checkpoint", settings: Settings) -> str:
    """Say where a checkpoint's weights are, without reading them."""
    from editing.diffusion.weights import locate
    from editing.errors import EngineError
    from studio.bootstrap import weights_of

    if checkpoint.hub_id is None and checkpoint.packaged is None:
        return "none"
    try:
        found = locate(checkpoint, weights_of(settings))
    except EngineError as error:
        return "unpinned" if error.code == "revision_unpinned" else "missing"
    return {"packaged": "packaged", "local": f"folder: {found.folder}"}.get(found.revision, "hub cache")


def _memory_view(memory: "Memory") -> dict[str, Any]:
    from editing.estimates import FLUX1_DEV, needed_bytes

    layout = memory.layout
    return {
        "profile": layout.profile.value,
        "reason": memory.reason,
        "device": memory.device,
        "total_bytes": memory.total_bytes,
        "flux1_bytes": needed_bytes(layout.profile, FLUX1_DEV),
        "vae_tiling": layout.vae_tiling,
        "parts": {
            part.value: {"format": keeping.format.value, "waits": keeping.waits.value}
            for part, keeping in layout.parts.items()
        },
    }


def _print_memory(memory: "Memory") -> None:
    from editing.memory import GIGABYTE, TILE

    view = _memory_view(memory)
    table = Table("part", "weights", "where they wait", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for part, keeping in view["parts"].items():
        table.add_row(part, keeping["format"], keeping["waits"])
    console = Console(highlight=False)
    console.print(f"[bold]Memory: {view['profile']}[/bold] ({view['reason']})")
    console.print(table)
    console.print(f"FLUX.1 [dev] with a ControlNet takes about {view['flux1_bytes'] / GIGABYTE:.0f} GB.", markup=False)
    if view["vae_tiling"]:
        console.print(f"Pictures with a side above {TILE} pixels go through the VAE in tiles.")
    console.print("Small parts, as all of flux-mini's, stay whole and on the device.\n")


def _table(listed: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("checkpoint", overflow="fold", width=26)
    table.add_column("family", no_wrap=True)
    table.add_column("does")
    table.add_column("licence")
    table.add_column("loads", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    for each in listed:
        licence = escape(each["licence"].removesuffix(" License"))  # [dev] is part of a name, no markup
        may = "yes" if each["accepted"] else "accept"
        table.add_row(each["name"], each["family"], _does(each), licence, may, each["weights"].partition(":")[0])
    table.caption = "accept: read the licence, then studio models accept NAME"
    if any(each["weights"] == "unpinned" for each in listed):
        table.caption += "\nunpinned: name its folder in STUDIO_WEIGHTS, or a commit in STUDIO_REVISIONS"
    return table


def _does(view: Mapping[str, Any]) -> str:
    from editing.detecting import DETECTORS, WITHOUT_WEIGHTS

    made = [each.kind.value for each in DETECTORS.values() if view["name"] in (each.checkpoints or (WITHOUT_WEIGHTS,))]
    named = ", ".join(view["operations"]) or ", ".join(view["controls"]) or ", ".join(dict.fromkeys(made))
    if view["inpainting"]:
        named = "inpaint, outpaint"
    return named or (f"beside {view['works_with'][0]}" if view["works_with"] else "")


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
