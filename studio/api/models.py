"""GET /v1/models: the checkpoints, what they can do, their defaults and licences."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from editing.catalogue import CATALOGUE, Checkpoint, ControlDefaults, Family
from studio.api.security import Caller, services_of

router = APIRouter(prefix="/v1/models", tags=["models"])

_WEIGHTED = frozenset({Family.LORA, Family.CONTROL_LORA, Family.REDUX, Family.IP_ADAPTER})


class ModelView(BaseModel):
    """One checkpoint."""

    name: str
    family: str = Field(
        description="What kind of weights: base, fill, kontext, klein ... paint; others act beside one."
    )
    architecture: str = Field(description="Which code runs them.")
    operations: dict[str, dict[str, Any]] = Field(description="What it can do, with the defaults.")
    controls: dict[str, dict[str, Any]] = Field(description="Kinds of control it reads, with the defaults.")
    inpainting: dict[str, Any] | None = Field(
        description="Defaults of a ControlNet that can be named as `inpainting_controlnet`; null for all others."
    )
    works_with: list[str] = Field(description="Checkpoints beside which it can act, where it paints nothing by itself.")
    pictures: int = Field(description="Pictures that an instruction may speak of; 0: it takes no instructions.")
    negative_cfg: float | None = Field(
        description="True CFG scale with a negative prompt, where the request says none; null: it cannot act."
    )
    weight: float | None = Field(
        description="Weight of a LoRA or reference where the request says none; null: it is none."
    )
    native_pixels: int = Field(description="Area at which it is best, in pixels.")
    max_pixels: int = Field(description="Largest area it generates, in pixels.")
    licence: str
    licence_url: str
    accepted: bool = Field(description="Whether it may load: free, or accepted by `studio models accept`.")
    packaged: bool


class ModelPage(BaseModel):
    """All checkpoints."""

    models: list[ModelView]


@router.get("", summary="List checkpoints")
def list_models(request: Request, key: Caller) -> ModelPage:
    """List every checkpoint of the catalogue."""
    del key
    intake = services_of(request).intake
    return ModelPage(models=[model_view(each, accepted=intake.may_load(each.name)) for each in CATALOGUE.values()])


def model_view(checkpoint: Checkpoint, *, accepted: bool) -> ModelView:
    """Show a checkpoint."""
    return ModelView(
        name=checkpoint.name,
        family=checkpoint.family.value,
        architecture=checkpoint.architecture.value,
        operations={
            name.value: {
                "steps": each.steps,
                "guidance": each.guidance,
                "strength": each.strength,
                "true_cfg": each.true_cfg,
            }
            for name, each in checkpoint.defaults.items()
        },
        controls={kind.value: _control_defaults(each) for kind, each in checkpoint.controls.items()},
        inpainting=None if checkpoint.inpainting is None else _control_defaults(checkpoint.inpainting),
        works_with=[] if checkpoint.paints else [c.name for c in CATALOGUE.values() if c.paints and checkpoint.fits(c)],
        pictures=checkpoint.pictures,
        negative_cfg=checkpoint.negative_cfg,
        weight=checkpoint.weight if checkpoint.family in _WEIGHTED else None,
        native_pixels=checkpoint.native_pixels,
        max_pixels=checkpoint.max_pixels,
        licence=checkpoint.licence,
        licence_url=checkpoint.licence_url,
        accepted=accepted,
        packaged=checkpoint.packaged is not None,
    )


def _control_defaults(defaults: ControlDefaults) -> dict[str, Any]:
    return {"scale": defaults.scale, "start": defaults.start, "end": defaults.end}
