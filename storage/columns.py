"""Column types that mean the same on SQLite and PostgreSQL: UTC times, JSON, and words from a closed list."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Enum, Text
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

from storage.errors import InvalidValueError


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: given with any zone, stored and returned in UTC. SQLite has no zones and keeps the UTC digits."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise InvalidValueError(f"a time needs a zone, got {value.isoformat()}")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    r"""JSON as ASCII text.

    PostgreSQL's own JSON types refuse the escape of NUL and rewrite numbers; text keeps exactly what was given.
    """

    impl = Text
    cache_ok = True

    @override
    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_mapping)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidValueError(f"not JSON: {error}") from error

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def choice(words: type[StrEnum]) -> Enum:
    """A text column whose values are those of `words`, checked by the store; the table adds its own check."""
    return Enum(
        words,
        native_enum=False,
        create_constraint=False,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
