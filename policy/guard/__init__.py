"""A guard model's second opinion on texts: Qwen3Guard-Gen behind the screeners' protocol.

Rules read words; the guard reads intent. It runs in a process of its own that can be killed, is asked only about what
nothing blocks yet, and blocks whenever it cannot answer. Importing this imports no torch and downloads nothing.
"""

from policy.guard.absent import AbsentGuard
from policy.guard.catalogue import GUARDS, GuardModel
from policy.guard.errors import GuardError
from policy.guard.loading import build_guard, missing_guard, read_table
from policy.guard.screener import GuardScreener
from policy.screeners import ReportsNotices, SecondOpinion

__all__ = [
    "GUARDS",
    "AbsentGuard",
    "GuardError",
    "GuardModel",
    "GuardScreener",
    "ReportsNotices",
    "SecondOpinion",
    "build_guard",
    "missing_guard",
    "read_table",
]
