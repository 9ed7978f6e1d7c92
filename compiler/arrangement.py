"""In which order of axes values lie in memory that may lie in any: as their readers want them.

before: heads are computed one after another, and their rows copied side by side::

    %0: f32[b,8,t,32], %1: f32[b,8,t] = attention_forward(q, k, v, …)
    %2: f32[b,t,8,32] = transpose(%0, axes=(0, 2, 1, 3))
    %3: f32[b,t,256] = reshape(%2, shape=(b, t, 256))

after: rows of all heads are written side by side. Where `%0` is placed with the axes (0, 2, 1, 3)
from the outermost in, `%2` is dense, and `%3` a view of the same memory.
"""

from __future__ import annotations

from graphwright.graph.graph import Graph
from graphwright.graph.placement import Placement, dense_placement
from graphwright.graph.tensor import Tensor


def arrangement(graph: Graph) -> dict[Tensor, Placement]:
    """Where the elements of such tensors lie in memory of their own, if not as in their shape."""
    results = set(graph.results)
    found: dict[Tensor, Placement] = {}
    for node in graph.operations:
        if not node.op.arranges:
            continue
        for tensor in node.outputs:
            place = _wanted(graph, tensor) if tensor not in results else None
            if place is not None:
                found[tensor] = place
    return found


def _wanted(graph: Graph, tensor: Tensor) -> Placement | None:
    """The place in which a view of the tensor is dense that is to be viewed as dense in turn."""
    for reader in graph.consumers.get(tensor, ()):
        if reader.op.view != "strided" or reader.inputs[0] is not tensor:
            continue
        view = reader.outputs[0]
        place = reader.op.placed_back(dense_placement(view.shape), tensor.type, view.type)
        further = graph.consumers.get(view, ())
        if place is not None and any(other.op.view == "dense" for other in further):
            return place
    return None
