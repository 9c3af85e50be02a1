"""The texts of one request read as one, so that nothing hides by being split over fields. Pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from policy.patterns import Pattern
from policy.subjects import Subject, TextSubject, Wording

JOINED = "joined"
"""All texts but the negative prompt, one after the other."""

JOINED_TIGHTLY = "joined without spaces"
"""The same where a word could go on from one text into the next."""

JOINED_WITH_NEGATIVE = "joined with negative prompt"
"""The same, then the negative prompt."""

WISH = "negative prompt as a wish"
"""What a negative prompt asks for by asking for less of its opposite, after the other texts."""

COVERING = "covering"
"""The list of terms that keep something from being seen; who wants less of them wants to see it."""

UNCOVERED = "naked, without clothes, uncensored"

_NEGATED = re.compile(r"\b(?:no|not|without|don't|never)\s+([^,.;\n]{1,80})|(?:不要|没有|无|别)([^，。；,.;\n]{1,40})")
_ITEM = re.compile(r"[^,.;，。；、\n]+")


def joined(subjects: Sequence[Subject], covering: Pattern | None) -> Iterator[TextSubject]:
    """Yield all texts of a request as one, in each way they could be meant together.

    Args:
        subjects: Every subject of one request. Alternative readings of a text are left out: they hold nothing new.
        covering: Finds the terms of the list `covering`.
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
    for text in unwanted:
        if shown:
            yield TextSubject(
                name=JOINED_WITH_NEGATIVE,
                text=f"{together}\n{text}",
                wording=Wording.NEGATIVE,
                negative_from=len(together),
            )
        if wish := _wish(text, covering):
            yield TextSubject(name=WISH, text=f"{together}\n{wish}".strip())


def _goes_on(first: str, second: str) -> bool:
    return first[-1:].isalnum() and second[:1].isalnum()


def _wish(text: str, covering: Pattern | None) -> str:
    """Return what a negative prompt asks for: what it negates twice, and nakedness where it wants no covering."""
    wishes = [match[1] or match[2] for match in _NEGATED.finditer(text.casefold())]
    # An item that is nothing but a covering: "clothes", not "torn clothes", which is about how they look.
    items = (item.strip().casefold().encode() for item in _ITEM.findall(text))
    if covering is not None and any(span == (0, len(item)) for item in items for span in covering.spans(item)):
        wishes.append(UNCOVERED)
    return ", ".join(wishes)
