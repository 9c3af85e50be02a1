"""The command line. Each command imports what it needs when it runs, so that `studio --help` is quick."""

import sys

import typer
from rich.console import Console

from studio import __version__
from studio.cli import adapters, bench, db, demo, edit, keys, models, policy, records, serve

app = typer.Typer(
    name="studio",
    help="Edit and extend pictures with FLUX: screened, recorded, self-hosted. Start with `studio serve`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("demo")(demo.demo)
app.add_typer(edit.app, name="edit")
app.add_typer(records.app, name="records")
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")
app.add_typer(adapters.loras, name="loras")
app.add_typer(adapters.embeddings, name="embeddings")
app.add_typer(db.app, name="db")
app.add_typer(bench.app, name="bench")


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; a problem prints one line that says what to do, never a traceback."""
    try:
        app()
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        _fail(told)


def _told(error: Exception) -> str | None:
    """Return the line for a problem we know, None for a fault of ours; only here are all kinds of problems imported."""
    import httpx
    from sqlalchemy.exc import SQLAlchemyError

    from editing import EditingError
    from policy import PolicyError
    from storage import StorageError
    from studio.client import StudioProblem
    from studio.problems import Problem
    from studio.settings import SettingsError

    match error:
        case StudioProblem():
            return f"{error.document.get('code', 'problem')}: {error}"
        case httpx.HTTPError() | httpx.InvalidURL():
            return f"the studio cannot be reached: {error}; is it running, and is --url its address?"
        case EditingError() | Problem():
            return f"{error.code}: {error}"
        case SettingsError() | PolicyError() | StorageError() | SQLAlchemyError() | OSError():
            return f"{type(error).__name__}: {error}"
        case _:
            return None


def _fail(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(message, style="red", markup=False)
    sys.exit(1)
