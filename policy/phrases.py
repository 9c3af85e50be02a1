"""The small language in which people write terms and phrases, and its translation to RE2. Pure.

    sniper rifle        these words, with a space or a hyphen between; each also with a plural or possessive ending
    kill+               forms of the verb: kill, kills, killed, killing, killer
    porn*               any ending
    rape|assault+       either
    [very] young        perhaps
    stuff .. ballots    up to four words between; `..8`: up to eight. Between Chinese words: characters
    <minor>             any term of that list
    /colou?rs?/         an RE2 pattern, taken as it is; may hold <lists>

English words match whole words, Chinese ones anywhere. Matching is on canonical readings: lower case, no accents,
single spaces.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from policy.errors import RuleError

CHINESE: Final = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
REFERENCE: Final = re.compile(r"<([a-z][a-z0-9_]*)>")

_BETWEEN = "[ -]"
_WORD = r"(?:[^ ]+ )"
_MOST_BETWEEN = 20
_PART = re.compile(r"[^\s|*+\[\]<>/.(){}\\^$?]+")
_VOWELS = "aeiou"
_SHORTEST_INFLECTED = 3


def translate(phrase: str, expand: Callable[[str], str], where: object) -> str:
    """Return the RE2 expression of a phrase.

    Args:
        phrase: In the language above, lower case.
        expand: Gives the expression of a list by its name.
        where: File and line, for the message; turned into text only then.

    Raises:
        RuleError: The phrase is empty or not in the language.
    """
    if phrase.startswith("/"):
        if not phrase.endswith("/") or len(phrase) < 3:  # noqa: PLR2004 - two slashes and something between
            raise RuleError(f"{where}: a pattern stands between slashes, got {phrase!r}")
        return REFERENCE.sub(lambda match: expand(match[1]), phrase[1:-1])
    if phrase != phrase.lower():
        raise RuleError(f"{where}: phrases are lower case, got {phrase!r}")
    tokens = phrase.split()
    if not tokens or not any(CHINESE.search(token) or re.search(r"[a-z0-9<]", token) for token in tokens):
        raise RuleError(f"{where}: phrase says nothing: {phrase!r}")
    return _joined(tokens, expand, where)


def stands_alone(phrase: str) -> bool:
    """Say whether a phrase is one word, so that it is the word itself that people disguise."""
    return not phrase.startswith("/") and len(phrase.split()) == 1 and "|" not in phrase


def words_of(phrase: str) -> Iterator[str]:
    """Yield every English word, in every form, and every Chinese term that a phrase names; none for a pattern.

    A word that may have any ending comes with its `*`.

    Args:
        phrase: In the language above.
    """
    if phrase.startswith("/"):
        return
    for token in phrase.split():
        if token.startswith("..") or REFERENCE.fullmatch(token):
            continue
        for part in token.strip("[]").split("|"):
            if CHINESE.search(part):
                yield part
            elif not part.endswith("*"):
                yield from _forms(part)
            elif len(part) > _SHORTEST_INFLECTED:
                yield part


def _joined(tokens: Iterable[str], expand: Callable[[str], str], where: object) -> str:
    pieces: list[str] = []
    gap: str | None = None
    before_chinese = False
    for token in tokens:
        if token.startswith(".."):
            gap = token
            continue
        optional = token.startswith("[") and token.endswith("]")
        chinese = bool(CHINESE.search(token))
        expression = _token(token[1:-1] if optional else token, expand, where)
        space = _space(gap, chinese=chinese or before_chinese, where=where) if pieces else ""
        if optional:
            # The space goes with the word, so that nothing is left over where it is absent.
            pieces.append(f"(?:{space}{expression})?" if pieces else f"(?:{expression}{_BETWEEN})?")
        elif pieces and pieces[-1].endswith(f"{_BETWEEN})?") and len(pieces) == 1:
            pieces.append(expression)
        else:
            pieces.append(f"{space}{expression}")
        gap, before_chinese = None, chinese
    if gap is not None:
        raise RuleError(f"{where}: a phrase cannot end with a gap")
    return "".join(pieces)


def _space(gap: str | None, *, chinese: bool, where: object) -> str:
    if gap is None:
        return " ?" if chinese else _BETWEEN
    most = gap[2:] or ("6" if chinese else "4")
    if not most.isdigit() or not 1 <= int(most) <= _MOST_BETWEEN:
        raise RuleError(f"{where}: a gap is '..' or '..N' with N in 1..{_MOST_BETWEEN}, got {gap!r}")
    return f"[^.!?。！？]{{0,{most}}}" if chinese else rf"[^a-z0-9]+{_WORD}{{0,{most}}}"


def _token(token: str, expand: Callable[[str], str], where: object) -> str:
    alternatives = [_alternative(part, expand, where) for part in token.split("|")]
    return alternatives[0] if len(alternatives) == 1 else f"(?:{'|'.join(alternatives)})"


def _alternative(part: str, expand: Callable[[str], str], where: object) -> str:
    if reference := REFERENCE.fullmatch(part):
        return expand(reference[1])
    stem, ending = (part[:-1], part[-1]) if part[-1:] in {"*", "+"} else (part, "")
    if not stem or not _PART.fullmatch(stem):
        raise RuleError(f"{where}: cannot read {part!r}")
    if CHINESE.search(stem):
        if ending:
            raise RuleError(f"{where}: Chinese takes no endings, got {part!r}")
        return re.escape(stem)
    if ending == "*":
        return rf"\b{_escaped(stem)}[a-z]*\b"
    return rf"\b{_verb(stem) if ending else _noun(stem)}\b"


def _escaped(stem: str) -> str:
    return re.escape(stem).replace(r"\-", _BETWEEN)


def _noun(stem: str) -> str:
    if len(stem) < _SHORTEST_INFLECTED or not stem[-1].isalpha():
        return _escaped(stem)
    if stem[-1] == "y" and stem[-2] not in _VOWELS:
        return f"{_escaped(stem[:-1])}(?:y(?:'?s)?|ies)"
    return f"{_escaped(stem)}(?:'?s|es)?"


def _verb(stem: str) -> str:
    if stem.endswith("e"):
        return f"{_escaped(stem[:-1])}(?:es?|ed|ing|ers?)"
    if stem[-1] == "y" and stem[-2:-1] not in _VOWELS:
        return f"{_escaped(stem[:-1])}(?:y|ies|ied|ying|iers?)"
    doubled = f"{stem[-1]}?" if stem[-1] not in _VOWELS + "wxy" else ""
    return f"{_escaped(stem)}(?:e?s|{doubled}(?:ed|ing|ers?))?"


def _forms(part: str) -> Iterator[str]:
    stem = part.removesuffix("+")
    if not stem.isalpha():
        return
    yield stem
    if part == stem:
        yield stem + "s"
        return
    root = stem.removesuffix("e")
    yield from (stem + "s", root + "ed", root + "ing", root + "er")
    if stem[-1] not in _VOWELS + "wxy":
        yield from (stem + stem[-1] + "ed", stem + stem[-1] + "ing")
