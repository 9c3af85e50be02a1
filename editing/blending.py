"""Blending: how an edit meets the pixels that stay, and what an edit is for.

Two masks are made from the uploaded one. The denoise mask (grown, then softened outwards) tells the model where to
paint and when; the composite mask (feathered inwards) says which pixels of the result are the model's. Only the second
decides what changes, and it never leaves the uploaded mask unless `spill` says so.
"""

from dataclasses import dataclass
from enum import StrEnum

from editing.errors import OperationError, within

BLEND_PIXELS = (0, 1024)
SEAM_LIMIT = (0.0, 1000.0)
SEAM_RETRIES = (1, 8)


class Intent(StrEnum):
    """What an edit is for: it chooses the defaults of everything in `Blend` that the request leaves open."""

    FILL = "fill"
    """Something new in place of what is there (the default of inpaint)."""
    ADD = "add"
    """Something new in front of what stays: its surroundings inside the mask should survive."""
    REMOVE = "remove"
    """Nothing but a continued background (erase)."""
    REPLACE_BACKGROUND = "replace_background"
    """All but a subject: the mask's edge is the subject's outline."""
    EXPAND = "expand"
    """More picture beyond the borders (outpaint)."""


class Prefill(StrEnum):
    """What lies under the mask when a model starts from what is there."""

    KEEP = "keep"
    """What the picture shows there."""
    REPLICATE = "replicate"
    """The nearest kept pixel."""
    NAVIER_STOKES = "navier_stokes"
    """Bertalmio, Bertozzi and Sapiro 2001, by OpenCV."""
    TELEA = "telea"
    """Telea 2004, by OpenCV."""
    BLUR = "blur"
    """The nearest kept pixels, blurred: only their colour."""
    NOISE = "noise"
    """Seeded noise about the colours of the border."""


class Join(StrEnum):
    """How painted pixels are laid over the picture."""

    SOFT = "soft"
    """Through the feathered mask."""
    POISSON = "poisson"
    """In the gradient domain (Perez, Gangnet and Blake 2003): the painted gradients, the picture's border values."""


class Route(StrEnum):
    """How a model is made to paint only a part."""

    FILL = "fill"
    """A Fill checkpoint, which reads the masked picture and the mask beside the noise."""
    LATENT_MERGE = "latent_merge"
    """A base checkpoint; after every step the kept latents are put back, noised to that step."""
    INPAINTING_CONTROLNET = "inpainting_controlnet"
    """A base checkpoint steered by a ControlNet that reads the masked picture and the mask, and latents merged."""
    REFERENCE_MERGE = "reference_merge"
    """A checkpoint that takes instructions: it sees the whole crop as a reference while latents are merged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamRetry:
    """Whether to paint again when the seam shows.

    Attributes:
        limit: Seam score over which it is painted again, on another seed derived from the first.
        attempts: How often at most, 1..8; the best is kept.

    Raises:
        OperationError: `seam_retry_out_of_range`.
    """

    limit: float
    attempts: int = 1

    def __post_init__(self) -> None:
        within("seam_retry_out_of_range", "seam_limit", self.limit, SEAM_LIMIT)
        within("seam_retry_out_of_range", "seam_retries", self.attempts, SEAM_RETRIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """How an edit meets the pixels that stay. None is: chosen from the intent, the route and the mask's size.

    Attributes:
        intent: What the edit is for; None is the operation's own.
        grow: Pixels by which the model's mask is widened; never what is pasted back.
        soften: Width in pixels, beyond that, over which the model's mask fades: fainter values switch on later.
        feather: Width in pixels of the soft edge, inside the mask.
        context: Pixels of surroundings shown to the model.
        spill: Let the soft edge lie outside the mask. The record then says `exact_outside_mask: false`.
        prefill: What lies under the mask at the start. Refused where it has no effect (Fill at strength 1).
        join: How painted pixels are laid over the picture. None: softly, but for strokes too thin for a soft edge.
        match_colour: Take the model's colour shift out, as measured on the kept ring.
        match_grain: Give what was painted the noise of what was kept.

    Raises:
        OperationError: `blend_out_of_range`, or `blend_contradictory` for choices that cannot both be had.
    """

    intent: Intent | None = None
    grow: int | None = None
    soften: int | None = None
    feather: int | None = None
    context: int | None = None
    spill: bool = False
    prefill: Prefill | None = None
    join: Join | None = None
    match_colour: bool = True
    match_grain: bool = True

    def __post_init__(self) -> None:
        for name in ("grow", "soften", "feather", "context"):
            value = getattr(self, name)
            if value is not None:
                within("blend_out_of_range", name, value, BLEND_PIXELS)
        if self.join is Join.POISSON:
            self._check_poisson()

    def _check_poisson(self) -> None:
        if self.spill:
            raise _contradictory("spill", "a Poisson join takes the border's own values: nothing can spill over it")
        if not self.match_colour:
            raise _contradictory("match_colour", "a Poisson join is a colour match: it cannot be had without")
        if self.intent is Intent.REPLACE_BACKGROUND:
            raise _contradictory("join", "a Poisson join would tint the new background with the subject's colours")

    def intended(self, allowed: tuple[Intent, ...]) -> Intent:
        """Settle what an edit is for.

        Args:
            allowed: What the operation can be for, its own purpose first.

        Returns:
            The intent of the request, or the operation's own.

        Raises:
            OperationError: `intent_contradictory`, if the operation is not for that.
        """
        intent = self.intent or allowed[0]
        if intent not in allowed:
            elsewhere = {Intent.REMOVE: "erase", Intent.EXPAND: "outpaint"}.get(intent, "inpaint")
            raise OperationError(
                f"intent {intent.value} belongs to {elsewhere}; here it can be {', '.join(allowed)}",
                code="intent_contradictory",
                field="intent",
                value=intent.value,
                limit=[each.value for each in allowed],
            )
        return intent


def _contradictory(field: str, reason: str) -> OperationError:
    return OperationError(reason, code="blend_contradictory", field=field)
