"""What the head looks at: hashed character n-grams and words of a text, each with the place where it begins. Pure.

Chinese is read by runs of one to four characters, other scripts by three to five letters within a word, by words and
by pairs of neighbouring words. Everything is computed on arrays, in time linear in the text.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SLOTS: Final = 1 << 15
"""How many weights a category has; features are hashed into so many slots."""

_HAN_GRAMS = (1, 2, 3, 4)
_LETTER_GRAMS = (3, 4, 5)
_HAN = (range(0x3040, 0xA000), range(0xF900, 0xFB00))
_DIGITS = range(ord("0"), ord("9") + 1)
_LETTERS = (range(ord("a"), ord("z") + 1), _DIGITS, range(ord("'"), ord("'") + 1), range(0xC0, 0x2000))
_PLACEHOLDERS = (range(0xE000, 0xE100),)
_SPACE = np.uint64(32)
_DIGIT = np.uint64(ord("0"))
_NEXT_WORD = 2  # code points from a word's last letter to the next one's first, if one space or hyphen is between
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, Knuth's multiplicative hashing
_MIX = np.uint64(0xD6E8FEB86659FD93)  # multiplier of Pelle Evensen's rrxmrrxmsx
_BASE = np.uint64(1_000_003)
_BASE_INVERSE = np.uint64(pow(1_000_003, -1, 1 << 64))
_WORD_SALT = np.uint64(11)
_PAIR_SALT = np.uint64(13)


class Features(NamedTuple):
    """The features of a text.

    Attributes:
        length: Code points of the text.
        places: int64 (n), where each begins, 0..length - 1.
        slots: int64 (n), which weight each has, 0..SLOTS - 1.
    """

    length: int
    places: NDArray[np.int64]
    slots: NDArray[np.int64]


def extract(text: str) -> Features:
    """Return the features of a text.

    Args:
        text: A masked text (see `policy.head.masking`) without lone surrogates.
    """
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    if codes.size == 0:
        none = np.zeros(0, dtype=np.int64)
        return Features(0, none, none)
    han, letters = _scripts(codes)
    found = [*_han_grams(codes, han), *_letter_features(codes, letters)]
    places = np.concatenate([places for places, _ in found]) if found else np.zeros(0, dtype=np.int64)
    hashes = np.concatenate([hashes for _, hashes in found]) if found else np.zeros(0, dtype=np.uint64)
    return Features(int(codes.size), places, _slots(hashes))


def _scripts(codes: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which are Chinese (or Japanese) characters and which letters of other scripts; placeholders are both."""
    placeholder = _within(codes, _PLACEHOLDERS)
    return _within(codes, _HAN) | placeholder, _within(codes, _LETTERS) | placeholder


def _within(codes: NDArray[np.uint64], ranges: Sequence[range]) -> NDArray[np.bool_]:
    found = np.zeros(codes.shape, dtype=bool)
    for each in ranges:
        found |= (codes >= each.start) & (codes < each.stop)
    return found


def _han_grams(codes: NDArray[np.uint64], han: NDArray[np.bool_]) -> list[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    found = []
    whole, hashes = han.copy(), np.zeros_like(codes)
    for length in _HAN_GRAMS:
        if length > codes.size:
            break
        kept = codes.size - length + 1
        whole, hashes = whole[:kept] & han[length - 1 :], hashes[:kept] * _BASE + codes[length - 1 :]
        places = np.flatnonzero(whole)
        found.append((places, hashes[places] + np.uint64(length)))
    return found


def _letter_features(
    codes: NDArray[np.uint64], letters: NDArray[np.bool_]
) -> list[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    """Return n-grams within words, words and pairs of words."""
    # Everything between two words becomes one space; the text begins and ends with one.
    kept = np.flatnonzero(letters | np.concatenate([[False], letters[:-1]]))
    if not letters.any():
        return []
    squeezed = np.concatenate([[_SPACE], np.where(letters[kept], codes[kept], _SPACE), [_SPACE]])
    origins = np.concatenate([[kept[0]], kept, [kept[-1]]])
    squeezed = np.where(_within(squeezed, (_DIGITS,)), _DIGIT, squeezed)
    inside = squeezed != _SPACE
    return [*_letter_grams(squeezed, inside, origins), *_words(squeezed, inside, origins)]


def _letter_grams(
    squeezed: NDArray[np.uint64], inside: NDArray[np.bool_], origins: NDArray[np.int64]
) -> list[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    found = []
    for length in _LETTER_GRAMS:
        kept = squeezed.size - length + 1
        if kept < 1:
            break
        hashes, whole = np.zeros(kept, dtype=np.uint64), np.ones(kept, dtype=bool)
        for offset in range(length):
            hashes = hashes * _BASE + squeezed[offset : offset + kept]
            if 0 < offset < length - 1:  # a word's edge may be the first or the last of an n-gram, never within
                whole &= inside[offset : offset + kept]
        places = np.flatnonzero(whole)
        # One that begins with a word's edge belongs to the place of the word, not of what stands before it.
        starts = np.where(inside[places], places, places + 1)
        found.append((origins[starts], hashes[places] + np.uint64(length << 8)))
    return found


def _words(
    squeezed: NDArray[np.uint64], inside: NDArray[np.bool_], origins: NDArray[np.int64]
) -> list[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    starts = np.flatnonzero(inside[1:] & ~inside[:-1]) + 1
    ends = np.flatnonzero(inside[:-1] & ~inside[1:]) + 1
    # Polynomial hashes of all prefixes, so that a word's own is a difference, moved back to its place (Karp and Rabin).
    powers = np.cumprod(np.concatenate([[np.uint64(1)], np.full(squeezed.size - 1, _BASE)]), dtype=np.uint64)
    inverses = np.cumprod(np.concatenate([[np.uint64(1)], np.full(squeezed.size - 1, _BASE_INVERSE)]), dtype=np.uint64)
    prefixes = np.concatenate([[np.uint64(0)], np.cumsum(squeezed * powers, dtype=np.uint64)])
    words = (prefixes[ends] - prefixes[starts]) * inverses[starts]
    near = origins[starts[1:]] - origins[ends[:-1] - 1] == _NEXT_WORD
    pairs = (words[:-1] * _ODD + words[1:])[near]
    return [(origins[starts], words + _WORD_SALT), (origins[starts[:-1]][near], pairs + _PAIR_SALT)]


def _slots(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    mixed = (hashes ^ (hashes >> np.uint64(32))) * _MIX
    mixed ^= mixed >> np.uint64(29)
    mixed *= _ODD
    return (mixed >> np.uint64(64 - 15)).astype(np.int64)
