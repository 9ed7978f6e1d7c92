"""The compiler's environment variables, read in one place.

GRAPHWRIGHT_TRACE=1    print a line per pass while compiling
GRAPHWRIGHT_DUMP=dir   write the graph after each pass: dir/00_built.txt, dir/01_….txt, …
GRAPHWRIGHT_CPU=name   make native code for this kind of CPU: x86-64-v2, x86-64-v3 … (target.py)
GRAPHWRIGHT_CACHE=dir  keep native code there; off, 0 or empty: keep none (disk_cache.py)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The switches as they stand."""

    trace: bool
    dump: Path | None
    cpu: str
    cache: str | None


def settings() -> Settings:
    """Read the environment; an empty value or 0 means off."""
    trace = os.environ.get("GRAPHWRIGHT_TRACE", "0") not in ("", "0")
    dump = os.environ.get("GRAPHWRIGHT_DUMP", "")
    cpu = os.environ.get("GRAPHWRIGHT_CPU", "")
    cache = os.environ.get("GRAPHWRIGHT_CACHE")  # unset is not empty
    return Settings(trace, Path(dump) if dump else None, cpu, cache)
