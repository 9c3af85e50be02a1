"""Pixels in, pixels out: masks, canvases, control images and the FLUX pipelines.

Outside the uploaded mask not one pixel value changes, on every route. This package knows nothing of HTTP, users, policy
or databases, and imports no torch outside `editing.flux` and `editing.mini.training`.
"""

from editing.engine import EditedImage, EditEngine, EditFacts, Progress
from editing.errors import EditCancelled, EditingError, EngineError, MaskError, OperationError, PictureError
from editing.operations import (
    Blend,
    Control,
    ControlKind,
    ControlMode,
    Erase,
    Generate,
    Inpaint,
    Operation,
    OperationName,
    Outpaint,
    Sampling,
)
from editing.placement import Placement
from editing.rasters import Mask, Pixels, Plane, Raster

__all__ = [
    "Blend",
    "Control",
    "ControlKind",
    "ControlMode",
    "EditCancelled",
    "EditEngine",
    "EditFacts",
    "EditedImage",
    "EditingError",
    "EngineError",
    "Erase",
    "Generate",
    "Inpaint",
    "Mask",
    "MaskError",
    "Operation",
    "OperationError",
    "OperationName",
    "Outpaint",
    "PictureError",
    "Pixels",
    "Placement",
    "Plane",
    "Progress",
    "Raster",
    "Sampling",
]
