"""FLUX.1's published checkpoints that paint.

Strengths of img2img: about a tenth of the picture is left in the noise it starts from, so that colours and places
stay and what the prompt names is made anew. FLUX.1 [dev] shifts its schedule towards noise by the number of tokens
(1024 x 1024: 0.75 starts at noise 0.905); flux-mini does not shift (0.9 starts at 0.917). Of schnell's four steps
0.75 skips one; anything above skips none, and ignores the picture.
"""

from collections.abc import Mapping
from typing import Any, Final

from editing.checkpoints import Checkpoint, ControlDefaults, Family, SamplingDefaults
from editing.guides import ControlKind
from editing.operations import OperationName
from editing.zoo.licences import APACHE, APACHE_URL, DEV, DEV_REASON, DEV_URL

_DEV: Final[Mapping[str, Any]] = {
    "licence": DEV,
    "licence_url": DEV_URL,
    "acceptance_reason": DEV_REASON,
    "negative_cfg": 2.0,
}
_FILLING = SamplingDefaults(steps=30, guidance=30.0)
# What a checkpoint reads as further channels acts at full weight from the first step to the last.
_WHOLE = ControlDefaults(scale=1.0)


def _controlled(guidance: float) -> Mapping[OperationName, SamplingDefaults]:
    return {
        OperationName.GENERATE: SamplingDefaults(steps=30, guidance=guidance),
        OperationName.IMG2IMG: SamplingDefaults(steps=30, guidance=guidance, strength=0.75),
        OperationName.INPAINT: SamplingDefaults(steps=30, guidance=guidance, strength=0.9),
        OperationName.OUTPAINT: SamplingDefaults(steps=30, guidance=guidance, strength=0.95),
    }


FLUX1: Final = (
    Checkpoint(
        name="FLUX.1-dev",
        family=Family.BASE,
        hub_id="black-forest-labs/FLUX.1-dev",
        revision="3de623fc3c33e44ffbe2bad470d0f45bccf2eb21",
        defaults={
            OperationName.GENERATE: SamplingDefaults(steps=28, guidance=3.5),
            OperationName.IMG2IMG: SamplingDefaults(steps=28, guidance=3.5, strength=0.75),
            OperationName.INPAINT: SamplingDefaults(steps=28, guidance=3.5, strength=0.9),
            OperationName.OUTPAINT: SamplingDefaults(steps=28, guidance=3.5, strength=0.95),
        },
        **_DEV,
    ),
    Checkpoint(
        name="FLUX.1-schnell",
        family=Family.BASE,
        hub_id="black-forest-labs/FLUX.1-schnell",
        revision="741f7c3ce8b383c54771c7003378a50191e9efe9",
        licence=APACHE,
        licence_url=APACHE_URL,
        max_sequence_length=256,
        guided=False,
        negative_cfg=2.0,
        defaults={
            OperationName.GENERATE: SamplingDefaults(steps=4, guidance=0.0),
            OperationName.IMG2IMG: SamplingDefaults(steps=4, guidance=0.0, strength=0.75),
            OperationName.INPAINT: SamplingDefaults(steps=4, guidance=0.0, strength=1.0),
            OperationName.OUTPAINT: SamplingDefaults(steps=4, guidance=0.0, strength=1.0),
        },
    ),
    Checkpoint(
        name="FLUX.1-Fill-dev",
        family=Family.FILL,
        hub_id="black-forest-labs/FLUX.1-Fill-dev",
        revision="358293da0354175698b67ec8299acf928313a78a",
        derived_from="FLUX.1-dev",
        defaults={
            OperationName.INPAINT: _FILLING,
            OperationName.OUTPAINT: _FILLING,
            OperationName.ERASE: _FILLING,
        },
        **_DEV,
    ),
    # Guidance as the cards' own examples: 30 for edges, 10 for depth.
    Checkpoint(
        name="FLUX.1-Canny-dev",
        family=Family.CONTROL,
        hub_id="black-forest-labs/FLUX.1-Canny-dev",
        derived_from="FLUX.1-dev",
        controls={ControlKind.CANNY: _WHOLE},
        defaults=_controlled(30.0),
        **_DEV,
    ),
    Checkpoint(
        name="FLUX.1-Depth-dev",
        family=Family.CONTROL,
        hub_id="black-forest-labs/FLUX.1-Depth-dev",
        derived_from="FLUX.1-dev",
        controls={ControlKind.DEPTH: _WHOLE},
        defaults=_controlled(10.0),
        **_DEV,
    ),
    Checkpoint(
        name="FLUX.1-Kontext-dev",
        family=Family.KONTEXT,
        hub_id="black-forest-labs/FLUX.1-Kontext-dev",
        derived_from="FLUX.1-dev",
        pictures=1,
        defaults={
            OperationName.INSTRUCT: SamplingDefaults(steps=28, guidance=2.5),
            OperationName.INPAINT: SamplingDefaults(steps=28, guidance=2.5, strength=1.0),
        },
        **_DEV,
    ),
)
