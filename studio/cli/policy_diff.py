"""studio policy diff: what differs between two rule sets, in their files and in what they decide."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from studio.cli.output import emit
from studio.cli.policy_history import Last, stored_requests
from studio.cli.policy_opening import (
    AsJson,
    ShowTexts,
    Tolerance,
    counting,
    documents_of,
    open_policy,
    opened,
    printable,
)

if TYPE_CHECKING:
    from policy import Policy, Subject
    from policy.comparing import Change, RuleDifference
    from policy.evaluation import Answer

SHIPPED = "shipped"
_MOST_ROWS = 40

Row = tuple[str, str, "Sequence[Subject]", int]
"""Id, text, what is screened, tolerance."""


def diff(
    before: Annotated[str, typer.Argument(help="A folder of rules, or `shipped` for those of the package alone.")],
    after: Annotated[str, typer.Argument(help="Another.")],
    files: Annotated[
        list[str] | None, typer.Argument(help="Corpora to try both on; lines as for `screen --jsonl`.")
    ] = None,
    tolerance: Tolerance = 2,
    last: Last = 1_000,
    *,
    history: Annotated[
        bool, typer.Option("--history", help="Try both on the words of stored jobs, where they are still kept.")
    ] = False,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Folders are whole sets, as an edited copy of the shipped one, no additions."),
    ] = False,
    show_texts: ShowTexts = False,
    as_json: AsJson = False,
) -> None:
    """Compare two sets of rules: what changed in the files, and which texts would be decided otherwise.

    Stored jobs are tried at the tolerance they had, their pictures left out; nothing is written.

    Try: `studio policy diff shipped my-rules --history --last 500`
    """
    from policy.comparing import by_direction, changes, compare_rules, recognition

    folders = [None if each == SHIPPED else Path(each) for each in (before, after)]
    policies = [open_policy(each, whole=whole) for each in folders]
    digests = [recognition(documents_of(each, whole=whole)) for each in folders]
    rules = compare_rules(policies[0].rule_set.rules, policies[1].rule_set.rules, (digests[0], digests[1]))
    rows = [*_corpus_rows(files or (), tolerance), *(_history_rows(last) if history else ())]
    found = changes(_ask_both(policies, rows))
    texts = {name: text for name, text, _, _ in rows} if show_texts else {}
    document = {
        "before": {"rules": before, "version": policies[0].version, "digest": policies[0].digest},
        "after": {"rules": after, "version": policies[1].version, "digest": policies[1].digest},
        "documents": rules.to_json(),
        "texts": len(rows),
        "changed": len(found),
        "directions": by_direction(found),
        "changes": [each.to_json() | ({"text": texts[each.id]} if show_texts else {}) for each in found],
    }
    emit(_rules_table(rules), document, as_json=as_json)
    if not as_json:
        _print_changes(found, len(rows), texts)


def _corpus_rows(files: Sequence[str], tolerance: int) -> Iterator[Row]:
    from policy import TextSubject
    from policy.corpus import read_lines

    seen: set[str] = set()
    for name in files:
        with opened(name) as file:
            for line in read_lines(file, name):
                # Corpora number their lines alike: an id that was there already is told with its place.
                told = f"{line.id} ({line.where})" if str(line.id) in seen else str(line.id)
                seen.add(told)
                yield told, line.text, [TextSubject(name="prompt", text=line.text)], tolerance


def _history_rows(last: int) -> Iterator[Row]:
    for each in stored_requests(last):
        yield each.job, each.text, each.subjects, each.tolerance


def _ask_both(policies: "Sequence[Policy]", rows: Sequence[Row]) -> "Iterator[tuple[str, Answer, Answer]]":
    from policy.evaluation import answer_of

    with counting("texts", len(rows)) as done:
        for name, _, subjects, tolerance in rows:
            first, second = (answer_of(each.screen(subjects, tolerance=tolerance)) for each in policies)
            yield name, first, second
            done()


def _rules_table(rules: "RuleDifference") -> Table:
    table = Table("rule", "what differs", "actions", title="the rules", title_justify="left")
    for name in rules.added:
        table.add_row(name, "[green]added[/green]", "")
    for name in rules.removed:
        table.add_row(name, "[red]removed[/red]", "")
    for each in rules.changed:
        actions = ", ".join(f"{stage}: {old} -> {new}" for stage, (old, new) in each.actions.items())
        table.add_row(each.rule, ", ".join(each.fields), actions)
    if not table.row_count:
        table.caption = "no rule differs"
    return table


def _print_changes(found: "Sequence[Change]", of: int, texts: Mapping[str, str]) -> None:
    from policy.comparing import by_direction

    console = Console(highlight=False)
    if not of:
        console.print("No texts were tried: name a corpus, or --history.")
        return
    console.print(f"{len(found)} of {of} texts are decided otherwise.")
    for direction, categories in by_direction(found).items():
        named = ", ".join(f"{name} {count}" for name, count in categories.items())
        console.print(f"  {direction}: {sum(categories.values())} ({named})", markup=False)
    if found:
        console.print(_changes_table(found, texts))


def _changes_table(found: "Sequence[Change]", texts: Mapping[str, str]) -> Table:
    table = Table("id", "change", "rules", *(("text",) if texts else ()))
    for each in found[:_MOST_ROWS]:
        cells: list[Any] = [escape(each.id), each.direction, escape(", ".join(each.rules))]
        table.add_row(*cells, *((escape(printable(texts[each.id])),) if texts else ()))
    if len(found) > _MOST_ROWS:
        table.caption = f"{len(found) - _MOST_ROWS} more: --json"
    return table
