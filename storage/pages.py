"""Pages of long lists by keyset: a cursor names the last row seen, so rows added meanwhile neither repeat nor hide."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from storage.errors import InvalidValueError

PAGE_LIMIT = 500
"""The most rows one page holds."""

DEFAULT_LIMIT = 50

_Row = TypeVar("_Row")
_Item = TypeVar("_Item")
_CURSOR = re.compile(r"([a-z]+):([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[_Item]):
    """Some items of a list, and the cursor that continues it.

    Attributes:
        items: In the order of the list.
        next_cursor: Opaque; None when the list ends here.
    """

    items: tuple[_Item, ...]
    next_cursor: str | None


def write_cursor(listing: str, sequence: int) -> str:
    """The opaque form of "continue `listing` after the row `sequence`"."""
    return urlsafe_b64encode(f"{listing}:{sequence}".encode()).decode().rstrip("=")


def read_cursor(listing: str, cursor: str) -> int:
    """The row after which `listing` continues.

    Raises:
        InvalidValueError: The cursor was not made by `write_cursor` for this listing.
    """
    try:
        plain = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        plain = ""
    found = _CURSOR.fullmatch(plain)
    if found is None or found[1] != listing:
        raise InvalidValueError(f"not a cursor of this list: {cursor[:80]!r}")
    return int(found[2])


def checked_limit(limit: int) -> int:
    """Return `limit` if a page may have it.

    Raises:
        InvalidValueError: It is outside 1..PAGE_LIMIT.
    """
    if not 1 <= limit <= PAGE_LIMIT:
        raise InvalidValueError(f"a page holds 1..{PAGE_LIMIT} rows, got {limit}")
    return limit


def paged(
    rows: Sequence[_Row], limit: int, *, listing: str, sequence: Callable[[_Row], int], item: Callable[[_Row], _Item]
) -> Page[_Item]:
    """Cut `limit` rows and one more, if there is one, into a page: the extra row only says that the list goes on."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=tuple(item(row) for row in shown),
        next_cursor=write_cursor(listing, sequence(shown[-1])) if more else None,
    )
