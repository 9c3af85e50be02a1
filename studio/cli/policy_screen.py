"""studio policy screen: what the policy says of a text and why, or of every line of a corpus."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from studio.cli.policy_opening import RulesFolder, Tolerance, ask, coloured, open_policy, opened, own_rules

if TYPE_CHECKING:
    from policy import Policy, Verdict
    from policy.subjects import TextSubject

_MOST_PLACES = 4
"""Places of one match that are told in the table; the text shows them all."""


def screen(
    text: Annotated[str | None, typer.Argument(help="The prompt to judge.", show_default=False)] = None,
    negative: Annotated[str, typer.Option(help="A negative prompt that goes with it.")] = "",
    purpose: Annotated[str, typer.Option(help="The purpose that the key declares.")] = "",
    jsonl: Annotated[
        str | None, typer.Option(help="Judge every line of this file instead, - for standard input; see above.")
    ] = None,
    tolerance: Tolerance = 2,
    rules: RulesFolder = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Judge a prompt and explain why: which rule, in which reading, by which words.

    With `--jsonl` each line `{"id": ..., "text": ...}` is answered in order by a line
    `{"id", "decision", "category", "rules", "score"}`. A line that cannot be read ends it with its number and exit code
    1, after the answers to the lines before it; a text of more than 4,000 characters is answered `block`, with a note.

    The guard model is not asked here: it runs in workers.

    Try: `studio policy screen "a poster for the village fair" --tolerance 0`
    """
    if (text is None) == (jsonl is None):
        raise typer.BadParameter("give a text, or --jsonl with a file")
    if jsonl is not None:
        if negative or purpose or as_json:
            raise typer.BadParameter("--jsonl takes no --negative, --purpose or --json")
        _screen_lines(jsonl, open_policy(own_rules(rules)), tolerance)
        return
    subjects = _subjects(text or "", negative, purpose)
    policy = open_policy(own_rules(rules))
    verdicts = {each: policy.screen(subjects, tolerance=each) for each in range(7)}
    texts = _texts(policy, subjects)
    matches = _matches(policy, texts, verdicts[tolerance], tolerance)
    if as_json:
        typer.echo(json.dumps(_document(verdicts, tolerance, matches)))
    else:
        _print(verdicts, tolerance, matches, texts)


def _screen_lines(name: str, policy: "Policy", tolerance: int) -> None:
    from policy import TEXT_LIMIT
    from policy.corpus import read_lines

    with opened(name) as file:
        for line in read_lines(file, "standard input" if name == "-" else name):
            answer = ask(policy, line.text, tolerance)
            if len(line.text) > TEXT_LIMIT:
                typer.echo(f"{line.where}: {len(line.text)} characters, limit {TEXT_LIMIT}: blocked unread", err=True)
            # Each answer goes out before the next line is read: whoever feeds us may wait for it.
            sys.stdout.write(json.dumps({"id": line.id, **answer.to_json()}) + "\n")
            sys.stdout.flush()


def _subjects(text: str, negative: str, purpose: str) -> list["TextSubject"]:
    from policy.subjects import TextSubject, Wording

    found = [TextSubject(name="prompt", text=text)]
    if negative:
        found.append(TextSubject(name="negative_prompt", text=negative, wording=Wording.NEGATIVE))
    if purpose:
        found.append(TextSubject(name="purpose", text=purpose, wording=Wording.PURPOSE))
    return found


def _texts(policy: "Policy", subjects: Sequence["TextSubject"]) -> list["TextSubject"]:
    """Every text that is screened: each alone and all joined; none that cannot be screened at all."""
    from policy.joining import joined
    from policy.policy import text_refusal

    if any(text_refusal(each) is not None for each in subjects):
        return []
    return [*subjects, *joined(subjects, policy.rule_set)]


def _matches(
    policy: "Policy", texts: Sequence["TextSubject"], verdict: "Verdict", tolerance: int
) -> list[dict[str, Any]]:
    """Every match of every rule in each text, with its place in the text as written."""
    from policy.rule_screener import RuleScreener

    rule_screener = next(each for each in policy.screeners if isinstance(each, RuleScreener))
    # What a rule asks for and what counts differ in a negative prompt, so the verdict is asked.
    counted = {(each.subject, each.rule): each.decision.value for each in verdict.findings}
    return [
        {
            "subject": text.name,
            "rule": match.rule.id,
            "title": match.rule.title,
            "severity": match.rule.severity.value,
            "decision": counted.get((text.name, match.rule.id), match.decision.value),
            "reading": match.reading,
            "spans": [list(span) for span in match.spans],
        }
        for text in texts
        for match in rule_screener.matches(text, tolerance)
    ]


def _document(
    verdicts: Mapping[int, "Verdict"], tolerance: int, matches: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    from policy.evaluation import answer_of

    verdict = verdicts[tolerance]
    return {
        **answer_of(verdict).to_json(),
        "tolerance": tolerance,
        "at_tolerances": {str(each): found.decision.value for each, found in verdicts.items()},
        "notices": [each.reason for each in verdict.notices],
        "matches": list(matches),
        **{name: value for name, value in verdict.to_json().items() if name != "decision"},
    }


def _print(
    verdicts: Mapping[int, "Verdict"],
    tolerance: int,
    matches: Sequence[Mapping[str, Any]],
    texts: Sequence["TextSubject"],
) -> None:
    from studio.cli.policy_marks import marked

    console = Console(highlight=False)
    verdict = verdicts[tolerance]
    others = ", ".join(f"{at} {coloured(each.decision.value)}" for at, each in verdicts.items())
    console.print(f"[bold]{coloured(verdict.decision.value)}[/bold] at tolerance {tolerance} (at each: {others})")
    for public in (*verdict.reasons, *verdict.notices):
        console.print(f"  {public.rule}: {public.reason}", markup=False)
    told = _worth_telling(matches)
    for text in texts:
        spans = [span for each in told if each["subject"] == text.name for span in each["spans"]]
        if spans:
            console.print(f"\n[bold]{text.name}[/bold]")
            for line in marked(text.text, spans, max(console.width - 4, 20)):
                console.print(Text("  ").append_text(line), no_wrap=True)
    if told:
        console.print()
        console.print(_table(told))
    _print_others(console, verdict)


def _worth_telling(matches: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave out what joined texts match again: a rule is told where it is found first, each field before all joined."""
    first: dict[str, str] = {}
    fields = {"prompt", "negative_prompt", "purpose"}
    for each in matches:
        first.setdefault(each["rule"], each["subject"])
    return [each for each in matches if each["subject"] in fields or first[each["rule"]] == each["subject"]]


def _table(matches: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("where", "rule", "title", "severity", "alone", "read as", "at", box=None, padding=(0, 2, 0, 0))
    for each in matches:
        places = ", ".join(f"{start}-{end}" for start, end in each["spans"][:_MOST_PLACES])
        more = " ..." if len(each["spans"]) > _MOST_PLACES else ""
        table.add_row(
            each["subject"],
            each["rule"],
            escape(each["title"]),
            each["severity"],
            coloured(each["decision"]),
            each["reading"],
            places + more,
        )
    return table


def _print_others(console: Console, verdict: "Verdict") -> None:
    """Tell what screeners other than the rules answered."""
    others = [each for each in verdict.findings if each.screener != "rules"]
    if not others:
        return
    table = Table("screener", "subject", "finding", "alone", "score", box=None, padding=(0, 2, 0, 0))
    for each in others:
        told = f"{each.score:.2f}" if each.score else ""
        table.add_row(each.screener, each.subject, each.rule, coloured(each.decision.value), told)
    console.print()
    console.print(table)
