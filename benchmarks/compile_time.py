"""How long the whole pipeline takes, by the size of the graph; and where the time goes.

    python -m benchmarks.compile_time

Graphs are residual networks of dense layers with their gradients and SGD updates (`training`), and
elementwise chains (`chain`). Each is compiled a few times; the median counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import graphwright as gw
from graphwright.compiler.pipeline import compile_graph
from graphwright.graph.graph import Graph

SIZES = (1_000, 2_000, 5_000, 10_000)
REPEATS = 3


def training(nodes: int) -> Graph:
    """A residual network with gradients and updates, of at least `nodes` nodes."""
    x = gw.input("x", ("batch", 16))
    depth = max(nodes // 20, 1)
    h, parameters = x, []
    for i in range(depth):
        w = gw.parameter(f"w{i}", np.full((16, 16), 0.01, np.float32))
        b = gw.parameter(f"b{i}", np.zeros(16, np.float32))
        parameters += [w, b]
        with gw.scope(f"layer_{i}"):
            h = h + gw.ops.tanh(h @ w + b)
    loss = (h * h).mean()
    gradients = gw.grad(loss, parameters)
    updates = {p: p - 0.1 * g for p, g in zip(parameters, gradients, strict=True)}
    return Graph([x], [loss], updates)


def chain(nodes: int) -> Graph:
    """One elementwise operation after the other."""
    x = gw.input("x", ("n",))
    y = x
    for i in range(nodes):
        y = gw.ops.exp(-y) if i % 3 == 0 else gw.ops.sin(y) if i % 3 == 1 else y * x
    return Graph([x], [y])


def measure(build: Callable[[int], Graph], nodes: int) -> tuple[int, float, dict[str, float]]:
    """The graph's size, the seconds of the median run, and those of each stage in that run."""
    graph = build(nodes)
    runs: list[tuple[float, dict[str, float]]] = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        compilation = compile_graph(graph)
        seconds = time.perf_counter() - start
        runs.append((seconds, {r.step.result: r.seconds for r in compilation.records}))
    runs.sort(key=lambda run: run[0])
    return len(graph.nodes), *runs[len(runs) // 2]


def main() -> None:
    """Print a table."""
    for build in (training, chain):
        print(f"\n{build.__name__}")
        print(f"{'nodes':>8} {'seconds':>9} {'µs/node':>9}   seconds by stage")
        for nodes in SIZES:
            count, seconds, passes = measure(build, nodes)
            rest = seconds - sum(passes.values())
            where = "  ".join(f"{name} {spent:.3f}" for name, spent in passes.items())
            per_node = seconds / count * 1e6
            print(f"{count:>8,} {seconds:>9.3f} {per_node:>9.1f}   {where}  verify {rest:.3f}")


if __name__ == "__main__":
    main()
