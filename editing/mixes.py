"""Mixes: which guides a checkpoint can follow, and which of them together; what cannot work is refused with a reason.

A refusal carries a `Mix` for programs, a sentence for people, and what would work instead. Nothing is left out or
changed silently: a request runs as it was asked, or not at all.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

from editing.checkpoints import Checkpoint, Family
from editing.entries import CATALOGUE, find
from editing.errors import OperationError
from editing.guides import Control, Guides, ReferenceKind


class Mix(StrEnum):
    """Why some things cannot act together."""

    CONTROL_MISSING = "control_missing"
    """The checkpoint always reads a control image, and the request has none."""
    CONTROL_SPAN_FIXED = "control_span_fixed"
    """What is read as channels acts at full length; only a ControlNet can start later or stop earlier."""
    CONTROL_SCALE_FIXED = "control_scale_fixed"
    """What a checkpoint reads as channels acts at full weight."""
    CHANNELS_TAKEN = "channels_taken"
    """Two things would be read as further channels of the same input."""
    CONTROL_ON_CHANNELS = "control_on_channels"
    """ControlNets were trained on a base, not on a checkpoint that reads its control image itself."""
    CONTROL_WITH_REFERENCE_TOKENS = "control_with_reference_tokens"
    """The model reads the picture as further tokens; a ControlNet has nothing for them."""
    REFERENCE_WITH_REFERENCE_TOKENS = "reference_with_reference_tokens"
    """The model already sees its picture as a reference."""
    OTHER_ARCHITECTURE = "other_architecture"
    """It was made for the weights of another architecture."""
    NEGATIVE_WITHOUT_CFG = "negative_without_cfg"
    """A negative prompt acts through true CFG alone, and that is off."""
    CFG_UNSUPPORTED = "cfg_unsupported"
    """The checkpoint was distilled so that classifier-free guidance cannot act."""


def check_guides(checkpoint: Checkpoint, guides: Guides, *, true_cfg: float) -> None:
    """Check that a checkpoint can follow these guides, all of them together.

    Args:
        checkpoint: What paints.
        guides: What shall steer it.
        true_cfg: Scale of classifier-free guidance.

    Raises:
        OperationError: `control_unsupported` for a control that this checkpoint or that ControlNet cannot read;
            `lora_unsupported` or `reference_unsupported` for one that is none or was made for another checkpoint;
            `mix_unsupported` for what cannot act together, with a `Mix` as its value.
    """
    for index, control in enumerate(guides.controls):
        _check_control(checkpoint, control, f"controls[{index}]")
    _check_channels(checkpoint, guides)
    _check_loras(checkpoint, guides)
    _check_references(checkpoint, guides)
    _check_negative(checkpoint, guides, true_cfg)


def _check_control(checkpoint: Checkpoint, control: Control, place: str) -> None:
    reader = find(control.checkpoint, field=f"{place}.checkpoint")
    if reader.name == checkpoint.name and checkpoint.family is Family.CONTROL:
        _require_kind(checkpoint, reader, control, f"{place}.kind")
        if control.scale != 1.0:
            _refuse(Mix.CONTROL_SCALE_FIXED, checkpoint, f"{place}.scale", ["1.0"])
        _require_whole_span(checkpoint, control, place)
        return
    if reader.family not in {Family.CONTROLNET, Family.CONTROL_LORA} or reader.inpainting is not None:
        raise unreadable(checkpoint, f"{reader.name} reads no control images", f"{place}.checkpoint")
    if checkpoint.architecture is not reader.architecture:
        _refuse(Mix.OTHER_ARCHITECTURE, checkpoint, f"{place}.checkpoint", bases_of(reader))
    if checkpoint.family is Family.KONTEXT:
        _refuse(Mix.CONTROL_WITH_REFERENCE_TOKENS, checkpoint, f"{place}.checkpoint", bases_of(reader))
    if not reader.fits(checkpoint):
        raise unreadable(checkpoint, f"{reader.name} was not trained for it", f"{place}.checkpoint")
    _require_kind(checkpoint, reader, control, f"{place}.kind")
    if reader.family is Family.CONTROL_LORA:
        _require_whole_span(checkpoint, control, place)


def _require_kind(checkpoint: Checkpoint, reader: Checkpoint, control: Control, place: str) -> None:
    if control.kind not in reader.controls:
        served = ", ".join(sorted(each.value for each in reader.controls))
        raise unreadable(checkpoint, f"{reader.name} does not serve {control.kind.value}; it serves {served}", place)


def _require_whole_span(checkpoint: Checkpoint, control: Control, place: str) -> None:
    if (control.start, control.end) != (0.0, 1.0):
        _refuse(Mix.CONTROL_SPAN_FIXED, checkpoint, f"{place}.end", ["start 0 and end 1", "a ControlNet"])


def _check_channels(checkpoint: Checkpoint, guides: Guides) -> None:
    """At most one thing is read as channels beside the noise: Fill's masked picture, or one control image."""
    loras = [i for i, c in enumerate(guides.controls) if CATALOGUE[c.checkpoint].family is Family.CONTROL_LORA]
    own = [i for i, c in enumerate(guides.controls) if c.checkpoint == checkpoint.name]
    if checkpoint.family is Family.CONTROL:
        if not own:
            kinds = sorted(each.value for each in checkpoint.controls)
            _refuse(Mix.CONTROL_MISSING, checkpoint, "controls", [f"one control of kind {' or '.join(kinds)}"])
        nets = [i for i in range(len(guides.controls)) if i not in own]
        if nets:
            _refuse(Mix.CONTROL_ON_CHANNELS, checkpoint, f"controls[{nets[0]}].checkpoint", _bases(checkpoint))
    taken = 1 if checkpoint.family is Family.FILL else 0
    readers = [*own, *loras]
    if readers and taken + len(readers) > 1:
        _refuse(Mix.CHANNELS_TAKEN, checkpoint, f"controls[{readers[-1]}].checkpoint", _nets_of(checkpoint))


def _check_loras(checkpoint: Checkpoint, guides: Guides) -> None:
    for index, lora in enumerate(guides.loras):
        if lora.digest is not None:
            continue  # an uploaded file is judged by its own keys and shapes, before it is accepted and when it loads
        named = find(lora.name, field=f"loras[{index}].name")
        if named.family is not Family.LORA or not named.fits(checkpoint):
            reason = "is no LoRA" if named.family is not Family.LORA else f"was not made for {checkpoint.name}"
            fitting = [c.name for c in CATALOGUE.values() if c.family is Family.LORA and c.fits(checkpoint)]
            raise OperationError(
                f"{named.name} {reason}; of the catalogue {' or '.join(fitting) or 'none'} would fit",
                code="lora_unsupported",
                field=f"loras[{index}].name",
                value=named.name,
                limit=fitting,
            )


_READERS = {ReferenceKind.REDUX: Family.REDUX, ReferenceKind.IP_ADAPTER: Family.IP_ADAPTER}


def _check_references(checkpoint: Checkpoint, guides: Guides) -> None:
    for index, reference in enumerate(guides.references):
        place = f"references[{index}].checkpoint"
        reader = find(reference.checkpoint, field=place)
        if reader.family is not _READERS[reference.kind]:
            fitting = [c.name for c in CATALOGUE.values() if c.family is _READERS[reference.kind]]
            raise OperationError(
                f"{reader.name} reads no {reference.kind.value} references; {' or '.join(fitting) or 'nothing'} does",
                code="reference_unsupported",
                field=place,
                value=reader.name,
                limit=fitting,
            )
        if checkpoint.architecture is not reader.architecture:
            _refuse(Mix.OTHER_ARCHITECTURE, checkpoint, place, bases_of(reader))
        if checkpoint.family is Family.KONTEXT:
            _refuse(Mix.REFERENCE_WITH_REFERENCE_TOKENS, checkpoint, place, bases_of(reader))
        if not reader.fits(checkpoint):
            raise OperationError(
                f"{reader.name} was not trained for {checkpoint.name}; it works with {', '.join(bases_of(reader))}",
                code="reference_unsupported",
                field=place,
                value=reader.name,
                limit=bases_of(reader),
            )


def _check_negative(checkpoint: Checkpoint, guides: Guides, true_cfg: float) -> None:
    if checkpoint.negative_cfg is None and (true_cfg > 1.0 or guides.negative_prompt):
        able = _names(lambda c: c.paints and c.negative_cfg is not None)
        _refuse(Mix.CFG_UNSUPPORTED, checkpoint, "true_cfg" if true_cfg > 1.0 else "negative_prompt", able)
    if guides.negative_prompt and true_cfg <= 1.0:
        _refuse(Mix.NEGATIVE_WITHOUT_CFG, checkpoint, "negative_prompt", ["a true_cfg above 1", "no negative_prompt"])


_SENTENCES = {
    Mix.CONTROL_MISSING: "it always reads a control image, and there is none",
    Mix.CONTROL_SPAN_FIXED: "a control that is read as channels acts from the first step to the last",
    Mix.CONTROL_SCALE_FIXED: "a control that it reads itself acts at full weight",
    Mix.CHANNELS_TAKEN: "only one thing can be read as further channels of its input",
    Mix.CONTROL_ON_CHANNELS: "it reads its control image itself, and ControlNets were not trained on it",
    Mix.CONTROL_WITH_REFERENCE_TOKENS: "it reads the picture as further tokens, for which a ControlNet has nothing",
    Mix.REFERENCE_WITH_REFERENCE_TOKENS: "it already sees its picture as a reference",
    Mix.OTHER_ARCHITECTURE: "that was made for another architecture",
    Mix.NEGATIVE_WITHOUT_CFG: "a negative prompt acts through true CFG alone, and that is off",
    Mix.CFG_UNSUPPORTED: "it was distilled so that classifier-free guidance cannot act",
}


def _refuse(mix: Mix, checkpoint: Checkpoint, place: str, instead: list[str]) -> None:
    raise OperationError(
        f"{checkpoint.name} cannot run so: {_SENTENCES[mix]}; what would work: {', '.join(instead) or 'leave it out'}",
        code="mix_unsupported",
        field=place,
        value=mix.value,
        limit=instead,
    )


def unreadable(checkpoint: Checkpoint, reason: str, place: str) -> OperationError:
    """Say that a checkpoint cannot follow a control, and why.

    Args:
        checkpoint: What paints.
        reason: Why not.
        place: Name of the request field.

    Returns:
        The error to raise.
    """
    return OperationError(
        f"{checkpoint.name} cannot be steered so: {reason}",
        code="control_unsupported",
        field=place,
        value=checkpoint.name,
        limit=reason,
    )


def bases_of(reader: Checkpoint) -> list[str]:
    """List the checkpoints beside which something that paints nothing by itself can act.

    Args:
        reader: A ControlNet, LoRA, Redux or adapter.

    Returns:
        Their names, bases first.
    """
    return _names(lambda c: c.paints and reader.fits(c) and c.family in {Family.BASE, Family.FILL})


def _bases(checkpoint: Checkpoint) -> list[str]:
    return [checkpoint.derived_from] if checkpoint.derived_from else []


def _nets_of(checkpoint: Checkpoint) -> list[str]:
    return _names(
        lambda c: c.family is Family.CONTROLNET and c.inpainting is None and c.fits(checkpoint) and bool(c.controls)
    )


def _names(wanted: Callable[[Checkpoint], bool]) -> list[str]:
    chosen: Iterable[Checkpoint] = filter(wanted, CATALOGUE.values())
    return [each.name for each in chosen]
