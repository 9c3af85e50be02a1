"""POST /v1/tokens: how a prompt is read, tokenised, weighted and cut off, before anything is painted.

Nothing is screened here: no picture is made, nothing is stored, and the answer holds no word that was not asked about.
Nor is a licence needed to look at how a checkpoint cuts words.
"""

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from editing import EngineError
from editing.catalogue import Checkpoint, find, pick
from editing.diffusion.weights import locate
from editing.prompts import Prompt, parse_prompt, require_plain
from editing.tokens import Reading, Tokenizers
from studio.api.bodies import read_body
from studio.api.security import Caller, services_of
from studio.bootstrap import Services, weights_of
from studio.jobs.fields import Text
from studio.jobs.flags import settle_size, take_flags
from studio.problems import Problem

router = APIRouter(prefix="/v1/tokens", tags=["models"])


class TokensRequest(BaseModel):
    """A prompt to look at, with what decides how it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Text = Field(description="As you would give it to an edit: weights and flags in it.")
    negative_prompt: Text = ""
    checkpoint: str | None = Field(None, max_length=200, description="Absent: the one an edit would run on.")
    operation: Literal["generate", "img2img", "inpaint", "outpaint", "instruct"] = Field(
        "generate", description="The edit it is meant for; it decides which flags mean something."
    )
    prompt_flags: bool = Field(default=False, description="Whether flags other than --ar are understood.")


class PartView(BaseModel):
    """A stretch of the prompt with one weight."""

    text: str
    weight: float


class TokenView(BaseModel):
    """One token that the model reads."""

    text: str = Field(description="What it stands for in the plain prompt; its own name if it is special.")
    id: int
    start: int = Field(description="Where it begins in the plain prompt, in characters.")
    end: int
    weight: float
    special: bool = Field(description="Whether it is not of the prompt but added to it.")


class ReadingView(BaseModel):
    """How one text encoder reads the prompt."""

    encoder: str = Field(description="clip (the mood of the whole), t5 or qwen3 (the words).")
    used: int = Field(description="Tokens it reads.")
    needed: int = Field(description="Tokens the whole prompt would take.")
    limit: int
    truncated: str = Field(description="The end of the prompt that it does not read; it has no effect.")
    tokens: list[TokenView]


class PromptView(BaseModel):
    """A prompt taken apart."""

    plain: str = Field(description="Without weights, escapes and flags.")
    parts: list[PartView]
    encoders: list[ReadingView]


class TokensView(BaseModel):
    """What a checkpoint reads."""

    checkpoint: str
    prompt: PromptView
    negative_prompt: PromptView | None
    parameters: dict[str, Any] = Field(description="What the flags say: aspect_ratio with its size, seed, steps.")


_BODY = {"content": {"application/json": {"schema": TokensRequest.model_json_schema()}}, "required": True}


@router.post("", summary="See how a prompt is read", openapi_extra={"requestBody": _BODY})
async def read_tokens(request: Request, key: Caller) -> TokensView:
    """Show how the text encoders of a checkpoint read a prompt: each token, its weight, and what is cut off.

    FLUX.1 reads a prompt twice: CLIP 77 tokens of it, T5 up to 512. Of FLUX.2, its language model reads it.
    """
    del key
    services = services_of(request)
    body = await read_body(request, TokensRequest, max_part_bytes=services.settings.max_upload_bytes)
    return await run_in_threadpool(_view, body, services, request.app.state.tokenizers)


def _view(body: TokensRequest, services: Services, tokenizers: Tokenizers) -> TokensView:
    asked = {"negative_prompt": body.negative_prompt} if body.negative_prompt else {}
    text, parameters = take_flags(body.operation, body.prompt, asked, body.prompt_flags)
    prompt = parse_prompt(text or "")
    without = parameters.pop("negative_prompt", "")
    negative = parse_prompt(without, place="negative_prompt")
    checkpoint = find(body.checkpoint or pick(body.operation, prefer=services.intake.prefer))
    require_plain(text or "", checkpoint)
    require_plain(without, checkpoint, place="negative_prompt")
    parameters = settle_size(body.operation, parameters, checkpoint.native_pixels, checkpoint.max_pixels)
    if "seed" in parameters:
        parameters["seed"] = str(parameters["seed"])  # as jobs show it: beyond what JSON numbers hold exactly

    def read(each: Prompt) -> PromptView:
        return _prompt_view(each, _readings(checkpoint, each, services, tokenizers))

    return TokensView(
        checkpoint=checkpoint.name,
        prompt=read(prompt),
        negative_prompt=read(negative) if negative.parts else None,
        parameters=parameters,
    )


def _readings(
    checkpoint: Checkpoint, prompt: Prompt, services: Services, tokenizers: Tokenizers
) -> tuple[Reading, ...]:
    try:
        folder = locate(checkpoint, weights_of(services.settings)).folder
    except EngineError as error:
        raise Problem(
            error.code,
            f"{checkpoint.name} is not on this machine; an operator must fetch it, or name its folder in "
            "STUDIO_WEIGHTS. GET /v1/models lists the others.",
            "checkpoint",
            checkpoint.name,
        ) from error
    return tokenizers.read(checkpoint, folder, prompt)


def _prompt_view(prompt: Prompt, readings: tuple[Reading, ...]) -> PromptView:
    return PromptView(
        plain=prompt.plain,
        parts=[PartView(text=part.text, weight=part.weight) for part in prompt.parts],
        encoders=[
            ReadingView(
                encoder=each.encoder,
                used=len(each.tokens),
                needed=each.needed,
                limit=each.limit,
                truncated=each.truncated,
                tokens=[
                    TokenView(
                        text=token.text,
                        id=token.id,
                        start=token.start,
                        end=token.end,
                        weight=token.weight,
                        special=token.special,
                    )
                    for token in each.tokens
                ],
            )
            for each in readings
        ],
    )
