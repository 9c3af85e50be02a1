"""FLUX.2's published checkpoints."""

from typing import Final

from editing.checkpoints import Architecture, Checkpoint, Family, SamplingDefaults
from editing.operations import OperationName
from editing.zoo.licences import APACHE, APACHE_URL

# Distilled: four steps, and guidance is no input (the pipelines' own defaults of 50 and 8 are those of other weights).
_FOUR = SamplingDefaults(steps=4, guidance=1.0)

FLUX2: Final = (
    Checkpoint(
        name="FLUX.2-klein-4B",
        family=Family.KLEIN,
        architecture=Architecture.FLUX2,
        hub_id="black-forest-labs/FLUX.2-klein-4B",
        licence=APACHE,
        licence_url=APACHE_URL,
        pictures=4,
        defaults={
            OperationName.GENERATE: _FOUR,
            OperationName.INSTRUCT: _FOUR,
            OperationName.INPAINT: _FOUR,
            OperationName.OUTPAINT: _FOUR,
        },
    ),
)
