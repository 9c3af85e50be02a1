"""What a caller is told of a verdict: decision, rules and public sentences. Pure.

Never what matched, where, or how strongly: that would teach people to get round it.
"""

from collections.abc import Mapping
from typing import Any, Final

from policy import Decision, PublicReason, Verdict

INNER: Final = ("findings", "shadow")
"""Members of a record that auditors read and callers do not."""


def public_verdict(verdict: Verdict | Mapping[str, Any]) -> dict[str, Any]:
    """Tell the public side of a verdict.

    Args:
        verdict: The verdict, or as it was stored.

    Returns:
        `decision`, `policy_version`, `policy_digest`, `reasons` (rule, category, subject and sentence of what did not
        allow) and `notices` (rule, category and sentence of what goes with what is allowed).
    """
    given = verdict if isinstance(verdict, Verdict) else Verdict.from_json(verdict)
    reasons = {
        (each.rule, each.subject): {
            "rule": each.rule,
            "category": each.category,
            "subject": each.subject,
            "reason": each.reason,
        }
        for each in given.findings
        if each.decision is not Decision.ALLOW
    }
    return {
        "decision": given.decision.value,
        "policy_version": given.policy_version,
        "policy_digest": given.policy_digest,
        "reasons": list(reasons.values()),
        "notices": [notice_of(each) for each in given.notices],
    }


def notice_of(notice: PublicReason) -> dict[str, Any]:
    """One notice: what is said with an allowed result."""
    return {"rule": notice.rule, "category": notice.category, "reason": notice.reason}


def how_to_appeal(contact: str | None, record: str | None) -> str:
    """Say what somebody can do who thinks that a refusal is wrong.

    Args:
        contact: Address or link of whoever decides, as the operator set it; None if they set none.
        record: Id of the record of what was refused, None while there is none.
    """
    named = f" and name the record {record}" if record else ""
    whom = f"write to {contact}" if contact else "ask the operator of this service"
    return f"If you think that this is a mistake, {whom}{named}: a person will look at it."


def public_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """A record's body as its owner reads it: whole, but for what screeners found inside.

    Args:
        body: The body, as it was recorded.
    """
    shown = {name: value for name, value in body.items() if name not in INNER}
    if "policy" in body:
        told = public_verdict(body["policy"])
        shown["policy"] = told | {name: value for name, value in body["policy"].items() if name not in {*told, *INNER}}
    return shown
