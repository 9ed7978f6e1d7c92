"""Run a graph by its operators' NumPy kernels, node by node: the meaning of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Sizes
from graphwright.graph.errors import GraphwrightError
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator, checked_results
from graphwright.graph.source import Source
from graphwright.graph.tensor import Tensor

Array: TypeAlias = NDArray[Any]
Values: TypeAlias = dict[Tensor, Array]


def evaluate_graph(
    graph: Graph,
    values: Mapping[Tensor, Array],
    sizes: Sizes,
    watch: Callable[[Node, tuple[Array, ...]], None] | None = None,
) -> tuple[Array, ...]:
    """The arrays of `graph.results`.

    values: an array for every input and every parameter
    sizes:  a number for every named dimension
    watch:  called with each node and its output arrays

    An array is dropped after its last use, so that the peak stays near what is live.
    """
    live: Values = dict(values)
    kept = set(graph.results)
    remaining = {tensor: len(readers) for tensor, readers in graph.consumers.items()}
    with np.errstate(all="ignore"):
        for node in graph.operations:
            results = run_kernel(node, [live[tensor] for tensor in node.inputs], sizes)
            if watch is not None:
                watch(node, results)
            for tensor, array in zip(node.outputs, results, strict=True):
                if tensor in remaining or tensor in kept:
                    live[tensor] = array
            for tensor in node.inputs:
                remaining[tensor] -= 1
                if not remaining[tensor] and tensor not in kept:
                    del live[tensor]
    return tuple(live[tensor] for tensor in graph.results)


class Prepared:
    """A graph of concrete sizes that is to run many times: as `evaluate_graph`, with less ado.

    Constants are looked up once, and what kernels give is checked in the first run. Values are
    kept until the run ends, which in the body of a loop is soon.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._checked = False
        self._place = {tensor: i for i, tensor in enumerate(graph.inputs)}
        self._start: list[Any] = [None] * len(self._place)
        self._calls: list[tuple[Callable[..., Any], Node, list[int], list[int]]] = []
        for node in graph.operations:
            self._add(node)
        self._results = [self._place[tensor] for tensor in graph.outputs]

    def _add(self, node: Node) -> None:
        place, body = self._place, node.op.body
        if body is not None:  # a fused operator is what it is made of
            place.update((x, place[y]) for x, y in zip(body.inputs, node.inputs, strict=True))
            for inner in body.operations:
                self._add(inner)
            place.update((x, place[y]) for x, y in zip(node.outputs, body.outputs, strict=True))
            return
        first = len(self._start)
        place.update((tensor, first + i) for i, tensor in enumerate(node.outputs))
        if node.inputs:
            self._start += [None] * len(node.outputs)
            inputs, outputs = ([place[x] for x in each] for each in (node.inputs, node.outputs))
            self._calls.append((node.op.kernel, node, inputs, outputs))
        else:
            self._start += run_kernel(node, [], {})

    def __call__(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """The outputs, for arrays of the inputs' types. Raises what kernels raise, located."""
        if not self._checked:
            self._checked = True
            return evaluate_graph(
                self._graph, dict(zip(self._graph.inputs, arrays, strict=True)), {}
            )
        values = [*arrays, *self._start[len(arrays) :]]
        with np.errstate(all="ignore"):
            for kernel, node, inputs, outputs in self._calls:
                try:
                    result = kernel(*[values[i] for i in inputs])
                except Exception as error:
                    raise located(error, node.op, node.source) from None
                if len(outputs) == 1:
                    values[outputs[0]] = np.asarray(result)
                else:
                    for i, array in zip(outputs, result, strict=True):
                        values[i] = np.asarray(array)
        return tuple([values[i] for i in self._results])


def run_kernel(node: Node, arrays: list[Array], sizes: Sizes) -> tuple[Array, ...]:
    """The output arrays of one node. NumPy's scalars become arrays of rank 0.

    What a kernel raises is told with the node's place.
    """
    try:
        result = node.op.bind(sizes).kernel(*arrays)
        return checked_results(result, [tensor.type for tensor in node.outputs], sizes)
    except Exception as error:
        raise located(error, node.op, node.source) from None


def located(error: Exception, op: Operator, source: Source) -> Exception:
    """A kernel's error with its operator and place: our own errors say it, others note it."""
    if isinstance(error, GraphwrightError):
        return error.located(op.name, (), source)
    error.add_note(f"in the kernel of {op.name}, made at {source.describe()}")
    return error
