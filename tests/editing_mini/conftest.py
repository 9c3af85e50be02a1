"""torchvision must be importable before anything imports diffusers; the training package sees to it."""

import pytest

import editing.mini.training  # noqa: F401 - imported for its effect


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    import torch

    torch.set_num_threads(1)
