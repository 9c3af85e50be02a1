"""LoRAs laid over real transformers and encoders, beside PEFT's way of doing it."""

import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from editing.checkpoints import Architecture
from editing.diffusion.loras import LoraFile, LoraRack
from editing.diffusion.quiet import quiet_libraries
from editing.errors import OperationError
from tests.editing.lora_files import ATTENTION, LAYERS, Arrays, H, diffusers_lora, factors, file_of

import torch  # isort: skip
from diffusers import Flux2Transformer2DModel, FluxControlPipeline, FluxPipeline, FluxTransformer2DModel  # isort: skip
from peft import LoraConfig, get_peft_model_state_dict  # isort: skip
from safetensors.torch import load  # isort: skip

FILES: dict[str, bytes] = {
    "a": file_of(diffusers_lora(1)),
    "b": file_of(diffusers_lora(2, LAYERS, rank=8, size=0.1)),
}


def rack(files: Mapping[str, bytes] = FILES, **other: Any) -> LoraRack:
    return LoraRack(files.__getitem__, **other)


def file(name: str, weight: float = 1.0, **other: Any) -> LoraFile:
    return LoraFile(name=name, digest=name, weight=weight, **other)


@pytest.fixture(scope="module")
def models(tiny_weights: dict[str, Path]) -> dict[str, Any]:
    with quiet_libraries():
        pipeline = FluxPipeline.from_pretrained(tiny_weights["FLUX.1-dev"], local_files_only=True)
    return {name: getattr(pipeline, name) for name in ("transformer", "text_encoder", "text_encoder_2")} | {
        "pipeline": pipeline
    }


@pytest.fixture
def parts(models: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in models.items() if name != "pipeline"}


def velocity(transformer: Any, channels: int = 64) -> torch.Tensor:
    """What a transformer says of fixed inputs."""
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    with torch.no_grad():
        return transformer(
            hidden_states=draw(1, 12, channels),
            encoder_hidden_states=draw(1, 7, 32),
            pooled_projections=draw(1, 32),
            timestep=torch.tensor([0.4]),
            img_ids=torch.zeros(12, 3),
            txt_ids=torch.zeros(7, 3),
            guidance=torch.tensor([3.5]),
            return_dict=False,
        )[0]


def fresh(tiny_weights: dict[str, Path], name: str = "FLUX.1-dev") -> Any:
    with quiet_libraries():
        return FluxTransformer2DModel.from_pretrained(tiny_weights[name] / "transformer", local_files_only=True)


def stock(models: dict[str, Any], tiny_weights: dict[str, Path], kind: type = FluxPipeline) -> Any:
    """Diffusers' pipeline around a transformer of its own, into which it may inject what it likes."""
    with quiet_libraries():
        given = {**models["pipeline"].components, "transformer": fresh(tiny_weights)}
        return kind(
            **{name: each for name, each in given.items() if name not in {"image_encoder", "feature_extractor"}}
        )


@contextmanager
def peft_speaking() -> Iterator[None]:
    """PEFT warns of a second adapter and of what it finds in a model; that is its affair."""
    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def state(model: Any) -> dict[str, Any]:
    """Everything that a hook, an injected layer or a changed weight would show in."""
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    return {"hooks": hooks, "modules": [(n, id(m)) for n, m in model.named_modules()]} | {
        name: (id(each), each.data_ptr(), each.detach().clone()) for name, each in model.named_parameters()
    }


def same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    plain = {name: each for name, each in before.items() if not isinstance(each, tuple)}
    if plain != {name: each for name, each in after.items() if not isinstance(each, tuple)}:
        return False
    return all(
        after[name][:2] == each[:2] and torch.equal(after[name][2], each[2])
        for name, each in before.items()
        if isinstance(each, tuple)
    )


def test_any_order_of_loras_gives_what_fresh_weights_give(parts: dict[str, Any], tiny_weights: dict[str, Path]) -> None:
    mixes = {
        "none": [], "a": [file("a", 0.7)], "b": [file("b", -1.3)],
        "ab": [file("a", 0.7), file("b", 0.4)], "ba": [file("b", 0.4), file("a", 0.7)],
    }  # fmt: skip
    alone = {}
    for name, files in mixes.items():
        new = fresh(tiny_weights)
        with rack().applied({"transformer": new}, files):
            alone[name] = velocity(new)
    assert torch.equal(alone["none"], velocity(parts["transformer"]))
    assert len({each.numpy().tobytes() for each in alone.values()}) == len(mixes)  # each of them is seen
    shelf = rack(kept=1)
    for name in ("a", "b", "ab", "none", "a", "ba", "ab", "a", "none", "b"):
        with shelf.applied(parts, mixes[name]):
            assert torch.equal(velocity(parts["transformer"]), alone[name]), name


def test_the_model_is_untouched_after_a_run_and_after_one_that_breaks(parts: dict[str, Any]) -> None:
    before, plain = state(parts["transformer"]), velocity(parts["transformer"])
    shelf = rack()
    with shelf.applied(parts, [file("a"), file("b")]):
        assert not torch.equal(velocity(parts["transformer"]), plain)
    with pytest.raises(RuntimeError, match="stop"), shelf.applied(parts, [file("a")]):
        raise RuntimeError("stop")
    assert same(before, state(parts["transformer"]))
    assert torch.equal(velocity(parts["transformer"]), plain)


def test_files_that_do_not_fit_do_not_pile_up_in_memory(parts: dict[str, Any]) -> None:
    wide = {name: (sides[0], 2 * sides[1]) for name, sides in ATTENTION.items()}
    shelf = rack({f"wide {n}": file_of(diffusers_lora(n, wide)) for n in range(5)}, kept=2)
    for n in range(5):
        with pytest.raises(OperationError), shelf.applied(parts, [file(f"wide {n}")]):
            pass
        with pytest.raises(KeyError), shelf.applied(parts, [file(f"wide {n}"), file("not there")]):
            pass
    assert len(shelf._loaded) == 2


def test_weight_zero_is_the_bare_model_to_the_bit(parts: dict[str, Any]) -> None:
    plain = velocity(parts["transformer"])
    with rack().applied(parts, [file("a", 0.0), file("b", 0.0)]):
        assert torch.equal(velocity(parts["transformer"]), plain)


@pytest.mark.parametrize("mix", [[("a", 1.0)], [("b", 0.6)], [("a", 0.7), ("b", -0.4)]])
def test_results_are_those_of_diffusers_and_peft_to_the_bit(
    models: dict[str, Any], parts: dict[str, Any], tiny_weights: dict[str, Path], mix: list[tuple[str, float]]
) -> None:
    theirs = stock(models, tiny_weights)
    with peft_speaking():
        for name, _ in mix:
            theirs.load_lora_weights(load(FILES[name]), adapter_name=name)
        theirs.set_adapters(*(list(each) for each in zip(*mix, strict=True)))
    with rack().applied(parts, [file(name, weight) for name, weight in mix]):
        assert torch.equal(velocity(parts["transformer"]), velocity(theirs.transformer))


def test_alpha_in_metadata_and_rslora_are_pefts(parts: dict[str, Any], tiny_weights: dict[str, Path]) -> None:
    theirs = fresh(tiny_weights)
    torch.manual_seed(3)
    names = ["to_q", "ff.net.2"]
    config = LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=names, init_lora_weights=False)
    with peft_speaking():
        theirs.add_adapter(config, adapter_name="made")
        made = get_peft_model_state_dict(theirs, adapter_name="made")
    tensors = {f"transformer.{name}": each.numpy() for name, each in made.items()}
    said = {f"transformer.{name}": getattr(config, name) for name in ("r", "lora_alpha", "use_rslora")}
    data = file_of(tensors, {"lora_adapter_metadata": json.dumps(said)})
    with rack({"made": data}).applied(parts, [file("made")]):
        assert torch.equal(velocity(parts["transformer"]), velocity(theirs))


def renamed(name: str, down: np.ndarray, up: np.ndarray) -> Arrays:
    return {
        f"{name}.lora_down.weight": down,
        f"{name}.lora_up.weight": up,
        f"{name}.alpha": np.full((), 2, np.float32),
    }


def test_fused_names_act_on_each_of_their_layers(parts: dict[str, Any]) -> None:
    """One file in kohya's names, one in diffusers', the same numbers."""
    qkv, linear1 = factors(1, 3 * H, H), factors(2, 7 * H, H)
    last = factors(3, 2 * H, H)
    kohya = {
        **renamed("lora_unet_double_blocks_0_img_attn_qkv", *qkv),
        **renamed("lora_unet_single_blocks_0_linear1", *linear1),
        **renamed("lora_unet_final_layer_adaLN_modulation_1", *last),
    }
    plain: Arrays = {}

    def put(path: str, down: np.ndarray, up: np.ndarray) -> None:
        plain.update({f"transformer.{path}.lora_A.weight": down, f"transformer.{path}.lora_B.weight": up})
        plain[f"transformer.{path}.alpha"] = np.full((), 2, np.float32)

    for index, name in enumerate(("to_q", "to_k", "to_v")):
        put(f"transformer_blocks.0.attn.{name}", qkv[0], qkv[1][index * H : (index + 1) * H])
        put(f"single_transformer_blocks.0.attn.{name}", linear1[0], linear1[1][index * H : (index + 1) * H])
    put("single_transformer_blocks.0.proj_mlp", linear1[0], linear1[1][3 * H :])
    put("norm_out.linear", last[0], np.concatenate([last[1][H:], last[1][:H]]))
    results = []
    for tensors in (kohya, plain):
        with rack({"it": file_of(tensors)}).applied(parts, [file("it")]):
            results.append(velocity(parts["transformer"]))
    assert torch.equal(*results)
    assert not torch.equal(results[0], velocity(parts["transformer"]))


def test_a_lora_of_the_noise_acts_on_fill_s_noise_channels_alone(tiny_weights: dict[str, Path]) -> None:
    fill = fresh(tiny_weights, "FLUX.1-Fill-dev")
    down, up = factors(4, H, 64)
    dev = file_of({"transformer.x_embedder.lora_A.weight": down, "transformer.x_embedder.lora_B.weight": up})
    padded = np.concatenate([down, np.zeros((4, 320), np.float32)], axis=1)
    wide = file_of({"transformer.x_embedder.lora_A.weight": padded, "transformer.x_embedder.lora_B.weight": up})
    results = []
    for name in ("dev", "wide"):
        with rack({"dev": dev, "wide": wide}).applied({"transformer": fill}, [file(name)]):
            results.append(velocity(fill, 384))
    torch.testing.assert_close(*results, rtol=0, atol=1e-6)
    assert float((results[0] - velocity(fill, 384)).abs().max()) > 1e-3


def control_lora() -> Arrays:
    """As FLUX.1-Canny-dev-lora is built: twice the inputs, biases, norms of queries and keys."""
    tensors = diffusers_lora(7, {**LAYERS, "x_embedder": (H, 128)}, size=0.1)
    rng = np.random.default_rng(8)
    for name in list(tensors):
        if name.endswith("lora_B.weight"):
            tensors[name.replace("weight", "bias")] = (
                rng.standard_normal(tensors[name].shape[0]).astype(np.float32) * 0.1
            )
    for norm in ("transformer_blocks.0.attn.norm_q", "single_transformer_blocks.0.attn.norm_k"):
        tensors[f"transformer.{norm}.weight"] = rng.uniform(0.5, 1.5, 16).astype(np.float32)
    return tensors


@pytest.mark.parametrize("weight", [1.0, 0.85])
def test_a_control_lora_reads_its_image_for_a_run_and_leaves_nothing_behind(
    models: dict[str, Any], parts: dict[str, Any], tiny_weights: dict[str, Path], weight: float
) -> None:
    data = file_of(control_lora())
    theirs = stock(models, tiny_weights, FluxControlPipeline)
    with peft_speaking():
        theirs.load_lora_weights(load(data), adapter_name="control")
        theirs.set_adapters("control", weight)
    before, plain = state(parts["transformer"]), velocity(parts["transformer"])
    with rack({"c": data}).applied(parts, [file("c", weight, control=True)]):
        ours = velocity(parts["transformer"], 128)
    # Their first layer multiplies 128 numbers, half of them by zero; on other processors that may round otherwise.
    torch.testing.assert_close(ours, velocity(theirs.transformer, 128), rtol=0, atol=2e-6)
    assert same(before, state(parts["transformer"]))
    assert torch.equal(velocity(parts["transformer"]), plain)
    with rack({"c": data}).applied(parts, [file("c", 0.0, control=True)]):
        velocity(parts["transformer"], 128)  # weight 0 still takes the control image


def test_a_control_lora_and_a_lora_of_the_noise_act_together(parts: dict[str, Any]) -> None:
    noise = {name: LAYERS[name] for name in ("x_embedder", "proj_out")}
    shelf = rack({"c": file_of(control_lora()), "n": file_of(diffusers_lora(3, noise))})
    with shelf.applied(parts, [file("c", control=True)]):
        alone = velocity(parts["transformer"], 128)
    with shelf.applied(parts, [file("c", control=True), file("n", 0.5)]):
        both = velocity(parts["transformer"], 128)
    assert float((both - alone).abs().max()) > 1e-3


def test_encoders_are_changed_too(models: dict[str, Any], parts: dict[str, Any]) -> None:
    clip = factors(5, 32, 32)
    t5 = factors(6, 32, 32)
    data = file_of(
        {
            "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight": clip[0],
            "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight": clip[1],
            "lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight": t5[0],
            "lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_up.weight": t5[1],
        }
    )
    ids = torch.tensor([[0, 5, 6, 7, 1]])

    def encoded() -> list[torch.Tensor]:
        with torch.no_grad():
            return [parts["text_encoder"](ids).pooler_output, parts["text_encoder_2"](ids).last_hidden_state]

    shelf, before = rack({"t": data}), encoded()
    assert shelf.parts_of(file("t")) == {"text_encoder", "text_encoder_2"}
    with shelf.applied(parts, [file("t")]):
        changed = encoded()
    assert not any(torch.equal(*pair) for pair in zip(before, changed, strict=True))
    assert all(torch.equal(*pair) for pair in zip(before, encoded(), strict=True))
    with pytest.raises(OperationError) as caught, shelf.applied({"transformer": parts["transformer"]}, [file("t")]):
        pass
    assert caught.value.code == "lora_unsupported"


def broken(change: Callable[[Arrays], Any], layers: Mapping[str, tuple[int, int]] = ATTENTION) -> bytes:
    tensors = diffusers_lora(1, layers)
    change(tensors)
    return file_of(tensors)


Q = "transformer.transformer_blocks.0.attn.to_q.lora_A.weight"


def nan(tensors: Arrays) -> None:
    tensors[Q][0, 0] = np.nan


def infinite(tensors: Arrays) -> None:
    tensors[Q][0, 0] = np.inf


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (broken(nan), "lora_not_finite"),
        (broken(infinite), "lora_not_finite"),
        (file_of(diffusers_lora(1, {**ATTENTION, "transformer_blocks.0.attn.to_q": (H, 2 * H)})), "lora_shapes_wrong"),
        (file_of(diffusers_lora(1, {**ATTENTION, "transformer_blocks.7.attn.to_q": (H, H)})), "lora_shapes_wrong"),
        (file_of(diffusers_lora(1, {**ATTENTION, "x_embedder": (H, 384)})), "lora_shapes_wrong"),
        (file_of(diffusers_lora(1, {**ATTENTION, "x_embedder": (H, 128)})), "lora_shapes_wrong"),
        (file_of(control_lora()), "lora_kind_unsupported"),
        (broken(lambda tensors: tensors.update({"unet.to_q.lora_A.weight": np.ones((4, 4))})), "lora_keys_foreign"),
        (FILES["a"][:-5], "lora_truncated"),
        (b"\x80\x02}q\x00.", "lora_not_safetensors"),
    ],
)
def test_a_file_that_fails_leaves_everything_as_it_was(parts: dict[str, Any], data: bytes, code: str) -> None:
    before, plain = state(parts["transformer"]), velocity(parts["transformer"])
    shelf = rack({**FILES, "bad": data})
    with shelf.applied(parts, [file("a")]):
        good = velocity(parts["transformer"])
    with pytest.raises(OperationError) as caught, shelf.applied(parts, [file("a"), file("bad")]):
        pass
    assert caught.value.code == code
    assert same(before, state(parts["transformer"]))
    assert torch.equal(velocity(parts["transformer"]), plain)
    with shelf.applied(parts, [file("a")]):
        assert torch.equal(velocity(parts["transformer"]), good)


def test_both_shapes_are_said_where_a_layer_is_of_another_size(parts: dict[str, Any]) -> None:
    data = file_of(diffusers_lora(1, {"transformer_blocks.0.attn.to_q": (H, 2 * H)}))
    with pytest.raises(OperationError) as caught, rack({"x": data}).applied(parts, [file("x")]):
        pass
    assert (caught.value.value, caught.value.limit) == ([H, 2 * H], [H, H])


def test_loaded_loras_are_kept_and_the_oldest_given_up(parts: dict[str, Any]) -> None:
    reads: list[str] = []
    shelf = LoraRack(lambda digest: (reads.append(digest), FILES[digest])[1], kept=1)
    for name in ("a", "a", "b", "b", "a"):
        with shelf.applied(parts, [file(name)]):
            pass
    assert reads == ["a", "b", "a"]
    with shelf.applied(parts, [file("a"), file("b")]):  # a run may use more than are kept
        pass
    assert reads == ["a", "b", "a", "b"]


def test_switching_between_loaded_loras_takes_milliseconds(parts: dict[str, Any]) -> None:
    shelf = rack()
    for name in ("a", "b"):
        with shelf.applied(parts, [file(name)]):
            velocity(parts["transformer"])
    start = time.perf_counter()
    for index in range(10):
        with shelf.applied(parts, [file("ab"[index % 2])]):
            pass
    assert (time.perf_counter() - start) / 10 < 0.05


def test_a_file_in_a_folder_is_read_like_an_upload(parts: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    path.write_bytes(FILES["a"])
    with rack().applied(parts, [file("a")]):
        expected = velocity(parts["transformer"])
    with rack({}).applied(parts, [file("x", path=path)]):
        assert torch.equal(velocity(parts["transformer"]), expected)


def test_bfloat16_weights_take_a_float32_file(tiny_weights: dict[str, Path]) -> None:
    model = fresh(tiny_weights).to(torch.bfloat16)
    with rack().applied({"transformer": model}, [file("a")]):
        layer = model.transformer_blocks[0].attn.to_q
        assert layer(torch.ones(1, H, dtype=torch.bfloat16)).dtype is torch.bfloat16


def test_flux2_takes_a_lora() -> None:
    torch.manual_seed(0)
    model = Flux2Transformer2DModel(
        in_channels=128, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=(4, 4, 4, 4), timestep_guidance_channels=16, guidance_embeds=False,
    ).eval()  # fmt: skip
    fused = model.single_transformer_blocks[0].attn.to_qkv_mlp_proj
    qkv, linear1 = factors(1, 3 * H, H), factors(2, fused.out_features, H)
    data = file_of(
        {
            "diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight": qkv[0],
            "diffusion_model.double_blocks.0.img_attn.qkv.lora_B.weight": qkv[1],
            "diffusion_model.single_blocks.0.linear1.lora_A.weight": linear1[0],
            "diffusion_model.single_blocks.0.linear1.lora_B.weight": linear1[1],
        }
    )
    x = torch.ones(1, H)
    with (
        torch.no_grad(),
        rack({"x": data}, architecture=Architecture.FLUX2).applied({"transformer": model}, [file("x")]),
    ):
        changed = fused(x)
    expected = fused(x) + torch.from_numpy(linear1[1]) @ torch.from_numpy(linear1[0]) @ x[0]
    torch.testing.assert_close(changed, expected, rtol=1e-4, atol=1e-4)
