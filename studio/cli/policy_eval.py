"""studio policy eval: how well the policy does on texts that people have labelled."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
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
    files = {Path(name).name: each.everything for name, each in found.items()}
    console.print(_rates_table("per cent, with the 95 % interval; caught = blocked or reviewed", "file", files))
    if len(found) > 1:
        console.print(_rates_table("all files together", "", {"together": together.everything}))
    if len(together.languages) > 1:
        console.print(_rates_table("by language", "language", together.languages))
    if len(together.screeners) > 1:
        console.print(_rates_table("each screener alone", "screener", together.screeners))
    for name, each in found.items():
        kinds = {kind: rates for kind, rates in each.labels.items() if rates.texts >= _FEWEST}
        if kinds:
            console.print(_rates_table(f"{Path(name).name}: by kind", "kind", dict([*kinds.items()][:_MOST_ROWS])))
        _print_confusion(console, f"{Path(name).name}: unsafe texts, kind by what was found", each.confusion)
    console.print(_found_table(together.found))
    for title, rows in listed.items():
        if rows:
            console.print(_listing(title.replace("_", " "), rows, show_texts=show_texts))


def _rates_table(title: str, of: str, rows: "Mapping[str, Rates]") -> Table:
    table = Table(of, "unsafe", "blocked", "caught", "safe", "blocked", "caught", title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    for name, each in rows.items():
        unsafe = (str(each.unsafe_blocked.of), percent(each.unsafe_blocked), percent(each.unsafe_caught))
        safe = (str(each.safe_blocked.of), percent(each.safe_blocked), percent(each.safe_caught))
        table.add_row(escape(name), *unsafe, *safe)
    return table


def percent(share: "Share") -> str:
    """`61.2 (57.1-65.0)`; empty for a share of nothing."""
    if share.value is None:
        return ""
    low, high = share.interval
    return f"{share.value * 100:.1f} ({low * 100:.1f}-{high * 100:.1f})"


def _print_confusion(console: Console, title: str, confusion: Mapping[str, Mapping[str, int]]) -> None:
    from policy.evaluation import categories_of

    rows = {name: row for name, row in confusion.items() if sum(row.values()) >= _FEWEST}
    if not rows:
        return
    columns = categories_of(rows)
    table = Table("kind", *(escape(each) for each in columns), title=title, title_justify="left")
    for name, row in [*rows.items()][:_MOST_ROWS]:
        table.add_row(escape(name), *(str(row.get(each, "")) for each in columns))
    console.print(table)


def _found_table(found: Mapping[str, tuple[int, int]]) -> Table:
    title = "what was blocked or reviewed, by the category found"
    table = Table("category", "unsafe", "safe", "right", title=title, title_justify="left")
    for name, (unsafe, safe) in found.items():
        table.add_row(escape(name), str(unsafe), str(safe), f"{unsafe / (unsafe + safe):.0%}")
    return table


def _listing(title: str, rows: "Sequence[Judged]", *, show_texts: bool) -> Table:
    columns = ("id", "kind", "decision", "rules", "score", *(("text",) if show_texts else ()))
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        told = row.answer
        cells = (str(row.line.id), ", ".join(row.line.labels[:3]), told.decision.value, ", ".join(told.rules))
        text = (printable(row.line.text),) if show_texts else ()
        table.add_row(*map(escape, (*cells, f"{told.score:.2f}", *text)))
    return table
