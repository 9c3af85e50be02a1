"""The demo's panels of what steers a model: every kind of control image, and LoRAs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from editing import ControlKind
from editing.mini.drawing import BACKGROUNDS, COLOURS, Picture, Shape, draw_shapes
from editing.mini.geometry import depth_map, normal_map
from studio.client import Client, encoded
from studio.demo import pictures
from studio.demo.sheet import Column, Panel, Table

_SIDE: Final = 128
_NET: Final = "flux-mini-union"
_LORA_PROMPT: Final = "a yellow triangle on a sky background"
_SEED: Final = 11

Jobs = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture that a control image is made of, and what is asked of the model that sees that image.

    Attributes:
        shapes: Shapes from left to right.
        ground: A name of `BACKGROUNDS`.
        prompt: What is asked: other colours, where the control image shows none.
        detector: What makes the control image; None where a 3D program would export it with the picture.
    """

    shapes: tuple[Shape, ...]
    ground: str
    prompt: str
    detector: str | None = None

    @property
    def picture(self) -> Picture:
        """The drawn picture, uint8 (128, 128, 3)."""
        return draw_shapes(np.full((_SIDE, _SIDE, 3), BACKGROUNDS[self.ground], np.uint8), self.shapes)


def _one(kind: str, colour: str, x: float = 64, y: float = 64, radius: float = 38) -> Shape:
    return Shape(kind=kind, colour=colour, x=x, y=y, radius=radius, rgb=COLOURS[colour])


def _two(left: tuple[str, str], right: tuple[str, str]) -> tuple[Shape, ...]:
    return _one(*left, x=34, y=70, radius=27), _one(*right, x=94, y=56, radius=27)


SCENES: Final[Mapping[ControlKind, Scene]] = {
    ControlKind.CANNY: Scene(
        shapes=_two(("star", "red"), ("circle", "blue")),
        ground="sand",
        prompt="a white star left of an orange circle on a night background",
        detector="canny",
    ),
    ControlKind.SOFT_EDGE: Scene(
        shapes=(_one("triangle", "green", x=56, y=70, radius=42),),
        ground="pink",
        prompt="a yellow triangle on a sky background",
        detector="gradient",
    ),
    ControlKind.LINE_ART: Scene(
        shapes=_two(("square", "green"), ("triangle", "black")),
        ground="sand",
        prompt="a red square left of a blue triangle on a pink background",
        detector="lineart_standard",
    ),
    ControlKind.DEPTH: Scene(
        shapes=_two(("circle", "orange"), ("star", "purple")),
        ground="grass",
        prompt="a blue circle left of a red star on a sand background",
    ),
    ControlKind.NORMAL: Scene(
        shapes=(_one("star", "blue", x=70, y=60, radius=44),),
        ground="grey",
        prompt="an orange star on a grass background",
    ),
    ControlKind.TILE: Scene(
        shapes=_two(("circle", "yellow"), ("square", "red")),
        ground="night",
        prompt="a yellow circle left of a red square on a night background",
        detector="tile",
    ),
    ControlKind.BLUR: Scene(
        shapes=(_one("star", "purple", x=60, y=66, radius=40),),
        ground="sky",
        prompt="a purple star on a sky background",
        detector="blur",
    ),
    ControlKind.GREY: Scene(
        shapes=_two(("square", "yellow"), ("circle", "purple")),
        ground="grass",
        prompt="a yellow square left of a purple circle on a grass background",
        detector="grey",
    ),
    ControlKind.LOW_QUALITY: Scene(
        shapes=(_one("square", "orange", x=70, y=62, radius=36),),
        ground="pink",
        prompt="an orange square on a pink background",
        detector="low_quality",
    ),
}
"""One scene for each kind but poses: flux-mini draws shapes, and they have none."""


def ask_for_maps(client: Client, folder: Path) -> Jobs:
    """Ask the service for the control image of every scene that a detector can make.

    Args:
        client: The service.
        folder: Where pictures are put on their way.

    Returns:
        The jobs, by "map KIND".
    """
    return {
        f"map {kind}": client.submit(
            f"controls/{kind}",
            {"detector": scene.detector},
            {"image": pictures.save(scene.picture, folder / f"{kind}.png")},
        )
        for kind, scene in SCENES.items()
        if scene.detector is not None
    }


def exported_maps() -> dict[ControlKind, Image.Image]:
    """Return the control images that come with their scenes, as a 3D program exports them."""
    size = (_SIDE, _SIDE)
    return {
        ControlKind.DEPTH: Image.fromarray(depth_map(size, SCENES[ControlKind.DEPTH].shapes)),
        ControlKind.NORMAL: Image.fromarray(normal_map(size, SCENES[ControlKind.NORMAL].shapes)),
    }


def ask_with_maps(client: Client, jobs: Jobs, folder: Path) -> Jobs:
    """Ask for a picture by every control image.

    Args:
        client: The service.
        jobs: The finished jobs, those of `ask_for_maps` among them.
        folder: Where pictures are put on their way.

    Returns:
        The jobs, by "by KIND".
    """
    exported = {
        kind: encoded(pictures.save(np.asarray(image), folder / f"{kind}-map.png"))
        for kind, image in exported_maps().items()
    }
    maps = {kind: exported.get(kind) or jobs[f"map {kind}"]["outputs"][0]["digest"] for kind in SCENES}
    return {
        f"by {kind}": client.submit(
            "generate",
            {
                "prompt": SCENES[kind].prompt,
                "seed": _SEED,
                "controls": [{"kind": kind.value, "image": image, "mode": "as_is", "checkpoint": _NET}],
            },
            {},
        )
        for kind, image in maps.items()
    }


LORAS: Final[Mapping[str, tuple[tuple[str, float], ...]]] = {
    "without": (),
    "neon at 0.5": (("flux-mini-neon", 0.5),),
    "neon at 1": (("flux-mini-neon", 1.0),),
    "stripes at 1": (("flux-mini-stripes", 1.0),),
}


def ask_with_loras(client: Client) -> Jobs:
    """Ask for one prompt and seed with different LoRAs.

    Args:
        client: The service.

    Returns:
        The jobs, by "LoRA LABEL".
    """
    return {
        f"LoRA {label}": client.submit(
            "generate",
            {
                "prompt": _LORA_PROMPT,
                "seed": _SEED,
                "loras": [{"name": name, "weight": weight} for name, weight in loras],
            },
            {},
        )
        for label, loras in LORAS.items()
    }


def control_panel(outputs: Mapping[str, Image.Image]) -> Table:
    """Show each kind's picture, its control image, and what was made by it.

    Args:
        outputs: What the jobs made, by the jobs' names.

    Returns:
        A table of one column for each kind.
    """
    maps = {kind: outputs[f"map {kind}"] for kind, scene in SCENES.items() if scene.detector} | exported_maps()
    return Table(
        title=f"generate, steered by every kind of control image through one ControlNet ({_NET})",
        table=[
            Column(
                head=kind.value,
                pictures=[Image.fromarray(scene.picture), maps[kind], outputs[f"by {kind}"]],
                foot=f"“{scene.prompt}”",
            )
            for kind, scene in SCENES.items()
        ],
        note="Top: a picture. Middle: its control image, made by the service (depth and normals: as a 3D program "
        "exports them). Bottom: what the model makes of it and the words.",
    )


def lora_panel(outputs: Mapping[str, Image.Image]) -> Panel:
    """Show one prompt and seed under different LoRAs.

    Args:
        outputs: What the jobs made, by the jobs' names.

    Returns:
        A panel of one picture for each.
    """
    return Panel(
        title="LoRAs: the same words and seed",
        pictures=[(label, outputs[f"LoRA {label}"]) for label in LORAS],
        note=f"“{_LORA_PROMPT}”",
    )
