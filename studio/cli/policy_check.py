"""studio policy check: whether a set of rules can be put into force, and what it holds."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from studio.cli.output import cell, emit
from studio.cli.policy_opening import AsJson, documents_of, own_rules

if TYPE_CHECKING:
    from policy import Decision, Rule, RuleScreener, RuleSet
    from policy.documents import Document
    from policy.rule import Example

Count = Counter[tuple[str, str, str]]
"""(category, language, what) -> how many."""


def check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of your own rules; default: that of STUDIO_RULES.", show_default=False)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Read the shipped rules and your own and run every example of every rule; exits 1 if anything is wrong.

    An example that is to be caught must be caught by its rule; one that is to pass must pass every rule there is. A
    server takes over no rules that fail their own examples: those before them stay in force.
    """
    from policy import load_rules

    extra = own_rules(folder)
    rule_set = load_rules(extra)
    problems = list(problems_of(rule_set))
    counts = _count(rule_set, documents_of(extra))
    document = {
        "ok": not problems,
        "version": rule_set.version,
        "digest": rule_set.digest,
        "problems": problems,
        "categories": _as_json(counts),
    }
    emit(_table(rule_set, counts), document, as_json=as_json)
    if not as_json:
        console = Console(stderr=bool(problems), highlight=False, soft_wrap=True)
        for problem in problems:
            console.print(problem, style="red", markup=False)
        verdict = f"{len(problems)} problems" if problems else "every example is answered as it should be"
        console.print(f"version {rule_set.version}, digest {rule_set.digest[:12]}: {verdict}", markup=False)
    raise typer.Exit(1 if problems else 0)


def problems_of(rule_set: "RuleSet") -> Iterator[str]:
    """Yield `file:line` and what is wrong, for every example that is not answered as it should be."""
    from policy import Decision, RuleScreener

    screener = RuleScreener(rule_set)
    for rule in rule_set.rules:
        for example in rule.catch:
            if rule.id not in _matches(screener, rule, example):
                yield f"{example.where}: {rule.id} misses its catch example"
        for example in rule.allow:
            for name, decision in _matches(screener, rule, example).items():
                if name == rule.id:
                    yield f"{example.where}: {rule.id} matches its allow example"
                elif decision is not Decision.ALLOW:
                    yield f"{example.where}: {name} catches an allow example of {rule.id}"


def _matches(screener: "RuleScreener", rule: "Rule", example: "Example") -> "dict[str, Decision]":
    """Every rule that matches an example, with what it asks for."""
    from policy import TextSubject, Wording

    # A rule that does not read prompts is tried on what it does read.
    wording = Wording.PROMPT if Wording.PROMPT in rule.applies_to else min(rule.applies_to)
    found = screener.matches(TextSubject(name="example", text=example.text, wording=wording))
    return {match.rule.id: match.decision for match in found}


def _count(rule_set: "RuleSet", documents: "Sequence[Document]") -> Count:
    counts: Count = Counter()
    for rule in rule_set.rules:
        for language in _languages(rule):
            counts[rule.category, language, "rules"] += 1
        counts.update((rule.category, each.language, "allow") for each in rule.allow)
        counts.update((rule.category, each.language, "catch") for each in rule.catch)
    for document in documents:
        if document.language is not None and document.stem != "terms":
            told = document.content.get("rules", {}).values()
            phrases = sum(len(fields.get("phrases", ())) for fields in told)
            counts[document.stem, document.language, "phrases"] += phrases
    for name in rule_set.vocabulary.names():
        counts.update((_SHARED, each.language, "phrases") for each in rule_set.vocabulary.terms(name))
    return counts


def _languages(rule: "Rule") -> Sequence[str]:
    return sorted({example.language for example in (*rule.allow, *rule.catch)})


_SHARED = "(shared terms)"
_COLUMNS = ("rules", "phrases", "allow", "catch")


def _as_json(counts: Count) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (category, language, what), count in sorted(counts.items()):
        found.setdefault(category, {}).setdefault(language, dict.fromkeys(_COLUMNS, 0))[what] = count
    return found


def _table(rule_set: "RuleSet", counts: Count) -> Table:
    table = Table("category", "language", *_COLUMNS, title="the rules and what they hold")
    for column in table.columns[2:]:
        column.justify = "right"
    titles = {each.name: each.title for each in rule_set.categories}
    for category, languages in _as_json(counts).items():
        for number, (language, found) in enumerate(languages.items()):
            name = cell(titles.get(category, category)) if number == 0 else ""
            last = number == len(languages) - 1
            shown = [str(found[column] or "") for column in _COLUMNS]
            table.add_row(name, language, *shown, end_section=last)
    return table
