"""Opening: everything that a picture's header can refuse, before a pixel of it is decoded.

Pillow guards against decompression bombs by warnings and by a limit of its own; both are global state. Here its file
readers are called directly, and the header is held against our limits instead.
"""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from editing.errors import PictureError
from editing.sniffing import ACCEPTED, sniff_media_type

PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's readers raise on damaged files; a fuzz test holds this list against them."""

_READERS = {
    "image/png": PngImagePlugin.PngImageFile,
    "image/jpeg": JpegImagePlugin.jpeg_factory,
    "image/webp": WebPImagePlugin.WebPImageFile,
    "image/tiff": TiffImagePlugin.TiffImageFile,
    "image/gif": GifImagePlugin.GifImageFile,
    "image/bmp": BmpImagePlugin.BmpImageFile,
}
_ROTATIONS = range(2, 9)
_SWAPPING = (5, 6, 7, 8)
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLimits:
    """How large a picture may be.

    Attributes:
        max_bytes: Size of the file, in bytes.
        max_pixels: Width times height.
        max_side: Width or height, in pixels.
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 100_000_000
    max_side: int = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPicture:
    """A picture whose header passed; its pixels are not decoded yet.

    Attributes:
        image: Pillow's reader.
        data: The file.
        media_type: What it is.
        orientation: EXIF orientation, 1..8 (1 is upright).
        size: Width and height after the EXIF rotation, in pixels.
        notes: What opening saw.
    """

    image: ImageFile.ImageFile
    data: bytes
    media_type: str
    orientation: int
    size: tuple[int, int]
    notes: tuple[str, ...]


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Run Pillow's readers without their warnings.

    Python's warning filters belong to the whole process, so one thread at a time; that also means that at most one
    picture is being unpacked at any moment, which bounds the memory that uploads can take.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_picture(data: bytes, limits: PictureLimits, *, field: str) -> OpenedPicture:
    """Read a picture's header and hold it against the limits; call within `quiet_pillow`.

    Args:
        data: A file.
        limits: How large it may be.
        field: Name of the request field, for the errors.

    Returns:
        The opened picture.

    Raises:
        PictureError: `picture_empty`, `picture_too_large`, `picture_unreadable`, `picture_format_unsupported`,
            `picture_truncated` or `picture_animated`.
    """
    media_type = _check_bytes(data, limits, field)
    try:
        image = _READERS[media_type](io.BytesIO(data))
    except PILLOW_ERRORS as error:
        raise truncated(field, media_type, error) from error
    _check_size(image.size, limits, field)
    notes = _check_frames(image, media_type, field)
    orientation = _orientation(image)
    width, height = image.size
    # TIFF's reader reports the rotated size already.
    if orientation in _SWAPPING and media_type != "image/tiff":
        width, height = height, width
    return OpenedPicture(
        image=image, data=data, media_type=media_type, orientation=orientation, size=(width, height), notes=notes
    )


def truncated(field: str, media_type: str, error: BaseException) -> PictureError:
    """Say that a file ends early or is damaged.

    Args:
        field: Name of the request field.
        media_type: What the file claims to be.
        error: What its reader said.

    Returns:
        The error to raise.
    """
    return PictureError(
        f"the {media_type} file ends early or is damaged ({type(error).__name__})",
        code="picture_truncated",
        field=field,
        value=media_type,
    )


def _check_bytes(data: bytes, limits: PictureLimits, field: str) -> str:
    if not data:
        raise PictureError("the picture holds no bytes", code="picture_empty", field=field, value=0, limit=1)
    if len(data) > limits.max_bytes:
        raise PictureError(
            f"a picture may have {limits.max_bytes} bytes, got {len(data)}",
            code="picture_too_large",
            field=field,
            value=len(data),
            limit=limits.max_bytes,
        )
    media_type = sniff_media_type(data)
    if media_type is None:
        raise PictureError(
            f"the bytes are no picture; accepted are {', '.join(ACCEPTED)}",
            code="picture_unreadable",
            field=field,
            value=data[:8].hex(),
            limit=list(ACCEPTED),
        )
    if media_type not in ACCEPTED:
        raise _unsupported(field, media_type)
    return media_type


def _unsupported(field: str, value: str) -> PictureError:
    return PictureError(
        f"{value} is not accepted; accepted are {', '.join(ACCEPTED)}",
        code="picture_format_unsupported",
        field=field,
        value=value,
        limit=list(ACCEPTED),
    )


def unsupported_mode(field: str, media_type: str, mode: str) -> PictureError:
    """Say that a file's pixels are of a kind we do not read, such as 32-bit floats.

    Args:
        field: Name of the request field.
        media_type: What the file is.
        mode: Pillow's name for the kind of pixels.

    Returns:
        The error to raise.
    """
    return _unsupported(field, f"{media_type} with pixels of kind {mode}")


def _check_size(size: tuple[int, int], limits: PictureLimits, field: str) -> None:
    width, height = size
    shown = f"{width}x{height}"
    if width < 1 or height < 1:
        raise PictureError(f"a picture of {shown} pixels", code="picture_unreadable", field=field, value=shown, limit=1)
    if max(size) > limits.max_side:
        raise PictureError(
            f"a picture may have sides up to {limits.max_side} pixels, got {shown}",
            code="picture_too_large",
            field=field,
            value=shown,
            limit=limits.max_side,
        )
    if width * height > limits.max_pixels:
        raise PictureError(
            f"a picture may have {limits.max_pixels} pixels, got {shown} = {width * height}",
            code="picture_too_large",
            field=field,
            value=width * height,
            limit=limits.max_pixels,
        )


def _check_frames(image: ImageFile.ImageFile, media_type: str, field: str) -> tuple[str, ...]:
    try:
        frames = int(getattr(image, "n_frames", 1))
    except PILLOW_ERRORS as error:
        raise truncated(field, media_type, error) from error
    if image.format == "MPO":
        return ("mpo_first_frame",) if frames > 1 else ()
    if frames > 1 or bool(getattr(image, "is_animated", False)):
        raise PictureError(
            f"the {media_type} file holds {frames} frames or pages; send one",
            code="picture_animated",
            field=field,
            value=frames,
            limit=1,
        )
    return ()


def _orientation(image: ImageFile.ImageFile) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except PILLOW_ERRORS:
        return 1  # damaged EXIF says nothing; the pixels may still be fine
    return int(value) if isinstance(value, int) and value in _ROTATIONS else 1
