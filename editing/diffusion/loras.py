"""LoRAs in action: low-rank factors added to what layers give out, while a block runs, by hooks; no weight is touched.

    read ──► judge (editing.lora_layers) ──► factors, kept ──► hooks on while `applied` ──► hooks off

Nothing is injected into a model and nothing of it is replaced, so there is nothing to undo: without hooks every layer
is the one that was loaded, a run cannot depend on what ran before, and a file that does not fit has changed nothing.
Switching is putting hooks on. Sums are those of PEFT's layers, in the same order, to the bit: W x, then for each LoRA
in the order given + up(down(x)) * (weight * alpha / rank). Quantised, cast and offloaded layers work alike, because
only their inputs and outputs are looked at.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from editing.checkpoints import Architecture
from editing.errors import OperationError
from editing.lora_layers import LoraLayer, contents_of, kind_unsupported, shapes_wrong
from editing.lora_names import TRANSFORMER
from editing.tensorfiles import read_header

KEPT = 8
"""Most LoRAs whose factors stay in memory."""
EMBEDDER = "x_embedder"
"""The layer that reads the noise and what is shown beside it; the only one whose inputs may differ from the file's."""

_MAX_BYTES = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraFile:
    """A LoRA to apply.

    Attributes:
        name: What records and errors call it.
        digest: SHA-256 of the file, lower hex.
        weight: How much of it is added.
        path: Where it lies; None asks the rack's reader for the digest.
        control: Whether it is a control LoRA: the transformer is then given its control image beside the noise.
    """

    name: str
    digest: str
    weight: float = 1.0
    path: Path | None = None
    control: bool = False


class _Factors:
    """One layer's pair, moved once to where and how its layer computes."""

    def __init__(
        self, down: torch.Tensor, up: torch.Tensor, bias: torch.Tensor | None, *, alpha: float, divisor: float
    ) -> None:
        self.down, self.up, self.bias = down, up, bias
        self._alpha, self._divisor = alpha, divisor

    def like(self, out: torch.Tensor) -> None:
        """Move to a layer's device and number format."""
        if self.down.device != out.device or self.down.dtype != out.dtype:
            self.down, self.up = self.down.to(out), self.up.to(out)
            self.bias = None if self.bias is None else self.bias.to(out)

    def delta(self, x: torch.Tensor, weight: float) -> torch.Tensor:
        """What is added, of the layer's output shape."""
        lower = functional.linear(x, self.down)
        return functional.linear(lower, self.up, self.bias) * (weight * self._alpha / self._divisor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A file's factors by part and path, and the norms it brings."""

    layers: Mapping[tuple[str, str], _Factors]
    norms: Mapping[str, torch.Tensor]

    @property
    def parts(self) -> frozenset[str]:
        return frozenset(part for part, _ in self.layers) | ({TRANSFORMER} if self.norms else frozenset())


class LoraRack:
    """Keeps the factors of the LoRAs used last, and applies them; one per set of weights, for one thread."""

    def __init__(
        self, read: Callable[[str], bytes], *, architecture: Architecture = Architecture.FLUX1, kept: int = KEPT
    ) -> None:
        """Make an empty rack.

        Args:
            read: Digest of an uploaded file -> its bytes.
            architecture: Of the transformers it serves.
            kept: Most LoRAs whose factors stay in memory; those that a run uses stay for the run in any case.
        """
        self._read = read
        self._architecture = architecture
        self._kept = kept
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()

    def parts_of(self, file: LoraFile) -> frozenset[str]:
        """Say which parts of a pipeline a LoRA changes, for whoever keeps what an encoder made.

        Args:
            file: The LoRA; it is loaded if it is not yet.

        Returns:
            Of `transformer`, `text_encoder` and `text_encoder_2`.

        Raises:
            OperationError: See `applied`.
        """
        return self._get(file).parts

    @contextmanager
    def applied(self, parts: Mapping[str, nn.Module], files: Sequence[LoraFile]) -> Iterator[None]:
        """Run a block with exactly these LoRAs, in this order, and with none after it.

        Args:
            parts: `transformer`, `text_encoder`, `text_encoder_2` -> the module.
            files: What to apply; one of weight 0 adds nothing, but is judged all the same.

        Yields:
            Nothing; the modules' results are changed while the block runs.

        Raises:
            OperationError: `lora_shapes_wrong`, with both shapes, where a layer is not there or of another size;
                `lora_unsupported` for a part that is not given; `lora_not_finite`; and what `contents_of` refuses. The
                modules are then as before.
        """
        try:
            loaded = [(file, self._get(file)) for file in files]
        finally:  # also where one of them cannot be read, or does not fit below
            self._drop(keep={file.digest for file in files})
        plan: dict[tuple[str, str], list[tuple[_Factors, float]]] = {}
        for file, each in loaded:
            _judge(file, each, parts)
            for place, factors in each.layers.items():
                if file.weight:
                    plan.setdefault(place, []).append((factors, file.weight))
        wide = any(file.control for file in files)
        if wide:
            plan.setdefault((TRANSFORMER, EMBEDDER), [])
        with ExitStack() as hooks:
            for (part, path), pairs in plan.items():
                module = parts[part].get_submodule(path)
                _add(hooks, module, pairs, wide=wide and (part, path) == (TRANSFORMER, EMBEDDER))
            for _, each in loaded:
                for path, scale in each.norms.items():
                    _replace_norm(hooks, parts[TRANSFORMER].get_submodule(path), scale)
            yield

    def forget(self) -> None:
        """Give back the memory of every LoRA."""
        self._loaded.clear()

    def _get(self, file: LoraFile) -> _Loaded:
        known = self._loaded.get(file.digest)
        if known is None:
            known = _load(file, self._read, self._architecture)
            self._loaded[file.digest] = known
        self._loaded.move_to_end(file.digest)
        return known

    def _drop(self, keep: set[str]) -> None:
        for digest in [each for each in self._loaded if each not in keep]:
            if len(self._loaded) <= self._kept:
                break
            del self._loaded[digest]


def _load(file: LoraFile, read: Callable[[str], bytes], architecture: Architecture) -> _Loaded:
    if file.path is None:
        data = read(file.digest)
        header = read_header(BytesIO(data), len(data), what="lora", limit=_MAX_BYTES)
    else:
        with file.path.open("rb") as stream:
            header = read_header(stream, file.path.stat().st_size, what="lora", limit=_MAX_BYTES)
    contents = contents_of(header, architecture)
    tensors = load_tensors(data) if file.path is None else load_file(file.path)
    _require_finite(file, tensors)
    return _Loaded(
        layers={(layer.part, layer.path): _pair(layer, tensors) for layer in contents.layers},
        norms={path: tensors[name] for path, name in contents.norms.items()},
    )


def _require_finite(file: LoraFile, tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        least, most = torch.aminmax(tensor)  # one pass, no copy; what is no number comes out at both ends
        if not (math.isfinite(least.item()) and math.isfinite(most.item())):
            raise OperationError(
                f"{file.name} holds numbers that are none (NaN or infinite), in {name[:120]!r}",
                code="lora_not_finite",
                field="loras",
                value=file.name,
            )


def _pair(layer: LoraLayer, tensors: Mapping[str, torch.Tensor]) -> _Factors:
    start, stop = layer.rows
    up, bias = tensors[layer.up], None if layer.bias is None else tensors[layer.bias]
    if layer.halves_swapped:
        up = torch.cat(up.chunk(2)[::-1])
        bias = None if bias is None else torch.cat(bias.chunk(2)[::-1])
    alpha = float(layer.rank) if layer.alpha_said is None else float(layer.alpha_said)
    if layer.alpha is not None:
        alpha = float(tensors[layer.alpha].item())
    return _Factors(
        tensors[layer.down],
        up[start:stop].contiguous(),
        None if bias is None else bias[start:stop].contiguous(),
        alpha=alpha,
        divisor=math.sqrt(layer.rank) if layer.rooted else layer.rank,
    )


def _judge(file: LoraFile, loaded: _Loaded, parts: Mapping[str, nn.Module]) -> None:
    """Hold every factor against its layer, before anything is applied."""
    if loaded.norms and not file.control:
        raise kind_unsupported("a control LoRA, which acts only as a control's checkpoint")
    missing = loaded.parts - parts.keys()
    if missing:
        raise OperationError(
            f"{file.name} changes {', '.join(sorted(missing))}, which this checkpoint does not have",
            code="lora_unsupported",
            field="loras",
            value=file.name,
            limit=sorted(parts),
        )
    for (part, path), factors in loaded.layers.items():
        layer = _module(file, parts[part], part, path)
        given, wanted = _sides(factors), _sides_of(layer)
        at_input = (part, path) == (TRANSFORMER, EMBEDDER)
        if given != wanted and not (at_input and _input_fits(parts[TRANSFORMER], given, wanted, control=file.control)):
            raise _unfit(file, f"{part}.{path}", given, wanted)
    for path, scale in loaded.norms.items():
        norm = _module(file, parts[TRANSFORMER], TRANSFORMER, path)
        if not isinstance(norm, nn.RMSNorm) or tuple(scale.shape) != tuple(norm.normalized_shape):
            raise _unfit(
                file, f"{TRANSFORMER}.{path}", tuple(scale.shape), tuple(getattr(norm, "normalized_shape", ()))
            )


def _module(file: LoraFile, model: nn.Module, part: str, path: str) -> nn.Module:
    try:
        return model.get_submodule(path)
    except AttributeError:
        error = shapes_wrong(f"{file.name} changes {part}.{path}, which this checkpoint does not have")
        error.field, error.value = "loras", file.name
        raise error from None


def _sides(factors: _Factors) -> tuple[int, ...]:
    return factors.up.shape[0], factors.down.shape[1]


def _sides_of(layer: nn.Module) -> tuple[int, ...]:
    """Outputs and inputs; a quantised layer still says both, while its weight may be stored as something else."""
    return getattr(layer, "out_features", 0), getattr(layer, "in_features", 0)


def _input_fits(model: nn.Module, given: tuple[int, ...], wanted: tuple[int, ...], *, control: bool) -> bool:
    """A LoRA that reads the noise alone acts on the noise alone; a control LoRA reads the control image beside it."""
    noise = _sides_of(model.get_submodule("proj_out"))[0]
    return given == (wanted[0], 2 * noise if control else noise)


def _unfit(file: LoraFile, layer: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> OperationError:
    error = shapes_wrong(f"{file.name} changes {layer} as {list(given)}, this checkpoint's is {list(wanted)}")
    error.field, error.value, error.limit = "loras", list(given), list(wanted)
    return error


def _add(hooks: ExitStack, module: nn.Module, pairs: Sequence[tuple[_Factors, float]], *, wide: bool) -> None:
    """Add what the pairs make of a layer's input to its output.

    With `wide`, the layer is given more than it reads: it sees the first part, and the pairs see all of it.
    """
    whole: list[torch.Tensor] = []

    def narrow(layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        whole[:] = [args[0]]
        return (args[0][..., : layer.in_features], *args[1:])

    def add(_layer: nn.Module, args: tuple[Any, ...], out: torch.Tensor) -> torch.Tensor:
        given = (whole.pop() if wide else args[0]).to(out)
        result = out
        for factors, weight in pairs:
            factors.like(out)
            result = result + factors.delta(_fitted(given, factors.down.shape[1]), weight)
        return result

    if wide:
        hooks.callback(module.register_forward_pre_hook(narrow).remove)
    hooks.callback(module.register_forward_hook(add).remove)


def _fitted(given: torch.Tensor, inputs: int) -> torch.Tensor:
    """The first inputs: those of the noise, where a layer reads more beside it."""
    return given if given.shape[-1] == inputs else given[..., :inputs]


def _replace_norm(hooks: ExitStack, norm: nn.Module, scale: torch.Tensor) -> None:
    """Control LoRAs bring norms of queries and keys of their own, which take the model's place whatever the weight."""

    def normed(layer: Any, args: tuple[Any, ...], out: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(args[0], layer.normalized_shape, scale.to(out), layer.eps)

    hooks.callback(norm.register_forward_hook(normed).remove)
