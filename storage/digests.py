"""SHA-256 in lower hex, the one form in which digests are stored, and the canonical JSON that records are hashed in."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import rfc8785

from storage.errors import InvalidValueError

_LARGEST = 2**53 - 1
_DIGEST = re.compile(r"[0-9a-f]{64}")


def sha256_hex(data: bytes) -> str:
    """The digest of exactly these bytes, 64 lower hex digits."""
    return hashlib.sha256(data).hexdigest()


def checked_digest(digest: str) -> str:
    """Return `digest` if it is one, so that nothing else ever becomes part of a path or a query.

    Raises:
        InvalidValueError: It is not 64 lower hex digits.
    """
    if _DIGEST.fullmatch(digest) is None:
        raise InvalidValueError(f"a digest is 64 lower hex digits, got {digest[:80]!r}")
    return digest


def canonical_json(body: Mapping[str, Any]) -> bytes:
    """The one byte form of a JSON object, after RFC 8785.

    Args:
        body: Strings, numbers, booleans, None, lists and mappings of these. Numbers beyond 2**53 - 1 (seeds) travel
            as decimal strings: RFC 8785 writes large doubles as digits, which would be read back as other numbers.

    Raises:
        InvalidValueError: The body holds something else, or text that is not Unicode.
    """
    try:
        return rfc8785.dumps(_plain(body))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidValueError(f"a record's body must be canonical JSON: {error}") from error


def _plain(value: Any) -> Any:
    """Mappings, lists and tuples as dict and list, the only containers that the canonical form knows; safe numbers."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and abs(value) > _LARGEST:
        raise InvalidValueError(f"a number in canonical JSON is at most {_LARGEST}, got {value}")
    return value
