"""How well flux-mini follows control images and LoRAs: part of `studio bench mini`."""

import numpy as np

from editing.catalogue import find, pick, pick_control
from editing.checkpoints import Checkpoint
from editing.detecting import pick_detector
from editing.engine import EditEngine
from editing.guides import Control, ControlKind, ControlMode, Guides, Lora
from editing.mini import judge
from editing.mini.drawing import Drawing
from editing.mini.geometry import coverage, depth_map, normal_map
from editing.mini.style_judge import neon_kinds, striped_share
from editing.operations import Generate, OperationName
from editing.rasters import Pixels, Raster

UNION = "flux-mini-union"
LORAS = ("flux-mini-neon", "flux-mini-stripes")
_STRIPED = 0.6  # of a shape's borders between bands


def control_of(scene: Drawing, kind: ControlKind, net: Checkpoint) -> Control:
    """Ask for a scene's structure to be followed; no detector of it needs weights.

    Args:
        scene: What shall be followed.
        kind: By what kind of control image; not a pose.
        net: What reads it.

    Returns:
        A control with the net's defaults; depth and normals come from the drawing's geometry, as it is, all else is
        left to the engine.
    """
    size = scene.pixels.shape[1], scene.pixels.shape[0]
    exported = {ControlKind.DEPTH: depth_map, ControlKind.NORMAL: normal_map}.get(kind)
    defaults = net.controls[kind]
    return Control(
        kind=kind,
        checkpoint=net.name,
        picture=Raster(pixels=exported(size, scene.shapes) if exported else scene.pixels),
        mode=ControlMode.AS_IS if exported else ControlMode.PREPROCESS,
        detector=None if exported else pick_detector(kind, lambda _name: False),
        scale=defaults.scale,
        start=defaults.start,
        end=defaults.end,
    )


def generate(engine: EditEngine, scene: Drawing, seed: int, guides: Guides | None = None) -> Pixels:
    """Generate a scene's caption at the scene's size.

    Args:
        engine: Runs the operation.
        scene: Says what.
        seed: Seed of the noise.
        guides: What steers; None for nothing.

    Returns:
        uint8 (h, w, 3).
    """
    checkpoint = pick(OperationName.GENERATE)
    operation = Generate(
        prompt=scene.caption,
        width=scene.pixels.shape[1],
        height=scene.pixels.shape[0],
        sampling=find(checkpoint).sampling(OperationName.GENERATE, seed=seed),
        checkpoint=checkpoint,
        guides=guides or Guides(),
    )
    picture = engine.run(operation, on_step=lambda _progress: None, cancelled=lambda: False).raster.pixels
    return np.ascontiguousarray(picture)


def follow(engine: EditEngine, scene: Drawing, seed: int, kind: ControlKind | None, net: str | None = None) -> Pixels:
    """Generate a scene's caption, steered by the scene's own control image.

    Args:
        engine: Runs the operation.
        scene: Says what, and where.
        seed: Seed of the noise.
        kind: Of the control image; None for no control.
        net: What reads it; None for the first that fits.

    Returns:
        uint8 (h, w, 3).
    """
    checkpoint = pick(OperationName.GENERATE)
    controls: tuple[Control, ...] = ()
    if kind is not None:
        reader = find(net) if net else pick_control(kind, checkpoint)
        controls = (control_of(scene, kind, reader),)
    return generate(engine, scene, seed, Guides(controls=controls))


def edges_followed(scene: Drawing, after: Pixels) -> float:
    """Return the F1 score (0..1) of a picture's edges against its scene's."""
    return judge.edge_f1(after, judge.canny(scene.pixels))


def styled(engine: EditEngine, scene: Drawing, seed: int, lora: str) -> Pixels:
    """Generate a scene's caption with a LoRA at the catalogue's weight.

    Args:
        engine: Runs the operation.
        scene: Says what.
        seed: Seed of the noise.
        lora: Name in the catalogue.

    Returns:
        uint8 (h, w, 3).
    """
    return generate(engine, scene, seed, Guides(loras=(Lora(name=lora, weight=find(lora).weight),)))


def in_style(picture: Pixels, scene: Drawing, lora: str) -> bool:
    """Say whether a picture is drawn in a LoRA's style.

    Args:
        picture: uint8 (h, w, 3).
        scene: What it should show.
        lora: One of `LORAS`.

    Returns:
        For neon, whether it shows as many tubes as the scene has shapes; for stripes, whether the shapes it shows have
        stripes.
    """
    if lora == "flux-mini-neon":
        return len(neon_kinds(picture) or ()) == len(scene.shapes)
    middle = coverage((picture.shape[1], picture.shape[0]), scene.shapes) > 0.9  # noqa: PLR2004 - rims are mixed
    return striped_share(picture, middle) > _STRIPED
