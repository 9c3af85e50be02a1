"""From what a job stores to what steers its model: parameters and pictures become `editing.Guides`. Pure."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from editing import (
    Control,
    ControlKind,
    ControlMode,
    Detector,
    Embedding,
    Guides,
    Lora,
    OperationError,
    Raster,
    Reference,
    ReferenceKind,
)

Picture = Callable[[str, str], Raster]
"""(place in the request, digest) -> the picture, decoded and remembered."""

THRESHOLDS = {"low": 100, "high": 200}
"""Canny's thresholds where a request says nothing."""


@contextmanager
def under(place: str) -> Iterator[None]:
    """Let errors name the whole place of a field: `controls[1].scale`, not `scale`; an empty place changes nothing."""
    try:
        yield
    except OperationError as error:
        error.field = ".".join(filter(None, (place, error.field))) or None
        raise


def guides_of(parameters: Mapping[str, Any], negative: str, picture: Picture) -> Guides:
    """Make the guides of a request.

    Args:
        parameters: What `studio.jobs.accept` stored: every default filled in, every picture a digest.
        negative: The negative prompt; empty for none.
        picture: Reads a picture.

    Returns:
        All that steers the model besides its prompt.

    Raises:
        EditingError: A picture cannot be read, a value is out of range, or there are too many of a kind.
    """
    return Guides(
        controls=tuple(
            _control(f"controls[{index}]", each, picture) for index, each in enumerate(parameters.get("controls", ()))
        ),
        loras=tuple(_lora(f"loras[{index}]", each) for index, each in enumerate(parameters.get("loras", ()))),
        references=tuple(
            _reference(f"references[{index}]", each, picture)
            for index, each in enumerate(parameters.get("references", ()))
        ),
        embeddings=tuple(
            _embedding(f"embeddings[{index}]", each) for index, each in enumerate(parameters.get("embeddings", ()))
        ),
        negative_prompt=negative,
    )


def _control(place: str, given: Mapping[str, Any], picture: Picture) -> Control:
    digest = given.get("image")
    seen = picture(f"{place}.image", digest) if digest else None
    with under(place):
        return Control(
            kind=ControlKind(given["kind"]),
            picture=seen,
            mode=ControlMode(given["mode"]),
            detector=Detector(given["detector"]) if "detector" in given else None,
            scale=given["scale"],
            start=given["start"],
            end=given["end"],
            checkpoint=given["checkpoint"],
            **thresholds(given),
        )


def thresholds(given: Mapping[str, Any]) -> dict[str, int]:
    """Canny's thresholds of a control or of a control map."""
    return {name: given.get(name, default) for name, default in THRESHOLDS.items()}


def _lora(place: str, given: Mapping[str, Any]) -> Lora:
    with under(place):
        return Lora(name=given["name"], weight=given["weight"], digest=given.get("digest"))


def _reference(place: str, given: Mapping[str, Any], picture: Picture) -> Reference:
    seen = picture(f"{place}.image", given["image"])
    with under(place):
        return Reference(
            kind=ReferenceKind(given["kind"]), picture=seen, checkpoint=given["checkpoint"], weight=given["weight"]
        )


def _embedding(place: str, given: Mapping[str, Any]) -> Embedding:
    with under(place):
        return Embedding(token=given["token"], digest=given["digest"])
