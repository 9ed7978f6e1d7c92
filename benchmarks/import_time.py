"""What `import graphwright` costs on top of `import numpy`, each in processes of their own.

    python -m benchmarks.import_time

Runs are interleaved, so that a busy spell of the machine falls on both; medians are compared.
Both load compiled bytecode, as they do in every run but the first.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

RUNS = 31
TIMED = """
import time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""


def seconds(module: str) -> float:
    """One import of `module` in a new process."""
    command = [sys.executable, "-c", TIMED.format(module=module)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def main() -> None:
    """Measure and print."""
    modules = ("numpy", "graphwright")
    for module in modules:
        seconds(module)  # writes the bytecode
    times: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(RUNS):
        for module in modules:
            times[module].append(seconds(module))
    for module in modules:
        ordered = sorted(times[module])
        low, high = ordered[len(ordered) // 4], ordered[-len(ordered) // 4]
        middle = statistics.median(ordered)
        print(
            f"{module:<12} {middle * 1e3:6.1f} ms  (half from {low * 1e3:.1f} to {high * 1e3:.1f})"
        )
    over = statistics.median(
        ours - numpys for ours, numpys in zip(times["graphwright"], times["numpy"], strict=True)
    )
    print(f"{'difference':<12} {over * 1e3:6.1f} ms  (limit: 100)")


if __name__ == "__main__":
    main()
