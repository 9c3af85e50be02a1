"""Compiled patterns: RE2, so that the work grows linearly with the text whatever the pattern.

Patterns are single RE2 objects, not an `re2.Set`: a set that runs out of memory while matching answers "no match",
which would fail open; a single pattern falls back to a slower automaton and stays right.
"""

from collections.abc import Sequence
from typing import Any

import re2

from policy.errors import RuleError

MAX_MEM = 16 * 1024 * 1024
"""Bytes one compiled pattern may use, for its program and its cached states together."""


class Pattern:
    """Several alternatives compiled into one linear-time pattern, without regard to case."""

    __slots__ = ("_compiled",)

    def __init__(self, alternatives: Sequence[str], *, where: object) -> None:
        """Compile the alternatives.

        Args:
            alternatives: RE2 expressions, at least one, any of which may match.
            where: File and rule, for the message.

        Raises:
            RuleError: An alternative is not valid RE2, is empty, too large, or matches the empty text.
        """
        # All together first: one by one they take many times as long, and that is needed only to tell which is wrong.
        try:
            self._compiled = _compile("|".join(f"(?:{alternative})" for alternative in alternatives), where)
        except RuleError:
            for alternative in alternatives:
                _compile(alternative, where)
            raise
        if self._compiled.search(b"") is not None:
            empty = next((each for each in alternatives if _compile(each, where).search(b"") is not None), "")
            raise RuleError(f"{where}: pattern matches the empty text: {empty!r}")

    def found_in(self, text: bytes) -> bool:
        """Say whether an alternative occurs in the text.

        Args:
            text: UTF-8.
        """
        return self._compiled.search(text) is not None

    def spans(self, text: bytes) -> list[tuple[int, int]]:
        """Return where alternatives occur, from left to right, not overlapping.

        Args:
            text: UTF-8.

        Returns:
            Start and end in bytes.
        """
        return [match.span() for match in self._compiled.finditer(text)]


def _compile(expression: str, where: object) -> Any:
    options = re2.Options()
    options.max_mem = MAX_MEM
    options.case_sensitive = False
    options.log_errors = False
    options.never_capture = True
    options.dot_nl = True
    try:
        return re2.compile(expression, options=options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise RuleError(f"{where}: invalid pattern {expression!r}: {reason}") from error
