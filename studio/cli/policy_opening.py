"""What the commands of `studio policy` share: their options, the policy they ask, the corpora they read."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from studio.settings import load_settings

if TYPE_CHECKING:
    from policy import Policy
    from policy.corpus import LabelledLine
    from policy.documents import Document
    from policy.evaluation import Answer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
RulesFolder = Annotated[
    Path | None, typer.Option("--rules", help="Folder of your own rules; default: that of STUDIO_RULES.")
]
ShowTexts = Annotated[bool, typer.Option("--show-texts", help="Print texts beside ids; they may be offensive.")]
Tolerance = Annotated[int, typer.Option(min=0, max=6, help="safety_tolerance: 0 is the strictest, 6 the laxest.")]

COLOURS = {"allow": "green", "review": "yellow", "block": "red"}


def coloured(decision: str) -> str:
    """A decision in its colour, as rich markup."""
    return f"[{COLOURS[decision]}]{decision}[/{COLOURS[decision]}]"


def own_rules(option: Path | None) -> Path | None:
    """The operator's folder of rules: the one named, else that of the settings, None if there is none."""
    return option or load_settings().rules


def open_policy(folder: Path | None, *, whole: bool = False) -> "Policy":
    """Load a policy as the server would, and warn if something keeps it from allowing anything.

    Args:
        folder: The operator's rules, added to the shipped ones; None for those alone.
        whole: Whether the folder stands for the shipped rules instead of being added to them, as an edited copy would.
    """
    from policy import Policy, RuleScreener, load_policy
    from policy.ruleset import parse_rule_set

    if whole and folder is not None:
        others = [each for each in load_policy().screeners if not isinstance(each, RuleScreener)]
        policy = Policy(parse_rule_set(documents_of(folder, whole=True)), others)
    else:
        policy = load_policy(rules=folder)
    for problem in policy.ready().problems:
        typer.echo(f"everything is blocked: {problem}", err=True)
    return policy


def documents_of(folder: Path | None, *, whole: bool = False) -> "list[Document]":
    """Read the documents that a policy's rules are made of, the shipped ones first; see `open_policy`."""
    from importlib import resources

    from policy.loading import read_documents

    if whole and folder is not None:
        return read_documents(folder)
    shipped = read_documents(resources.files("policy").joinpath("rules"))
    return shipped if folder is None else [*shipped, *read_documents(folder, "operator:")]


def ask(policy: "Policy", text: str, tolerance: int) -> "Answer":
    """Screen one text as a prompt and sum up the verdict."""
    from policy.evaluation import answer_of
    from policy.subjects import TextSubject

    return answer_of(policy.screen([TextSubject(name="prompt", text=text)], tolerance=tolerance))


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """Open a corpus; `-` is standard input."""
    if name == "-":
        yield sys.stdin.buffer
    else:
        with Path(name).open("rb") as file:
            yield file


def read_corpora(names: Sequence[str]) -> "dict[str, list[LabelledLine]]":
    """Read labelled corpora whole, by the names they were given; one bad line and none is used."""
    from policy.corpus import read_labelled_lines

    found = {}
    for name in names:
        with opened(name) as file:
            found[name] = list(read_labelled_lines(file, name))
    return found


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Name files without their folders where that still tells them apart, by the names they were given."""
    given = list(names)
    last = Counter(Path(each).name for each in given)
    return {each: Path(each).name if last[Path(each).name] == 1 else each for each in given}


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Draw a bar on stderr; yields what to call once for each that is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def printable(text: str) -> str:
    """A text that does not steer the terminal: what cannot be seen stands as `·`."""
    return "".join(each if each.isprintable() else "·" for each in text)
