"""Texts in another code: HTML, percent and backslash escapes, base64, hex, binary, decimal, Morse, rot13. Pure.

Works on texts that keep their case, which base64 needs. What is decoded must read as text; a short stretch, which may
be one by accident, must hold a word of the lexicon.
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from string import ascii_lowercase

from policy.readings.reading import Edit, Reading, read_with, without_overlaps
from policy.readings.vocabulary import Vocabulary

_ESCAPE = re.compile(
    r"&(?:#\d{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[a-zA-Z]{2,31};)"
    r"|\\u\{[0-9a-fA-F]{1,6}\}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|%u[0-9a-fA-F]{4}"
    r"|\b[Uu]\+[0-9a-fA-F]{4,6}(?:[ ,;]{1,2}(?=[Uu]\+))?"
)
_BYTES = re.compile(r"(?:%[0-9a-fA-F]{2})+|(?:\\x[0-9a-fA-F]{2})+|(?:=[0-9A-F]{2}){2,}|(?:\\[0-3][0-7]{2})+")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{4,}={0,2}(?![A-Za-z0-9+/_-])")
_BASE64_BESIDE = re.compile(  # `neo-` is no part of the code
    r"(?<=[-_])[A-Za-z0-9+/]{4,}={0,2}(?![A-Za-z0-9+/])|(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{4,}={0,2}(?=[-_])"
)
_HEX = re.compile(r"(?<![0-9a-zA-Z#])(?:0[xX])?(?:[0-9a-fA-F]{2}[ :,-]?(?:0[xX])?){2,}[0-9a-fA-F]{2}(?![0-9a-zA-Z])")
_BINARY = re.compile(r"(?<![01])(?:[01]{7,8}[ ,]?){2,}[01]{7,8}(?![01])")
_DECIMAL = re.compile(r"(?<!\d)(?:\d{2,3}[ ,]{1,2}){2,}\d{2,3}(?!\d)")
_MORSE = re.compile(r"(?<![.\-\w])[.\-]{1,5}(?:(?: |/| / |  )[.\-]{1,5}){2,}(?![.\-\w])")
_WORD = re.compile(r"[A-Za-z]+")
_ENOUGH = 12  # bytes from which a decoded stretch is no accident
_MORSE_SIGNS = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
)
_MORSE_LETTERS = dict(zip(_MORSE_SIGNS.split(" "), ascii_lowercase, strict=True))
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_SHARE_OF_LETTERS, _SHARE_OF_LONG = 0.7, 0.4
_SAFE_LENGTH = 4
_TWO_DIGITS, _DUMPED = 2, 8  # digits of a byte, and of the groups in which programs print bytes
_COMMON = 5_000_000  # occurrences of an English word that four letters may mean
_SHORTEST = 3
_VOWELS = frozenset("aeiouy")

Decoder = Callable[[str], bytes | str | None]


def decoded(reading: Reading, vocabulary: Vocabulary) -> Reading:
    """Return the reading with one layer of codes undone, or itself.

    Args:
        reading: Letters in their own case, no invisible characters.
        vocabulary: What short stretches must speak of.
    """
    text = reading.text
    if _ESCAPE.search(text) or _BYTES.search(text):
        return read_with(reading, "escapes", _escapes(text))
    for name, pattern, decode in _CODES:
        edits = list(_stretches(text, pattern, decode, vocabulary))
        if edits:
            return read_with(reading, name, edits)
    return read_with(reading, "rot13", _rotated(text, vocabulary))


def _escapes(text: str) -> list[Edit]:
    edits = []
    for match in _ESCAPE.finditer(text):
        plain = html.unescape(match[0]) if match[0].startswith("&") else _code_point(match[0])
        if plain != match[0] and plain.isprintable():
            edits.append(Edit(match.start(), match.end(), plain))
    for match in _BYTES.finditer(text):
        octal = match[0][0] == "\\" and match[0][1] != "x"
        codes = [int(each, 8) for each in match[0].split("\\")[1:]] if octal else None
        raw = bytes(codes) if codes else bytes.fromhex(re.sub(r"\\x|[%=]", "", match[0]))
        decoded_bytes = _as_text(raw)
        if decoded_bytes is not None:
            edits.append(Edit(match.start(), match.end(), decoded_bytes))
    return without_overlaps(edits)


def _code_point(escape: str) -> str:
    number = int(re.sub(r"^(?:\\u\{?|\\U|%u|[Uu]\+)|[} ,;]", "", escape), 16)
    return escape if number in _SURROGATES or number > _LAST_CODE_POINT or not number else chr(number)


def _as_text(raw: bytes | str | None) -> str | None:
    if isinstance(raw, bytes):
        try:
            raw = raw.decode()
        except UnicodeDecodeError:
            return None
    if raw is None or any(unicodedata.category(c) in {"Cc", "Cn", "Co", "Cs"} and c not in "\n\t\r" for c in raw):
        return None
    return raw


def _stretches(text: str, pattern: re.Pattern[str], decode: Decoder, vocabulary: Vocabulary) -> Iterable[Edit]:
    for match in pattern.finditer(text):
        plain = _as_text(decode(match[0]))
        if plain is not None and _reads_well(plain, match[0], vocabulary):
            yield Edit(match.start(), match.end(), plain)


def _reads_well(plain: str, coded: str, vocabulary: Vocabulary) -> bool:
    inner = _as_text(_base64(plain)) if _BASE64.fullmatch(plain) else None
    if inner is not None and (vocabulary.speaks(inner.lower()) or _are_words(inner, vocabulary)):  # a code in a code
        return True
    if not plain or vocabulary.is_english(coded.lower()):
        return False
    letters = sum(character.isalpha() or character == " " for character in plain)
    if len(plain.encode()) >= _ENOUGH and letters >= _SHARE_OF_LONG * len(plain):  # ages and signs stand among letters
        return True
    if letters < _SHARE_OF_LETTERS * len(plain):
        return False
    return vocabulary.speaks(plain.lower()) or _are_words(plain, vocabulary)


def _are_words(plain: str, vocabulary: Vocabulary) -> bool:
    """Say whether a stretch is made of ordinary words, one of them long: no other stretch decodes to such."""
    words = plain.lower().split(" ")
    long_enough = max(map(len, words)) >= _SAFE_LENGTH or any(word in vocabulary.named for word in words)
    return long_enough and all(map(vocabulary.is_word, words))


def _base64(coded: str) -> bytes | None:
    bare = coded.rstrip("=").replace("-", "+").replace("_", "/")
    if len(bare) % 4 == 1 or bare.isdigit():
        return None
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        return None


def _hex(coded: str) -> bytes | None:
    words = coded.split(" ")
    if max(map(len, words)) > _DUMPED and all(len(word) > _TWO_DIGITS and len(word) % 2 == 0 for word in words):
        return b" ".join(map(bytes.fromhex, words)) if all(map(str.isalnum, words)) else None  # a word in each
    digits = re.sub(r"0[xX](?=[0-9a-fA-F]{2})|[ :,\-]", "", coded) if not coded.isalnum() else coded.removeprefix("0x")
    return bytes.fromhex(digits) if len(digits) % 2 == 0 else None


def _binary(coded: str) -> bytes | None:
    groups = re.findall(r"[01]+", coded)
    if len(groups) == 1:
        groups = [coded[start : start + 8] for start in range(0, len(coded), 8)]
    return bytes(int(group, 2) for group in groups if len(group) <= 8)  # noqa: PLR2004 # bits of a byte


def _decimal(coded: str) -> bytes | None:
    numbers = [int(number) for number in re.findall(r"\d+", coded)]
    letters = all(number < 128 and (chr(number).isalpha() or number == 32) for number in numbers)  # noqa: PLR2004 # ASCII
    return bytes(numbers) if letters else None


def _morse(coded: str) -> str | None:
    words = [[_MORSE_LETTERS.get(sign) for sign in word.split()] for word in re.split(r"/|  ", coded)]
    if len(words) > 1 and all(len(word) == 1 for word in words):
        words = [[word[0] for word in words]]
    letters = ["".join(letter or "" for letter in word) for word in words if None not in word]
    return " ".join(letters) if letters else None


_CODES: tuple[tuple[str, re.Pattern[str], Decoder], ...] = (
    ("binary", _BINARY, _binary),
    ("hex", _HEX, _hex),
    ("base64", _BASE64, _base64),
    ("base64", _BASE64_BESIDE, _base64),
    ("decimal", _DECIMAL, _decimal),
    ("morse", _MORSE, _morse),
)


def _rotated(text: str, vocabulary: Vocabulary) -> list[Edit]:
    """Words that are odd as they stand and of the lexicon thirteen letters on; then all others that turn into words."""
    odd, words, wanted = [], 0, False
    for match in _WORD.finditer(text):
        words += len(match[0]) > 1  # a single letter is a word in every code
        word = match[0].lower()
        if vocabulary.is_word(word):
            continue
        turned = codecs.encode(word, "rot13")
        if vocabulary.is_word(turned) and len(word) > 1:
            odd.append(match)
            wanted = wanted or _no_accident(match[0], turned, vocabulary)
    # Where most of a text turns into words, it is a code, however short they are.
    most = len(odd) * 2 > words
    if not wanted and not (most and sum(len(match[0]) for match in odd) >= _ENOUGH):
        return []
    if most:  # the whole text is turned, English by accident or not
        odd = list(_WORD.finditer(text))
    edits = [Edit(match.start(), match.end(), codecs.encode(match[0], "rot13")) for match in odd]
    return edits if most else [edit for edit in edits if _is_long(edit.replacement.lower(), vocabulary)]


def _is_long(turned: str, vocabulary: Vocabulary) -> bool:
    """Say whether a word is no abbreviation, as many words of three letters in the English list are."""
    return len(turned) >= _SAFE_LENGTH or turned in vocabulary.named


def _no_accident(word: str, turned: str, vocabulary: Vocabulary) -> bool:
    """Say whether an odd word is long enough, or strange enough, to be a code and not a name or an abbreviation."""
    if len(word) > _SAFE_LENGTH or (len(word) == _SAFE_LENGTH and turned in vocabulary.words):
        return True
    if not word.islower():
        return False
    if len(word) == _SAFE_LENGTH:
        return turned in vocabulary.named or vocabulary.count(turned) >= _COMMON
    return len(word) == _SHORTEST and turned in vocabulary.words and _VOWELS.isdisjoint(word)
