"""The guard as a screener: a second opinion on texts, from a model that lives in a process of its own."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

from policy.guard.judging import NAME, parse_table
from policy.guard.weights import GuardFiles
from policy.killable import KillableScreener
from policy.screeners import allowing_finding
from policy.subjects import Subject, TextSubject, Wording
from policy.tolerance import DEFAULT_TOLERANCE
from policy.verdict import Finding

BUILDER = "policy.guard.process:build"
"""What the child calls; named, not imported, so that no server process imports torch."""

ANSWER_LIMIT_S = 120.0
"""Seconds one text may take: on two CPU cores a prompt of ordinary length takes two, the longest about forty."""

START_LIMIT_S = 600.0
"""Seconds the child may take to digest and load the weights, from a slow disk too."""


class GuardScreener:
    """Asks the guard model about texts that say what to show.

    Negative prompts and names are not asked about: the one says what to leave out, the other is hardly a sentence, and
    the model knows of neither. Names come to it in the joined text.
    """

    name = NAME
    second_opinion = True

    def __init__(
        self,
        files: GuardFiles,
        digests: Mapping[str, str],
        table: Mapping[str, Any],
        *,
        device: str = "auto",
        answer_limit_s: float = ANSWER_LIMIT_S,
        start_limit_s: float = START_LIMIT_S,
        builder: str = BUILDER,
    ) -> None:
        """Say which model to ask; it loads with the first text, or with `start`.

        Args:
            files: Where it lies.
            digests: Of all its files, which the child checks again.
            table: The thresholds' document.
            device: `auto`, `cpu`, `cuda`, `cuda:1` ...
            answer_limit_s: Seconds one text may take, > 0.
            start_limit_s: Seconds loading may take, > 0.
            builder: `package.module:function` that loads it in the child.

        Raises:
            GuardTableError: The table is malformed.
        """
        self.version = _version(digests, parse_table(table).digest)
        self.model = files.name
        self.revision = files.revision
        self._child = KillableScreener(
            builder,
            name=NAME,
            version=self.version,
            handles=[TextSubject],
            answer_limit_s=answer_limit_s,
            start_limit_s=start_limit_s,
            arguments={
                "folder": str(files.folder),
                "device": device,
                "digests": dict(digests),
                "table": table,
            },
        )
        self.time_limit_s = self._child.time_limit_s

    def handles(self, subject: Subject) -> bool:
        """Texts that say what to show, but for the many further ways to read a weighted one, which rules read."""
        return isinstance(subject, TextSubject) and subject.wording is Wording.PROMPT and not subject.alternative

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Look at a text at the default tolerance."""
        return self.screen_at(subject, DEFAULT_TOLERANCE)

    def screen_at(self, subject: Subject, tolerance: int) -> Sequence[Finding]:
        """Look at a text.

        Args:
            subject: A text.
            tolerance: 0 (strictest) .. 6.

        Returns:
            Findings of the table; one that blocks if the child raised, died, overran its limit or answered nonsense.
        """
        if isinstance(subject, TextSubject) and not subject.text.strip():
            return [allowing_finding(NAME, subject.name, detail="nothing to read")]
        return self._child.screen_at(subject, tolerance)

    def problems(self) -> tuple[str, ...]:
        """Return why the model could not be loaded the last time it was to be."""
        return self._child.problems()

    def start(self) -> tuple[str, ...]:
        """Load the model now; return `problems()`."""
        return self._child.start()

    def close(self) -> None:
        """End the child; a later text would start a new one."""
        self._child.close()


def _version(digests: Mapping[str, str], table: str) -> str:
    return hashlib.sha256(rfc8785.dumps({"files": dict(digests), "table": table, "protocol": 1})).hexdigest()
