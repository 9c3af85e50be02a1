"""studio policy status: which rules and screeners are in force on this installation."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from studio.cli.output import cell
from studio.cli.policy_opening import AsJson, coloured
from studio.settings import Settings, load_settings

if TYPE_CHECKING:
    from policy import Policy


def status(*, as_json: AsJson = False) -> None:
    """Say which rules and screeners decide here, what keeps them from it, and what the tolerances mean.

    Exits 1 if everything is blocked for a fault of this installation.
    """
    from policy import load_policy

    settings = load_settings()
    policy = load_policy(rules=settings.rules, operator_list=settings.known_pictures)
    document = _document(policy, settings)
    if as_json:
        typer.echo(json.dumps(document))
    else:
        _print(document)
    raise typer.Exit(1 if document["problems"] else 0)


def _document(policy: "Policy", settings: Settings) -> dict[str, Any]:
    from policy import Severity
    from policy.tolerance import LAXEST_TOLERANCE, at_tolerance
    from policy.verdict import Decision

    counted = Counter(rule.category for rule in policy.rule_set.rules)
    guard = _guard(settings)
    return {
        "version": policy.version,
        "digest": policy.digest,
        "own_rules": str(settings.rules) if settings.rules else None,
        "shadow_rules": str(settings.shadow_rules) if settings.shadow_rules else None,
        "rules": dict(sorted(counted.items())),
        "screeners": [{"name": each.name, "version": each.version} for each in policy.screeners],
        "guard": guard,
        "problems": [*policy.ready().problems, *guard["problems"]],
        "tolerance": {
            severity.value: {
                action.value: [at_tolerance(action, severity, each).value for each in range(LAXEST_TOLERANCE + 1)]
                for action in (Decision.BLOCK, Decision.REVIEW)
            }
            for severity in (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)
        },
    }


def _guard(settings: Settings) -> dict[str, Any]:
    """Whether workers have a guard model, without loading it."""
    from policy.guard import missing_guard

    absent = missing_guard(settings.guard_model, required=settings.guard_is_required)
    return {
        "model": settings.guard_model,
        "required": settings.guard_is_required,
        "present": absent is None,
        "notices": list(absent.notices()) if absent else [],
        "problems": list(absent.problems()) if absent else [],
    }


def _print(document: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]version {document['version']}[/bold], digest {document['digest'][:12]}")
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    counted = ", ".join(f"{name} {count}" for name, count in document["rules"].items())
    facts.add_row("rules", f"{sum(document['rules'].values())}: {counted}")
    facts.add_row("your rules", cell(document["own_rules"] or "none (STUDIO_RULES)"))
    facts.add_row("candidate", cell(document["shadow_rules"] or "none (STUDIO_SHADOW_RULES)"))
    named = ", ".join(f"{each['name']} {each['version'][:12]}" for each in document["screeners"])
    facts.add_row("screeners", named)
    guard = document["guard"]
    facts.add_row("guard model", cell(f"{guard['model']}, ready") if guard["present"] else "none")
    console.print(facts)
    for each in guard["notices"]:
        console.print(each, style="yellow", markup=False)
    for each in document["problems"]:
        console.print(f"everything is blocked: {each}", style="red", markup=False)
    if not document["problems"]:
        console.print("[green]ready[/green]")
    console.print(_tolerances(document["tolerance"]))


def _tolerances(told: dict[str, dict[str, list[str]]]) -> Table:
    title = "what a rule's action becomes at each safety_tolerance; 2 is the default, a request may only go lower"
    columns = ("severity", "action", *map(str, range(7)))
    table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for severity, actions in told.items():
        for action, decisions in actions.items():
            # A critical rule always blocks, so it has one row.
            if severity != "critical" or action == "block":
                table.add_row(severity, action, *map(coloured, decisions))
    return table
