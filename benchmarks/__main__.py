"""`python -m benchmarks`: Graphwright and the installed peers, side by side.

    python -m benchmarks                            everything
    python -m benchmarks mlp32 gpt --modes train    some of it
    python -m benchmarks --json out.json            for programs too

docs/benchmarks.md says what is measured, and how.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.agreement import Disagreement
from benchmarks.environment import processors
from benchmarks.machine import describe
from benchmarks.machine_limit import measured_limit
from benchmarks.runner import MODES, Failed, Measurement, Report
from benchmarks.subject import MODULES, OURS
from benchmarks.table import machine_lines, speeds, times
from benchmarks.workloads import subjects


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    names = list(dict.fromkeys(subject.workload.split()[0] for subject in subjects(quick=True)))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time Graphwright and its peers side by side, after a check that all agree.",
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="name", help=f"what to measure: {', '.join(names)}; else all")
    add("--json", type=Path, metavar="FILE", help="write the results there too")
    add("--modes", type=_listed(MODES), default=MODES, help=f"of {','.join(MODES)}; else all")
    peers = [name for name in MODULES if name != OURS]
    add("--peers", type=_listed(peers), default=peers, help=f"of {','.join(peers)}; else all")
    add("--threads", type=int, default=len(processors()), help="else one for each processor")
    add(
        "--limit",
        type=float,
        metavar="GFLOP/s",
        help="what the threads can do at most; else measured",
    )
    add("--quick", action="store_true", help="try it out: tiny sizes, against NumPy by hand alone")
    chosen = parser.parse_args(given)
    unknown = set(chosen.names) - set(names)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if not 1 <= chosen.threads <= len(processors()):
        parser.error(f"--threads must be from 1 to {len(processors())}, got {chosen.threads}")
    return chosen


def _listed(known: Sequence[str]) -> Any:
    """An option's type: names with commas between them, all of them known."""

    def names(text: str) -> list[str]:
        found = text.split(",")
        unknown = [name for name in found if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
        return found

    return names


def as_json(machine: dict[str, Any], report: Report) -> dict[str, Any]:
    """The report for programs; empty parts of rows are left out."""
    rows = []
    for row in report.rows:
        fields = {name: value for name, value in asdict(row).items() if value or name == "peers"}
        rows.append(fields | {"ratio": row.ratio})
    return {"machine": machine, "rows": rows, "notes": report.notes}


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 when results differ or a process fails, else 0."""
    chosen = arguments(given)
    limit = chosen.limit
    if limit is None and not chosen.quick:
        limit = measured_limit(chosen.threads)
    machine = describe(chosen.threads, limit)
    peers = ["numpy"] if chosen.quick else chosen.peers
    measurement = Measurement(
        threads=chosen.threads,
        modes=chosen.modes,
        frameworks=[OURS, *peers],
        quick=chosen.quick,
        progress=lambda text: print(f"… {text}", file=sys.stderr, flush=True),
    )
    wanted = [
        subject
        for subject in subjects(chosen.quick)
        if not chosen.names or subject.workload.split()[0] in chosen.names
    ]
    try:
        report = measurement.run(wanted)
    except (Disagreement, Failed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(*machine_lines(machine), "", *times(report), sep="\n")
    print("", *speeds(report.rows, limit), sep="\n")
    if chosen.json:
        text = json.dumps(as_json(machine, report), indent=2, ensure_ascii=False)
        chosen.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
