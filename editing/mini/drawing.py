"""The pictures flux-mini learns from: coloured shapes on named backgrounds, with the captions that describe them.

Everything is a function of an explicit `numpy.random.Generator`, so a seed names a picture for good.
The vocabulary below is also what the judge (`editing.mini.judge`) reads pictures by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

COLOURS = MappingProxyType(
    {
        "red": (215, 40, 40),
        "green": (25, 130, 55),
        "blue": (45, 75, 215),
        "yellow": (240, 220, 50),
        "purple": (140, 50, 175),
        "orange": (245, 135, 25),
        "white": (248, 248, 248),
        "black": (15, 15, 15),
    }
)
BACKGROUNDS = MappingProxyType(
    {
        "grey": (128, 128, 132),
        "sky": (150, 200, 240),
        "sand": (222, 200, 155),
        "night": (40, 42, 95),
        "grass": (140, 200, 110),
        "pink": (245, 180, 195),
    }
)
PHOTO = "photo"
KINDS = ("circle", "square", "triangle", "star")

_USUAL_SIZES = MappingProxyType({1: (0.27, 0.33), 2: (0.38, 0.43)})  # radius over the room for one shape
_ALL_SIZES = MappingProxyType({1: (0.18, 0.35), 2: (0.30, 0.42)})
_USUAL_SHIFT = 0.11  # of the picture's side, from the middle
_SUBPIXEL_BITS = 4
_PHOTO_SHARE = 0.15
_STAR_WAIST = 0.42  # inner radius over outer radius


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One filled shape.

    Attributes:
        kind: One of `KINDS`.
        colour: One of `COLOURS`.
        x: Centre from the left, pixels.
        y: Centre from the top, pixels.
        radius: Half the side of the box that holds the shape, pixels.
        rgb: The colour as drawn, 0..255 each: the named one, slightly varied.
    """

    kind: str
    colour: str
    x: float
    y: float
    radius: float
    rgb: tuple[int, int, int]

    @property
    def phrase(self) -> str:
        """The words for this shape, such as "a red circle" or "an orange star"."""
        return f"{'an' if self.colour[0] in 'aeiou' else 'a'} {self.colour} {self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A drawn picture and what is in it.

    Attributes:
        pixels: uint8 (h, w, 3), sRGB, 0..255.
        clean: The same picture before the shapes were drawn, uint8 (h, w, 3).
        background: One of `BACKGROUNDS`, or "photo".
        shapes: One shape, or two from left to right.
    """

    pixels: Picture
    clean: Picture
    background: str
    shapes: tuple[Shape, ...]

    @property
    def caption(self) -> str:
        """The full caption, such as "a blue star left of a white square on a grass background"."""
        return f"{self.shapes_phrase} on {background_phrase(self.background)}"

    @property
    def shapes_phrase(self) -> str:
        """The caption without the background."""
        return " left of ".join(shape.phrase for shape in self.shapes)


def background_phrase(name: str) -> str:
    """Return the words for a background, such as "a sand background"."""
    return f"a {name} background"


def draw(
    rng: np.random.Generator,
    width: int,
    height: int,
    *,
    photographs: Sequence[Picture] = (),
    shapes: int | None = None,
    background: str | None = None,
    anywhere: bool = False,
) -> Drawing:
    """Draw a random picture.

    Args:
        rng: Source of every choice.
        width: Width of the picture, pixels.
        height: Height of the picture, pixels.
        photographs: uint8 (h, w, 3) pictures to cut a "photo" background from; noise is drawn where there are none.
        shapes: How many shapes, 1 or 2; chosen if None.
        background: A name of `BACKGROUNDS` or "photo"; chosen if None.
        anywhere: Let shapes lie anywhere and be of any size, instead of about the middle.

    Returns:
        The picture, its clean background, and what was drawn.
    """
    if background is None:
        background = PHOTO if rng.random() < _PHOTO_SHARE else str(rng.choice(list(BACKGROUNDS)))
    clean = draw_background(rng, background, width, height, photographs)
    count = shapes or int(rng.choice([1, 1, 1, 2, 2]))
    placed = place_shapes(rng, width, height, count, anywhere=anywhere)
    return Drawing(pixels=draw_shapes(clean, placed), clean=clean, background=background, shapes=placed)


def draw_background(
    rng: np.random.Generator, name: str, width: int, height: int, photographs: Sequence[Picture] = ()
) -> Picture:
    """Draw a background: plain, a gradient, or a fine texture, all under one name.

    Args:
        rng: Source of every choice.
        name: A name of `BACKGROUNDS` or "photo".
        width: Pixels.
        height: Pixels.
        photographs: uint8 (h, w, 3) pictures to cut a "photo" background from.

    Returns:
        uint8 (h, w, 3), sRGB.
    """
    if name == PHOTO:
        return _cut(rng, photographs, width, height) if photographs else _noise_field(rng, width, height)
    colour = np.array(BACKGROUNDS[name], np.float32) + rng.normal(0, 2.5, 3).astype(np.float32)
    surface = np.broadcast_to(colour, (height, width, 3)).astype(np.float32)
    style = rng.integers(4)
    if style in {1, 2}:
        angle = rng.uniform(0, 2 * np.pi)
        rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        surface = surface + (np.cos(angle) * columns + np.sin(angle) * rows)[..., None] * rng.uniform(4, 14)
    elif style == 3:  # noqa: PLR2004 - the styles are numbered
        grain = _smooth_noise(rng, width, height, cell=int(rng.choice([6, 12, 24])))
        surface = surface + grain[..., None] * rng.uniform(2, 6)
    return _to_picture(surface)


def place_shapes(
    rng: np.random.Generator, width: int, height: int, count: int, *, anywhere: bool = False
) -> tuple[Shape, ...]:
    """Choose shapes that lie wholly inside the picture and apart from each other.

    Args:
        rng: Source of every choice.
        width: Pixels.
        height: Pixels.
        count: 1, or 2: then the first lies in the left half and the second in the right half.
        anywhere: Use all the room there is, and more sizes; otherwise about the middle of the picture or half.

    Returns:
        The shapes from left to right; two never share both colour and kind.
    """
    lane = width / count
    reach = min(lane, height)
    shapes: list[Shape] = []
    for index in range(count):
        sizes = (_ALL_SIZES if anywhere else _USUAL_SIZES)[count]
        radius = float(rng.uniform(*sizes) * reach)
        free_x, free_y = max(0.0, lane / 2 - radius - 2), max(0.0, height / 2 - radius - 2)
        if not anywhere:
            free_x, free_y = min(free_x, _USUAL_SHIFT * width), min(free_y, _USUAL_SHIFT * height)
        x = float((index + 0.5) * lane + rng.uniform(-free_x, free_x))
        y = float(height / 2 + rng.uniform(-free_y, free_y))
        shape = random_shape(rng, x, y, radius)
        while shapes and (shape.colour, shape.kind) == (shapes[0].colour, shapes[0].kind):
            shape = random_shape(rng, x, y, radius)
        shapes.append(shape)
    return tuple(shapes)


def random_shape(rng: np.random.Generator, x: float, y: float, radius: float) -> Shape:
    """Choose a kind and a colour for a shape at a given place (pixels)."""
    colour = str(rng.choice(list(COLOURS)))
    varied = np.clip(np.array(COLOURS[colour]) + rng.normal(0, 4, 3), 0, 255).astype(int)
    rgb = (int(varied[0]), int(varied[1]), int(varied[2]))
    return Shape(kind=str(rng.choice(KINDS)), colour=colour, x=x, y=y, radius=radius, rgb=rgb)


def draw_shapes(picture: Picture, shapes: Sequence[Shape]) -> Picture:
    """Draw filled shapes with smooth edges over a picture.

    Args:
        picture: uint8 (h, w, 3); left as it is.
        shapes: Drawn in order.

    Returns:
        A new uint8 (h, w, 3).
    """
    canvas = picture.copy()
    for shape in shapes:
        scaled = np.round(outline(shape) * 2**_SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(canvas, [scaled], shape.rgb, cv2.LINE_AA, _SUBPIXEL_BITS)
    return canvas


def outline(shape: Shape) -> npt.NDArray[np.float64]:
    """Return a shape's corners as float64 (n, 2) of x and y in pixels; a circle gets 48."""
    if shape.kind == "square":
        side = 0.9  # a square looks as large as a circle when its side is a little shorter
        corners = side * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    elif shape.kind == "triangle":
        corners = np.array([[0, -1], [1, 0.9], [-1, 0.9]], np.float64)
    elif shape.kind == "star":
        turn = -np.pi / 2 + np.arange(10) * np.pi / 5
        reach = np.where(np.arange(10) % 2 == 0, 1.0, _STAR_WAIST)
        corners = np.stack([np.cos(turn) * reach, np.sin(turn) * reach], axis=1)
    else:
        turn = np.arange(48) * 2 * np.pi / 48
        corners = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    placed: npt.NDArray[np.float64] = corners * shape.radius + np.array([shape.x, shape.y])
    return placed


def _cut(rng: np.random.Generator, photographs: Sequence[Picture], width: int, height: int) -> Picture:
    photograph = photographs[int(rng.integers(len(photographs)))]
    full_height, full_width = photograph.shape[:2]
    largest = min(full_width / width, full_height / height)
    scale = rng.uniform(min(1.0, largest), largest)
    box_width, box_height = int(width * scale), int(height * scale)
    left = int(rng.integers(full_width - box_width + 1))
    top = int(rng.integers(full_height - box_height + 1))
    piece = photograph[top : top + box_height, left : left + box_width]
    if rng.integers(2):
        piece = piece[:, ::-1]
    resized = cv2.resize(np.ascontiguousarray(piece), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def _noise_field(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Cloudy colours of several scales: stands in for a photograph where there is none."""
    channels = [sum(_smooth_noise(rng, width, height, cell=cell) * cell for cell in (4, 8, 16, 32)) for _ in range(3)]
    surface = np.stack([np.asarray(channel, np.float32) for channel in channels], axis=-1)
    return _to_picture(128 + surface * 1.2 + rng.normal(0, 30, 3))


def _smooth_noise(rng: np.random.Generator, width: int, height: int, *, cell: int) -> npt.NDArray[np.float32]:
    grid = rng.normal(0, 1, (height // cell + 2, width // cell + 2)).astype(np.float32)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _to_picture(surface: npt.NDArray[np.floating]) -> Picture:
    return np.ascontiguousarray(np.clip(np.round(surface), 0, 255), np.uint8)
