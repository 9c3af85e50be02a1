"""Poses: where people are and how they hold themselves, drawn as skeletons at the picture's own size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from editing.boxes import ModelSizes
from editing.detectors.published import Published, load_published
from editing.detectors.running import seen_at
from editing.errors import EngineError
from editing.rasters import Pixels
from editing.skeletons import Point, Skeleton, draw_skeletons, from_coco

from transformers import RTDetrForObjectDetection, VitPoseForPoseEstimation  # isort: skip

MOST_PEOPLE = 16
"""Of a crowd the surest are drawn; each costs a run of the pose model."""
_PERSON = 0.4
"""Below this a box is no person. Between the 0.3 of transformers' own example and DETR's usual 0.5."""
_JOINT = 0.3
"""Below this a joint is not seen. As ViTPose's examples draw."""
_OPENPOSE = ModelSizes(smallest_pixels=256 * 256, native_pixels=512 * 512, multiple=64, bucket=64)

_Box: TypeAlias = list[float]
"""Left, top, width, height, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseModels:
    """What ViTPose takes.

    Attributes:
        pose: Finds the joints of one person.
        people: Finds people.
        person: Number of the class of people.
    """

    pose: Published
    people: Published
    person: int


def load_vitpose(pose: Path, people: Path, device: torch.device) -> PoseModels:
    """Load ViTPose and the RT-DETR that finds people for it.

    Args:
        pose: Folder of ViTPose.
        people: Folder of RT-DETR.
        device: Where they shall run.

    Returns:
        The models.

    Raises:
        EngineError: `weights_unreadable`, if weights are missing or foreign, or the detector knows no people.
    """
    detector = load_published(RTDetrForObjectDetection, people, device)
    persons = [int(number) for number, name in detector.model.config.id2label.items() if name == "person"]
    if not persons:
        raise EngineError(
            f"the detector in {people} knows no class `person`",
            code="weights_unreadable",
            field="detector",
            value=str(people),
            limit="person",
        )
    joints = load_published(VitPoseForPoseEstimation, pose, device)
    return PoseModels(pose=joints, people=detector, person=persons[0])


def vitpose(models: PoseModels, pixels: Pixels) -> Pixels:
    """Draw people (Xu and others, "ViTPose", 2022; Zhao and others, "RT-DETR", 2023) as OpenPose would.

    Args:
        models: The models.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), of the picture's size; black where nobody is.
    """
    size = pixels.shape[1], pixels.shape[0]
    boxes = _people(models, pixels)
    if not boxes:
        return draw_skeletons([], size)
    inputs = models.pose.prepared(pixels, boxes=[boxes])
    if getattr(models.pose.model.config.backbone_config, "num_experts", 1) > 1:  # ViTPose++: 0 is COCO's expert
        inputs["dataset_index"] = torch.zeros(len(boxes), dtype=torch.long, device=models.pose.model.device)
    answered = models.pose.model(**inputs)
    found = models.pose.processor.post_process_pose_estimation(answered, boxes=[boxes])[0]
    return draw_skeletons([from_coco(_points(person, size)) for person in found], size)


def _people(models: PoseModels, pixels: Pixels) -> list[_Box]:
    """The surest boxes of people, the less sure first, so that the surer are drawn over them."""
    detector = models.people
    height, width = pixels.shape[:2]
    inputs = detector.prepared(pixels)
    found = detector.processor.post_process_object_detection(
        detector.model(**inputs), target_sizes=[(height, width)], threshold=_PERSON
    )[0]
    sure: list[tuple[float, _Box]] = []
    for score, label, corners in zip(found["scores"], found["labels"], found["boxes"], strict=True):
        left, right = (float(np.clip(float(corners[i]), 0.0, width)) for i in (0, 2))
        top, bottom = (float(np.clip(float(corners[i]), 0.0, height)) for i in (1, 3))
        if int(label) == models.person and right - left >= 1.0 and bottom - top >= 1.0:
            sure.append((float(score), [left, top, right - left, bottom - top]))
    sure.sort(key=lambda each: (-each[0], each[1]))
    return [box for _, box in reversed(sure[:MOST_PEOPLE])]


def _points(person: Mapping[str, Any], size: tuple[int, int]) -> list[Point | None]:
    places: npt.NDArray[np.float32] = person["keypoints"].float().cpu().numpy()
    scores: npt.NDArray[np.float32] = person["scores"].float().cpu().numpy()
    return [
        (float(x) / size[0], float(y) / size[1]) if score >= _JOINT else None
        for (x, y), score in zip(places, scores, strict=True)
    ]


def openpose(net: torch.nn.Module, pixels: Pixels) -> Pixels:
    """Draw people (Cao and others, "OpenPose", 2017); bodies only, no hands and faces.

    Args:
        net: The body network.
        pixels: uint8 (h, w, 3), sRGB.

    Returns:
        uint8 (h, w, 3), of the picture's size; black where nobody is.
    """
    from controlnet_aux import OpenposeDetector
    from controlnet_aux.open_pose.body import Body

    body = Body.__new__(Body)  # its constructor would read a file by a pickle's rules
    body.model = net
    people = OpenposeDetector(body).detect_poses(seen_at(pixels, _OPENPOSE))
    size = pixels.shape[1], pixels.shape[0]
    return draw_skeletons([_skeleton(person.body.keypoints) for person in people], size)


def _skeleton(joints: Sequence[Any]) -> Skeleton:
    return [None if joint is None else (float(joint.x), float(joint.y)) for joint in joints]
