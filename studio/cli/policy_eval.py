"""studio policy eval: how well the policy does on texts that people have labelled."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from studio.cli.policy_opening import (
    AsJson,
    RulesFolder,
    ShowTexts,
    Tolerance,
    ask,
    counting,
    open_policy,
    own_rules,
    printable,
    read_corpora,
    short_names,
)

if TYPE_CHECKING:
    from policy import Policy
    from policy.evaluation import Evaluation, Judged, Rates, Share

_FEWEST = 10
_MOST_ROWS = 14
"""A table tells of kinds with so many texts or more, and of so many kinds; `--html` tells of more, `--json` of all."""


def evaluate(
    files: Annotated[list[str], typer.Argument(help="Corpora, one JSON object a line; - is standard input.")],
    tolerance: Tolerance = 2,
    rules: RulesFolder = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with bars, to look at.")] = None,
    misses: Annotated[int, typer.Option(min=0, help="List so many unsafe texts that were allowed.")] = 0,
    false_alarms: Annotated[int, typer.Option(min=0, help="List so many safe texts that were not.")] = 0,
    *,
    cross_validated: Annotated[
        bool, typer.Option(help="Judge texts that the learned head was trained on by a head that has not seen them.")
    ] = True,
    show_texts: ShowTexts = False,
    as_json: AsJson = False,
) -> None:
    """Measure the policy: recall, false alarms and confusion with 95 % intervals.

    A line is `{"id", "text", "label": "safe" | "unsafe"}`, with `source_labels` and `lang` if there are any. Caught
    means blocked or sent to review. One bad line, named by file and number, and nothing is measured. The guard model is
    not asked here: it runs in workers.

    Try: `studio policy eval prompts.jsonl --html page.html`
    """
    from policy.cross_validation import cross_validated as without_seen
    from policy.evaluation import evaluate as count
    from policy.evaluation import false_alarms as alarms
    from policy.evaluation import misses as missed
    from studio.cli.policy_page import page

    if html is not None and not html.absolute().parent.is_dir():
        raise typer.BadParameter(f"--html: there is no folder {html.absolute().parent}")
    corpora = read_corpora(files)
    policy = open_policy(own_rules(rules))
    asked = without_seen(policy) if cross_validated else policy
    judged = _judge(asked, corpora, tolerance)
    found = {name: count(rows) for name, rows in judged.items()}
    everything = [row for rows in judged.values() for row in rows]
    together = count(everything)
    listed = {"misses": missed(everything)[:misses], "false_alarms": alarms(everything)[:false_alarms]}
    document = {
        "policy_version": policy.version,
        "policy_digest": policy.digest,
        "tolerance": tolerance,
        "cross_validated": asked is not policy,
        "files": {name: each.to_json() for name, each in found.items()},
        "together": together.to_json(),
        **{name: [_row_json(row, show_texts=show_texts) for row in rows] for name, rows in listed.items()},
    }
    if html is not None:
        html.write_text(page(found, together, document), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(document))
    else:
        _print(found, together, listed, show_texts=show_texts)


def _judge(policy: "Policy", corpora: Mapping[str, Sequence[Any]], tolerance: int) -> "dict[str, list[Judged]]":
    from policy.evaluation import Judged

    judged: dict[str, list[Judged]] = {}
    with counting("texts", sum(map(len, corpora.values()))) as done:
        for name, lines in corpora.items():
            judged[name] = []
            for line in lines:
                judged[name].append(Judged(line=line, answer=ask(policy, line.text, tolerance)))
                done()
    return judged


def _row_json(row: "Judged", *, show_texts: bool) -> dict[str, Any]:
    shown = {"id": row.line.id, "source_labels": list(row.line.labels), **row.answer.to_json()}
    return shown | ({"text": row.line.text} if show_texts else {})


def _print(
    found: "Mapping[str, Evaluation]",
    together: "Evaluation",
    listed: "Mapping[str, Sequence[Judged]]",
    *,
    show_texts: bool,
) -> None:
    console = Console(highlight=False)
    names = short_names(found)
    files = {names[name]: each.everything for name, each in found.items()}
    _print_rates(console, "per cent (95 % interval); caught = blocked or reviewed", files)
    if len(found) > 1:
        _print_rates(console, "all files together", {"together": together.everything})
    if len(together.languages) > 1:
        _print_rates(console, "by language", together.languages)
    _print_screeners(console, together)
    for name, each in found.items():
        kinds = [(kind, rates) for kind, rates in each.labels.items() if rates.texts >= _FEWEST]
        if len(kinds) > 1:
            _print_rates(console, f"{names[name]}: by kind", dict(kinds[:_MOST_ROWS]))
        _print_confusion(console, f"{names[name]}: unsafe texts, kind by what was found", each.confusion)
    console.print(_found_table(together.found))
    for title, rows in listed.items():
        if rows:
            console.print(_listing(title.replace("_", " "), rows, show_texts=show_texts))


def _print_rates(console: Console, title: str, rows: "Mapping[str, Rates]") -> None:
    bars = console.width >= _WIDE
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for column in ("of the", "texts", "blocked", "caught"):
        table.add_column(column, justify="left" if column == "of the" else "right", no_wrap=True)
    if bars:
        table.add_column("", no_wrap=True)
    for name, each in rows.items():
        both = (("unsafe", each.unsafe_blocked, each.unsafe_caught), ("safe", each.safe_blocked, each.safe_caught))
        for number, (label, blocked, caught) in enumerate(row for row in both if row[1].of):
            shown = (str(caught.of), percent(blocked), percent(caught), *((_bar(blocked, caught),) if bars else ()))
            table.add_row(escape(name) if number == 0 else "", label, *shown)
    console.print(table)


def _bar(blocked: "Share", caught: "Share") -> str:
    """What was blocked, then what was sent to review, of the whole length."""
    first, both = (round((each.value or 0) * _BAR) for each in (blocked, caught))
    return f"[red]{'█' * first}[/red][yellow]{'▓' * (both - first)}[/yellow]{'·' * (_BAR - both)}"


_BAR = 30
_WIDE = 110
"""Columns of a terminal that has room for bars."""


def _print_screeners(console: Console, together: "Evaluation") -> None:
    """What each screener would do alone, and how many texts it catches that no other does."""
    if len(together.screeners) < 2:  # noqa: PLR2004 - nothing to tell apart
        return
    _print_rates(console, "each screener alone", together.screeners)
    for name, (unsafe, safe) in together.only.items():
        console.print(f"  only {name} catches {unsafe} unsafe and {safe} safe texts", markup=False)


def percent(share: "Share") -> str:
    """`61.2 (57-65)`; a decimal where it matters, empty for a share of nothing."""
    if share.value is None:
        return ""
    low, high = (f"{each * 100:.{1 if each < _SMALL else 0}f}" for each in share.interval)
    return f"{share.value * 100:.1f} ({low}-{high})"


_SMALL = 0.0995
"""Bounds under it, ten per cent after rounding, have a decimal."""


def _print_confusion(console: Console, title: str, confusion: Mapping[str, Mapping[str, int]]) -> None:
    from policy.evaluation import categories_of

    rows = {name: row for name, row in confusion.items() if sum(row.values()) >= _FEWEST}
    if not rows:
        return
    columns = categories_of(rows)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("", *columns):
        table.add_column(escape(column), overflow="fold", justify="right" if column else "left")
    for name, row in [*rows.items()][:_MOST_ROWS]:
        table.add_row(escape(name), *(str(row.get(each, "")) for each in columns))
    console.print(table)


def _found_table(found: Mapping[str, tuple[int, int]]) -> Table:
    title = "what was blocked or reviewed, by the category found"
    columns = ("category", "unsafe", "safe", "right")
    table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, (unsafe, safe) in found.items():
        table.add_row(escape(name), str(unsafe), str(safe), f"{unsafe / (unsafe + safe):.0%}")
    return table


def _listing(title: str, rows: "Sequence[Judged]", *, show_texts: bool) -> Table:
    columns = ("id", "kind", "decision", "rules", "score", *(("text",) if show_texts else ()))
    table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for row in rows:
        told = row.answer
        cells = (str(row.line.id), ", ".join(row.line.labels[:3]), told.decision.value, ", ".join(told.rules))
        text = (printable(row.line.text),) if show_texts else ()
        table.add_row(*map(escape, (*cells, f"{told.score:.2f}", *text)))
    return table
