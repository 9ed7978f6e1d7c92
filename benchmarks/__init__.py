"""Measurements.

`python -m benchmarks` runs Graphwright and the installed peers side by side; docs/benchmarks.md
says how. `python -m benchmarks.compile_time` and `python -m benchmarks.import_time` measure those.
"""
