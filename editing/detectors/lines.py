"""Lines: soft edges and line art; white on black."""

import torch

from editing.detectors.running import LINES, answer
from editing.rasters import Pixels


def hed(net: torch.nn.Module, pixels: Pixels) -> Pixels:
    """Draw soft edges (Xie and Tu, "Holistically-Nested Edge Detection", 2015; ControlNet's own network).

    Args:
        net: The network.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), at the size at which it ran.
    """
    from controlnet_aux import HEDdetector

    return answer(HEDdetector(net), pixels, LINES)


def pidinet(net: torch.nn.Module, pixels: Pixels) -> Pixels:
    """Draw soft edges (Su and others, "Pixel Difference Networks", 2021).

    Args:
        net: The network.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), at the size at which it ran.
    """
    from controlnet_aux import PidiNetDetector

    return answer(PidiNetDetector(net), pixels, LINES)


def teed(net: torch.nn.Module, pixels: Pixels) -> Pixels:
    """Draw soft edges in three greys (Soria and others, "Tiny and Efficient Edge Detector", 2023).

    Args:
        net: The network.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), at the size at which it ran.
    """
    from controlnet_aux import TEEDdetector

    return answer(TEEDdetector(net), pixels, LINES, sized=False)


def lineart(net: torch.nn.Module, pixels: Pixels) -> Pixels:
    """Draw lines, fine or coarse, as the weights are (Chan and others, "Informative Drawings", 2022).

    Args:
        net: The network.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), at the size at which it ran.
    """
    from controlnet_aux import LineartDetector

    return answer(LineartDetector(net, net), pixels, LINES)


def lineart_anime(net: torch.nn.Module, pixels: Pixels) -> Pixels:
    """Draw lines of drawn pictures (Xiang and others, "Anime2Sketch", 2021).

    Args:
        net: The network.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), at the size at which it ran.
    """
    from controlnet_aux import LineartAnimeDetector

    return answer(LineartAnimeDetector(net), pixels, LINES)
