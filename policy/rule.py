"""One rule: an acceptable-use sentence and how to recognise what it forbids."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from policy.documents import Place
from policy.matching import Bytes, Condition, Counts, ReadText
from policy.patterns import Pattern
from policy.subjects import Stage, Wording
from policy.tolerance import Severity, at_tolerance
from policy.verdict import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A text with which a rule file tests itself.

    Attributes:
        text: The example.
        place: Where it stands.
        language: `en`, `zh`, ...
    """

    text: str
    place: Place
    language: str

    @property
    def where(self) -> str:
        """`file:line`."""
        return str(self.place)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """One acceptable-use sentence and how to recognise what it forbids.

    Attributes:
        id: `minors-01`: the category and a number; an operator's may have any name of its own before the number.
        category: Category of the acceptable-use policy.
        title: What it forbids, for tables.
        why: What it is for, for those who edit rules.
        reason: One sentence for the person who is refused, or told.
        severity: How far the dial moves it.
        actions: What it asks for at the default tolerance, per stage.
        languages: Those it recognises.
        applies_to: Which texts it reads.
        locked: Whether no operator may change its actions.
        where: `file:line`.
        allow: Examples that must pass.
        catch: Examples that must be caught.
    """

    id: str
    category: str
    title: str
    why: str
    reason: str
    severity: Severity
    actions: Mapping[Stage, Decision]
    languages: tuple[str, ...]
    applies_to: frozenset[Wording]
    locked: bool
    where: str
    allow: tuple[Example, ...]
    catch: tuple[Example, ...]
    _conditions: tuple[Condition, ...] = field(repr=False)
    _unless: Pattern | None = field(default=None, repr=False)
    _counts: Counts = field(default_factory=Counts, repr=False)
    _contexts: tuple[Pattern, ...] = field(default=(), repr=False)

    def decision(self, stage: Stage, tolerance: int) -> Decision:
        """Return what the rule asks for.

        Args:
            stage: When it matched.
            tolerance: 0 (strictest) .. 6.
        """
        return at_tolerance(self.actions[stage], self.severity, tolerance)

    def spans_in(self, text: ReadText) -> tuple[Bytes, ...]:
        """Return every stretch of a reading that makes the rule match; none if it does not match.

        Args:
            text: A reading in canonical form.
        """
        # The exceptions are looked for only in texts that match without them: most texts match no rule.
        spans = self._occurrences(text)
        if not spans or any(text.spans(context) for context in self._contexts):
            return ()
        if self._unless is None:
            return spans
        without = text.without(self._unless)
        return spans if without is text else self._occurrences(without)

    def _occurrences(self, text: ReadText) -> tuple[Bytes, ...]:
        for condition in self._conditions:
            if spans := condition.spans_in(text, self._counts):
                return spans
        return ()
