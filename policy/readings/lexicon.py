"""The words that readings look for: what the rules name, in both scripts. Pure.

Some disguises can be undone only by knowing what might be meant: a starred word, a typing error, a word in pinyin, a
character taken apart. They are undone towards these words and no others.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Words of the rules.

    Attributes:
        words: English words that people disguise, lower case, in every form that the rules match.
        beside: English words that only count beside others; looked for only where they are rare in English, so that no
            ordinary misspelling of an ordinary word is taken for a disguise.
        stems: Beginnings of English words, where the rules take any ending.
        chinese: Chinese terms of one character or more, simplified.
    """

    words: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    stems: frozenset[str] = frozenset()
    chinese: frozenset[str] = frozenset()
