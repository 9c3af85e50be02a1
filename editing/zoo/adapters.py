"""What is laid over a FLUX.1 checkpoint: control LoRAs, LoRAs, Redux and image prompt adapters."""

from collections.abc import Mapping
from typing import Any, Final

from editing.checkpoints import Checkpoint, ControlDefaults, Family
from editing.guides import ControlKind
from editing.zoo.licences import DEV, DEV_REASON, DEV_URL

_DEV: Final[Mapping[str, Any]] = {
    "licence": DEV,
    "licence_url": DEV_URL,
    "acceptance_reason": DEV_REASON,
    "works_with": frozenset({"FLUX.1-dev"}),
}

ADAPTERS: Final = (
    Checkpoint(
        name="FLUX.1-Canny-dev-lora",
        family=Family.CONTROL_LORA,
        hub_id="black-forest-labs/FLUX.1-Canny-dev-lora",
        controls={ControlKind.CANNY: ControlDefaults(scale=0.85)},
        **_DEV,
    ),
    Checkpoint(
        name="FLUX.1-Depth-dev-lora",
        family=Family.CONTROL_LORA,
        hub_id="black-forest-labs/FLUX.1-Depth-dev-lora",
        controls={ControlKind.DEPTH: ControlDefaults(scale=0.85)},
        **_DEV,
    ),
    Checkpoint(
        name="FLUX.1-Redux-dev",
        family=Family.REDUX,
        hub_id="black-forest-labs/FLUX.1-Redux-dev",
        **_DEV,
    ),
    Checkpoint(
        name="flux-ip-adapter",
        family=Family.IP_ADAPTER,
        hub_id="XLabs-AI/flux-ip-adapter",
        weight=0.7,
        **_DEV,
    ),
)
