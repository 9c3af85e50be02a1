r"""Prompts: weights of their parts, `(neon glow:1.3)`, as people know them from other tools.

    prompt   plain text, parts and escapes in any order
    part     ( prompt : number )      nested weights multiply
    escape   \( \) \:                 the character itself

People also write ordinary language to FLUX, so whatever is not unmistakably a weight is text: brackets without one,
`:)`, `(see: note)`, `16:9`. A weight's number follows its colon at once (a space between needs a decimal point) and
stands right before the closing bracket; a whole number after `digit:` is a ratio, a time or a verse, not a weight. What
is unmistakably meant as a weight and cannot be one is refused.

    a man (at 16:9)                       text
    (a man (see: note), neon glow:1.3)    one part, with a plain bracket in it
    ((neon:1.2) glow:1.5)                 neon at 1.8, glow at 1.5
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from editing.checkpoints import Architecture, Checkpoint
from editing.errors import OperationError

PART_WEIGHT: Final = (0.0, 3.0)
MAX_PARTS: Final = 64
"""Most stretches of one weight: the pooled vector is computed once more for each of them."""
MAX_FAINT: Final = 12
"""Most different weights below 1: each is two more texts for whoever judges the words (`texts_seen`)."""
_EXCERPT: Final = 24
"""Characters of the prompt that an error repeats."""

_MARK = re.compile(
    r"""
    \\[():]                                                     # an escape
  | \(                                                          # a bracket opens
  | :(?:                                                        # a weight, and the bracket that it closes
      \s*(?P<decimal>[+-]?(?:\d+\.\d*|\.\d+)(?:e[+-]?\d+)?)
    | (?P<whole>[+-]?\d+(?:,\d+)?(?:e[+-]?\d+)?|[+-]?(?:nan|inf|infinity))
    )(?![\w.])\s*(?P<close>\))?
  | \)                                                          # a bracket closes
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a prompt with one weight.

    Attributes:
        text: The words, no syntax left in them.
        weight: How much they count, 0..3; 1 is as written.
    """

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt taken apart.

    Attributes:
        plain: What the tokenizers see: the words without weight syntax.
        parts: Stretches of one weight, in order; their texts joined are `plain`. Neighbours differ in weight.
    """

    plain: str
    parts: tuple[Part, ...]

    @property
    def weighted(self) -> bool:
        """Whether any part has a weight other than 1."""
        return any(part.weight != 1.0 for part in self.parts)

    def without(self, *indices: int) -> str:
        """The words with some parts left out, each replaced by a space.

        A space, so that no new word forms where a part stood inside one.

        Args:
            *indices: Of parts.

        Returns:
            The remaining words.
        """
        left_out = set(indices)
        return "".join(" " if index in left_out else part.text for index, part in enumerate(self.parts))


def parse_prompt(text: str, *, place: str = "prompt") -> Prompt:
    """Take a prompt apart.

    Args:
        text: As it was written. Learnt words, `<token>`, are text.
        place: Name of the request field, for errors.

    Returns:
        Its parts. Text without brackets, weights and escapes comes back unchanged, as one part of weight 1.

    Raises:
        OperationError: `prompt_brackets_unbalanced` for a weight whose bracket never opened or never closes,
            `prompt_weight_out_of_range`, `prompt_part_empty`, `prompt_parts_too_many` or `prompt_weights_too_many`.
    """
    reader = _Reader(text, place)
    for mark in _MARK.finditer(text):
        reader.take(mark)
    parts = _joined(reader.finish(), place)
    if len(parts) > MAX_PARTS:
        raise OperationError(
            f"a prompt may change its weight {MAX_PARTS - 1} times, this one does {len(parts) - 1} times",
            code="prompt_parts_too_many",
            field=place,
            value=len(parts),
            limit=MAX_PARTS,
        )
    faint = {part.weight for part in parts if part.weight < 1.0}
    if len(faint) > MAX_FAINT:
        raise OperationError(
            f"a prompt may have {MAX_FAINT} different weights below 1, this one has {len(faint)}; make some the same",
            code="prompt_weights_too_many",
            field=place,
            value=len(faint),
            limit=MAX_FAINT,
        )
    return Prompt("".join(part.text for part in parts), parts)


def plain_text(text: str) -> str:
    """Read a prompt without its weight syntax.

    Args:
        text: As it was written.

    Returns:
        The words as the tokenizers see them: `(k:1.1)ill` is `kill`.

    Raises:
        OperationError: As `parse_prompt` raises.
    """
    return parse_prompt(text).plain


def texts_seen(text: str, learnt: Sequence[str] = ()) -> tuple[str, ...]:
    """List everything a model could be said to read in a prompt, for whoever judges the words.

    Weights must neither hide words, `(k:1.1)ill`, nor put something between two that the model hardly sees,
    `child (xyz:0) soldier`. So: the prompt as written, its plain words, and what remains as the weakest parts below
    weight 1 go, one weight after the other; with the words beside a gap joined, and apart. What a learnt word shows
    the model is its owner's secret, nothing at all among other things: so each of them again without those.

    Args:
        text: As it was written.
        learnt: Words of the request that were uploaded as vectors, without angle brackets.

    Returns:
        At least one text, none twice; two more than twice `MAX_FAINT` for the worst of prompts, one for most; up to
        three times as many with learnt words.

    Raises:
        OperationError: As `parse_prompt` raises.
    """
    prompt = parse_prompt(text)
    found = {text: None, prompt.plain: None}
    for least in sorted({part.weight for part in prompt.parts if part.weight < 1.0}):
        weak = [index for index, part in enumerate(prompt.parts) if part.weight <= least]
        found[prompt.without(*weak)] = None
        found["".join(part.text for part in prompt.parts if part.weight > least)] = None
    if learnt:
        words = re.compile(f"<(?:{'|'.join(map(re.escape, learnt))})>(?:_[0-9]+)?")  # <word>_1 is its second vector
        for each in tuple(found):
            found[words.sub(" ", each)] = found[words.sub("", each)] = None
    return tuple(found)


def require_plain(text: str, checkpoint: Checkpoint, *, place: str = "prompt") -> None:
    """Check that a checkpoint can follow a prompt's weights.

    Args:
        text: The prompt as it was written.
        checkpoint: What paints.
        place: Name of the request field, for errors.

    Raises:
        OperationError: `prompt_weights_unsupported` for a weight other than 1 where nothing takes it, or as
            `parse_prompt` raises.
    """
    if checkpoint.architecture is not Architecture.FLUX1 and parse_prompt(text, place=place).weighted:
        raise OperationError(
            f"{checkpoint.name} reads its prompt through a language model, whose words cannot be weighted; write it "
            "without weights, or take a FLUX.1 checkpoint",
            code="prompt_weights_unsupported",
            field=place,
            value=checkpoint.name,
            limit="no weights",
        )


def weights_of(prompt: Prompt, spans: Sequence[tuple[int, int]]) -> list[float]:
    """Find the weight of each token.

    Args:
        prompt: The prompt.
        spans: Start and end of each token in `prompt.plain`, in characters.

    Returns:
        A weight for each: of the part it lies in; the mean over its characters where it lies in several, since a
        tokenizer may join the end of one with the start of the next; 1 for a token without characters.
    """
    each = [part.weight for part in prompt.parts for _ in part.text]
    return [_mean(each[start:end]) for start, end in spans]


def _mean(weights: Sequence[float]) -> float:
    if not weights:
        return 1.0
    return weights[0] if min(weights) == max(weights) else sum(weights) / len(weights)


@dataclass(slots=True)
class _Bracket:
    """An open bracket."""

    item: int
    position: int
    solid: int
    """Characters other than space before it."""
    weight_at: int | None = None
    """Where a weight stands in it that closes nothing."""


@dataclass(slots=True)
class _Reader:
    """One pass over a prompt, which turns it into items: text, a weight that begins (a number), its end (None)."""

    text: str
    place: str
    items: list[str | float | None] = field(default_factory=list)
    open: list[_Bracket] = field(default_factory=list)
    done: int = 0
    solid: int = 0

    def take(self, mark: re.Match[str]) -> None:
        start = mark.start()
        self._say(self.text[self.done : start])
        self.done = mark.end()
        if mark[0] == "(":
            self.open.append(_Bracket(len(self.items), start, self.solid))
            self.items.append("(")
        elif mark[0] == ")":
            self._close()
        elif mark[0][0] == "\\":
            self._say(mark[0][1])
        elif self._is_weight(mark):
            self._weigh(mark)
        elif mark["close"]:
            self._say(mark[0][:-1])
            self._close()
        else:
            self._say(mark[0])

    def finish(self) -> list[str | float | None]:
        self._say(self.text[self.done :])
        for bracket in self.open:
            if bracket.weight_at is not None:
                raise self._unbalanced("this bracket has a weight and never closes", bracket.position)
        return self.items

    def _is_weight(self, mark: re.Match[str]) -> bool:
        """Tell a weight from a ratio and from words; note one that closes no bracket."""
        whole = mark["whole"]
        if whole is not None:
            if self.text[max(0, mark.start() - 1)].isdigit():
                return False
            if whole[-1].isalpha() and not (mark["close"] and self.open):
                return False
        if mark["close"]:
            return True
        if self.open and self.open[-1].weight_at is None:
            self.open[-1].weight_at = mark.start()
        return False

    def _weigh(self, mark: re.Match[str]) -> None:
        if not self.open:
            raise self._unbalanced("no bracket opens for this weight", mark.start())
        bracket = self.open.pop()
        if self.solid == bracket.solid:
            raise OperationError(
                f"a weight needs words, and there are none at character {bracket.position}: "
                f"{self._excerpt(bracket.position)!r}; write \\( for a bracket that is text",
                code="prompt_part_empty",
                field=self.place,
                value=bracket.position,
            )
        self.items[bracket.item] = _weight(mark["decimal"] or mark["whole"], self.place)
        self.items.append(None)

    def _close(self) -> None:
        """A bracket that is text."""
        if self.open:
            self.open.pop()
        self._say(")")

    def _say(self, text: str) -> None:
        if text:
            self.items.append(text)
            self.solid += not text.isspace()

    def _unbalanced(self, reason: str, position: int) -> OperationError:
        return OperationError(
            f"{reason}, at character {position}: {self._excerpt(position)!r}; a weight is written (words:1.3), and "
            "\\( \\) \\: are text",
            code="prompt_brackets_unbalanced",
            field=self.place,
            value=position,
            limit="(words:1.3)",
        )

    def _excerpt(self, position: int) -> str:
        return self.text[max(0, position - _EXCERPT // 3) : position + _EXCERPT]


def _weight(number: str, place: str) -> float:
    try:
        value = float(number)
    except ValueError:  # 1,3
        value = math.nan
    return _checked(value, number, place)


def _checked(value: float, written: str, place: str) -> float:
    low, high = PART_WEIGHT
    if not low <= value <= high:
        raise OperationError(
            f"a weight in a prompt must lie in {low}..{high}, with a decimal point, got {written[:_EXCERPT]}",
            code="prompt_weight_out_of_range",
            field=place,
            value=written[:_EXCERPT],
            limit=[low, high],
        )
    return value + 0.0  # -0.0 is 0


def _joined(items: Sequence[str | float | None], place: str) -> tuple[Part, ...]:
    """Multiply nested weights, and join neighbours of the same weight."""
    nested = [1.0]
    texts: list[tuple[float, list[str]]] = []
    for item in items:
        if item is None:
            nested.pop()
        elif isinstance(item, str):
            if not texts or texts[-1][0] != nested[-1]:
                texts.append((nested[-1], []))
            texts[-1][1].append(item)
        else:
            product = round(nested[-1] * item, 6)  # 1.2 in 2.5 is 3 and not a hair more
            nested.append(_checked(product, f"{nested[-1]:g} x {item:g} = {product:g}", place))
    return tuple(Part("".join(pieces), weight) for weight, pieces in texts)
