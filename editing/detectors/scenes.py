"""Scenes: how near things are, and which way surfaces face."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from editing.detectors.nets import hushed
from editing.detectors.published import Published, load_published
from editing.detectors.running import LINES, SCENES, answer, seen_at
from editing.rasters import Pixels
from editing.reliefs import Plane, depth_picture, nearness, normal_picture

from transformers import AutoModelForDepthEstimation  # isort: skip


def load_depth(folder: Path, device: torch.device) -> Published:
    """Load a depth model as transformers saves it (Depth Anything, DPT, ...).

    Args:
        folder: Its folder.
        device: Where it shall run.

    Returns:
        The model.

    Raises:
        EngineError: `weights_unreadable`, if weights are missing or foreign.
    """
    return load_published(AutoModelForDepthEstimation, folder, device)


def depth_anything(depth: Published, pixels: Pixels) -> Pixels:
    """Show depth (Yang and others, "Depth Anything V2", 2024); near is white.

    Args:
        depth: The model.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), of the picture's size.
    """
    return depth_picture(_near(depth, pixels))


def normal_from_depth(depth: Published, pixels: Pixels) -> Pixels:
    """Show which way surfaces face, worked out from depth; colours as `editing.reliefs.normal_picture` says.

    Args:
        depth: The depth model.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), of the picture's size.
    """
    return normal_picture(_near(depth, pixels))


def _near(depth: Published, pixels: Pixels) -> Plane:
    # the processor brings the picture to the model's own size, keeping its shape: very long ones are squeezed first
    inputs = depth.prepared(seen_at(pixels, LINES))
    answered = depth.model(**inputs).predicted_depth[0].float().cpu().numpy()
    metric = getattr(depth.model.config, "depth_estimation_type", "relative") == "metric"
    near = nearness(np.ascontiguousarray(answered), metric=metric)
    enlarged = cv2.resize(near, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(enlarged, 0.0, 1.0).astype(np.float32)


def midas(net: torch.nn.Module, pixels: Pixels) -> Pixels:
    """Show depth (Ranftl and others, "Vision Transformers for Dense Prediction", 2021); near is white.

    Args:
        net: The network.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), at the size at which it ran.
    """
    seen = torch.from_numpy(seen_at(pixels, SCENES).astype(np.float32) / 127.5 - 1.0)
    with hushed():
        answered: Any = net(seen.permute(2, 0, 1)[None].to(next(net.parameters()).device))
    return depth_picture(nearness(answered[0].float().cpu().numpy()))


def normalbae(net: torch.nn.Module, pixels: Pixels) -> Pixels:
    """Show which way surfaces face (Bae and others, "Estimating and Exploiting the Aleatoric Uncertainty", 2021).

    Args:
        net: The network.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), at the size at which it ran: blue to the front, red to the left, green to the top.
    """
    from controlnet_aux import NormalBaeDetector

    return answer(NormalBaeDetector(net), pixels, SCENES)
