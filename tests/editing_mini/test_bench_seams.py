"""`studio bench seams` on methods whose seams are known, and the two baselines on flux-mini's own weights."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from editing.engine import EditedImage
from editing.operations import Outpaint
from editing.rasters import Raster
from studio.bench.baselines import Crop, faded_inwards, plain_edit, template_edit
from studio.bench.seam_cases import KINDS, seam_case
from studio.bench.seam_sheet import WINDOW, draw_seams, enlarged_border
from studio.bench.seams import measured, run


class Painter:
    """An engine that fills the mask with one colour, or leaves the picture as it is."""

    def __init__(self, colour=None):
        self.colour = colour

    def run(self, operation, *, on_step, cancelled):
        case = seam_case(operation.sampling.seed - seam_case(0).sampling.seed)
        pixels = case.before.copy()
        if self.colour is not None:
            pixels[case.mask > 0] = self.colour
        height, width = case.mask.shape
        facts = SimpleNamespace(box=(0, 0, width, height), model_size=(width, height))
        return EditedImage(raster=Raster(pixels=pixels), facts=facts)


class Echo:
    """Recipes that give back what they were given, some levels brighter."""

    def __init__(self, brighter=0):
        self.brighter = brighter
        self.asked = []

    def plain(self, pixels, mask, prompt, *, size, seed, steps, guidance):
        self.asked.append(("plain", prompt, seed, steps, guidance))
        return self._answer(pixels)

    def template(self, pixels, mask, prompt, *, seed, steps, guidance, merge):
        self.asked.append(("template", prompt, seed, steps, guidance, merge, float(mask[mask > 0].min())))
        return self._answer(pixels)

    def _answer(self, pixels):
        return np.clip(pixels.astype(np.int16) + self.brighter, 0, 255).astype(np.uint8)


def a_crop(box=(16, 16, 80, 80)):
    before = np.full((96, 96, 3), 100, np.uint8)
    mask = np.zeros((96, 96), np.float32)
    mask[32:64, 32:64] = 1.0
    return Crop(before=before, mask=mask, box=box, size=(64, 64), prompt="", seed=1)


def test_forty_cases_are_of_sixteen_photographs_and_never_change():
    cases = [seam_case(number) for number in range(40)]
    assert len({case.photograph for case in cases}) == 16
    assert {case.kind for case in cases} == set(KINDS)
    assert {case.operation.name for case in cases} == {"inpaint", "erase", "outpaint"}
    for case in cases:
        assert case.mask.shape == case.before.shape[:2]
        assert set(np.unique(case.mask)) == {0.0, 1.0}
        again = seam_case(case.number)
        assert np.array_equal(case.mask, again.mask)
        assert np.array_equal(case.before, again.before)


def test_masks_leave_room_and_extensions_keep_the_old_picture():
    for case in map(seam_case, range(20)):
        if isinstance(case.operation, Outpaint):
            kept = case.before[case.mask == 0]
            assert np.array_equal(kept, case.operation.picture.pixels.reshape(-1, 3))
        else:
            rim = np.concatenate([case.mask[0], case.mask[-1], case.mask[:, 0], case.mask[:, -1]])
            assert not rim.any()
            assert np.ptp(np.nonzero(case.mask)[0]) <= 150


def test_every_method_is_given_the_same_words_seed_and_sampling():
    recipes = Echo()
    scores = run(Painter(), recipes, count=10)
    for trial, plain, template in zip(scores.trials, recipes.asked[::2], recipes.asked[1::2], strict=True):
        case = trial.case
        assert plain == ("plain", case.prompt, case.sampling.seed, case.sampling.steps, case.sampling.guidance)
        assert template[:6] == ("template", case.prompt, case.sampling.seed, 20, 30.0, case.kind != "outpaint")
        assert (template[6] < 1.0) == (case.kind == "outpaint"), "only the outpainting template feathers"


def test_a_perfect_method_beats_one_that_shows():
    good = run(Painter(), Echo(60), count=5)
    bad = run(Painter((200, 0, 200)), Echo(), count=5)
    assert good.ratio("border_de") < 0.6
    assert good.best_share("border_de", among=("ours", "plain")) == 1.0
    assert bad.ratio("border_de") > 2
    assert bad.best_share("border_de", among=("ours", "plain")) == 0.0
    assert max(good.values("ours", "outside_max")) == max(bad.values("ours", "outside_max")) == 0.0


def test_a_step_of_known_size_is_measured():
    crop = a_crop()
    pixels = crop.before.copy()
    pixels[crop.mask > 0] = 140
    found = measured(crop, pixels)
    assert found.border_de == pytest.approx(16.0, abs=1.5)  # grey 100 to grey 140 is 16 dE
    assert found.outside_max == 0
    assert found.rim_de is None


def test_what_the_template_changes_outside_the_mask_and_at_the_crops_rim_is_measured():
    crop = a_crop()
    found = measured(crop, template_edit(Echo(40), crop, expands=False), replaced=True)
    assert found.outside_max == 40
    assert found.outside_mean == pytest.approx(40.0)
    assert found.border_de < 1
    assert found.rim_de == pytest.approx(16.0, abs=1.5)


def test_the_plain_baseline_is_pasted_through_the_hard_mask():
    crop = a_crop()
    after = plain_edit(Echo(40), crop, steps=1, guidance=1.0)
    assert (after[crop.mask > 0] == 140).all()
    assert (after[crop.mask == 0] == 100).all()


def test_the_templates_feather_fades_by_the_square_into_the_old_picture():
    mask = np.zeros((4, 20), np.float32)
    mask[:, 15:] = 1.0
    faded = faded_inwards(mask, 8)[2]
    assert (faded[14:] == 1.0).all()
    assert faded[13] == pytest.approx((7 / 8) ** 2)
    assert faded[7] == pytest.approx((1 / 8) ** 2)
    assert not faded[:7].any()


def test_the_window_lies_where_the_edit_added_a_step():
    rng = np.random.default_rng(3)
    before = rng.integers(90, 110, (200, 200, 3)).astype(np.uint8)
    mask = np.zeros((200, 200), np.float32)
    mask[20:180, 20:180] = 1.0
    after = before.copy()
    after[110:150, 150:180] = 250  # touches the border on the right
    rows, columns = enlarged_border(before, after, mask, (0, 0, 200, 200))
    assert (rows.stop - rows.start, columns.stop - columns.start) == (WINDOW, WINDOW)
    assert rows.start < 130 < rows.stop
    assert columns.start < 180 < columns.stop


def test_the_json_and_the_sheet_tell_every_case():
    scores = run(Painter(), Echo(20), count=3)
    told = json.loads(json.dumps(scores.to_json()))
    assert told["cases"] == told["photographs"] == len(told["each"]) == 3
    assert told["methods"]["ours"]["outside_max"] == {"mean": 0.0, "median": 0.0, "largest": 0.0}
    assert told["methods"]["plain"]["rim_de"] is None
    assert told["each"][2]["template"]["outside_max"] == 20
    assert told["border_de_by_group"]["no words"]["cases"] == 3
    assert told["border_de_by_group"]["box"]["ours"] == told["each"][0]["ours"]["border_de"]
    sheet = draw_seams(scores)
    assert sheet.mode == "RGB"
    assert sheet.height > 3 * 4 * WINDOW


@pytest.fixture(scope="module")
def recipes():
    from studio.engines import build_baselines
    from studio.settings import Settings

    return build_baselines(Settings(threads=1, device="cpu"))


@pytest.fixture(scope="module")
def part():
    case = seam_case(6)
    rows, columns = (round(axis.mean()) for axis in np.nonzero(case.mask))
    picture = np.ascontiguousarray(case.before[rows - 64 : rows + 64, columns - 64 : columns + 64])
    mask = np.zeros((128, 128), np.float32)
    mask[40:88, 40:88] = 1.0
    return picture, mask


def difference(one, other):
    return np.abs(one.astype(np.int16) - other).mean(axis=2)


def test_the_templates_sampler_agrees_with_the_pipeline_where_both_do_the_same(recipes, part):
    picture, mask = part
    plain = recipes.plain(picture, mask, "", size=(128, 128), seed=5, steps=20, guidance=30.0)
    template = recipes.template(picture, mask, "", seed=5, steps=20, guidance=30.0, merge=False)
    other = recipes.template(picture, mask, "", seed=6, steps=20, guidance=30.0, merge=False)
    inside = mask > 0
    assert difference(plain, template).mean() < 2
    assert difference(other, template)[inside].mean() > 2 * difference(plain, template)[inside].mean()


def test_the_inpainting_template_holds_kept_latents_still(recipes, part):
    picture, mask = part
    merged = recipes.template(picture, mask, "", seed=5, steps=8, guidance=30.0, merge=True)
    free = recipes.template(picture, mask, "", seed=5, steps=8, guidance=30.0, merge=False)
    encoded = recipes.template(picture, np.zeros_like(mask), "", seed=5, steps=2, guidance=30.0, merge=True)
    far = np.ones(mask.shape, bool)
    far[16:112, 16:112] = False  # the decoder looks across, and normalises over all of the picture
    assert difference(merged, encoded)[far].mean() < 1
    assert difference(free, encoded)[far].mean() > 2 * difference(merged, encoded)[far].mean()
    assert difference(merged, encoded)[mask > 0].mean() > 4
