"""The seam panel: one edit of the demo beside what diffusers' pipeline makes of the same weights, seed and crop."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image

from editing.catalogue import pick
from editing.operations import OperationName
from editing.rasters import Pixels
from editing.seams import measure_seam
from studio.bench.baselines import Crop, plain_edit
from studio.bench.seam_sheet import ZOOM, enlarged_border, outlined
from studio.demo.sheet import Panel
from studio.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import Future

    from editing.flux.baselines import FillBaselines

_SECONDS: Final = 120


def load_baselines(settings: Settings) -> "FillBaselines":
    """Import the models' libraries and load the packaged weights into this process; takes seconds.

    Args:
        settings: Those of the service.

    Returns:
        The recipes of others, ready to run.
    """
    from studio.engines import build_baselines

    # One thread: it is one small edit, and the service's worker is busy on every core meanwhile.
    baselines = build_baselines(settings.model_copy(update={"threads": 1}))
    blank, everywhere = np.zeros((16, 16, 3), np.uint8), np.ones((16, 16), np.float32)
    baselines.plain(blank, everywhere, "", size=(16, 16), seed=0, steps=1, guidance=1.0)
    return baselines


def read_model(address: str, token: str, record: str) -> Mapping[str, Any]:
    """Ask the service how an edit was made.

    Args:
        address: Where the service listens.
        token: Of a key that may read the record.
        record: The record's id.

    Returns:
        The record's model part: box, size, sampling and more.
    """
    answer = httpx.get(f"{address}/v1/records/{record}", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    model: Mapping[str, Any] = answer.raise_for_status().json()["body"]["model"]
    return model


def seam_panel(
    baselines: "Future[FillBaselines]",
    before: Pixels,
    covered: npt.NDArray[np.uint8],
    after: Pixels,
    prompt: str,
    model: Mapping[str, Any],
) -> Panel:
    """Show a border as a plain paste leaves it and as the service left it, enlarged.

    Args:
        baselines: The recipes of others, perhaps still loading.
        before: The photograph, uint8 (h, w, 3), sRGB.
        covered: The mask as it was sent, uint8 (h, w), 255 is edited.
        after: What the service made of it, of the same size.
        prompt: What was asked.
        model: The model part of the edit's record.

    Returns:
        A panel of four pictures; the window lies where the service's own border shows most.
    """
    mask = covered.astype(np.float32) / np.float32(255)
    left, top, right, bottom = model["box"]
    width, height = model["model_size"]
    sampling = model["sampling"]
    crop = Crop(
        before=before,
        mask=mask,
        box=(left, top, right, bottom),
        size=(width, height),
        prompt=prompt,
        seed=int(sampling["seed"]),
    )
    plain = plain_edit(
        baselines.result(_SECONDS), crop, steps=int(sampling["steps"]), guidance=float(sampling["guidance"])
    )
    window = enlarged_border(before, after, mask, crop.box)
    return Panel(
        title="the border of the inpaint above, enlarged: pasted plainly, and ours",
        pictures=[
            (
                "what the model saw, with mask",
                Image.fromarray(np.ascontiguousarray(outlined(before, mask)[crop.slices])),
            ),
            ("photograph", _enlarged(before[window])),
            (f"diffusers' pipeline, pasted: {_score(plain, mask)}", _enlarged(plain[window])),
            (f"ours: {_score(after, mask)}", _enlarged(after[window])),
        ],
        note=f"{_compared(model['checkpoint'])} The score is the step across the border over the picture's own.",
    )


def _compared(checkpoint: str) -> str:
    """What the two have in common: the service runs what its operator prefers, the plain paste the packaged Fill."""
    packaged = pick(OperationName.INPAINT)
    if checkpoint == packaged:
        return "The same weights, seed, words and crop."
    return f"The same seed, words and crop, but other weights: ours {checkpoint}, the plain paste {packaged}."


def _score(pixels: Pixels, mask: npt.NDArray[np.float32]) -> str:
    seam = measure_seam(pixels, mask)
    return f"seam score {seam.score:.1f}" if seam else "no seam"


def _enlarged(part: Pixels) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(part))
    return picture.resize((picture.width * ZOOM, picture.height * ZOOM), Image.Resampling.NEAREST)
