"""The packaged weights: the exact classes and channels of FLUX.1, small, and good enough to draw what is asked for."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxControlNetModel,
    FluxControlNetPipeline,
    FluxFillPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
)
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer

import editing.mini
from editing.catalogue import find
from editing.drawn_maps import drawn_map
from editing.mini import judge
from editing.mini.drawing import draw
from editing.mini.training.export import unpack_weights
from editing.mini.training.text import TOKENS, TextEncoders
from editing.mini.training.vae import edges
from studio.bench.steering import LORAS, control_of, in_style

pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")

WEIGHTS = Path(editing.mini.__file__).parent / "weights"
LIMIT = 40_000_000
OPTIONS = {"local_files_only": True, "dtype": torch.float32}


def quiet(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def base():
    return quiet(FluxPipeline.from_pretrained(WEIGHTS / "flux-mini", **OPTIONS))


@pytest.fixture(scope="module")
def fill():
    return quiet(FluxFillPipeline.from_pretrained(WEIGHTS / "flux-mini-fill", **OPTIONS))


@pytest.fixture(scope="module")
def controlnet():
    return FluxControlNetModel.from_pretrained(WEIGHTS / "flux-mini-canny", **OPTIONS)


@pytest.fixture(scope="module")
def union():
    return FluxControlNetModel.from_pretrained(WEIGHTS / "flux-mini-union", **OPTIONS)


def test_the_package_is_small_and_holds_only_safetensors_and_json():
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LIMIT
    assert {path.suffix for path in files} == {".safetensors", ".json"}


@pytest.mark.parametrize(("name", "channels"), [("base", 64), ("fill", 384)])
def test_classes_and_channels_are_those_of_flux_1(name, channels, request):
    pipeline = request.getfixturevalue(name)
    assert type(pipeline.transformer) is FluxTransformer2DModel
    assert pipeline.transformer.config.in_channels == channels
    assert pipeline.transformer.config.guidance_embeds is True
    assert type(pipeline.vae) is AutoencoderKL
    assert pipeline.vae.config.latent_channels == 16
    assert pipeline.vae_scale_factor == 8
    assert type(pipeline.text_encoder) is CLIPTextModel
    assert type(pipeline.text_encoder_2) is T5EncoderModel
    assert isinstance(pipeline.tokenizer, CLIPTokenizer)
    assert isinstance(pipeline.tokenizer_2, T5Tokenizer)
    assert type(pipeline.scheduler) is FlowMatchEulerDiscreteScheduler


def test_the_controlnet_fits_the_base(base, controlnet):
    assert controlnet.config.in_channels == 64
    assert controlnet.config.guidance_embeds is True
    assert controlnet.config.num_mode is None
    assert controlnet.inner_dim == base.transformer.inner_dim


def test_the_catalogue_asks_for_as_many_tokens_as_training_used():
    for name in ("flux-mini", "flux-mini-fill"):
        assert find(name).max_sequence_length == TOKENS


def test_the_autoencoder_keeps_colours(base):
    drawing = draw(np.random.default_rng(11), 128, 128, shapes=1, background="sand")
    with torch.no_grad():
        tensor = torch.from_numpy(drawing.pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        restored = base.vae.decode(base.vae.encode(tensor).latent_dist.mean).sample
    picture = ((restored[0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert judge.shows(np.ascontiguousarray(picture), [(drawing.shapes[0].colour, drawing.shapes[0].kind)], "sand")


def drawn(pipeline, prompt, seed, **more):
    sampling = find("flux-mini").sampling("generate", seed=seed)
    with torch.no_grad():
        image = pipeline(
            prompt=prompt,
            width=128,
            height=128,
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            max_sequence_length=TOKENS,
            generator=torch.Generator().manual_seed(seed),
            **more,
        ).images[0]
    return np.asarray(image)


def test_the_base_draws_what_is_asked_for(base):
    scenes = [draw(np.random.default_rng(seed), 128, 128, shapes=1, background="sand") for seed in range(6)]
    right = [
        judge.shows(drawn(base, scene.caption, 5), [(scene.shapes[0].colour, scene.shapes[0].kind)], "sand")
        for scene in scenes
    ]
    assert sum(right) >= 3, [scene.caption for scene, good in zip(scenes, right, strict=True) if not good]


def test_the_controlnet_puts_the_shape_where_the_edges_are(base, controlnet):
    scene = draw(np.random.default_rng(21), 128, 128, shapes=1, background="sky")
    pipeline = quiet(FluxControlNetPipeline(**base.components, controlnet=controlnet))
    control = Image.fromarray(edges(scene.pixels))
    guided = drawn(pipeline, scene.caption, 3, control_image=control, controlnet_conditioning_scale=1.0)
    assert judge.edge_f1(guided, judge.canny(scene.pixels)) >= 0.5


def test_training_can_go_on_from_the_packaged_weights(tmp_path, base):
    unpack_weights(WEIGHTS, tmp_path)
    pooled, tokens = TextEncoders.load(tmp_path).encode(["a red circle"])
    theirs = base.encode_prompt("a red circle", None, max_sequence_length=TOKENS)
    assert torch.allclose(pooled, theirs[1], atol=1e-5)
    assert torch.allclose(tokens, theirs[0], atol=1e-5)
    for stage, kind in (
        ("base", FluxTransformer2DModel),
        ("fill", FluxTransformer2DModel),
        ("canny", FluxControlNetModel),
        ("union", FluxControlNetModel),
    ):
        part = kind.from_pretrained(tmp_path / stage, local_files_only=True)
        assert {parameter.dtype for parameter in part.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", find("flux-mini-union").controls)
def test_the_union_follows_every_kind_of_control_image(base, union, kind):
    scene = draw(np.random.default_rng(21), 128, 128, shapes=1, background="sky")
    wanted = judge.canny(scene.pixels)
    pipeline = quiet(FluxControlNetPipeline(**base.components, controlnet=union))
    control = control_of(scene, kind, find("flux-mini-union"))
    pixels = control.picture.pixels
    if control.detector is not None:
        pixels = drawn_map(pixels, control.detector, low=control.low, high=control.high)
    guided = drawn(pipeline, scene.caption, 3, control_image=Image.fromarray(pixels))
    assert judge.edge_f1(guided, wanted) >= 0.5


@pytest.mark.parametrize("name", LORAS)
def test_a_lora_draws_in_its_style_and_the_base_does_not(base, name):
    scenes = [draw(np.random.default_rng(seed), 128, 128, shapes=1, background="sand") for seed in (2, 4, 5)]
    parts = base.components | {"transformer": copy.deepcopy(base.transformer)}
    pipeline = quiet(FluxPipeline(**parts))
    pipeline.load_lora_weights(WEIGHTS / name, weight_name="pytorch_lora_weights.safetensors")
    plain = [in_style(drawn(base, scene.caption, 5), scene, name) for scene in scenes]
    styled = [in_style(drawn(pipeline, scene.caption, 5), scene, name) for scene in scenes]
    assert sum(plain) == 0
    assert sum(styled) >= 2
