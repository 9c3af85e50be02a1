import shutil

import pytest

from policy.guard import build_guard
from tests.policy_guard import tiny


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guard")
    assert tiny.write_trained(folder) < 0.02
    return folder


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    return tiny.write_random(tmp_path_factory.mktemp("untrained"))


@pytest.fixture
def spoilt(untrained, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(untrained, tmp_path / "spoilt")


@pytest.fixture(scope="session")
def guard(trained):
    made = build_guard(str(trained), device="cpu", required=True, answer_limit_s=60, start_limit_s=120)
    yield made
    made.close()
