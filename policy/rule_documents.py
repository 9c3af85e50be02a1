"""From category and language documents to rules. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from policy.documents import (
    Document,
    Place,
    check_fields,
    read_choice,
    read_name,
    read_table,
    read_tables,
    read_text,
    read_texts,
    read_version,
)
from policy.errors import RuleError
from policy.matching import AllOf, AnyOf, Condition, Counts, TwoOf
from policy.patterns import Pattern
from policy.phrases import translate
from policy.rule import Example, Rule
from policy.subjects import Stage, Wording
from policy.tolerance import Severity
from policy.verdict import Decision
from policy.vocabulary import Term, Vocabulary, check_language

NEGATION = "negation"
"""The guard that is about one occurrence; every other guard is about the whole text."""

NO_NEGATION = "no_negation"
"""The list of what only looks like a negation, "not only"."""

_CATEGORY_FIELDS = frozenset({"version", "category", "title", "summary", "rules"})
_CATEGORY_OPTIONS = frozenset({"locked", "volume"})
_RULE_FIELDS = frozenset({"id", "title", "why", "reason", "severity", "actions", "languages"})
_RULE_OPTIONS = frozenset({"applies_to", "guards", "locked", "when"})
_WHEN_KINDS = ("any", "two", "all")
_LANGUAGE_FIELDS = frozenset({"version", "language", "category", "rules"})
_LANGUAGE_RULE_FIELDS = frozenset({"phrases", "unless", "allow", "catch"})
_SEVERITIES = {each.value: each for each in Severity}
_DECISIONS = {each.value: each for each in Decision}
_WORDINGS = {each.value: each for each in Wording}
_SOFT = frozenset({Severity.MEDIUM, Severity.LOW, Severity.NOTICE})
_MOST_WITHIN = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """What a group of rules is about.

    Attributes:
        name: `minors`.
        title: For people.
        summary: What the policy says about it, in plain words.
        locked: Whether no operator may change its rules' actions.
    """

    name: str
    title: str
    summary: str
    locked: bool


@dataclass(slots=True, kw_only=True)
class RuleParts:
    """A rule while its documents are read: the category's part first, then what each language adds."""

    id: str
    category: str
    title: str
    why: str
    reason: str
    severity: Severity
    actions: Mapping[Stage, Decision]
    required: tuple[str, ...]
    applies_to: frozenset[Wording]
    guards: tuple[str, ...]
    locked: bool
    when: tuple[Mapping[str, Any], ...]
    where: str
    phrases: list[Term] = field(default_factory=list)
    unless: list[Term] = field(default_factory=list)
    allow: list[Example] = field(default_factory=list)
    catch: list[Example] = field(default_factory=list)

    @property
    def unshakable(self) -> bool:
        """Whether an operator can only add to it."""
        return self.locked or self.severity is Severity.CRITICAL

    @property
    def exceptions(self) -> Iterator[str]:
        """Names of the term lists of its guards, and phrases of what is no match."""
        yield from (f"<{name}>" for name in self.guards)
        yield from (term.phrase for term in self.unless)

    @property
    def lists(self) -> Iterator[str]:
        """Names of the term lists its conditions need."""
        for condition in self.when:
            for kind in _WHEN_KINDS:
                for names in condition.get(kind, ()):
                    yield from names.split("|")

    def built(self, vocabulary: Vocabulary) -> Rule:
        """Return the finished rule.

        Raises:
            RuleError: It has nothing to match, lacks examples in a language, or names an unknown list.
        """
        self._check_examples()
        conditions = [_condition(self.where, each, vocabulary) for each in self.when]
        if self.phrases:
            conditions.insert(0, AnyOf(_pattern(self.phrases, vocabulary)))
        if not conditions:
            raise RuleError(f"{self.where}: {self.id} needs a phrase or a [[rules.when]]")
        contexts = [name for name in self.guards if name != NEGATION]
        return Rule(
            id=self.id,
            category=self.category,
            title=self.title,
            why=self.why,
            reason=self.reason,
            severity=self.severity,
            actions=self.actions,
            languages=tuple(sorted({each.language for each in self.catch})),
            applies_to=self.applies_to,
            locked=self.locked,
            where=self.where,
            allow=tuple(self.allow),
            catch=tuple(self.catch),
            _conditions=tuple(conditions),
            _unless=_pattern(self.unless, vocabulary) if self.unless else None,
            _counts=self._counts(vocabulary),
            _contexts=tuple(vocabulary.pattern(name, self.where) for name in contexts),
        )

    def _counts(self, vocabulary: Vocabulary) -> Counts:
        if NEGATION not in self.guards:
            return Counts()
        affirmation = _before(self.where, NO_NEGATION, vocabulary) if NO_NEGATION in vocabulary else None
        return Counts(_before(self.where, NEGATION, vocabulary), affirmation)

    def _check_examples(self) -> None:
        for kind, examples in (("allow", self.allow), ("catch", self.catch)):
            missing = sorted(set(self.required) - {each.language for each in examples})
            if missing or not examples:
                language = f" in language {missing[0]}" if missing else ""
                raise RuleError(f"{self.where}: {self.id} has no {kind} example{language}")


def parse_category(document: Document) -> tuple[Category, tuple[RuleParts, ...]]:
    """Read a category document.

    Raises:
        RuleError: A field is missing, unknown or of another type.
    """
    content, name = document.content, document.stem
    # An operator may bring volume rules alone.
    required = _CATEGORY_FIELDS - {"rules"} if "volume" in content else _CATEGORY_FIELDS
    check_fields(document.name, content, required=required, known=_CATEGORY_FIELDS | _CATEGORY_OPTIONS)
    read_version(document.at("version"), content)
    if content["category"] != name:
        raise RuleError(f"{document.at('category')}: category must be the file's name, got {content['category']!r}")
    category = Category(
        name=read_name(document.name, name),
        title=read_text(document.at("title"), content, "title"),
        summary=read_text(document.at("summary"), content, "summary"),
        locked=_flag(document.name, content, "locked"),
    )
    tables = read_tables(document.name, content, "rules", optional="volume" in content)
    return category, tuple(_parse_rule(document, category, number, each) for number, each in enumerate(tables, 1))


def parse_language(document: Document, parts: Mapping[str, RuleParts]) -> None:
    """Read a language document into the rules it is about.

    Raises:
        RuleError: A field is missing, unknown or of another type, or it is about a rule that does not exist.
    """
    check_fields(document.name, document.content, required=_LANGUAGE_FIELDS, known=_LANGUAGE_FIELDS)
    read_version(document.at("version"), document.content)
    check_language(document)
    for identifier, fields in read_table(document.name, document.content, "rules").items():
        heading = f"[rules.{identifier}]"
        where = document.at(heading)
        if identifier not in parts or parts[identifier].category != document.content["category"]:
            raise RuleError(f"{where}: there is no rule {identifier} in category {document.content['category']}")
        if not isinstance(fields, dict):
            raise RuleError(f"{where}: must be a table")
        check_fields(where, fields, required=frozenset(), known=_LANGUAGE_RULE_FIELDS)
        _add_language(document, heading, fields, parts[identifier])


def _add_language(document: Document, heading: str, fields: Mapping[str, Any], rule: RuleParts) -> None:
    where, language = document.at(heading), document.language or ""
    if fields.get("unless") and (rule.unshakable or rule.severity is Severity.HIGH) and document.is_operators:
        problem = "is locked" if rule.unshakable else "has severity high"
        raise RuleError(f"{where}: {rule.id} {problem}: it can be added to, not weakened with unless")
    texts = {name: read_texts(where, fields, name, optional=True) for name in _LANGUAGE_RULE_FIELDS}

    def at(text: str) -> Place:
        return Place(document, (heading, text))

    rule.phrases += [Term(text, at(text), language) for text in texts["phrases"]]
    rule.unless += [Term(text, at(text), language) for text in texts["unless"]]
    rule.allow += [Example(text=text, place=at(text), language=language) for text in texts["allow"]]
    rule.catch += [Example(text=text, place=at(text), language=language) for text in texts["catch"]]


def _parse_rule(document: Document, category: Category, number: int, fields: Mapping[str, Any]) -> RuleParts:
    identifier = fields.get("id", f"rule number {number}")
    where = document.at(f'"{identifier}"')
    check_fields(f"{where}: {identifier}", fields, required=_RULE_FIELDS, known=_RULE_FIELDS | _RULE_OPTIONS)
    if not re.fullmatch(rf"{re.escape(category.name)}-(?:[a-z0-9]+-)*\d{{2}}", read_text(where, fields, "id")):
        raise RuleError(f"{where}: id must be {category.name}-NN, or {category.name}-yours-NN, got {identifier!r}")
    severity = read_choice(where, "severity", fields["severity"], _SEVERITIES)
    guards = read_texts(where, fields, "guards", optional=True)
    if severity not in _SOFT and set(guards) - ({NEGATION} if severity is Severity.HIGH else set()):
        raise RuleError(f"{where}: {identifier}: severity {severity} takes no such guards: {', '.join(guards)}")
    wordings = read_texts(where, fields, "applies_to", optional=True) or (Wording.PROMPT.value, Wording.NAME.value)
    return RuleParts(
        id=identifier,
        category=category.name,
        title=read_text(where, fields, "title"),
        why=read_text(where, fields, "why"),
        reason=read_text(where, fields, "reason"),
        severity=severity,
        actions=_actions(where, fields, severity),
        required=read_texts(where, fields, "languages"),
        applies_to=frozenset(read_choice(where, "applies_to", each, _WORDINGS) for each in wordings),
        guards=guards,
        locked=_flag(where, fields, "locked") or category.locked,
        when=tuple(_check_when(where, each) for each in read_tables(where, fields, "when", optional=True)),
        where=where,
    )


def _actions(where: str, fields: Mapping[str, Any], severity: Severity) -> Mapping[Stage, Decision]:
    table = read_table(where, fields, "actions")
    stages = frozenset(each.value for each in Stage)
    check_fields(f"{where}: actions", table, required=stages, known=stages)
    actions = {stage: read_choice(where, f"actions.{stage}", table[stage], _DECISIONS) for stage in Stage}
    wanted = {Severity.CRITICAL: Decision.BLOCK, Severity.NOTICE: Decision.ALLOW}.get(severity)
    if wanted is not None and set(actions.values()) != {wanted}:
        raise RuleError(f"{where}: severity {severity} means action {wanted} at every stage")
    return actions


def _check_when(where: str, condition: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = [kind for kind in _WHEN_KINDS if kind in condition]
    if len(kinds) != 1:
        raise RuleError(f"{where}: a [[rules.when]] has one of {', '.join(_WHEN_KINDS)}, got {sorted(condition)}")
    check_fields(where, condition, required=frozenset(kinds), known=frozenset({*kinds, "within"}))
    names = read_texts(where, condition, kinds[0])
    if kinds == ["all"] and len(names) < 2:  # noqa: PLR2004 - co-occurrence takes two
        raise RuleError(f"{where}: all names two lists or more; for one, use any")
    within = condition.get("within")
    if within is not None and (kinds != ["all"] or type(within) is not int or not 1 <= within <= _MOST_WITHIN):
        raise RuleError(f"{where}: within goes with all and lies in 1..{_MOST_WITHIN} bytes, got {within!r}")
    return condition


def _condition(where: str, condition: Mapping[str, Any], vocabulary: Vocabulary) -> Condition:
    if "all" in condition:
        patterns = tuple(vocabulary.pattern(names, where) for names in condition["all"])
        return AllOf(patterns, condition.get("within"))
    kind = TwoOf if "two" in condition else AnyOf
    return kind(vocabulary.pattern("|".join(condition.get("two") or condition["any"]), where))


def _pattern(terms: list[Term], vocabulary: Vocabulary) -> Pattern:
    def expression(term: Term) -> str:
        return translate(term.phrase, lambda name: vocabulary.expression(name, term.where, term.language), term.where)

    try:
        return Pattern([expression(term) for term in terms], where=terms[0].where)
    except RuleError:
        for term in terms:  # so that the message names the one that is to blame
            Pattern([expression(term)], where=term.where)
        raise


def _before(where: str, name: str, vocabulary: Vocabulary) -> Pattern:
    # A few words may stand between, but no comma or full stop: "no visible blood", not "no, blood".
    return Pattern([rf"{vocabulary.expression(name, where)}[^,.;:!?，。；：！？\n]{{0,16}}$"], where=where)


def _flag(where: str, fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise RuleError(f"{where}: {name} must be true or false, got {value!r}")
    return value
