"""Lines of a corpus: texts to screen, and texts with the answer a person gave. Pure.

A corpus is UTF-8 text with one JSON object a line. To screen, a line takes `id` and `text`; to evaluate, `label`
(`safe` or `unsafe`) too, and it may have `source_labels`, a list of texts, and `lang`. Other members are left alone,
empty lines are passed over. A text of any length is taken as it is: the policy blocks what is too long. One with lone
surrogates, or with nothing in it that anybody could see, is no text that a person wrote, and an error.
"""

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from policy.errors import PolicyError

LABELS: Final = ("safe", "unsafe")

_UNSEEN: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe0e\ufe0f")
"""Characters that show nothing although Unicode counts them as letters, marks or symbols."""


class CorpusError(PolicyError):
    """A line of a corpus cannot be read; the message names the file, the line and what is wrong, never the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One text of a corpus.

    Attributes:
        id: Names it in reports; a text or a whole number, kept as it came.
        text: What is to be screened.
        where: `file:line`.
    """

    id: str | int
    text: str
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledLine(Line):
    """One text and what a person said of it.

    Attributes:
        unsafe: Whether it should be blocked or reviewed.
        labels: What kind it is, in the words of its source.
        language: Code of its language, `en`; empty if it is not known.
    """

    unsafe: bool
    labels: tuple[str, ...] = ()
    language: str = ""


def read_lines(lines: Iterable[bytes], where: str) -> Iterator[Line]:
    """Read texts one at a time, so that a stream can be answered as it comes.

    Args:
        lines: The lines of a file, UTF-8.
        where: The file's name, for messages.

    Raises:
        CorpusError: At the first line that is not a JSON object with an id and a text.
    """
    for place, document in _documents(lines, where):
        yield Line(id=_identifier(document, place), text=_visible(document, place), where=place)


def read_labelled_lines(lines: Iterable[bytes], where: str) -> Iterator[LabelledLine]:
    """Read labelled texts one at a time.

    Args:
        lines: The lines of a file, UTF-8.
        where: The file's name, for messages.

    Raises:
        CorpusError: At the first line that is not a JSON object with an id, a text and a label.
    """
    for place, document in _documents(lines, where):
        label = document.get("label")
        if label not in LABELS:
            raise CorpusError(f"{place}: label must be safe or unsafe, got {_shown(label)}")
        named = document.get("source_labels", [])
        if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
            raise CorpusError(f"{place}: source_labels must be a list of texts")
        yield LabelledLine(
            id=_identifier(document, place),
            text=_visible(document, place),
            where=place,
            unsafe=label == "unsafe",
            labels=tuple(dict.fromkeys(named)),
            language=_text(document, "lang", place) if "lang" in document else "",
        )


def _documents(lines: Iterable[bytes], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        place = f"{where}:{number}"
        try:
            written = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise CorpusError(f"{place}: not UTF-8 at byte {error.start + 1}") from None
        if not written.strip():
            continue
        try:
            document = json.loads(written)
        except json.JSONDecodeError as error:
            # Its own message names a column and repeats nothing of the line.
            raise CorpusError(f"{place}: not JSON: {error.msg} (column {error.colno})") from None
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{place}: not JSON: {type(error).__name__}") from None
        if not isinstance(document, dict):
            raise CorpusError(f"{place}: must be a JSON object, got {type(document).__name__}")
        yield place, document


def _identifier(document: Mapping[str, Any], place: str) -> str | int:
    found = document.get("id")
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise CorpusError(f"{place}: id must be a text or a whole number, got {_shown(found)}")
    return found if isinstance(found, int) else _text(document, "id", place)


def _visible(document: Mapping[str, Any], place: str) -> str:
    text = _text(document, "text", place)
    if text and all(unicodedata.category(each) in _UNSEEN or each in _BLANK for each in text):
        raise CorpusError(f"{place}: text has {len(text)} characters and none that anybody could see")
    return text


def _text(document: Mapping[str, Any], name: str, place: str) -> str:
    found = document.get(name)
    if not isinstance(found, str):
        raise CorpusError(f"{place}: {name} must be a text, got {_shown(found)}")
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"{place}: {name} holds a lone surrogate at character {error.start + 1}") from None
    return found


def _shown(value: Any) -> str:
    """Name the kind of what stands there; what it says might be a prompt in the wrong member."""
    return "nothing" if value is None else type(value).__name__
