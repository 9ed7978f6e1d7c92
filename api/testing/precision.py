"""Graphs, types and attributes in another precision: finite differences need float64."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from graphwright.graph.array import FrozenArray
from graphwright.graph.dtype import DType, is_floating
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.leaf import Input
from graphwright.graph.node import derived
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType


def converted(value: Any, dtype: DType) -> Any:
    """An attribute with `dtype` for every floating dtype in it."""
    if isinstance(value, tuple):
        return tuple(converted(item, dtype) for item in value)
    if isinstance(value, np.dtype):
        return dtype if is_floating(value) else value
    if isinstance(value, TensorType):
        return value.with_dtype(converted(value.dtype, dtype))
    if isinstance(value, FrozenArray):
        return value if not is_floating(value.type.dtype) else FrozenArray(value.array, dtype)
    return converted_graph(value, dtype) if isinstance(value, Graph) else value


def converted_operator(op: Operator, dtype: DType) -> Operator:
    """`op` with `dtype` for every floating dtype in its attributes; itself when there is none."""
    changes = {
        name: new
        for name, value in op.attributes.items()
        if (new := converted(value, dtype)) is not value and new != value
    }
    return cast(Operator, dataclasses.replace(cast(Any, op), **changes)) if changes else op


def converted_graph(graph: Graph, dtype: DType) -> Graph:
    """The outputs of `graph` as it is in another precision.

    Its inputs are those of the graph, and then its parameters, all of them ordinary inputs.
    """
    new: dict[Tensor, Tensor] = {}
    for tensor in (*graph.inputs, *graph.parameters):
        with derived(tensor.node.origin):
            new[tensor] = Input(str(tensor.name), converted(tensor.type, dtype))()
    inputs = list(new.values())
    for node in graph.operations:
        copy_node(node, new, converted_operator(node.op, dtype))
    return Graph(inputs, [new.get(tensor, tensor) for tensor in graph.outputs])
