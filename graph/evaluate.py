"""Run a graph by its operators' NumPy kernels, node by node: the meaning of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
