"""Errors of the editing room: one base class, a stable code each, and the value and limit that were at odds."""

import math


class EditingError(Exception):
    """Something about an edit cannot be done as asked; `str()` is a sentence for people.

    Attributes:
        code: Stable, machine-readable reason, such as `picture_truncated`.
        field: Name of the request field at fault, or None if no field is.
        value: What was given, or None where it cannot be shown.
        limit: What would have been allowed, or None where there is no limit.
    """

    def __init__(
        self, message: str, *, code: str, field: str | None = None, value: object = None, limit: object = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.value = value
        self.limit = limit


class PictureError(EditingError):
    """A picture cannot be read, or is beyond a limit (`picture_*` codes)."""


class MaskError(EditingError):
    """A mask cannot be read, does not fit its picture, or edits nothing (`mask_*` codes)."""


class OperationError(EditingError):
    """An operation's parameters are out of range, or its checkpoint cannot run it."""


class EngineError(EditingError):
    """The engine cannot load or run a checkpoint (`weights_missing`, `licence_not_accepted`, ...)."""


class EditCancelled(Exception):  # noqa: N818 - an outcome that was asked for, not an error
    """Raised out of `EditEngine.run` within one step of `cancelled()` turning true."""


def within(code: str, name: str, value: float, limits: tuple[float, float]) -> None:
    """Check a number against its limits.

    Args:
        code: Of the error.
        name: Of the request field.
        value: What was given.
        limits: Smallest and largest value allowed.

    Raises:
        OperationError: `code`, if the value is not finite or lies outside.
    """
    low, high = limits
    if not (math.isfinite(value) and low <= value <= high):
        raise OperationError(
            f"{name} must lie in {low}..{high}, got {value}", code=code, field=name, value=value, limit=[low, high]
        )
