"""Memos: results kept by what they were made of, so that a picture or prompt edited again is not paid for twice.

What is kept is what would be computed again, bit for bit: keys name everything that the result depends on.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Memo(Generic[T]):
    """The latest results, by key; the one that was not asked for longest goes first.

    Attributes:
        hits: How often a kept result was handed out.
        misses: How often one had to be made.
    """

    def __init__(self, *, kept: int) -> None:
        """Set up, empty.

        Args:
            kept: Results to keep; 0 keeps none.
        """
        self._kept = kept
        self._results: OrderedDict[Hashable, T] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Hand out a result, making it if it is not kept.

        Args:
            key: Everything it depends on.
            make: Makes it; if this raises, nothing is kept.

        Returns:
            The result; callers must not change it.
        """
        if key in self._results:
            self.hits += 1
            self._results.move_to_end(key)
            return self._results[key]
        self.misses += 1
        result = make()
        self._results[key] = result
        while len(self._results) > self._kept:
            self._results.popitem(last=False)
        return result

    def clear(self) -> None:
        """Forget every result; the counts stay."""
        self._results.clear()

    def __len__(self) -> int:
        return len(self._results)
