"""Studio: edit pictures with FLUX, screen everything, keep a record of every outcome.

This package composes the three siblings `editing`, `policy` and `storage` into a service: HTTP, workers, command line.
The one sequence that every edit follows is in `studio.jobs.run`.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("flux-studio")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+source"

__all__ = ["__version__"]
