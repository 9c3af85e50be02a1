"""The texts of one request read as one, so that nothing hides by being split over fields. Pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest

from policy.patterns import Pattern
from policy.ruleset import UNWANTED, RuleSet
from policy.subjects import Subject, TextSubject, Wording

JOINED = "joined"
"""All texts but the negative prompt, one after the other."""

JOINED_TIGHTLY = "joined without spaces"
"""The same where a word could go on from one text into the next."""

JOINED_IN_TURNS = "joined word by word"
"""Two texts of as many words, a word of each in turn."""

JOINED_WITH_NEGATIVE = "joined with negative prompt"
"""The same, then the negative prompt."""

WISH = "negative prompt as a wish"
"""What a negative prompt asks for by asking for less of its opposite, after the other texts."""

COVERING = "covering"
"""The list of terms that keep something from being seen; who wants less of them wants to see it."""

CENSORING = "censoring"
"""The list of terms that hide parts of a picture, likewise."""

WISHES = {COVERING: "naked, without clothes", CENSORING: "uncensored"}
"""What somebody asks for who wants less of these."""

_NEGATED = re.compile(r"\b(?:no|not|without|don't|never)\s+([^,.;\n]{1,80})|(?:不要|没有|无|别)([^，。；,.;\n]{1,40})")
_BETWEEN_ITEMS = re.compile(r"[,.;，。；、\n|/]+|\b(?:break|and)\b")
_FEWEST_IN_TURNS = 2
_EDGES = " \t()[]{}<>（）\"'“”‘’*_:+-!?0123456789"
"""What stands around an item and says nothing: quotes, and the signs and numbers of weights."""


def joined(subjects: Sequence[Subject], rule_set: RuleSet) -> Iterator[TextSubject]:
    """Yield all texts of a request as one, in each way they could be meant together.

    Args:
        subjects: Every subject of one request. Alternative readings of a text are left out: they hold nothing new.
        rule_set: The rules; their list `covering` says what keeps something from being seen.
    """
    texts = [
        each
        for each in subjects
        if isinstance(each, TextSubject)
        and each.wording is not Wording.PURPOSE
        and not each.alternative
        and each.text.strip()
    ]
    shown = [each.text for each in texts if each.wording is not Wording.NEGATIVE]
    unwanted = [each.text for each in texts if each.wording is Wording.NEGATIVE]
    together = "\n".join(shown)
    if len(shown) > 1:
        yield TextSubject(name=JOINED, text=together)
        if any(_goes_on(first, second) for first, second in pairwise(shown)):
            yield TextSubject(name=JOINED_TIGHTLY, text="".join(shown))
        if in_turns := _in_turns(shown):
            yield TextSubject(name=JOINED_IN_TURNS, text=in_turns)
    for text in unwanted:
        rest = _without_unwanted(text, rule_set)
        if shown and rest:
            yield TextSubject(
                name=JOINED_WITH_NEGATIVE,
                text=f"{together}\n{rest}",
                wording=Wording.NEGATIVE,
                negative_from=len(together),
            )
        if wish := _wish(text, rule_set):
            yield TextSubject(name=WISH, text=f"{together}\n{wish}".strip())


def _in_turns(shown: Sequence[str]) -> str:
    """Put two texts together word by word, if they have about as many and not the same; nothing otherwise."""
    if len(shown) != 2:  # noqa: PLR2004 - one and the other
        return ""
    first, second = (text.split() for text in shown)
    if min(len(first), len(second)) < _FEWEST_IN_TURNS or abs(len(first) - len(second)) > 1 or first == second:
        return ""
    pairs = zip_longest(*((first, second) if len(first) >= len(second) else (second, first)), fillvalue="")
    return " ".join(word for pair in pairs for word in pair if word)


def _goes_on(first: str, second: str) -> bool:
    return first[-1:].isalnum() and second[:1].isalnum()


def _without_unwanted(text: str, rule_set: RuleSet) -> str:
    """Leave out the items that only say what nobody wants to see, `nsfw, nude`: asking for less of it hides nothing."""
    unwanted = rule_set.term(UNWANTED)
    if unwanted is None:
        return text
    items = [item.strip() for item in _BETWEEN_ITEMS.split(text.casefold())]
    return ", ".join(item for item in items if item and not _is_wholly(item, unwanted))


def _is_wholly(item: str, terms: Pattern) -> bool:
    bare = item.strip(_EDGES).encode()
    return (0, len(bare)) in terms.spans(bare)


def _wish(text: str, rule_set: RuleSet) -> str:
    """Return what a negative prompt asks for: what it negates twice, and nakedness where it wants no covering."""
    wishes = [match[1] or match[2] for match in _NEGATED.finditer(text.casefold())]
    wishes += [wish for name, wish in WISHES.items() if _names(text, rule_set, name)]
    return ", ".join(wishes)


def _names(text: str, rule_set: RuleSet, name: str) -> bool:
    """Whether an item is nothing but a term of a list: `clothes`, not `torn clothes`, which is about how they look."""
    terms = rule_set.term(name)
    if terms is None:
        return False
    # In every reading: `(clothes:1.5)` and `cl0thes` are clothes.
    items = {item for reading in rule_set.reader.read(text) for item in _BETWEEN_ITEMS.split(reading.text.casefold())}
    return any(_is_wholly(item, terms) for item in items)
