"""Small detectors of the real classes, with random weights, in folders as their makers publish them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from editing.detectors.nets import build, hushed
from editing.zoo.detectors import PICKLED

from transformers import (  # isort: skip - after the shim that nets imports
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTImageProcessor,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
    VitPoseImageProcessor,
)
from transformers.models.vitpose_backbone import VitPoseBackboneConfig  # isort: skip

SMALL = ("pidinet", "teed", "Depth-Anything-V2-Small", "vitpose-base-simple", "rtdetr-r50vd")
"""Under 4 MB each, built in about a second."""
FLOAT16 = frozenset({"hed"})
"""Published in half precision."""


def build_detectors(root: Path, names: Iterable[str] = SMALL) -> dict[str, Path]:
    """Save detectors with random weights from fixed seeds; torch's own generator is as it was afterwards.

    Args:
        root: Folder to save them in; they need not be rebuilt in another test.
        names: Names in the catalogue. Those of controlnet-aux have one size only: HED takes 29 MB, line art 17,
            anime 218, OpenPose 209, NormalBae 291, MiDaS 493.

    Returns:
        Folder by name, as `EngineSettings.weights` takes them.
    """
    folders = {name: root / name for name in names}
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        with hushed(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(sum(name.encode()))
            if name in PICKLED:
                _save_net(name, folder / PICKLED[name])
            else:
                _MODELS[name](folder)
    return folders


def _save_net(name: str, file: Path) -> None:
    net = _random(build(name))
    if name == "openpose":  # fewer joints to be sure of: it tries each with each
        net.model6_2.Mconv7_stage6_L2.weight.mul_(0.6)
    tensors: dict[str, Any] = {
        key: tensor.half() if name in FLOAT16 and tensor.is_floating_point() else tensor
        for key, tensor in net.state_dict().items()
    }
    if name == "openpose":
        tensors = {key.split(".", 1)[1]: tensor for key, tensor in tensors.items()}
    if name == "pidinet":
        tensors = {"state_dict": {f"module.{key}": tensor for key, tensor in tensors.items()}}
    if name == "normalbae":
        tensors = {"model": {f"module.{key}": tensor for key, tensor in tensors.items()}}
    torch.save(tensors, file)


def _random(net: torch.nn.Module) -> torch.nn.Module:
    """The weights that the class starts with, from our seed; `build` keeps its own generator to itself."""
    for parameter in net.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_uniform_(parameter, nonlinearity="relu")
    return net


def _depth(folder: Path) -> None:
    backbone = Dinov2Config(
        image_size=56,
        patch_size=14,
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
        initializer_range=0.2,
    )
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    DPTImageProcessor(
        size={"height": 56, "width": 56},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        do_pad=False,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    ).save_pretrained(folder)


def _vitpose(folder: Path) -> None:
    backbone = VitPoseBackboneConfig(
        image_size=[64, 48],
        patch_size=[16, 16],
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        out_indices=[2],
        part_features=8,
    )
    model = VitPoseForPoseEstimation(
        VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True, initializer_range=0.5)
    )
    torch.nn.init.constant_(model.head.conv.bias, 1.0)  # every joint is sure
    model.save_pretrained(folder)
    VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder)


def _rtdetr(folder: Path) -> None:
    config = RTDetrConfig(
        backbone_config=RTDetrResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 8, 16, 16],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            out_features=["stage2", "stage3", "stage4"],
            out_indices=[2, 3, 4],
        ),
        encoder_hidden_dim=16,
        encoder_in_channels=[8, 16, 16],
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_in_channels=[16, 16, 16],
        d_model=16,
        num_queries=6,
        decoder_layers=1,
        decoder_ffn_dim=16,
        decoder_attention_heads=2,
        decoder_n_points=2,
        num_denoising=0,
        anchor_image_size=None,
        eval_size=None,
        id2label={0: "person", 1: "bicycle"},
        label2id={"person": 0, "bicycle": 1},
    )
    model = RTDetrForObjectDetection(config)
    for head in model.model.decoder.class_embed:  # every box is a sure person
        torch.nn.init.constant_(head.bias[:1], 3.0)
    model.save_pretrained(folder)
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)


_MODELS = {"Depth-Anything-V2-Small": _depth, "vitpose-base-simple": _vitpose, "rtdetr-r50vd": _rtdetr}
