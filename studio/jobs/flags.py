"""Flags at the end of a prompt, as people know them from other tools: `a harbour at dawn --ar 16:9`.

`--ar` (or `--aspect`) is always understood. The others only where the request says `prompt_flags`, for without it
`--seed` is text as any other:

    --ar 16:9       the aspect ratio, width to height, for operations that choose their own size
    --seed 7        the seed
    --steps 20      denoising steps
    --no cars, fog  what the picture shall not show: the negative prompt

A flag never overrules a field of the request: the two say the same, or the request is refused. Whatever was understood
stands in the job's parameters afterwards, and the prompt that is screened, kept and run is the one without flags.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from editing.errors import OperationError
from editing.operations import SIDE

RATIO_SIDE: Final = (1, 64)
STEEPEST: Final = 8
"""Longest side of a picture over its shortest, at most."""
RATIO_EXAMPLES: Final = ("1:1", "3:2", "4:3", "16:9", "21:9", "2:3", "9:16")
SIZED: Final = frozenset({"generate", "instruct"})
"""Operations whose size a ratio can choose: of the others, the picture has one."""
MULTIPLE: Final = 16

_HEAD = re.compile(r"(?<!\S)(?:--|[\u2013\u2014](?=(?:ar|aspect|seed|steps|no)\b))([A-Za-z][\w-]*)(?:=|(?!\S))")
"""Where a flag begins. Telephones turn two hyphens into a dash, which counts before the names we know."""
_RATIO = re.compile(r"([0-9]{1,3}):([0-9]{1,3})")
_ALIASES: Final = {"aspect": "ar"}
_FIELDS: Final = {"ar": "aspect_ratio", "seed": "seed", "steps": "steps", "no": "negative_prompt"}
_DIGITS: Final = {"seed": 20, "steps": 6}


@dataclass(frozen=True, slots=True)
class _Flag:
    name: str
    value: str
    start: int
    end: int


def take_flags(
    operation: str, prompt: str | None, parameters: Mapping[str, Any], prompt_flags: bool = False
) -> tuple[str | None, dict[str, Any]]:
    """Take the flags out of a prompt.

    Args:
        operation: Name of the operation.
        prompt: As it was written; None for an operation without one.
        parameters: Fields of the request that were given, `negative_prompt` still among them.
        prompt_flags: Whether flags other than `--ar` are understood.

    Returns:
        The prompt without its flags (unchanged, to the character, if it has none), and the parameters with what the
        flags say: `aspect_ratio`, `seed` (a number), `steps`, `negative_prompt`.

    Raises:
        OperationError: `aspect_ratio_unknown`, `prompt_flag_unknown`, `prompt_flag_value_invalid`,
            `prompt_flag_misplaced`, `prompt_flag_unsupported` or `prompt_flag_conflict`.
    """
    raise NotImplementedError


def parse_ratio(text: str, *, place: str = "aspect_ratio") -> tuple[int, int]:
    """Read an aspect ratio.

    Args:
        text: Such as `16:9`: width to height, whole numbers in 1..64, neither more than 8 times the other.
        place: Name of the request field, for errors.

    Returns:
        Width and height, as given.

    Raises:
        OperationError: `aspect_ratio_unknown`, with examples.
    """
    found = _RATIO.fullmatch(text)
    if found:
        wide, high = int(found[1]), int(found[2])
        sides = RATIO_SIDE[0] <= min(wide, high) and max(wide, high) <= RATIO_SIDE[1]
        if sides and max(wide, high) <= STEEPEST * min(wide, high):
            return wide, high
    raise OperationError(
        f"an aspect ratio is width:height, whole numbers of {RATIO_SIDE[0]} to {RATIO_SIDE[1]} within 1:{STEEPEST} and "
        f"{STEEPEST}:1, such as {', '.join(RATIO_EXAMPLES)}; got {text[:40]!r}",
        code="aspect_ratio_unknown",
        field=place,
        value=text[:40],
        limit=list(RATIO_EXAMPLES),
    )


def size_for(ratio: str, native_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Choose the size of a picture by its aspect ratio.

    Args:
        ratio: Such as `16:9`.
        native_pixels: Area at which the checkpoint is best.
        max_pixels: Largest area that it makes.

    Returns:
        Width and height, multiples of 16 of about the native area and never more than the largest.

    Raises:
        OperationError: `aspect_ratio_unknown`.
    """
    wide, high = parse_ratio(ratio)
    area = min(native_pixels, max_pixels)
    exact = (math.sqrt(area * wide / high), math.sqrt(area * high / wide))
    width, height = (_on_grid(side + MULTIPLE / 2) for side in exact)
    return (width, height) if width * height <= max_pixels else (_on_grid(exact[0]), _on_grid(exact[1]))


def _on_grid(side: float) -> int:
    return min(max(int(side // MULTIPLE) * MULTIPLE, SIDE[0]), SIDE[1])


def settle_size(operation: str, parameters: Mapping[str, Any], native_pixels: int, max_pixels: int) -> dict[str, Any]:
    """Turn an aspect ratio, by flag or by field, into a size, once the checkpoint is known.

    Args:
        operation: Name of the operation.
        parameters: Of the request, `aspect_ratio` among them or not.
        native_pixels: Area at which the checkpoint is best.
        max_pixels: Largest area that it makes.

    Returns:
        The parameters with `width` and `height`; as they are if there is no ratio, or a size of just that ratio.

    Raises:
        OperationError: `aspect_ratio_unknown`, `prompt_flag_unsupported` for an operation whose picture has a size, or
            `prompt_flag_conflict` for a size of another ratio.
    """
    raise NotImplementedError
