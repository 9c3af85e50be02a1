"""Signs between words that part no sentence: `remove "her" clothes`, `school.shooting`, `kill 🔥 them`. Pure.

A phrase of several words is one only while nothing stands between them. A comma or a full stop with a space parts what
is said, and stays, unless no sentence has it there: around `her`, or after `the`. English only.
"""

import re
from collections.abc import Sequence

from policy.readings.reading import Edit, Reading, read_with

# What lies between two words, unless it is one space, one hyphen or one apostrophe.
_GAP = re.compile(r"(?<=[^\W_])(?![ '\-][^\W_])[\W_]+(?=[^\W_])")
_ELLIPSIS = re.compile(r"\.{2,}")
_STOPS = re.compile("[,.;:!?،؛]")
_LONGEST_LINK = 24
_LEADING = frozenset({"a", "an", "every", "its", "my", "the", "your"})
_LINKING = "all any at by from her him his in of off on out their them to with"
_LINKS = _LEADING.union(_LINKING.split(" "))


def without_marks(reading: Reading) -> Reading:
    """Return the reading with a space for the signs between English words, or itself.

    Args:
        reading: Canonical.
    """
    text = reading.text
    gaps = list(_GAP.finditer(text))
    if not gaps:
        return reading
    # The words between two gaps; before the first and after the last, too.
    bounds = [0, *(place for gap in gaps for place in gap.span()), len(text)]
    between = [text[start:end].strip("\"' ") for start, end in zip(bounds[::2], bounds[1::2], strict=True)]
    edits = []
    for number, gap in enumerate(gaps):
        if not _parts(text, gap, between[number : number + 2]):
            edits.append(Edit(gap.start(), gap.end(), " "))
    return read_with(reading, "marks", edits)


def _parts(text: str, gap: re.Match[str], words: Sequence[str]) -> bool:
    """Say whether a gap parts what is said, as honest punctuation does.

    Args:
        text: All of it.
        gap: Between two words.
        words: Those up to the gap before, and up to the gap after.
    """
    left, right = text[gap.start() - 1], text[gap.end()]
    if not (left.isascii() and right.isascii()) or (left.isdigit() and right.isdigit()):
        return True  # quotes tell Chinese that is only reported; gaps in its words have a reading of their own
    if not _STOPS.search(_ELLIPSIS.sub("", gap[0])):
        return False
    glued = left.isalpha() and right.isalpha() and " " not in gap[0]
    return not (glued or any(map(_is_link, words)) or words[0].rpartition(" ")[2] in _LEADING)


def _is_link(words: str) -> bool:
    """Say whether words are nothing but such as only link others."""
    return 0 < len(words) <= _LONGEST_LINK and _LINKS.issuperset(words.split(" "))
