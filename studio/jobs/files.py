"""The pictures of one request: given inline, or by the digest of an image the caller may use."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable

from editing.opening import PictureLimits
from studio.problems import Problem

DIGEST = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_DATA_URI = re.compile(r"data:[^,]{0,200};base64,")


class Files:
    """Finds every picture of a request by its digest, and keeps those that came with it until they are stored.

    Args:
        owner: Who asks.
        owned: (digest, owner) -> whether that owner may use this image.
        read: Reads the file of an image that was uploaded before.
        limits: Largest pictures to take.
    """

    def __init__(
        self,
        owner: str,
        *,
        owned: Callable[[str, str], bool],
        read: Callable[[str], bytes],
        limits: PictureLimits,
    ) -> None:
        self._owner = owner
        self._owned = owned
        self._read = read
        self._limits = limits
        self.given: dict[str, bytes] = {}
        """Files that came with the request, by digest."""
        self.used: dict[str, None] = {}
        """Digests of all pictures of the request, in order."""

    def digest(self, text: str, field: str) -> str:
        """The digest of a picture that a field names or holds.

        Raises:
            Problem: `image_not_found`, `base64_invalid` or `picture_too_large`.
        """
        named = DIGEST.fullmatch(text)
        if named:
            digest = named[1].lower()
            if digest not in self.given and not self._owned(digest, self._owner):
                raise Problem(
                    "image_not_found",
                    f"{field} names an image that does not exist or is not yours; upload it with POST /v1/images",
                    field,
                    digest,
                )
        else:
            data = picture_bytes(text, field, self._limits)
            digest = hashlib.sha256(data).hexdigest()
            self.given[digest] = data
        self.used[digest] = None
        return digest

    def load(self, digest: str) -> bytes:
        """The file behind a digest."""
        return self.given[digest] if digest in self.given else self._read(digest)


def picture_bytes(text: str, field: str, limits: PictureLimits) -> bytes:
    """Decode the base64 of a picture.

    Raises:
        Problem: `base64_invalid`, or `picture_too_large` if it holds more bytes than the limit.
    """
    encoded = _DATA_URI.sub("", text, count=1) if text.startswith("data:") else text
    if len(encoded) * 3 // 4 > limits.max_bytes + 4:
        raise Problem(
            "picture_too_large",
            f"{field} may have up to {limits.max_bytes} bytes",
            field,
            len(encoded) * 3 // 4,
            limits.max_bytes,
            status_code=413,
        )
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(
            "base64_invalid",
            f"{field} must be base64 of a picture file, or the digest of an uploaded image (64 hex digits)",
            field,
        ) from error
