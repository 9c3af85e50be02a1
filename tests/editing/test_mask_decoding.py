import numpy as np
import pytest
from PIL import Image

from editing.decoding import MASK_SNAP, MaskPolarity, PictureLimits, decode_mask, read_mask
from editing.errors import MaskError
from tests.editing.pictures import encoded, noise

SIZE = (30, 20)
WHITE_BOX = np.zeros((20, 30), np.uint8)
WHITE_BOX[5:10, 8:20] = 255
SOFT = np.tile(np.linspace(0, 255, 30).astype(np.uint8), (20, 1))


def grey(levels: np.ndarray) -> bytes:
    return encoded(Image.fromarray(levels), "PNG")


def rgba(alpha: np.ndarray, luminance: np.ndarray = WHITE_BOX) -> bytes:
    return encoded(Image.fromarray(np.dstack([luminance] * 3 + [alpha])), "PNG")


def test_white_is_edited_by_default() -> None:
    assert np.array_equal(decode_mask(grey(WHITE_BOX), size=SIZE), WHITE_BOX / np.float32(255))


def test_black_is_edited_on_request() -> None:
    mask = decode_mask(grey(WHITE_BOX), size=SIZE, polarity=MaskPolarity.BLACK)
    assert np.array_equal(mask, 1 - WHITE_BOX / np.float32(255))


def test_soft_values_are_kept() -> None:
    assert np.array_equal(decode_mask(grey(SOFT), size=SIZE), SOFT.astype(np.float32) / np.float32(255))


def test_an_alpha_plane_that_varies_means_the_openai_rule() -> None:
    alpha = 255 - np.roll(WHITE_BOX, 3, axis=1)
    reading = read_mask(rgba(alpha), size=SIZE)
    assert reading.polarity is MaskPolarity.TRANSPARENT
    assert np.array_equal(reading.mask > 0, alpha == 0)


@pytest.mark.parametrize("constant", [0, 128, 255])
def test_a_constant_alpha_plane_means_luminance(constant: int) -> None:
    reading = read_mask(rgba(np.full((20, 30), constant, np.uint8)), size=SIZE)
    assert reading.polarity is MaskPolarity.WHITE
    assert np.array_equal(reading.mask > 0, WHITE_BOX > 0)


def test_an_explicit_polarity_beats_the_alpha_plane() -> None:
    mask = decode_mask(rgba(255 - np.roll(WHITE_BOX, 3, axis=1)), size=SIZE, polarity=MaskPolarity.WHITE)
    assert np.array_equal(mask > 0, WHITE_BOX > 0)


def test_colour_masks_are_read_by_luminance_and_palette_and_one_bit_masks_by_their_colours() -> None:
    colour = encoded(Image.fromarray(np.dstack([WHITE_BOX] * 3)), "PNG")
    one_bit = encoded(Image.fromarray(WHITE_BOX).convert("1"), "PNG")
    palette = encoded(Image.fromarray(WHITE_BOX).convert("P"), "PNG")
    for data in (colour, one_bit, palette):
        assert np.array_equal(decode_mask(data, size=SIZE) > 0, WHITE_BOX > 0)


@pytest.mark.parametrize("options", [{"file_format": "JPEG", "quality": 60}, {"file_format": "WEBP", "quality": 60}])
def test_a_lossy_masks_ringing_is_not_taken_for_intent(options: dict) -> None:
    wide = np.zeros((64, 64), np.uint8)
    wide[20:40, 16:48] = 255
    reading = read_mask(encoded(Image.fromarray(wide).convert("RGB"), **options), size=(64, 64))
    assert "lossy_snapped" in reading.notes
    far = np.ones((64, 64), bool)
    far[12:48, 8:56] = False
    assert reading.mask[far].max() == 0.0
    assert reading.mask[24:36, 20:44].min() == 1.0


def test_snapping_leaves_the_middle_alone_and_lossless_masks_alone() -> None:
    assert decode_mask(grey(np.full((20, 30), MASK_SNAP, np.uint8)), size=SIZE).max() > 0
    flat = encoded(Image.fromarray(np.full((32, 32), 128, np.uint8)), "JPEG", quality=100)
    assert abs(float(decode_mask(flat, size=(32, 32)).mean()) - 128 / 255) < 0.02


def test_an_all_white_mask_edits_everything() -> None:
    assert decode_mask(grey(np.full((20, 30), 255, np.uint8)), size=SIZE).min() == 1.0


def test_the_masks_own_exif_rotation_applies() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = encoded(Image.fromarray(np.rot90(WHITE_BOX)), "PNG", exif=exif)
    assert np.array_equal(decode_mask(sideways, size=SIZE) > 0, WHITE_BOX > 0)


REFUSED = {
    "another size": (grey(WHITE_BOX[:-1]), MaskPolarity.AUTO, "mask_size_mismatch"),
    "sides swapped": (grey(WHITE_BOX.T), MaskPolarity.AUTO, "mask_size_mismatch"),
    "all black": (grey(np.zeros((20, 30), np.uint8)), MaskPolarity.AUTO, "mask_empty"),
    "all white, black edits": (grey(np.full((20, 30), 255, np.uint8)), MaskPolarity.BLACK, "mask_empty"),
    "opaque, transparent edits": (rgba(np.full((20, 30), 255, np.uint8)), MaskPolarity.TRANSPARENT, "mask_empty"),
    "no alpha, transparent edits": (grey(WHITE_BOX), MaskPolarity.TRANSPARENT, "mask_no_alpha"),
    "no bytes": (b"", MaskPolarity.AUTO, "mask_unreadable"),
    "text": (b"nonsense", MaskPolarity.AUTO, "mask_unreadable"),
    "truncated": (encoded(Image.fromarray(noise(20, 30)), "PNG")[:-100], MaskPolarity.AUTO, "mask_truncated"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mask_that_does_not_serve_is_refused_by_name(name: str) -> None:
    data, polarity, code = REFUSED[name]
    with pytest.raises(MaskError) as caught:
        decode_mask(data, size=SIZE, polarity=polarity)
    assert (caught.value.code, caught.value.field) == (code, "mask")


def test_a_mask_of_another_size_names_both_sizes() -> None:
    with pytest.raises(MaskError) as caught:
        decode_mask(grey(WHITE_BOX[:-1]), size=SIZE)
    assert (caught.value.value, caught.value.limit) == ("30x19", "30x20")


def test_a_masks_limits_are_those_given() -> None:
    with pytest.raises(MaskError) as caught:
        decode_mask(grey(WHITE_BOX), size=SIZE, limits=PictureLimits(max_pixels=100))
    assert caught.value.code == "mask_too_large"
