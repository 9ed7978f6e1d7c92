"""How many processors this process may use, and how many threads are asked for.

An operating system tells of all its processors; a container may use fewer. What holds here:

- the processors that the process may be scheduled on (its affinity), and
- the quota of CPU time of its control group and of all that hold it, cgroup v1 or v2: a quota of
  250 ms in each period of 100 ms is 2.5 processors, rounded up to 3.

https://docs.kernel.org/admin-guide/cgroup-v2.html and
https://docs.kernel.org/scheduler/sched-bwc.html
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from graphwright.graph.errors import AttributeValueError
from graphwright.graph.source import here

MOST_THREADS = 1024


def processors(root: Path = Path("/")) -> int:
    """How many processors' time this process may use: at least 1.

    root: where the file systems `proc` and `cgroup` are looked for
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quotas = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([count, *quotas]))


def threads_asked_for() -> int | None:
    """The environment's GRAPHWRIGHT_THREADS; None if it is unset or empty.

    Raises AttributeValueError if it is no whole number from 1 to 1024.
    """
    text = os.environ.get("GRAPHWRIGHT_THREADS", "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise AttributeValueError(
            f"GRAPHWRIGHT_THREADS={text}: no number of threads",
            source=here(),
            hint=f"a whole number from 1 to {MOST_THREADS}; unset, it is {processors()}",
        )
    return int(text)


def _quotas(root: Path) -> Iterator[float]:
    """The limits, in processors, of the process's control groups and of those that hold them."""
    for folder in _groups(root):
        quota = _number_in(folder / "cpu.cfs_quota_us")
        period = _number_in(folder / "cpu.cfs_period_us")
        if quota is None:  # version 2: both in one file
            quota, period = _pair_in(folder / "cpu.max")
        if quota is not None and period is not None and quota > 0 and period > 0:
            yield quota / period


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the process's control groups, each with those above it."""
    paths = {}  # of the group within the hierarchy, by controller; version 2 has none: ""
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            paths[controller] = path
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            path = paths.get("", "/")
        elif kind[0] == "cgroup" and "cpu" in kind[2].split(","):
            path = paths.get("cpu", "/")
        else:
            continue
        mounted, at = _unescaped(fields[3]), root / _unescaped(fields[4]).lstrip("/")
        yield from _folders(path, mounted, at)


def _folders(path: str, mounted: str, at: Path) -> Iterator[Path]:
    """A group's folder and those above it, up to the mount point.

    path:    the group within the hierarchy
    mounted: what part of the hierarchy is mounted
    at:      where
    """
    inside = PurePosixPath(path)
    if inside.is_relative_to(mounted) and ".." not in inside.parts:
        steps = inside.relative_to(mounted).parts
        for length in range(len(steps), 0, -1):
            yield at.joinpath(*steps[:length])
    yield at  # in a container, often the group itself


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):  # another system, or nothing to see from here
        return []


def _number_in(path: Path) -> float | None:
    return _pair_in(path)[0]


def _pair_in(path: Path) -> tuple[float | None, float | None]:
    """The first two words of a file as numbers; None for a word that is missing or is "max"."""
    words = [word for line in _lines(path)[:1] for word in line.split()]
    numbers = [float(word) if re.fullmatch(r"-?\d+", word) else None for word in words]
    first, second, *_ = [*numbers, None, None]
    return first, second


def _unescaped(text: str) -> str:
    """mountinfo writes blanks as \\040."""
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text)
