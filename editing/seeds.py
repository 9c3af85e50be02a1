"""Seeds derived from a request's seed: every further random number of an edit can be drawn again."""

import hashlib

_BYTES = 8


def derived_seed(seed: int, purpose: str, number: int) -> int:
    """Derive another seed.

    Args:
        seed: The request's seed, 0..2**64-1.
        purpose: What it is for: `variant`, `pass`, `retry`, `prefill` or `grain`.
        number: Which one; number 0 is the seed itself, so that one variant, pass or try is the plain request.

    Returns:
        0..2**64-1: the first 8 bytes, big endian, of SHA-256 over "seed/purpose/number" in decimal ASCII.
    """
    if number == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()[:_BYTES], "big")
