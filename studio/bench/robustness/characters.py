"""Disguises of the letters themselves, of the fingers, and of letters left out. Pure.

Each list is the common form of the trick as it is met in forums and in published attacks on prompt filters; none is
made from the tables with which the policy undoes it.
"""

from studio.bench.robustness.disguise import BOTH, ENGLISH, Change, Disguise, Family, pick, words

_ENGLISH = frozenset({ENGLISH})
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_HOMOGLYPHS = str.maketrans("aceopxyisj", "асеорхуіѕј")
_GREEK = str.maketrans("aikopuvxy", "αικορυνχγ")
_LEET = str.maketrans("aeiost", "431057")
_SIGNS = str.maketrans("aeios", "@3!0$")
_SMALL_CAPITALS = str.maketrans(_LOWER, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘqʀsᴛᴜᴠᴡxʏᴢ")
_UPSIDE_DOWN = str.maketrans(_LOWER, "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz")
_ACCENTS = str.maketrans("aeioucny", "áèîöùçñý")
_MARKS = "\u0301\u0308\u0323\u0330"
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_VOWELS = "aeiou"


def between(sign: str) -> Change:
    """Put a sign between all letters of a word."""

    def change(word: str) -> str:
        return " ".join(sign.join(part) for part in word.split(" "))

    return change


def shifted(first: int) -> Change:
    """Write letters in another alphabet of Unicode that begins at `first`."""
    table = str.maketrans(_LOWER, "".join(chr(first + index) for index in range(len(_LOWER))))
    return lambda word: word.lower().translate(table)


def _full_width(word: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in word)


def _mixed_capitals(word: str) -> str:
    return "".join(letter.upper() if index % 2 else letter.lower() for index, letter in enumerate(word))


def _marked(word: str) -> str:
    return "".join(letter + _MARKS[index % len(_MARKS)] for index, letter in enumerate(word))


def _long_vowels(word: str) -> str:
    return "".join(letter * 3 if letter in _VOWELS else letter for letter in word)


def _swapped(word: str) -> str:
    places = [place for place in range(1, len(word) - 2) if word[place] != word[place + 1]]
    if not places:
        return word
    at = places[pick(word, len(places))]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _inside(word: str) -> int:
    return 1 + pick(word, len(word) - 2)


def _dropped(word: str) -> str:
    at = _inside(word)
    return word[:at] + word[at + 1 :]


def _doubled(word: str) -> str:
    at = _inside(word)
    return word[:at] + word[at] + word[at:]


def _neighbour(word: str) -> str:
    at = _inside(word)
    for row in _KEYS:
        if word[at] in row:
            place = row.index(word[at])
            return word[:at] + (row[place + 1] if place + 1 < len(row) else row[place - 1]) + word[at + 1 :]
    return word


def _added(word: str) -> str:
    at = _inside(word)
    return word[:at] + _LOWER[pick(word + "+", len(_LOWER))] + word[at:]


def _cut(word: str) -> str:
    at = len(word) // 2
    return f"{word[:at]} {word[at:]}"


def long_enough(change: Change, least: int = 5) -> Change:
    """Change only words of so many letters: a typing error in a shorter one makes another word of it."""
    return lambda word: change(word) if len(word) >= least else word


def _masked(sign: str, *, every: bool) -> Change:
    def change(word: str) -> str:
        places = [place for place in range(1, len(word)) if word[place] in _VOWELS]
        hidden = set(places if every else places[:1])
        return "".join(sign if place in hidden else letter for place, letter in enumerate(word))

    return change


def _character(name: str, change: Change, *, both: bool = False) -> Disguise:
    return Disguise(
        name=name, family=Family.CHARACTER, languages=BOTH if both else _ENGLISH, apply=words(change), lossless=True
    )


def _guessed(name: str, family: Family, change: Change) -> Disguise:
    return Disguise(name=name, family=family, languages=_ENGLISH, apply=words(change), lossless=False)


CHARACTERS = (
    _character("homoglyphs, Cyrillic", lambda word: word.lower().translate(_HOMOGLYPHS)),
    _character("homoglyphs, Greek", lambda word: word.lower().translate(_GREEK)),
    _character("full width", _full_width),
    _character("mathematical bold", shifted(0x1D41A)),
    _character("mathematical script", shifted(0x1D4EA)),
    _character("circled letters", shifted(0x24D0)),
    _character("small capitals", lambda word: word.lower().translate(_SMALL_CAPITALS)),
    _character("leet letters", lambda word: word.lower().translate(_LEET)),
    _character("leet signs", lambda word: word.lower().translate(_SIGNS)),
    _character("zero width space", between("\u200b"), both=True),
    _character("word joiner", between("\u2060"), both=True),
    _character("soft hyphen", between("\u00ad")),
    _character("combining marks", _marked),
    _character("accents", lambda word: word.lower().translate(_ACCENTS)),
    _character("spaced", between(" "), both=True),
    _character("dotted", between("."), both=True),
    _character("dashed", between("-"), both=True),
    _character("underscored", between("_"), both=True),
    _character("slashed", between("/"), both=True),
    _character("starred between", between("*"), both=True),
    _character("emoji between", between("🔥"), both=True),
    _character("long vowels", _long_vowels),
    _character("every letter twice", lambda word: "".join(letter * 2 for letter in word)),
    _character("mixed capitals", _mixed_capitals),
    _character("upside down", lambda word: word.lower().translate(_UPSIDE_DOWN)[::-1]),
    _character("words backwards", lambda word: word[::-1]),
)

TYPING = (
    _guessed("letters swapped", Family.TYPING, long_enough(_swapped)),
    _guessed("letter dropped", Family.TYPING, long_enough(_dropped)),
    _guessed("letter doubled", Family.TYPING, long_enough(_doubled)),
    _guessed("neighbouring key", Family.TYPING, long_enough(_neighbour)),
    _guessed("letter added", Family.TYPING, long_enough(_added)),
    _guessed("word cut in two", Family.TYPING, long_enough(_cut)),
)

MASKING = (
    _guessed("star for a vowel", Family.MASKING, _masked("*", every=False)),
    _guessed("stars for vowels", Family.MASKING, long_enough(_masked("*", every=True))),
    _guessed("hash for a vowel", Family.MASKING, _masked("#", every=False)),
    _guessed("underscore for a vowel", Family.MASKING, _masked("_", every=False)),
)
