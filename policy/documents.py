"""Rule documents: parsed TOML with the file it came from, and errors that say where in it. Pure.

{category}.toml             what the rules are, whatever the language
{language}/{category}.toml  how to recognise them in one language, with examples
{language}/terms.toml       named lists of terms
overrides.toml              an operator's changes to the shipped actions
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from typing_extensions import override

from policy.errors import RuleError

TERMS: Final = "terms"
OVERRIDES: Final = "overrides"

_VERSION = re.compile(r"\d{4}\.\d{2}\.\d{2}(\.\d+)?")
_NAME = re.compile(r"[a-z][a-z0-9_]*")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One rule file.

    Attributes:
        name: Its place in the rules' folder, `en/minors.toml`; an operator's begins with `operator:`.
        content: What TOML says it holds.
        text: The file as it is, to find lines in.
    """

    name: str
    content: Mapping[str, Any]
    text: str = field(default="", repr=False)

    @property
    def is_operators(self) -> bool:
        """Whether an operator wrote it."""
        return self.name.startswith("operator:")

    @property
    def stem(self) -> str:
        """`minors` of `en/minors.toml`."""
        return self.name.rpartition("/")[2].rpartition(":")[2].removesuffix(".toml")

    @property
    def language(self) -> str | None:
        """`en` of `en/minors.toml`, None for a file that holds for every language."""
        folder = self.name.rpartition("/")[0].rpartition(":")[2]
        return folder or None

    def at(self, *landmarks: str) -> str:
        """Return `file:line` of the last landmark, each looked for after the one before.

        Args:
            *landmarks: What stands in the file, a rule's id, then one of its examples; what is not found is skipped.
        """
        position, found = 0, False
        for landmark in landmarks:
            place = _find(self.text, landmark, position)
            if place >= 0:
                position, found = place, True
        return f"{self.name}:{self.text.count(chr(10), 0, position) + 1}" if found else self.name


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a document; its line is looked for only when somebody is told.

    Attributes:
        document: The document.
        landmarks: As for `Document.at`.
    """

    document: Document
    landmarks: tuple[str, ...]

    @override
    def __str__(self) -> str:
        """`file:line`."""
        return self.document.at(*self.landmarks)


def _find(text: str, landmark: str, position: int) -> int:
    """Find what a value reads in a file, where backslashes and quotes may be written twice."""
    written = (landmark, landmark.replace("\\", "\\\\").replace('"', '\\"'))
    places = [place for each in written if (place := text.find(each, position)) >= 0]
    return min(places, default=-1)


def check_fields(where: str, fields: Mapping[str, Any], *, required: frozenset[str], known: frozenset[str]) -> None:
    """Check that a table has what it must have and nothing else.

    Raises:
        RuleError: A field is missing or unknown.
    """
    if missing := sorted(required - set(fields)):
        raise RuleError(f"{where}: missing field {missing[0]}")
    if unknown := sorted(set(fields) - known):
        raise RuleError(f"{where}: unknown field {unknown[0]}; known are {', '.join(sorted(known))}")


def read_version(where: str, fields: Mapping[str, Any]) -> str:
    """Return the document's version.

    Raises:
        RuleError: It is not YYYY.MM.DD or YYYY.MM.DD.N.
    """
    version = fields["version"]
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise RuleError(f"{where}: version must be YYYY.MM.DD or YYYY.MM.DD.N, got {version!r}")
    return version


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are ordered by."""
    return tuple(int(part) for part in version.split("."))


def read_text(where: str, fields: Mapping[str, Any], name: str) -> str:
    """Return a text that says something.

    Raises:
        RuleError: It is no text, or blank.
    """
    value = fields[name]
    if not isinstance(value, str) or not value.strip():
        raise RuleError(f"{where}: {name} must be a text that is not empty")
    return value


def read_texts(where: str, fields: Mapping[str, Any], name: str, *, optional: bool = False) -> tuple[str, ...]:
    """Return a list of texts.

    Raises:
        RuleError: It is no list, holds something else, a blank text, or nothing though it is not optional.
    """
    values = fields.get(name, []) if optional else fields[name]
    if not isinstance(values, list) or not all(isinstance(value, str) and value.strip() for value in values):
        raise RuleError(f"{where}: {name} must be a list of texts that are not empty")
    if not values and not optional:
        raise RuleError(f"{where}: {name} must hold at least one text")
    return tuple(values)


def read_choice(where: str, name: str, value: Any, choices: Mapping[str, T]) -> T:
    """Return the choice a word stands for.

    Raises:
        RuleError: There is no such choice.
    """
    if not isinstance(value, str) or value not in choices:
        raise RuleError(f"{where}: {name} must be one of {', '.join(choices)}, got {value!r}")
    return choices[value]


def read_name(where: str, value: Any) -> str:
    """Return the name of a list or a rule's part.

    Raises:
        RuleError: It is not lower-case letters, digits and underscores.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise RuleError(f"{where}: a name is made of a-z, 0-9 and _, got {value!r}")
    return value


def read_tables(where: str, fields: Mapping[str, Any], name: str, *, optional: bool) -> Sequence[Mapping[str, Any]]:
    """Return a list of tables.

    Raises:
        RuleError: It is no list of tables, or holds none though it is not optional.
    """
    values = fields.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise RuleError(f"{where}: {name} must be a list of tables, [[{name}]]")
    if not values and not optional:
        raise RuleError(f"{where}: {name} must hold at least one table, [[{name}]]")
    return values


def read_table(where: str, fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a table.

    Raises:
        RuleError: It is none.
    """
    value = fields.get(name, {})
    if not isinstance(value, dict):
        raise RuleError(f"{where}: {name} must be a table, [{name}]")
    return value
