"""Placement: the new canvas of an outpaint and where the old picture lies in it."""

from dataclasses import dataclass
from typing import Self

from editing.errors import OperationError

MAX_CANVAS_SIDE = 65_535
MAX_CANVAS_PIXELS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A canvas, and the place of the old picture's top left corner in it; all in pixels.

    Attributes:
        width: Columns of the canvas.
        height: Rows of the canvas.
        left: Columns left of the old picture.
        top: Rows above the old picture.
    """

    width: int
    height: int
    left: int
    top: int

    @classmethod
    def from_margins(cls, size: tuple[int, int], *, top: int, right: int, bottom: int, left: int) -> Self:
        """Place a picture so that it gains the given margins.

        Args:
            size: Width and height of the picture, in pixels.
            top: Rows to add above.
            right: Columns to add on the right.
            bottom: Rows to add below.
            left: Columns to add on the left.

        Returns:
            The placement, checked.

        Raises:
            OperationError: `margin_negative`, `margins_zero` or `canvas_too_large`.
        """
        for name, value in (("top", top), ("right", right), ("bottom", bottom), ("left", left)):
            if value < 0:
                raise OperationError(
                    f"a margin must be 0 or more pixels, got {name} {value}",
                    code="margin_negative",
                    field=name,
                    value=value,
                    limit=0,
                )
        placement = cls(width=size[0] + left + right, height=size[1] + top + bottom, left=left, top=top)
        placement.check(size)
        return placement

    @classmethod
    def from_canvas(
        cls, size: tuple[int, int], *, width: int, height: int, offset_x: int | None = None, offset_y: int | None = None
    ) -> Self:
        """Place a picture in a canvas of an absolute size.

        Args:
            size: Width and height of the picture, in pixels.
            width: Columns of the canvas.
            height: Rows of the canvas.
            offset_x: Columns left of the picture; None centres it (the odd column goes right).
            offset_y: Rows above the picture; None centres it (the odd row goes below).

        Returns:
            The placement, checked.

        Raises:
            OperationError: `canvas_excludes_picture`, `margins_zero` or `canvas_too_large`.
        """
        left = (width - size[0]) // 2 if offset_x is None else offset_x
        top = (height - size[1]) // 2 if offset_y is None else offset_y
        placement = cls(width=width, height=height, left=left, top=top)
        placement.check(size)
        return placement

    def check(self, size: tuple[int, int]) -> None:
        """Check this placement against the picture it is for.

        Args:
            size: Width and height of the picture, in pixels.

        Raises:
            OperationError: `canvas_too_large`; `canvas_excludes_picture` if not all of the picture lies within;
                `margins_zero` if nothing is added.
        """
        shown = f"{self.width}x{self.height}"
        if max(self.width, self.height) > MAX_CANVAS_SIDE or self.width * self.height > MAX_CANVAS_PIXELS:
            raise OperationError(
                f"the canvas may have sides up to {MAX_CANVAS_SIDE} and {MAX_CANVAS_PIXELS} pixels, got {shown}",
                code="canvas_too_large",
                field="canvas",
                value=shown,
                limit=[MAX_CANVAS_SIDE, MAX_CANVAS_PIXELS],
            )
        right, bottom = self.left + size[0], self.top + size[1]
        if self.left < 0 or self.top < 0 or right > self.width or bottom > self.height:
            raise OperationError(
                f"the picture ({size[0]}x{size[1]} at {self.left},{self.top}) must lie within the canvas {shown}",
                code="canvas_excludes_picture",
                field="canvas",
                value=shown,
                limit=f"{size[0]}x{size[1]}",
            )
        if (self.width, self.height) == size:
            raise OperationError(
                "nothing to extend: every margin is 0", code="margins_zero", field="margins", value=0, limit=1
            )
