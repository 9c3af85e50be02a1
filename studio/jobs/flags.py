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
from typing import Any, Final

from editing.checkpoints import SIZE_MULTIPLE
from editing.errors import OperationError
from editing.operations import SIDE

RATIO_SIDE: Final = (1, 64)
STEEPEST: Final = 8
"""Longest side of a picture over its shortest, at most."""
RATIO_EXAMPLES: Final = ("1:1", "3:2", "4:3", "16:9", "21:9", "2:3", "9:16")
SIZED: Final = frozenset({"generate", "instruct"})
"""Operations whose size a ratio can choose: of the others, the picture has one."""

_HEAD = re.compile(
    r"""
    (?<!\S)
    (?:--|[\u2013\u2014](?=(?:ar|aspect|seed|steps|no)\b))    # a telephone turns two hyphens into a dash
    (?:(?P<run_on>ar|aspect)(?=[:\d])|(?P<name>[A-Za-z][\w-]*)(?:=|(?!\S)))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_RATIO = re.compile(r"([0-9]{1,3}):([0-9]{1,3})")
_RATIO_AHEAD = re.compile(r"\s*[0-9]+:[0-9]+(?!\S)")
_ALIASES: Final = {"aspect": "ar"}
_FIELDS: Final = {"ar": "aspect_ratio", "seed": "seed", "steps": "steps", "no": "negative_prompt"}
_DIGITS: Final = {"seed": 20, "steps": 6}


def take_flags(
    operation: str,
    prompt: str | None,
    parameters: Mapping[str, Any],
    prompt_flags: bool = False,  # noqa: FBT001, FBT002 - a field of the request, as the others
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
    heads = list(_HEAD.finditer(prompt or ""))
    if prompt is None or not heads:
        return prompt, dict(parameters)
    kept, said = [prompt[: heads[0].start()]], dict[str, Any]()
    for index, head in enumerate(heads):
        end = heads[index + 1].start() if index + 1 < len(heads) else len(prompt)
        value = prompt[head.end() : end]
        name = _known(head, value, prompt_flags=prompt_flags)
        if name is None:
            kept.append(prompt[head.start() : end])
        else:
            _say(said, name, _value(name, value.strip()))
    if not said:
        return prompt, dict(parameters)
    if "ar" in said and operation not in SIZED:
        raise _unsized(operation, said["ar"])
    return "".join(kept).rstrip(), _merged(parameters, said)


def _known(head: re.Match[str], value: str, *, prompt_flags: bool) -> str | None:
    """The flag's own name; None where it is text."""
    given = (head["run_on"] or head["name"]).lower()
    name = _ALIASES.get(given, given)
    if name != "ar" and not prompt_flags:
        return None
    if name not in _FIELDS:
        flags = [f"--{each}" for each in _FIELDS]
        raise OperationError(
            f"there is no flag --{given[:40]}; with prompt_flags there are {', '.join(flags)}",
            code="prompt_flag_unknown",
            field="prompt",
            value=f"--{given[:40]}",
            limit=flags,
        )
    if name == "no" or len(value.split(maxsplit=1)) <= 1:
        return name
    if name == "ar" and not prompt_flags and not _RATIO_AHEAD.match(value):
        return None  # someone writes about the flag
    raise OperationError(
        f"flags stand at the end of a prompt, and words follow the value of --{given}; put them before it",
        code="prompt_flag_misplaced",
        field="prompt",
        value=f"--{given}",
    )


def _value(name: str, value: str) -> Any:
    if name == "ar":
        wide, high = parse_ratio(value, place="prompt")
        return f"{wide}:{high}"
    if name == "no" and value:
        return value
    if name in _DIGITS and value.isascii() and value.isdigit() and len(value) <= _DIGITS[name]:
        return int(value)
    wanted = f"a whole number of up to {_DIGITS[name]} digits" if name in _DIGITS else "words"
    raise OperationError(
        f"--{name} takes {wanted}, got {value[:40]!r}",
        code="prompt_flag_value_invalid",
        field="prompt",
        value=value[:40],
        limit=wanted,
    )


def _say(said: dict[str, Any], name: str, value: Any) -> None:
    if name == "no" and name in said:
        said[name] = f"{said[name]}, {value}"
    elif name in said and not _same(name, said[name], value):
        raise _conflict(f"--{name} is given twice, as {said[name]} and as {value}", "prompt", value)
    else:
        said.setdefault(name, value)


def _merged(parameters: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(parameters)
    for name, value in said.items():
        field = _FIELDS[name]
        given = merged.get(field)
        if given in (None, ""):
            merged[field] = value
        elif not _same(name, given, value):
            shown = "" if name == "no" else f", {value} and {given}"  # words are personal
            raise _conflict(
                f"--{name} in the prompt and the field {field} say two things{shown}; give one of them",
                field,
                None if name == "no" else given,
            )
    return merged


def _same(name: str, given: Any, value: Any) -> bool:
    if name == "ar":
        (wide, high), (other_wide, other_high) = parse_ratio(str(given)), parse_ratio(value)
        return wide * other_high == high * other_wide
    return str(given) == str(value)


def _conflict(message: str, field: str, value: Any, limit: Any = None) -> OperationError:
    return OperationError(message, code="prompt_flag_conflict", field=field, value=value, limit=limit)


def _unsized(operation: str, ratio: str) -> OperationError:
    can = sorted(SIZED)
    return OperationError(
        f"{operation} keeps the size of its picture, or is told it, and takes no aspect ratio; {' and '.join(can)} do",
        code="prompt_flag_unsupported",
        field="aspect_ratio",
        value=ratio,
        limit=can,
    )


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
    width, height = (_on_grid(side + SIZE_MULTIPLE / 2) for side in exact)
    return (width, height) if width * height <= max_pixels else (_on_grid(exact[0]), _on_grid(exact[1]))


def _on_grid(side: float) -> int:
    return min(max(int(side // SIZE_MULTIPLE) * SIZE_MULTIPLE, SIDE[0]), SIDE[1])


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
    settled = dict(parameters)
    ratio = settled.get("aspect_ratio")
    if ratio is None:
        return settled
    wide, high = parse_ratio(ratio)
    if operation not in SIZED:
        raise _unsized(operation, ratio)
    chosen = size_for(ratio, native_pixels, max_pixels)
    width, height = settled.get("width"), settled.get("height")
    if width is None and height is None:
        settled["width"], settled["height"] = chosen
    elif (width, height) != chosen and (width is None or height is None or width * high != height * wide):
        given = f"{width or 'any'} x {height or 'any'}"
        raise _conflict(
            f"the aspect ratio {ratio} and a size of {given} say two things; give one of them",
            "aspect_ratio",
            ratio,
            list(chosen),
        )
    return settled
