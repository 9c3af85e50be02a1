"""Licences: whether weights may load, asked at every run."""

from collections.abc import Callable

from editing.checkpoints import Checkpoint
from editing.errors import EngineError


def require_licence(
    checkpoint: Checkpoint, accepted: Callable[[str], bool], *, field: str = "checkpoint", instead: str = ""
) -> None:
    """Refuse weights whose licence nobody accepted.

    Args:
        checkpoint: The catalogue's entry.
        accepted: Whether the licence of a checkpoint of this name was accepted.
        field: Name of the request field, for the error.
        instead: What would do without them, for people.

    Raises:
        EngineError: `licence_not_accepted`.
    """
    if checkpoint.needs_acceptance and not accepted(checkpoint.name):
        otherwise = f"; {instead}" if instead else ""
        raise EngineError(
            f"the licence of {checkpoint.name} ({checkpoint.licence}, {checkpoint.licence_url}) has not been "
            f"accepted: read it, then `studio models accept {checkpoint.name}`{otherwise}",
            code="licence_not_accepted",
            field=field,
            value=checkpoint.name,
            limit=checkpoint.licence,
        )
