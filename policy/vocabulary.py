"""The named lists of terms, of all languages together. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from policy.documents import Document, Place, check_fields, read_name, read_table, read_texts, read_version
from policy.errors import RuleError
from policy.patterns import Pattern
from policy.phrases import translate

_FIELDS = frozenset({"version", "language", "terms"})
_OPTIONS = frozenset({"everyday"})


@dataclass(frozen=True, slots=True)
class Term:
    """One entry of a list, and where it stands."""

    phrase: str
    where: Place
    language: str


class Vocabulary:
    """Lists of terms by name; compiled when first asked for."""

    def __init__(self, lists: Mapping[str, tuple[Term, ...]], everyday: Iterable[str] = ()) -> None:
        """Take the lists.

        Args:
            lists: Name of each list, to its terms in every language.
            everyday: Lists of ordinary words, which nobody needs to disguise.
        """
        self._lists = lists
        self.everyday = frozenset(everyday)
        self._expressions: dict[tuple[str, str | None], str] = {}
        self._compiled: dict[str, Pattern] = {}
        self._expanding: list[tuple[str, str | None]] = []

    def __contains__(self, name: str) -> bool:
        """Whether there is such a list."""
        return name in self._lists

    def terms(self, name: str) -> tuple[Term, ...]:
        """Return the terms of a list, none if there is no such list."""
        return self._lists.get(name, ())

    def names(self) -> tuple[str, ...]:
        """Return the names of all lists."""
        return tuple(sorted(self._lists))

    def expression(self, name: str, where: object, language: str | None = None) -> str:
        """Return the RE2 expression that finds any term of a list.

        Args:
            name: The list.
            where: Who asks, for the message.
            language: Take only the terms in this one, where there are any: a phrase goes on in its own language, and a
                pattern that held every other one again and again would be slow. None: all.

        Raises:
            RuleError: There is no such list, it refers to itself, or a term cannot be read.
        """
        if name not in self._lists:
            raise RuleError(f"{where}: unknown term <{name}>")
        key = (name, language if any(term.language == language for term in self._lists[name]) else None)
        if key in self._expressions:
            return self._expressions[key]
        if key in self._expanding:
            raise RuleError(f"{where}: term <{name}> refers to itself")
        self._expanding.append(key)
        parts = [
            translate(term.phrase, partial(self._inner, term), term.where)
            for term in self._lists[name]
            if key[1] in {None, term.language}
        ]
        self._expanding.pop()
        self._expressions[key] = f"(?:{'|'.join(parts)})"
        return self._expressions[key]

    def _inner(self, term: Term, name: str) -> str:
        return self.expression(name, term.where, term.language)

    def pattern(self, names: str, where: object) -> Pattern:
        """Return what finds any term of one list, or of several.

        Args:
            names: `minor`, or `minor|baby`.
            where: Who asks, for the message.

        Raises:
            RuleError: As for `expression`, or a term is no valid RE2.
        """
        if names not in self._compiled:
            self._compiled[names] = Pattern([self.expression(name, where) for name in names.split("|")], where=where)
        return self._compiled[names]


def parse_vocabulary(documents: Iterable[Document]) -> Vocabulary:
    """Make the vocabulary of `terms.toml` documents; an operator's add to the shipped lists.

    Raises:
        RuleError: A field is missing, unknown or of another type, or a term is no valid pattern.
    """
    lists: dict[str, tuple[Term, ...]] = {}
    everyday: dict[str, Place] = {}
    for document in documents:
        check_fields(document.name, document.content, required=_FIELDS, known=_FIELDS | _OPTIONS)
        names = read_texts(document.name, document.content, "everyday", optional=True)
        everyday |= {name: Place(document, ("everyday", name)) for name in names}
        read_version(document.name, document.content)
        check_language(document)
        for name, values in read_table(document.name, document.content, "terms").items():
            where = document.at("[terms]", read_name(document.name, name))
            phrases = read_texts(where, {name: values}, name)
            language = document.language or ""
            terms = tuple(Term(phrase, Place(document, ("[terms]", name, phrase)), language) for phrase in phrases)
            lists[name] = lists.get(name, ()) + terms
    for name, place in everyday.items():
        if name not in lists:
            raise RuleError(f"{place}: unknown term <{name}>")
        # The words of an everyday list are not looked for in disguise.
        if place.document.is_operators and not all(term.where.document.is_operators for term in lists[name]):
            raise RuleError(f"{place}: <{name}> is a shipped list: only lists of one's own can be everyday")
    vocabulary = Vocabulary(lists, everyday)
    for name in lists:
        _check(vocabulary, name)
    return vocabulary


def check_language(document: Document) -> None:
    """Check that a document says the language of the folder it lies in.

    Raises:
        RuleError: It does not.
    """
    if document.content["language"] != document.language:
        where = document.at("language")
        raise RuleError(f"{where}: language must be the folder's, {document.language}")


def _check(vocabulary: Vocabulary, name: str) -> None:
    """Read every term of a list; only a pattern can be read and yet be wrong, so only patterns are compiled."""
    first = vocabulary.terms(name)[0]
    vocabulary.expression(name, first.where)
    for term in vocabulary.terms(name):
        if term.phrase.startswith("/"):
            Pattern(
                [translate(term.phrase, partial(vocabulary.expression, where=term.where), term.where)], where=term.where
            )
