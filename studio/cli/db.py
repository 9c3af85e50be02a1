"""studio db: the database's schema, and blobs nobody refers to."""

from datetime import timedelta
from typing import Annotated

import typer

from studio.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Look after the database and the blobs.")


@app.command("upgrade")
def upgrade() -> None:
    """Bring the database to this version's schema; makes it if there is none."""
    from studio import bootstrap

    store = bootstrap.open_store(load_settings())
    before = store.database.current()
    store.database.upgrade()
    typer.echo(f"schema {before or 'empty'} -> {store.database.current()}")


@app.command("status")
def status() -> None:
    """Say which schema the database has; exits 1 if it is not this version's."""
    from studio import bootstrap

    database = bootstrap.open_store(load_settings()).database
    typer.echo(f"schema {database.current() or 'empty'}, this version's is {database.head()}")
    if not database.at_head():
        raise typer.Exit(1)


@app.command("sweep")
def sweep(
    hours: Annotated[
        float, typer.Option(min=1, help="Only what is older than this; younger blobs may be in use.")
    ] = 24,
) -> None:
    """Delete blobs that no image, job or record refers to, and sketches of requests that no volume rule needs."""
    from policy.volume import LONGEST_WINDOW
    from storage import referenced_digests
    from studio import bootstrap

    store = bootstrap.open_store(load_settings())
    swept = store.blobs.sweep(referenced_digests(store.database), timedelta(hours=hours).total_seconds())
    forgotten = store.sketches.prune(LONGEST_WINDOW)
    typer.echo(f"{swept} blobs and {forgotten} sketches deleted")
