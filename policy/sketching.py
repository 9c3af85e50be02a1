"""Sketches of requests: numbers by which requests can be compared and from which no text can be read. Pure.

A prompt becomes a SimHash (Charikar, "Similarity estimation techniques from rounding algorithms", 2002): prompts that
share most of their words differ in few of its 64 bits. Every word is hashed under a secret of the installation first:
without it, the numbers say nothing, not even whether a guessed prompt is the one. Whoever holds secret and numbers can
test guesses; so both stay in the database, and the numbers for no longer than a window.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

import numpy as np

from policy.matching import ReadText
from policy.patterns import Pattern
from policy.readings import Reading
from policy.ruleset import RuleSet
from policy.subjects import PictureSubject, Subject, TextSubject, Wording
from policy.volume import SIMHASH_BITS, Sketch

SECRET_BYTES: Final = 32
NAMED: Final = "famous"
"""The list of people known by name. Offices ("a mayor") are nobody in particular and do not count."""
MEANT: Final = "private_person"
"""The list of words for somebody in particular: "the woman in this photo", "my neighbour"."""
MASK: Final = "mask"
"""Name of the one picture that is no part of what a request shows."""

# Digits and signs are left out: numbered copies are copies.
_TOKEN = re.compile(r"[^\W\d_\u3400-\u9fff]+|[\u3400-\u9fff]")
_BYTES = SIMHASH_BITS // 8


class Sketcher:
    """Makes sketches with one rule set and one secret."""

    def __init__(self, rule_set: RuleSet, secret: bytes) -> None:
        """Take the lists and the secret.

        Args:
            rule_set: Its lists say who is a person and what its volume rules are about.
            secret: 32 bytes or more that nobody else has.

        Raises:
            ValueError: The secret is shorter.
        """
        if len(secret) < SECRET_BYTES:
            raise ValueError(f"the secret must have at least {SECRET_BYTES} bytes, got {len(secret)}")
        self._rule_set = rule_set
        self._secret = secret[:SECRET_BYTES]

    def sketch(self, subjects: Sequence[Subject], at: datetime) -> Sketch | None:
        """Sketch a request.

        Args:
            subjects: All that was screened of it; texts that passed the gate.
            at: When.

        Returns:
            The sketch; None if it has no prompt and depicts nobody.
        """
        texts = [each for each in subjects if isinstance(each, TextSubject) and not each.alternative]
        prompt = "\n".join(each.text for each in texts if each.wording is Wording.PROMPT)
        names = "\n".join(each.text for each in texts if each.wording is Wording.NAME)
        read = self._rule_set.reader.read(prompt)
        readings = [ReadText(each.text.encode()) for each in (*read, *self._rule_set.reader.read(names))]
        pictures = self._pictures(subjects)
        sketch = Sketch(
            at=at,
            prompt=self._simhash(_canonical(read).text),
            pictures=pictures,
            likenesses=frozenset(self._people(readings, pictures)),
            topics=frozenset(self._topics(readings)),
        )
        return sketch if sketch.prompt is not None or sketch.likenesses else None

    def _pictures(self, subjects: Iterable[Subject]) -> int | None:
        digests = {
            each.pixel_sha256
            for each in subjects
            if isinstance(each, PictureSubject) and each.name.partition(" on ")[0] != MASK
        }
        return self._number("pictures", *sorted(digests)) if digests else None

    def _people(self, readings: Iterable[ReadText], pictures: int | None) -> Iterator[int]:
        named, meant = self._rule_set.term(NAMED), self._rule_set.term(MEANT)
        for reading in readings:
            for text in _occurrences(reading, named):
                yield self._number("person", _surname(text))
            for text in _occurrences(reading, meant):
                # Which woman "this woman" is, the picture says; without one, the words are all there is.
                yield self._number("person", text) if pictures is None else self._number("person in", str(pictures))

    def _topics(self, readings: Sequence[ReadText]) -> Iterator[str]:
        for name in {name for rule in self._rule_set.volume for name in rule.about}:
            pattern = self._rule_set.term(name)
            if pattern is not None and any(reading.spans(pattern) for reading in readings):
                yield name

    def _simhash(self, text: str) -> int | None:
        tokens = _TOKEN.findall(text)
        shingles = {(token,) for token in tokens} | set(pairwise(tokens))
        if not shingles:
            return None
        hashed = b"".join(self._hashed("shingle", *each) for each in sorted(shingles))
        bits = np.unpackbits(np.frombuffer(hashed, np.uint8).reshape(-1, _BYTES), axis=1)
        majority = 2 * bits.sum(axis=0, dtype=np.int64) > len(bits)
        return int.from_bytes(np.packbits(majority).tobytes())

    def _number(self, *parts: str) -> int:
        return int.from_bytes(self._hashed(*parts))

    def _hashed(self, *parts: str) -> bytes:
        return hashlib.blake2b("\0".join(parts).encode(), key=self._secret, digest_size=_BYTES).digest()


def _canonical(readings: Sequence[Reading]) -> Reading:
    """The canonical reading; the text as it was written if that is canonical already."""
    return next((each for each in readings if each.name == "canonical"), readings[0])


def _occurrences(reading: ReadText, pattern: Pattern | None) -> Iterator[str]:
    if pattern is not None:
        for start, end in reading.spans(pattern):
            yield " ".join(reading.raw[start:end].decode().casefold().split())


def _surname(name: str) -> str:
    """What "Leonardo DiCaprio", "DiCaprio" and "DiCaprio's" have in common."""
    return name.removesuffix("'s").rpartition(" ")[2]
