"""The screener that asks the learned head."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Self

from policy.errors import PolicyError
from policy.head.loading import HeadParts, load_parts
from policy.head.model import LinearModel
from policy.readings import Reader, Reading, as_written
from policy.screeners import allowing_finding
from policy.subjects import Subject, TextSubject, Wording
from policy.tolerance import DEFAULT_TOLERANCE, check_tolerance
from policy.verdict import Decision, Finding


class LearnedHead:
    """Sends prompts to review that look like what the policy forbids, though no rule recognised them.

    It never blocks: it knows words, not intent, and errs more often than a rule. It runs in this process: a text's
    length bounds what it costs. A head whose files are missing or changed says so in `problems` and raises when asked,
    which blocks.
    """

    name = "head"
    time_limit_s = 10.0

    def __init__(
        self,
        parts: HeadParts | PolicyError,
        reader: Reader | None = None,
        *,
        model: int = 0,
    ) -> None:
        """Put a head together; see `load`.

        Args:
            parts: What it is made of, or why there is nothing.
            reader: Undoes disguises; None judges texts as they are written.
            model: Which of the models answers, 0 for the one trained on everything.
        """
        self._parts = parts
        self._reader = reader
        self._model = model
        answers = "unfit" if isinstance(parts, PolicyError) else parts.digest
        self.version = f"{answers}:{model}"

    @classmethod
    def load(cls, reader: Reader | None = None) -> Self:
        """Load the head that is shipped.

        Args:
            reader: Undoes disguises, best that of the rules (`RuleSet.reader`); None judges texts as they are written.

        Returns:
            The head. If its files are missing or changed it has `problems` and blocks whatever it is asked.
        """
        try:
            parts: HeadParts | PolicyError = load_parts()
        except PolicyError as error:
            parts = error
        return cls(parts, reader)

    def problems(self) -> tuple[str, ...]:
        """Return why the head cannot answer; nothing if it can."""
        return (str(self._parts),) if isinstance(self._parts, PolicyError) else ()

    def held_out(self, text: str) -> "LearnedHead":
        """Return a head that was not trained on a text, so that the text can be used to judge the head.

        Args:
            text: The text, as it stands in the set it was trained on.

        Raises:
            PolicyError: The head has problems.
        """
        model = self._fit.weights.unseeing(text)
        return self if model == self._model else self._siblings[model]

    def scores(self, text: str) -> Mapping[str, float]:
        """Judge a text as it is written.

        Args:
            text: Any text without lone surrogates.

        Returns:
            Category -> 0..1; no calibrated probability. The same for texts that differ in identity words alone.

        Raises:
            PolicyError: The head has problems.
        """
        scores = self._judge.scores(self._fit.masks.mask(text)).tolist()
        return dict(zip(self._fit.document.reasons, scores, strict=True))

    def handles(self, subject: Subject) -> bool:
        """Prompts, and texts joined of them; never a negative prompt, a name or a purpose."""
        return isinstance(subject, TextSubject) and subject.wording is Wording.PROMPT

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Return what `screen_at` returns at the default tolerance."""
        return self.screen_at(subject, DEFAULT_TOLERANCE)

    def screen_at(self, subject: Subject, tolerance: int) -> Sequence[Finding]:
        """Return a finding per category that asks for review, or one that allows.

        Args:
            subject: A text without lone surrogates.
            tolerance: 0 (strictest) .. 6, where the head is silent.

        Raises:
            TypeError: The subject is no text.
            PolicyError: The head has problems, or there is no such tolerance.
        """
        check_tolerance(tolerance)
        if not isinstance(subject, TextSubject):
            raise TypeError(f"the head reads texts, got {type(subject).__name__}")
        reading = self._reading(subject.text)
        scores = self._judge.scores(self._fit.masks.mask(reading.text)).tolist()
        found = []
        for category, score in zip(self._fit.document.reasons, scores, strict=True):
            threshold = self._threshold(reading.text, category, tolerance)
            if score > threshold:
                detail = f"reading={reading.name} threshold={threshold:.3f}"
                found.append(self._finding(subject, category, score, detail))
        return found or [allowing_finding(self.name, subject.name, score=round(max(scores), 4))]

    def _reading(self, text: str) -> Reading:
        """Return the reading that is judged: the last, in which the most is undone.

        A text as it is written may hold codes and syntax, which look like nothing that was learnt from: judged by them,
        harmless texts would be suspicious for their form.
        """
        return self._reader.read(text)[-1] if self._reader is not None else as_written(text)

    def _threshold(self, text: str, category: str, tolerance: int) -> float:
        return self._fit.document.thresholds["chinese" if is_chinese(text) else "spaced"][category][tolerance]

    def _finding(self, subject: TextSubject, category: str, score: float, detail: str) -> Finding:
        return Finding(
            rule=f"{self.name}.{category}",
            category=category,
            decision=Decision.REVIEW,
            reason=self._fit.document.reasons[category],
            screener=self.name,
            subject=subject.name,
            detail=detail,
            score=round(score, 4),
        )

    @property
    def _fit(self) -> HeadParts:
        if isinstance(self._parts, PolicyError):
            # A new one each time: the first one's traceback would grow with every request.
            raise PolicyError(str(self._parts))
        return self._parts

    @cached_property
    def _siblings(self) -> "tuple[LearnedHead, ...]":
        return tuple(
            LearnedHead(self._fit, self._reader, model=model) for model in range(len(self._fit.weights.weights))
        )

    @cached_property
    def _judge(self) -> LinearModel:
        return self._fit.weights.model(self._model)


def is_chinese(text: str) -> bool:
    """Say whether a text is held against the thresholds for Chinese: it has a Chinese character."""
    return any("\u3400" <= character <= "\u9fff" for character in text)
