"""Whole graphs run natively, against the interpreter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import graphwright as gw
from graphwright.compiler.pipeline import NATIVE_PIPELINE, compile_graph
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.runtime.bounds import CheckedPlan
from graphwright.runtime.compare import compare
from graphwright.runtime.native import NativeExecutor
from support.running import assert_near
from support.sketch import Array


class NativeGraph:
    """A graph compiled to native code that looks where it reads and writes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.plan = compile_graph(graph, passes=NATIVE_PIPELINE).plan
        self.executor = NativeExecutor(self.plan, CheckedPlan)

    def check(self, arrays: Sequence[Array], sizes: dict[str, int]) -> list[Array]:
        """The results, which must be near the interpreter's, and the same bits again: on one
        thread and on two, and whatever an earlier run has left in memory."""
        expected = self.interpreted(arrays, sizes)
        results = self.run(arrays, sizes)
        assert_near(expected, results)
        before = gw.threads()
        try:
            for threads in (1, 2):
                gw.threads(threads)
                for bound in (b for idle in self.executor._idle.values() for b in idle):
                    bound._arena[...] = 0xFF
                assert_same_bits(results, self.run(arrays, sizes))
        finally:
            gw.threads(before)
        return results

    def interpreted(self, arrays: Sequence[Array], sizes: dict[str, int]) -> tuple[Array, ...]:
        values = dict(zip(self.graph.inputs, arrays, strict=True))
        values.update({parameter: parameter.value for parameter in self.graph.parameters})
        return evaluate_graph(self.graph, values, sizes)

    def run(self, arrays: Sequence[Array], sizes: dict[str, int]) -> list[Array]:
        """Outputs and next values of parameters, which stay as they are."""
        before = {parameter: parameter.value for parameter in self.graph.updates}
        copies = {parameter: value.copy() for parameter, value in before.items()}
        outputs = self.executor.run(arrays, sizes)
        after = [parameter.value.copy() for parameter in self.graph.updates]
        for parameter, value in copies.items():
            parameter.value = value
        return [*outputs, *after]


def check_steps(graph: Graph, arrays: Sequence[Array], sizes: dict[str, int]) -> None:
    """Compare each native step with NumPy, as `check=True` does."""
    plan = compile_graph(graph, passes=NATIVE_PIPELINE).plan
    values = dict(zip(graph.inputs, arrays, strict=True))
    values.update({parameter: parameter.value for parameter in graph.parameters})
    compare(plan, NativeExecutor(plan).code, (values, sizes))


def assert_same_bits(left: Sequence[Array], right: Sequence[Array]) -> None:
    for one, other in zip(left, right, strict=True):
        assert one.tobytes() == other.tobytes(), np.argwhere(one != other)
