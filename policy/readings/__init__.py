"""Text in, readings out: every way in which a text could be meant, each mapping back to what was written.

The text itself is never replaced: a reading can add matches, never hide one.
"""

from policy.readings.lexicon import Lexicon
from policy.readings.reader import Reader
from policy.readings.reading import Edit, Reading, Span, as_written, read_with

__all__ = ["Edit", "Lexicon", "Reader", "Reading", "Span", "as_written", "read_with"]
