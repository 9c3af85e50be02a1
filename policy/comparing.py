"""What differs between two policies: in their rules, and in what they answer. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785

from policy.documents import TERMS, Document
from policy.evaluation import Answer
from policy.phrases import REFERENCE
from policy.rule import Rule
from policy.verdict import strictness

_COMPARED = ("category", "title", "why", "reason", "severity", "languages", "applies_to", "locked")
"""Fields of a rule that are told by name when they differ; actions and examples are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """A rule that both sets have, and in which they differ.

    Attributes:
        rule: Its id.
        fields: What differs: names of fields, `actions`, `recognition`, `examples`.
        actions: What it does at the default tolerance, before and after, per stage where that differs.
    """

    rule: str
    fields: tuple[str, ...]
    actions: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDifference:
    """What differs between two rule sets.

    Attributes:
        added: Ids of rules that only the second has.
        removed: Ids of rules that only the first has.
        changed: Rules in which they differ, in the order of their ids.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[RuleChange, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the difference as plain JSON values."""
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": [
                {
                    "rule": each.rule,
                    "fields": list(each.fields),
                    "actions": {stage: list(pair) for stage, pair in each.actions.items()},
                }
                for each in self.changed
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A text on which two policies disagree.

    Attributes:
        id: Names the text.
        before: What the first policy says.
        after: What the second says.
    """

    id: str
    before: Answer
    after: Answer

    @property
    def direction(self) -> str:
        """`allow -> block`."""
        return f"{self.before.decision.value} -> {self.after.decision.value}"

    @property
    def category(self) -> str:
        """What the stricter of the two found."""
        return self.after.category if _step(self) > 0 else self.before.category

    @property
    def rules(self) -> tuple[str, ...]:
        """What made the difference: rules that only the second names (`+`) or only the first (`-`), else all."""
        before, after = set(self.before.rules), set(self.after.rules)
        found = (*(f"+{rule}" for rule in sorted(after - before)), *(f"-{rule}" for rule in sorted(before - after)))
        return found or tuple(sorted(after))

    def to_json(self) -> dict[str, Any]:
        """Return the change as plain JSON values, without the text."""
        return {"id": self.id, "before": self.before.to_json(), "after": self.after.to_json()}


def changes(answers: Iterable[tuple[str, Answer, Answer]]) -> list[Change]:
    """Return the texts on which two policies decide differently, those that become stricter first.

    Args:
        answers: Id, what the first policy says, what the second says.
    """
    found = [Change(id=name, before=before, after=after) for name, before, after in answers]
    differing = [each for each in found if each.before.decision is not each.after.decision]
    return sorted(differing, key=lambda each: (-_step(each), each.direction))


def by_direction(found: Sequence[Change]) -> dict[str, dict[str, int]]:
    """Count changes by direction, and within each by category, the most frequent first.

    Args:
        found: The changes.
    """
    directions = dict.fromkeys(each.direction for each in found)
    return {
        direction: dict(Counter(each.category for each in found if each.direction == direction).most_common())
        for direction in directions
    }


def compare_rules(
    before: Sequence[Rule],
    after: Sequence[Rule],
    recognition: tuple[Mapping[str, str], Mapping[str, str]] | None = None,
) -> RuleDifference:
    """Compare two sets of rules by their ids.

    Args:
        before: The first set's rules.
        after: The second set's.
        recognition: For each set, rule id -> a digest of what it recognises; None if that is not compared.
    """
    first, second = {each.id: each for each in before}, {each.id: each for each in after}
    known = recognition or ({}, {})
    changed = []
    for name in sorted(set(first) & set(second)):
        recognised = (known[0].get(name), known[1].get(name))
        found = _compare(first[name], second[name], same=recognised[0] == recognised[1])
        if found.fields:
            changed.append(found)
    return RuleDifference(
        added=tuple(sorted(set(second) - set(first))),
        removed=tuple(sorted(set(first) - set(second))),
        changed=tuple(changed),
    )


def _compare(before: Rule, after: Rule, *, same: bool) -> RuleChange:
    fields = [name for name in _COMPARED if getattr(before, name) != getattr(after, name)]
    actions = {
        stage.value: (before.actions[stage].value, after.actions[stage].value)
        for stage in before.actions
        if before.actions[stage] is not after.actions[stage]
    }
    fields += ["actions"] if actions else []
    fields += [] if same else ["recognition"]
    fields += ["examples"] if _examples(before) != _examples(after) else []
    return RuleChange(rule=before.id, fields=tuple(fields), actions=actions)


def _examples(rule: Rule) -> tuple[list[str], list[str]]:
    return sorted(each.text for each in rule.allow), sorted(each.text for each in rule.catch)


def _step(change: Change) -> int:
    return strictness(change.after.decision) - strictness(change.before.decision)


def recognition(documents: Iterable[Document]) -> dict[str, str]:
    """Digest what each rule recognises: its conditions, phrases, exceptions and guards, and every list they name.

    Args:
        documents: Those a rule set was made of.

    Returns:
        Rule id -> SHA-256, lower hex. Texts for people, examples and actions do not count.
    """
    lists: dict[str, list[Any]] = {}
    parts: dict[str, list[Any]] = {}
    for each in documents:
        if each.stem == TERMS:
            for name, terms in each.content.get("terms", {}).items():
                lists.setdefault(name, []).append([each.language, terms])
        elif each.language is None:
            for rule in each.content.get("rules", []):
                kept = {name: rule[name] for name in ("when", "guards", "applies_to") if name in rule}
                parts.setdefault(rule["id"], []).append(kept)
        else:
            for name, rule in each.content.get("rules", {}).items():
                kept = {kind: rule[kind] for kind in ("phrases", "unless") if kind in rule}
                parts.setdefault(name, []).append([each.language, kept])
    return {name: _digest([found, _named(found, lists)]) for name, found in parts.items()}


def _named(found: Any, lists: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the lists that a rule's parts name, and those that these name in turn."""
    gathered: dict[str, Any] = {}
    waiting = list(_references(found))
    while waiting:
        name = waiting.pop()
        if name in lists and name not in gathered:
            gathered[name] = lists[name]
            waiting += _references(lists[name])
    return gathered


def _references(value: Any) -> Iterable[str]:
    """Yield every name that could be a list's: `<name>` in phrases, the words of conditions and guards."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
        yield from value.split("|")
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def _digest(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()
