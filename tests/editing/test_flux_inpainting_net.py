from pathlib import Path
from typing import Any

import pytest
import torch

from editing.catalogue import find
from editing.diffusion.quiet import quiet_libraries
from editing.errors import EngineError
from editing.flux.inpainting import InpaintingControlNet
from tests.editing.tiny import awake, inpainting_net

NAME = "FLUX.1-dev-Controlnet-Inpainting-Beta"
UNION = "FLUX.1-dev-ControlNet-Union-Pro-2.0"
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
        read = [
            net(controlnet_cond=torch.cat([picture(seed), mask], dim=-1), **inputs())[0][0]
            for seed, mask in ((1, keep), (1, 1.0 - keep), (2, keep))
        ]
    assert not torch.allclose(read[0], read[1])
    assert not torch.allclose(read[0], read[2])
    weight = net.controlnet_x_embedder.weight
    assert weight.shape[1] == 64 + 4
    with torch.no_grad():
        weight[:, 64:] = 0.0
        blind = [
            net(controlnet_cond=torch.cat([picture(), mask], dim=-1), **inputs())[0][0] for mask in (keep, 1.0 - keep)
        ]
    assert torch.equal(blind[0], blind[1])


def shelf(weights: dict[str, Path]) -> Any:
    from editing.diffusion.memory import Residency
    from editing.diffusion.placing import place
    from editing.diffusion.settings import EngineSettings
    from editing.flux.loading import CheckpointShelf

    settings = EngineSettings(weights=weights, device="cpu")
    return CheckpointShelf(settings, Residency(place(settings)), keeps=1)


def test_the_shelf_loads_it_by_its_kind_and_digests_it(tiny_weights: dict[str, Path]) -> None:
    loaded = shelf(tiny_weights).get(find(NAME))
    assert type(loaded.parts["controlnet"]) is InpaintingControlNet
    assert list(loaded.digests) == ["diffusion_pytorch_model.safetensors"]


def test_two_controlnets_are_kept_and_what_an_edit_needs_stays_however_many(tiny_weights: dict[str, Path]) -> None:
    kept = shelf(tiny_weights)
    union, numbered, inpainting = (find(name) for name in (UNION, "FLUX.1-dev-Controlnet-Union", NAME))
    first = kept.get(union)
    assert kept.get(inpainting) is kept.get(inpainting)
    assert kept.get(union) is first
    kept.get(numbered)  # takes the place of the one that was not asked for longest
    assert kept.get(union) is first
    names = [union.name, numbered.name, inpainting.name]
    together = [kept.get(each, beside=names) for each in (union, numbered, inpainting)]
    assert [kept.get(find(name), beside=names) for name in names] == together


def test_an_ordinary_controlnet_under_its_name_is_refused(tiny_weights: dict[str, Path]) -> None:
    with pytest.raises(EngineError) as caught:
        shelf({NAME: tiny_weights["flux-mini-canny"]}).get(find(NAME))
    assert caught.value.code in {"weights_unsuitable", "weights_unreadable"}


def test_a_net_of_other_channels_is_refused_with_both_numbers(tmp_path: Path) -> None:
    inpainting_net(extra_condition_channels=1).save_pretrained(tmp_path)
    with pytest.raises(EngineError) as caught:
        shelf({NAME: tmp_path}).get(find(NAME))
    assert (caught.value.code, caught.value.value, caught.value.limit) == ("weights_unsuitable", 65, 68)
