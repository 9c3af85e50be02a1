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
from policy.rule import Rule
from policy.rule_screener import Match, RuleScreener
from policy.ruleset import RuleSet, empty_rule_set
from policy.screeners import ReportsProblems, Screener, ScreensAtTolerance, ScreensTogether, allowing_finding
from policy.subjects import PictureSubject, Stage, Subject, TextSubject, Wording, pixel_digest
from policy.tolerance import DEFAULT_TOLERANCE, LAXEST_TOLERANCE, Severity
from policy.verdict import Decision, Finding, PublicReason, Verdict, combine

__all__ = [
    "DEFAULT_TOLERANCE",
    "LAXEST_TOLERANCE",
    "TEXT_LIMIT",
    "Cleared",
    "Decision",
    "Finding",
    "KnownPictureListError",
    "KnownPictureScreener",
    "Match",
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
    "ScreensAtTolerance",
    "ScreensTogether",
    "Severity",
    "Stage",
    "Subject",
    "SubjectError",
    "TextSubject",
    "Verdict",
    "VerdictError",
    "Wording",
    "allowing_finding",
    "clear",
    "combine",
    "empty_rule_set",
    "known_test_picture",
    "load_known_pictures",
    "load_policy",
    "load_rules",
    "pixel_digest",
]
