"""Residency: each profile's techniques on tiny weights, as far as a CPU can run them.

What a profile computes is held against a plain run of the same weights, rounded by hand: equal to the last bit, because
waiting changes nothing and squeezing changes the weights alone.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from editing.diffusion import formats
from editing.diffusion.memory import Residency
from editing.diffusion.placing import Place, place
from editing.diffusion.quiet import quiet_libraries
from editing.diffusion.settings import EngineSettings
from editing.errors import EngineError
from editing.estimates import FLUX1_DEV, WHOLE_SHARE
from editing.memory import LAYOUTS, MemoryProfile, Part, Waiting, WeightFormat

from tests.editing import tiny  # isort: skip

CPU = torch.device("cpu")
SQUEEZING = {
    MemoryProfile.GB48: {},
    MemoryProfile.GB24: {"transformer": "fp8", "controlnet": "fp8"},
    MemoryProfile.GB16: {"transformer": "int4"},
    MemoryProfile.GB12: {"transformer": "int4", "controlnet": "int4", "text_encoder": "int4", "text_encoder_2": "int4"},
    MemoryProfile.GB8: {"transformer": "fp8", "controlnet": "fp8"},
    MemoryProfile.CPU: {},
}
WHOLE = {
    ("transformer", "fp8"): "embed|norm|^proj_out$",
    ("transformer", "int4"): "embed|norm_out|^proj_out$",
    ("controlnet", "fp8"): "embed|norm",
    ("controlnet", "int4"): "embed|^controlnet_",
    ("text_encoder", "int4"): "embed",
    ("text_encoder_2", "int4"): r"\.wo$",
}


def residency(profile: MemoryProfile, *, small: int = 0) -> Residency:
    return Residency(Place(device=CPU, dtype=torch.float32, profile=profile), small=small)


@pytest.fixture(scope="module")
def loaded(tiny_weights: Mapping[str, Path]) -> dict[str, Any]:
    from diffusers import FluxControlNetModel, FluxPipeline

    with quiet_libraries():
        pipeline = FluxPipeline.from_pretrained(tiny_weights["FLUX.1-dev"], dtype=torch.float32)
        net = FluxControlNetModel.from_pretrained(
            tiny_weights["FLUX.1-dev-ControlNet-Union-Pro-2.0"], dtype=torch.float32
        )
    names = ("transformer", "text_encoder", "text_encoder_2", "vae", "tokenizer")
    return {name: getattr(pipeline, name) for name in names} | {"controlnet": net}


@pytest.fixture
def parts(loaded: dict[str, Any]) -> dict[str, Any]:
    return {name: copy.deepcopy(each).eval() if isinstance(each, nn.Module) else each for name, each in loaded.items()}


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def paint(parts: Mapping[str, Any], *, steps: int = 2) -> torch.Tensor:
    """What a sampler does, in its order: prompt, picture, steps with a ControlNet, picture."""
    words = torch.arange(7).reshape(1, 7)
    pooled = parts["text_encoder"](words).pooler_output
    text = parts["text_encoder_2"](words)[0]
    picture = parts["vae"].encode(noise(2, 1, 3, 32, 32)).latent_dist.mode()
    known = picture.reshape(1, 64, -1).transpose(1, 2)
    latents = noise(3, *known.shape)
    for step in range(steps):
        inputs = {
            "hidden_states": latents,
            "encoder_hidden_states": text,
            "pooled_projections": pooled,
            "timestep": torch.tensor([1.0 - step / steps]),
            "img_ids": torch.zeros(known.shape[1], 3),
            "txt_ids": torch.zeros(7, 3),
            "guidance": torch.tensor([3.5]),
            "return_dict": False,
        }
        with quiet_libraries():
            blocks, singles = parts["controlnet"](controlnet_cond=known, conditioning_scale=0.7, **inputs)
            flow = parts["transformer"](
                controlnet_block_samples=blocks, controlnet_single_block_samples=singles, **inputs
            )[0]
        latents = latents - flow / steps
    unpacked = latents.transpose(1, 2).reshape(1, 16, 4, 4)
    pixels: torch.Tensor = parts["vae"].decode(unpacked, return_dict=False)[0]
    return pixels


def rounded(parts: Mapping[str, Any], profile: MemoryProfile) -> dict[str, Any]:
    """The same parts with the values that squeezed weights have."""
    others = dict(parts)
    for name, form in SQUEEZING[profile].items():
        others[name] = copy.deepcopy(parts[name])
        for path, layer in others[name].named_modules():
            if type(layer) is nn.Linear and not re.search(WHOLE[name, form], path):
                layer.weight.data = _rounded(layer.weight.data, form)
                if form == "fp8" and layer.bias is not None:
                    layer.bias.data = _rounded(layer.bias.data, form)
    return others


def _rounded(weight: torch.Tensor, form: str) -> torch.Tensor:
    if form == "fp8":
        return weight.to(torch.float8_e4m3fn).to(weight.dtype)
    from bitsandbytes import functional

    packed, state = functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=False)
    values: torch.Tensor = functional.dequantize_4bit(packed, state)
    return values


@pytest.mark.parametrize("profile", MemoryProfile)
def test_a_profile_paints_what_its_weights_say_to_the_last_bit(parts: dict[str, Any], profile: MemoryProfile) -> None:
    whole, expected = paint(parts), paint(rounded(parts, profile))
    keeper = residency(profile)
    keeper.settle(parts)
    for _ in range(2):
        with keeper.during(parts):
            assert torch.equal(paint(parts), expected)
        assert not keeper.aboard
    away = float((expected - whole).abs().max() / whole.abs().max())
    facts = keeper.facts(parts)
    assert facts["exact"] == (not SQUEEZING[profile])
    assert facts["profile"] == profile.value
    assert {name: form for name, form in facts["formats"].items() if form != "float32"} == SQUEEZING[profile]
    assert (0.0 < away < 0.1) if SQUEEZING[profile] else (away == 0.0)


class _BreakdownError(Exception):
    pass


@pytest.mark.parametrize("profile", MemoryProfile)
@pytest.mark.parametrize(
    "where", [("transformer", "single_transformer_blocks.0.proj_mlp"), ("text_encoder_2", "encoder.block.0.layer.0")]
)
def test_a_run_that_fails_inside_a_layer_leaves_the_next_one_as_it_would_have_been(
    parts: dict[str, Any], profile: MemoryProfile, where: tuple[str, str]
) -> None:
    keeper = residency(profile)
    keeper.settle(parts)
    with keeper.during(parts):
        expected = paint(parts)
    before = _state(parts)
    layer = parts[where[0]].get_submodule(where[1])
    linear = layer if isinstance(layer, nn.Linear) else layer.SelfAttention.q
    true_forward = type(linear).forward
    with pytest.raises(_BreakdownError), keeper.during(parts), _failing_inside(linear):
        paint(parts)
    assert not keeper.aboard
    assert _state(parts) == before
    assert type(linear).forward is true_forward
    with keeper.during(parts):
        assert torch.equal(paint(parts), expected)


@contextmanager
def _failing_inside(linear: nn.Module) -> Iterator[None]:
    """Let the layer's own arithmetic fail, within every hook, as running out of memory would."""
    true_class = type(linear)

    def forward(self: nn.Module, *_: object) -> None:
        raise _BreakdownError

    # Hooks hold the bound method they wrapped; a broken weight reaches it through any of them.
    weight = linear._parameters.pop("weight")
    linear.__class__ = type("Broken", (true_class,), {"weight": property(forward)})
    try:
        yield
    finally:
        linear.__class__ = true_class
        linear._parameters["weight"] = weight


def _state(parts: Mapping[str, Any]) -> dict[str, tuple[torch.dtype, str]]:
    return {
        f"{name}.{path}": (each.dtype, each.device.type)
        for name, model in parts.items()
        if isinstance(model, nn.Module)
        for path, each in model.named_parameters()
    }


@pytest.mark.parametrize("profile", [MemoryProfile.GB24, MemoryProfile.GB16, MemoryProfile.GB12])
def test_models_take_turns_and_what_works_together_stays_together(
    parts: dict[str, Any], profile: MemoryProfile
) -> None:
    keeper = residency(profile)
    keeper.settle(parts)
    seen: dict[str, set[frozenset[str]]] = {}
    models = {name: each for name, each in parts.items() if isinstance(each, nn.Module)}

    def look(name: str) -> Any:
        def note(*_: object) -> None:
            aboard = frozenset(other for other, model in models.items() if model in keeper.aboard)
            seen.setdefault(name, set()).add(aboard)

        return note

    # Inside each model, past the hook that brings it.
    for name, path in {"text_encoder_2": "encoder", "transformer": "x_embedder", "vae": "decoder"}.items():
        models[name].get_submodule(path).register_forward_pre_hook(look(name))
    with keeper.during(parts):
        paint(parts)
    prompt, loop = frozenset({"text_encoder", "text_encoder_2"}), frozenset({"transformer", "controlnet"})
    assert seen["text_encoder_2"] == {prompt}
    assert seen["transformer"] == {loop}
    turn = LAYOUTS[profile].parts[Part.VAE].waits is Waiting.TURNS
    assert seen["vae"] == {frozenset({"vae"}) if turn else loop}


def test_a_block_of_several_runs_leaves_the_device_to_them_and_a_failure_does_not(parts: dict[str, Any]) -> None:
    keeper = residency(MemoryProfile.GB24)
    keeper.settle(parts)
    with keeper.during(parts):
        with keeper.during(parts):
            paint(parts)
        assert parts["transformer"] in keeper.aboard
        with pytest.raises(_BreakdownError), keeper.during(parts):
            raise _BreakdownError
        assert not keeper.aboard
    other = {"transformer": copy.deepcopy(parts["transformer"])}
    paint(parts)  # outside any block: nobody takes them off
    assert keeper.aboard
    with keeper.during(other):
        assert not keeper.aboard


def test_streamed_layers_are_never_there_together(parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers.hooks.group_offloading import ModuleGroup

    keeper = residency(MemoryProfile.GB8)
    keeper.settle(parts)
    there: dict[int, int] = {}
    peaks = [0]

    def weights(group: Any) -> int:
        return sum(each.numel() for module in group.modules for each in module.parameters()) + sum(
            each.numel() for each in group.parameters
        )

    bring, take = ModuleGroup.onload_, ModuleGroup.offload_

    def onload(group: Any) -> None:
        there[id(group)] = weights(group)
        peaks.append(sum(there.values()))
        bring(group)

    def offload(group: Any) -> None:
        there.pop(id(group), None)
        take(group)

    monkeypatch.setattr(ModuleGroup, "onload_", onload)
    monkeypatch.setattr(ModuleGroup, "offload_", offload)
    with keeper.during(parts):
        paint(parts)
    total = sum(each.numel() for each in parts["transformer"].parameters())
    assert 0 < max(peaks) < total / 3
    assert not there


def test_a_text_encoder_comes_layer_by_layer(parts: dict[str, Any]) -> None:
    keeper = residency(MemoryProfile.GB8)
    keeper.settle(parts)
    encoder = parts["text_encoder_2"]
    total = sum(each.numel() for each in encoder.parameters())
    there: list[int] = []
    for layer in encoder.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_pre_hook(
                lambda *_: there.append(sum(each.numel() for each in encoder.parameters() if each.device == CPU))
            )
    with keeper.during(parts):
        paint(parts)
    assert there
    assert max(there) < total / 2
    assert all(each.device.type == "meta" for each in encoder.parameters())


def lora(model: nn.Module, seed: int = 5) -> dict[str, torch.Tensor]:
    weights = {}
    for index, path in enumerate(
        ("transformer_blocks.0.attn.to_q", "single_transformer_blocks.0.proj_mlp", "x_embedder")
    ):
        layer = model.get_submodule(path)
        weights[f"transformer.{path}.lora_A.weight"] = noise(seed + index, 4, layer.in_features) * 0.2
        weights[f"transformer.{path}.lora_B.weight"] = noise(seed - index, layer.out_features, 4) * 0.2
    return weights


@pytest.mark.parametrize("profile", MemoryProfile)
def test_layers_added_to_squeezed_and_waiting_weights_act_and_leave_no_trace(
    parts: dict[str, Any], profile: MemoryProfile
) -> None:
    weights = lora(parts["transformer"])
    plain = rounded(parts, profile)
    if plain["transformer"] is parts["transformer"]:
        plain["transformer"] = copy.deepcopy(parts["transformer"])
    bare = paint(plain)
    with quiet_libraries():
        plain["transformer"].load_lora_adapter(dict(weights), adapter_name="style", prefix="transformer")
    expected = paint(plain)
    assert not torch.equal(expected, bare)
    keeper = residency(profile)
    keeper.settle(parts)
    with keeper.changing("transformer", parts["transformer"]), quiet_libraries():
        parts["transformer"].load_lora_adapter(dict(weights), adapter_name="style", prefix="transformer")
    with keeper.during(parts):
        assert torch.equal(paint(parts), expected)
    dtypes = {each.dtype for name, each in parts["transformer"].named_parameters() if "lora_" in name}
    assert dtypes == {torch.float32}
    with keeper.changing("transformer", parts["transformer"]):
        parts["transformer"].delete_adapters("style")
    with keeper.during(parts):
        assert torch.equal(paint(parts), bare)


def test_a_lora_that_does_not_load_leaves_a_streamed_model_usable(parts: dict[str, Any]) -> None:
    keeper = residency(MemoryProfile.GB8)
    keeper.settle(parts)
    with keeper.during(parts):
        expected = paint(parts)
    with pytest.raises(_BreakdownError), keeper.changing("transformer", parts["transformer"]):
        raise _BreakdownError
    with keeper.during(parts):
        assert torch.equal(paint(parts), expected)


def test_a_text_encoder_that_comes_layer_by_layer_can_learn_words(parts: dict[str, Any]) -> None:
    encoder = parts["text_encoder"]
    word = noise(9, 32)
    keeper = residency(MemoryProfile.GB8)
    keeper.settle(parts)
    words = torch.tensor([[1, encoder.config.vocab_size, 2]])
    with keeper.changing("text_encoder", encoder), quiet_libraries(), torch.no_grad():
        encoder.resize_token_embeddings(encoder.config.vocab_size + 1)
        encoder.get_input_embeddings().weight[-1] = word
    with keeper.during(parts), torch.no_grad():
        assert torch.isfinite(encoder(words).last_hidden_state).all()
    with keeper.changing("text_encoder", encoder):
        assert torch.equal(encoder.get_input_embeddings().weight[-1], word)


def test_a_model_that_two_checkpoints_share_is_settled_once(parts: dict[str, Any]) -> None:
    for profile in (MemoryProfile.GB12, MemoryProfile.GB8):
        mine = {name: copy.deepcopy(each) if isinstance(each, nn.Module) else each for name, each in parts.items()}
        keeper = residency(profile)
        keeper.settle(mine)
        with keeper.during(mine):
            expected = paint(mine)
        keeper.settle(
            {"vae": mine["vae"], "text_encoder_2": mine["text_encoder_2"], "controlnet:b": mine["controlnet"]}
        )
        with keeper.during(mine):
            assert torch.equal(paint(mine), expected)


def test_small_weights_are_left_alone_on_any_card(parts: dict[str, Any]) -> None:
    expected = paint(parts)
    keeper = Residency(Place(device=CPU, dtype=torch.float32, profile=MemoryProfile.GB16))
    keeper.settle(parts)
    with keeper.during(parts):
        assert torch.equal(paint(parts), expected)
    assert keeper.facts(parts)["exact"]


def test_only_pictures_larger_than_a_tile_are_cut_for_the_vae(parts: dict[str, Any]) -> None:
    whole = copy.deepcopy(parts["vae"])
    keeper = residency(MemoryProfile.GB8)
    keeper.settle({"vae": parts["vae"]})
    with torch.no_grad():
        for side, same in ((128, True), (136, False)):
            latents = noise(4, 1, 16, 2, side)
            assert torch.equal(parts["vae"].decode(latents)[0], whole.decode(latents)[0]) is same
    assert keeper.facts({"vae": parts["vae"]})["vae_tiling"]


def test_an_unknown_part_is_refused_before_anything_is_touched(parts: dict[str, Any]) -> None:
    keeper = residency(MemoryProfile.GB24)
    with pytest.raises(ValueError, match="safety_checker"):
        keeper.settle({"transformer": parts["transformer"], "safety_checker": parts["vae"]})
    assert all(each.dtype is torch.float32 for each in parts["transformer"].parameters())
    with pytest.raises(ValueError, match="safety_checker"):
        keeper.load_options("safety_checker")
    assert keeper.load_options("controlnet:any") == {"dtype": torch.float32}


def test_a_profile_with_int4_is_refused_without_its_library_and_auto_needs_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: None)
    for profile in (MemoryProfile.GB16, MemoryProfile.GB12):
        with pytest.raises(EngineError, match="flux-studio\\[quantised\\]") as caught:
            residency(profile)
        assert caught.value.code == "quantiser_missing"
        assert "8gb" in caught.value.limit
    residency(MemoryProfile.GB8)


@pytest.mark.parametrize("memory", [each for each in MemoryProfile if each is not MemoryProfile.CPU])
def test_a_profile_of_cards_is_refused_on_a_cpu(memory: MemoryProfile) -> None:
    with pytest.raises(EngineError) as caught:
        place(EngineSettings(memory=memory, device="cpu"))
    assert caught.value.code == "offload_unavailable"


def test_a_cpu_computes_in_float32_unless_told_otherwise() -> None:
    for settings in (EngineSettings(device="cpu"), EngineSettings(memory=MemoryProfile.CPU)):
        chosen = place(settings)
        assert (chosen.device, chosen.dtype, chosen.profile) == (CPU, torch.float32, MemoryProfile.CPU)
        assert chosen.keeps == 2


def test_an_unknown_device_is_refused() -> None:
    for device in ("bogus", "xla"):
        with pytest.raises(EngineError, match=device) as caught:
            place(EngineSettings(device=device))
        assert caught.value.code == "device_unknown"


def test_the_table_of_flux_sizes_is_that_of_the_real_shapes() -> None:
    from diffusers import FluxControlNetModel, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    t5 = T5Config(d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64, feed_forward_proj="gated-gelu")
    with torch.device("meta"), quiet_libraries():
        models = {
            Part.TRANSFORMER: FluxTransformer2DModel(guidance_embeds=True),
            Part.CONTROLNET: FluxControlNetModel(num_layers=6, num_single_layers=0, guidance_embeds=True),
            Part.TEXT_ENCODER_2: T5EncoderModel(t5),
        }
    for part, model in models.items():
        count = sum(each.numel() for each in model.parameters())
        assert count == pytest.approx(FLUX1_DEV[part], rel=2e-3)
        for form in (WeightFormat.FP8, WeightFormat.INT4):
            if (part, form) not in WHOLE_SHARE:
                continue
            squeezed = sum(
                layer.weight.numel()
                for path, layer in model.named_modules()
                if isinstance(layer, nn.Linear) and not re.search(WHOLE[part.value, form.value], path)
            )
            assert 1.0 - squeezed / count == pytest.approx(WHOLE_SHARE[part, form], abs=0.01)


@pytest.mark.parametrize("profile", list(MemoryProfile))
def test_detectors_run_beside_the_models_only_where_all_of_those_fit(profile: MemoryProfile) -> None:
    from editing.diffusion.building import detectors_device

    card = torch.device("cpu" if profile is MemoryProfile.CPU else "cuda:1")
    where = detectors_device(Place(device=card, dtype=torch.bfloat16, profile=profile))
    assert where == (card if profile is MemoryProfile.GB48 else torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="only an accelerator has memory of its own to measure")
@pytest.mark.parametrize("profile", [each for each in MemoryProfile if each is not MemoryProfile.CPU])
def test_on_an_accelerator_a_run_leaves_only_residents_and_peaks_below_all_weights(
    parts: dict[str, Any], profile: MemoryProfile
) -> None:
    device = torch.device("cuda")
    wide = {"num_attention_heads": 16, "attention_head_dim": 64, "axes_dims_rope": (16, 24, 24)}
    from diffusers import FluxTransformer2DModel

    parts["transformer"] = FluxTransformer2DModel(
        in_channels=64, guidance_embeds=True, **{**tiny.SHAPE, **wide, "num_layers": 8, "num_single_layers": 8}
    ).eval()
    weights = sum(each.numel() * each.element_size() for each in parts["transformer"].parameters())
    keeper = Residency(Place(device=device, dtype=torch.float32, profile=profile), small=0)
    keeper.settle(parts)
    torch.cuda.reset_peak_memory_stats()
    at_rest = torch.cuda.memory_allocated()
    with keeper.during(parts), torch.device(device):
        first = paint(parts).cpu()
    assert torch.cuda.memory_allocated() <= at_rest + 1_000_000
    waits = LAYOUTS[profile].parts[Part.TRANSFORMER].waits
    assert (at_rest < weights / 2) is (waits is not Waiting.RESIDENT)
    if waits is Waiting.STREAMED:
        assert torch.cuda.max_memory_allocated() < weights / 2
    with keeper.during(parts), torch.device(device):
        assert torch.equal(paint(parts).cpu(), first)
