"""One reader for all tests: it is a value and never changes."""

import pytest

from policy.readings import Reader
from tests.policy.readings.words import LEXICON


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader(LEXICON)
