"""Reports as text, no wider than a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.runner import Report, Row
from benchmarks.subject import MODULES, OURS

HEADINGS = {OURS: "ours", "torch.compile": "compile"}
WORKLOAD = 24
WIDTH = 8


def machine_lines(machine: dict[str, Any]) -> Iterator[str]:
    """The head of a report."""
    yield f"{machine['cpu']}, {machine['system']}"
    limit = machine["limit_gflops"]
    known = f", at most {limit:.0f} GFLOP/s together" if limit else ""
    yield f"{machine['threads']} threads on {machine['cores']} processors{known}"
    yield f"load average before: {machine['load']}; OpenBLAS in NumPy: {machine['openblas']}"
    packages = [f"{name} {version}" for name, version in machine["versions"].items()]
    half = (len(packages) + 1) // 2
    yield ", ".join([f"Python {machine['python']}", *packages[:half]]) + ","
    yield ", ".join(packages[half:])


def times(report: Report) -> Iterator[str]:
    """A line for each row, and the notes.

    The last two columns are the best peer over ours, and how far half of the measurements lie
    from the median: of the framework where that is the most.
    """
    columns = _columns(report.rows)
    names = "".join(f"{HEADINGS.get(name, name):>{WIDTH + 1}}" for name in columns)
    yield f"{'':<{WORKLOAD}} {'':<6} {'':>2}{names} {'ratio':>6} {'±':>4}"
    for row in report.rows:
        values = {OURS: row.ours, **row.peers}
        beside = {name: f"({number(value)})" for name, value in row.beside.items()}
        cells = {name: number(value) for name, value in values.items()} | beside
        line = "".join(f"{cells.get(name, '–'):>{WIDTH + 1}}" for name in columns)
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}×"
        spread = f"{_spread(row):.0%}"
        yield f"{row.workload:<{WORKLOAD}} {row.mode:<6} {row.unit:>2}{line} {ratio:>6} {spread:>4}"
    yield from ("", *report.notes) if report.notes else ()


def speeds(rows: Sequence[Row], limit: float | None) -> Iterator[str]:
    """GFLOP/s of the rows that count operations, and our share of the limit where it is known."""
    counted = [row for row in rows if row.gflops]
    columns = _columns(counted)
    if not counted:
        return
    names = "".join(f"{HEADINGS.get(name, name):>{WIDTH + 1}}" for name in columns)
    yield f"{'GFLOP/s':<{WORKLOAD + 10}}{names}" + ("  share" if limit else "")
    for row in counted:
        line = "".join(
            f"{row.gflops[name]:>{WIDTH + 1}.1f}" if name in row.gflops else f"{'–':>{WIDTH + 1}}"
            for name in columns
        )
        share = f"{row.gflops[OURS] / limit:>7.0%}" if limit else ""
        yield f"{row.workload:<{WORKLOAD + 10}}{line}{share}"


def number(value: float) -> str:
    """Three digits, or all those before the point."""
    if value >= 99.95:
        return f"{value:.0f}"
    return (
        f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.9995 else f"{value:.3f}"
    )


def _columns(rows: Sequence[Row]) -> list[str]:
    """The frameworks that some row has, in the usual order."""
    there = {name for row in rows for name in (*row.peers, *row.beside)} | {OURS}
    return [name for name in MODULES if name in there]


def _spread(row: Row) -> float:
    """Half the distance of the quartiles over the middle, where it is largest."""
    return max((high - low) / (high + low) for low, high in row.spread.values())
