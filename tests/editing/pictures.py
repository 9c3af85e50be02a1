"""Pictures, masks and painters for the tests."""

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from editing.operations import Sampling
from editing.rasters import Mask, Pixels, Raster
from editing.regions import Scene


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def scenery(height: int, width: int, seed: int = 0) -> Pixels:
    """A smooth picture with colour gradients and some texture, more like a photograph than noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = [120 + 80 * np.sin(x / 17 + k) * np.cos(y / 23 + 2 * k) for k in range(3)]
    values = np.stack(planes, axis=2) + rng.normal(0, 4, (height, width, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def raster(height: int, width: int, seed: int = 0, **extra: Any) -> Raster:
    return Raster(pixels=scenery(height, width, seed), **extra)


def box_mask(height: int, width: int, box: tuple[int, int, int, int]) -> Mask:
    left, top, right, bottom = box
    mask = np.zeros((height, width), dtype=np.float32)
    mask[top:bottom, left:right] = 1.0
    return mask


def sampling(steps: int = 2, seed: int = 1, **extra: Any) -> Sampling:
    return Sampling(steps=steps, guidance=3.5, seed=seed, **extra)


def inverting(scene: Scene) -> Pixels:
    """A painter that changes every pixel it is given, also those it should keep."""
    return 255 - scene.pixels


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _s15fixed16(value: float) -> bytes:
    return round(value * 65536).to_bytes(4, "big", signed=True)


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + _s15fixed16(x) + _s15fixed16(y) + _s15fixed16(z)


def _text(kind: bytes, text: str) -> bytes:
    if kind == b"text":
        return b"text\0\0\0\0" + text.encode("ascii") + b"\0"
    raw = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + len(raw).to_bytes(4, "big") + raw + bytes(78)


def matrix_profile(name: str, red: tuple, green: tuple, blue: tuple, gamma: float) -> bytes:
    """An ICC v2 RGB profile of three primaries (XYZ under D50) and one gamma (ICC.1:2001-04)."""
    curve = b"curv\0\0\0\0" + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big") + b"\0\0"
    tags = {
        b"desc": _text(b"desc", name),
        b"cprt": _text(b"text", "CC0"),
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": _xyz(*red),
        b"gXYZ": _xyz(*green),
        b"bXYZ": _xyz(*blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _profile(b"RGB ", b"mntr", tags)


def grey_profile(gamma: float) -> bytes:
    curve = b"curv\0\0\0\0" + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big") + b"\0\0"
    tags = {
        b"desc": _text(b"desc", "grey"),
        b"cprt": _text(b"text", "CC0"),
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        b"kTRC": curve,
    }
    return _profile(b"GRAY", b"mntr", tags)


def cmyk_profile() -> bytes:
    """An ICC v2 CMYK profile that prints every ink as the same neutral grey (ICC.1:2001-04, lut8Type)."""
    ramp = bytes(range(256))
    grid = b""
    for corner in range(16):
        inks = corner.bit_count()
        grid += bytes([255 - 60 * inks, 128, 128])
    identity = b"".join(_s15fixed16(v) for v in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + grid + ramp * 3
    tags = {
        b"desc": _text(b"desc", "inks"),
        b"cprt": _text(b"text", "CC0"),
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        b"A2B0": lut,
    }
    return _profile(b"CMYK", b"prtr", tags, connection=b"Lab ")


def _profile(space: bytes, device_class: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    table, body = len(tags).to_bytes(4, "big"), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += signature + (start + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += padded
    header = bytearray(128)
    header[0:4] = (start + len(body)).to_bytes(4, "big")
    header[8:12] = b"\x02\x40\0\0"
    header[12:16], header[16:20], header[20:24] = device_class, space, connection
    header[36:40] = b"acsp"
    header[68:80] = _s15fixed16(0.9642) + _s15fixed16(1.0) + _s15fixed16(0.8249)
    return bytes(header) + table + body


def wide_profile() -> bytes:
    """Primaries of Display P3, adapted to D50."""
    return matrix_profile("wide", (0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841), 2.2)


def adobe_like_profile() -> bytes:
    """Primaries of Adobe RGB (1998), adapted to D50."""
    return matrix_profile("adobe", (0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446), 2.199)
