"""Composite operators: a name for what other operators compute together.

Diagrams and files for exchange see the name; the compiler sees the parts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from graphwright.graph.dim import Size
from graphwright.graph.errors import GraphwrightError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input
from graphwright.graph.node import Origin, derived
from graphwright.graph.operator import Operator, as_tuple, one_or_several
from graphwright.graph.types import TensorType


class Composite(Operator):
    """An operator defined by `decompose`: types, kernel and gradient follow from its parts.

    A subclass defines `infer` where it can say more clearly than its parts what is wrong, and
    `gradient` only where a better one is known than that of the parts.
    """

    composite = True

    def infer(self, *types: Any, **_: Any) -> TensorType | tuple[TensorType, ...]:
        try:
            outputs = decomposition(self, types).outputs
        except GraphwrightError as error:
            raise _without_place(error) from None
        return one_or_several([tensor.type for tensor in outputs])

    def kernel(self, *arrays: Any, **_: Any) -> Any:
        types = tuple(TensorType(array.dtype, array.shape) for array in arrays)
        try:
            graph = decomposition(self, types)
            results = evaluate_graph(graph, dict(zip(graph.inputs, arrays, strict=True)), {})
        except GraphwrightError as error:
            raise _without_place(error) from None
        return one_or_several(results)

    def flops(self, *types: Any, **_: Any) -> Size:
        return decomposition(self, types).flops


def _without_place(error: GraphwrightError) -> GraphwrightError:
    """The same error, but for its place: that of a placeholder, where the user's is wanted."""
    return type(error)(error.what, hint=error.hint)


def decomposition(op: Operator, types: tuple[TensorType, ...]) -> Graph:
    """What the composite `op` does to inputs of these types, as a graph."""
    # The class is part of the key: a composite defined again under its old name is another one.
    definition: Any = type(op)
    return _decomposition(definition, op, types)


@lru_cache(maxsize=1024)
def _decomposition(definition: Any, op: Operator, types: tuple[TensorType, ...]) -> Graph:
    with derived(Origin()):
        inputs = [input(f"input_{i}", kind.shape, kind.dtype) for i, kind in enumerate(types)]
        answer = op.decompose(*inputs)
    return Graph(inputs, as_tuple(answer))
