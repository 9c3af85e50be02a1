"""What large pictures cost: peak memory and seconds of whole jobs, each in a process of its own.

The command line runs the job path as it is (decode, screen, edit, screen, encode, record) on a fresh home folder, and
the operating system says how much memory the process held at most.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image

from studio.client import StudioProblem

BYTES_FOR_ALL: Final = 1_000_000_000
"""Memory of a job on flux-mini whatever its size: interpreter, torch, weights, working sizes."""
BYTES_PER_PIXEL: Final = 30
"""Memory per pixel of the picture or the canvas, whichever is larger."""
_WEIGHED: Final = """
import atexit, pathlib, resource, sys

def peak():
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

file = pathlib.Path(sys.argv.pop(1))
atexit.register(lambda: file.write_text(str(peak())))
from studio.cli import main
main()
"""
"""The command line, weighing itself as it ends. Linux counts a parent's memory at the fork into what it says of the
child (`ru_maxrss`), so that a large parent would be measured instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeCase:
    """A job on a large picture.

    Attributes:
        name: What is done.
        size: Width and height of the picture.
        canvas: Width and height of the result.
        arguments: Of `studio edit`, without the pictures and --out.
        mask: Left, top, right, bottom of what is edited; None for an outpaint.
    """

    name: str
    size: tuple[int, int]
    canvas: tuple[int, int]
    arguments: Sequence[str]
    mask: tuple[int, int, int, int] | None = None

    @property
    def bound(self) -> int:
        """Bytes that the job may hold at most."""
        return BYTES_FOR_ALL + BYTES_PER_PIXEL * self.canvas[0] * self.canvas[1]


CASES: Final = (
    LargeCase(
        name="inpaint 50 MP, small mask",
        size=(8660, 5774),
        canvas=(8660, 5774),
        arguments=("inpaint", "a red circle"),
        mask=(5000, 3000, 5090, 3080),
    ),
    LargeCase(
        name="erase half of 50 MP",
        size=(8660, 5774),
        canvas=(8660, 5774),
        arguments=("erase",),
        mask=(500, 500, 6600, 5200),
    ),
    LargeCase(
        name="outpaint 12.5 MP to 50 MP",
        size=(4330, 2887),
        canvas=(8660, 5774),
        arguments=("outpaint", "--top", "1443", "--bottom", "1444", "--left", "2165", "--right", "2165"),
    ),
    LargeCase(
        name="outpaint a panorama to 40 MP",
        size=(16000, 2000),
        canvas=(20000, 2000),
        arguments=("outpaint", "--left", "2000", "--right", "2000"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeCost:
    """What one job took.

    Attributes:
        case: The job.
        peak: Bytes the process held at most.
        seconds: Wall-clock time, start of the process included.
    """

    case: LargeCase
    peak: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return what `studio bench large --json` prints of it."""
        return {
            "name": self.case.name,
            "megapixels": round(self.case.canvas[0] * self.case.canvas[1] / 1e6, 1),
            "peak_mb": round(self.peak / 1e6),
            "bound_mb": round(self.case.bound / 1e6),
            "within": self.peak <= self.case.bound,
            "seconds": round(self.seconds, 1),
        }


def run(cases: Sequence[LargeCase], *, on_progress: Callable[[int, int], None]) -> list[LargeCost]:
    """Run every case.

    Args:
        cases: What to run.
        on_progress: Called with cases done and cases in all.

    Returns:
        What each took.

    Raises:
        StudioProblem: A job did not end as done.
    """
    costs = []
    for number, case in enumerate(cases):
        on_progress(number, len(cases))
        with tempfile.TemporaryDirectory() as folder:
            costs.append(_cost(case, Path(folder)))
    on_progress(len(cases), len(cases))
    return costs


def _cost(case: LargeCase, folder: Path) -> LargeCost:
    picture = _picture(case.size, folder / "picture.jpg")
    operation, *rest = case.arguments
    command = [sys.executable, "-c", _WEIGHED, str(folder / "peak"), "edit", operation, str(picture)]
    if case.mask is not None:
        command.append(str(_mask(case, folder / "mask.png")))
    command += [*rest, "--seed", "1", "--out", str(folder / "out.png")]
    environment = os.environ | {"STUDIO_HOME": str(folder / "home")}
    start = time.perf_counter()
    with (folder / "log").open("wb") as log:
        ended = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)  # noqa: S603 - our own interpreter
    seconds = time.perf_counter() - start
    if ended.returncode:
        said = (folder / "log").read_text(errors="replace")[-2000:]
        raise StudioProblem({"code": "bench_failed", "detail": f"{case.name} ended with {ended.returncode}: {said}"})
    with Image.open(folder / "out.png") as out:
        if out.size != case.canvas:
            raise StudioProblem({"code": "bench_failed", "detail": f"{case.name} came back as {out.size}"})
    return LargeCost(case=case, peak=int((folder / "peak").read_text()), seconds=seconds)


def _picture(size: tuple[int, int], path: Path) -> Path:
    """A photograph that scikit-image ships, enlarged."""
    with Image.open(str(resources.files("skimage").joinpath("data", "coffee.png"))) as image:
        pixels = np.asarray(image.convert("RGB"))
    Image.fromarray(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)).save(
        path, quality=90
    )
    return path


def _mask(case: LargeCase, path: Path) -> Path:
    mask = np.zeros((case.size[1], case.size[0]), np.uint8)
    left, top, right, bottom = case.mask or (0, 0, 0, 0)
    mask[top:bottom, left:right] = 255
    Image.fromarray(mask).save(path)
    return path
