"""The answer of screening: findings, and the verdict that combines them.

Invariants:
- A verdict's decision is the strictest of its findings; one that says otherwise cannot be built.
- No findings means BLOCK: silence is not consent.
- Nothing in here repeats the text or the pixels that were screened, so verdicts can be logged and shown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from policy.errors import VerdictError


class Decision(StrEnum):
    """What is to be done with a subject; in rising strictness."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


_STRICTNESS = {Decision.ALLOW: 0, Decision.REVIEW: 1, Decision.BLOCK: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's answer about one subject.

    Attributes:
        rule: Id of the rule, `minors-01`; those of the frame itself begin with `policy.`.
        category: Category of the acceptable-use policy, `minors`; `none` if nothing was found.
        decision: What this finding alone asks for.
        reason: One sentence for the person who asked; never repeats what was screened. Empty if it allows, unless
            it is a notice to go with what is allowed.
        screener: Name of the screener that answered.
        subject: Name of the subject, `prompt`, `image`, `mask`, `control[0]`, `output`.
        detail: For auditors only: which reading matched and where, the class of an exception. Never the text.
        score: For auditors only: how strong it is, 0..1; no probability unless the screener says so.
    """

    rule: str
    category: str
    decision: Decision
    reason: str
    screener: str
    subject: str
    detail: str = ""
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicReason:
    """What a person is told: the rule's id and its public sentence."""

    rule: str
    category: str
    decision: Decision
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The combined answer about everything that was screened together.

    Attributes:
        decision: The strictest decision among `findings`; BLOCK if there are none.
        findings: Every finding, the allowing ones too, in the order they were made.
        policy_version: Version of the rules that answered.
        policy_digest: SHA-256, lower hex, of the policy that answered: its rules and its screeners.

    Raises:
        VerdictError: The decision is not the one that follows from the findings.
    """

    decision: Decision
    findings: tuple[Finding, ...]
    policy_version: str
    policy_digest: str

    def __post_init__(self) -> None:
        strictest = strictest_decision(self.findings)
        if self.decision is not strictest:
            message = f"a verdict must follow from its findings: they say {strictest}, got {self.decision!r}"
            raise VerdictError(message)

    @property
    def reasons(self) -> tuple[PublicReason, ...]:
        """What the refused person is told: each rule that did not allow, once, in the order found."""
        return _public(finding for finding in self.findings if finding.decision is not Decision.ALLOW)

    @property
    def notices(self) -> tuple[PublicReason, ...]:
        """What is said with an allowed result, as that a professional should review it; each once, in order."""
        return _public(finding for finding in self.findings if finding.decision is Decision.ALLOW and finding.reason)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain JSON values, the form that is stored and digested; see `from_json`."""
        return {
            "decision": self.decision.value,
            "findings": [asdict(finding) | {"decision": finding.decision.value} for finding in self.findings],
            "policy_version": self.policy_version,
            "policy_digest": self.policy_digest,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Args:
            document: The plain JSON values.

        Returns:
            The verdict, equal to the one that was written.

        Raises:
            VerdictError: A field is missing, unknown or of another type, or decision and findings disagree.
        """
        try:
            return cls(
                decision=Decision(document["decision"]),
                findings=tuple(_read_finding(finding) for finding in document["findings"]),
                policy_version=_read_text(document, "policy_version"),
                policy_digest=_read_text(document, "policy_digest"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise VerdictError(f"not a stored verdict: {type(error).__name__}: {error}") from error


def strictness(decision: Decision) -> int:
    """Return a number that rises with how strict a decision is."""
    return _STRICTNESS[decision]


def strictest_decision(findings: Iterable[Finding]) -> Decision:
    """Return the strictest decision among findings, BLOCK if there are none."""
    return max((finding.decision for finding in findings), key=_STRICTNESS.__getitem__, default=Decision.BLOCK)


def combine(findings: Iterable[Finding], *, policy_version: str, policy_digest: str) -> Verdict:
    """Combine findings into the verdict that follows from them.

    Args:
        findings: What the screeners answered; none at all means BLOCK.
        policy_version: Version of the rules that answered.
        policy_digest: Digest of the policy that answered.

    Returns:
        BLOCK if one finding blocks or there is none, else REVIEW if one asks for it, else ALLOW.
    """
    kept = tuple(findings)
    return Verdict(
        decision=strictest_decision(kept), findings=kept, policy_version=policy_version, policy_digest=policy_digest
    )


def finding_from_json(document: Mapping[str, Any]) -> Finding:
    """Read one finding from plain JSON values.

    Raises:
        VerdictError: A field is missing, unknown or of another type.
    """
    try:
        return _read_finding(document)
    except (KeyError, TypeError, ValueError) as error:
        raise VerdictError(f"not a stored finding: {type(error).__name__}: {error}") from error


def _public(findings: Iterable[Finding]) -> tuple[PublicReason, ...]:
    unique: dict[str, PublicReason] = {}
    for each in findings:
        public = PublicReason(rule=each.rule, category=each.category, decision=each.decision, reason=each.reason)
        unique.setdefault(each.rule, public)
    return tuple(unique.values())


def _read_finding(document: Mapping[str, Any]) -> Finding:
    names = {field.name for field in fields(Finding)}
    if unknown := set(document) - names:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    texts = {name: _read_text(document, name) for name in names - {"decision", "detail", "score"}}
    detail = document.get("detail", "")
    if not isinstance(detail, str):
        raise TypeError("detail must be a string")
    score = document.get("score", 0.0)  # records from before scores were kept have none
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise TypeError("score must be a number in 0..1")
    return Finding(decision=Decision(document["decision"]), detail=detail, score=float(score), **texts)


def _read_text(document: Mapping[str, Any], name: str) -> str:
    value = document[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {type(value).__name__}")
    return value
