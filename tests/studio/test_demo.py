"""What the demo says about its own pictures is true."""

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from studio.demo.seam import seam_panel
from tests.studio.conftest import box_mask, noise


class Plain:
    """A recipe that paints grey."""

    def plain(self, pixels: np.ndarray, mask: np.ndarray, prompt: str, *, size: tuple[int, int], **_: Any) -> Any:
        return np.full((size[1], size[0], 3), 128, np.uint8)


@pytest.mark.parametrize(("checkpoint", "same"), [("flux-mini-fill", True), ("FLUX.1-Fill-dev", False)])
def test_the_seam_panel_says_same_weights_only_where_they_are(checkpoint: str, same: bool) -> None:
    baselines: Future[Any] = Future()
    baselines.set_result(Plain())
    sampling = {"seed": "7", "steps": 4, "guidance": 30.0}
    model = {"checkpoint": checkpoint, "box": [0, 0, 64, 48], "model_size": [64, 48], "sampling": sampling}
    panel = seam_panel(baselines, noise(), box_mask(), noise(), "a blue star", model)
    assert ("same weights" in (panel.note or "")) is same
    assert same or checkpoint in (panel.note or "")
