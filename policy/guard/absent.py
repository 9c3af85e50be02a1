"""What stands in for the guard model where there is none: it blocks if one is required, and says so either way."""

from collections.abc import Sequence

from policy.failures import Failure, failure_finding
from policy.guard.judging import NAME
from policy.subjects import Subject
from policy.verdict import Finding


class AbsentGuard:
    """A guard that is not there.

    Where one is required it blocks everything, pictures too, for a server that cannot judge words runs nothing. Where
    none is, it looks at nothing and leaves a notice.
    """

    name = NAME
    time_limit_s = 1.0

    def __init__(self, why: str, *, required: bool) -> None:
        """Say why there is none.

        Args:
            why: For operators, with what to do next.
            required: Whether everything blocks for it.
        """
        self.why = why
        self.required = required
        self.version = "absent, required" if required else "absent"

    def handles(self, subject: Subject) -> bool:
        """Everything if a guard is required, else nothing."""
        del subject
        return self.required

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Block.

        Args:
            subject: Any.
        """
        return [failure_finding(Failure.SCREENER_FAILED, subject=subject.name, screener=NAME, detail="guard absent")]

    def problems(self) -> tuple[str, ...]:
        """Return why everything blocks; none if no guard is required."""
        return (f"a guard model is required: {self.why}",) if self.required else ()

    def notices(self) -> tuple[str, ...]:
        """Return why words are judged by rules alone; none if that blocks everything anyway."""
        return () if self.required else (f"no guard model reads prompts: {self.why}",)
