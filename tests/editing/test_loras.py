"""LoRA files judged by their headers."""

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editing.catalogue import find
from editing.checkpoints import Architecture
from editing.errors import OperationError
from editing.lora_layers import contents_of
from editing.loras import LoraFacts, check_architecture, facts_of, require_plain
from editing.tensorfiles import read_header
from tests.editing.lora_files import ATTENTION, LAYERS, Arrays, diffusers_lora, factors, file_of, raw_file

LIMIT = 1 << 30


def judged(data: bytes, limit: int = LIMIT) -> LoraFacts:
    return facts_of(read_header(io.BytesIO(data), len(data), what="lora", limit=limit))


def code_of(data: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(OperationError) as caught:
        judged(data, limit)
    assert caught.value.field == "file"
    return caught.value.code


def pair(stem: str, outputs: int, inputs: int, *, style: tuple[str, str] = ("lora_A", "lora_B")) -> Arrays:
    down, up = factors(1, outputs, inputs)
    return {f"{stem}.{style[0]}.weight": down, f"{stem}.{style[1]}.weight": up}


KOHYA = ("lora_down", "lora_up")


def test_a_lora_of_every_layer_is_recognised_and_described() -> None:
    facts = judged(file_of(diffusers_lora(1, LAYERS, rank=8)))
    assert facts.naming == "diffusers"
    assert facts.architectures == (Architecture.FLUX1,)
    assert facts.ranks == (8, 8)
    assert facts.layers == len(LAYERS)
    assert facts.parts == ("transformer",)
    assert facts.parameters == sum(8 * (out + inputs) for out, inputs in LAYERS.values())
    assert not facts.control
    assert facts.to_json()["architectures"] == ["flux1"]


@pytest.mark.parametrize(
    ("naming", "tensors", "paths"),
    [
        ("kohya", pair("lora_unet_double_blocks_3_img_attn_qkv", 96, 32, style=KOHYA),
         ["transformer_blocks.3.attn.to_q", "transformer_blocks.3.attn.to_k", "transformer_blocks.3.attn.to_v"]),
        ("kohya", pair("lora_unet_single_blocks_37_linear1", 224, 32, style=KOHYA),
         ["single_transformer_blocks.37.attn.to_q", "single_transformer_blocks.37.attn.to_k",
          "single_transformer_blocks.37.attn.to_v", "single_transformer_blocks.37.proj_mlp"]),
        ("kohya", pair("lora_te1_text_model_encoder_layers_2_mlp_fc1", 37, 32, style=KOHYA),
         ["encoder.layers.2.mlp.fc1"]),
        ("xlabs", pair("double_blocks.0.processor.qkv_lora2", 96, 32, style=("down", "up")),
         ["transformer_blocks.0.attn.add_q_proj", "transformer_blocks.0.attn.add_k_proj",
          "transformer_blocks.0.attn.add_v_proj"]),
        ("xlabs", pair("single_blocks.1.processor.proj_lora", 32, 160, style=("down", "up")),
         ["single_transformer_blocks.1.proj_out"]),
        ("bfl", pair("diffusion_model.double_blocks.0.txt_mlp.2", 32, 128), ["transformer_blocks.0.ff_context.net.2"]),
        ("bfl", pair("base_model.model.double_blocks.0.img_mod.lin", 192, 32), ["transformer_blocks.0.norm1.linear"]),
        ("peft", pair("base_model.model.transformer_blocks.0.attn.to_add_out", 32, 32),
         ["transformer_blocks.0.attn.to_add_out"]),
        ("diffusers", pair("transformer.single_transformer_blocks.0.proj_mlp", 128, 32, style=("lora.down", "lora.up")),
         ["single_transformer_blocks.0.proj_mlp"]),
        ("diffusers", pair("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", 32, 32),
         ["encoder.layers.0.self_attn.q_proj"]),
    ],
)  # fmt: skip
def test_every_trainers_names_lead_to_the_same_layers(naming: str, tensors: Arrays, paths: list[str]) -> None:
    data = file_of(tensors)
    header = read_header(io.BytesIO(data), len(data), what="lora", limit=LIMIT)
    assert facts_of(header).naming == naming
    layers = contents_of(header, Architecture.FLUX1).layers
    assert [layer.path for layer in layers] == paths
    assert layers[0].rows[0] == 0
    assert all(before.rows[1] == after.rows[0] for before, after in pairwise(layers))
    assert layers[-1].rows[1] == tensors[layers[0].up].shape[0]


def test_flux2_is_told_from_flux1_by_names_or_by_sizes() -> None:
    flux2 = (Architecture.FLUX2,)
    assert judged(file_of(pair("transformer.single_transformer_blocks.0.attn.to_out", 32, 128))).architectures == flux2
    assert judged(file_of(pair("diffusion_model.single_blocks.0.linear1", 9 * 32, 32))).architectures == flux2
    assert judged(file_of(pair("lora_unet_double_blocks_0_img_mlp_0", 6 * 32, 32, style=KOHYA))).architectures == flux2
    shared = {**pair("transformer.transformer_blocks.0.attn.to_q", 32, 32), **pair("transformer.x_embedder", 32, 128)}
    assert judged(file_of(shared)).architectures == flux2
    assert judged(file_of(pair("transformer.transformer_blocks.0.attn.to_q", 32, 32))).architectures == (
        Architecture.FLUX1,
        Architecture.FLUX2,
    )


def test_a_control_lora_is_known_as_one_and_not_taken_as_an_upload() -> None:
    wide = judged(file_of(diffusers_lora(1, {**LAYERS, "x_embedder": (32, 128)})))
    norm = {"double_blocks.0.img_attn.norm.query_norm.scale": np.ones(16)}
    norms = judged(file_of({**pair("double_blocks.0.img_attn.proj", 32, 32), **norm}))
    for facts in (wide, norms):
        assert facts.control
        with pytest.raises(OperationError) as caught:
            require_plain(facts)
        assert caught.value.code == "lora_kind_unsupported"
    require_plain(judged(file_of(diffusers_lora(1))))


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\x80\x02}q\x00.", "pickle"),
        (b"\x80\x04}\x94." + bytes(20), "pickle"),
        (zipped(), "zip"),
        (b"GGUF" + bytes(40), "GGUF"),
    ],
)
def test_other_formats_are_named_and_refused(data: bytes, named: str) -> None:
    with pytest.raises(OperationError, match=named) as caught:
        judged(data)
    assert caught.value.code == "lora_not_safetensors"


@pytest.mark.parametrize("kept", [0, 7, 8, 60, -1])
def test_a_truncated_file_is_refused(kept: int) -> None:
    assert code_of(file_of(diffusers_lora(1))[:kept]) == "lora_truncated"


T = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        (1 << 40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{]",
        raw_file({"a": {**T, "dtype": "PICKLE"}}, bytes(8)),
        raw_file({"a": {**T, "shape": [3]}}, bytes(8)),
        raw_file({"a": {**T, "shape": [-2]}}, bytes(8)),
        raw_file({"a": {**T, "data_offsets": [4, 12]}}, bytes(12)),
        raw_file({"a": T, "b": T}, bytes(8)),
        raw_file({"a": T}, bytes(9)),
        raw_file({"a": T, "__metadata__": {"x": 1}}, bytes(8)),
        (34).to_bytes(8, "little") + b'{"__metadata__":{},"__metadata__":{}}'[:34],
    ],
)
def test_a_header_that_lies_is_refused(data: bytes) -> None:
    assert code_of(data) == "lora_not_safetensors"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_raise_anything_but_our_own_error(noise: bytes, headed: bool) -> None:
    data = len(noise).to_bytes(8, "little") + noise if headed else noise
    with pytest.raises(OperationError):
        judged(data)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 600), st.integers(0, 255))
def test_a_changed_byte_of_the_header_never_raises_anything_else(at: int, value: int) -> None:
    data = bytearray(file_of(pair("transformer.transformer_blocks.0.attn.to_q", 32, 32)))
    data[at % 200] = value
    with suppress(OperationError):
        judged(bytes(data))


@pytest.mark.parametrize(
    ("stem", "code"),
    [
        ("unet.down_blocks.0.attentions.0.to_q", "lora_keys_foreign"),
        ("transformer.blocks.0.attn.to_q", "lora_keys_foreign"),
        ("transformer.transformer_blocks.0.attn.to_everything", "lora_keys_foreign"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1", "lora_keys_foreign"),
        ("../../etc/passwd", "lora_keys_foreign"),
    ],
)
def test_foreign_names_are_refused_and_shown(stem: str, code: str) -> None:
    with pytest.raises(OperationError) as caught:
        judged(file_of({**diffusers_lora(1), **pair(stem, 32, 32)}))
    assert caught.value.code == code
    assert stem in str(caught.value)
    assert code_of(raw_file({})) == "lora_keys_foreign"


def test_relatives_of_lora_are_refused_by_their_names() -> None:
    one = pair("transformer.transformer_blocks.0.attn.to_q", 32, 32)
    for mark in ("lora_magnitude_vector", "lokr_w1", "hada_w1_a", "diff"):
        assert code_of(file_of({**one, f"transformer.transformer_blocks.0.attn.to_k.{mark}": np.ones(1)})) == (
            "lora_kind_unsupported"
        )
    assert code_of(file_of(one, {"lora_adapter_metadata": '{"transformer.use_dora": true}'})) == "lora_kind_unsupported"


def without(tensors: Arrays, end: str) -> Arrays:
    return {name: each for name, each in tensors.items() if not name.endswith(end)}


STEM = "transformer.transformer_blocks.0.attn.to_q"


@pytest.mark.parametrize(
    "tensors",
    [
        without(pair(STEM, 32, 32), "lora_A.weight"),
        without(pair(STEM, 32, 32), "lora_B.weight"),
        {**pair(STEM, 32, 32), f"{STEM}.lora_A.weight": np.ones((5, 32))},
        {**pair(STEM, 32, 32), f"{STEM}.lora_A.weight": np.ones((4, 32, 1, 1))},
        {**pair(STEM, 32, 32), f"{STEM}.alpha": np.ones(2)},
        {**pair(STEM, 32, 32), f"{STEM}.lora_B.bias": np.ones(31)},
        {**pair(STEM, 32, 32), f"{STEM}.lora_A.weight": np.ones((4, 32), np.int32)},
        {**pair(STEM, 32, 32), f"{STEM}.lora_down.weight": np.ones((4, 32))},
        {**pair(STEM, 32, 32), **pair(STEM.removeprefix("transformer."), 32, 32)},
        pair("double_blocks.0.img_attn.qkv", 97, 32),
        pair("single_blocks.0.linear1", 8 * 32, 32) | pair("double_blocks.0.img_mod.lin", 192, 32),
        pair("transformer.x_embedder", 32, 100),
    ],
)
def test_factors_that_do_not_fit_together_are_refused(tensors: Arrays) -> None:
    assert code_of(file_of(tensors)) == "lora_shapes_wrong"


def test_rank_and_size_have_limits() -> None:
    assert judged(file_of(diffusers_lora(1, ATTENTION, rank=256))).ranks == (256, 256)
    assert code_of(file_of(diffusers_lora(1, ATTENTION, rank=257))) == "lora_rank_too_large"
    data = file_of(diffusers_lora(1))
    assert code_of(data, limit=len(data) - 1) == "lora_too_large"


def test_alpha_comes_from_the_file_or_from_its_metadata() -> None:
    said = (
        '{"transformer.r": 4, "transformer.lora_alpha": 8, "transformer.use_rslora": true, '
        '"transformer.alpha_pattern": {"attn.to_k": 2}}'
    )
    data = file_of(diffusers_lora(1), {"lora_adapter_metadata": said})
    layers = contents_of(read_header(io.BytesIO(data), len(data), what="lora", limit=LIMIT), Architecture.FLUX1).layers
    assert {each.path.rsplit(".", 1)[-1]: each.alpha_said for each in layers}["to_k"] == 2
    assert {each.path.rsplit(".", 1)[-1]: each.alpha_said for each in layers}["to_q"] == 8
    assert all(each.rooted for each in layers)
    unusable = ('"much"', "true", "NaN", "-Infinity", "1e999", "1" + "0" * 400)
    for text in ("[", "[]", *(f'{{"transformer.lora_alpha": {each}}}' for each in unusable)):
        assert code_of(file_of(diffusers_lora(1), {"lora_adapter_metadata": text})) == "lora_shapes_wrong"


@pytest.mark.parametrize("member", ["alpha", "lora_B.bias"])
def test_what_stands_beside_the_factors_is_a_number_that_can_be_used(member: str) -> None:
    name = f"transformer.single_transformer_blocks.0.attn.to_q.{member}"
    shape = (1,) if member == "alpha" else (32,)
    given = diffusers_lora(1)
    for used in (np.float32, np.float16):
        judged(file_of(given | {name: np.ones(shape, used)}))
    for wrong in (np.bool_, np.uint16):
        assert code_of(file_of(given | {name: np.ones(shape, wrong)})) == "lora_shapes_wrong"


def test_an_upload_for_another_architecture_is_refused() -> None:
    facts = judged(file_of(diffusers_lora(1, LAYERS))).to_json()
    check_architecture("mine", facts, find("flux-mini"), field="loras[0].name")
    flux2: Callable[[], None] = lambda: check_architecture(  # noqa: E731
        "mine", {"architectures": ["flux2"]}, find("FLUX.1-dev"), field="loras[0].name"
    )
    with pytest.raises(OperationError) as caught:
        flux2()
    assert (caught.value.code, caught.value.field) == ("lora_unsupported", "loras[0].name")
