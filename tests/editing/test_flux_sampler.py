"""The sampler on real FLUX classes with tiny random weights: what each route reads, keeps and costs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editing.blending import Route
from editing.catalogue import find
from editing.diffusion.rooms import Run
from editing.diffusion.settings import EngineSettings
from editing.engine import Progress
from editing.guides import Control, ControlKind, Guides
from editing.operations import Sampling
from editing.rasters import Mask, Pixels
from tests.editing.pictures import box_mask, noise, sampling, scenery
from tests.editing.tiny import scheduler  # imports the shim before diffusers

import torch  # isort: skip
from diffusers import (  # isort: skip
    FluxControlImg2ImgPipeline,
    FluxControlNetImg2ImgPipeline,
    FluxControlNetInpaintPipeline,
    FluxControlNetPipeline,
    FluxControlPipeline,
    FluxFillPipeline,
    FluxImg2ImgPipeline,
    FluxInpaintPipeline,
    FluxKontextInpaintPipeline,
    FluxKontextPipeline,
    FluxMultiControlNetModel,
    FluxPipeline,
)

from editing.diffusion.lora_files import LoraShelf  # isort: skip
from editing.diffusion.memo import Memo  # isort: skip
from editing.diffusion.memory import Residency  # isort: skip
from editing.diffusion.merging import keep_mask, packed  # isort: skip
from editing.diffusion.noise import seeded_generator  # isort: skip
from editing.diffusion.placing import place  # isort: skip
from editing.diffusion.quiet import quiet_libraries  # isort: skip
from editing.flux.conditions import Models  # isort: skip
from editing.diffusion.painting import picture_tensor  # isort: skip
from editing.flux.latents import LatentEncoder  # isort: skip
from editing.flux.loading import CheckpointShelf, LoadedCheckpoint  # isort: skip
from editing.flux.room import Flux1Painter, Tools  # isort: skip

WIDTH, HEIGHT = 96, 64
PICTURE = scenery(HEIGHT, WIDTH)
HARD = box_mask(HEIGHT, WIDTH, (24, 16, 64, 48))
SOFT = np.maximum(HARD, np.float32(0.3) * box_mask(HEIGHT, WIDTH, (8, 8, 80, 56)))
UNION = "FLUX.1-dev-ControlNet-Union-Pro-2.0"
NUMBERED = "FLUX.1-dev-Controlnet-Union"
CANNY, KONTEXT = "FLUX.1-Canny-dev", "FLUX.1-Kontext-dev"
RESIDENCY = Residency(place(EngineSettings(device="cpu")))
INPAINTING = "FLUX.1-dev-Controlnet-Inpainting-Beta"
Parts = dict[str, LoadedCheckpoint]


@pytest.fixture(scope="module")
def parts(tiny_weights: dict[str, Path]) -> Parts:
    """Loaded checkpoints: a base, a Fill and the ControlNets, all on the CPU."""
    torch.set_num_threads(1)
    names = {
        "base": "FLUX.1-dev",
        "fill": "FLUX.1-Fill-dev",
        "control": CANNY,
        "kontext": KONTEXT,
        "union": UNION,
        "numbered": NUMBERED,
        "inpainting": INPAINTING,
    }

    def loaded(name: str) -> LoadedCheckpoint:
        shelf = CheckpointShelf(EngineSettings(weights=tiny_weights), RESIDENCY, keeps=1)
        return shelf.get(find(name))

    return {key: loaded(name) for key, name in names.items()}


def control(**values: Any) -> Control:
    return Control(**{"kind": ControlKind.CANNY, "checkpoint": UNION, "scale": 0.8, "end": 1.0, **values})


def steered(*controls: Control) -> dict[str, Any]:
    """Guides with these controls, and their images."""
    images = [noise(HEIGHT, WIDTH, seed=40 + index) for index in range(len(controls))]
    return {"guides": Guides(controls=controls), "images": images}


def run_of(route: str, **values: Any) -> Run:
    """A run as the engine would make it for a route."""
    defaults: dict[str, Any] = {"prompt": "a red circle", "size": (WIDTH, HEIGHT), "sampling": sampling(4)}
    if route != "generate":
        defaults["pixels"] = PICTURE
    if route not in {"generate", "img2img", "instruct"}:
        defaults["mask"] = HARD
    return Run(**{**defaults, **values})


def painter(route: str, parts: Parts, guides: Guides, main: str | None = None) -> Flux1Painter:
    readers = [parts["union"], parts["numbered"]]
    return Flux1Painter(
        Models(
            main=parts[main or ("fill" if route == Route.FILL else "base")],
            readers={each.checkpoint.name: each for each in readers},
            inpainting=parts["inpainting"] if route == Route.INPAINTING_CONTROLNET else None,
            adapters={},
            channels=frozenset({CANNY}),
            residency=RESIDENCY,
        ),
        guides,
        (),
        Tools(
            loras=LoraShelf(EngineSettings(), read=str.encode),
            read_adapter=str.encode,
            texts=Memo(kept=0),
            pictures=Memo(kept=0),
        ),
    )


def painted(
    route: str,
    parts: Parts,
    *,
    main: str | None = None,
    on_step: Callable[[Progress], None] | None = None,
    **values: Any,
) -> Pixels:
    run = run_of(route, **values)
    return painter(route, parts, run.guides, main).paint(
        run, on_step=on_step or (lambda _progress: None), cancelled=lambda: False
    )


class Spy:
    """What a run's models were given: the transformer's inputs, and what was encoded and decoded."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self.encoded: list[torch.Tensor] = []
        self.decoded: list[torch.Tensor] = []
        self.controls: list[dict[str, Any]] = []

    @contextmanager
    def on(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Iterator["Spy"]:
        def keep(inputs: list[dict[str, Any]]) -> Any:
            return lambda _module, _positional, named: inputs.append(dict(named))

        with ExitStack() as stack, monkeypatch.context() as patch:
            for name in ("base", "fill", "control", "kontext"):
                vae = parts[name].parts["vae"]
                for method, seen in (("encode", self.encoded), ("decode", self.decoded)):
                    patch.setattr(vae, method, _noting(getattr(vae, method), seen))
                transformer = parts[name].parts["transformer"]
                stack.enter_context(transformer.register_forward_pre_hook(keep(self.steps), with_kwargs=True))
            for name in ("union", "numbered", "inpainting"):
                net = parts[name].parts["controlnet"]
                stack.enter_context(net.register_forward_pre_hook(keep(self.controls), with_kwargs=True))
            yield self

    @property
    def latents(self) -> list[torch.Tensor]:
        """What the transformer was given at each step, unpacked, (16, h/8, w/8) each."""
        return [unpacked(step["hidden_states"][:, :, :64]) for step in self.steps]

    @property
    def sigmas(self) -> list[float]:
        return [float(step["timestep"]) for step in self.steps]


def _noting(method: Any, seen: list[torch.Tensor]) -> Any:
    def noted(values: torch.Tensor, *rest: Any, **named: Any) -> Any:
        seen.append(values)
        return method(values, *rest, **named)

    return noted


def unpacked(tokens: torch.Tensor) -> torch.Tensor:
    return FluxInpaintPipeline._unpack_latents(tokens, HEIGHT, WIDTH, 8)[0]


def final(parts: Parts, monkeypatch: pytest.MonkeyPatch, paint: Callable[[], Any]) -> torch.Tensor:
    """The latents that `paint` gives to the decoder, (16, h/8, w/8)."""
    with Spy().on(parts, monkeypatch) as spy:
        paint()
    return spy.decoded[0][0]


def started_from(parts: Parts, route: str, spy: Spy) -> tuple[torch.Tensor, torch.Tensor]:
    """The picture's latents and the noise of a run on seed 1, drawn again in diffusers' order."""
    generator = seeded_generator(1)
    vae = parts["base"].parts["vae"]
    before = 1 if route == Route.INPAINTING_CONTROLNET else 0  # what its ControlNet reads is encoded first
    with torch.no_grad():
        clean = [vae.encode(each).latent_dist.sample(generator) for each in spy.encoded[: before + 1]][-1]
    clean = (clean - vae.config.shift_factor) * vae.config.scaling_factor
    return clean[0], torch.randn(clean.shape, generator=generator)[0]


def stock(pipeline_class: Any, loaded: LoadedCheckpoint, **more: Any) -> Any:
    """Run a pipeline of diffusers' own: float (h, w, 3), 0..1."""
    run_parts = {**loaded.parts, "scheduler": scheduler()}
    if "controlnet" in more:
        run_parts["controlnet"] = more.pop("controlnet")
    with quiet_libraries():
        pipeline = pipeline_class(**run_parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline(
            **{
                "prompt": "a red circle",
                "width": WIDTH,
                "height": HEIGHT,
                "num_inference_steps": 4,
                "guidance_scale": 3.5,
                "generator": seeded_generator(1),
                "max_sequence_length": loaded.checkpoint.max_sequence_length,
                "output_type": "np",
                **more,
            }
        ).images[0]


def masking(mask: Mask, strength: float) -> dict[str, Any]:
    """What diffusers' pipelines for masked pictures are given."""
    hard = Image.fromarray((mask * 255).astype(np.uint8))
    return {"image": Image.fromarray(PICTURE), "mask_image": hard, "strength": strength}


def spans(*controls: Control, **values: Any) -> dict[str, Any]:
    """What diffusers' ControlNet pipelines are given for several controls."""
    return {
        "control_image": [Image.fromarray(pixels) for pixels in steered(*controls)["images"]],
        "control_mode": [None] * len(controls),
        "controlnet_conditioning_scale": [each.scale for each in controls],
        "control_guidance_start": [each.start for each in controls],
        "control_guidance_end": [each.end for each in controls],
        **values,
    }


def levels(values: Any) -> Pixels:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


# Every mix that diffusers has a pipeline for, against that pipeline


def _controls(parts: Parts) -> dict[str, tuple[str, dict[str, Any], Callable[[], Any]]]:
    one, two = control(scale=0.8, start=0.25), control(scale=0.5, end=0.5)
    numbered = control(checkpoint=NUMBERED, kind=ControlKind.DEPTH)
    own = control(checkpoint=CANNY, scale=1.0)
    multi = FluxMultiControlNetModel([parts["union"].parts["controlnet"]])
    half = sampling(4, strength=0.5)
    picture = Image.fromarray(PICTURE)
    read = Image.fromarray(noise(HEIGHT, WIDTH, seed=40))
    cfg = Sampling(steps=4, guidance=3.5, seed=1, true_cfg=3.0)
    against = Guides(negative_prompt="a blue star")
    base, fill, concat, kontext = (parts[name] for name in ("base", "fill", "control", "kontext"))
    return {
        "generate": ("generate", {}, lambda: stock(FluxPipeline, base)),
        "generate with true CFG": (
            "generate",
            {"sampling": cfg, "guides": against},
            lambda: stock(FluxPipeline, base, negative_prompt="a blue star", true_cfg_scale=3.0),
        ),
        "generate with two controls": (
            "generate",
            steered(one, two),
            lambda: stock(FluxControlNetPipeline, base, controlnet=multi, **spans(one, two)),
        ),
        "generate with a numbered union": (
            "generate",
            steered(numbered),
            lambda: stock(
                FluxControlNetPipeline,
                base,
                controlnet=parts["numbered"].parts["controlnet"],
                control_image=read,
                control_mode=2,
                controlnet_conditioning_scale=0.8,
            ),
        ),
        "img2img": (
            "img2img",
            {"sampling": half},
            lambda: stock(FluxImg2ImgPipeline, base, image=picture, strength=0.5),
        ),
        "img2img with a control": (
            "img2img",
            {"sampling": half, **steered(one)},
            lambda: stock(
                FluxControlNetImg2ImgPipeline, base, controlnet=multi, image=picture, strength=0.5, **spans(one)
            ),
        ),
        "fill": (Route.FILL, {}, lambda: stock(FluxFillPipeline, fill, **masking(HARD, 1.0))),
        "fill at half strength": (
            Route.FILL,
            {"sampling": half},
            lambda: stock(FluxFillPipeline, fill, **masking(HARD, 0.5)),
        ),
        "channels": (
            "generate",
            {"main": "control", **steered(own)},
            lambda: stock(FluxControlPipeline, concat, control_image=read),
        ),
        "channels in img2img": (
            "img2img",
            {"main": "control", "sampling": half, **steered(own)},
            lambda: stock(FluxControlImg2ImgPipeline, concat, image=picture, control_image=read, strength=0.5),
        ),
        "instruct": (
            "instruct",
            {"main": "kontext"},
            lambda: stock(FluxKontextPipeline, kontext, image=picture, max_area=WIDTH * HEIGHT, _auto_resize=False),
        ),
        "instruct with true CFG": (
            "instruct",
            {"main": "kontext", "sampling": cfg, "guides": against},
            lambda: stock(
                FluxKontextPipeline,
                kontext,
                image=picture,
                max_area=WIDTH * HEIGHT,
                _auto_resize=False,
                negative_prompt="a blue star",
                true_cfg_scale=3.0,
            ),
        ),
    }


EXACT = (
    "generate",
    "generate with true CFG",
    "generate with two controls",
    "generate with a numbered union",
    "img2img",
    "img2img with a control",
    "fill",
    "fill at half strength",
    "channels",
    "channels in img2img",
    "instruct",
    "instruct with true CFG",
)


@pytest.mark.parametrize("name", EXACT)
def test_a_mix_that_diffusers_has_a_pipeline_for_gives_its_very_latents(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    route, values, theirs = _controls(parts)[name]
    ours = final(parts, monkeypatch, lambda: painted(route, parts, **values))
    assert torch.equal(ours, final(parts, monkeypatch, theirs))
    assert np.array_equal(painted(route, parts, **values), levels(theirs()))


# A hard mask, against diffusers itself: the same but for rounding, since it mixes by arithmetic and not by choice


@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("main", ["base", "kontext"])
def test_a_hard_mask_gives_what_diffusers_inpainting_gives(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, main: str, strength: float
) -> None:
    route = Route.LATENT_MERGE if main == "base" else Route.REFERENCE_MERGE
    ours = final(parts, monkeypatch, lambda: painted(route, parts, main=main, sampling=sampling(4, strength=strength)))
    pipeline = FluxInpaintPipeline if main == "base" else FluxKontextInpaintPipeline
    exactly = {} if main == "base" else {"max_area": WIDTH * HEIGHT, "_auto_resize": False}
    theirs = final(parts, monkeypatch, lambda: stock(pipeline, parts[main], **masking(HARD, strength), **exactly))
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_a_hard_mask_with_controls_gives_what_diffusers_inpainting_gives(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    controls = [control(scale=0.8, start=0.25)] * count
    multi = FluxMultiControlNetModel([parts["union"].parts["controlnet"]])
    given = {**spans(*controls), **masking(HARD, 1.0), "controlnet": multi}
    ours = final(parts, monkeypatch, lambda: painted(Route.LATENT_MERGE, parts, **steered(*controls)))
    theirs = final(parts, monkeypatch, lambda: stock(FluxControlNetInpaintPipeline, parts["base"], **given))
    assert torch.allclose(ours, theirs, atol=1e-5)


# Soft masks: each part from its own moment on


@pytest.mark.parametrize("route", [Route.LATENT_MERGE, Route.INPAINTING_CONTROLNET, Route.FILL])
def test_what_a_soft_mask_covers_faintly_waits_as_the_noised_picture(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    with Spy().on(parts, monkeypatch) as spy:
        painted(route, parts, mask=SOFT, sampling=sampling(10))
    clean, grain = started_from(parts, route, spy)
    assert len(spy.latents) == 10
    for step, (latents, sigma) in enumerate(zip(spy.latents, spy.sigmas, strict=True)):
        waiting = sigma * grain + (1 - sigma) * clean
        off = (latents - waiting).abs().amax(dim=0).numpy()
        values = SOFT[::8, ::8]
        assert off[values == 0].max() < 1e-5
        # 0.3 is let go at step 7 of 10: the input of step 7 still waited, that of step 8 is the model's.
        assert (off[values == np.float32(0.3)].max() < 1e-5) == (step <= 7)
        assert (off[values == 1].min() > 1e-4) == (step > 0)


def test_a_mask_of_one_value_is_a_run_of_that_strength(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = np.full((HEIGHT, WIDTH), 0.5, dtype=np.float32)
    soft = final(parts, monkeypatch, lambda: painted(Route.LATENT_MERGE, parts, mask=everywhere))
    short = final(parts, monkeypatch, lambda: painted("img2img", parts, sampling=sampling(4, strength=0.5)))
    assert torch.allclose(soft, short, atol=1e-5)


@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("route", [Route.LATENT_MERGE, Route.INPAINTING_CONTROLNET, Route.FILL])
def test_in_the_end_what_is_kept_is_the_picture_and_all_else_the_models(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, route: str, strength: float
) -> None:
    mask = SOFT.copy()
    mask[0, 95] = 0.01  # one faint pixel is enough
    sampled = sampling(4, strength=strength)
    with Spy().on(parts, monkeypatch) as spy:
        painted(route, parts, mask=mask, sampling=sampled)
    vae = parts["base"].parts["vae"]
    clean = started_from(parts, route, spy)[0] / vae.config.scaling_factor + vae.config.shift_factor
    changed = (spy.decoded[0][0] != clean).any(dim=0).numpy()
    assert np.array_equal(changed, mask.reshape(HEIGHT // 8, 8, WIDTH // 8, 8).max(axis=(1, 3)) > 0)


def test_fill_reads_where_a_soft_mask_covers_anything_and_nothing_of_what_lies_there(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spy().on(parts, monkeypatch) as spy:
        painted(Route.FILL, parts, mask=SOFT)
    read = spy.steps[0]["hidden_states"][:, :, 128:]
    tokens = read.reshape(HEIGHT // 16, WIDTH // 16, 8, 8, 2, 2).permute(0, 4, 2, 1, 5, 3).reshape(HEIGHT, WIDTH)
    assert np.array_equal(tokens.numpy(), (SOFT > 0).astype(np.float32))
    masked = spy.encoded[-1][0].permute(1, 2, 0).numpy()
    assert (masked[SOFT > 0] == 0).all()
    assert (masked[SOFT == 0] != 0).any()


# img2img and generate


def test_img2img_starts_from_the_picture_and_at_full_strength_forgets_it(parts: Parts) -> None:
    other = noise(HEIGHT, WIDTH, seed=5)
    half, full = sampling(4, strength=0.5), sampling(4)
    steps: list[Progress] = []
    first = painted("img2img", parts, sampling=half, on_step=steps.append)
    assert steps == [Progress(step=1, steps=2), Progress(step=2, steps=2)]
    assert not np.array_equal(first, painted("img2img", parts, sampling=half, pixels=other))
    assert np.array_equal(
        painted("img2img", parts, sampling=full), painted("img2img", parts, sampling=full, pixels=other)
    )


ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "generate": ("generate", {}),
    "generate with a control": ("generate", {"steered": 1}),
    "img2img": ("img2img", {"sampling": sampling(4, strength=0.6)}),
    "fill": (Route.FILL, {}),
    "soft fill": (Route.FILL, {"mask": SOFT}),
    "merge": (Route.LATENT_MERGE, {}),
    "soft merge": (Route.LATENT_MERGE, {"mask": SOFT}),
    "merge with two controls": (Route.LATENT_MERGE, {"steered": 2, "mask": SOFT}),
    "inpainting ControlNet": (Route.INPAINTING_CONTROLNET, {"mask": SOFT}),
}


@pytest.mark.parametrize("name", ROUTES)
def test_every_route_gives_a_picture_of_its_size_and_the_same_again(parts: Parts, name: str) -> None:
    route, given = ROUTES[name]
    values = dict(given)
    if count := values.pop("steered", 0):
        values |= steered(*[control()] * count)
    first = painted(route, parts, **values)
    assert (first.dtype, first.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
    assert np.array_equal(first, painted(route, parts, **values))
    reseeded = Sampling(steps=4, guidance=3.5, seed=2, strength=values.pop("sampling", sampling(4)).strength)
    assert not np.array_equal(first, painted(route, parts, **values, sampling=reseeded))


# What a run costs


@pytest.mark.parametrize(
    ("route", "values", "encodings"),
    [
        ("generate", {}, 0),
        ("img2img", {}, 0),  # at full strength the picture does not show
        ("img2img", {"sampling": sampling(4, strength=0.5)}, 1),
        (Route.LATENT_MERGE, {}, 1),
        (Route.LATENT_MERGE, {"mask": SOFT}, 1),
        (Route.LATENT_MERGE, {"sampling": sampling(4, strength=0.5)}, 1),
        (Route.INPAINTING_CONTROLNET, {}, 2),  # the masked picture, which the net reads
        (Route.FILL, {}, 1),  # the masked picture, which the model reads
        (Route.FILL, {"mask": SOFT}, 2),
        (Route.FILL, {"sampling": sampling(4, strength=0.5)}, 2),
    ],
)
def test_no_picture_is_encoded_that_the_run_does_not_use(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, route: str, values: dict[str, Any], encodings: int
) -> None:
    with Spy().on(parts, monkeypatch) as spy:
        painted(route, parts, **values)
    assert (len(spy.encoded), len(spy.decoded)) == (encodings, 1)


def test_an_encoding_is_remembered_for_one_order_in_memory(parts: Parts) -> None:
    """diffusers lays control images out otherwise, which rounds otherwise: neither may stand in for the other."""
    values = picture_tensor(noise(HEIGHT, WIDTH, 7))
    layouts = values, values.contiguous()

    def modes(memos: Sequence[Memo[Any]]) -> list[torch.Tensor]:
        vae = parts["base"].parts["vae"]
        with torch.no_grad():
            return [
                LatentEncoder(vae, memo, (), dtype=torch.float32).mode(each)
                for memo, each in zip(memos, layouts, strict=True)
            ]

    alone = modes([Memo(kept=0), Memo(kept=0)])
    assert not torch.equal(*alone)
    assert all(torch.equal(*pair) for pair in zip(alone, modes([Memo(kept=8)] * 2), strict=True))


@pytest.mark.parametrize(
    ("acting", "calls"),
    [
        ([{"end": 0.5}], 2),
        ([{"start": 0.5}], 2),
        ([{"scale": 0.0}], 0),
        ([{"end": 0.5}, {"start": 0.25}], 5),
        ([{"scale": 0.0}, {"end": 0.25}], 1),
    ],
)
def test_a_control_that_does_not_act_in_a_step_is_not_run_and_the_bits_are_the_same(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, acting: list[dict[str, float]], calls: int
) -> None:
    controls = [control(**span) for span in acting]
    with Spy().on(parts, monkeypatch) as spy:
        ours = painted("generate", parts, **steered(*controls))
    assert len(spy.controls) == calls
    multi = FluxMultiControlNetModel([parts["union"].parts["controlnet"]])
    theirs = stock(FluxControlNetPipeline, parts["base"], controlnet=multi, **spans(*controls))
    assert np.array_equal(ours, levels(theirs))


# The ControlNet that reads the masked picture


def test_the_inpainting_controlnet_reads_the_picture_without_what_is_painted_and_what_is_kept(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = PICTURE.copy()
    other[SOFT > 0] = noise(HEIGHT, WIDTH, seed=9)[SOFT > 0]
    read = []
    for pixels in (PICTURE, other):
        with Spy().on(parts, monkeypatch) as spy:
            painted(Route.INPAINTING_CONTROLNET, parts, mask=SOFT, pixels=pixels)
        read.append(spy.controls[0]["controlnet_cond"])
        black = spy.encoded[0][0].permute(1, 2, 0).numpy()
        assert (black[SOFT > 0] == -1).all()
        assert np.allclose(black[SOFT == 0], pixels[SOFT == 0] / 127.5 - 1, atol=1e-6)
    assert torch.equal(read[0], read[1])
    assert read[0].shape == (1, HEIGHT * WIDTH // 256, 68)
    assert torch.equal(read[0][:, :, 64:], keep_mask(SOFT))
    kept = torch.from_numpy((SOFT[::8, ::8] == 0).astype(np.float32))
    assert torch.equal(read[0][:, :, 64:], packed(kept[None, None]))


def test_the_inpainting_controlnet_acts_over_the_catalogues_span(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    acting = parts["inpainting"].checkpoint.inpainting
    with Spy().on(parts, monkeypatch) as spy:
        painted(Route.INPAINTING_CONTROLNET, parts, sampling=sampling(10))
    steps = [step for step in range(10) if step / 10 >= acting.start and (step + 1) / 10 <= acting.end]
    assert len(spy.controls) == len(steps) > 0
    assert {call["conditioning_scale"] for call in spy.controls} == {acting.scale}
    assert all(step["controlnet_block_samples"] is not None for step in spy.steps[: len(steps)])


def test_an_inpainting_controlnet_and_other_controls_act_together(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spy().on(parts, monkeypatch) as spy:
        both = painted(Route.INPAINTING_CONTROLNET, parts, **steered(control(start=0.5)))
    assert [call["controlnet_cond"].shape[-1] for call in spy.controls] == [68, 68, 64, 64]
    assert not np.array_equal(both, painted(Route.INPAINTING_CONTROLNET, parts))
    assert not np.array_equal(both, painted(Route.LATENT_MERGE, parts, **steered(control(start=0.5))))


# Mixes that diffusers has no pipeline for


def test_fill_follows_controls(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    with Spy().on(parts, monkeypatch) as spy:
        guided = painted(Route.FILL, parts, **steered(control(end=0.5)))
    assert [call["hidden_states"].shape[-1] for call in spy.controls] == [64, 64]
    assert all(step["hidden_states"].shape[-1] == 384 for step in spy.steps)
    assert not np.array_equal(guided, painted(Route.FILL, parts))


def test_two_nets_of_different_depth_add_up(parts: Parts) -> None:
    one, other = control(), control(checkpoint=NUMBERED, kind=ControlKind.DEPTH)
    both = painted("generate", parts, **steered(one, other))
    for alone in (one, other):
        assert not np.array_equal(both, painted("generate", parts, **steered(alone)))
