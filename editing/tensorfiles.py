"""Headers of safetensors files: which tensors a file holds, read and held against bounds before any of them is loaded.

The format: 8 bytes, the header's length N (little-endian); N bytes of JSON, name -> {dtype, shape, data_offsets}; then
the tensors, back to back (https://github.com/huggingface/safetensors, "Format"). Nothing is ever unpickled.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from editing.errors import OperationError

MAX_HEADER_BYTES: Final = 16 << 20
MAX_TENSORS: Final = 20_000
_SIZES: Final = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})
"""Number formats in which weights can be used."""
_OTHERS: Final = (
    (b"PK\x03\x04", "a zip archive, as PyTorch writes .pt, .ckpt and .bin files, which hold pickles"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"GGUF", "a GGUF file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """What a header says about one tensor.

    Attributes:
        dtype: Number format, such as `BF16`.
        shape: Its sides.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorHeader:
    """A file's header.

    Attributes:
        tensors: By name.
        metadata: The file's free text, by name.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> int:
        """How many numbers all tensors hold together."""
        return sum(each.numbers for each in self.tensors.values())


def read_header(file: BinaryIO, size: int, *, what: str, limit: int) -> TensorHeader:
    """Read a file's header; its tensors are not read.

    Args:
        file: At its start; at most `MAX_HEADER_BYTES` are read.
        size: Its length, in bytes.
        what: `lora` or `embedding`: how the codes begin.
        limit: Most bytes it may have.

    Returns:
        The header.

    Raises:
        OperationError: `{what}_too_large`; `{what}_not_safetensors`, which names what it is if that is known;
            `{what}_truncated`.
    """
    if size > limit:
        raise _error(what, "too_large", f"may have {limit} bytes, it has {size}", value=size, limit=limit)
    start = file.read(8)
    for magic, name in _OTHERS:
        if start.startswith(magic):
            raise _error(what, "not_safetensors", f"must be safetensors, this is {name}; convert it", value=name)
    if len(start) < 8:  # noqa: PLR2004 - the length's own
        raise _error(what, "truncated", f"ends after {size} bytes", value=size)
    length = int.from_bytes(start, "little")
    if length > MAX_HEADER_BYTES:
        raise _broken(what, f"its header would have {length} bytes, at most {MAX_HEADER_BYTES} are read")
    raw = file.read(length)
    if len(raw) < length:
        raise _error(what, "truncated", f"ends within its header, at byte {size}", value=size, limit=8 + length)
    return _parse(raw, size, what)


def _parse(raw: bytes, size: int, what: str) -> TensorHeader:
    try:
        members: Any = json.loads(raw.decode("utf-8"), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise _broken(what, f"its header is not JSON: {str(error)[:120]}") from error
    if not isinstance(members, dict) or len(members) > MAX_TENSORS:
        raise _broken(what, f"its header is not an object of at most {MAX_TENSORS} tensors")
    metadata = members.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(each, str) for each in metadata.values()):
        raise _broken(what, "its metadata is not text")
    entries = {name: _entry(name, member, what) for name, member in members.items()}
    end = 0
    for begin, stop, name in sorted((begin, stop, name) for name, (_, begin, stop) in entries.items()):
        if begin != end:
            raise _broken(what, f"tensor {name[:80]!r} begins at {begin}, the one before ends at {end}")
        end = stop
    whole = 8 + len(raw) + end
    if size < whole:
        raise _error(what, "truncated", f"ends at byte {size} of {whole}", value=size, limit=whole)
    if size > whole:
        raise _broken(what, f"it has {size - whole} bytes after its last tensor")
    return TensorHeader(tensors={name: entry[0] for name, entry in entries.items()}, metadata=metadata)


def _entry(name: str, member: Any, what: str) -> tuple[Tensor, int, int]:
    if not isinstance(member, dict) or set(member) != {"dtype", "shape", "data_offsets"}:
        raise _broken(what, f"tensor {name[:80]!r} lacks dtype, shape or data_offsets")
    dtype, shape, offsets = member["dtype"], member["shape"], member["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _SIZES:
        raise _broken(what, f"tensor {name[:80]!r} has the number format {str(dtype)[:40]!r}")
    if not _whole(shape) or not _whole(offsets) or len(offsets) != 2:  # noqa: PLR2004 - begin and end
        raise _broken(what, f"the shape or the offsets of tensor {name[:80]!r} are not whole numbers")
    tensor = Tensor(dtype=dtype, shape=tuple(shape))
    begin, end = offsets
    if end - begin != tensor.numbers * _SIZES[dtype]:
        raise _broken(what, f"tensor {name[:80]!r} has {end - begin} bytes, {dtype} {shape} takes another number")
    return tensor, begin, end


def _whole(given: Any) -> bool:
    return isinstance(given, list) and all(type(each) is int and 0 <= each < 1 << 48 for each in given)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name is there twice")
    return members


def _broken(what: str, reason: str) -> OperationError:
    return _error(what, "not_safetensors", f"is no valid safetensors file: {reason}")


def _error(what: str, code: str, said: str, *, value: object = None, limit: object = None) -> OperationError:
    return OperationError(f"the {what}'s file {said}", code=f"{what}_{code}", field="file", value=value, limit=limit)
