"""All disguises, in the order of the tables."""

from studio.bench.robustness.characters import CHARACTERS, MASKING, TYPING
from studio.bench.robustness.chinese import DISGUISES_OF_CHINESE
from studio.bench.robustness.disguise import Disguise, FieldSplit
from studio.bench.robustness.encodings import CONTEXTS, ENCODINGS, SYNTAX
from studio.bench.robustness.fields import FIELD_SPLITS

DISGUISES: tuple[Disguise, ...] = (
    *CHARACTERS,
    *TYPING,
    *MASKING,
    *ENCODINGS,
    *SYNTAX,
    *CONTEXTS,
    *DISGUISES_OF_CHINESE,
)

EVERYTHING: tuple[Disguise | FieldSplit, ...] = (*DISGUISES, *FIELD_SPLITS)

__all__ = ["DISGUISES", "EVERYTHING", "FIELD_SPLITS"]
