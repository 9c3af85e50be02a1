"""Findings of the frame itself: every way in which screening could not be done is one of these, and each blocks."""

from enum import StrEnum

from policy.verdict import Decision, Finding

FRAME = "policy"


class Failure(StrEnum):
    """Ids of the frame's own findings; stable, they are stored and shown."""

    NO_RULES = "policy.no_rules"
    SELF_CHECK_FAILED = "policy.self_check_failed"
    NOTHING_TO_SCREEN = "policy.nothing_to_screen"
    UNSCREENED = "policy.unscreened"
    SCREENER_FAILED = "policy.screener_failed"
    SCREENER_TIMEOUT = "policy.screener_timeout"
    SCREENER_SILENT = "policy.screener_silent"
    TEXT_TOO_LONG = "policy.text_too_long"
    TEXT_NOT_UNICODE = "policy.text_not_unicode"
    TEXT_HAS_NUL = "policy.text_has_nul"


_NOT_SCREENED = "The request could not be screened, so it was not run; this says nothing about its content."

PUBLIC_REASONS: dict[Failure, str] = {
    Failure.NO_RULES: "This server has no acceptable-use rules loaded, so it runs nothing.",
    Failure.SELF_CHECK_FAILED: "This server's acceptable-use rules fail their own examples, so it runs nothing.",
    Failure.NOTHING_TO_SCREEN: "The request holds nothing that could be screened, so it was not run.",
    Failure.UNSCREENED: "The request holds a part that no screener here looks at, so it was not run.",
    Failure.SCREENER_FAILED: _NOT_SCREENED,
    Failure.SCREENER_TIMEOUT: _NOT_SCREENED,
    Failure.SCREENER_SILENT: _NOT_SCREENED,
    Failure.TEXT_TOO_LONG: "The text is longer than this server screens, so it was not run; please shorten it.",
    Failure.TEXT_NOT_UNICODE: "The text is not valid Unicode, so it was not run.",
    Failure.TEXT_HAS_NUL: "The text holds a NUL character, so it was not run.",
}


def failure_finding(failure: Failure, *, subject: str, screener: str = FRAME, detail: str = "") -> Finding:
    """Return the blocking finding for something that kept a subject from being screened.

    Args:
        failure: What happened.
        subject: Name of the subject that was not screened.
        screener: Name of the screener it happened to.
        detail: For auditors: the class of an exception, a length. Never the text.
    """
    return Finding(
        rule=failure.value,
        category=FRAME,
        decision=Decision.BLOCK,
        reason=PUBLIC_REASONS[failure],
        screener=screener,
        subject=subject,
        detail=detail,
    )
