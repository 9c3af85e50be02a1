"""Testing words before they are asked for: what the policy would say, and nothing kept of them. Pure.

The answer is the one that a job with these words gets from rules and learned head, at the same tolerance and for the
same purpose. It has always the same members. Only workers ask the guard model and see pictures, and a trial counts
towards no volume rule: a job can still be held or refused where its trial was not.
"""

from typing import Any, Final

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from policy import LAXEST_TOLERANCE, TEXT_LIMIT, Decision, Policy, Subject, Wording
from studio.jobs.fields import Shape, Text, Whole, limits
from studio.jobs.flags import take_flags
from studio.jobs.public import how_to_appeal, public_verdict
from studio.jobs.subjects import of_name, of_purpose, of_text

NOT_ASKED: Final = "not asked"
MOST_PROMPTS: Final = 4
MOST_NAMES: Final = 20
MOST_CHARACTERS: Final = 3 * TEXT_LIMIT
"""Of all texts of a trial together, about a second's work: no key shall keep the service busy with so few requests."""


class TrialRequest(Shape):
    """Words to test."""

    prompt: Text = Field(description="As you would give it to an edit, weights in it.")
    negative_prompt: Text = ""
    second_prompts: tuple[Text, ...] = Field(
        (), max_length=MOST_PROMPTS, description="Further prompts that would go with it."
    )
    names: tuple[Text, ...] = Field(
        (), max_length=MOST_NAMES, description="Names of files, LoRAs and learnt words that would go with it."
    )
    prompt_flags: bool = Field(default=False, description="Whether flags other than --ar are understood.")
    safety_tolerance: Whole | None = Field(
        None,
        json_schema_extra=limits((0, LAXEST_TOLERANCE)),
        description="At most the key's own, which it is if absent.",
    )

    @model_validator(mode="after")
    def _not_too_much_at_once(self) -> "TrialRequest":
        length = sum(map(len, (self.prompt, self.negative_prompt, *self.second_prompts, *self.names)))
        if length > MOST_CHARACTERS:
            raise PydanticCustomError(
                "text_too_long",
                "all texts together may have up to {limit} characters, got {value}",
                {"limit": MOST_CHARACTERS, "value": length},
            )
        return self


class ReasonView(BaseModel):
    """One rule that did not allow."""

    rule: str
    category: str
    subject: str = Field(description="Which of the texts, or how they were joined.")
    reason: str


class NoticeView(BaseModel):
    """What is to be minded with an allowed result."""

    rule: str
    category: str
    reason: str


class TrialView(BaseModel):
    """What the policy says of the words."""

    decision: Decision
    categories: list[str] = Field(description="Of what did not allow, in the order of their names.")
    reasons: list[ReasonView]
    notices: list[NoticeView]
    safety_tolerance: int = Field(description="What the words were judged at.")
    guard: str = Field(description="The guard model runs in workers: always `not asked` here.")
    appeal: str | None = Field(description="What to do if this is a mistake; null if it is allowed.")
    policy_version: str
    policy_digest: str


def subjects_of(request: TrialRequest, purpose: str) -> list[Subject]:
    """Everything to be screened, as `studio.jobs.subjects` does for a job.

    Args:
        request: The words.
        purpose: What the key is for.

    Raises:
        EditingError: Weights or flags in a prompt cannot be read.
    """
    given = {"negative_prompt": request.negative_prompt} if request.negative_prompt else {}
    prompt, parameters = take_flags("generate", request.prompt, given, request.prompt_flags)
    found = of_text("prompt", prompt or "")
    negative: str = parameters.get("negative_prompt", "")
    if negative:
        found += of_text("negative_prompt", negative, wording=Wording.NEGATIVE)
    for index, each in enumerate(request.second_prompts):
        found += of_text(f"second_prompts[{index}]", each)
    found += [of_name(f"names[{index}]", each) for index, each in enumerate(request.names)]
    return [*found, of_purpose(purpose)]


def try_words(request: TrialRequest, purpose: str, policy: Policy, tolerance: int, contact: str | None) -> TrialView:
    """Judge words.

    Args:
        request: The words.
        purpose: What the key is for.
        policy: The policy in force.
        tolerance: 0 (strictest) .. 6.
        contact: Whom to appeal to, None if the operator set nobody.

    Raises:
        EditingError: Weights or flags in a prompt cannot be read.
    """
    told: dict[str, Any] = public_verdict(policy.screen(subjects_of(request, purpose), tolerance=tolerance))
    allowed = told["decision"] == Decision.ALLOW
    return TrialView(
        **told,
        categories=sorted({each["category"] for each in told["reasons"]}),
        safety_tolerance=tolerance,
        guard=NOT_ASKED,
        appeal=None if allowed else how_to_appeal(contact, None),
    )
