"""Makes the readings of a text: in which order, in how many rounds, and how many. Pure.

The plan:

1. Codes are undone on the text in its own case, layer by layer: an escape may hide base64.
2. The canonical reading is made of that.
3. Each further reading builds on the last, so that a text with several disguises is read without any of them; each
   is kept, so that none can hide what the one before it showed. A reading that finds nothing to undo costs a look.
4. Another round follows as long as the last one changed something: letters joined may be leetspeak.
5. At last the signs that are left between words are taken out, beside the readings that have them.

All bounds are fixed: at most `MOST_READINGS` readings of one text, in at most `ROUNDS` rounds.
"""

from collections.abc import Callable

from policy.readings import tables
from policy.readings.canonical import Canonical, spaced
from policy.readings.confusables import Confusables
from policy.readings.decodings import decoded
from policy.readings.leetspeak import letters_for_signs
from policy.readings.lexicon import Lexicon
from policy.readings.marks import without_marks
from policy.readings.masked import Masked
from policy.readings.pinyin import Pinyin
from policy.readings.reading import Reading, as_written
from policy.readings.reversals import text_turned, words_turned
from policy.readings.separators import joined
from policy.readings.split_characters import SplitCharacters
from policy.readings.syntax import put_together, without_syntax
from policy.readings.typing_errors import TypingErrors
from policy.readings.vocabulary import Vocabulary
from policy.readings.words_apart import apart

MOST_READINGS = 12
ROUNDS = 2
LAYERS = 3
"""How many codes may lie around each other."""

MOST_GROWTH = 2
"""How many times as long as the canonical reading a reading may be; a longer one is not made.

Not as the text: ligatures and squared words alone make a text longer, and would push out whatever stands beside them.
"""

Step = Callable[[Reading], Reading]


class Reader:
    """Reads texts with one lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        """Open the tables and index the words.

        Args:
            lexicon: Words of the rules.

        Raises:
            PolicyError: A package whose tables are needed is not installed.
        """
        vocabulary = Vocabulary(lexicon, tables.english())
        self._vocabulary = vocabulary
        self._canonical = Canonical(tables.simplified())
        confusables, split = Confusables(tables.look_alikes()), SplitCharacters(tables.split_characters())
        typing_errors, masked, pinyin = (
            TypingErrors(vocabulary, tables.common_english()),
            Masked(vocabulary),
            Pinyin(vocabulary, tables.pinyin()),
        )
        self._steps: tuple[Step, ...] = (
            lambda reading: confusables.read(reading, vocabulary),
            lambda reading: letters_for_signs(reading, vocabulary),
            masked.filled,
            lambda reading: without_syntax(reading, vocabulary),
            pinyin.spelt,
            lambda reading: joined(reading, vocabulary),
            lambda reading: words_turned(reading, vocabulary),
            typing_errors.unrepeated,
            lambda reading: split.read(reading, vocabulary),
            pinyin.sounded,
            typing_errors.repaired,
            lambda reading: apart(reading, vocabulary),
        )

    def read(self, text: str) -> tuple[Reading, ...]:
        """Return every reading of a text.

        Args:
            text: Any text without lone surrogates.

        Returns:
            1..MOST_READINGS readings, no two with the same text. The first is the text as it was written.
        """
        written = as_written(text)
        kept = {text: written}

        # 1, 2: codes, then the canonical reading, of the text with and without them.
        plain = self._canonical.canonical(written)
        kept.setdefault(plain.text, plain)
        open_text = self._opened(written)
        base = plain if open_text is written else self._canonical.canonical(open_text)
        longest = MOST_GROWTH * max(len(text), len(plain.text), 1)
        self._keep(kept, base, longest)

        # 3, 4, 5: one reading on top of the other, in rounds; a text turned around is a reading beside the others.
        self._keep_steps(kept, base, longest)
        turned = text_turned(base, self._vocabulary)
        if turned is not base:
            self._keep(kept, turned, longest)
            self._keep_steps(kept, turned, longest, rounds=1)
        return tuple(kept.values())

    def _opened(self, written: Reading) -> Reading:
        """Undo codes, layer by layer."""
        opened, clean = written, self._canonical.cleaned(written)
        for _ in range(LAYERS):
            layer = decoded(clean, self._vocabulary)
            if layer is clean:
                break
            opened = layer
            clean = self._canonical.cleaned(layer)
        return opened

    def _keep_steps(self, kept: dict[str, Reading], reading: Reading, longest: int, rounds: int = ROUNDS) -> None:
        before = reading
        reading = spaced(put_together(reading, self._vocabulary))
        if reading is not before:
            self._keep(kept, reading, longest)
        for _ in range(rounds):
            before = reading
            for step in self._steps:
                read = step(reading)
                if read is not reading:
                    reading = spaced(read)
                    self._keep(kept, reading, longest)
            if reading is before:
                break
        # Last, since signs may stand for letters; what is left of them stands between words.
        spread = without_marks(reading)
        if spread is not reading:
            self._keep(kept, spaced(spread), longest)

    @staticmethod
    def _keep(kept: dict[str, Reading], reading: Reading, longest: int) -> None:
        if reading.text in kept or len(reading.text) > longest:
            return
        if len(kept) == MOST_READINGS:
            kept.popitem()  # the one before: the new one is made of it and undoes more
        kept[reading.text] = reading
