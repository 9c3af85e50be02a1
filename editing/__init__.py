"""Pixels in, pixels out: masks, canvases, control images and the FLUX pipelines.

Outside the uploaded mask not one pixel value changes, on every route. This package knows nothing of HTTP, users, policy
or databases, and imports no torch outside `editing.flux` and `editing.mini.training`.
"""

from editing.catalogue import check_operation
from editing.colour import srgb_pixels
from editing.controls import canny
from editing.decoding import MaskPolarity, MaskReading, decode_mask, decode_picture, read_mask
from editing.encoding import OutputFormat, encode_picture, is_lossless, media_type
from editing.engine import EditedImage, EditEngine, EditFacts, Progress
from editing.errors import EditCancelled, EditingError, EngineError, MaskError, OperationError, PictureError
from editing.opening import PictureLimits
from editing.operations import (
    BLEND_PIXELS,
    CANNY_THRESHOLD,
    CONTROL_SCALE,
    GUIDANCE,
    SEED,
    SIDE,
    STEPS,
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
from editing.rasters import Mask, Pixels, Raster
from editing.sniffing import sniff_media_type

__all__ = [
    "BLEND_PIXELS",
    "CANNY_THRESHOLD",
    "CONTROL_SCALE",
    "GUIDANCE",
    "SEED",
    "SIDE",
    "STEPS",
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
    "MaskPolarity",
    "MaskReading",
    "Operation",
    "OperationError",
    "OperationName",
    "Outpaint",
    "OutputFormat",
    "PictureError",
    "PictureLimits",
    "Pixels",
    "Placement",
    "Progress",
    "Raster",
    "Sampling",
    "canny",
    "check_operation",
    "decode_mask",
    "decode_picture",
    "encode_picture",
    "is_lossless",
    "media_type",
    "read_mask",
    "sniff_media_type",
    "srgb_pixels",
]
