"""Text or pixels in, a verdict out: rules, screeners, clearance.

Everything is screened or nothing runs: whatever goes wrong while screening blocks. Refusal is an outcome, a `Verdict`,
not an exception. The package knows nothing of HTTP, of FLUX or of databases.
"""

from policy.clearance import Cleared, clear
from policy.errors import (
    KnownPictureListError,
    NotClearedError,
    PolicyError,
    RuleError,
    SubjectError,
    VerdictError,
)
from policy.known_pictures import KnownPictureScreener, known_test_picture
from policy.loading import load_known_pictures, load_policy, load_rules
from policy.policy import TEXT_LIMIT, Policy, Readiness
from policy.rule_screener import RuleScreener
from policy.ruleset import Rule, RuleSet
from policy.screeners import ReportsProblems, Screener, ScreensTogether, allowing_finding
from policy.subjects import PictureSubject, Subject, TextSubject, pixel_digest
from policy.verdict import Decision, Finding, PublicReason, Verdict, combine

__all__ = [
    "TEXT_LIMIT",
    "Cleared",
    "Decision",
    "Finding",
    "KnownPictureListError",
    "KnownPictureScreener",
    "NotClearedError",
    "PictureSubject",
    "Policy",
    "PolicyError",
    "PublicReason",
    "Readiness",
    "ReportsProblems",
    "Rule",
    "RuleError",
    "RuleScreener",
    "RuleSet",
    "Screener",
    "ScreensTogether",
    "Subject",
    "SubjectError",
    "TextSubject",
    "Verdict",
    "VerdictError",
    "allowing_finding",
    "clear",
    "combine",
    "known_test_picture",
    "load_known_pictures",
    "load_policy",
    "load_rules",
    "pixel_digest",
]
