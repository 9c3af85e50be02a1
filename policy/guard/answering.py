"""The child's side of the guard: one text in, the model's reading, findings out."""

from collections.abc import Callable, Sequence
from typing import Protocol

from policy.guard.judging import NAME, GuardReading, GuardTable
from policy.subjects import Subject, TextSubject
from policy.tolerance import DEFAULT_TOLERANCE
from policy.verdict import Finding


class ReadsTexts(Protocol):
    """A loaded guard model."""

    def read(self, text: str, matters: Callable[[GuardReading], bool]) -> GuardReading:
        """Read one text.

        Args:
            text: Any, the whole of it.
            matters: Asked with the labels' probabilities; whether the categories are wanted.

        Returns:
            The reading, with categories if they were wanted.
        """


class AnsweringScreener:
    """Judges texts by a loaded model and a table; runs in the guard's own process only."""

    name = NAME
    version = ""
    time_limit_s = 600.0

    def __init__(self, model: ReadsTexts, table: GuardTable) -> None:
        """Take a loaded model and the thresholds.

        Args:
            model: What reads.
            table: What its readings mean.
        """
        self._model = model
        self._table = table

    def handles(self, subject: Subject) -> bool:
        """Texts only."""
        return isinstance(subject, TextSubject)

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Look at a text at the default tolerance."""
        return self.screen_at(subject, DEFAULT_TOLERANCE)

    def screen_at(self, subject: Subject, tolerance: int) -> Sequence[Finding]:
        """Look at a text.

        Args:
            subject: A text.
            tolerance: 0 (strictest) .. 6.

        Raises:
            TypeError: The subject is no text.
            GuardError: The model could not read it, or answered nonsense.
        """
        if not isinstance(subject, TextSubject):
            raise TypeError(f"the guard reads texts, got {type(subject).__name__}")
        reading = self._model.read(subject.text, lambda labels: self._table.matters(labels, tolerance))
        return self._table.judge(reading, subject=subject.name, tolerance=tolerance)
