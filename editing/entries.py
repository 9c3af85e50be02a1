"""The catalogue: every checkpoint by name; the entries are data, in `editing.zoo`.

Defaults are always ours and explicit, never a pipeline's own: diffusers' differ between pipelines of one checkpoint.
"""

from collections.abc import Mapping
from types import MappingProxyType

from editing.checkpoints import Checkpoint
from editing.errors import OperationError
from editing.zoo.adapters import ADAPTERS
from editing.zoo.controlnets import CONTROLNETS
from editing.zoo.detectors import DETECTORS
from editing.zoo.flux1 import FLUX1
from editing.zoo.flux2 import FLUX2
from editing.zoo.mini import MINI

CATALOGUE: Mapping[str, Checkpoint] = MappingProxyType(
    {checkpoint.name: checkpoint for checkpoint in (*MINI, *FLUX1, *FLUX2, *CONTROLNETS, *ADAPTERS, *DETECTORS)}
)


def find(name: str, *, field: str = "checkpoint") -> Checkpoint:
    """Look a checkpoint up.

    Args:
        name: Its name.
        field: Name of the request field, for the error.

    Returns:
        The catalogue's entry.

    Raises:
        OperationError: `checkpoint_unknown`.
    """
    checkpoint = CATALOGUE.get(name)
    if checkpoint is None:
        raise OperationError(
            f"no checkpoint is called {name[:80]!r}; there are {', '.join(sorted(CATALOGUE))}",
            code="checkpoint_unknown",
            field=field,
            value=name[:80],
            limit=sorted(CATALOGUE),
        )
    return checkpoint
