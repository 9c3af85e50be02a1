"""studio keys: make, list, change and revoke API keys."""

from typing import Annotated

import typer
from rich.table import Table

from storage import Role
from storage.keys import DEFAULT_SAFETY_TOLERANCE, SAFETY_TOLERANCE
from studio.cli.output import cell, emit
from studio.settings import load_settings

app = typer.Typer(
    no_args_is_help=True, help="Make, list, change and revoke API keys. Tokens are shown once and stored hashed."
)


KeyId = Annotated[str, typer.Argument(help="Its id, key_...")]
Tolerance = Annotated[
    int,
    typer.Option(
        "--tolerance",
        min=SAFETY_TOLERANCE[0],
        max=SAFETY_TOLERANCE[1],
        help="safety_tolerance: how much the policy lets pass; 0 is the strictest, 6 the laxest.",
    ),
]


@app.command("create")
def create(
    owner: Annotated[str, typer.Option(help="Whose things it reads: a handle, no name, since every record has it.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    purpose: Annotated[str, typer.Option(help="What it is for; screened, and goes into every record made with it.")],
    tolerance: Tolerance = DEFAULT_SAFETY_TOLERANCE,
) -> None:
    """Make a key and print its token, once."""
    from studio import bootstrap
    from studio.jobs.purposes import check_purpose

    settings = load_settings()
    verdict = check_purpose(purpose, lambda: bootstrap.build_policies(settings).current(), tolerance)
    store = bootstrap.open_store(settings)
    store.database.upgrade()
    key, token = store.keys.create(owner=owner, role=role, purpose=purpose, safety_tolerance=tolerance)
    typer.echo(f"{key.id}  {role.value} of {owner}, safety tolerance {tolerance}", err=True)
    for each in verdict.notices:
        typer.echo(f"  {each.rule}: {each.reason}", err=True)
    for each in verdict.reasons:
        typer.echo(f"  every job will be held for a person, by {each.rule}: {each.reason}", err=True)
    typer.echo(token)


@app.command("list")
def list_keys(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List every key, the revoked ones too; never a token."""
    from studio import bootstrap

    keys = bootstrap.open_store(load_settings()).keys.list()
    table = Table()
    table.add_column("key", no_wrap=True)  # ids are there to be copied
    for name in ("owner", "role", "purpose", "tolerance", "made (UTC)", "revoked"):
        table.add_column(name)
    for each in keys:
        made = each.created_at.strftime("%Y-%m-%d %H:%M")
        revoked = "yes" if each.revoked_at else ""
        tolerance = str(each.safety_tolerance)
        table.add_row(each.id, cell(each.owner), each.role.value, cell(each.purpose), tolerance, made, revoked)
    document = [
        {
            "id": each.id,
            "owner": each.owner,
            "role": each.role.value,
            "purpose": each.purpose,
            "safety_tolerance": each.safety_tolerance,
            "created_at": each.created_at.isoformat(),
            "revoked_at": each.revoked_at.isoformat() if each.revoked_at else None,
        }
        for each in keys
    ]
    emit(table, {"keys": document}, as_json=as_json)


@app.command("set")
def change(key_id: KeyId, tolerance: Tolerance) -> None:
    """Change how much the policy lets pass for a key; a lower one holds for jobs that wait, too."""
    from studio import bootstrap

    key = bootstrap.open_store(load_settings()).keys.set_safety_tolerance(key_id, tolerance)
    typer.echo(f"{key.id} has safety tolerance {key.safety_tolerance}")


@app.command("revoke")
def revoke(key_id: KeyId) -> None:
    """Make a key useless from now on."""
    from studio import bootstrap

    bootstrap.open_store(load_settings()).keys.revoke(key_id)
    typer.echo(f"{key_id} is revoked")
