"""The screener that recognises pictures on a list, by exact digest.

Exact digests find a known picture only as long as no pixel changes; they never take a strange one for it. Perceptual
digests and models are further screeners, beside this one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policy.errors import KnownPictureListError
from policy.screeners import allowing_finding
from policy.subjects import PictureSubject, Subject, pixel_digest
from policy.verdict import Decision, Finding

CATEGORY = "known_picture"
_REASON = "This picture is on a list of pictures that this server does not process."
_TEST_SIDE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPictureList:
    """One list of digests.

    Attributes:
        name: `shipped` or `operator`; part of the rule id.
        digests: SHA-256 digests, lower hex, of files or of pixels (see `policy.subjects.pixel_digest`).
        problem: Why the list could not be read, for operators; None if it could.
    """

    name: str
    digests: frozenset[str]
    problem: str | None = None


class KnownPictureScreener:
    """Blocks pictures whose file, raster or pixels are on a list; blocks every picture while a list is unreadable."""

    name = "known_pictures"
    time_limit_s = 60.0

    def __init__(self, lists: Sequence[KnownPictureList]) -> None:
        """Take the lists.

        Args:
            lists: Every list, the unreadable ones too.
        """
        self._lists = tuple(lists)
        digest = hashlib.sha256()
        for entry in self._lists:
            digest.update(f"{entry.name}:{entry.problem is None}:{','.join(sorted(entry.digests))};".encode())
        self.version = digest.hexdigest()

    def problems(self) -> tuple[str, ...]:
        """Return why lists could not be read; none if all could."""
        return tuple(entry.problem for entry in self._lists if entry.problem is not None)

    def handles(self, subject: Subject) -> bool:
        """Pictures only."""
        return isinstance(subject, PictureSubject)

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Return a finding per list the picture is on, or one that allows.

        Args:
            subject: A picture.

        Raises:
            TypeError: The subject is no picture.
            KnownPictureListError: A list could not be read.
        """
        if not isinstance(subject, PictureSubject):
            raise TypeError(f"known pictures are pictures, got {type(subject).__name__}")
        if problems := self.problems():
            raise KnownPictureListError("; ".join(problems))
        # Digested here too: the digest that came along is of the source raster, whose alpha plane or colour profile
        # may differ while people see the same picture.
        digests = {subject.pixel_sha256, pixel_digest(subject.pixels)} | {subject.file_sha256 or subject.pixel_sha256}
        findings = [self._finding(entry, subject) for entry in self._lists if not digests.isdisjoint(entry.digests)]
        return findings or [allowing_finding(self.name, subject.name)]

    def _finding(self, entry: KnownPictureList, subject: PictureSubject) -> Finding:
        return Finding(
            rule=f"{self.name}.{entry.name}",
            category=CATEGORY,
            decision=Decision.BLOCK,
            reason=_REASON,
            screener=self.name,
            subject=subject.name,
        )


def known_test_picture() -> NDArray[np.uint8]:
    """Draw the harmless picture that every server blocks, so that blocking can be tested on a running one.

    Returns:
        uint8 (64, 64, 3), sRGB: a plain colour pattern; its pixel digest is on the shipped list.
    """
    rows, columns = np.mgrid[0:_TEST_SIDE, 0:_TEST_SIDE]
    checks = (rows // 8 + columns // 8) % 2
    return np.stack([rows * 4, columns * 4, checks * 255], axis=2).astype(np.uint8)


def parse_digests(text: str, *, where: str) -> frozenset[str]:
    """Read a list of digests: one a line, lower or upper hex; `#` begins a comment.

    Args:
        text: Content of the list.
        where: The list's name, for the message.

    Raises:
        KnownPictureListError: A line holds something else; the message names the line's number.
    """
    digests = set()
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip().lower()
        if not entry:
            continue
        if len(entry) != hashlib.sha256().digest_size * 2 or set(entry) - set("0123456789abcdef"):
            raise KnownPictureListError(f"{where}: line {number} is not a SHA-256 digest of 64 hex digits")
        digests.add(entry)
    return frozenset(digests)
