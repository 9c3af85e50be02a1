"""What an API key is for: judged when the key is made, and again with every request that is made with it."""

from collections.abc import Callable

from pydantic_core import PydanticCustomError

from policy import Decision, Policy, Verdict
from studio.jobs.fields import check_text
from studio.jobs.public import public_verdict
from studio.jobs.subjects import PURPOSE, of_purpose
from studio.problems import Problem


def check_purpose(purpose: str, policy: Callable[[], Policy], tolerance: int) -> Verdict:
    """Judge what a key is to be for.

    Args:
        purpose: As it was declared.
        policy: Hands out the policy in force; asked only about text that is fit to be screened.
        tolerance: What the key shall have, 0 (strictest) .. 6.

    Returns:
        The verdict: it allows, with what is to be minded in its notices; or it asks that a person looks at each use.

    Raises:
        Problem: `purpose_refused`, naming the rules; `text_too_long`, `text_invalid` or `text_invisible`.
    """
    try:
        check_text(purpose)
    except PydanticCustomError as error:
        context = error.context or {}
        raise Problem(error.type, error.message(), PURPOSE, context.get("value"), context.get("limit")) from error
    verdict = policy().screen([of_purpose(purpose)], tolerance=tolerance)
    if verdict.decision is Decision.BLOCK:
        said = " ".join(f"{each.rule}: {each.reason}" for each in verdict.reasons)
        raise Problem(
            "purpose_refused",
            f"No key is made for this purpose. {said}",
            PURPOSE,
            extra={"verdict": public_verdict(verdict)},
        )
    return verdict
