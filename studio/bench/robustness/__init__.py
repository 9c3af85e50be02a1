"""How the policy holds when words are disguised: disguises, a benign set, and what is measured with them.

`studio bench policy` prints the tables; the tests in `tests/policy/robustness` hold them to their goals.
"""

from studio.bench.robustness.disguise import Disguise, FieldSplit
from studio.bench.robustness.disguises import DISGUISES, FIELD_SPLITS
from studio.bench.robustness.measuring import Row, Table, measure
from studio.bench.robustness.prompts import Prompt, benign_prompts, caught_prompts

__all__ = [
    "DISGUISES",
    "FIELD_SPLITS",
    "Disguise",
    "FieldSplit",
    "Prompt",
    "Row",
    "Table",
    "benign_prompts",
    "caught_prompts",
    "measure",
]
