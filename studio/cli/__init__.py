"""The command line. Each command imports what it needs when it runs, so that `studio --help` is quick."""

import sys

import typer
from rich.console import Console

from studio import __version__
from studio.cli import adapters, bench, db, demo, edit, keys, models, records, serve

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
    import httpx
    from sqlalchemy.exc import SQLAlchemyError

    from editing import EditingError
    from storage import StorageError
    from studio.client import StudioProblem
    from studio.problems import Problem
    from studio.settings import SettingsError

    try:
        app()
    except StudioProblem as problem:
        _fail(f"{problem.document.get('code', 'problem')}: {problem}")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        _fail(f"the studio cannot be reached: {error}; is it running, and is --url its address?")
    except (EditingError, Problem) as error:
        _fail(f"{error.code}: {error}")
    except (SettingsError, StorageError, SQLAlchemyError, OSError) as error:
        _fail(f"{type(error).__name__}: {error}")


def _fail(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(message, style="red", markup=False)
    sys.exit(1)
