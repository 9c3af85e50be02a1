"""The words that readings look for: what the rules name, in both scripts. Pure.

Some disguises can be undone only by knowing what might be meant: a starred word, a typing error, a word in pinyin, a
character taken apart. They are undone towards these words and no others.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Words of the rules.

    Attributes:
        words: English words of three letters or more, lower case, in every form that the rules match.
        chinese: Chinese terms of one character or more, simplified.
    """

    words: frozenset[str] = frozenset()
    chinese: frozenset[str] = frozenset()
