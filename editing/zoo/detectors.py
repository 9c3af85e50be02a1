"""Detectors: what makes control images; weights and licences of those that have any."""

from typing import Final

from editing.checkpoints import Architecture, Checkpoint, Family
from editing.zoo.licences import APACHE, APACHE_URL

DETECTORS: Final = (
    Checkpoint(
        name="opencv",
        family=Family.DETECTOR,
        architecture=Architecture.DETECTOR,
        licence=APACHE,
        licence_url=APACHE_URL,
    ),
)
