"""Compute again for the gradient what follows from one value, rather than keep it.

before: of what `gelu` computes on the way, its gradient reads three values, each as large as `x`::

    graph(x: f32[n], g: f32[n]) {
      %0: f32[n] = multiply(x, f32[]{-0.7})
      %1: f32[n] = erfc(%0)
      %2: f32[n] = multiply(x, %1)
      %3: f32[n] = multiply(g, %1)        // backward
      return %2, %3
    }

after: the gradient has its own `%0` and `%1`, and only `x` is kept from the one to the other::

    graph(x: f32[n], g: f32[n]) {
      …
      %3: f32[n] = multiply(x, f32[]{-0.7})
      %4: f32[n] = erfc(%3)
      %5: f32[n] = multiply(g, %4)
      return %2, %5
    }

In one kernel with what reads it, an elementwise operation costs less than memory, whose speed is
shared by all cores; and what is not kept takes none. What is computed again is what an elementwise
operator makes of one value of the same shape, and numbers, where the forward pass reads the result
by nothing but elementwise operators and reductions: otherwise it is kept anyway.
"""

from __future__ import annotations

from graphwright.compiler.log import Log
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.node import Node, derived
from graphwright.graph.tensor import Tensor


def recompute(graph: Graph, log: Log) -> Graph:
    """The graph whose backward part has copies of such operations; itself when there are none."""
    results = set(graph.results)
    new: dict[Tensor, Tensor] = {}
    again: dict[Tensor, Tensor] = {}

    def own(tensor: Tensor) -> Tensor:
        """What the backward part reads in place of a value."""
        node = tensor.node
        if tensor not in again:
            again[tensor] = new.get(tensor, tensor)
            if _light(node) and _within_loops(graph, tensor, results):
                what = f"{node.op.name} for the backward part"
                if log.applied("recompute", what, [node]):
                    with derived(node.origin._replace(phase="backward")):
                        again[tensor] = node.op(*(own(t) for t in node.inputs))
        return again[tensor]

    for node in graph.operations:
        if node.phase == "backward":
            inner = {t: own(t) if t.node.phase == "forward" else new.get(t, t) for t in node.inputs}
            copy_node(node, inner)
            new.update((t, inner[t]) for t in node.outputs if t in inner)
        else:
            copy_node(node, new)
    return graph.replaced(new)


def _light(node: Node) -> bool:
    """True for what follows element by element from one value, no smaller than the result."""
    if not node.op.elementwise or len(node.outputs) != 1 or node.op.view:
        return False
    (output,) = node.outputs
    large = [tensor for tensor in node.inputs if tensor.size != 1]
    return (
        len(large) == 1
        and large[0].shape == output.shape
        and large[0].dtype.itemsize <= output.dtype.itemsize
    )


def _within_loops(graph: Graph, tensor: Tensor, results: set[Tensor]) -> bool:
    """True when the forward part reads a value only where it is computed."""
    readers = (node for node in graph.consumers[tensor] if node.phase == "forward")
    return tensor not in results and all(n.op.elementwise or n.op.reduction for n in readers)
