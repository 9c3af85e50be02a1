"""The catalogue: which checkpoint can do what, and by which route; its entries are data, in `editing.entries`."""

import math
from collections.abc import Collection, Sequence

from editing.blending import Prefill, Route
from editing.checkpoints import Checkpoint, ControlDefaults, Family, SamplingDefaults, unsuitable
from editing.detecting import check_detector
from editing.entries import CATALOGUE, find
from editing.errors import OperationError
from editing.guides import ControlKind, Guides
from editing.mixes import check_guides, unreadable
from editing.operations import (
    SIDE,
    ControlMap,
    Erase,
    Generate,
    Img2Img,
    Inpaint,
    Instruct,
    Operation,
    OperationName,
    Outpaint,
    Prompted,
    Sampling,
)

__all__ = [
    "CATALOGUE",
    "Checkpoint",
    "ControlDefaults",
    "Family",
    "SamplingDefaults",
    "check",
    "check_operation",
    "find",
    "pick",
    "pick_control",
    "resolve_route",
    "routes_of",
    "starts_from_picture",
]


def pick(
    operation: str,
    controls: Collection[ControlKind] = (),
    *,
    prefer: Sequence[str] = (),
    route: Route | None = None,
) -> str:
    """Choose the checkpoint for a request that names none.

    Args:
        operation: Name of the operation.
        controls: Kinds of control the request asks for.
        prefer: Names in the operator's order; the packaged checkpoints follow.
        route: Route the request asks for, or None.

    Returns:
        Name of the first that can run the operation with such controls by such a route; Fill before base where both
        can, but base before Fill where there are controls, whose ControlNets were trained on a base.

    Raises:
        OperationError: `checkpoint_unsuitable`, if none can; `route_unsupported`, if one could by another route.
    """
    packaged = [name for name, checkpoint in CATALOGUE.items() if checkpoint.packaged is not None]
    chosen = [find(name, field="prefer") for name in prefer]
    otherwise = False
    for candidates in (chosen, [CATALOGUE[name] for name in packaged]):
        suitable = [c for c in candidates if operation in c.operations and _takes_controls(c, controls)]
        suitable = [c for c in suitable if c.family is not Family.CONTROL or controls]
        otherwise = otherwise or bool(suitable)
        routed = [c for c in suitable if route is None or route in routes_of(c)]
        routed.sort(key=lambda c: (c.family is Family.FILL) == bool(controls))
        if routed:
            return routed[0].name
    if route is not None and otherwise:
        able = [c.name for c in CATALOGUE.values() if operation in c.operations and route in routes_of(c)]
        raise OperationError(
            f"no checkpoint at hand runs {operation} by {route.value}; name one that does: {', '.join(able)}",
            code="route_unsupported",
            field="route",
            value=route.value,
            limit=able,
        )
    able = [c.name for c in CATALOGUE.values() if operation in c.operations and _takes_controls(c, controls)]
    with_controls = f" with controls {', '.join(sorted(controls))}" if controls else ""
    raise OperationError(
        f"no checkpoint at hand runs {operation}{with_controls}; name one that does: {', '.join(able) or 'none does'}",
        code="checkpoint_unsuitable",
        field="checkpoint",
        value=operation,
        limit=able or [name.value for name in OperationName],
    )


def pick_control(kind: ControlKind, base: str) -> Checkpoint:
    """Choose what reads a control that names nothing.

    Args:
        kind: What the control image shows.
        base: Name of the checkpoint it shall steer.

    Returns:
        That checkpoint, where it reads such control images itself; else the first ControlNet trained for it, or for
        what it was made from; else a control LoRA.

    Raises:
        OperationError: `control_unsupported`, if there is none.
    """
    checkpoint = find(base)
    if kind in checkpoint.controls:
        return checkpoint
    readers = [c for c in CATALOGUE.values() if kind in c.controls and c.fits(checkpoint)]
    readers.sort(key=lambda c: c.family is not Family.CONTROLNET)
    if not readers:
        raise unreadable(checkpoint, f"no ControlNet for {kind.value} works with it", "controls")
    return readers[0]


def routes_of(checkpoint: Checkpoint) -> tuple[Route, ...]:
    """List the routes by which a checkpoint can paint a part of a picture.

    Args:
        checkpoint: The catalogue's entry.

    Returns:
        Its routes, the one it takes by itself first; none for a ControlNet, which paints nothing alone.
    """
    if checkpoint.family is Family.FILL:
        return (Route.FILL,)
    if checkpoint.family in {Family.KONTEXT, Family.KLEIN}:
        return (Route.REFERENCE_MERGE,)
    if checkpoint.family is Family.CONTROL:
        return (Route.LATENT_MERGE,)
    if checkpoint.family is Family.BASE:
        steered = (Route.INPAINTING_CONTROLNET,) if _inpainting_nets(checkpoint) else ()
        return (Route.LATENT_MERGE, *steered)
    return ()


def resolve_route(
    checkpoint_name: str, route: Route | None = None, inpainting_controlnet: str | None = None
) -> tuple[Route, str | None]:
    """Settle how a checkpoint is made to paint only a part.

    A Fill checkpoint fills. A base merges latents, unless the request names an inpainting ControlNet or asks for that
    route; then the first one trained for the base is taken where none is named.

    Args:
        checkpoint_name: Name of the checkpoint.
        route: What the request asks for, or None.
        inpainting_controlnet: The ControlNet that the request names, or None.

    Returns:
        The route, and the name of its ControlNet (None on all other routes).

    Raises:
        OperationError: `checkpoint_unknown`; `checkpoint_unsuitable` for a ControlNet alone; `route_unsupported` for
            what contradicts itself or cannot be had, with what would work.
    """
    checkpoint = find(checkpoint_name)
    able = routes_of(checkpoint)
    if not able:
        raise unsuitable(checkpoint, OperationName.INPAINT)
    if inpainting_controlnet is not None:
        _check_net(checkpoint, route, inpainting_controlnet)
        return Route.INPAINTING_CONTROLNET, inpainting_controlnet
    route = route or able[0]
    if route not in able:
        raise _route_unsupported(checkpoint, _REASONS[route], "route", route.value)
    return route, _inpainting_nets(checkpoint)[0] if route is Route.INPAINTING_CONTROLNET else None


_REASONS = {
    Route.FILL: "it was not trained to fill; a Fill checkpoint was",
    Route.LATENT_MERGE: "it reads the mask itself; a base checkpoint merges latents",
    Route.INPAINTING_CONTROLNET: "no inpainting ControlNet was trained for it",
    Route.REFERENCE_MERGE: "it takes no instructions",
}


def _inpainting_nets(base: Checkpoint) -> list[str]:
    return [c.name for c in CATALOGUE.values() if c.inpainting is not None and base.name in c.works_with]


def _check_net(checkpoint: Checkpoint, route: Route | None, name: str) -> None:
    """Refuse an inpainting ControlNet that this request would not use."""
    net = find(name, field="inpainting_controlnet")
    if net.inpainting is None:
        reason = f"{name} is no inpainting ControlNet"
    elif checkpoint.family is Family.FILL:
        reason = "a Fill checkpoint reads the mask itself and takes no ControlNet"
    elif checkpoint.name not in net.works_with:
        reason = f"{name} was not trained for it"
    elif route not in (None, Route.INPAINTING_CONTROLNET):
        reason = f"{route} does not use the ControlNet that is named, {name}"
    else:
        return
    raise _route_unsupported(checkpoint, reason, "inpainting_controlnet", name)


def _route_unsupported(checkpoint: Checkpoint, reason: str, place: str, value: str) -> OperationError:
    able = [route.value for route in routes_of(checkpoint)]
    nets = _inpainting_nets(checkpoint)
    with_nets = f", with {' or '.join(nets)}" if nets else ""
    return OperationError(
        f"{checkpoint.name} cannot paint so: {reason}; it paints by {' or '.join(able)}{with_nets}",
        code="route_unsupported",
        field=place,
        value=value,
        limit=able,
    )


def starts_from_picture(sampling: Sampling) -> bool:
    """Say whether a run starts from what is there, and not from noise alone.

    Strength skips whole steps, as diffusers counts them: below 1 but within one step of it, none is skipped, and the
    first step starts at full noise.

    Args:
        sampling: How it samples.

    Returns:
        Whether at least one step is skipped.
    """
    return sampling.first_step >= 1


def check(name: str, operation: str, guides: Guides | None = None, *, true_cfg: float = 1.0) -> Checkpoint:
    """Check that a checkpoint can run an operation with these guides.

    Args:
        name: Name of the checkpoint.
        operation: Name of the operation.
        guides: Guides of the request; None for none.
        true_cfg: Scale of classifier-free guidance.

    Returns:
        The catalogue's entry.

    Raises:
        OperationError: `checkpoint_unknown`, `checkpoint_unsuitable`, or as `check_guides` raises.
    """
    checkpoint = find(name)
    if operation not in checkpoint.operations:
        raise unsuitable(checkpoint, operation)
    check_guides(checkpoint, guides or Guides(), true_cfg=true_cfg)
    return checkpoint


def check_operation(operation: Operation) -> Checkpoint:
    """Check everything about an operation that depends on its checkpoint, without loading it.

    A prefill is refused where it has no effect: where the run starts from noise alone, that is, on every route at
    strength 1 (`starts_from_picture`). Fill zeroes what its mask covers before it reads the picture, an inpainting
    ControlNet is shown black there, and latents that are merged back are kept ones. Below that strength each route
    starts from the noised latents of the picture, and the prefill is what lies under the mask there.

    Args:
        operation: The operation to judge.

    Returns:
        The checkpoint that will run it.

    Raises:
        OperationError: As `check` and `resolve_route` raise, `size_unsupported`, `pictures_too_many`,
            `prefill_without_effect`, `guidance_without_effect`, or `strength_without_effect` for an img2img that would
            ignore its picture.
    """
    if isinstance(operation, ControlMap):
        return check_detector(operation)
    guides = operation.guides if isinstance(operation, Prompted) else None
    checkpoint = check(operation.checkpoint, operation.name, guides, true_cfg=operation.sampling.true_cfg)
    _check_guidance(checkpoint, operation.name, operation.sampling)
    match operation:
        case Generate():
            _check_area(checkpoint, (operation.width, operation.height))
        case Img2Img():
            _check_area(checkpoint, operation.target)
            _check_start(operation.sampling)
        case Instruct():
            _check_area(checkpoint, operation.target)
            _check_pictures(checkpoint, 1 + len(operation.others))
        case Inpaint() | Outpaint():
            resolve_route(checkpoint.name, operation.route, operation.inpainting_controlnet)
            _check_prefill(operation.blend.prefill, operation.sampling)
        case Erase():
            _check_prefill(operation.blend.prefill, operation.sampling)
    return checkpoint


def _check_area(checkpoint: Checkpoint, size: tuple[int, int]) -> None:
    width, height = size
    area, most = width * height, checkpoint.max_pixels
    if area <= most:
        return
    scale = math.sqrt(most / area)
    wide, high = (min(max(int(side * scale), SIDE[0]), SIDE[1]) for side in size)
    raise OperationError(
        f"{checkpoint.name} makes pictures of up to {most} pixels, got {width}x{height} = {area}; "
        f"the largest of that shape is {wide}x{high}",
        code="size_unsupported",
        field="width",
        value=area,
        limit=most,
    )


def _check_guidance(checkpoint: Checkpoint, operation: OperationName, sampling: Sampling) -> None:
    usual = checkpoint.defaults[operation].guidance
    if not checkpoint.guided and sampling.guidance != usual:
        raise OperationError(
            f"guidance is no input of {checkpoint.name}, so {sampling.guidance} would change nothing; leave it out",
            code="guidance_without_effect",
            field="guidance",
            value=sampling.guidance,
            limit=usual,
        )


def _check_pictures(checkpoint: Checkpoint, count: int) -> None:
    if count > checkpoint.pictures:
        raise OperationError(
            f"{checkpoint.name} takes {checkpoint.pictures} pictures with an instruction, got {count}",
            code="pictures_too_many",
            field="others",
            value=count,
            limit=checkpoint.pictures,
        )


def _check_start(sampling: Sampling) -> None:
    if starts_from_picture(sampling):
        return
    highest = _highest_strength(sampling)
    instead = f"give a strength of at most {highest}, or more steps" if highest else "take 2 steps or more"
    raise OperationError(
        f"at strength {sampling.strength} over {sampling.steps} steps the model starts from noise alone and would "
        f"ignore the picture; {instead}, or use generate",
        code="strength_without_effect",
        field="strength",
        value=sampling.strength,
        limit=highest,
    )


def _highest_strength(sampling: Sampling) -> float:
    """The highest strength, to a hundredth, at which a step is skipped; 0 if none."""
    return math.floor(100 * (sampling.steps - 1) / sampling.steps) / 100


def _check_prefill(prefill: Prefill | None, sampling: Sampling) -> None:
    if prefill is None or starts_from_picture(sampling):
        return
    highest = _highest_strength(sampling)
    # a single step cannot be skipped at any strength
    instead = f"give a strength of at most {highest}" if highest else "take 2 steps or more at a strength up to 0.5"
    raise OperationError(
        f"at strength {sampling.strength} over {sampling.steps} steps the model starts from noise alone: a prefill has "
        f"no effect; leave it out, or {instead} where the operation takes one",
        code="prefill_without_effect",
        field="prefill",
        value=prefill.value,
        limit=highest,
    )


def _takes_controls(checkpoint: Checkpoint, controls: Collection[ControlKind]) -> bool:
    served = {kind for other in CATALOGUE.values() if other.fits(checkpoint) for kind in other.controls}
    return set(controls) <= served | set(checkpoint.controls)
