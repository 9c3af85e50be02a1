"""A candidate rule set beside the one in force: it is asked the same, and never decides anything.

The record says what it would have decided where that differs, so that a rule set can be judged on real requests before
it comes into force. Only what the rules say is compared: pictures and models are judged the same on both sides. Its
faults and its slowness are noted and go no further.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final

from policy import Decision, Finding, Policy, RuleScreener, Subject, TextSubject, Verdict
from policy.verdict import strictest_decision
from studio.policies import ActivePolicy

PATIENCE_SECONDS: Final = 5.0
"""Longest time a job waits for its shadow."""


class Shadow:
    """Asks a candidate policy, for one worker."""

    def __init__(self, policies: ActivePolicy, *, patience_s: float = PATIENCE_SECONDS) -> None:
        """Take the candidate.

        Args:
            policies: Holds it, and reads it anew when its files change.
            patience_s: Longest time to wait for its answer.
        """
        self._policies = policies
        self._patience_s = patience_s
        self._asked: threading.Thread | None = None

    def compare(self, subjects: Sequence[Subject], tolerance: int, active: Verdict) -> dict[str, Any]:
        """Ask the candidate about a request.

        Args:
            subjects: What was screened; only the texts are asked about.
            tolerance: 0 (strictest) .. 6, as it was screened at.
            active: What the policy in force said.

        Returns:
            For the record: `policy_digest` alone if both decide the same; with `policy_version`, `decision` and
            `rules` if not; with `error`, the name of what happened, if the candidate could not be asked.
        """
        policy = self._policies.current()
        answers: list[dict[str, Any]] = []
        texts = [each for each in subjects if isinstance(each, TextSubject)]
        if not texts or not policy.ready().ready:
            return {"policy_digest": policy.digest, "error": "NotReady" if texts else "NoText"}
        if self._asked is not None and self._asked.is_alive():
            return {"policy_digest": policy.digest, "error": "Busy"}
        self._asked = threading.Thread(
            target=lambda: answers.append(_answer(policy, texts, tolerance, active)), name="shadow policy", daemon=True
        )
        self._asked.start()
        self._asked.join(self._patience_s)
        return answers[0] if answers else {"policy_digest": policy.digest, "error": "Timeout"}


def _answer(policy: Policy, texts: Sequence[Subject], tolerance: int, active: Verdict) -> dict[str, Any]:
    try:
        verdict = policy.screen(texts, tolerance=tolerance)
    except Exception as error:  # noqa: BLE001 - an edge: a candidate's faults must not reach the job
        return {"policy_digest": policy.digest, "error": type(error).__name__}
    found = _of_rules(verdict)
    decision = strictest_decision(found)
    if decision is strictest_decision(_of_rules(active)):
        return {"policy_digest": policy.digest}
    rules = dict.fromkeys(each.rule for each in found if each.decision is not Decision.ALLOW)
    return {
        "policy_version": policy.version,
        "policy_digest": policy.digest,
        "decision": decision.value,
        "rules": list(rules),
    }


def _of_rules(verdict: Verdict) -> list[Finding]:
    return [each for each in verdict.findings if each.screener == RuleScreener.name]
