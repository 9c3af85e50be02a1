"""studio keys: make, list and revoke API keys."""

from typing import Annotated

import typer
from rich.table import Table

from storage import Role
from studio.cli.output import emit
from studio.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys. Tokens are shown once and stored hashed.")


@app.command("create")
def create(
    owner: Annotated[str, typer.Option(help="Whose things it reads: a handle, no name, since every record has it.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    purpose: Annotated[str, typer.Option(help="What it is for; goes into every record made with it.")],
) -> None:
    """Make a key and print its token, once."""
    from studio import bootstrap

    store = bootstrap.open_store(load_settings())
    store.database.upgrade()
    key, token = store.keys.create(owner=owner, role=role, purpose=purpose)
    typer.echo(f"{key.id}  {role.value} of {owner}", err=True)
    typer.echo(token)


@app.command("list")
def list_keys(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List every key, the revoked ones too; never a token."""
    from studio import bootstrap

    keys = bootstrap.open_store(load_settings()).keys.list()
    table = Table("key", "owner", "role", "purpose", "made (UTC)", "revoked")
    for each in keys:
        made = each.created_at.strftime("%Y-%m-%d %H:%M")
        table.add_row(each.id, each.owner, each.role.value, each.purpose, made, "yes" if each.revoked_at else "")
    document = [
        {
            "id": each.id,
            "owner": each.owner,
            "role": each.role.value,
            "purpose": each.purpose,
            "created_at": each.created_at.isoformat(),
            "revoked_at": each.revoked_at.isoformat() if each.revoked_at else None,
        }
        for each in keys
    ]
    emit(table, {"keys": document}, as_json=as_json)


@app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="Its id, key_...")]) -> None:
    """Make a key useless from now on."""
    from studio import bootstrap

    bootstrap.open_store(load_settings()).keys.revoke(key_id)
    typer.echo(f"{key_id} is revoked")
