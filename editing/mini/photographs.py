"""The photographs that scikit-image carries in its wheel: backgrounds that were not drawn."""

from importlib import resources

import cv2
import numpy as np

from editing.mini.drawing import Picture

NAMES = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "retina.jpg",
    "rocket.jpg",
    "grass.png",
    "gravel.png",
    "brick.png",
)
_SHORT_SIDE = 320  # cuts of 128 px then show parts of things, not grain


def photographs() -> tuple[Picture, ...]:
    """Read the photographs, each uint8 (h, w, 3) sRGB with a short side of at most 320 px.

    Raises:
        FileNotFoundError: The installed scikit-image lacks one of them, or it is damaged.
    """
    folder = resources.files("skimage") / "data"
    pictures = []
    for name in NAMES:
        encoded = np.frombuffer((folder / name).read_bytes(), np.uint8)
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        if decoded is None:
            raise FileNotFoundError(f"{name} of scikit-image is no picture that OpenCV reads")
        picture = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        scale = min(1.0, _SHORT_SIDE / min(picture.shape[:2]))
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        pictures.append(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8))
    return tuple(pictures)
