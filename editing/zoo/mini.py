"""The flux-mini family: packaged, tiny, and freely licensed."""

from collections.abc import Mapping
from typing import Any, Final

from editing.checkpoints import Checkpoint, ControlDefaults, Family, SamplingDefaults
from editing.guides import ControlKind
from editing.operations import OperationName
from editing.zoo.licences import APACHE, APACHE_URL

_MINI: Final[Mapping[str, Any]] = {
    "licence": APACHE,
    "licence_url": APACHE_URL,
    "native_pixels": 128 * 128,
    "smallest_pixels": 128 * 128,
    "max_pixels": 256 * 256,
    "max_sequence_length": 16,
    "bucket": 16,
    "outpaint_passes": 4,
}
_FILLING = SamplingDefaults(steps=24, guidance=30.0)

MINI: Final = (
    Checkpoint(
        name="flux-mini",
        family=Family.BASE,
        packaged="flux-mini",
        negative_cfg=2.0,
        defaults={
            OperationName.GENERATE: SamplingDefaults(steps=24, guidance=3.5),
            OperationName.IMG2IMG: SamplingDefaults(steps=24, guidance=3.5, strength=0.9),
            OperationName.INPAINT: SamplingDefaults(steps=24, guidance=3.5, strength=1.0),
            OperationName.OUTPAINT: SamplingDefaults(steps=24, guidance=3.5, strength=0.95),
        },
        **_MINI,
    ),
    Checkpoint(
        name="flux-mini-fill",
        family=Family.FILL,
        packaged="flux-mini-fill",
        derived_from="flux-mini",
        negative_cfg=2.0,
        defaults={
            OperationName.INPAINT: _FILLING,
            OperationName.OUTPAINT: _FILLING,
            OperationName.ERASE: _FILLING,
        },
        **_MINI,
    ),
    Checkpoint(
        name="flux-mini-canny",
        family=Family.CONTROLNET,
        packaged="flux-mini-canny",
        controls={ControlKind.CANNY: ControlDefaults(scale=1.0)},
        works_with=frozenset({"flux-mini"}),
        **_MINI,
    ),
    Checkpoint(
        name="flux-mini-union",
        family=Family.CONTROLNET,
        packaged="flux-mini-union",
        controls={kind: ControlDefaults(scale=1.0) for kind in ControlKind if kind is not ControlKind.POSE},
        works_with=frozenset({"flux-mini"}),
        **_MINI,
    ),
    *(
        Checkpoint(name=name, family=Family.LORA, packaged=name, works_with=frozenset({"flux-mini"}), **_MINI)
        for name in ("flux-mini-neon", "flux-mini-stripes")
    ),
)
"""Shapes have no pose: the union net reads every other kind of control image."""
