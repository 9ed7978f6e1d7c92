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
by nothing but elementwise operators and reductions: otherwise it is kept anyway. Comparisons read
what was kept.
"""

from __future__ import annotations

from graphwright.compiler.log import Log
from graphwright.graph.dtype import is_boolean
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.node import Node, derived
from graphwright.graph.tensor import Tensor

MOST = 8
"""Operations that are computed again after one another, from a value that is kept."""


def recompute(graph: Graph, log: Log) -> Graph:
    """The graph whose backward part has copies of such operations; itself when there are none."""
    light = _light_values(graph)
    new: dict[Tensor, Tensor] = {}
    again: dict[Tensor, Tensor] = {}

    def own(tensor: Tensor) -> Tensor:
        """What the backward part reads in place of a value."""
        node = tensor.node
        if tensor not in again:
            again[tensor] = new.get(tensor, tensor)
            what = f"{node.op.name} for the backward part"
            if tensor in light and log.applied("recompute", what, [node]):
                with derived(node.origin._replace(phase="backward")):
                    again[tensor] = node.op(*(own(t) for t in node.inputs))
        return again[tensor]

    for node in graph.operations:
        # Comparisons ask for the very bits, which NumPy and native code may round differently.
        compares = any(is_boolean(tensor.dtype) for tensor in node.outputs)
        if node.phase == "backward" and not compares:
            inner = {t: own(t) if t.node.phase == "forward" else new.get(t, t) for t in node.inputs}
            copy_node(node, inner)
            new.update((t, inner[t]) for t in node.outputs if t in inner)
        else:
            copy_node(node, new)
    return graph.replaced(new)


def _light_values(graph: Graph) -> dict[Tensor, int]:
    """The values of the forward part that had better be computed again, and in how many steps."""
    results = set(graph.results)
    steps: dict[Tensor, int] = {}
    for node in graph.operations:
        source = _source(node)
        if source is None or node.phase == "backward":
            continue
        (output,) = node.outputs
        readers = (reader for reader in graph.consumers.get(output, ()))
        forward = (reader.op for reader in readers if reader.phase == "forward")
        kept = output in results or not all(op.elementwise or op.reduction for op in forward)
        if not kept and steps.get(source, 0) < MOST:
            steps[output] = steps.get(source, 0) + 1
    return steps


def _source(node: Node) -> Tensor | None:
    """The one value that another follows from element by element, no smaller than it is."""
    if not node.op.elementwise or len(node.outputs) != 1 or node.op.view:
        return None
    (output,) = node.outputs
    large = [tensor for tensor in node.inputs if tensor.size != 1]
    fits = (
        len(large) == 1
        and large[0].shape == output.shape
        and large[0].dtype.itemsize <= output.dtype.itemsize
    )
    return large[0] if fits else None
