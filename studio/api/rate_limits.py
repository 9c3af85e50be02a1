"""How often a key may ask: a token bucket for each, in this process.

A bucket holds a minute's worth, so that a burst is free and a flood is not. Several API processes have buckets of their
own: together they allow as many times as much. Headers are those of the IETF's draft "RateLimit header fields for HTTP"
(draft-ietf-httpapi-ratelimit-headers), with `Retry-After` where the answer is no.
"""

import math
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from studio.problems import Problem

WINDOW_S: Final = 60
MOST_BUCKETS: Final = 10_000
"""Beyond that, buckets that are full again are forgotten: they say nothing."""


class _Bucket(NamedTuple):
    tokens: float
    at: float


class RateLimit:
    """Buckets of one endpoint; asked from the event loop alone."""

    def __init__(self, name: str, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the limit.

        Args:
            name: For the headers.
            per_minute: How often a key may ask in a minute, 1 or more.
            clock: Seconds that never run backwards.
        """
        self._name = name
        self._most = per_minute
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key_id: str) -> dict[str, str]:
        """Let a key ask once more.

        Args:
            key_id: Which key.

        Returns:
            Headers for the answer: what is left.

        Raises:
            Problem: `rate_limited`, with the same headers and `Retry-After`.
        """
        now = self._clock()
        known = self._buckets.get(key_id, _Bucket(self._most, now))
        tokens = min(self._most, known.tokens + (now - known.at) * self._most / WINDOW_S)
        if tokens < 1:
            self._buckets[key_id] = _Bucket(tokens, now)
            wait = self._seconds(1 - tokens)
            raise Problem(
                "rate_limited",
                f"A key may ask this {self._most} times a minute; try again in {wait} s.",
                limit=self._most,
                headers=self._headers(tokens) | {"Retry-After": str(wait)},
            )
        self._buckets[key_id] = _Bucket(tokens - 1, now)
        self._forget_full(now)
        return self._headers(tokens - 1)

    def _headers(self, tokens: float) -> dict[str, str]:
        full_in = self._seconds(self._most - tokens)
        return {
            "RateLimit-Policy": f'"{self._name}";q={self._most};w={WINDOW_S}',
            "RateLimit": f'"{self._name}";r={int(tokens)};t={full_in}',
        }

    def _seconds(self, tokens: float) -> int:
        """How long so many tokens take to come, at least a second."""
        return max(1, math.ceil(tokens * WINDOW_S / self._most))

    def _forget_full(self, now: float) -> None:
        if len(self._buckets) > MOST_BUCKETS:
            young = {name: each for name, each in self._buckets.items() if now - each.at < WINDOW_S}
            self._buckets = young
