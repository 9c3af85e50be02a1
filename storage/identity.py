"""Times and names as arguments: the clock and the source of ids that every store is given."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import uuid4

Clock: TypeAlias = Callable[[], datetime]
"""Says what time it is; the time must carry a zone."""

NewId: TypeAlias = Callable[[str], str]
"""Makes a fresh id from its prefix, such as `job_`."""

JOB_PREFIX = "job_"
RECORD_PREFIX = "rec_"
KEY_PREFIX = "key_"
TEXT_PREFIX = "txt_"
ADAPTER_PREFIX = "adapter_"


def utc_now() -> datetime:
    """The clock of the machine, in UTC."""
    return datetime.now(UTC)


def random_id(prefix: str) -> str:
    """An id nobody can guess: the prefix and 122 random bits in hex.

    Args:
        prefix: What the id names, such as `job_`.
    """
    return prefix + uuid4().hex
