import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from editing.blending import Blend
from editing.catalogue import find
from editing.engine import EditedImage
from editing.errors import EngineError
from editing.guides import Control, ControlKind, Guides
from editing.operations import Generate, Inpaint
from tests.editing.pictures import box_mask, raster, sampling


def generate(checkpoint: str, controls: tuple[Control, ...] = ()) -> Generate:
    sampled = find(checkpoint).sampling("generate", seed=1, steps=1)
    guides = Guides(controls=controls)
    return Generate(prompt="x", width=32, height=32, sampling=sampled, checkpoint=checkpoint, guides=guides)


def run(
    weights: dict[str, Path], operation: Generate | Inpaint, accepted: Callable[[str], bool] | None = None
) -> EditedImage:
    from editing.diffusion.building import build_engine
    from editing.diffusion.settings import EngineSettings

    engine = build_engine(
        EngineSettings(weights=weights, hub_cache=Path("/nonexistent/hub"), device="cpu", threads=1),
        accepted=accepted or (lambda _name: True),
    )
    return engine.run(operation, on_step=lambda _progress: None, cancelled=lambda: False)


@pytest.fixture
def base(tiny_weights: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_weights["flux-mini"], tmp_path / "base"))


def test_the_digests_are_those_of_the_files_loaded(base: Path) -> None:
    (base / "flux1-dev.safetensors").write_bytes(b"a single-file copy that diffusers does not read")
    weights = run({"flux-mini": base}, generate("flux-mini")).facts.weights
    assert len(weights) == 4
    for name, digest in weights.items():
        file = base / name.removeprefix("flux-mini/")
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest


def test_sharded_weights_are_digested_shard_by_shard(base: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = base / "transformer"
    whole = load_file(folder / "diffusion_pytorch_model.safetensors")
    clean = run({"flux-mini": base}, generate("flux-mini")).raster.pixel_sha256
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    names = sorted(whole)
    shards = {f"diffusion_pytorch_model-0000{i}-of-00002.safetensors": names[i - 1 :: 2] for i in (1, 2)}
    for shard, keys in shards.items():
        save_file({key: whole[key] for key in keys}, folder / shard, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {key: shard for shard, keys in shards.items() for key in keys}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    result = run({"flux-mini": base}, generate("flux-mini"))
    assert {f"flux-mini/transformer/{shard}" for shard in shards} <= set(result.facts.weights)
    assert result.raster.pixel_sha256 == clean


def code_of(weights: dict[str, Path], checkpoint: str) -> str:
    with pytest.raises(EngineError) as caught:
        run(weights, generate(checkpoint))
    assert caught.value.field in ("checkpoint", None)
    return caught.value.code


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert code_of({"flux-mini": tmp_path / "nothing"}, "flux-mini") == "weights_missing"


def test_a_hub_checkpoint_that_was_not_downloaded_says_how_to_get_it() -> None:
    with pytest.raises(EngineError, match=r"hf download black-forest-labs/FLUX\.1-dev --revision 3de623f") as caught:
        run({}, generate("FLUX.1-dev"))
    assert caught.value.code == "weights_missing"


def test_a_hub_checkpoint_that_nobody_pins_is_refused(tiny_weights: dict[str, Path]) -> None:
    union = Control(kind=ControlKind.CANNY, checkpoint="FLUX.1-dev-ControlNet-Union-Pro-2.0", picture=raster(32, 32))
    with pytest.raises(EngineError) as caught:
        run({"FLUX.1-dev": tiny_weights["FLUX.1-dev"]}, generate("FLUX.1-dev", (union,)))
    assert caught.value.code == "revision_unpinned"


def test_a_checkpoint_in_the_hubs_cache_is_found_by_its_commit(tiny_weights: dict[str, Path], tmp_path: Path) -> None:
    from editing.catalogue import find
    from editing.diffusion.settings import EngineSettings
    from editing.diffusion.weights import locate

    schnell = find("FLUX.1-schnell")
    repository = tmp_path / "models--black-forest-labs--FLUX.1-schnell"
    shutil.copytree(tiny_weights["FLUX.1-schnell"], repository / "snapshots" / str(schnell.revision))
    location = locate(schnell, EngineSettings(hub_cache=tmp_path))
    assert location.revision == schnell.revision
    other = EngineSettings(hub_cache=tmp_path, revisions={"FLUX.1-schnell": "0" * 40})
    with pytest.raises(EngineError):
        locate(schnell, other)


def test_other_formats_than_safetensors_are_not_loaded(base: Path) -> None:
    import torch

    file = base / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save({}, file.with_suffix(".bin"))
    file.unlink()
    assert code_of({"flux-mini": base}, "flux-mini") == "weights_missing"


def test_damaged_weights_are_named(base: Path) -> None:
    file = base / "transformer" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    assert code_of({"flux-mini": base}, "flux-mini") == "weights_unreadable"


def test_weights_of_another_kind_than_the_name_says_are_refused(tiny_weights: dict[str, Path]) -> None:
    assert code_of({"flux-mini": tiny_weights["flux-mini-fill"]}, "flux-mini") in (
        "weights_unsuitable",
        "weights_unreadable",
    )
    fill = Inpaint(
        prompt="x",
        picture=raster(32, 32),
        mask=box_mask(32, 32, (4, 4, 20, 20)),
        sampling=sampling(1),
        checkpoint="flux-mini-fill",
    )
    with pytest.raises(EngineError) as caught:
        run({"flux-mini-fill": tiny_weights["flux-mini"]}, fill)
    assert caught.value.code == "weights_unsuitable"


def test_a_restricted_licence_loads_only_once_it_was_accepted(tiny_weights: dict[str, Path]) -> None:
    with pytest.raises(EngineError, match=r"studio models accept FLUX\.1-dev") as caught:
        run(tiny_weights, generate("FLUX.1-dev"), accepted=lambda _name: False)
    assert caught.value.code == "licence_not_accepted"
    assert run(tiny_weights, generate("FLUX.1-dev"), accepted=lambda name: name == "FLUX.1-dev")
    assert run(tiny_weights, generate("FLUX.1-schnell"), accepted=lambda _name: False)


def test_a_controlnets_licence_counts_too(tiny_weights: dict[str, Path]) -> None:
    union = Control(kind=ControlKind.CANNY, checkpoint="FLUX.1-dev-ControlNet-Union-Pro-2.0", picture=raster(32, 32))
    with pytest.raises(EngineError, match=r"accept FLUX\.1-dev-ControlNet-Union-Pro-2\.0"):
        run(tiny_weights, generate("FLUX.1-dev", (union,)), accepted=lambda name: name == "FLUX.1-dev")


def test_an_inpainting_controlnet_runs_is_recorded_and_asks_for_its_licence(tiny_weights: dict[str, Path]) -> None:
    net = "FLUX.1-dev-Controlnet-Inpainting-Beta"
    operation = Inpaint(
        prompt="x",
        picture=raster(64, 64),
        mask=box_mask(64, 64, (16, 16, 48, 48)),
        sampling=sampling(2),
        checkpoint="FLUX.1-dev",
        inpainting_controlnet=net,
        blend=Blend(context=0),
    )
    with pytest.raises(EngineError, match=f"accept {net}"):
        run(tiny_weights, operation, accepted=lambda name: name == "FLUX.1-dev")
    facts = run(tiny_weights, operation).facts
    assert facts.route == "inpainting_controlnet"
    assert f"{net}/diffusion_pytorch_model.safetensors" in facts.weights
    assert facts.checkpoints[net] == "local"


@pytest.mark.parametrize("memory", ["48gb", "8gb"])
def test_offload_without_an_accelerator_is_refused_at_the_start(memory: str) -> None:
    from editing.diffusion.building import build_engine
    from editing.diffusion.settings import EngineSettings, MemoryProfile

    with pytest.raises(EngineError) as caught:
        build_engine(EngineSettings(memory=MemoryProfile(memory), device="cpu"), accepted=lambda _name: True)
    assert caught.value.code == "offload_unavailable"


def test_torchvision_imports_beside_any_build_of_torch() -> None:
    from editing.diffusion.torchvision_shim import ensure_torchvision

    assert ensure_torchvision() == ensure_torchvision()
    import torch
    import torchvision

    assert torchvision.__version__
    assert hasattr(torch.ops.torchvision, "nms")
