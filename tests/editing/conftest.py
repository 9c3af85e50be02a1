from pathlib import Path

import cv2
import pytest

from editing.engine import EditEngine

cv2.setNumThreads(1)  # many tiny pictures: a pool of threads costs more than it saves


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from tests.editing.tiny import build

    return build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def engine(tiny_weights: dict[str, Path]) -> EditEngine:
    from editing.diffusion.building import build_engine
    from editing.diffusion.settings import EngineSettings

    settings = EngineSettings(weights=tiny_weights, device="cpu", threads=1)
    return build_engine(settings, accepted=lambda _name: True)
