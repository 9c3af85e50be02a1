"""Which stretches of a text the head judges, each by itself. Pure.

A text is judged by its worst stretch, so that harmless words around a harmful sentence cannot dilute it. Stretches are
all runs of whole clauses up to `WINDOW` characters; a longer clause is cut into overlapping windows. Since stretches
begin and end only where clauses do, a sentence scores among others at least what it scores alone.
"""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW: Final = 150
"""Code points of the longest stretch."""

_HOP = 50
_LONGEST_RUN = 16
_CLAUSES = re.compile(r"[^.,!?;:\n\r|()\[\]{}\"。，！？；：、“”「」（）…]+")


def segments(text: str) -> NDArray[np.int64]:
    """Return the stretches of a text.

    Args:
        text: Any text.

    Returns:
        int64 (n, 2): first code point and one past the last. At least one; their number grows linearly with the text.
    """
    clauses = np.array([match.span() for match in _CLAUSES.finditer(text)], dtype=np.int64).reshape(-1, 2)
    if not len(clauses):
        return np.array([[0, len(text)]], dtype=np.int64)
    found = [_windows(int(start), int(end)) for start, end in clauses if end - start > WINDOW]
    for extra in range(min(_LONGEST_RUN, len(clauses))):
        runs = np.stack([clauses[: len(clauses) - extra, 0], clauses[extra:, 1]], axis=1)
        found.append(runs[runs[:, 1] - runs[:, 0] <= WINDOW])
    return np.concatenate(found)


def _windows(start: int, end: int) -> NDArray[np.int64]:
    starts = np.append(np.arange(start, end - WINDOW, _HOP), end - WINDOW)
    return np.stack([starts, starts + WINDOW], axis=1)
