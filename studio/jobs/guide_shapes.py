"""The shapes of what steers a model besides its prompt: controls, LoRAs, references, learnt words, negative prompts."""

from typing import Annotated

from pydantic import Field

from editing import ControlKind, ControlMode, Detector, ReferenceKind
from editing.guides import (
    CANNY_THRESHOLD,
    CONTROL_SCALE,
    LORA_WEIGHT,
    MAX_CONTROLS,
    MAX_EMBEDDINGS,
    MAX_LORAS,
    MAX_REFERENCES,
    REFERENCE_WEIGHT,
)
from editing.operations import TRUE_CFG
from studio.jobs.fields import Number, Picture, Shape, Text, Whole, limits

NAME_LIMIT = 200
"""Longest name of a checkpoint or of an uploaded file, in characters."""

Name = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]
Low = Annotated[
    Whole | None,
    Field(json_schema_extra=limits(CANNY_THRESHOLD), description="Lower Canny threshold; absent: 100."),
]
High = Annotated[
    Whole | None,
    Field(json_schema_extra=limits(CANNY_THRESHOLD), description="Upper Canny threshold; absent: 200."),
]


class ControlShape(Shape):
    """A control image that steers structure."""

    kind: ControlKind = ControlKind.CANNY
    image: Picture | None = Field(
        None, description="What it is made of; absent: the picture being edited. Another size is scaled to fit."
    )
    mode: ControlMode = Field(
        ControlMode.PREPROCESS, description="Make a control image of the image, or use it as it is: it already is one."
    )
    detector: Detector | None = Field(
        None, description="What makes it; see GET /v1/controls. Absent: the best whose weights are on this machine."
    )
    low: Low = None
    high: High = None
    scale: Number | None = Field(
        None, json_schema_extra=limits(CONTROL_SCALE), description="Conditioning scale; absent: as its maker says."
    )
    start: Number | None = Field(None, json_schema_extra=limits((0, 1)), description="Share of steps where it begins.")
    end: Number | None = Field(None, json_schema_extra=limits((0, 1)), description="Share of steps where it ends.")
    checkpoint: Name | None = Field(
        None, description="What reads it: a ControlNet or control LoRA of the catalogue; absent: the first that fits."
    )


class LoraShape(Shape):
    """Low-rank weights added to the model's own."""

    name: Name = Field(description="Name in GET /v1/models, or of an uploaded one, or its digest.")
    weight: Number | None = Field(
        None, json_schema_extra=limits(LORA_WEIGHT), description="How much of it is added; absent: as its maker says."
    )


class ReferenceShape(Shape):
    """A picture that the result shall resemble."""

    kind: ReferenceKind
    image: Picture
    weight: Number | None = Field(
        None, json_schema_extra=limits(REFERENCE_WEIGHT), description="How much it counts; absent: as its maker says."
    )
    checkpoint: Name | None = Field(None, description="What reads it; absent: the first of its kind that fits.")


class EmbeddingShape(Shape):
    """A learnt word, uploaded before."""

    name: Name = Field(description="Name of an uploaded one, or its digest.")
    token: Name | None = Field(None, description="The prompt says it as <token>; absent: its name.")


class Worded(Shape):
    """What every prompted request takes beside its prompt."""

    negative_prompt: Text = Field(
        "", description="What the picture shall not show; acts through true_cfg, at twice the time."
    )
    true_cfg: Number | None = Field(
        None,
        json_schema_extra=limits(TRUE_CFG),
        description="Scale of classifier-free guidance; 1 is off. Absent: off, or the checkpoint's own with a negative "
        "prompt.",
    )
    prompt_flags: bool = Field(
        default=False, description="Read --seed, --steps and --no at the prompt's end, as --ar is always read."
    )
    loras: tuple[LoraShape, ...] = Field((), max_length=MAX_LORAS)
    embeddings: tuple[EmbeddingShape, ...] = Field((), max_length=MAX_EMBEDDINGS)


class Guided(Worded):
    """What every prompted request takes that is not an instruction."""

    controls: tuple[ControlShape, ...] = Field((), max_length=MAX_CONTROLS)
    references: tuple[ReferenceShape, ...] = Field((), max_length=MAX_REFERENCES)
