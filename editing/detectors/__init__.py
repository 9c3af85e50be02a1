"""Detectors: networks that make control images of pictures, from local weights alone; torch is imported here."""

from editing.detectors.shelf import Detectors

__all__ = ["Detectors"]
