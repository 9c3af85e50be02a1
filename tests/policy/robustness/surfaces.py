"""What a term of a list looks like when it is written out: the phrase language, turned into texts."""

from collections.abc import Iterator
from itertools import product

from policy import RuleSet
from policy.phrases import CHINESE


def surfaces(rule_set: RuleSet, name: str, language: str) -> list[str]:
    """Return every way to write a term of a list, in the order of the list, each once; patterns are left out.

    Args:
        rule_set: Whose list.
        name: The list; lists that it names are opened.
        language: `en` or `zh`.
    """
    return list(dict.fromkeys(_open(rule_set, name, language)))


def _open(rule_set: RuleSet, name: str, language: str) -> Iterator[str]:
    for term in rule_set.vocabulary.terms(name):
        if term.language != language or term.phrase.startswith("/"):
            continue
        if term.phrase.startswith("<") and term.phrase.endswith(">"):
            yield from _open(rule_set, term.phrase[1:-1], language)
        elif "<" not in term.phrase:
            yield from written(term.phrase)


def written(phrase: str) -> Iterator[str]:
    """Yield every way to write a phrase: each alternative, without what is optional, without gaps."""
    tokens = [token for token in phrase.split() if not token.startswith("..") and not token.startswith("[")]
    if not tokens:
        return
    choices = [[part.rstrip("+*") for part in token.split("|")] for token in tokens]
    chinese = bool(CHINESE.search(phrase))
    for parts in product(*choices):
        yield ("" if chinese else " ").join(parts)
