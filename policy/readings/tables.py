"""Opens the tables that readings need: the data files of installed packages, and our own table of split characters.

The only module of the readings that opens files. Nothing is opened at import, every table once for each process. The
packages are used as data: none of their code is imported, which keeps the start quick.

Sources: symspellpy's frequency dictionary of 82,834 English words (MIT; Google Books Ngrams crossed with SCOWL, with
names, British spelling) and pyspellchecker's of 160,572 (MIT; American spelling, more inflections): of 2,500 typing
errors made at random, the first holds 2.9 % and both together 3.1 %, so both are safe lists of what is no error; the
words of picture makers, `trade_words.txt`, are ours; the confusables of
Unicode TR 39 as packaged by confusable-homoglyphs (MIT); OpenCC's traditional to simplified characters (Apache-2.0);
pypinyin's character dictionary (MIT).
"""

import gzip
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

from policy.errors import PolicyError

_LONG_ENOUGH = 4  # the shortest words that the second list has and the first has not are no words
_COMMON_COUNT = 5_000_000  # the 9,400 commonest words
_TRADE_COUNT = 10_000_000  # that of a rather rare word


def _read(package: str, path: str) -> str:
    """Return a data file of an installed package as text, found without importing the package."""
    return _read_bytes(package, path).decode("utf-8-sig")


def _read_bytes(package: str, path: str) -> bytes:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations or spec.loader is None:
        raise PolicyError(f"the package {package}, whose tables the readings need, is not installed")
    with open(f"{spec.submodule_search_locations[0]}/{path}", "rb") as file:  # noqa: PTH123 # no path is built
        return file.read()


@cache
def english() -> Mapping[str, int]:
    """Return English words, lower case, with how often they occur.

    Words of the second list alone keep its counts, from a smaller count of texts: they are rarer words anyway.
    """
    counts: dict[str, int] = json.loads(gzip.decompress(_read_bytes("spellchecker", "resources/en.json.gz")))
    for word in [word for word in counts if len(word) < _LONG_ENOUGH]:
        del counts[word]
    fields = iter(_read("symspellpy", "frequency_dictionary_en_82_765.txt").split())
    counts.update(zip(fields, map(int, fields), strict=True))
    trade = [line for line in _read("policy.readings", "trade_words.txt").splitlines() if not line.startswith("#")]
    for word in " ".join(trade).split():
        counts.setdefault(word, _TRADE_COUNT)
    return counts


@cache
def common_english() -> Mapping[str, tuple[str, ...]]:
    """Return the commonest English words by what is left of them without one letter, for those that typing misses."""
    found: dict[str, tuple[str, ...]] = {}
    for word, count in english().items():
        if count > _COMMON_COUNT and len(word) >= _LONG_ENOUGH:
            for position in range(len(word)):
                shorter = word[:position] + word[position + 1 :]
                found[shorter] = (*found.get(shorter, ()), word)
    return found


@cache
def look_alikes() -> Mapping[str, str]:
    """Return characters that look like a Latin letter, with that letter, lower case."""
    raw = json.loads(_read("confusable_homoglyphs", "confusables.json"))
    found = {}
    for character, others in raw.items():
        letters = [other["c"].lower() for other in others if other["c"].isascii() and other["c"].isalpha()]
        if len(character) == 1 and not character.isascii() and letters:
            found[character] = letters[0]
    return found


@cache
def simplified() -> Mapping[str, str]:
    """Return traditional characters, with the simplified character that OpenCC names first."""
    pairs = [line.split("\t") for line in _read("opencc", "dictionary/TSCharacters.txt").splitlines() if "\t" in line]
    return {traditional: choices.split(" ")[0] for traditional, choices in pairs}


@cache
def pinyin() -> Mapping[str, str]:
    """Return characters, by code point in decimal digits, with their readings: tone marks, commas between."""
    table: dict[str, str] = json.loads(_read("pypinyin", "pinyin_dict.json"))
    return table


@cache
def split_characters() -> Mapping[str, str]:
    """Return the ways in which characters are written taken apart, `女干`, with the character meant."""
    document = tomllib.loads(_read("policy.readings", "split_characters.toml"))
    radicals: dict[str, list[str]] = document["radicals"]
    found = {}
    for character, ways in document["characters"].items():
        for way in ways:
            # A radical has its own sign and the everyday character that people type for it.
            for head in radicals.get(way[0], [way[0]]):
                for tail in radicals.get(way[-1], [way[-1]]):
                    found[head + way[1:-1] + tail] = character
    return found
