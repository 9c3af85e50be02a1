"""The guard model where it belongs: workers ask it, the API says whether it is there. No torch in either.

It outlives every change of the rules: a policy that is read anew gets the same guard.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from policy import Policy, Screener
from policy.guard.absent import AbsentGuard
from policy.guard.loading import build_guard, missing_guard
from policy.guard.screener import GuardScreener
from policy.screeners import ReportsNotices
from studio.settings import Settings

log = logging.getLogger(__name__)


@contextmanager
def guarding(settings: Settings) -> Iterator[tuple[Screener, ...]]:
    """The guard of a worker, or what stands in for it; its process ends with the block.

    Args:
        settings: Name the model, and whether it is required.
    """
    guard = build_guard(settings.guard_model, device=settings.device, required=settings.guard_is_required)
    if isinstance(guard, AbsentGuard) and settings.guard_model is not None:
        # Only here is it known that a model whose files are all there does not load.
        log.error("the guard model is not asked: %s", guard.why)
    try:
        yield (guard,)
    finally:
        if isinstance(guard, GuardScreener):
            guard.close()


def guard_of_service(settings: Settings) -> tuple[Screener, ...]:
    """What stands in for the guard in a process that asks none: nothing, if its files lie ready for the workers."""
    absent = missing_guard(settings.guard_model, required=settings.guard_is_required)
    return () if absent is None else (absent,)


def notices_of(policy: Policy) -> list[str]:
    """What operators should know of a policy that blocks nothing for it."""
    return [said for each in policy.screeners if isinstance(each, ReportsNotices) for said in each.notices()]
