"""The policy as it ships, loaded once."""

import pytest

from policy import Decision, Policy, load_policy
from studio.bench.robustness.measuring import Screen


@pytest.fixture(scope="session")
def policy() -> Policy:
    loaded = load_policy()
    # A policy with a fault blocks everything: each of these measurements would look perfect.
    assert loaded.ready().problems == ()
    return loaded


@pytest.fixture(scope="session")
def screen(policy: Policy) -> Screen:
    return lambda texts: policy.screen(texts).decision is not Decision.ALLOW
