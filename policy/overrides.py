"""An operator's changes to what rules ask for, within bounds. Pure.

    version = "2026.11.23"
    [actions.intimate_imagery-05]
    request = "allow"
    why = "Our users are adult art schools."

Stricter is always possible. A locked rule (minors, terrorism) and a critical one cannot be loosened; one of high
severity cannot be taken below review.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from policy.documents import Document, check_fields, read_choice, read_table, read_text, read_version
from policy.errors import RuleError
from policy.rule import Rule
from policy.subjects import Stage
from policy.tolerance import Severity
from policy.verdict import Decision, strictness

_FIELDS = frozenset({"version", "actions"})
_STAGES = frozenset(each.value for each in Stage)
_DECISIONS = {each.value: each for each in Decision}


def apply_overrides(document: Document, rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """Return the rules with an operator's actions.

    Args:
        document: `overrides.toml`.
        rules: The rules by id.

    Raises:
        RuleError: A field is missing or unknown, a rule does not exist, or the change goes too far.
    """
    check_fields(document.name, document.content, required=_FIELDS, known=_FIELDS)
    read_version(document.at("version"), document.content)
    changed = dict(rules)
    for identifier, fields in read_table(document.name, document.content, "actions").items():
        where = document.at(identifier)
        if identifier not in rules:
            raise RuleError(f"{where}: there is no rule {identifier}")
        if not isinstance(fields, dict):
            raise RuleError(f"{where}: must be a table")
        changed[identifier] = _overridden(where, rules[identifier], fields)
    return changed


def _overridden(where: str, rule: Rule, fields: Mapping[str, Any]) -> Rule:
    check_fields(where, fields, required=frozenset({"why"}), known=_STAGES | {"why"})
    read_text(where, fields, "why")
    if rule.severity is Severity.NOTICE:
        raise RuleError(f"{where}: {rule.id} is a notice: it has no action to change")
    actions = dict(rule.actions)
    for stage in Stage:
        if stage.value not in fields:
            continue
        wanted = read_choice(where, stage.value, fields[stage.value], _DECISIONS)
        looser = strictness(wanted) < strictness(actions[stage])
        if looser and (rule.locked or rule.severity is Severity.CRITICAL):
            raise RuleError(f"{where}: {rule.id} is locked: no operator can loosen it")
        if looser and rule.severity is Severity.HIGH and wanted is Decision.ALLOW:
            raise RuleError(f"{where}: {rule.id} has severity high: it can be sent to review, not allowed")
        actions[stage] = wanted
    return replace(rule, actions=actions)
