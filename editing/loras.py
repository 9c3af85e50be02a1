"""LoRA files: what an upload is, said by its header alone, and whether it can be used. No torch, no pickle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from editing.checkpoints import Architecture, Checkpoint
from editing.errors import OperationError
from editing.lora_layers import LoraContents, contents_of, kind_unsupported, shapes_wrong
from editing.tensorfiles import TensorHeader

PAINTERS: Final = (Architecture.FLUX1, Architecture.FLUX2)
CONTROL_INPUTS: Final = 128
"""Inputs of a FLUX.1 control LoRA's x_embedder: noise and control image. FLUX.2 reads 128 without one."""
_EMBEDDERS: Final = {Architecture.FLUX1: (64, CONTROL_INPUTS, 384), Architecture.FLUX2: (128,)}
"""Inputs that an x_embedder may have; 384 is Fill's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraFacts:
    """What an upload is.

    Attributes:
        naming: Whose names it uses: `diffusers`, `peft`, `kohya`, `xlabs` or `bfl`.
        architectures: Which it can be laid over; two where only layers that both have are changed.
        ranks: Smallest and largest rank.
        layers: How many layers it changes.
        parts: `transformer`, `text_encoder`, `text_encoder_2`: where those are.
        parameters: How many numbers it holds.
        control: Whether it is a control LoRA: it also reads a control image.
    """

    naming: str
    architectures: tuple[Architecture, ...]
    ranks: tuple[int, int]
    layers: int
    parts: tuple[str, ...]
    parameters: int
    control: bool

    def to_json(self) -> dict[str, Any]:
        """Write it down as JSON.

        Returns:
            Its members; tuples are lists.
        """
        return {
            "naming": self.naming,
            "architectures": [each.value for each in self.architectures],
            "ranks": list(self.ranks),
            "layers": self.layers,
            "parts": list(self.parts),
            "parameters": self.parameters,
            "control": self.control,
        }


def facts_of(header: TensorHeader) -> LoraFacts:
    """Say what a file is.

    Args:
        header: Of the file.

    Returns:
        Its facts.

    Raises:
        OperationError: `lora_keys_foreign`, which shows some; `lora_kind_unsupported` for relatives of LoRA;
            `lora_shapes_wrong`; `lora_rank_too_large`.
    """
    found: dict[Architecture, LoraContents] = {}
    refused: list[OperationError] = []
    for architecture in PAINTERS:
        try:
            contents = contents_of(header, architecture)
            if _embedder_fits(contents, architecture):
                found[architecture] = contents
        except OperationError as error:
            refused.append(error)
    if not found and not refused:
        raise shapes_wrong("its x_embedder reads neither what FLUX.1 nor what FLUX.2 does")
    if not found:
        raise next((error for error in refused if error.code != "lora_keys_foreign"), refused[0])
    contents = next(iter(found.values()))
    ranks = [layer.rank for layer in contents.layers]
    return LoraFacts(
        naming=_naming(header.tensors),
        architectures=tuple(found),
        ranks=(min(ranks), max(ranks)),
        layers=len(contents.layers),
        parts=tuple(dict.fromkeys(layer.part for layer in contents.layers)),
        parameters=header.numbers,
        control=bool(contents.norms) or (_embedder_inputs(contents) == CONTROL_INPUTS and Architecture.FLUX1 in found),
    )


def check_architecture(name: str, facts: Mapping[str, Any], checkpoint: Checkpoint, *, field: str) -> None:
    """Check that an upload was made for the architecture of a checkpoint.

    Args:
        name: What its owner calls it.
        facts: `LoraFacts.to_json()`.
        checkpoint: What paints.
        field: Where in the request it is named.

    Raises:
        OperationError: `lora_unsupported`.
    """
    if checkpoint.architecture.value not in facts["architectures"]:
        raise OperationError(
            f"{name} was made for {' or '.join(facts['architectures'])}, {checkpoint.name} is "
            f"{checkpoint.architecture.value}",
            code="lora_unsupported",
            field=field,
            value=name,
            limit=list(facts["architectures"]),
        )


def require_plain(facts: LoraFacts) -> None:
    """Check that a file is no control LoRA, which acts only with a control image and so has its place in the catalogue.

    Args:
        facts: Of the file.

    Raises:
        OperationError: `lora_kind_unsupported`.
    """
    if facts.control:
        raise kind_unsupported(
            "a control LoRA, which reads a control image; those of the catalogue are named as a control's checkpoint"
        )


def _embedder_inputs(contents: LoraContents) -> int | None:
    return next((each.inputs for each in contents.layers if each.path == "x_embedder"), None)


def _embedder_fits(contents: LoraContents, architecture: Architecture) -> bool:
    """What a LoRA of the first layer reads tells FLUX.1 and FLUX.2 apart where all else is called alike."""
    inputs = _embedder_inputs(contents)
    shared = inputs == CONTROL_INPUTS and architecture is Architecture.FLUX1 and not contents.norms
    return inputs is None or (inputs in _EMBEDDERS[architecture] and not (shared and _also_flux2(contents)))


_ONLY_FLUX1 = ("norm", "proj_mlp", ".ff.net", ".ff_context.net", "time_text_embed", "single_transformer_blocks")


def _also_flux2(contents: LoraContents) -> bool:
    return not any(mark in each.path for each in contents.layers for mark in _ONLY_FLUX1)


_NAMINGS: Final = (("xlabs", ".processor."), ("kohya", "lora_unet_"), ("kohya", "lora_te"))


def _naming(names: Iterable[str]) -> str:
    listed = list(names)
    for naming, mark in _NAMINGS:
        if any(mark in name for name in listed):
            return naming
    if any("double_blocks" in name or "single_blocks" in name for name in listed):
        return "bfl"
    return "diffusers" if any(name.startswith(("transformer.", "text_encoder")) for name in listed) else "peft"
