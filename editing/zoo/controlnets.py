"""ControlNets for FLUX.1 [dev], with the weights and spans that their makers' cards recommend."""

from collections.abc import Mapping
from typing import Any, Final

from editing.checkpoints import Checkpoint, ControlDefaults, Family
from editing.guides import ControlKind
from editing.zoo.licences import DEV, DEV_REASON, DEV_URL

_NET: Final[Mapping[str, Any]] = {
    "family": Family.CONTROLNET,
    "licence": DEV,
    "licence_url": DEV_URL,
    "acceptance_reason": DEV_REASON,
    "works_with": frozenset({"FLUX.1-dev"}),
}

CONTROLNETS: Final = (
    Checkpoint(
        name="FLUX.1-dev-ControlNet-Union-Pro-2.0",
        hub_id="Shakker-Labs/FLUX.1-dev-ControlNet-Union-Pro-2.0",
        # It sees by itself which kind it reads: it has no mode embedding, and gets no number.
        controls={
            ControlKind.CANNY: ControlDefaults(scale=0.7, end=0.8),
            ControlKind.SOFT_EDGE: ControlDefaults(scale=0.7, end=0.8),
            ControlKind.DEPTH: ControlDefaults(scale=0.8, end=0.8),
            ControlKind.POSE: ControlDefaults(scale=0.9, end=0.65),
            ControlKind.GREY: ControlDefaults(scale=0.9, end=0.8),
        },
        **_NET,
    ),
    Checkpoint(
        name="FLUX.1-dev-Controlnet-Union",
        hub_id="InstantX/FLUX.1-dev-Controlnet-Union",
        # Grey is left out: its card marks that mode as low in validity.
        controls={
            ControlKind.CANNY: ControlDefaults(scale=0.5, end=0.8),
            ControlKind.TILE: ControlDefaults(scale=0.5, end=1.0),
            ControlKind.DEPTH: ControlDefaults(scale=0.5, end=0.8),
            ControlKind.BLUR: ControlDefaults(scale=0.5, end=1.0),
            ControlKind.POSE: ControlDefaults(scale=0.5, end=0.65),
            ControlKind.LOW_QUALITY: ControlDefaults(scale=0.5, end=1.0),
        },
        control_modes={
            ControlKind.CANNY: 0,
            ControlKind.TILE: 1,
            ControlKind.DEPTH: 2,
            ControlKind.BLUR: 3,
            ControlKind.POSE: 4,
            ControlKind.LOW_QUALITY: 6,
        },
        **_NET,
    ),
    Checkpoint(
        name="Flux.1-dev-Controlnet-Depth",
        hub_id="jasperai/Flux.1-dev-Controlnet-Depth",
        controls={ControlKind.DEPTH: ControlDefaults(scale=0.6)},
        **_NET,
    ),
    Checkpoint(
        name="Flux.1-dev-Controlnet-Surface-Normals",
        hub_id="jasperai/Flux.1-dev-Controlnet-Surface-Normals",
        controls={ControlKind.NORMAL: ControlDefaults(scale=0.6)},
        **_NET,
    ),
    Checkpoint(
        name="Flux.1-dev-Controlnet-Upscaler",
        hub_id="jasperai/Flux.1-dev-Controlnet-Upscaler",
        controls={ControlKind.LOW_QUALITY: ControlDefaults(scale=0.6), ControlKind.TILE: ControlDefaults(scale=0.6)},
        **_NET,
    ),
    Checkpoint(
        name="FLUX.1-dev-LineArt",
        hub_id="promeai/FLUX.1-controlnet-lineart-promeai",
        controls={ControlKind.LINE_ART: ControlDefaults(scale=0.6)},
        **_NET,
    ),
    Checkpoint(
        name="FLUX.1-dev-Controlnet-Inpainting-Beta",
        hub_id="alimama-creative/FLUX.1-dev-Controlnet-Inpainting-Beta",
        revision="411df2896273ed2e4c28b55248b78c5725f7aab4",
        # Its makers say 0.9 to 0.95, ending at 0.35 to 1. Half is enough here, and what Krita AI does: kept
        # latents are put back after every step anyway, so it need only settle the layout. It costs half, too.
        inpainting=ControlDefaults(scale=0.9, end=0.5),
        **_NET,
    ),
)
