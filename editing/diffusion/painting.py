"""Painting: what every painter does round its sampler: steps counted, cancels heard, failures named, pixels made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch

from editing.checkpoints import Checkpoint
from editing.engine import Progress
from editing.errors import EditCancelled, EngineError
from editing.rasters import Pixels

_RUN_ERRORS = (RuntimeError, ValueError, TypeError, LookupError)


class Denoising(Protocol):
    """One run under way; made, it stands before its first step."""

    @property
    def steps(self) -> int:
        """Steps it makes, after strength."""
        ...

    def step(self, number: int) -> None:
        """Make a step: 0..steps - 1, in order."""
        ...

    def levels(self) -> np.ndarray:
        """Decode what was painted: float32 (h, w, 3), 0..1."""
        ...


def painted(
    begin: Callable[[], Denoising],
    checkpoint: Checkpoint,
    *,
    on_step: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> Pixels:
    """Carry a run out from its beginning to its pixels.

    What the callers' own functions raise is passed on as it is: it is not the model's failure.

    Args:
        begin: Encodes what the run reads, and stands it before its first step.
        checkpoint: What paints, for errors.
        on_step: Called after each step.
        cancelled: Asked before the first step and after each: the last time before decoding.

    Returns:
        uint8 (h, w, 3), 0..255.

    Raises:
        EditCancelled: `cancelled()` said so.
        EngineError: `engine_failed`.
    """
    with _failures_of(checkpoint):
        denoising = begin()
    stop_if(cancelled)
    for number in range(denoising.steps):
        with _failures_of(checkpoint):
            denoising.step(number)
        on_step(Progress(step=number + 1, steps=denoising.steps))
        stop_if(cancelled)
    with _failures_of(checkpoint):
        levels = denoising.levels()
    if not np.isfinite(levels).all():
        raise _failed(checkpoint, "gave back values that are not numbers")
    return np.asarray(np.rint(levels * 255.0), dtype=np.uint8)


def stop_if(cancelled: Callable[[], bool]) -> None:
    """End an edit that was cancelled.

    Args:
        cancelled: Whether it was.

    Raises:
        EditCancelled: `cancelled()` said so.
    """
    if cancelled():
        raise EditCancelled


def picture_tensor(pixels: Pixels) -> torch.Tensor:
    """Lay a picture out for an autoencoder, as diffusers' image processor does: its rounding, and its order in memory.

    Args:
        pixels: uint8 (h, w, 3), 0..255.

    Returns:
        float32 (1, 3, h, w), -1..1. In memory the channels lie innermost: laid out otherwise, convolutions add up in
        another order, and the last bits differ.
    """
    levels = torch.from_numpy(np.ascontiguousarray(pixels).astype(np.float32) / 255.0)
    return 2.0 * levels[None].permute(0, 3, 1, 2) - 1.0


@contextmanager
def _failures_of(checkpoint: Checkpoint) -> Iterator[None]:
    try:
        yield
    except _RUN_ERRORS as error:
        raise _failed(checkpoint, f"failed while it ran: {error}") from error


def _failed(checkpoint: Checkpoint, said: str) -> EngineError:
    name = checkpoint.name
    return EngineError(f"{name} {said}", code="engine_failed", field="checkpoint", value=name)
