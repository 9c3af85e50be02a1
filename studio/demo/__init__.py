"""The demo: real requests to a real service, drawn on one sheet."""
