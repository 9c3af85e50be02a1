"""Takes out of a text who it is about, and that it is a question, so that the head cannot learn either. Pure.

Every identity word (gender, age, ethnicity, religion, origin, orientation, disability) becomes the same placeholder, so
swapping one for another leaves exactly the same text. Frames of questions are left out: on chat data a learned head
otherwise learns that a question is unsafe.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from policy.errors import PolicyError

IDENTITY: Final = "\ue000"
"""Stands where an identity word stood; a code point for private use, dropped from every text before."""

PRONOUN: Final = "\ue001"
"""Stands where a pronoun of the third person stood."""

_RESERVED = re.compile("[\ue000-\ue0ff]")
_SPACES = re.compile(r"\s+")
_DROPPED_CATEGORIES = frozenset({"Cf", "Cc", "Mn", "Me"})
_ARTICLE = re.compile(r"\ban\b")
_QUESTION_MARKS = re.compile("[?？]")

# Trie of words: next character -> node; the empty string marks that a word may end here.
_Node = dict[str, Any]


class Masks:
    """The masks of all languages, compiled once."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Compile word lists.

        Args:
            documents: One per language, as `policy/head/words/en.toml` holds it.

        Raises:
            PolicyError: A document lacks a section or holds something other than lists of words.
        """
        languages = list(documents)
        identity, pronouns, frames, nouns = (
            _words(languages, section) for section in ("identity", "pronouns", "questions", "nouns")
        )
        self._identity = re.compile(_either(identity, plural=True))
        self._pronouns = re.compile(_either(pronouns))
        self._questions = re.compile(_either(frames))
        followers = f"{IDENTITY}|{_either(nouns)}"
        leaders = f"(?:{_either({True: nouns[True], False: []})})[ -]" if nouns[True] else "(?!)"
        self._run = re.compile(f"(?:{leaders})?{IDENTITY}(?:[ -]?(?:{followers}))*")

    def mask(self, text: str) -> str:
        """Return the text without identities and question frames.

        Args:
            text: Any text or reading of one.

        Returns:
            A text for the head alone: not the same length, not for people to read.
        """
        masked = _RESERVED.sub(" ", fold(text))
        masked = self._questions.sub("", masked)
        masked = self._identity.sub(IDENTITY, masked)
        masked = self._pronouns.sub(PRONOUN, masked)
        masked = self._run.sub(IDENTITY, masked)
        # "a woman" and "an old woman" must read alike.
        return _ARTICLE.sub("a", _QUESTION_MARKS.sub(".", masked))


def fold(text: str) -> str:
    """Return the text in lower case, without accents, invisible characters and runs of space; Chinese as it is.

    The head folds by itself, so that what it learnt does not change with the readings.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.replace("\u2019", "'")).casefold()
        kept = (c for c in text if c.isspace() or unicodedata.category(c) not in _DROPPED_CATEGORIES)
        text = unicodedata.normalize("NFKC", "".join(kept))
    return _SPACES.sub(" ", text.lower()).strip()


def _words(documents: Iterable[Mapping[str, Any]], section: str) -> dict[bool, list[str]]:
    """Return the words of a section of all languages: those that stand alone, and the Chinese ones."""
    words: dict[bool, list[str]] = {True: [], False: []}
    for document in documents:
        for found in _lists(document, section):
            words[document.get("language") != "zh"] += found
    return words


def _lists(document: Mapping[str, Any], section: str) -> list[list[str]]:
    found = document.get(section)
    if not isinstance(found, Mapping):
        raise PolicyError(f"a word list must have a section {section!r}")
    for words in found.values():
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise PolicyError(f"section {section!r} of a word list must hold lists of words")
    return list(found.values())


def _either(words: Mapping[bool, Sequence[str]], *, plural: bool = False) -> str:
    """Return a pattern for spaced words, which must stand alone, or Chinese ones, which may stand anywhere."""
    spaced = _trie_pattern(words[True])
    ending = "(?:e?s|'s?|s')?" if plural else ""
    alone = rf"(?<![a-z0-9])(?:{spaced}){ending}(?![a-z0-9])" if spaced else ""
    return "|".join(filter(None, (alone, _trie_pattern(words[False]))))


def _trie_pattern(words: Iterable[str]) -> str:
    """Return a pattern that finds the longest word at a place in time bounded by that word's length."""
    root: _Node = {}
    for word in words:
        node = root
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    return _node_pattern(root)


def _node_pattern(node: _Node) -> str:
    branches = [re.escape(character) + _node_pattern(after) for character, after in sorted(node.items()) if character]
    if not branches:
        return ""
    joined = branches[0] if len(branches) == 1 and "" not in node else f"(?:{'|'.join(branches)})"
    return f"{joined}?" if "" in node else joined
