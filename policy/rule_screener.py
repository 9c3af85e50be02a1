"""The screener that runs the rules on texts."""

from collections.abc import Sequence

from policy.normalise import readings
from policy.ruleset import RuleSet
from policy.screeners import allowing_finding
from policy.subjects import Subject, TextSubject
from policy.verdict import Finding


class RuleScreener:
    """Runs every rule on every reading of a text.

    It runs in this process: RE2 is linear and the text limit bounds it, so its time limit cannot be overrun by what a
    text says; the limit only bounds a starved machine.
    """

    name = "rules"
    time_limit_s = 10.0

    def __init__(self, rule_set: RuleSet) -> None:
        """Take the rules to run.

        Args:
            rule_set: Compiled rules.
        """
        self._rule_set = rule_set
        self.version = rule_set.digest

    def handles(self, subject: Subject) -> bool:
        """Texts only."""
        return isinstance(subject, TextSubject)

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Return a finding per rule that matches, or one that allows.

        Args:
            subject: A text without lone surrogates.

        Raises:
            TypeError: The subject is no text.
        """
        if not isinstance(subject, TextSubject):
            raise TypeError(f"rules read texts, got {type(subject).__name__}")
        texts = [(reading.name, reading.text.encode()) for reading in readings(subject.text)]
        findings = []
        for rule in self._rule_set.rules:
            reading = next((name for name, text in texts if rule.matches(text)), None)
            if reading is not None:
                findings.append(
                    Finding(
                        rule=rule.id,
                        category=rule.category,
                        decision=rule.decision,
                        reason=rule.reason,
                        screener=self.name,
                        subject=subject.name,
                        detail=f"reading={reading}",
                    )
                )
        return findings or [allowing_finding(self.name, subject.name)]
