"""What the head is trained on: published sets, read from a folder, and sentences written for this project."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from policy.errors import PolicyError
from policy.head.loading import LANGUAGES

WRITTEN: Final = "written"
"""Sources of the project's own sentences begin with this, `written_en`."""

_SLOT = re.compile(r"\{(\w+)\}")
_TRIES = 20
_UNSAFE_WRITTEN = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """A text and what it is an example of.

    Attributes:
        text: As it stands in its set.
        category: What it violates; None if it is harmless.
        source: Name of its set, or `written_en`, `written_zh`.
        topic: Of a written sentence, the name of its group; empty for others.
        kin: What it shares with other rows made from the same template; None if it stands alone.
        weight: How much it counts.
    """

    text: str
    category: str | None
    source: str
    topic: str = ""
    kin: str | None = None
    weight: float = 1.0


def read_sources(folder: Path) -> list[TrainingRow]:
    """Read the published sets.

    Args:
        folder: Holds a file per set, `{set}.jsonl`: an object a line with `text`, `label` and `source_labels`.

    Raises:
        PolicyError: A file is missing or a line is not such an object; the message names file and line.
    """
    rows: list[TrainingRow] = []
    for source, meaning in _toml("sources.toml").items():
        path = folder / f"{source}.jsonl"
        try:
            lines = path.read_text("utf-8").splitlines()
        except OSError as error:
            raise PolicyError(f"{path.name} cannot be read: {error.strerror}") from error
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(_row(source, meaning, json.loads(line)))
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise PolicyError(f"{path.name}:{number}: {type(error).__name__}: {error}") from error
    return rows


def written_rows() -> list[TrainingRow]:
    """Make the project's own sentences; always the same ones."""
    return [row for language in LANGUAGES for row in _written(language)]


def _row(source: str, meaning: Mapping[str, Any], line: Mapping[str, Any]) -> TrainingRow:
    labels = [str(label) for label in line["source_labels"]]
    known = meaning.get("labels", {})
    prefix = meaning.get("group_prefix")
    category = next((known[label] for label in labels if label in known), meaning.get("otherwise"))
    return TrainingRow(
        text=str(line["text"]),
        category=category if line["label"] == "unsafe" else None,
        source=source,
        kin=next((f"{source}:{label}" for label in labels if prefix and label.startswith(prefix)), None),
        weight=float(meaning.get("weight", 1.0)),
    )


def _written(language: str) -> Iterator[TrainingRow]:
    document = _toml(f"templates/{language}.toml")
    for number, group in enumerate(document["groups"]):
        random = np.random.default_rng([number, len(language), int.from_bytes(language.encode(), "big")])
        slots = {**document["slots"], **group.get("slots", {})}
        seen: set[str] = set()
        for _ in range(group["count"] * _TRIES):
            if len(seen) == group["count"]:
                break
            frame = int(random.integers(len(group["frames"])))
            text = _SLOT.sub(lambda slot: _drawn(slots[slot[1]], random), group["frames"][frame])  # noqa: B023 - used up at once
            if text not in seen:
                seen.add(text)
                yield TrainingRow(
                    text=text,
                    category=group.get("category"),
                    source=f"{WRITTEN}_{language}",
                    topic=group["topic"],
                    kin=f"{language}:{number}:{frame}",
                    weight=1.0 if group["label"] == "safe" else _UNSAFE_WRITTEN,
                )


def _drawn(words: list[str], random: np.random.Generator) -> str:
    return words[int(random.integers(len(words)))]


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text("utf-8"))
