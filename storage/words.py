"""The closed lists of words that rows hold: job states, outcomes, roles, origins, kinds of adapters."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is; the last five are final."""

    QUEUED = "queued"
    SCREENING = "screening"
    EDITING = "editing"
    SCREENING_OUTPUT = "screening_output"
    PUBLISHING = "publishing"
    DONE = "done"
    REFUSED = "refused"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job is over and will never change again."""
        return self in FINAL_STATES

    @property
    def working(self) -> bool:
        """Whether a worker is, or was when it died, busy with the job."""
        return self is not JobState.QUEUED and self not in FINAL_STATES


FINAL_STATES = frozenset({JobState.DONE, JobState.REFUSED, JobState.HELD, JobState.FAILED, JobState.CANCELLED})
OPEN_STATES = frozenset(JobState) - FINAL_STATES


class Outcome(StrEnum):
    """How something ended, as its record says; the same words as the final job states."""

    DONE = "done"
    REFUSED = "refused"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Role(StrEnum):
    """What the bearer of an API key may do; `studio` gives the words their meaning."""

    EDITOR = "editor"
    REVIEWER = "reviewer"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class Origin(StrEnum):
    """How an image came to be here."""

    UPLOAD = "upload"
    OUTPUT = "output"


class AdapterKind(StrEnum):
    """What an uploaded file adds to a model."""

    LORA = "lora"
    EMBEDDING = "embedding"
