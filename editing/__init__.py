"""Pixels in, pixels out: masks, canvases, control images and the FLUX pipelines.

Outside the uploaded mask not one pixel value changes, on every route. This package knows nothing of HTTP, users, policy
or databases, and imports no torch outside the rooms named for it: `editing.diffusion`, `editing.flux`, `editing.flux2`,
`editing.detectors` and `editing.mini.training`.
"""

from editing.blending import Blend, Intent, Join, Prefill, Route, SeamRetry
from editing.engine import BlendFacts, EditedImage, EditEngine, EditFacts, PaintPass, Progress, SeamTry
from editing.errors import EditCancelled, EditingError, EngineError, MaskError, OperationError, PictureError
from editing.guides import (
    Control,
    ControlKind,
    ControlMode,
    Detector,
    Embedding,
    Guides,
    Lora,
    Reference,
    ReferenceKind,
)
from editing.operations import (
    ControlMap,
    Erase,
    Generate,
    Img2Img,
    Inpaint,
    Instruct,
    Operation,
    OperationName,
    Outpaint,
    Sampling,
)
from editing.placement import Placement
from editing.rasters import Mask, Pixels, Plane, Raster
from editing.seams import Seam
from editing.seeds import derived_seed

__all__ = [
    "Blend",
    "BlendFacts",
    "Control",
    "ControlKind",
    "ControlMap",
    "ControlMode",
    "Detector",
    "EditCancelled",
    "EditEngine",
    "EditFacts",
    "EditedImage",
    "EditingError",
    "Embedding",
    "EngineError",
    "Erase",
    "Generate",
    "Guides",
    "Img2Img",
    "Inpaint",
    "Instruct",
    "Intent",
    "Join",
    "Lora",
    "Mask",
    "MaskError",
    "Operation",
    "OperationError",
    "OperationName",
    "Outpaint",
    "PaintPass",
    "PictureError",
    "Pixels",
    "Placement",
    "Plane",
    "Prefill",
    "Progress",
    "Raster",
    "Reference",
    "ReferenceKind",
    "Route",
    "Sampling",
    "Seam",
    "SeamRetry",
    "SeamTry",
    "derived_seed",
]
