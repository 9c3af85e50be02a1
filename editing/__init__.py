"""Pixels in, pixels out: masks, canvases, control images and the FLUX pipelines.

Outside the uploaded mask not one pixel value changes, on every route. This package knows nothing of HTTP, users, policy
or databases, and imports no torch outside `editing.flux` and `editing.mini.training`.
"""
