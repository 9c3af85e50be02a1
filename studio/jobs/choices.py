"""Every choice that a request leaves open, made when it is accepted.

So the stored parameters, and with them the record, say what ran, and not what a later default would have been.
"""

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from editing import ControlKind, ControlMode, Detector, OperationError, ReferenceKind, Route, catalogue
from editing.catalogue import CATALOGUE, Checkpoint, Family
from editing.detecting import DETECTORS, pick_detector, require_suitable
from studio.jobs.flags import settle_size
from studio.jobs.guides import THRESHOLDS, thresholds, under

CONTROL_MAP: Final = "control_map"
"""The operation that only makes a control image: nothing is sampled."""
ROUTED: Final = frozenset({"inpaint", "outpaint"})
"""Operations that more than one route can carry out; an erasure is always filled."""
SEED_BITS: Final = 53
"""Bits of a seed that we draw: exact in every JSON parser. Callers may give up to 64."""

_READERS: Final = {ReferenceKind.REDUX: Family.REDUX, ReferenceKind.IP_ADAPTER: Family.IP_ADAPTER}


Resolve = Callable[[Sequence[Mapping[str, Any]], Checkpoint], list[dict[str, Any]]]
"""(names as requested, what paints) -> the same with digests and weights; `studio.jobs.adapters` does it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choosing:
    """What choosing needs to know.

    Attributes:
        prefer: Checkpoints for requests that name none, in order.
        at_hand: Whether the weights of this checkpoint are on this machine and may load.
        loras: Which LoRAs a request means, beside that checkpoint.
        embeddings: Which learnt words it means, for that checkpoint.
    """

    prefer: Sequence[str]
    at_hand: Callable[[str], bool]
    loras: Resolve
    embeddings: Resolve


def fill_in(operation: str, parameters: dict[str, Any], *, negative: bool, choosing: Choosing) -> None:
    """Fill in every default and every choice.

    Args:
        operation: Its name.
        parameters: What the request said, pictures by digest; completed in place.
        negative: Whether there is a negative prompt, which takes true CFG to act.
        choosing: What choosing needs to know.

    Raises:
        OperationError: Nothing that there is can do what is asked for.
    """
    if operation == CONTROL_MAP:
        _fill_in_detector(parameters, "", choosing.at_hand)
        parameters["checkpoint"] = DETECTORS[Detector(parameters["detector"])].checkpoint
        return
    controls: list[dict[str, Any]] = parameters.get("controls", [])
    _require_pictures(operation, controls)
    name = parameters.get("checkpoint") or _picked(operation, parameters, choosing.prefer)
    parameters["checkpoint"] = name
    checkpoint = catalogue.find(name)
    _fill_in_sampling(operation, parameters, checkpoint, negative=negative)
    if "seam_limit" in parameters:
        parameters.setdefault("seam_retries", 1)
    if operation in ROUTED:
        _fill_in_route(parameters)
    _fill_in_size(operation, parameters, checkpoint)
    for index, control in enumerate(controls):
        _fill_in_control(control, f"controls[{index}]", name, choosing.at_hand)
    for index, reference in enumerate(parameters.get("references", ())):
        _fill_in_reference(reference, f"references[{index}]", checkpoint)
    for group, resolve in (("loras", choosing.loras), ("embeddings", choosing.embeddings)):
        if group in parameters:
            parameters[group] = resolve(parameters[group], checkpoint)


def _picked(operation: str, parameters: Mapping[str, Any], prefer: Sequence[str]) -> str:
    kinds = [ControlKind(each["kind"]) for each in parameters.get("controls", ())]
    return catalogue.pick(operation, kinds, prefer=prefer, route=_wanted(parameters))


def _fill_in_sampling(operation: str, parameters: dict[str, Any], checkpoint: Checkpoint, *, negative: bool) -> None:
    seed = parameters.get("seed")
    parameters["seed"] = str(secrets.randbits(SEED_BITS) if seed is None else seed)
    given = {key: parameters.get(key) for key in ("steps", "guidance", "strength", "true_cfg")}
    sampling = checkpoint.sampling(operation, seed=int(parameters["seed"]), negative=negative, **given)
    parameters |= {"steps": sampling.steps, "guidance": sampling.guidance, "strength": sampling.strength}
    parameters["true_cfg"] = sampling.true_cfg


def _fill_in_size(operation: str, parameters: dict[str, Any], checkpoint: Checkpoint) -> None:
    parameters |= settle_size(operation, parameters, checkpoint.native_pixels, checkpoint.max_pixels)
    if operation == "generate":
        side = math.isqrt(checkpoint.native_pixels)
        parameters.setdefault("width", side)
        parameters.setdefault("height", side)


def _wanted(parameters: Mapping[str, Any]) -> Route | None:
    """The route that was asked for; naming its ControlNet asks for it too."""
    net = parameters.get("inpainting_controlnet")
    if net is not None:
        catalogue.find(net, field="inpainting_controlnet")  # a misspelt name is that, not a route nobody can take
    if "route" in parameters:
        return Route(parameters["route"])
    return None if net is None else Route.INPAINTING_CONTROLNET


def _fill_in_route(parameters: dict[str, Any]) -> None:
    asked = Route(parameters["route"]) if "route" in parameters else None
    route, controlnet = catalogue.resolve_route(
        parameters["checkpoint"], asked, parameters.get("inpainting_controlnet")
    )
    parameters["route"] = route.value
    if controlnet is not None:
        parameters["inpainting_controlnet"] = controlnet


def _require_pictures(operation: str, controls: Sequence[Mapping[str, Any]]) -> None:
    for index, control in enumerate(controls):
        if "image" in control:
            continue
        if operation == "generate" or control["mode"] == ControlMode.AS_IS.value:
            reason = (
                "generate has no picture of its own" if operation == "generate" else "the picture itself is no control"
            )
            raise OperationError(
                f"{reason}: this control needs an image",
                code="control_picture_missing",
                field=f"controls[{index}].image",
            )


def _fill_in_control(control: dict[str, Any], place: str, base: str, at_hand: Callable[[str], bool]) -> None:
    kind = ControlKind(control["kind"])
    named: str | None = control.get("checkpoint")
    chosen = catalogue.find(named, field=f"{place}.checkpoint") if named else _picked_reader(kind, base, place)
    if kind not in chosen.controls:
        raise OperationError(
            f"{chosen.name} serves no {kind.value} controls",
            code="control_unsupported",
            field=f"{place}.checkpoint",
            value=chosen.name,
            limit=sorted(each.value for each in chosen.controls),
        )
    control["checkpoint"] = chosen.name
    for name in ("scale", "start", "end"):
        control.setdefault(name, getattr(chosen.controls[kind], name))
    if ControlMode(control["mode"]) is ControlMode.AS_IS:
        _refuse_making(control, place)
    else:
        _fill_in_detector(control, place, at_hand)


def _picked_reader(kind: ControlKind, base: str, place: str) -> Checkpoint:
    try:
        return catalogue.pick_control(kind, base)
    except OperationError as error:
        error.field = f"{place}.kind"
        raise


def _refuse_making(control: Mapping[str, Any], place: str) -> None:
    """What makes a control image plays no part where one is given; it is refused rather than ignored."""
    for name in ("detector", *THRESHOLDS):
        if name in control:
            raise OperationError(
                f"a control image that is used as it is takes no {name}; leave it out, or take the mode preprocess",
                code="detector_without_effect",
                field=f"{place}.{name}",
                value=control[name],
                limit="preprocess",
            )


def _fill_in_detector(given: dict[str, Any], place: str, at_hand: Callable[[str], bool]) -> None:
    kind = ControlKind(given["kind"])
    with under(place):
        detector = Detector(given["detector"]) if "detector" in given else pick_detector(kind, at_hand)
        require_suitable(detector, kind)
        given["detector"] = detector.value
        if detector is Detector.CANNY:
            given |= thresholds(given)
            return
        for name in THRESHOLDS:
            if name in given:
                raise OperationError(
                    f"{detector.value} has no {name}: that is a threshold of canny",
                    code="threshold_without_effect",
                    field=name,
                    value=given[name],
                    limit=Detector.CANNY.value,
                )


def _fill_in_reference(reference: dict[str, Any], place: str, base: Checkpoint) -> None:
    if "checkpoint" not in reference:
        # the first of its kind that fits; where none does, `editing.mixes` says why the first does not
        readers = [each for each in CATALOGUE.values() if each.family is _READERS[ReferenceKind(reference["kind"])]]
        reference["checkpoint"] = next((each for each in readers if each.fits(base)), readers[0]).name
    reader = catalogue.find(reference["checkpoint"], field=f"{place}.checkpoint")
    reference.setdefault("weight", reader.weight)


def checkpoints_of(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every checkpoint that a job needs, with the field that names it.

    Args:
        parameters: After `fill_in`.

    Returns:
        Pairs of a field and a name of the catalogue; uploaded files are none.
    """
    found = [("checkpoint", parameters["checkpoint"])]
    for group in ("controls", "references"):
        found += [
            (f"{group}[{index}].checkpoint", each["checkpoint"]) for index, each in enumerate(parameters.get(group, ()))
        ]
    found += [
        (f"loras[{index}].name", each["name"])
        for index, each in enumerate(parameters.get("loras", ()))
        if "digest" not in each
    ]
    if "inpainting_controlnet" in parameters:
        found.append(("inpainting_controlnet", parameters["inpainting_controlnet"]))
    for field, detector in detectors_in(parameters):
        found += [(field, name) for name in DETECTORS[detector].checkpoints]
    return found


def detectors_in(parameters: Mapping[str, Any]) -> list[tuple[str, Detector]]:
    """Every detector that a job runs, with the field that names it.

    Args:
        parameters: After `fill_in`.

    Returns:
        Pairs of a field and a detector.
    """
    found = [("detector", parameters)] if "detector" in parameters else []
    found += [(f"controls[{index}].detector", each) for index, each in enumerate(parameters.get("controls", ()))]
    return [(field, Detector(each["detector"])) for field, each in found if "detector" in each]
