"""What the demo says about its own pictures is true."""

import re
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editing.catalogue import find
from editing.detecting import DETECTORS
from editing.guides import ControlKind, Detector
from editing.mini.drawing import COLOURS, KINDS
from studio.client import encoded
from studio.demo import guides
from studio.demo.seam import seam_panel
from studio.demo.sheet import Column, Panel, Table, draw_sheet
from studio.jobs.requests import REQUESTS
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


class Recorder:
    """A client that answers every request with a finished job, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], dict[str, Path]]] = []

    def submit(self, operation: str, members: dict[str, Any], pictures: dict[str, Path]) -> dict[str, Any]:
        self.asked.append((operation, dict(members), dict(pictures)))
        return {"state": "done", "outputs": [{"digest": f"{len(self.asked):064x}"}]}


def test_the_demo_asks_what_the_service_takes(tmp_path: Path) -> None:
    client: Any = Recorder()
    maps = guides.ask_for_maps(client, tmp_path)
    guides.ask_with_maps(client, maps, tmp_path)
    guides.ask_with_loras(client)
    for operation, members, pictures in client.asked:
        kind = {"kind": operation.removeprefix("controls/")} if operation.startswith("controls/") else {}
        image = {name: encoded(path) for name, path in pictures.items()}
        REQUESTS["control_map" if kind else operation].model_validate(members | image | kind)


def test_every_kind_of_control_that_the_net_reads_is_shown_with_its_map_and_result(tmp_path: Path) -> None:
    client: Any = Recorder()
    maps = guides.ask_for_maps(client, tmp_path)
    asked = guides.ask_with_maps(client, maps, tmp_path)
    outputs = dict.fromkeys([*maps, *asked], Image.new("RGB", (128, 128)))
    table = guides.control_panel(outputs).table
    assert [column.head for column in table] == [kind.value for kind in find("flux-mini-union").controls]
    assert {len(column.pictures) for column in table} == {3}


@pytest.mark.parametrize("kind", guides.SCENES)
def test_a_scenes_map_is_made_by_a_detector_of_its_kind_without_weights(kind: ControlKind) -> None:
    detector = guides.SCENES[kind].detector
    if detector is None:
        assert kind in guides.exported_maps()
    else:
        assert DETECTORS[Detector(detector)].kind is kind
        assert not DETECTORS[Detector(detector)].checkpoints


def test_the_loras_of_the_demo_fit_its_base() -> None:
    assert all(find(name).fits(find("flux-mini")) for loras in guides.LORAS.values() for name, _ in loras)


def test_tables_and_panels_share_a_sheet_and_hide_nothing() -> None:
    colours = [(250, 20 * index, 5) for index in range(6)]
    tiles = [Image.new("RGB", (128, 128), colour) for colour in colours]
    table = Table(
        title="a table",
        table=[Column(head="one", pictures=tiles[:2], foot="“words”"), Column(head="two", pictures=tiles[2:4])],
        note="how to read it",
    )
    panels = [Panel(title="a panel", pictures=[("left", tiles[4])]), table, Panel(title="b", pictures=[("", tiles[5])])]
    seen = np.asarray(draw_sheet(panels)).reshape(-1, 3)
    shown = [int((seen == colour).all(1).sum()) for colour in colours]
    assert shown[:4] == [128 * 128] * 4
    assert shown[4:] == [225 * 225] * 2


def test_what_the_demo_wants_drawn_is_what_its_words_say() -> None:
    for scene in guides.SCENES.values():
        named = re.findall(rf"({'|'.join(COLOURS)}) ({'|'.join(KINDS)})", scene.prompt)
        assert [kind for _, kind in named] == [shape.kind for shape in scene.shapes]
