"""The engine on real FLUX classes with tiny random weights: every route, progress, cancel, determinism."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from editing.blending import Blend, Intent, Join, Prefill, Route, SeamRetry
from editing.checkpoints import Architecture
from editing.engine import EditedImage, EditEngine, Progress
from editing.errors import EditCancelled, EngineError, OperationError
from editing.guides import Control, ControlKind, ControlMode, Guides
from editing.operations import Erase, Generate, Img2Img, Inpaint, Operation, Outpaint, Sampling
from editing.placement import Placement
from editing.rasters import Raster
from editing.seeds import derived_seed
from tests.editing.pictures import adobe_like_profile, box_mask, noise, raster, sampling

UNION = "FLUX.1-dev-ControlNet-Union-Pro-2.0"
INPAINTING = "FLUX.1-dev-Controlnet-Inpainting-Beta"
PICTURE = raster(90, 130, alpha=noise(90, 130, 4)[:, :, 0], icc_profile=adobe_like_profile())
MASK = box_mask(90, 130, (40, 20, 90, 70))
MASK[20:30, 40:90] = 0.5


def control(checkpoint: str = "flux-mini-canny", **values: object) -> Control:
    return Control(**{"kind": ControlKind.CANNY, "checkpoint": checkpoint, "low": 20, "high": 60, **values})


def generate(checkpoint: str = "flux-mini", **values: object) -> Generate:
    defaults = {"prompt": "a red circle", "width": 64, "height": 64, "sampling": sampling()}
    return Generate(**{**defaults, "checkpoint": checkpoint, **values})


def schnell() -> Generate:
    return generate("FLUX.1-schnell", sampling=Sampling(steps=2, guidance=0, seed=1))


def inpaint(checkpoint: str = "flux-mini-fill", **values: object) -> Inpaint:
    defaults = {"prompt": "a red circle", "picture": PICTURE, "mask": MASK, "sampling": sampling()}
    return Inpaint(**{**defaults, "checkpoint": checkpoint, **values})


def outpaint(checkpoint: str = "flux-mini-fill", **values: object) -> Outpaint:
    placement = Placement.from_margins(PICTURE.size, top=7, right=31, bottom=0, left=16)
    defaults = {"prompt": "sand", "picture": PICTURE, "placement": placement, "sampling": sampling()}
    return Outpaint(**{**defaults, "checkpoint": checkpoint, **values})


def erase(**values: object) -> Erase:
    defaults = {"picture": PICTURE, "mask": MASK, "sampling": sampling(), "checkpoint": "flux-mini-fill"}
    return Erase(**{**defaults, **values})


def img2img(checkpoint: str = "flux-mini", **values: object) -> Img2Img:
    defaults = {"prompt": "sand", "picture": PICTURE, "sampling": sampling(4, strength=0.5)}
    return Img2Img(**{**defaults, "checkpoint": checkpoint, **values})


def run(engine: EditEngine, operation: Operation) -> EditedImage:
    return engine.run(operation, on_step=lambda _progress: None, cancelled=lambda: False)


ROUTES: dict[str, tuple[Callable[[], Operation], str]] = {
    "mini generates": (generate, "generate"),
    "mini generates with edges": (lambda: generate(guides=Guides(controls=(control(picture=PICTURE),))), "generate"),
    "mini makes a picture anew": (img2img, "img2img"),
    "mini fills": (inpaint, "fill"),
    "mini fills where it is told to": (lambda: inpaint(route=Route.FILL), "fill"),
    "mini adds": (lambda: inpaint(blend=Blend(intent=Intent.ADD)), "fill"),
    "mini fills and joins gradients": (lambda: inpaint(blend=Blend(join=Join.POISSON)), "fill"),
    "mini base inpaints": (lambda: inpaint("flux-mini"), "latent_merge"),
    "mini base inpaints at low strength": (
        lambda: inpaint("flux-mini", sampling=sampling(4, strength=0.3)),
        "latent_merge",
    ),
    "mini inpaints with edges": (lambda: inpaint("flux-mini", guides=Guides(controls=(control(),))), "latent_merge"),
    "mini inpaints with two controls": (
        lambda: inpaint(
            "flux-mini", guides=Guides(controls=(control(), control(picture=PICTURE, mode=ControlMode.AS_IS)))
        ),
        "latent_merge",
    ),
    "mini fill outpaints": (outpaint, "fill"),
    "mini base outpaints": (lambda: outpaint("flux-mini"), "latent_merge"),
    "mini fill outpaints in steps": (
        lambda: outpaint(placement=Placement.from_margins(PICTURE.size, top=90, right=99, bottom=0, left=0)),
        "fill",
    ),
    "mini erases": (erase, "fill"),
    "dev generates": (lambda: generate("FLUX.1-dev"), "generate"),
    "dev inpaints": (lambda: inpaint("FLUX.1-dev", sampling=sampling(2, strength=0.5)), "latent_merge"),
    "dev inpaints with its ControlNet": (
        lambda: inpaint("FLUX.1-dev", route=Route.INPAINTING_CONTROLNET),
        "inpainting_controlnet",
    ),
    "dev outpaints with its ControlNet": (
        lambda: outpaint("FLUX.1-dev", inpainting_controlnet=INPAINTING),
        "inpainting_controlnet",
    ),
    "dev generates with Union-Pro-2.0": (
        lambda: generate("FLUX.1-dev", guides=Guides(controls=(control(UNION, picture=PICTURE),))),
        "generate",
    ),
    "schnell generates": (
        schnell,
        "generate",
    ),
}


@pytest.mark.parametrize("name", ROUTES)
def test_every_route_keeps_what_lies_outside_the_mask_and_says_what_it_did(engine: EditEngine, name: str) -> None:
    make, route = ROUTES[name]
    operation = make()
    result = run(engine, operation)
    facts = result.facts
    assert (facts.checkpoint, facts.route, facts.exact_outside_mask) == (operation.checkpoint, route, True)
    assert facts.sampling == operation.sampling
    assert (facts.threads, facts.device, facts.dtype) == (1, "cpu", "float32")
    assert facts.model_size[0] % 16 == facts.model_size[1] % 16 == 0
    assert set(facts.versions) >= {"torch", "diffusers", "transformers"}
    assert all(len(digest) == 64 for digest in facts.weights.values())
    guides = getattr(operation, "guides", Guides())
    controls = guides.controls
    assert len(result.control_images) == len(controls)
    nets = {c.checkpoint for c in controls} | ({INPAINTING} if route == "inpainting_controlnet" else set())
    assert set(facts.checkpoints) == {operation.checkpoint, *nets}
    assert {file.split("/")[0] for file in facts.weights} == set(facts.checkpoints)
    if isinstance(operation, Generate | Img2Img):
        assert (facts.passes, facts.blend, facts.seam, facts.box) == ((), None, None, None)
    else:
        assert_outside_is_kept(operation, result.raster)
        assert facts.seam is not None
        assert facts.seam.border_de > 0
        assert facts.passes[0].size == facts.model_size
        assert facts.passes[0].seed == operation.sampling.seed
        assert facts.blend is not None


def assert_outside_is_kept(operation: Operation, result: Raster) -> None:
    if isinstance(operation, Outpaint):
        place = operation.placement
        assert result.size == (place.width, place.height)
        rows = slice(place.top, place.top + PICTURE.height)
        columns = slice(place.left, place.left + PICTURE.width)
        assert np.array_equal(result.pixels[rows, columns], PICTURE.pixels)
        assert np.array_equal(result.alpha[rows, columns], PICTURE.alpha)
    else:
        assert result.size == PICTURE.size
        assert np.array_equal(result.pixels[MASK == 0], PICTURE.pixels[MASK == 0])
        assert (result.pixels != PICTURE.pixels).any(axis=2)[MASK == 1].mean() > 0.9
        assert np.array_equal(result.alpha, PICTURE.alpha)
    assert result.icc_profile == PICTURE.icc_profile


@pytest.mark.parametrize("size", [(16, 16), (17, 100), (130, 64), (100, 31)])
def test_generate_gives_exactly_the_size_asked_for(engine: EditEngine, size: tuple[int, int]) -> None:
    plain = run(engine, generate(width=size[0], height=size[1]))
    steered = run(engine, generate(width=size[0], height=size[1], guides=Guides(controls=(control(picture=PICTURE),))))
    assert plain.raster.size == steered.raster.size == size
    assert steered.control_images[0].shape[1::-1] == steered.facts.model_size


def test_the_same_operation_gives_the_same_pixels_and_another_seed_gives_others(engine: EditEngine) -> None:
    first, again = run(engine, generate()), run(engine, generate())
    other = run(engine, generate(sampling=sampling(seed=2)))
    assert first.raster.pixel_sha256 == again.raster.pixel_sha256 != other.raster.pixel_sha256


@pytest.mark.parametrize("seed", [0, 2**63, 2**64 - 1])
def test_a_seed_of_64_bits_is_taken_as_it_is(engine: EditEngine, seed: int) -> None:
    assert run(engine, generate(sampling=sampling(seed=seed))).facts.sampling.seed == seed


def test_a_seed_below_32_bits_is_torchs_own() -> None:
    import torch

    from editing.diffusion.noise import seeded_generator

    for seed in (0, 1, 2**32 - 1):
        ours = torch.randn(8, generator=seeded_generator(seed))
        assert torch.equal(ours, torch.randn(8, generator=torch.Generator().manual_seed(seed)))
    large = torch.randn(100_000, generator=seeded_generator(2**64 - 1))
    assert abs(float(large.mean())) < 0.02
    assert abs(float(large.std()) - 1) < 0.02


def test_large_seeds_do_not_fall_together(engine: EditEngine) -> None:
    seeds = (2**64 - 1, 2**63 - 1, 2**32 - 1, 2**63, 0)
    digests = {run(engine, generate(sampling=sampling(seed=seed))).raster.pixel_sha256 for seed in seeds}
    assert len(digests) == len(seeds)


@pytest.mark.parametrize(
    ("operation", "steps"),
    [
        (generate(sampling=sampling(3)), 3),
        (inpaint("flux-mini", sampling=sampling(4, strength=0.5)), 2),
        (inpaint("flux-mini", sampling=sampling(4, strength=0.01)), 1),
        (inpaint(sampling=sampling(4)), 4),
        (inpaint("flux-mini", sampling=sampling(4, strength=0.75), guides=Guides(controls=(control(),))), 3),
    ],
)
def test_progress_counts_the_steps_that_are_really_made(engine: EditEngine, operation: Operation, steps: int) -> None:
    seen: list[Progress] = []
    engine.run(operation, on_step=seen.append, cancelled=lambda: False)
    assert seen == [Progress(step=step, steps=steps) for step in range(1, steps + 1)]


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("name", ["mini generates", "mini fills", "mini inpaints with edges"])
def test_cancel_takes_effect_within_a_step_and_leaves_the_next_run_bit_identical(
    engine: EditEngine, name: str, after: int
) -> None:
    operation = ROUTES[name][0]()
    clean = run(engine, operation).raster.pixel_sha256
    seen: list[Progress] = []
    long = {"mini generates": generate, "mini fills": inpaint}.get(name, lambda **v: inpaint("flux-mini", **v))
    with pytest.raises(EditCancelled):
        engine.run(long(sampling=sampling(3)), on_step=seen.append, cancelled=lambda: len(seen) >= after)
    assert len(seen) == after
    assert run(engine, operation).raster.pixel_sha256 == clean


def test_a_run_does_not_depend_on_what_ran_before(engine: EditEngine) -> None:
    clean = run(engine, generate()).raster.pixel_sha256
    for before in (inpaint("flux-mini", sampling=sampling(4, strength=0.3)), inpaint(), schnell()):
        run(engine, before)
        assert run(engine, generate()).raster.pixel_sha256 == clean


def test_a_step_callback_that_raises_gets_its_error_back_and_the_next_run_is_clean(engine: EditEngine) -> None:
    class LostWorkerError(RuntimeError):
        pass

    def fail(_progress: Progress) -> None:
        raise LostWorkerError

    clean = run(engine, generate()).raster.pixel_sha256
    with pytest.raises(LostWorkerError):
        engine.run(generate(), on_step=fail, cancelled=lambda: False)
    assert run(engine, generate()).raster.pixel_sha256 == clean


def test_a_control_acts_and_at_scale_zero_it_does_not(engine: EditEngine) -> None:
    for make in (generate, lambda **v: inpaint("flux-mini", **v)):
        plain = run(engine, make())
        acting = run(engine, make(guides=Guides(controls=(control(picture=PICTURE, scale=1.0, end=1.0),))))
        silent = run(engine, make(guides=Guides(controls=(control(picture=PICTURE, scale=0.0),))))
        # Encoding the control image draws from the same generator, so that silent and plain differ in their noise.
        assert acting.raster.pixel_sha256 != silent.raster.pixel_sha256
        assert plain.raster.size == acting.raster.size


@pytest.mark.parametrize("make", [generate, lambda **values: inpaint("flux-mini", **values)])
def test_each_of_two_controls_acts(engine: EditEngine, make: Callable[..., Operation]) -> None:
    def digest(*scales: float) -> str:
        controls = tuple(control(picture=PICTURE, scale=scale, end=1.0) for scale in scales)
        return run(engine, make(guides=Guides(controls=controls))).raster.pixel_sha256

    assert len({digest(0.0, 0.0), digest(1.0, 0.0), digest(0.0, 0.5), digest(1.0, 0.5)}) == 4


def test_the_prompt_and_the_guidance_reach_the_model(engine: EditEngine) -> None:
    digests = {
        run(engine, generate()).raster.pixel_sha256,
        run(engine, generate(prompt="a blue star")).raster.pixel_sha256,
        run(engine, generate(sampling=Sampling(steps=2, guidance=9.0, seed=1))).raster.pixel_sha256,
    }
    assert len(digests) == 3


def test_erase_is_fill_with_an_empty_prompt_and_the_edge_of_a_removal(engine: EditEngine) -> None:
    edge = Blend(feather=2)
    wordless = inpaint(prompt="", blend=edge)
    assert run(engine, erase(blend=edge)).raster.pixel_sha256 == run(engine, wordless).raster.pixel_sha256
    facts = run(engine, erase()).facts.blend
    assert facts.intent is Intent.REMOVE
    assert facts.feather <= 2  # a wide edge over what is to go would let its rim shine through
    assert facts.widest > 2


@pytest.mark.parametrize("intent", [Intent.FILL, Intent.ADD, Intent.REPLACE_BACKGROUND])
def test_an_intent_decides_what_the_request_leaves_open_and_the_facts_say_what(
    engine: EditEngine, intent: Intent
) -> None:
    chosen = run(engine, inpaint(blend=Blend(intent=intent))).facts.blend
    given = run(engine, inpaint(blend=Blend(intent=intent, grow=3, soften=5, feather=7))).facts.blend
    assert chosen.intent is given.intent is intent
    assert (given.grow, given.soften, given.feather) == (3, 5, 7)
    assert (chosen.grow, chosen.soften, chosen.feather) != (3, 5, 7)


def test_a_model_that_starts_from_what_is_there_starts_from_the_prefill_asked_for(engine: EditEngine) -> None:
    half = sampling(4, strength=0.5)
    digests = set()
    for prefill in Prefill:
        result = run(engine, inpaint("flux-mini", sampling=half, blend=Blend(prefill=prefill)))
        assert result.facts.blend.prefill is prefill
        digests.add(result.raster.pixel_sha256)
    assert len(digests) == len(Prefill)
    assert run(engine, inpaint()).facts.blend.prefill is None  # Fill at strength 1 starts from noise


def test_a_seam_over_the_limit_is_painted_again_on_derived_seeds_and_the_best_is_kept(engine: EditEngine) -> None:
    seen: list[Progress] = []
    operation = inpaint(retry=SeamRetry(limit=0.0, attempts=2))
    result = engine.run(operation, on_step=seen.append, cancelled=lambda: False)
    tries = result.facts.tries
    first = operation.sampling.seed
    assert [each.seed for each in tries] == [derived_seed(first, "retry", number) for number in range(3)]
    best = min(tries, key=lambda each: each.score)
    assert result.facts.seam.score == best.score
    assert result.facts.sampling.seed == best.seed
    again = run(engine, inpaint(sampling=sampling(seed=best.seed)))
    assert again.raster.pixel_sha256 == result.raster.pixel_sha256
    assert [each.step for each in seen] == list(range(1, 1 + 3 * operation.sampling.steps))
    assert seen[-1].steps == seen[-1].step


def test_a_seam_within_the_limit_is_painted_once(engine: EditEngine) -> None:
    result = run(engine, inpaint(retry=SeamRetry(limit=1000.0, attempts=8)))
    assert len(result.facts.tries) == 1
    assert run(engine, inpaint()).facts.tries == ()


def test_an_outpaint_in_steps_has_a_seed_and_a_box_for_each_and_counts_them_all(engine: EditEngine) -> None:
    seen: list[Progress] = []
    operation = ROUTES["mini fill outpaints in steps"][0]()
    facts = engine.run(operation, on_step=seen.append, cancelled=lambda: False).facts
    assert len(facts.passes) > 1
    assert [each.seed for each in facts.passes] == [
        derived_seed(operation.sampling.seed, "pass", number) for number in range(len(facts.passes))
    ]
    total = len(facts.passes) * operation.sampling.steps
    assert seen == [Progress(step=step, steps=total) for step in range(1, total + 1)]


def test_what_continues_a_grey_picture_is_grey_and_what_a_prompt_asks_for_is_not(engine: EditEngine) -> None:
    grey = Raster(pixels=np.repeat(noise(90, 130, 9)[:, :, :1], 3, axis=2))

    def colourful(operation: Operation) -> bool:
        pixels = run(engine, operation).raster.pixels
        return bool((pixels.max(axis=2) != pixels.min(axis=2)).any())

    assert not colourful(outpaint(picture=grey, prompt=""))
    assert not colourful(erase(picture=grey))
    assert colourful(outpaint(picture=grey, prompt="a red wall"))
    assert colourful(inpaint(picture=grey))
    assert colourful(erase(picture=grey, blend=Blend(match_colour=False)))


def frame() -> np.ndarray:
    mask = np.ones((90, 130), np.float32)
    mask[6:-6, 6:-6] = 0.0
    return mask


def one_pixel() -> np.ndarray:
    mask = np.zeros((90, 130), np.float32)
    mask[44, 65] = 1.0
    return mask


def checkerboard() -> np.ndarray:
    rows, columns = np.mgrid[:90, :130]
    return ((rows + columns) % 2).astype(np.float32)


def islands() -> np.ndarray:
    """More than a thousand of them, none touching another."""
    mask = np.zeros((90, 130), np.float32)
    mask[1::3, 1::3] = 1.0
    assert mask.sum() > 1000
    return mask


ODD_MASKS = {
    "touching all four borders": frame,
    "one pixel": one_pixel,
    "checkerboard": checkerboard,
    "islands": islands,
}


@pytest.mark.parametrize("checkpoint", ["flux-mini", "flux-mini-fill"])
@pytest.mark.parametrize("name", ODD_MASKS)
def test_an_odd_mask_is_painted_exactly_where_it_says(engine: EditEngine, name: str, checkpoint: str) -> None:
    mask = ODD_MASKS[name]()
    result = run(engine, inpaint(checkpoint, mask=mask))
    changed = (result.raster.pixels != PICTURE.pixels).any(axis=2)
    assert not changed[mask == 0].any()
    assert changed[mask == 1].mean() > 0.9
    assert result.facts.seam is not None


def test_a_mask_over_everything_has_no_seam_and_is_painted_once(engine: EditEngine) -> None:
    everything = np.ones((PICTURE.height, PICTURE.width), np.float32)
    facts = run(engine, inpaint(mask=everything, retry=SeamRetry(limit=0.0, attempts=3))).facts
    assert facts.seam is None
    assert facts.tries == ()


@pytest.mark.parametrize("size", [None, (64, 48), (33, 70)])
def test_img2img_keeps_profile_and_size_or_gives_the_size_asked_for(
    engine: EditEngine, size: tuple[int, int] | None
) -> None:
    result = run(engine, img2img(size=size)).raster
    assert result.size == (size or PICTURE.size)
    assert result.icc_profile == PICTURE.icc_profile
    assert result.alpha is not None
    if size is None:
        assert np.array_equal(result.alpha, PICTURE.alpha)
    assert abs(float(result.alpha.mean()) - float(PICTURE.alpha.mean())) < 5


def test_img2img_leaves_a_picture_the_farther_the_greater_the_strength(engine: EditEngine) -> None:
    results = [run(engine, img2img(sampling=sampling(10, strength=s))).raster.pixels.astype(int) for s in (0.2, 0.9)]
    first = run(engine, img2img(sampling=sampling(10, strength=0.1))).raster.pixels.astype(int)
    near, far = (np.abs(each - first).mean() for each in results)
    assert near < far


def test_a_prompt_beyond_the_encoders_reach_runs_in_silence(
    engine: EditEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(engine, generate(prompt="a red circle on sand " * 60))
    assert capsys.readouterr() == ("", "")


def test_spilling_is_recorded(engine: EditEngine) -> None:
    result = run(engine, inpaint(blend=Blend(feather=8, spill=True)))
    assert result.facts.exact_outside_mask is False
    assert (result.raster.pixels != PICTURE.pixels).any(axis=2)[MASK == 0].any()


def kept(engine: EditEngine) -> dict[str, Any]:
    """Checkpoints that are loaded, by name."""
    return dict(engine._rooms[Architecture.FLUX1]._shelf._kept)


def test_one_set_of_weights_serves_every_route_of_a_base(tiny_weights: dict[str, Path]) -> None:
    from editing.diffusion.building import build_engine
    from editing.diffusion.settings import EngineSettings, WeightsDtype

    engine = build_engine(
        EngineSettings(weights=tiny_weights, device="cpu", threads=1, dtype=WeightsDtype.BFLOAT16),
        accepted=lambda _name: True,
    )
    pointers, dtypes = set(), set()
    for operation in (
        generate(),
        inpaint("flux-mini"),
        inpaint("flux-mini", guides=Guides(controls=(control(),))),
        generate(),
    ):
        assert run(engine, operation).facts.dtype == "bfloat16"
        loaded = kept(engine)
        base = loaded["flux-mini"]
        parameters = [p for part in ("transformer", "vae", "text_encoder_2") for p in base.parts[part].parameters()]
        pointers.add(tuple(p.data_ptr() for p in parameters))
        dtypes |= {str(p.dtype) for p in base.parts["transformer"].parameters()}
    assert len(pointers) == 1
    assert dtypes == {"torch.bfloat16"}


def test_fill_shares_the_bases_encoders_where_their_files_are_the_same(engine: EditEngine) -> None:
    run(engine, generate())
    run(engine, inpaint())
    base, fill = kept(engine).values()
    assert base.parts["text_encoder_2"] is fill.parts["text_encoder_2"]
    assert base.parts["vae"] is fill.parts["vae"]
    assert base.parts["transformer"] is not fill.parts["transformer"]


def test_one_base_and_one_fill_are_kept(engine: EditEngine) -> None:
    for operation in (generate(), inpaint(), schnell(), inpaint()):
        run(engine, operation)
    assert {loaded.checkpoint.name for loaded in kept(engine).values()} == {"FLUX.1-schnell", "flux-mini-fill"}


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (generate("flux-mini-fill"), "checkpoint_unsuitable"),
        (inpaint("FLUX.1-schnell", guides=Guides(controls=(control(),))), "control_unsupported"),
        (generate("nothing"), "checkpoint_unknown"),
        (generate(width=512, height=512), "size_unsupported"),
        (img2img(sampling=sampling(8, strength=0.9)), "strength_without_effect"),
    ],
)
def test_what_a_checkpoint_cannot_do_is_refused_and_no_other_runs(
    engine: EditEngine, operation: Operation, code: str
) -> None:
    with pytest.raises(OperationError) as caught:
        run(engine, operation)
    assert caught.value.code == code
    assert not kept(engine)


def test_weights_that_give_no_numbers_fail_by_name(tiny_weights: dict[str, Path]) -> None:
    import torch

    from editing.diffusion.building import build_engine
    from editing.diffusion.settings import EngineSettings

    engine = build_engine(EngineSettings(weights=tiny_weights, device="cpu", threads=1), accepted=lambda _name: True)
    run(engine, generate())
    with torch.no_grad():
        next(iter(kept(engine).values())).parts["transformer"].proj_out.weight.fill_(float("nan"))
    with pytest.raises(EngineError) as caught:
        run(engine, generate())
    assert caught.value.code == "engine_failed"
