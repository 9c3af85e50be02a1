"""References on real classes with tiny random weights: Redux and image adapters, alone and beside everything else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editing.catalogue import find
from editing.diffusion.rooms import Plan, Run
from editing.diffusion.settings import EngineSettings
from editing.engine import Progress
from editing.errors import EngineError
from editing.guides import Control, ControlKind, Guides, Reference, ReferenceKind
from editing.operations import Sampling
from editing.rasters import Pixels, Raster
from tests.editing.pictures import box_mask, noise, sampling
from tests.editing.tiny import scheduler  # imports the shim before diffusers

import torch  # isort: skip
from diffusers import FluxPipeline, FluxPriorReduxPipeline  # isort: skip

from editing.diffusion.memory import Residency  # isort: skip
from editing.diffusion.noise import seeded_generator  # isort: skip
from editing.diffusion.placing import place  # isort: skip
from editing.diffusion.quiet import quiet_libraries  # isort: skip
from editing.flux.room import Flux1Room  # isort: skip

WIDTH, HEIGHT = 64, 48
BASE, FILL = "FLUX.1-dev", "FLUX.1-Fill-dev"
UNION = "FLUX.1-dev-ControlNet-Union-Pro-2.0"
SHOWN = noise(40, 56, seed=70)


@pytest.fixture(scope="module")
def room(tiny_weights: dict[str, Path]) -> Flux1Room:
    torch.set_num_threads(1)
    return room_of(tiny_weights)


def room_of(weights: dict[str, Path]) -> Flux1Room:
    settings = EngineSettings(weights=weights, device="cpu")
    return Flux1Room(settings, Residency(place(settings)), read_adapter=str.encode)


def reference(kind: ReferenceKind, *, seed: int = 70, weight: float = 1.0) -> Reference:
    name = {ReferenceKind.REDUX: "FLUX.1-Redux-dev", ReferenceKind.IP_ADAPTER: "flux-ip-adapter"}[kind]
    return Reference(kind=kind, picture=Raster(pixels=noise(40, 56, seed=seed)), checkpoint=name, weight=weight)


REDUX, ADAPTER = reference(ReferenceKind.REDUX), reference(ReferenceKind.IP_ADAPTER)


def painted(room: Flux1Room, *references: Reference, main: str = BASE, **values: Any) -> Pixels:
    guides = Guides(references=references, **values.pop("guides", {}))
    painter = room.load(Plan(main=find(main), route="fill" if main == FILL else "generate", guides=guides))
    run = Run(**{"prompt": "a cat", "size": (WIDTH, HEIGHT), "sampling": sampling(3), "guides": guides, **values})
    steps: list[Progress] = []
    return painter.paint(run, on_step=steps.append, cancelled=lambda: False)


def levels(values: Any) -> Pixels:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def parts_of(room: Flux1Room, name: str) -> dict[str, Any]:
    return dict(room.load(Plan(main=find(BASE), route="generate")).models.main.parts if name == BASE else {})


def test_a_redux_reference_gives_what_diffusers_gives(room: Flux1Room, tiny_weights: dict[str, Path]) -> None:
    parts = parts_of(room, BASE)
    with quiet_libraries():
        encoders = {name: parts[name] for name in ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")}
        prior = FluxPriorReduxPipeline.from_pretrained(
            tiny_weights["FLUX.1-Redux-dev"], local_files_only=True, dtype=torch.float32, **encoders
        )
        said = prior(image=Image.fromarray(SHOWN), prompt="a cat")
        pipeline = FluxPipeline(**{**parts, "scheduler": scheduler()})
        pipeline.set_progress_bar_config(disable=True)
        theirs = pipeline(
            **said,
            width=WIDTH,
            height=HEIGHT,
            num_inference_steps=3,
            guidance_scale=3.5,
            generator=seeded_generator(1),
            output_type="np",
        ).images[0]
    assert np.array_equal(painted(room, REDUX), levels(theirs))


@pytest.mark.parametrize("true_cfg", [1.0, 3.0])
def test_an_image_adapter_gives_what_diffusers_gives(
    room: Flux1Room, tiny_weights: dict[str, Path], true_cfg: float
) -> None:
    adapted = Sampling(steps=3, guidance=3.5, seed=1, true_cfg=true_cfg)
    ours = painted(
        room,
        reference(ReferenceKind.IP_ADAPTER, weight=0.8),
        sampling=adapted,
        guides={"negative_prompt": "a dog"},
    )
    with quiet_libraries():
        pipeline = FluxPipeline.from_pretrained(tiny_weights[BASE], local_files_only=True, dtype=torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        folder = tiny_weights["flux-ip-adapter"]
        pipeline.load_ip_adapter(
            folder,
            weight_name="ip_adapter.safetensors",
            image_encoder_pretrained_model_name_or_path=str(folder / "image_encoder"),
            image_encoder_dtype=torch.float32,
        )
        pipeline.set_ip_adapter_scale(0.8)
        theirs = pipeline(
            prompt="a cat",
            negative_prompt="a dog",
            true_cfg_scale=true_cfg,
            ip_adapter_image=Image.fromarray(SHOWN),
            width=WIDTH,
            height=HEIGHT,
            num_inference_steps=3,
            guidance_scale=3.5,
            generator=seeded_generator(1),
            output_type="np",
        ).images[0]
    assert np.array_equal(ours, levels(theirs))


@pytest.mark.parametrize("kind", list(ReferenceKind))
def test_a_reference_counts_by_its_picture_and_weight_and_leaves_nothing_behind(
    room: Flux1Room, kind: ReferenceKind
) -> None:
    plain = painted(room)
    shown = painted(room, reference(kind))
    assert not np.array_equal(shown, plain)
    assert not np.array_equal(shown, painted(room, reference(kind, weight=0.5)))
    assert not np.array_equal(shown, painted(room, reference(kind, seed=71)))
    assert not np.array_equal(shown, painted(room, reference(kind), reference(kind, seed=71)))
    assert np.array_equal(plain, painted(room))
    assert np.array_equal(shown, painted(room, reference(kind)))


def test_an_adapter_of_weight_zero_adds_nothing(room: Flux1Room) -> None:
    assert np.array_equal(painted(room), painted(room, reference(ReferenceKind.IP_ADAPTER, weight=0.0)))


def test_fill_takes_a_control_and_both_kinds_of_reference_at_once(room: Flux1Room) -> None:
    control = Control(kind=ControlKind.CANNY, checkpoint=UNION, scale=0.8, end=1.0)
    given: dict[str, Any] = {
        "main": FILL,
        "pixels": noise(HEIGHT, WIDTH, seed=3),
        "mask": box_mask(HEIGHT, WIDTH, (16, 16, 48, 32)),
    }
    steered = {"guides": {"controls": (control,)}, "images": [noise(HEIGHT, WIDTH, seed=4)]}
    everything = painted(room, REDUX, ADAPTER, **given, **steered)
    less = [
        painted(room, REDUX, ADAPTER, **given),
        painted(room, REDUX, **given, **steered),
        painted(room, ADAPTER, **given, **steered),
    ]
    assert all(not np.array_equal(everything, each) for each in less)
    assert np.array_equal(everything, painted(room, REDUX, ADAPTER, **given, **steered))


def test_a_cancelled_run_leaves_no_adapter_behind(room: Flux1Room) -> None:
    plain = painted(room)
    guides = Guides(references=(ADAPTER,))
    painter = room.load(Plan(main=find(BASE), route="generate", guides=guides))

    def stop(_progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        painter.paint(
            Run(prompt="a cat", size=(WIDTH, HEIGHT), sampling=sampling(3), guides=guides),
            on_step=stop,
            cancelled=lambda: False,
        )
    assert np.array_equal(plain, painted(room))


def test_an_adapter_that_does_not_fit_is_named_and_nothing_is_attached(
    tiny_weights: dict[str, Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "adapter"
    (folder / "image_encoder").mkdir(parents=True)
    for file in (tiny_weights["flux-ip-adapter"] / "image_encoder").iterdir():
        (folder / "image_encoder" / file.name).write_bytes(file.read_bytes())
    weights = load_file(tiny_weights["flux-ip-adapter"] / "ip_adapter.safetensors")
    key = "double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight"
    save_file({**weights, key: weights[key][:, :8].contiguous()}, folder / "ip_adapter.safetensors")
    room = room_of({**tiny_weights, "flux-ip-adapter": folder})
    plain = painted(room)
    with pytest.raises(EngineError) as caught:
        painted(room, ADAPTER)
    assert caught.value.code == "weights_unsuitable"
    assert np.array_equal(plain, painted(room))
