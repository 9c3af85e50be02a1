import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editing.decoding import PictureLimits, decode_picture, sniff_media_type
from editing.encoding import OutputFormat, encode_picture
from editing.errors import PictureError
from editing.rasters import Raster
from tests.editing.pictures import adobe_like_profile, cmyk_profile, encoded, grey_profile, noise, scenery, wide_profile

PIXELS = noise(20, 30)
IMAGE = Image.fromarray(PIXELS)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def frames(file_format: str) -> bytes:
    return encoded(IMAGE, file_format, save_all=True, append_images=[Image.fromarray(noise(20, 30, 1))])


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "BMP"])
def test_a_lossless_rgb_file_decodes_to_its_own_values(file_format: str) -> None:
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    raster = decode_picture(encoded(IMAGE, file_format, **options))
    assert np.array_equal(raster.pixels, PIXELS)
    assert (raster.alpha, raster.icc_profile, raster.notes) == (None, None, ())


def test_a_jpeg_decodes() -> None:
    raster = decode_picture(encoded(Image.fromarray(scenery(40, 60)), "JPEG", quality=95))
    assert raster.size == (60, 40)


REFUSED = {
    "no bytes": (b"", "picture_empty"),
    "text": (b"hello world, this is no picture", "picture_unreadable"),
    "random bytes": (np.random.default_rng(0).bytes(5000), "picture_unreadable"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture_format_unsupported"),
    "avif": (b"\0\0\0\x20ftypavif" + bytes(40), "picture_format_unsupported"),
    "heic": (b"\0\0\0\x20ftypheic" + bytes(40), "picture_format_unsupported"),
    "pdf": (b"%PDF-1.7\n", "picture_format_unsupported"),
    "truncated PNG": (encoded(IMAGE, "PNG")[:-200], "picture_truncated"),
    "PNG cut in its header": (encoded(IMAGE, "PNG")[:20], "picture_truncated"),
    "truncated JPEG": (encoded(Image.fromarray(noise(90, 90)), "JPEG")[:3000], "picture_truncated"),
    "JPEG marker and nothing": (b"\xff\xd8\xff", "picture_truncated"),
    "truncated WebP": (encoded(IMAGE, "WEBP", lossless=True)[:-300], "picture_truncated"),
    "truncated 16-bit PNG": (
        cv2.imencode(".png", np.full((50, 50, 3), 999, np.uint16) * np.arange(50, dtype=np.uint16)[:, None, None])[
            1
        ].tobytes()[:-60],
        "picture_truncated",
    ),
    "decompression bomb": (png_header(65_000, 65_000), "picture_too_large"),
    "side beyond the limit": (png_header(70_000, 2), "picture_too_large"),
    "no pixels": (png_header(0, 5), "picture_truncated"),
    "animated GIF": (frames("GIF"), "picture_animated"),
    "animated WebP": (frames("WEBP"), "picture_animated"),
    "animated PNG": (frames("PNG"), "picture_animated"),
    "TIFF of two pages": (frames("TIFF"), "picture_animated"),
    "32-bit floats": (encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "picture_format_unsupported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_single_sound_picture_is_refused_by_name(name: str) -> None:
    data, code = REFUSED[name]
    with pytest.raises(PictureError) as caught:
        decode_picture(data, field="controls[0].picture")
    assert (caught.value.code, caught.value.field) == (code, "controls[0].picture")
    assert str(caught.value)


def test_a_bomb_is_refused_from_its_header_within_a_moment_and_names_value_and_limit() -> None:
    with pytest.raises(PictureError) as caught:
        decode_picture(png_header(65_000, 65_000))
    assert caught.value.value == 65_000 * 65_000
    assert caught.value.limit == 100_000_000


@pytest.mark.parametrize(
    ("limits", "value", "limit"),
    [
        (PictureLimits(max_bytes=100), len(encoded(IMAGE, "PNG")), 100),
        (PictureLimits(max_pixels=599), 600, 599),
        (PictureLimits(max_side=29), "30x20", 29),
    ],
)
def test_each_limit_holds_at_one_beyond_it(limits: PictureLimits, value: object, limit: int) -> None:
    with pytest.raises(PictureError) as caught:
        decode_picture(encoded(IMAGE, "PNG"), limits)
    assert (caught.value.code, caught.value.value, caught.value.limit) == ("picture_too_large", value, limit)


def test_a_picture_exactly_at_its_limits_is_accepted() -> None:
    data = encoded(IMAGE, "PNG")
    assert decode_picture(data, PictureLimits(max_bytes=len(data), max_pixels=600, max_side=30)).size == (30, 20)


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_rounded_to_eight(extension: str, channels: int) -> None:
    shape = (20, 30) if channels == 1 else (20, 30, channels)
    deep = np.random.default_rng(3).integers(0, 65536, shape, dtype=np.uint16)
    raster = decode_picture(cv2.imencode(extension, deep)[1].tobytes())
    expected = np.rint(deep / 257.0).astype(np.uint8)
    assert "sixteen_bit_reduced" in raster.notes
    if channels == 1:
        assert np.array_equal(raster.pixels, np.repeat(expected[:, :, None], 3, axis=2))
    else:
        assert np.array_equal(raster.pixels, expected[:, :, [2, 1, 0]])
    if channels == 4:
        assert raster.alpha is not None
        assert np.array_equal(raster.alpha, expected[:, :, 3])


def test_grey_becomes_rgb() -> None:
    raster = decode_picture(encoded(IMAGE.convert("L"), "PNG"))
    assert np.array_equal(raster.pixels[:, :, 0], np.asarray(IMAGE.convert("L")))
    assert np.array_equal(raster.pixels[:, :, 0], raster.pixels[:, :, 2])
    assert raster.notes == ("grey_expanded",)


def test_grey_with_a_profile_is_brought_to_srgb_through_it() -> None:
    grey = Image.fromarray(np.full((4, 4), 100, np.uint8))
    dark = decode_picture(encoded(grey, "PNG", icc_profile=grey_profile(3.0)))
    light = decode_picture(encoded(grey, "PNG", icc_profile=grey_profile(1.2)))
    assert int(dark.pixels[0, 0, 0]) < 100 < int(light.pixels[0, 0, 0])
    assert dark.icc_profile is None


def test_one_bit_becomes_black_and_white() -> None:
    raster = decode_picture(encoded(IMAGE.convert("1"), "PNG"))
    assert set(np.unique(raster.pixels)) <= {0, 255}


def test_grey_with_alpha_keeps_its_alpha() -> None:
    alpha = noise(20, 30, 5)[:, :, 0]
    both = Image.merge("LA", [IMAGE.convert("L"), Image.fromarray(alpha)])
    raster = decode_picture(encoded(both, "PNG"))
    assert raster.alpha is not None
    assert np.array_equal(raster.alpha, alpha)


def test_a_palette_is_expanded() -> None:
    palette = IMAGE.quantize(16)
    raster = decode_picture(encoded(palette, "PNG"))
    assert np.array_equal(raster.pixels, np.asarray(palette.convert("RGB")))
    assert (raster.alpha, raster.notes) == (None, ("palette_expanded",))


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_palettes_transparency_becomes_alpha(file_format: str) -> None:
    palette = IMAGE.quantize(8)
    raster = decode_picture(encoded(palette, file_format, transparency=3))
    assert raster.alpha is not None
    assert np.array_equal(raster.alpha == 0, np.asarray(palette) == 3)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_transparent_colour_becomes_alpha(mode: str) -> None:
    image = Image.new(mode, (4, 4), (9, 9, 9) if mode == "RGB" else 9)
    image.putpixel((1, 1), (1, 2, 3) if mode == "RGB" else 5)
    raster = decode_picture(encoded(image, "PNG", transparency=(1, 2, 3) if mode == "RGB" else 5))
    assert raster.alpha is not None
    assert int(raster.alpha[1, 1]) == 0
    assert int(raster.alpha.sum()) == 15 * 255


def test_cmyk_becomes_srgb() -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    raster = decode_picture(encoded(cyan, "JPEG", quality=95))
    red, green, blue = (int(v) for v in raster.pixels[4, 4])
    assert red < 60
    assert min(green, blue) > 180
    assert "cmyk_converted" in raster.notes


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_profile(file_format: str) -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    raster = decode_picture(encoded(cyan, file_format, icc_profile=cmyk_profile()))
    red, green, blue = (int(v) for v in raster.pixels[8, 8])
    assert max(red, green, blue) - min(red, green, blue) <= 4  # the profile's cyan is a grey
    assert 150 < green < 220
    assert (raster.icc_profile, raster.notes) == (None, ("cmyk_converted",))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied(file_format: str, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    blocks = Image.fromarray(np.kron(noise(3, 4, 9), np.ones((16, 16, 1), np.uint8)).astype(np.uint8))
    options = {"PNG": {}, "JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}, "TIFF": {}}
    data = encoded(blocks, file_format, exif=exif, **options[file_format])
    raster = decode_picture(data)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert raster.pixels.shape == expected.shape
    assert np.abs(raster.pixels.astype(int) - expected).max() <= 2
    assert (f"exif_rotated:{orientation}" in raster.notes) == (orientation != 1)


def test_a_rotated_sixteen_bit_tiff_is_upright_too() -> None:
    deep = np.random.default_rng(3).integers(0, 65536, (6, 9, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = decode_picture(cv2.imencode(".png", deep)[1].tobytes())
    eight = Image.fromarray(plain.pixels)
    raster = decode_picture(encoded(eight, "TIFF", exif=exif))
    assert np.array_equal(raster.pixels, np.rot90(plain.pixels, -1))


@pytest.mark.parametrize("profile", [wide_profile(), adobe_like_profile()])
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_a_wide_gamut_profile_survives_and_the_values_stay_in_it(file_format: str, profile: bytes) -> None:
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    raster = decode_picture(encoded(IMAGE, file_format, icc_profile=profile, **options))
    assert raster.icc_profile == profile
    assert np.array_equal(raster.pixels, PIXELS)


@pytest.mark.parametrize("profile", [b"garbage", wide_profile()[:200], grey_profile(2.2)])
def test_a_profile_that_cannot_be_used_is_ignored_and_noted(profile: bytes) -> None:
    raster = decode_picture(encoded(IMAGE, "PNG", icc_profile=profile))
    assert raster.icc_profile is None
    assert "profile_ignored" in raster.notes
    assert np.array_equal(raster.pixels, PIXELS)


def test_the_first_frame_of_an_mpo_is_taken_and_noted() -> None:
    data = encoded(IMAGE, "MPO", save_all=True, append_images=[IMAGE.rotate(180)])
    raster = decode_picture(data)
    assert raster.size == (30, 20)
    assert "mpo_first_frame" in raster.notes


def test_a_wholly_opaque_alpha_plane_does_not_change_the_digest() -> None:
    with_alpha = Raster(pixels=PIXELS, alpha=np.full((20, 30), 255, np.uint8))
    assert with_alpha.pixel_sha256 == Raster(pixels=PIXELS).pixel_sha256
    assert with_alpha.pixel_sha256 != Raster(pixels=PIXELS, alpha=np.full((20, 30), 254, np.uint8)).pixel_sha256


def test_the_digest_is_that_of_the_documented_bytes() -> None:
    import hashlib

    expected = hashlib.sha256(b"RGB8" + struct.pack(">II", 30, 20) + PIXELS.tobytes()).hexdigest()
    assert Raster(pixels=PIXELS).pixel_sha256 == expected


@pytest.mark.parametrize("output_format", [OutputFormat.PNG, OutputFormat.WEBP])
@pytest.mark.parametrize("alpha", [None, noise(20, 30, 7)[:, :, 0], np.full((20, 30), 255, np.uint8)])
def test_a_lossless_file_gives_the_raster_back(output_format: OutputFormat, alpha: np.ndarray | None) -> None:
    raster = Raster(pixels=PIXELS, alpha=alpha, icc_profile=wide_profile())
    again = decode_picture(encode_picture(raster, output_format))
    assert again.pixel_sha256 == raster.pixel_sha256
    assert again.icc_profile == raster.icc_profile


@pytest.mark.parametrize("output_format", [OutputFormat.JPEG, OutputFormat.WEBP_LOSSY])
def test_a_lossy_file_is_a_likeness(output_format: OutputFormat) -> None:
    raster = Raster(pixels=scenery(64, 64), alpha=np.full((64, 64), 255, np.uint8), icc_profile=wide_profile())
    again = decode_picture(encode_picture(raster, output_format))
    assert np.abs(again.pixels.astype(int) - raster.pixels).mean() < 6
    assert again.icc_profile == raster.icc_profile


def test_jpeg_lays_transparency_over_white() -> None:
    raster = Raster(pixels=np.zeros((8, 8, 3), np.uint8), alpha=np.zeros((8, 8), np.uint8))
    assert decode_picture(encode_picture(raster, OutputFormat.JPEG)).pixels.min() > 250


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(PictureError, match=r"1\.\.100") as caught:
        encode_picture(Raster(pixels=PIXELS), OutputFormat.JPEG, quality)
    assert caught.value.code == "quality_out_of_range"


def test_a_picture_too_wide_for_webp_is_refused_by_name() -> None:
    with pytest.raises(PictureError) as caught:
        encode_picture(Raster(pixels=np.zeros((1, 16_384, 3), np.uint8)), OutputFormat.WEBP)
    assert (caught.value.code, caught.value.limit) == ("picture_too_large", 16_383)


SEEDS = {
    "png": encoded(IMAGE, "PNG", icc_profile=wide_profile()),
    "deep png": cv2.imencode(".png", np.full((9, 9, 3), 40_000, np.uint16))[1].tobytes(),
    "jpeg": encoded(IMAGE, "JPEG"),
    "webp": encoded(IMAGE, "WEBP"),
    "tiff": encoded(IMAGE, "TIFF"),
    "gif": encoded(IMAGE, "GIF"),
    "bmp": encoded(IMAGE, "BMP"),
}


DAMAGE = {
    "name": st.sampled_from(sorted(SEEDS)),
    "edits": st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
    "cut": st.integers(0, 40),
}


@settings(max_examples=150, deadline=None)
@given(**DAMAGE)
def test_damaged_bytes_give_a_raster_or_our_own_error_and_never_a_warning(
    name: str, edits: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(SEEDS[name])
    for place, value in edits:
        data[place % len(data)] = value
    damaged = bytes(data[: len(data) - cut])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            raster = decode_picture(damaged, PictureLimits(max_pixels=1_000_000))
        except PictureError as error:
            code = error.code
        else:
            code = "picture_decoded"
            assert raster.width * raster.height <= 1_000_000
    assert code.startswith("picture_")


def test_sniffing_needs_only_the_first_bytes() -> None:
    for name, media_type in {
        "png": "image/png",
        "jpeg": "image/jpeg",
        "webp": "image/webp",
        "bmp": "image/bmp",
    }.items():
        assert sniff_media_type(SEEDS[name][:32]) == media_type
