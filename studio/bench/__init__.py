"""Benchmarks: quality and speed, with a table for people and one JSON object for programs."""
