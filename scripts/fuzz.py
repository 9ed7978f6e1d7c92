"""Runs random graphs natively against the interpreter, as many as it is told.

.venv/bin/python scripts/fuzz.py 20000            that many graphs
.venv/bin/python scripts/fuzz.py 500 --seed 7     others than with the seed 0
.venv/bin/python scripts/fuzz.py 500 --steps 40   larger ones

Each graph runs with checked loads and stores, on one thread and on two, for two combinations of
sizes; every second one is compared with NumPy step by step as well. A graph that fails is written
to a folder, with what was wrong, and the next one begins. Exits with 1 if one failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from support.native_graphs import NativeGraph, check_steps
from support.random_graphs import draw_arrays, draw_sizes, graphs

from graphwright.graph.graph import Graph
from graphwright.graph.text import text

BATCH = 50  # graphs drawn from one seed: later ones of many would be much like earlier ones


class Fuzz:
    """Runs graphs, and counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count: Counter[str] = Counter()
        self.start = time.monotonic()

    def batch(self, number: int, count: int, steps: int) -> None:
        """So many graphs from one seed."""

        @seed(number)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(graphs(steps=steps), st.data())
        def run(graph: Graph, data: st.DataObject) -> None:
            cases = []
            for _ in range(2):
                sizes = data.draw(draw_sizes(graph))
                cases.append((data.draw(draw_arrays(graph, sizes)), sizes))
            self.count["graphs"] += 1
            words = f"seed {number}\n{[sizes for _, sizes in cases]}\n{text(graph)}\n"
            # For the case that the process ends.
            (self.folder / "current.txt").write_text(words, encoding="utf-8")
            try:
                self.check(graph, cases)
            except Exception:
                self.count["failures"] += 1
                path = self.folder / f"{self.count['graphs']:06}.txt"
                path.write_text(f"{words}\n{traceback.format_exc()}", encoding="utf-8")
                print(f"{path}: {traceback.format_exc(limit=0).strip()[:300]}", flush=True)

        run()

    def check(self, graph: Graph, cases: list) -> None:
        native = NativeGraph(graph)
        for step in native.executor.code.steps:
            self.count["native steps"] += bool(step.kernels)
            self.count["steps on NumPy"] += bool(step.reason)
        for arrays, sizes in cases:
            native.check(arrays, sizes)
        if self.count["graphs"] % 2:
            check_steps(graph, *cases[0])

    def report(self) -> str:
        counts = ", ".join(f"{number} {name}" for name, number in self.count.items())
        return f"{time.monotonic() - self.start:6.0f} s: {counts}"


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="how many graphs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=12, help="operations of a graph at most")
    parser.add_argument("--folder", type=Path, help="where graphs that fail are written to")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="graphwright-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    fuzz = Fuzz(folder)
    for first in range(0, given.count, BATCH):
        fuzz.batch(given.seed + first, min(BATCH, given.count - first), given.steps)
        if first % (10 * BATCH) == 0:
            print(fuzz.report(), flush=True)
    print(fuzz.report())
    return bool(fuzz.count["failures"])


if __name__ == "__main__":
    sys.exit(main())
