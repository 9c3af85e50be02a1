"""The cross product that the rules on minors must catch, made from the lists of terms; no sentence is stored."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from policy import RuleSet, TextSubject
from policy.readings import Span
from studio.bench.robustness import DISGUISES, Disguise
from tests.policy.robustness.surfaces import surfaces

FRAMES = {
    "en": ("{a}, {b}", "{b}; {a}, watercolour", "a picture: {a} / {b}"),
    "zh": ("{a}，{b}", "{b}；{a}，水彩画", "一幅画：{a}，{b}"),
}
SECONDS = ("explicit", "suggestive")
PATTERNS = {
    "en": (
        "12 years old", "9-year-old", "17 yrs old", "13yo", "15 y/o", "aged 16", "age: 11", "a girl, 14", "boy of 8",
        "5th grader", "born in 2015", "7 yrs", "fifteen years old",
    ),
    "zh": ("12岁", "6 周岁", "十五岁", "九周岁"),
}  # fmt: skip
"""How the terms of `minor` that are patterns are written; a test says that each of them finds one."""

SEPARATORS = (
    "dotted", "dashed", "underscored", "starred between", "emoji between", "middle dots", "ideographic spaces",
)  # fmt: skip
"""Tried on terms of Chinese characters alone: which of `s·m·x` and `6·9·x` are one word is a guess."""

_LOSSLESS = {
    "en": (
        "homoglyphs, Cyrillic", "full width", "mathematical bold", "mathematical script", "circled letters",
        "zero width space", "word joiner", "soft hyphen", "combining marks", "accents", "mixed capitals",
        "dotted", "rot13 of the whole", "base64 of the whole", "percent of the whole", "HTML, decimal", "HTML, hex",
        "backslash u", "weight", "nested weights", "bold", "code", "hex of the whole, spaced", "LoRA tags beside",
    ),
    "zh": (
        "zero width space", "word joiner", "dotted", "dashed", "underscored", "starred between", "emoji between",
        "base64 of the whole", "hex of the whole, spaced", "percent of the whole", "HTML, decimal", "HTML, hex",
        "backslash u", "weight", "nested weights", "square brackets", "bold", "code", "link",
        "LoRA tags beside", "traditional", "middle dots", "ideographic spaces",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """A minor and what must never stand beside one.

    Attributes:
        first: A way to write a term of `minor`.
        second: One of `explicit` or `suggestive`.
        language: Of both.
    """

    first: str
    second: str
    language: str

    def can_wear(self, disguise: Disguise) -> bool:
        """Whether a disguise loses nothing of these two terms."""
        written = self.first + self.second
        if self.language == "en":
            return disguise.name != "dotted" or written.replace(" ", "").isalpha()
        return disguise.name not in SEPARATORS or not re.search(r"[a-z0-9]", written)

    def subject(self, number: int, disguise: Disguise | None = None) -> TextSubject:
        """Return the pair in one of the frames, both terms disguised."""
        frame = FRAMES[self.language][number % len(FRAMES[self.language])]
        text = frame.format(a=self.first, b=self.second)
        if disguise is not None:
            places = sorted(Span(text.index(term), text.index(term) + len(term)) for term in (self.first, self.second))
            apart = [places[0], Span(max(places[1].start, places[0].end), max(places[1].end, places[0].end))]
            text = disguise.apply(text, apart)
        return TextSubject(name="prompt", text=text)


def lossless(language: str) -> tuple[Disguise, ...]:
    """Return the disguises that lose nothing, so that nothing may pass in them."""
    found = {disguise.name: disguise for disguise in DISGUISES if disguise.lossless}
    return tuple(found[name] for name in _LOSSLESS[language])


def pairs(rule_set: RuleSet, language: str, names: Sequence[str] = SECONDS) -> Iterator[Pair]:
    """Yield every minor beside every way to write what must not stand there."""
    minors = [*surfaces(rule_set, "minor", language), *PATTERNS[language]]
    seconds = dict.fromkeys(term for name in names for term in surfaces(rule_set, name, language))
    innocent = set(excepted(rule_set, seconds))
    for second in seconds:
        for first in minors:
            if second not in innocent:
                yield Pair(first, second, language)


def excepted(rule_set: RuleSet, seconds: Iterable[str]) -> list[str]:
    """Return the terms that a list of exceptions takes back as a whole: there are few, and a test counts them."""
    lists = [pattern for name in ("innocent_nude", "innocent_sex") if (pattern := rule_set.term(name)) is not None]
    return [
        second
        for second in seconds
        if any(span == (0, len(second.encode())) for each in lists for span in each.spans(second.encode()))
    ]
