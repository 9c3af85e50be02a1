"""The catalogue: every checkpoint by name, with its licence, its limits and its defaults, as data.

Defaults are always ours and explicit, never a pipeline's own: diffusers' differ between pipelines of one checkpoint.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from editing.checkpoints import Checkpoint, ControlDefaults, Family, SamplingDefaults, unsuitable
from editing.errors import OperationError
from editing.operations import Control, ControlKind, Generate, Inpaint, Operation, OperationName

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
]

_DEV_LICENCE = "FLUX.1 [dev] Non-Commercial License"
_DEV_REASON = (
    "The licence allows non-commercial use only and asks you to filter prompts and outputs for unlawful content."
)
_DEV_LICENCE_URL = "https://huggingface.co/black-forest-labs/FLUX.1-dev/blob/main/LICENSE.md"
_APACHE_URL = "https://www.apache.org/licenses/LICENSE-2.0"


_GENERATE, _INPAINT, _OUTPAINT, _ERASE = (
    OperationName.GENERATE,
    OperationName.INPAINT,
    OperationName.OUTPAINT,
    OperationName.ERASE,
)


def _fill(steps: int) -> Mapping[OperationName, SamplingDefaults]:
    filling = SamplingDefaults(steps=steps, guidance=30.0)
    return {_INPAINT: filling, _OUTPAINT: filling, _ERASE: filling}


CATALOGUE: Mapping[str, Checkpoint] = MappingProxyType(
    {
        checkpoint.name: checkpoint
        for checkpoint in (
            Checkpoint(
                name="flux-mini",
                family=Family.BASE,
                packaged="flux-mini",
                licence="Apache-2.0",
                licence_url=_APACHE_URL,
                native_pixels=128 * 128,
                smallest_pixels=128 * 128,
                bucket=16,
                max_pixels=256 * 256,
                max_sequence_length=16,
                defaults={
                    _GENERATE: SamplingDefaults(steps=24, guidance=3.5),
                    _INPAINT: SamplingDefaults(steps=24, guidance=3.5, strength=1.0),
                    _OUTPAINT: SamplingDefaults(steps=24, guidance=3.5, strength=0.95),
                },
            ),
            Checkpoint(
                name="flux-mini-fill",
                family=Family.FILL,
                packaged="flux-mini-fill",
                licence="Apache-2.0",
                licence_url=_APACHE_URL,
                native_pixels=128 * 128,
                smallest_pixels=128 * 128,
                bucket=16,
                max_pixels=256 * 256,
                max_sequence_length=16,
                defaults=_fill(24),
            ),
            Checkpoint(
                name="flux-mini-canny",
                family=Family.CONTROLNET,
                packaged="flux-mini-canny",
                licence="Apache-2.0",
                licence_url=_APACHE_URL,
                native_pixels=128 * 128,
                smallest_pixels=128 * 128,
                bucket=16,
                max_pixels=256 * 256,
                max_sequence_length=16,
                controls={ControlKind.CANNY: ControlDefaults(scale=1.0)},
                works_with=frozenset({"flux-mini"}),
            ),
            Checkpoint(
                name="FLUX.1-dev",
                family=Family.BASE,
                hub_id="black-forest-labs/FLUX.1-dev",
                revision="3de623fc3c33e44ffbe2bad470d0f45bccf2eb21",
                licence=_DEV_LICENCE,
                licence_url=_DEV_LICENCE_URL,
                acceptance_reason=_DEV_REASON,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=512,
                defaults={
                    _GENERATE: SamplingDefaults(steps=28, guidance=3.5),
                    _INPAINT: SamplingDefaults(steps=28, guidance=3.5, strength=0.9),
                    _OUTPAINT: SamplingDefaults(steps=28, guidance=3.5, strength=0.95),
                },
            ),
            Checkpoint(
                name="FLUX.1-schnell",
                family=Family.BASE,
                hub_id="black-forest-labs/FLUX.1-schnell",
                revision="741f7c3ce8b383c54771c7003378a50191e9efe9",
                licence="Apache-2.0",
                licence_url=_APACHE_URL,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=256,
                defaults={
                    _GENERATE: SamplingDefaults(steps=4, guidance=0.0),
                    _INPAINT: SamplingDefaults(steps=4, guidance=0.0, strength=1.0),
                    _OUTPAINT: SamplingDefaults(steps=4, guidance=0.0, strength=1.0),
                },
            ),
            Checkpoint(
                name="FLUX.1-Fill-dev",
                family=Family.FILL,
                hub_id="black-forest-labs/FLUX.1-Fill-dev",
                revision="358293da0354175698b67ec8299acf928313a78a",
                licence=_DEV_LICENCE,
                licence_url=_DEV_LICENCE_URL,
                acceptance_reason=_DEV_REASON,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=512,
                defaults=_fill(30),
            ),
            Checkpoint(
                name="FLUX.1-dev-ControlNet-Union-Pro-2.0",
                family=Family.CONTROLNET,
                hub_id="Shakker-Labs/FLUX.1-dev-ControlNet-Union-Pro-2.0",
                licence=_DEV_LICENCE,
                licence_url=_DEV_LICENCE_URL,
                acceptance_reason=_DEV_REASON,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=512,
                controls={ControlKind.CANNY: ControlDefaults(scale=0.7, end=0.8)},
                works_with=frozenset({"FLUX.1-dev"}),
            ),
            Checkpoint(
                name="FLUX.1-dev-Controlnet-Inpainting-Beta",
                family=Family.CONTROLNET,
                hub_id="alimama-creative/FLUX.1-dev-Controlnet-Inpainting-Beta",
                revision="411df2896273ed2e4c28b55248b78c5725f7aab4",
                licence=_DEV_LICENCE,
                licence_url=_DEV_LICENCE_URL,
                acceptance_reason=_DEV_REASON,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=512,
                # Its makers say 0.9 to 0.95, ending at 0.35 to 1. Half is enough here, and what Krita AI does: kept
                # latents are put back after every step anyway, so it need only settle the layout. It costs half, too.
                inpainting=ControlDefaults(scale=0.9, end=0.5),
                works_with=frozenset({"FLUX.1-dev"}),
            ),
        )
    }
)


def find(name: str, *, field: str = "checkpoint") -> Checkpoint:
    """Look a checkpoint up.

    Args:
        name: Its name.
        field: Name of the request field, for the error.

    Returns:
        The catalogue's entry.

    Raises:
        OperationError: `checkpoint_unknown`.
    """
    checkpoint = CATALOGUE.get(name)
    if checkpoint is None:
        raise OperationError(
            f"no checkpoint is called {name[:80]!r}; there are {', '.join(sorted(CATALOGUE))}",
            code="checkpoint_unknown",
            field=field,
            value=name[:80],
            limit=sorted(CATALOGUE),
        )
    return checkpoint


def pick(operation: str, controls: Collection[ControlKind] = (), *, prefer: Sequence[str] = ()) -> str:
    """Choose the checkpoint for a request that names none.

    Args:
        operation: Name of the operation.
        controls: Kinds of control the request asks for.
        prefer: Names in the operator's order; the packaged checkpoints follow.

    Returns:
        Name of the first that can run the operation with such controls; Fill before base where both can.

    Raises:
        OperationError: `checkpoint_unsuitable`, if none can.
    """
    packaged = [name for name, checkpoint in CATALOGUE.items() if checkpoint.packaged is not None]
    chosen = [find(name, field="prefer") for name in prefer]
    for candidates in (chosen, [CATALOGUE[name] for name in packaged]):
        suitable = [c for c in candidates if operation in c.operations and _takes_controls(c, controls)]
        suitable.sort(key=lambda c: c.family is not Family.FILL)
        if suitable:
            return suitable[0].name
    raise OperationError(
        f"no checkpoint can run {operation} with controls {sorted(controls)}",
        code="checkpoint_unsuitable",
        field="checkpoint",
        value=operation,
        limit=[name.value for name in OperationName],
    )


def pick_control(kind: ControlKind, base: str) -> Checkpoint:
    """Choose the ControlNet for a control that names none.

    Args:
        kind: What the control image shows.
        base: Name of the base checkpoint it shall steer.

    Returns:
        The first ControlNet trained for that base.

    Raises:
        OperationError: `control_unsupported`, if there is none.
    """
    for checkpoint in CATALOGUE.values():
        if kind in checkpoint.controls and base in checkpoint.works_with:
            return checkpoint
    raise _control_unsupported(base, f"no ControlNet for {kind.value} works with it", "controls")


def check(name: str, operation: str, controls: Sequence[Control] = ()) -> Checkpoint:
    """Check that a checkpoint can run an operation with these controls.

    Args:
        name: Name of the checkpoint.
        operation: Name of the operation.
        controls: Controls of the request.

    Returns:
        The catalogue's entry.

    Raises:
        OperationError: `checkpoint_unknown`, `checkpoint_unsuitable` or `control_unsupported`.
    """
    checkpoint = find(name)
    if operation not in checkpoint.operations:
        raise unsuitable(checkpoint, operation)
    if controls and checkpoint.family is Family.FILL:
        raise _control_unsupported(name, "a Fill checkpoint takes no ControlNet; name a base checkpoint", "controls")
    for index, control in enumerate(controls):
        place = f"controls[{index}].checkpoint"
        controlnet = find(control.checkpoint, field=place)
        if controlnet.family is not Family.CONTROLNET:
            raise _control_unsupported(name, f"{control.checkpoint} is no ControlNet", place)
        if name not in controlnet.works_with:
            raise _control_unsupported(name, f"{control.checkpoint} was not trained for it", place)
        if control.kind not in controlnet.controls:
            raise _control_unsupported(name, f"{control.checkpoint} does not serve {control.kind.value}", place)
    if len({control.checkpoint for control in controls}) > 1:
        raise _control_unsupported(name, "all controls of one request use one ControlNet", "controls")
    return checkpoint


def check_operation(operation: Operation) -> Checkpoint:
    """Check everything about an operation that depends on its checkpoint, without loading it.

    Args:
        operation: The operation to judge.

    Returns:
        The checkpoint that will run it.

    Raises:
        OperationError: As `check` raises, or `size_unsupported`.
    """
    controls = operation.controls if isinstance(operation, Generate | Inpaint) else ()
    checkpoint = check(operation.checkpoint, operation.name, controls)
    if isinstance(operation, Generate) and operation.width * operation.height > checkpoint.max_pixels:
        raise OperationError(
            f"{checkpoint.name} generates up to {checkpoint.max_pixels} pixels, "
            f"got {operation.width}x{operation.height} = {operation.width * operation.height}",
            code="size_unsupported",
            field="width",
            value=operation.width * operation.height,
            limit=checkpoint.max_pixels,
        )
    return checkpoint


def _takes_controls(checkpoint: Checkpoint, controls: Collection[ControlKind]) -> bool:
    served = {kind for other in CATALOGUE.values() if checkpoint.name in other.works_with for kind in other.controls}
    return set(controls) <= served


def _control_unsupported(name: str, reason: str, place: str) -> OperationError:
    return OperationError(
        f"{name} cannot be steered so: {reason}", code="control_unsupported", field=place, value=name, limit=reason
    )
