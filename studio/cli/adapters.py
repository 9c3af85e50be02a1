"""studio loras, studio embeddings: add, list and remove adapters."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from storage import Adapter, AdapterKind, AdapterStore
from studio.cli.output import cell, emit
from studio.settings import load_settings

ADDED_BY = "command line"
"""Stands where an upload has the id of its key."""

Owner = Annotated[str, typer.Option(help="Whose it is: the owner of the keys that may use it.")]
File = Annotated[Path, typer.Argument(help="A safetensors file.", exists=True, dir_okay=False, readable=True)]


def adapters_app(kind: AdapterKind, title: str) -> typer.Typer:
    """Make the commands of one kind of adapter."""
    app = typer.Typer(no_args_is_help=True, help=f"Add, list and remove {title}: safetensors files, used by name.")

    @app.command("add")
    def add(
        file: File,
        name: Annotated[str | None, typer.Option(help="What requests call it; the file's own if absent.")] = None,
        owner: Owner = "bootstrap",
    ) -> None:
        """Judge a file and keep it."""
        from studio import bootstrap
        from studio.jobs.adapters import Upload, admit

        settings = load_settings()
        store = bootstrap.open_store(settings)
        store.database.upgrade()
        with file.open("rb") as stream:
            upload = Upload(kind=kind, name=name or file.stem, file=stream, size=file.stat().st_size)
            kept = admit(
                upload,
                owner=owner,
                key_id=ADDED_BY,
                blobs=store.blobs,
                store=store.adapters,
                limit=settings.max_adapter_bytes,
                screen=bootstrap.build_policies(settings).current().screen,
            )
        typer.echo(f"{kept.name}  sha256:{kept.digest}")

    @app.command("list")
    def list_adapters(
        owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
        *,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    ) -> None:
        """List them, newest first."""
        from studio import bootstrap

        found = _every(kind, owner, bootstrap.open_store(load_settings()).adapters)
        table = Table("name", "owner", "facts", "MB", "digest")
        for each in found:
            table.add_row(each.name, cell(each.owner), _said(each), f"{each.size_bytes / 1e6:.1f}", each.digest[:12])
        emit(table, {f"{kind.value}s": [_document(each) for each in found]}, as_json=as_json)

    @app.command("remove")
    def remove(name: Annotated[str, typer.Argument(help="Its name.")], owner: Owner = "bootstrap") -> None:
        """Remove one; jobs that were accepted with it keep it until they end."""
        from studio import bootstrap

        bootstrap.open_store(load_settings()).adapters.remove(kind, name, owner)
        typer.echo(f"{name} is removed")

    return app


def _every(kind: AdapterKind, owner: str | None, store: AdapterStore) -> list[Adapter]:
    page = store.list(kind, owner, limit=500)
    found = [*page.items]
    while page.next_cursor:
        page = store.list(kind, owner, limit=500, before=page.next_cursor)
        found += page.items
    return found


def _said(adapter: Adapter) -> str:
    facts = adapter.facts
    if adapter.kind is AdapterKind.EMBEDDING:
        return ", ".join(f"{encoder}: {count} x {width}" for encoder, (count, width) in facts["vectors"].items())
    ranks = "-".join(str(each) for each in dict.fromkeys(facts["ranks"]))
    return f"{' or '.join(facts['architectures'])}, rank {ranks}, {facts['layers']} layers"


def _document(adapter: Adapter) -> dict[str, object]:
    return {
        "name": adapter.name,
        "owner": adapter.owner,
        "digest": adapter.digest,
        "size_bytes": adapter.size_bytes,
        "facts": dict(adapter.facts),
        "created_at": adapter.created_at.isoformat(),
    }


loras = adapters_app(AdapterKind.LORA, "LoRAs")
embeddings = adapters_app(AdapterKind.EMBEDDING, "embeddings (learnt words)")
