"""Layers of a LoRA file: which tensors act on which layer of an architecture, by the file's header alone.

A file acts as a whole or not at all: a name that is not understood is refused, not left out.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from editing.checkpoints import Architecture
from editing.errors import OperationError
from editing.lora_names import TRANSFORMER, Place, norm_of, place_of
from editing.tensorfiles import FLOATS, Tensor, TensorHeader

MAX_RANK: Final = 256
_SHOWN: Final = 3
_LARGEST: Final = 3.4e38
"""About the largest number of 32 bits: what layers are computed in holds no more."""
_NUMBERS: Final = FLOATS | {"I64", "I32", "I16", "I8", "U8"}
"""Number formats of an alpha: some trainers write a whole number."""

_FACTOR = re.compile(
    r"(?P<stem>.+?)\.(?:lora_(?P<letter>[AB])|(?:lora_|lora\.|lora_linear_layer\.)?(?P<word>down|up))"
    r"(?:\.default)?\.(?P<member>weight|bias)"
)
_ALPHA = re.compile(r"(?P<stem>.+)\.alpha")
_NORM = re.compile(r"(?P<stem>.+)\.(?:scale|weight)")
_KINDS: Final = (
    ("dora_scale", "DoRA (weights are decomposed into size and direction)"),
    ("lora_magnitude_vector", "DoRA (weights are decomposed into size and direction)"),
    ("lokr_", "LoKr (Kronecker products)"),
    ("hada_", "LoHa (Hadamard products)"),
    ("oft_", "OFT (rotations)"),
    ("lora_embedding_", "a LoRA of an embedding table"),
    ("lora_mid", "a LoRA of convolutions"),
    (".diff", "whole weight differences"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraLayer:
    """One layer and the tensors that change it: x becomes W x + weight * alpha / rank * up(down(x)).

    Attributes:
        part: `transformer`, `text_encoder` or `text_encoder_2`.
        path: Of the module in that part.
        down: Name of the lower factor, (rank, inputs).
        up: Name of the upper factor, (rows, rank).
        bias: Name of what is added to the upper factor's result, (rows,); None for nothing.
        rows: First and last (exclusive) row of the upper factor that are this module's.
        rank: Of the factors.
        inputs: How many numbers the lower factor reads.
        halves_swapped: Whether the rows' halves stand the other way round in the file.
        alpha: Name of the tensor with alpha; None if there is none.
        alpha_said: Alpha by the file's metadata; None for the rank.
        rooted: Whether alpha is divided by the root of the rank instead (Kalajdzievski, "rsLoRA", 2023).
    """

    part: str
    path: str
    down: str
    up: str
    bias: str | None
    rows: tuple[int, int]
    rank: int
    inputs: int
    halves_swapped: bool
    alpha: str | None
    alpha_said: float | None
    rooted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraContents:
    """What a file does to one architecture.

    Attributes:
        layers: Every layer it changes.
        norms: Name of the tensor that takes a norm's place, by the norm's path; only control LoRAs have any.
    """

    layers: tuple[LoraLayer, ...]
    norms: Mapping[str, str]


def contents_of(header: TensorHeader, architecture: Architecture) -> LoraContents:
    """Say what a file does to one architecture.

    Args:
        header: Of the file.
        architecture: Of what it shall be laid over.

    Returns:
        The layers it changes, by part and path.

    Raises:
        OperationError: `lora_keys_foreign`, which shows some; `lora_kind_unsupported` for relatives of LoRA;
            `lora_shapes_wrong`; `lora_rank_too_large`.
    """
    _require_plain_pairs(header.tensors)
    pairs, norms = _sorted_out(header.tensors, architecture)
    settings = _Settings.of(header.metadata)
    layers: list[LoraLayer] = []
    for stem, (place, members) in pairs.items():
        layers += _layers(stem, place, members, header.tensors, settings)
    if not layers:
        raise _foreign(list(header.tensors), architecture)
    _require_once(layers)
    if architecture is Architecture.FLUX1:
        _require_ratio(layers, header.tensors)
    return LoraContents(layers=tuple(layers), norms=norms)


_Members = dict[str, str]
"""`down`, `up`, `bias`, `alpha` -> name of the tensor."""


def _sorted_out(
    names: Iterable[str], architecture: Architecture
) -> tuple[dict[str, tuple[Place, _Members]], dict[str, str]]:
    pairs: dict[str, tuple[Place, _Members]] = {}
    norms: dict[str, str] = {}
    foreign: list[str] = []
    for name in names:
        stem, member = _split(name)
        place = place_of(stem, architecture) if member else None
        norm = _NORM.fullmatch(name) if member is None else None
        path = norm_of(norm["stem"]) if norm else None
        if place is not None and member is not None:
            members = pairs.setdefault(stem, (place, {}))[1]
            if member in members:
                raise shapes_wrong(f"{stem[:120]!r} has two of {member}")
            members[member] = name
        elif path is not None:
            norms[path] = name
        else:
            foreign.append(name)
    if foreign:
        raise _foreign(foreign, architecture)
    return pairs, norms


def _split(name: str) -> tuple[str, str | None]:
    """Stem of a tensor's name and what it is: down, up, bias or alpha."""
    if alpha := _ALPHA.fullmatch(name):
        return alpha["stem"], "alpha"
    found = _FACTOR.fullmatch(name)
    if found is None:
        return name, None
    which = found["word"] or {"A": "down", "B": "up"}[found["letter"]]
    if found["member"] == "bias":
        return found["stem"], "bias" if which == "up" else None
    return found["stem"], which


def _layers(
    stem: str, place: Place, members: _Members, tensors: Mapping[str, Tensor], settings: "_Settings"
) -> list[LoraLayer]:
    if not {"down", "up"} <= set(members):
        raise shapes_wrong(f"{stem[:120]!r} has no {' and no '.join(sorted({'down', 'up'} - set(members)))} factor")
    down, up = tensors[members["down"]], tensors[members["up"]]
    rank, inputs = _factors(stem, down, up)
    rows = up.shape[0]
    _check_rest(stem, rows, members, tensors)
    alpha, rooted = settings.of_layer(place)
    found: list[LoraLayer] = []
    start = 0
    for path, share in zip(place.paths, _shares(stem, place, rows, inputs), strict=True):
        found.append(
            LoraLayer(
                part=place.part,
                path=path,
                down=members["down"],
                up=members["up"],
                bias=members.get("bias"),
                rows=(start, start + share),
                rank=rank,
                inputs=inputs,
                halves_swapped=place.halves_swapped,
                alpha=members.get("alpha"),
                alpha_said=alpha,
                rooted=rooted,
            )
        )
        start += share
    return found


def _factors(stem: str, down: Tensor, up: Tensor) -> tuple[int, int]:
    """Rank and inputs of a pair."""
    for each in (down, up):
        if each.dtype not in FLOATS:
            raise shapes_wrong(f"{stem[:120]!r} is stored as {each.dtype}; {', '.join(sorted(FLOATS))} can be used")
    flat = len(down.shape) == len(up.shape) == 2  # noqa: PLR2004 - rows and columns
    if not flat or down.shape[0] != up.shape[1] or 0 in (*down.shape, *up.shape):
        raise shapes_wrong(
            f"{stem[:120]!r} has the factors {down.shape} and {up.shape}: (rank, in) and (out, rank) fit"
        )
    if down.shape[0] > MAX_RANK:
        raise OperationError(
            f"{stem[:120]!r} has rank {down.shape[0]}, at most {MAX_RANK} is run",
            code="lora_rank_too_large",
            field="file",
            value=down.shape[0],
            limit=MAX_RANK,
        )
    return down.shape[0], down.shape[1]


def _check_rest(stem: str, rows: int, members: _Members, tensors: Mapping[str, Tensor]) -> None:
    bias = members.get("bias")
    if bias is not None and (tensors[bias].shape != (rows,) or tensors[bias].dtype not in FLOATS):
        raise shapes_wrong(f"{stem[:120]!r} adds {tensors[bias].shape} of {tensors[bias].dtype} to {rows} rows")
    alpha = members.get("alpha")
    if alpha is not None and (tensors[alpha].numbers != 1 or tensors[alpha].dtype not in _NUMBERS):
        raise shapes_wrong(
            f"the alpha of {stem[:120]!r} is {tensors[alpha].shape} of {tensors[alpha].dtype}, not one number"
        )


def _shares(stem: str, place: Place, rows: int, inputs: int) -> list[int]:
    count = len(place.paths)
    shares = [inputs * each for each in place.widths] or [rows // count] * count
    if place.widths:
        shares[-1] = rows - sum(shares)
    if sum(shares) != rows or min(shares) < 1 or (place.halves_swapped and rows % 2):
        raise shapes_wrong(f"{stem[:120]!r} has {rows} rows for {', '.join(place.paths)}")
    return shares


def _require_once(layers: Sequence[LoraLayer]) -> None:
    seen: set[tuple[str, str]] = set()
    for layer in layers:
        if (layer.part, layer.path) in seen:
            raise shapes_wrong(f"{layer.part}.{layer.path} is changed under two names")
        seen.add((layer.part, layer.path))


_MLP_RATIOS: Final = {"linear1": 7, "img_mlp_0": 4, "txt_mlp_0": 4}
"""Rows in multiples of the inputs, of what FLUX.1 and FLUX.2 call alike but build differently (FLUX.2: 9 and 6)."""


def _require_ratio(layers: Sequence[LoraLayer], tensors: Mapping[str, Tensor]) -> None:
    """The fused layers of FLUX.1 and FLUX.2 share their names; only their sizes tell them apart."""
    for layer in layers:
        stem = _split(layer.up)[0].replace(".", "_")
        ratio = next((each for leaf, each in _MLP_RATIOS.items() if stem.endswith(leaf)), None)
        if ratio is not None and tensors[layer.up].shape[0] != ratio * layer.inputs:
            raise shapes_wrong(f"{layer.up[:120]!r} is no layer of flux1: {tensors[layer.up].shape[0]} rows")


def _require_plain_pairs(names: Iterable[str]) -> None:
    for name in names:
        for mark, kind in _KINDS:
            if mark in name:
                raise kind_unsupported(kind)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What diffusers writes into a file's metadata about how PEFT made it."""

    members: Mapping[str, Any]

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> "_Settings":
        text = metadata.get("lora_adapter_metadata")
        if text is None:
            return cls({})
        try:
            members = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise shapes_wrong(f"its lora_adapter_metadata is not JSON: {str(error)[:120]}") from error
        if not isinstance(members, dict):
            raise shapes_wrong("its lora_adapter_metadata is not a JSON object")
        if any(value and key.endswith("use_dora") for key, value in members.items()):
            raise kind_unsupported(_KINDS[0][1])
        return cls(members)

    def of_layer(self, place: Place) -> tuple[float | None, bool]:
        """Alpha and whether it is divided by the root of the rank."""
        alpha = self._said(place.part, "lora_alpha")
        patterns = self._said(place.part, "alpha_pattern") or {}
        if isinstance(patterns, dict):
            for name, value in patterns.items():
                if place.paths[0] == name or place.paths[0].endswith(f".{name}"):
                    alpha = value
        if alpha is not None and not _is_factor(alpha):
            raise shapes_wrong(f"its metadata says alpha {str(alpha)[:40]!r}")
        return alpha, bool(self._said(place.part, "use_rslora"))

    def _said(self, part: str, name: str) -> Any:
        return self.members.get(f"{part}.{name}", self.members.get(name) if part == TRANSFORMER else None)


def _is_factor(value: object) -> bool:
    """Whether a number can scale factors; JSON also writes Infinity, NaN and numbers of any length."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST


def _foreign(names: Sequence[str], architecture: Architecture) -> OperationError:
    shown = [name[:120] for name in sorted(names)[:_SHOWN]]
    return OperationError(
        f"{len(names)} names in the file are no layers of FLUX ({architecture.value}): {', '.join(shown)}"
        if names
        else "the file holds no tensors",
        code="lora_keys_foreign",
        field="file",
        value=shown,
        limit=["diffusers", "peft", "kohya", "xlabs", "bfl"],
    )


def kind_unsupported(kind: str) -> OperationError:
    """Say that a file is a relative of LoRA that is not run.

    Args:
        kind: What it is.

    Returns:
        The error to raise.
    """
    return OperationError(
        f"the file is {kind}; plain LoRAs, pairs of low-rank factors, can be used",
        code="lora_kind_unsupported",
        field="file",
        value=kind,
        limit="LoRA",
    )


def shapes_wrong(reason: str) -> OperationError:
    """Say that a file's tensors do not fit together, or do not fit the model.

    Args:
        reason: Which, and why.

    Returns:
        The error to raise.
    """
    return OperationError(f"the LoRA does not fit together: {reason}", code="lora_shapes_wrong", field="file")
