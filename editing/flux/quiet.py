"""Quiet: run diffusers and transformers without their bars and advice, and leave their switches as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

from editing.flux.torchvision_shim import ensure_torchvision

ensure_torchvision()

from diffusers.utils import logging as diffusers_logging  # noqa: E402 - the shim comes first
from transformers.utils import logging as transformers_logging  # noqa: E402 - the shim comes first

_ERROR = 40


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence progress bars and anything below an error, of these two libraries only, while the block runs."""
    libraries = (diffusers_logging, transformers_logging)
    before = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity(_ERROR)
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, (verbosity, bar) in zip(libraries, before, strict=True):
            library.set_verbosity(verbosity)
            if bar:
                library.enable_progress_bar()
