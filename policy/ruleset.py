"""Rules and rule sets: values made from parsed rule documents.

A rule document is the content of one file, `{category}.toml`:

    version = "2026.11.22"
    category = "minors"

    [[rules]]
    id = "minors-01"
    title = "..."
    reason = "One sentence for the person who is refused."
    decision = "block"
    all = [["<minor>"], ["<sexual>"]]      # each group must occur, in any order
    any = ["..."]                          # or one of these alone
    unless = ["..."]                       # blanked out first: these phrases do not count
    allow = ["...", "..."]                 # must not match, English and Chinese
    block = ["...", "..."]                 # must match, English and Chinese

`<name>` stands for a list of terms from the vocabulary document (`vocabulary.toml`, `[terms.name]` with `en` and `zh`);
English terms match whole words. `unless` blanks phrases instead of switching the rule off: adding a harmless phrase
to a harmful text must not free it.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785

from policy.errors import RuleError
from policy.normalise import readings
from policy.patterns import Pattern
from policy.verdict import Decision

VOCABULARY = "vocabulary"
"""Name of the document that holds the shared terms."""

_VERSION = re.compile(r"\d{4}\.\d{2}\.\d{2}(\.\d+)?")
_REFERENCE = re.compile(r"<([a-z_]+)>")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_DOCUMENT_FIELDS = frozenset({"version", "category", "rules"})
_VOCABULARY_FIELDS = frozenset({"version", "terms"})
_TEXT_FIELDS = ("id", "title", "reason", "decision")
_PATTERN_FIELDS = ("any", "all", "unless")
_EXAMPLE_FIELDS = ("allow", "block")
_RULE_FIELDS = frozenset({*_TEXT_FIELDS, *_PATTERN_FIELDS, *_EXAMPLE_FIELDS})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """One acceptable-use sentence and how to recognise what it forbids.

    Attributes:
        id: `minors-01`: the category, in one word or more, and a number.
        category: Category of the acceptable-use policy.
        title: What it forbids, for tables.
        reason: One sentence for the person who is refused.
        decision: BLOCK or REVIEW.
        allow: Examples it must not match.
        block: Examples it must match.
        document: Name of the document it came from.
    """

    id: str
    category: str
    title: str
    reason: str
    decision: Decision
    allow: tuple[str, ...]
    block: tuple[str, ...]
    document: str
    _any: Pattern | None
    _all: tuple[Pattern, ...]
    _unless: Pattern | None

    def matches(self, text: bytes) -> bool:
        """Say whether the rule matches one reading of a text.

        Args:
            text: UTF-8.
        """
        # The exceptions are looked for only in texts that match without them: most texts match no rule.
        if not self._occurs(text):
            return False
        return self._unless is None or self._occurs(self._unless.blanked(text))

    def catches(self, text: str) -> bool:
        """Say whether the rule matches any reading of a text.

        Args:
            text: Any text without lone surrogates.
        """
        return any(self.matches(reading.text.encode()) for reading in readings(text))

    def _occurs(self, text: bytes) -> bool:
        if self._any is not None and self._any.found_in(text):
            return True
        return bool(self._all) and all(group.found_in(text) for group in self._all)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleSet:
    """All rules of a server.

    Attributes:
        version: The newest version among its documents.
        digest: SHA-256, lower hex, of its documents in canonical JSON (RFC 8785); comments and layout do not count.
        rules: The rules, in the order of their ids.
    """

    version: str
    digest: str
    rules: tuple[Rule, ...]

    def check_examples(self) -> None:
        """Run every rule on its own examples.

        Raises:
            RuleError: A rule matches one of its allow examples or misses one of its block examples.
        """
        for rule in self.rules:
            for kind, examples, expected in (("allow", rule.allow, False), ("block", rule.block, True)):
                for number, example in enumerate(examples, start=1):
                    if rule.catches(example) is not expected:
                        problem = "misses" if expected else "matches"
                        raise RuleError(f"{rule.document}: {rule.id} {problem} its {kind} example {number}")


def parse_rule_set(documents: Mapping[str, Mapping[str, Any]]) -> RuleSet:
    """Make a rule set from parsed documents.

    Args:
        documents: Name of each document, the file's stem, to its content.

    Returns:
        The rule set; empty if there are no documents.

    Raises:
        RuleError: A field is missing, unknown, empty or of another type, an id is used twice, a pattern is invalid or
            refers to an unknown term, or an example is missing; the message names document and rule.
    """
    terms = _parse_vocabulary(documents.get(VOCABULARY, {"version": "0000.00.00", "terms": {}}))
    rules: dict[str, Rule] = {}
    for name in sorted(set(documents) - {VOCABULARY}):
        for rule in _parse_document(name, documents[name], terms):
            if rule.id in rules:
                raise RuleError(f"{name}: {rule.id}: id already used in {rules[rule.id].document}")
            rules[rule.id] = rule
    versions = [str(document["version"]) for document in documents.values()]
    return RuleSet(
        version=max(versions, key=_version_key, default="0000.00.00"),
        digest=hashlib.sha256(
            rfc8785.dumps({name: dict(document) for name, document in documents.items()})
        ).hexdigest(),
        rules=tuple(rules[identifier] for identifier in sorted(rules)),
    )


def _parse_vocabulary(document: Mapping[str, Any]) -> dict[str, str]:
    _check_fields(VOCABULARY, document, required=_VOCABULARY_FIELDS, known=_VOCABULARY_FIELDS)
    _check_version(VOCABULARY, document)
    if not isinstance(document["terms"], dict):
        raise RuleError(f"{VOCABULARY}: terms must be a table")
    expanded: dict[str, str] = {}
    for name, lists in document["terms"].items():
        where = f"{VOCABULARY}: {name}"
        if not isinstance(lists, dict):
            raise RuleError(f"{where}: must be a table")
        _check_fields(where, lists, required=frozenset({"en", "zh"}), known=frozenset({"en", "zh"}))
        english = "|".join(_texts(where, lists, "en"))
        alternatives = [rf"\b(?:{english})\b", *_texts(where, lists, "zh")]
        Pattern(alternatives, where=where)
        expanded[name] = f"(?:{'|'.join(alternatives)})"
    return expanded


def _parse_document(name: str, document: Mapping[str, Any], terms: Mapping[str, str]) -> Iterable[Rule]:
    _check_fields(name, document, required=_DOCUMENT_FIELDS, known=_DOCUMENT_FIELDS)
    _check_version(name, document)
    if document["category"] != name:
        raise RuleError(f"{name}: category must be the file's name, got {document['category']!r}")
    if not isinstance(document["rules"], list) or not document["rules"]:
        raise RuleError(f"{name}: rules must be a list with at least one rule")
    for number, fields in enumerate(document["rules"], start=1):
        if not isinstance(fields, dict):
            raise RuleError(f"{name}: rule number {number} must be a table")
        yield _parse_rule(name, fields.get("id", f"rule number {number}"), fields, terms)


def _parse_rule(document: str, identifier: Any, fields: Mapping[str, Any], terms: Mapping[str, str]) -> Rule:
    where = f"{document}: {identifier}"
    _check_fields(where, fields, required=frozenset({*_TEXT_FIELDS, *_EXAMPLE_FIELDS}), known=_RULE_FIELDS)
    texts = {name: _text(where, fields, name) for name in _TEXT_FIELDS}
    if not re.fullmatch(rf"{re.escape(document)}-\d{{2}}", texts["id"]):
        raise RuleError(f"{where}: id must be {document}-NN")
    if texts["decision"] not in (Decision.BLOCK, Decision.REVIEW):
        raise RuleError(f"{where}: decision must be block or review, got {texts['decision']!r}")
    if not {"any", "all"} & set(fields):
        raise RuleError(f"{where}: needs any, all or both")
    return Rule(
        id=texts["id"],
        category=document,
        title=texts["title"],
        reason=texts["reason"],
        decision=Decision(texts["decision"]),
        allow=_examples(where, fields, "allow"),
        block=_examples(where, fields, "block"),
        document=document,
        _any=_pattern(where, _texts(where, fields, "any"), terms) if "any" in fields else None,
        _all=_groups(where, fields["all"], terms) if "all" in fields else (),
        _unless=_pattern(where, _texts(where, fields, "unless"), terms) if "unless" in fields else None,
    )


def _groups(where: str, groups: Any, terms: Mapping[str, str]) -> tuple[Pattern, ...]:
    if not isinstance(groups, list) or len(groups) < 2:  # noqa: PLR2004 - co-occurrence takes two
        raise RuleError(f"{where}: all must be a list of two or more lists; for one, use any")
    return tuple(_pattern(where, _texts(where, {"all": group}, "all"), terms) for group in groups)


def _pattern(where: str, expressions: Sequence[str], terms: Mapping[str, str]) -> Pattern:
    def expand(reference: re.Match[str]) -> str:
        if reference[1] not in terms:
            raise RuleError(f"{where}: unknown term <{reference[1]}>")
        return terms[reference[1]]

    return Pattern([_REFERENCE.sub(expand, expression) for expression in expressions], where=where)


def _examples(where: str, fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    examples = _texts(where, fields, name)
    chinese = [bool(_CHINESE.search(example)) for example in examples]
    if all(chinese) or not any(chinese):
        raise RuleError(f"{where}: {name} needs an English and a Chinese example")
    return tuple(examples)


def _check_fields(where: str, fields: Mapping[str, Any], *, required: frozenset[str], known: frozenset[str]) -> None:
    if missing := sorted(required - set(fields)):
        raise RuleError(f"{where}: missing field {missing[0]}")
    if unknown := sorted(set(fields) - known):
        raise RuleError(f"{where}: unknown field {unknown[0]}")


def _check_version(where: str, document: Mapping[str, Any]) -> None:
    version = document["version"]
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise RuleError(f"{where}: version must be YYYY.MM.DD or YYYY.MM.DD.N, got {version!r}")


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _text(where: str, fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not value.strip():
        raise RuleError(f"{where}: {name} must be a text that is not empty")
    return value


def _texts(where: str, fields: Mapping[str, Any], name: str) -> list[str]:
    values = fields[name]
    if not isinstance(values, list) or not values or not all(isinstance(value, str) and value for value in values):
        raise RuleError(f"{where}: {name} must be a list of one or more texts")
    return values
