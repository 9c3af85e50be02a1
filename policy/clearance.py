"""Proof, in the type, that a value was screened and allowed.

Steps that must not run unscreened take `Cleared[T]`. Only `clear` makes one, and only from a verdict that allows, so
skipping a screening does not type-check, and does not run either: a `Cleared` that `clear` did not issue (built with
`object.__new__`, copied, unpickled) refuses to give its value. It is a plain class on purpose: a dataclass could be
forged with `dataclasses.replace`.
"""

from typing import Generic, Never, NoReturn, Self, TypeVar, final
from weakref import WeakSet

from typing_extensions import override

from policy.errors import NotClearedError
from policy.verdict import Decision, Verdict

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@final
class Cleared(Generic[T_co]):
    """A value together with the verdict that allowed it; made by `clear` alone."""

    __slots__ = ("__weakref__", "_value", "_verdict")
    _value: T_co
    _verdict: Verdict

    def __new__(cls, *_: Never, **__: Never) -> Self:
        """Refuse: `clear` is the only way.

        Raises:
            NotClearedError: Always.
        """
        raise NotClearedError("Cleared is made by policy.clear(value, verdict) only")

    @classmethod
    @override
    def __init_subclass__(cls, **_: object) -> NoReturn:
        raise NotClearedError("Cleared cannot be subclassed")

    @property
    def value(self) -> T_co:
        """The value that was screened.

        Raises:
            NotClearedError: This object was not issued by `clear`.
        """
        _check_issued(self)
        return self._value

    @property
    def verdict(self) -> Verdict:
        """The verdict that allowed it.

        Raises:
            NotClearedError: This object was not issued by `clear`.
        """
        _check_issued(self)
        return self._verdict

    @override
    def __setattr__(self, name: str, _: object) -> NoReturn:
        raise NotClearedError(f"a cleared value cannot be changed: {name}")

    @override
    def __delattr__(self, name: str) -> NoReturn:
        raise NotClearedError(f"a cleared value cannot be changed: {name}")

    def __copy__(self) -> NoReturn:
        raise NotClearedError("a cleared value cannot be copied")

    def __deepcopy__(self, _: object) -> NoReturn:
        raise NotClearedError("a cleared value cannot be copied")

    def __replace__(self, **_: object) -> NoReturn:
        raise NotClearedError("a cleared value cannot be replaced")

    @override
    def __reduce_ex__(self, _: object) -> NoReturn:
        raise NotClearedError("a cleared value cannot be pickled: clearance does not outlive its process")

    @override
    def __repr__(self) -> str:
        """Name the type only: the value may hold personal text."""
        return "<Cleared>"


_ISSUED: WeakSet[Cleared[object]] = WeakSet()


def clear(value: T, verdict: Verdict) -> Cleared[T]:
    """Clear a value that was screened.

    Args:
        value: What was screened; the caller vouches that the verdict is about this very value.
        verdict: The answer of `Policy.screen`.

    Returns:
        The value as cleared.

    Raises:
        NotClearedError: The verdict does not allow, or is no `Verdict`.
    """
    if type(verdict) is not Verdict:
        raise NotClearedError(f"only a Verdict clears, got {type(verdict).__name__}")
    if verdict.decision is not Decision.ALLOW:
        raise NotClearedError(f"only a verdict of allow clears, got {verdict.decision}")
    cleared: Cleared[T] = object.__new__(Cleared)
    object.__setattr__(cleared, "_value", value)
    object.__setattr__(cleared, "_verdict", verdict)
    _ISSUED.add(cleared)
    return cleared


def _check_issued(cleared: Cleared[object]) -> None:
    if cleared not in _ISSUED:
        raise NotClearedError("this object was not issued by policy.clear")
