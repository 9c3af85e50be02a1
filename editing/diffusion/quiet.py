"""Quiet: run diffusers and transformers without their bars and advice, and leave their switches as they were."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from editing.diffusion.torchvision_shim import ensure_torchvision

ensure_torchvision()
# peft, where it is installed, brings bitsandbytes along, which advises to install a kernel that nothing here uses.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

from diffusers.utils import logging as diffusers_logging  # noqa: E402 - the shim comes first
from transformers.utils import logging as transformers_logging  # noqa: E402 - the shim comes first

_ERROR = 40


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence these two libraries' progress bars and log lines below an error while the block runs.

    Their deprecation notices too: diffusers 0.42's own ControlNet warns of diffusers' own class.
    """
    libraries = (diffusers_logging, transformers_logging)
    before = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity(_ERROR)
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for library, (verbosity, bar) in zip(libraries, before, strict=True):
            library.set_verbosity(verbosity)
            if bar:
                library.enable_progress_bar()
