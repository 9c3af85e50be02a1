"""How long the policy takes: per prompt, on the worst inputs that could be thought of, and on what is too long."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from policy import TEXT_LIMIT, Policy, TextSubject

SIZES = (1_000, 2_000, TEXT_LIMIT)
"""Code points of the worst inputs."""

HUGE = 1_000_000
HUGE_GOAL_MS = 50.0
P95_GOAL_MS = 5.0
SLOPE_GOAL = 1.5
"""Most by which a text of the full length may exceed four times one of a quarter of it."""

_REPEATS = 3

WORST: dict[str, Callable[[int], str]] = {
    "one letter": lambda size: "a" * size,
    "letters spaced": lambda size: "a " * (size // 2),
    "stars": lambda size: "*" * size,
    "starred words": lambda size: "k*ll n*de " * (size // 10),
    "typing errors": lambda size: "weapn murdre nakd " * (size // 18),
    "leetspeak": lambda size: "n4k3d w34p0n " * (size // 13),
    "look-alikes": lambda size: "nаkеd " * (size // 6),
    "brackets": lambda size: "(" * (size // 2) + ")" * (size // 2),
    "split weights": lambda size: "(na:1.2)(ked:1.1)" * (size // 17),
    "percent": lambda size: "%6E%61%6B%65%64" * (size // 15),
    "base64": lambda size: "bmFrZWQ=" * (size // 8),
    "ampersands": lambda size: "&#110;&#97;" * (size // 11),
    "combining marks": lambda size: "n\u0301\u0302\u0303" * (size // 4),
    "zero width": lambda size: "n\u200b" * (size // 2),
    "a minor at every word": lambda size: "child " * (size // 6),
    "both lists at every word": lambda size: "child nude " * (size // 11),
    "Chinese": lambda size: "裸体儿童" * (size // 4),
    "Chinese, spaced": lambda size: "裸 体 " * (size // 4),
    "pinyin": lambda size: "luo ti er tong " * (size // 15),
    "characters apart": lambda size: "女干火乍弓单" * (size // 6),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """One kind of worst input.

    Attributes:
        name: What it is made of.
        ms: Milliseconds at each of `SIZES`, the best of a few tries.
    """

    name: str
    ms: tuple[float, ...]

    @property
    def slope(self) -> float:
        """Time at the full length over four times that at a quarter: 1 is linear, 4 quadratic."""
        return self.ms[-1] / (self.ms[0] * SIZES[-1] / SIZES[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What was timed.

    Attributes:
        prompts: How many ordinary prompts.
        p50_ms: Half of them took at most so long.
        p95_ms: 95 % of them took at most so long.
        worst: Worst inputs.
        huge_ms: How long it took to refuse `HUGE` characters.
    """

    prompts: int
    p50_ms: float
    p95_ms: float
    worst: tuple[Worst, ...]
    huge_ms: float

    def to_json(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        return {
            "prompts": self.prompts,
            "p50_ms": round(self.p50_ms, 2),
            "p95_ms": round(self.p95_ms, 2),
            "huge_ms": round(self.huge_ms, 2),
            "worst": [
                {"name": each.name, "ms": [round(ms, 1) for ms in each.ms], "slope": round(each.slope, 2)}
                for each in self.worst
            ],
        }


def time_policy(policy: Policy, texts: Sequence[str]) -> Speed:
    """Time a policy, in this process, one text after the other.

    Args:
        policy: The policy.
        texts: Ordinary prompts.
    """
    for text in texts[:10]:
        _ms(policy, text)  # tables are opened and patterns made at first use
    each = [_ms(policy, text) for text in texts]
    worst = tuple(
        Worst(name=name, ms=tuple(min(_ms(policy, make(size)) for _ in range(_REPEATS)) for size in SIZES))
        for name, make in WORST.items()
    )
    return Speed(
        prompts=len(each),
        p50_ms=float(np.percentile(each, 50)),
        p95_ms=float(np.percentile(each, 95)),
        worst=worst,
        huge_ms=_ms(policy, "naked " * (HUGE // 6)),
    )


def _ms(policy: Policy, text: str) -> float:
    subject = TextSubject(name="prompt", text=text)
    started = time.perf_counter()
    policy.screen([subject])
    return (time.perf_counter() - started) * 1_000
