from pathlib import Path
from typing import Any

import pytest
import torch

from editing.catalogue import find
from editing.diffusion.quiet import quiet_libraries
from editing.errors import EngineError
from editing.flux.inpainting import InpaintingControlNet, conditioned
from tests.editing.tiny import awake, inpainting_net

from diffusers import FluxControlNetModel, FluxMultiControlNetModel  # isort: skip

NAME = "FLUX.1-dev-Controlnet-Inpainting-Beta"
TOKENS = 6


def inputs(seed: int = 0) -> dict[str, Any]:
    """What a pipeline passes, by keyword."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "hidden_states": torch.randn(1, TOKENS, 64, generator=generator),
        "encoder_hidden_states": torch.randn(1, 4, 32, generator=generator),
        "pooled_projections": torch.randn(1, 32, generator=generator),
        "timestep": torch.tensor([0.5]),
        "guidance": torch.tensor([3.5]),
        "img_ids": torch.zeros(TOKENS, 3),
        "txt_ids": torch.zeros(4, 3),
        "conditioning_scale": 0.9,
        "return_dict": False,
    }


def picture(seed: int = 1) -> torch.Tensor:
    return torch.randn(1, TOKENS, 64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def net() -> InpaintingControlNet:
    torch.manual_seed(3)
    return awake(inpainting_net())


def test_the_published_configuration_loads_and_saves_as_it_was(net: InpaintingControlNet, tmp_path: Path) -> None:
    net.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    assert '"extra_condition_channels": 4' in config
    # The published folder was saved by a class of diffusers' name.
    (tmp_path / "config.json").write_text(config.replace("InpaintingControlNet", "FluxControlNetModel"))
    options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    with quiet_libraries():
        again = InpaintingControlNet.from_pretrained(tmp_path, **options)
    assert again.controlnet_x_embedder.in_features == 68
    assert dict(again.state_dict()).keys() == dict(net.state_dict()).keys()
    for name, weights in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], weights), name


def test_a_fresh_net_adds_nothing() -> None:
    fresh = inpainting_net()
    with torch.no_grad():
        blocks, _ = fresh(controlnet_cond=torch.randn(1, TOKENS, 68), **inputs())
    assert all(not bool(block.any()) for block in blocks)


def test_the_mask_is_read_after_the_picture(net: InpaintingControlNet) -> None:
    keep = torch.zeros(1, TOKENS, 4)
    keep[:, :3] = 1.0
    with torch.no_grad():
        bound = conditioned(net, keep)(controlnet_cond=picture(), **inputs())
        direct = net(controlnet_cond=torch.cat([picture(), keep], dim=-1), **inputs())
        other = conditioned(net, 1.0 - keep)(controlnet_cond=picture(), **inputs())
    assert torch.equal(bound[0][0], direct[0][0])
    assert not torch.allclose(bound[0][0], other[0][0])


def test_binding_a_mask_shares_every_weight_and_leaves_the_net_alone(net: InpaintingControlNet) -> None:
    before = {name: weights.data_ptr() for name, weights in net.named_parameters()}
    bound = conditioned(net, torch.zeros(1, TOKENS, 4))
    assert {weights.data_ptr() for weights in bound.parameters()} == set(before.values())
    assert {name: weights.data_ptr() for name, weights in net.named_parameters()} == before
    assert not bound.training


def test_a_pipeline_finds_a_controlnet_in_it(net: InpaintingControlNet) -> None:
    bound = conditioned(net, torch.zeros(1, TOKENS, 4))
    assert isinstance(bound, FluxControlNetModel)
    assert not isinstance(bound, FluxMultiControlNetModel)
    assert bound.config.guidance_embeds is True
    assert (bound.input_hint_block, bound.union) == (None, False)
    assert (bound.dtype, bound.device) == (net.dtype, net.device)


def test_the_mask_takes_the_conditions_number_format_and_batch() -> None:
    torch.manual_seed(3)
    half = awake(inpainting_net()).to(torch.bfloat16)
    bound = conditioned(half, torch.ones(1, TOKENS, 4))
    twice = {
        name: value.to(torch.bfloat16).repeat(2, *[1] * (value.ndim - 1))
        if name not in {"img_ids", "txt_ids"} and isinstance(value, torch.Tensor)
        else value
        for name, value in inputs().items()
    }
    with torch.no_grad():
        blocks, _ = bound(controlnet_cond=picture().to(torch.bfloat16).repeat(2, 1, 1), **twice)
    assert blocks[0].shape[0] == 2
    assert blocks[0].dtype is torch.bfloat16


def test_a_real_pipeline_runs_with_it_and_follows_the_mask(tiny_weights: dict[str, Path]) -> None:
    from diffusers import FluxControlNetInpaintPipeline, FluxPipeline
    from PIL import Image

    with quiet_libraries():
        base = FluxPipeline.from_pretrained(tiny_weights["FLUX.1-dev"], local_files_only=True)
        net = InpaintingControlNet.from_pretrained(tiny_weights[NAME], local_files_only=True).eval()
        made = []
        for value in (0.0, 1.0):
            bound = conditioned(net, torch.full((1, 4, 4), value))
            pipeline = FluxControlNetInpaintPipeline(**_parts(base, bound))
            pipeline.set_progress_bar_config(disable=True)
            made.append(
                pipeline(
                    prompt="a star",
                    image=Image.new("RGB", (32, 32), "grey"),
                    mask_image=Image.new("L", (32, 32), 255),
                    control_image=Image.new("RGB", (32, 32)),
                    width=32,
                    height=32,
                    strength=1.0,
                    num_inference_steps=2,
                    generator=torch.Generator().manual_seed(1),
                    max_sequence_length=16,
                    output_type="np",
                ).images[0]
            )
    assert made[0].shape == (32, 32, 3)
    assert float(abs(made[0] - made[1]).max()) > 0.0


def _parts(base: Any, controlnet: Any) -> dict[str, Any]:
    names = ("scheduler", "vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "transformer")
    return {name: getattr(base, name) for name in names} | {"controlnet": controlnet}


def shelf(weights: dict[str, Path]) -> Any:
    from editing.diffusion.settings import EngineSettings
    from editing.flux.loading import CheckpointShelf

    return CheckpointShelf(EngineSettings(weights=weights), device=torch.device("cpu"), dtype=torch.float32)


def test_the_shelf_loads_it_by_its_kind_and_digests_it(tiny_weights: dict[str, Path]) -> None:
    loaded = shelf(tiny_weights).get(find(NAME))
    assert type(loaded.parts["controlnet"]) is InpaintingControlNet
    assert list(loaded.digests) == ["diffusion_pytorch_model.safetensors"]


def test_it_takes_another_controlnets_place_on_the_shelf(tiny_weights: dict[str, Path]) -> None:
    kept = shelf(tiny_weights)
    union, inpainting = find("FLUX.1-dev-ControlNet-Union-Pro-2.0"), find(NAME)
    first = kept.get(union)
    net = kept.get(inpainting)
    assert kept.get(inpainting) is net
    assert kept.get(union) is not first


def test_an_ordinary_controlnet_under_its_name_is_refused(tiny_weights: dict[str, Path]) -> None:
    with pytest.raises(EngineError) as caught:
        shelf({NAME: tiny_weights["flux-mini-canny"]}).get(find(NAME))
    assert caught.value.code in {"weights_unsuitable", "weights_unreadable"}


def test_a_net_of_other_channels_is_refused_with_both_numbers(tmp_path: Path) -> None:
    inpainting_net(extra_condition_channels=1).save_pretrained(tmp_path)
    with pytest.raises(EngineError) as caught:
        shelf({NAME: tmp_path}).get(find(NAME))
    assert (caught.value.code, caught.value.value, caught.value.limit) == ("weights_unsuitable", 65, 68)
