"""Seams: how visible the border of an edit is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """How visible the border between painted and kept pixels is.

    Attributes:
        border_de: Mean step in colour (CIE76 dE) across the border.
        own_de: The same step measured beside the border, among kept pixels: the picture's own gradient there.
        score: `border_de` over `own_de` (with a floor): about 1 is as smooth as the picture itself.
        length: Border pixels measured.
    """

    border_de: float
    own_de: float
    score: float
    length: int
