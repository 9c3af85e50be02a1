"""Words and texts written backwards. Pure."""

import re

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import Vocabulary

_LONG_WORD = re.compile("[a-z]{3,}")
_SAFE_LENGTH = 4
_SAFE_TERM = 3
_NO_ACCIDENT = 5  # letters of a word that is one backwards, whatever it says
_COMMON = 5_000_000  # occurrences of a word that four letters backwards may mean
_STRANGE = (2, 3)  # the share of words that must be odd for the text to be turned
_SHARE = 2  # one odd word in so many must be a word backwards


def words_turned(reading: Reading, vocabulary: Vocabulary) -> Reading:
    """Return the reading with single words turned around, or itself."""
    words = [(start, end, word[::-1]) for start, end, word in vocabulary.odd_words(reading.text)]
    words = [each for each in words if vocabulary.is_word(each[2])]
    if not any(_is_meant(turned, vocabulary) for _, _, turned in words):
        return reading
    # Where one word is turned, the others are, however short.
    return read_with(reading, "reversed_words", [Edit(*each) for each in words])


def _is_meant(turned: str, vocabulary: Vocabulary) -> bool:
    if len(turned) < _SAFE_LENGTH:
        return False
    return len(turned) >= _NO_ACCIDENT or turned in vocabulary.named or vocabulary.count(turned) >= _COMMON


def text_turned(reading: Reading, vocabulary: Vocabulary) -> Reading:
    """Return the whole text turned around if it then makes more sense, or the reading itself."""
    text = reading.text
    odd = vocabulary.odd_words(text)
    turned = sum(vocabulary.is_word(word[::-1]) for _, _, word in odd)
    wanted = any(len(word) >= _SAFE_LENGTH and word[::-1] in vocabulary.words for _, _, word in odd)
    wanted = wanted or sum(len(word) >= _NO_ACCIDENT for _, _, word in odd) > 1
    strange = len(odd) * _STRANGE[1] >= len(_LONG_WORD.findall(text)) * _STRANGE[0]
    if not (wanted and strange and turned * _SHARE >= len(odd)) and not _is_turned_chinese(text, vocabulary):
        return reading
    return read_with(reading, "reversed_text", [Edit(0, len(text), text[::-1])])


def _is_turned_chinese(text: str, vocabulary: Vocabulary) -> bool:
    """Say whether a text holds longer Chinese terms backwards, or several short ones and none forwards."""
    if text.isascii():
        return False
    around = text[::-1]
    backwards = {(end - start, around[start:end]) for start, end in vocabulary.terms_in(around)}
    backwards = {(length, term) for length, term in backwards if term != term[::-1] and length > 1}
    if any(length >= _SAFE_TERM for length, _ in backwards):
        return True
    return len(backwards) > 1 and not any(end - start > 1 for start, end in vocabulary.terms_in(text))
