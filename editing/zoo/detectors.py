"""Detectors: what makes control images; weights and licences of those that have any.

The commits on the hub are those that others who pin them name; `Annotators` is ControlNet's own collection of the
detectors that its networks were trained on.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from editing.checkpoints import Architecture, Checkpoint, Family
from editing.zoo.licences import APACHE, APACHE_URL, MIT

_DETECTOR: Final[Mapping[str, Any]] = {"family": Family.DETECTOR, "architecture": Architecture.DETECTOR}
_APACHE: Final[Mapping[str, Any]] = {**_DETECTOR, "licence": APACHE, "licence_url": APACHE_URL}
_MIT: Final[Mapping[str, Any]] = {**_DETECTOR, "licence": MIT}
_ANNOTATORS: Final[Mapping[str, Any]] = {
    "hub_id": "lllyasviel/Annotators",
    "revision": "982e7edaec38759d914a963c48c4726685de7d96",
}

DETECTORS: Final = (
    Checkpoint(name="opencv", **_APACHE),
    Checkpoint(name="hed", **_APACHE, **_ANNOTATORS),
    Checkpoint(
        name="pidinet",
        licence="PiDiNet licence",
        licence_url="https://github.com/hellozhuo/pidinet/blob/master/LICENSE",
        acceptance_reason="The licence is for research; commercial use is to be agreed with the authors first.",
        **_DETECTOR,
        **_ANNOTATORS,
    ),
    Checkpoint(
        name="teed",
        licence_url="https://github.com/xavysp/TEED/blob/main/LICENSE",
        hub_id="fal/teed",
        revision="ea9aefee2d00f778ba36000985c7a272274c12ad",
        **_MIT,
    ),
    Checkpoint(
        name="lineart",
        licence_url="https://github.com/carolineec/informative-drawings/blob/main/LICENSE",
        **_MIT,
        **_ANNOTATORS,
    ),
    Checkpoint(
        name="lineart-coarse",
        licence_url="https://github.com/carolineec/informative-drawings/blob/main/LICENSE",
        **_MIT,
        **_ANNOTATORS,
    ),
    Checkpoint(
        name="lineart-anime",
        licence_url="https://github.com/Mukosame/Anime2Sketch/blob/master/LICENSE",
        **_MIT,
        **_ANNOTATORS,
    ),
    # Of this family only the small one is free: base and large are CC-BY-NC-4.0.
    Checkpoint(
        name="Depth-Anything-V2-Small",
        hub_id="depth-anything/Depth-Anything-V2-Small-hf",
        revision="5426e4f0f36572d16453bbda7a8389317b1bef99",
        **_APACHE,
    ),
    Checkpoint(
        name="midas-dpt-hybrid",
        licence_url="https://github.com/isl-org/MiDaS/blob/master/LICENSE",
        **_MIT,
        **_ANNOTATORS,
    ),
    Checkpoint(
        name="normalbae",
        licence_url="https://github.com/baegwangbin/surface_normal_uncertainty/blob/main/LICENSE",
        **_MIT,
        **_ANNOTATORS,
    ),
    Checkpoint(
        name="vitpose-base-simple",
        hub_id="usyd-community/vitpose-base-simple",
        revision="a93ac0c67e0b7e2c55287d21d4c460c8f3c54d45",
        **_APACHE,
    ),
    # ViTPose looks at one person at a time; this finds them.
    Checkpoint(
        name="rtdetr-r50vd",
        hub_id="PekingU/rtdetr_r50vd_coco_o365",
        revision="457857cec8ac28ddede40ecee9eed2beca321af8",
        **_APACHE,
    ),
    Checkpoint(
        name="openpose",
        licence="CMU OpenPose licence",
        licence_url="https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/LICENSE",
        acceptance_reason="The licence allows academic and non-profit, non-commercial use only.",
        **_DETECTOR,
        **_ANNOTATORS,
    ),
)

PICKLED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hed": "ControlNetHED.pth",
        "pidinet": "table5_pidinet.pth",
        "teed": "5_model.pth",
        "lineart": "sk_model.pth",
        "lineart-coarse": "sk_model2.pth",
        "lineart-anime": "netG.pth",
        "midas-dpt-hybrid": "dpt_hybrid-midas-501f0c75.pt",
        "normalbae": "scannet.pt",
        "openpose": "body_pose_model.pth",
    }
)
"""The one file of each detector that was only ever published as a pickle of tensors, by its entry's name. It is read
as tensors and nothing else. Every other detector lies as transformers saves it, in safetensors."""
