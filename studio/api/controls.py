"""POST /v1/controls/{kind}: the control image of a picture, to look at; GET /v1/controls: what can make which kind."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from editing import ControlKind
from editing.catalogue import CATALOGUE, find
from editing.detecting import DETECTORS, detectors_of
from studio.api.edits import documented, take_in
from studio.api.security import Caller, Creator, services_of
from studio.api.views import JobView
from studio.jobs.accept import Intake
from studio.jobs.requests import ControlMapRequest

router = APIRouter(prefix="/v1/controls", tags=["controls"])

Kind = Annotated[str, Path(json_schema_extra={"enum": [each.value for each in ControlKind]}, examples=["soft_edge"])]
"""Judged with the body, so that a wrong one is a problem like that of any other field."""


class DetectorWeightsView(BaseModel):
    """Weights that a detector needs."""

    checkpoint: str
    licence: str
    licence_url: str
    accepted: bool = Field(description="Whether they may load: free, or accepted by `studio models accept`.")
    found: bool = Field(description="Whether they are on this machine.")


class DetectorView(BaseModel):
    """What makes a control image of a picture."""

    name: str
    at_hand: bool = Field(description="Whether it can run here now.")
    weights: list[DetectorWeightsView] = Field(description="What it needs; none for those without weights.")


class ControlKindView(BaseModel):
    """One kind of control."""

    kind: str
    detectors: list[DetectorView] = Field(
        description="The better first; a control that names none gets the first at hand."
    )
    read_by: list[str] = Field(description="Checkpoints that read such control images.")


class ControlKinds(BaseModel):
    """Every kind of control."""

    controls: list[ControlKindView]


@router.get("", summary="List kinds of control")
def list_controls(request: Request, key: Caller) -> ControlKinds:
    """List what a control image can show, what makes it of a picture, and what reads it."""
    del key
    intake = services_of(request).intake
    return ControlKinds(controls=[_kind_view(kind, intake) for kind in ControlKind])


@router.post("/{kind}", summary="Make a control image", **documented(ControlMapRequest))
async def make_control(kind: Kind, request: Request, response: Response, key: Creator) -> JobView:
    """Queue a short job that makes the control image of a picture, at its size, as an ordinary PNG of yours.

    Look at it, mend it, and give it to an edit as `{"kind": ..., "image": <its digest>, "mode": "as_is"}`. `kind` is
    one of those in `GET /v1/controls`.
    """
    return await take_in(request, response, key, ControlMapRequest, said={"kind": kind})


def _kind_view(kind: ControlKind, intake: Intake) -> ControlKindView:
    return ControlKindView(
        kind=kind.value,
        detectors=[
            DetectorView(
                name=detector.value,
                at_hand=all(map(intake.at_hand, DETECTORS[detector].checkpoints)),
                weights=[_weights_view(name, intake) for name in DETECTORS[detector].checkpoints],
            )
            for detector in detectors_of(kind)
        ],
        read_by=[each.name for each in CATALOGUE.values() if kind in each.controls],
    )


def _weights_view(name: str, intake: Intake) -> DetectorWeightsView:
    checkpoint = find(name)
    return DetectorWeightsView(
        checkpoint=name,
        licence=checkpoint.licence,
        licence_url=checkpoint.licence_url,
        accepted=intake.may_load(name),
        found=intake.found(name),
    )
