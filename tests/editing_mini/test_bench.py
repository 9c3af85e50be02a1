"""`studio bench mini` on two engines whose scores are known: one draws what is asked for, one does not."""

import json
import re

import cv2
import numpy as np

from editing.engine import EditedImage
from editing.guides import ControlKind
from editing.mini.drawing import BACKGROUNDS, COLOURS, KINDS, Drawing, Shape, draw_shapes
from editing.mini.styles import STYLES
from editing.operations import Erase, Generate, Inpaint, Outpaint
from editing.outpainting import extend
from editing.rasters import Raster
from studio.bench.mini import run
from studio.bench.sheet import draw_judged, is_right


class Draughtsman:
    """Draws what the words say, by program."""

    def run(self, operation, *, on_step, cancelled):
        match operation:
            case Generate():
                pixels = self.generate(operation)
            case Inpaint():
                pixels = self.inpaint(operation)
            case Erase():
                hole = (cv2.dilate(operation.mask, np.ones((3, 3))) > 0).astype(np.uint8)
                pixels = cv2.inpaint(np.array(operation.picture.pixels), hole, 3, cv2.INPAINT_TELEA)
            case Outpaint():
                pixels, _ = extend(operation.picture, operation.placement)
        return EditedImage(raster=Raster(pixels=np.ascontiguousarray(pixels)), facts=None)

    def generate(self, operation):
        if operation.guides.controls:
            return operation.guides.controls[0].picture.pixels
        ground = next(rgb for name, rgb in BACKGROUNDS.items() if f"a {name} background" in operation.prompt)
        canvas = np.full((operation.height, operation.width, 3), ground, np.uint8)
        words = re.findall(rf"({'|'.join(COLOURS)}) ({'|'.join(KINDS)})", operation.prompt)
        lane = operation.width / len(words)
        shapes = [a_shape(c, k, (i + 0.5) * lane, operation.height / 2, 0.3 * lane) for i, (c, k) in enumerate(words)]
        drawing = Drawing(pixels=draw_shapes(canvas, shapes), clean=canvas, background="", shapes=tuple(shapes))
        for lora in operation.guides.loras:
            return STYLES[lora.name.removeprefix("flux-mini-")](drawing)
        return drawing.pixels

    def inpaint(self, operation):
        rows, columns = np.nonzero(operation.mask)
        _, colour, kind = operation.prompt.split()
        return draw_shapes(
            operation.picture.pixels, [a_shape(colour, kind, float(columns.mean()), float(rows.mean()), 24.0)]
        )


class Painter:
    """Paints everything purple."""

    def run(self, operation, *, on_step, cancelled):
        match operation:
            case Generate():
                size = operation.height, operation.width
            case Outpaint():
                size = operation.placement.height, operation.placement.width
            case _:
                size = operation.picture.pixels.shape[:2]
        pixels = np.full((*size, 3), COLOURS["purple"], np.uint8)
        if isinstance(operation, Outpaint):
            place = operation.placement
            pixels[place.top : place.top + 128, place.left : place.left + 128] = operation.picture.pixels
        return EditedImage(raster=Raster(pixels=pixels), facts=None)


def a_shape(colour, kind, x, y, radius):
    return Shape(kind=kind, colour=colour, x=x, y=y, radius=radius, rgb=COLOURS[colour])


def test_an_engine_that_does_as_it_is_told_scores_full_marks():
    seen = []
    scores = run(Draughtsman(), count=8, on_progress=lambda done, total: seen.append((done, total)))
    assert scores.right == {"generate": 1.0, "inpaint": 1.0, "erase": 1.0}
    assert scores.outpaint_border_de < 6
    assert scores.edge_f1_with == 1.0
    assert scores.edge_f1_with - scores.edge_f1_without > 0.25
    assert min(scores.edge_f1_by.values()) > 0.9
    assert set(scores.edge_f1_by) == set(ControlKind) - {"pose"}
    assert min(scores.styles.values()) >= 0.6
    assert seen[-1] == (81, 81)
    assert len(scores.judged) == 81


def test_an_engine_that_does_not_scores_none():
    scores = run(Painter(), count=4)
    assert scores.right == {"generate": 0.0, "inpaint": 0.0, "erase": 0.0}
    assert scores.outpaint_border_de > 20
    assert scores.edge_f1_with < 0.1
    assert max(scores.edge_f1_by.values()) < 0.1
    assert set(scores.styles.values()) == {0.0}
    assert not any(is_right(one) for one in scores.judged)


def test_the_json_is_what_the_reports_read():
    scores = run(Painter(), count=1)
    assert list(json.loads(json.dumps(scores.to_json()))) == [
        "right",
        "outpaint_border_de",
        "edge_f1",
        "edge_f1_by",
        "styles",
    ]
    assert scores.to_json()["edge_f1"].keys() == {"with", "without"}


def test_the_sheet_shows_every_picture():
    image = draw_judged(run(Draughtsman(), count=2).judged)
    assert image.mode == "RGB"
    assert image.height > 6 * 160
