"""The rules in plain words, for whoever must live by them: as JSON, and as a page to read. Pure.

Told are titles, public reasons and decisions. Never what rules look for, their examples, or the notes for those who
edit them: that would teach people to get round them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy import LAXEST_TOLERANCE, Decision, Policy, Rule, RuleSet, Severity, Stage
from policy.tolerance import DEFAULT_TOLERANCE, at_tolerance
from policy.volume import VolumeRule
from studio.jobs.public import how_to_appeal

DECISIONS: Final = {
    Decision.ALLOW: "It is made; a notice may come with it.",
    Decision.REVIEW: "It is held: nothing is given out until a person has looked.",
    Decision.BLOCK: "It is refused: nothing is made or given out, and the answer names the rule.",
}
STAGES: Final = {
    Stage.REQUEST: "words",
    Stage.INPUT_IMAGE: "pictures that come in",
    Stage.OUTPUT_IMAGE: "pictures that were made",
}
HELD: Final = (
    "What is held is not refused. Its record is kept for a reviewer with every reason; a picture that was made already "
    "is stored where nobody can read it. Until a person has decided, nothing of it is given out."
)
DIAL: Final = (
    f"safety_tolerance says how much passes: 0 is the strictest, {LAXEST_TOLERANCE} the laxest, {DEFAULT_TOLERANCE} "
    "the default. The operator sets it for each key; a request may only be stricter. It moves a rule's decision by "
    "steps from allow over review to block, depending on the rule's severity: critical rules never move. It moves the "
    "limits of volume rules too."
)
BESIDES: Final = (
    "Besides the rules, a learned head sends words to review that look like what they forbid; a guard model, where the "
    "operator has one, judges words once more before anything is made; and known pictures are refused."
)
_DONE: Final = {Decision.ALLOW: "allowed", Decision.REVIEW: "held for review", Decision.BLOCK: "refused"}
_MEASURES: Final = {"near_identical": "nearly identical requests", "likenesses": "different people"}


def policy_document(policy: Policy, tolerance: int, contact: str | None) -> dict[str, Any]:
    """Tell the policy in force.

    Args:
        policy: The policy.
        tolerance: Whose decisions to tell, 0 (strictest) .. 6.
        contact: Whom to appeal to, None if the operator set nobody.

    Returns:
        Plain JSON values; `page_of` makes a page of them.
    """
    rule_set = policy.rule_set
    return {
        "version": policy.version,
        "digest": policy.digest,
        "safety_tolerance": tolerance,
        "decisions": {each.value: said for each, said in DECISIONS.items()},
        "stages": {each.value: said for each, said in STAGES.items()},
        "categories": [_category(each.name, rule_set, tolerance) for each in rule_set.categories],
        "notices": [_brief(rule) for rule in rule_set.rules if rule.severity is Severity.NOTICE],
        "volume": [_volume(rule, tolerance) for rule in rule_set.volume],
        "dial": {"meaning": DIAL, "default": DEFAULT_TOLERANCE, "decisions": _dial()},
        "besides": BESIDES,
        "held": HELD,
        "appeal": how_to_appeal(contact, None),
    }


def page_of(document: Mapping[str, Any]) -> str:
    """Write the page.

    Args:
        document: As `policy_document` makes it.

    Returns:
        Markdown.
    """
    return "\n".join(_lines(document)) + "\n"


def _category(name: str, rule_set: RuleSet, tolerance: int) -> dict[str, Any]:
    (category,) = (each for each in rule_set.categories if each.name == name)
    rules = [each for each in rule_set.rules if each.category == name and each.severity is not Severity.NOTICE]
    return {
        "name": name,
        "title": category.title,
        "summary": category.summary,
        "rules": [_rule(each, tolerance) for each in rules],
    }


def _rule(rule: Rule, tolerance: int) -> dict[str, Any]:
    return _brief(rule) | {
        "severity": rule.severity.value,
        "decisions": {stage.value: rule.decision(stage, tolerance).value for stage in Stage},
        "reads": sorted(each.value for each in rule.applies_to),
        "languages": list(rule.languages),
    }


def _brief(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, "title": rule.title, "reason": rule.reason}


def _volume(rule: VolumeRule, tolerance: int) -> dict[str, Any]:
    return {
        "id": rule.id,
        "title": rule.title,
        "reason": rule.reason,
        "measure": rule.measure.value,
        "limit": rule.limit_at(tolerance),
        "window_seconds": rule.window_seconds,
        "decision": rule.action.value,
    }


def _dial() -> dict[str, dict[str, list[str]]]:
    """For each severity and each decision at the default tolerance, what it is at 0, 1, ... 6."""
    everywhere = range(LAXEST_TOLERANCE + 1)
    return {
        severity.value: {
            action.value: [at_tolerance(action, severity, each).value for each in everywhere]
            for action in (Decision.BLOCK, Decision.REVIEW)
        }
        for severity in Severity
        if severity is not Severity.NOTICE
    }


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield "# Acceptable use"
    yield ""
    yield f"Version {document['version']}, digest `{document['digest']}`, at tolerance {document['safety_tolerance']}."
    for category in document["categories"]:
        yield from ("", f"## {category['title']}", "", category["summary"])
        if category["rules"]:
            yield ""
        for rule in category["rules"]:
            yield f"- **{rule['title']}** (`{rule['id']}`): {_decided(rule['decisions'])}. {rule['reason']}"
    if document["notices"]:
        yield from ("", "## Allowed, with a notice", "")
        for rule in document["notices"]:
            yield f"- **{rule['title']}** (`{rule['id']}`): {rule['reason']}"
    if document["volume"]:
        yield from ("", "## How much", "")
        yield from (_volume_line(rule) for rule in document["volume"])
    yield from ("", "## Decisions", "")
    yield from (f"- **{name}**: {said}" for name, said in document["decisions"].items())
    yield from ("", document["besides"], "", document["held"], "", "## The dial", "", document["dial"]["meaning"], "")
    yield from _table(document["dial"]["decisions"])
    yield from ("", "## Appeal", "", document["appeal"])


def _decided(decisions: Mapping[str, str]) -> str:
    if len(set(decisions.values())) == 1:
        return _DONE[Decision(next(iter(decisions.values())))]
    return ", ".join(f"{STAGES[Stage(stage)]} {_DONE[Decision(said)]}" for stage, said in decisions.items())


def _volume_line(rule: Mapping[str, Any]) -> str:
    counted = f"more than {rule['limit']} {_MEASURES[rule['measure']]} in {rule['window_seconds'] // 60} minutes"
    return f"- **{rule['title']}** (`{rule['id']}`): {counted}: {_DONE[Decision(rule['decision'])]}. {rule['reason']}"


def _table(dial: Mapping[str, Mapping[str, list[str]]]) -> Iterator[str]:
    columns = range(LAXEST_TOLERANCE + 1)
    yield f"| severity | decision at {DEFAULT_TOLERANCE} | {' | '.join(map(str, columns))} |"
    yield f"| --- | --- |{' --- |' * len(columns)}"
    for severity, actions in dial.items():
        for action, decisions in actions.items():
            # A critical rule always blocks, so it has one row.
            if severity != Severity.CRITICAL.value or action == Decision.BLOCK.value:
                yield f"| {severity} | {action} | {' | '.join(decisions)} |"
