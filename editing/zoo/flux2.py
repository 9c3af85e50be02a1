"""FLUX.2's published checkpoints that paint: the [klein] family.

Steps and guidance are those of the makers' cards. Distilled weights take four steps, and guidance is no input of theirs
(the pipelines' own defaults of 50 and 8 are those of other weights); undistilled ones are guided by true CFG alone.
"""

from collections.abc import Mapping
from typing import Any, Final

from editing.checkpoints import Architecture, Checkpoint, Family, SamplingDefaults
from editing.operations import OperationName
from editing.zoo.licences import APACHE, APACHE_URL

NON_COMMERCIAL: Final = "FLUX Non-Commercial License"
NON_COMMERCIAL_URL: Final = "https://huggingface.co/black-forest-labs/FLUX.2-klein-9B/blob/main/LICENSE.md"
NON_COMMERCIAL_REASON: Final = (
    "The licence allows non-commercial use only and asks you to filter prompts and outputs for unlawful content."
)

_KLEIN: Final[Mapping[str, Any]] = {
    "family": Family.KLEIN,
    "architecture": Architecture.FLUX2,
    "guided": False,
    "pictures": 4,
    "max_pixels": 2048 * 2048,
}
_OPERATIONS: Final = (OperationName.GENERATE, OperationName.INSTRUCT, OperationName.INPAINT, OperationName.OUTPAINT)
_FOUR: Final = dict.fromkeys(_OPERATIONS, SamplingDefaults(steps=4, guidance=1.0))
_FIFTY: Final = dict.fromkeys(_OPERATIONS, SamplingDefaults(steps=50, guidance=1.0, true_cfg=4.0))

FLUX2: Final = (
    Checkpoint(
        name="FLUX.2-klein-4B",
        hub_id="black-forest-labs/FLUX.2-klein-4B",
        licence=APACHE,
        licence_url=APACHE_URL,
        defaults=_FOUR,
        **_KLEIN,
    ),
    Checkpoint(
        name="FLUX.2-klein-9B",
        hub_id="black-forest-labs/FLUX.2-klein-9B",
        licence=NON_COMMERCIAL,
        licence_url=NON_COMMERCIAL_URL,
        acceptance_reason=NON_COMMERCIAL_REASON,
        defaults=_FOUR,
        **_KLEIN,
    ),
    Checkpoint(
        name="FLUX.2-klein-base-4B",
        hub_id="black-forest-labs/FLUX.2-klein-base-4B",
        licence=APACHE,
        licence_url=APACHE_URL,
        negative_cfg=4.0,
        defaults=_FIFTY,
        **_KLEIN,
    ),
)
