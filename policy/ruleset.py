"""Rule sets: all rules of a server, made from its documents. Pure.

What the documents hold is shown in this package's README; `policy.phrases` has the language of terms and phrases. An
operator's documents come after the shipped ones: they add rules, languages, phrases, terms and, within bounds,
overrides; they never take anything away from a locked rule.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import rfc8785

from policy.documents import OVERRIDES, TERMS, Document, read_version, version_key
from policy.errors import RuleError
from policy.matching import ReadText
from policy.overrides import apply_overrides
from policy.patterns import Pattern
from policy.phrases import REFERENCE, stands_alone, words_of
from policy.readings import Lexicon, Reader
from policy.rule import Example, Rule
from policy.rule_documents import Category, RuleParts, parse_category, parse_language
from policy.tolerance import Severity
from policy.vocabulary import Vocabulary, parse_vocabulary
from policy.volume import VolumeRule
from policy.volume_documents import parse_volumes


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleSet:
    """All rules of a server.

    Attributes:
        version: The newest version among its documents.
        digest: SHA-256, lower hex, of its documents in canonical JSON (RFC 8785); comments and layout do not count.
        rules: The rules, in the order of their ids.
        categories: What the rules are about, in the order of their names.
        lexicon: What the rules name, for readings that undo a disguise towards it.
        reader: Makes the readings the rules are matched on.
        vocabulary: The lists of terms.
        volume: What one key may not ask for too often, in the order of their ids.
    """

    version: str
    digest: str
    rules: tuple[Rule, ...]
    categories: tuple[Category, ...] = ()
    lexicon: Lexicon
    reader: Reader
    vocabulary: Vocabulary
    volume: tuple[VolumeRule, ...] = ()

    def term(self, name: str) -> Pattern | None:
        """Return what finds the terms of a list, None if there is no such list."""
        return self.vocabulary.pattern(name, name) if name in self.vocabulary else None

    def check_examples(self) -> None:
        """Run every rule on its own examples; what came out is remembered, since nothing here can change.

        Raises:
            RuleError: A rule matches one of its allow examples or misses one of its catch examples.
        """
        if self._fault is not None:
            raise RuleError(self._fault)

    @cached_property
    def _fault(self) -> str | None:
        for rule in self.rules:
            for kind, examples, expected in (("allow", rule.allow, False), ("catch", rule.catch, True)):
                for example in examples:
                    if self.catches(rule, example) is not expected:
                        problem = "misses" if expected else "matches"
                        return f"{example.where}: {rule.id} {problem} its {kind} example"
        return None

    def catches(self, rule: Rule, example: Example) -> bool:
        """Say whether a rule matches any reading of an example."""
        return any(rule.spans_in(ReadText(reading.text.encode())) for reading in self.reader.read(example.text))


def empty_rule_set(version: str = "0000.00.00") -> RuleSet:
    """Return the rule set without rules: a policy that has it blocks everything."""
    nothing = Lexicon()
    return RuleSet(
        version=version, digest="0" * 64, rules=(), lexicon=nothing, reader=Reader(nothing), vocabulary=Vocabulary({})
    )


def parse_rule_set(documents: Sequence[Document]) -> RuleSet:
    """Make a rule set from parsed documents.

    Args:
        documents: The shipped ones, then the operator's.

    Returns:
        The rule set; empty if there are no documents.

    Raises:
        RuleError: A field is missing, unknown, empty or of another type, an id is used twice, a pattern is invalid or
            refers to an unknown term, an example is missing, or an override goes too far; with file and line.
    """
    if not documents:
        return empty_rule_set()
    vocabulary = parse_vocabulary([each for each in documents if each.stem == TERMS])
    categories: dict[str, Category] = {}
    parts: dict[str, RuleParts] = {}
    for document in documents:
        if document.language is None and document.stem != OVERRIDES:
            _add_category(document, categories, parts)
    for document in documents:
        if document.language is not None and document.stem != TERMS:
            parse_language(document, parts)
    _check_exceptions(parts, vocabulary)
    rules = {identifier: parts[identifier].built(vocabulary) for identifier in sorted(parts)}
    for document in documents:
        if document.language is None and document.stem == OVERRIDES:
            rules = apply_overrides(document, rules)
    lexicon = _lexicon(parts, vocabulary)
    return RuleSet(
        version=max((read_version(each.name, each.content) for each in documents), key=version_key),
        digest=_digest(documents),
        rules=tuple(rules.values()),
        categories=tuple(categories[name] for name in sorted(categories)),
        lexicon=lexicon,
        reader=Reader(lexicon),
        vocabulary=vocabulary,
        volume=parse_volumes(documents, vocabulary, parts),
    )


def _add_category(document: Document, categories: dict[str, Category], parts: dict[str, RuleParts]) -> None:
    category, rules = parse_category(document)
    known = categories.get(category.name)
    if known is not None and known.locked and not category.locked:
        category = known
    categories.setdefault(category.name, category)
    for rule in rules:
        if rule.id in parts:
            raise RuleError(f"{rule.where}: {rule.id}: id already used in {parts[rule.id].where}")
        parts[rule.id] = rule


def _digest(documents: Iterable[Document]) -> str:
    try:
        canonical = rfc8785.dumps({each.name: dict(each.content) for each in documents})
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:  # a file's name that is no UTF-8
        raise RuleError(f"rules cannot be digested: {error}") from error
    return hashlib.sha256(canonical).hexdigest()


UNWANTED = "unwanted"
"""The list of what people do not want to see, which negative prompts may name."""


def _check_exceptions(parts: Mapping[str, RuleParts], vocabulary: Vocabulary) -> None:
    """Check that no operator adds to what excepts texts from a rule that nobody may weaken."""
    waiting = [(rule.id, phrase) for rule in parts.values() if rule.unshakable for phrase in rule.exceptions]
    waiting += [(rule.id, f"<{UNWANTED}>") for rule in parts.values() if rule.unshakable]
    seen: set[str] = set()
    while waiting:
        identifier, phrase = waiting.pop()
        for name in set(REFERENCE.findall(phrase)) - seen:
            seen.add(name)
            for term in vocabulary.terms(name):
                if term.where.document.is_operators:
                    raise RuleError(f"{term.where}: <{name}> excepts texts from {identifier}, which is locked")
                waiting.append((identifier, term.phrase))


def _lexicon(parts: Mapping[str, RuleParts], vocabulary: Vocabulary) -> Lexicon:
    """Gather the words of everything that can refuse: those that count by themselves, and those that stand beside."""
    alone: set[str] = set()
    beside: set[str] = set()
    for phrase, everyday in _phrases(parts.values(), vocabulary):
        words = set(words_of(phrase))
        if everyday or not stands_alone(phrase):
            beside |= words
        else:
            alone |= words
    every = alone | beside
    stems = {word[:-1] for word in every if word.endswith("*")}
    chinese = {word for word in every if not word.isascii()}
    return Lexicon(
        words=frozenset(word for word in alone if word.isalpha() and word.isascii()),
        beside=frozenset(word for word in beside if word.isalpha() and word.isascii()),
        stems=frozenset(stems),
        chinese=frozenset(chinese),
    )


def _phrases(rules: Iterable[RuleParts], vocabulary: Vocabulary) -> Iterator[tuple[str, bool]]:
    """Yield every phrase of the rules and of the lists they use, with whether it is of an everyday list."""
    used: set[str] = set()
    for rule in rules:
        if rule.severity is Severity.NOTICE:
            continue
        yield from ((term.phrase, False) for term in rule.phrases)
        used.update(rule.lists)
    for name in sorted(used | _referred(vocabulary)):
        yield from ((term.phrase, name in vocabulary.everyday) for term in vocabulary.terms(name))


def _referred(vocabulary: Vocabulary) -> set[str]:
    """Return the lists that other lists hold, `<politician_name>` in `public_person`."""
    return {
        name
        for each in vocabulary.names()
        for term in vocabulary.terms(each)
        for name in REFERENCE.findall(term.phrase)
        if name in vocabulary
    }
