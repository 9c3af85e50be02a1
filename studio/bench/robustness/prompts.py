"""What is disguised: prompts that the policy catches in clear, and benign ones, each with the stretches that matter."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

from policy import Decision, Match, Policy, RuleScreener, RuleSet, Severity, TextSubject
from policy.phrases import CHINESE
from policy.readings import Lexicon, Span, tables
from studio.bench.robustness.disguise import words

_WORD = re.compile(r"[a-zA-Z]{3,}|[\u3400-\u9fff]+")
_FUNCTION_WORDS = """
the and for with from into onto over under that this these those are was were his her him she you your our their them
they who how what which when where why all any not out off has have had can will would should about there then than but
its get got make made put let
"""
_STOP = frozenset(_FUNCTION_WORDS.split())
_LONGEST_TERM = 8
_MOST_BENIGN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A text, and the stretches of it that somebody would hide.

    Attributes:
        text: The text in clear.
        language: `en` or `zh`, by its script.
        targets: In order, apart from each other.
        rules: Ids of the rules that caught it in clear; none for benign texts.
        contrast: Whether it is benign and close to what is not, as the examples that rules must allow.
    """

    text: str
    language: str
    targets: tuple[Span, ...]
    rules: tuple[str, ...] = ()
    contrast: bool = False


def language_of(text: str) -> str:
    """Return `zh` if the text has Chinese characters, else `en`."""
    return "zh" if CHINESE.search(text) else "en"


def caught_prompts(policy: Policy, texts: Iterable[str]) -> tuple[Prompt, ...]:
    """Return those texts that the rules catch in clear, with the words that hide them if they are hidden.

    Args:
        policy: The policy.
        texts: Prompts.
    """
    screener = RuleScreener(policy.rule_set)
    found = []
    for text in texts:
        matches = _matches(screener, text)
        targets = _targets(text, [span for match in matches for span in match.spans], policy.rule_set.lexicon)
        if targets:
            fewest = _fewest(text, targets, lambda hidden: bool(_matches(screener, hidden)))
            rules = tuple(match.rule.id for match in matches)
            found.append(Prompt(text=text, language=language_of(text), targets=fewest, rules=rules))
    return tuple(found)


def _matches(screener: RuleScreener, text: str) -> list[Match]:
    matches = screener.matches(TextSubject(name="prompt", text=text))
    return [
        match
        for match in matches
        if match.rule.severity is not Severity.NOTICE and match.decision is not Decision.ALLOW
    ]


def benign_prompts(rule_set: RuleSet, texts: Iterable[str], *, contrast: bool = False) -> tuple[Prompt, ...]:
    """Return texts with the words of theirs that rules know, or their longest words.

    Args:
        rule_set: Whose words.
        texts: Benign prompts.
        contrast: Whether they are close to what is not benign.
    """
    return tuple(
        Prompt(
            text=text,
            language=language_of(text),
            targets=_any_targets(text, rule_set.lexicon),
            contrast=contrast,
        )
        for text in texts
    )


def examples_to_catch(rule_set: RuleSet) -> tuple[str, ...]:
    """Return every example that the rules say must be caught."""
    return tuple(example.text for rule in rule_set.rules for example in rule.catch)


def examples_to_allow(rule_set: RuleSet) -> tuple[str, ...]:
    """Return every example that the rules say must be allowed."""
    return tuple(example.text for rule in rule_set.rules for example in rule.allow)


def benign_set() -> tuple[str, ...]:
    """Return the ordinary prompts that lie beside this module: art, games, school, adverts, buildings, signs."""
    own = resources.files("studio.bench.robustness").joinpath("benign.txt").read_text("utf-8").splitlines()
    return tuple(line.replace("\\n", "\n") for line in own if line and not line.startswith("# "))


def _targets(text: str, spans: Sequence[Span], lexicon: Lexicon) -> tuple[Span, ...]:
    """Return the words of matched stretches: those the rules name, or, in a stretch of none, every content word."""
    found: set[Span] = set()
    for start, end in spans:
        inside = [span for span in _words(text, lexicon) if start <= span.start and span.end <= end]
        known = [span for span in inside if _known(text[span.start : span.end], lexicon)]
        found |= set(known or inside)
    return tuple(sorted(found))


def _fewest(text: str, targets: Sequence[Span], is_caught: Callable[[str], bool]) -> tuple[Span, ...]:
    """Return what somebody would hide who wants to get a text past the rules: the rarest words, until it passes."""
    counts = tables.english()
    ordered = sorted(targets, key=lambda span: (counts.get(text[span.start : span.end].lower(), 0), span))
    for count in range(1, len(ordered)):
        hidden = tuple(sorted(ordered[:count]))
        if not is_caught(words(lambda _: " ")(text, hidden)):
            return hidden
    return tuple(targets)


def _any_targets(text: str, lexicon: Lexicon) -> tuple[Span, ...]:
    inside = [*_words(text, lexicon)]
    known = [span for span in inside if _known(text[span.start : span.end], lexicon)]
    longest = sorted(inside, key=lambda span: span.start - span.end)[:_MOST_BENIGN]
    return tuple(sorted(known[:_MOST_BENIGN] or longest))


def _known(word: str, lexicon: Lexicon) -> bool:
    return word.lower() in lexicon.words or word in lexicon.chinese


def _words(text: str, lexicon: Lexicon) -> Iterator[Span]:
    for match in _WORD.finditer(text):
        if match[0].isascii():
            if match[0].lower() not in _STOP:
                yield Span(*match.span())
        else:
            yield from _terms(match[0], match.start(), lexicon)


def _terms(run: str, offset: int, lexicon: Lexicon) -> Iterator[Span]:
    """Yield the longest terms of a run of Chinese, from left to right; pairs of characters between them."""
    at = 0
    while at < len(run):
        length = next((n for n in range(_LONGEST_TERM, 1, -1) if run[at : at + n] in lexicon.chinese), 0)
        if length:
            yield Span(offset + at, offset + at + length)
        at += length or 1
