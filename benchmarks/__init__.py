"""Measurements, each a module of its own: `python -m benchmarks.compile_time`."""
