"""Decompose: composite operators become the operators that they are made of.

before::

    graph(x: f32[n,3]) {
      %0: f32[n,3] = softmax(x, axes=(1,))
      return %0
    }

after::

    graph(x: f32[n,3]) {
      %0: f32[n,1] = max(x, axes=(1,), keepdims=True)
      %1: f32[n,3] = subtract(x, %0)
      %2: f32[n,3] = exp(%1)
      %3: f32[n,1] = sum(%2, axes=(1,), keepdims=True)
      %4: f32[n,3] = divide(%2, %3)
      return %4
    }

The parts lie in the scope of the composite and its name, `encoder/softmax`, so that diagrams and
logs still show what they were. Some composites native code computes as a whole: for native plans,
these stay.
"""

from __future__ import annotations

from collections.abc import Callable

from graphwright.compiler.log import Log
from graphwright.graph.errors import CompileError
from graphwright.graph.graph import Graph, ancestors, copy_node
from graphwright.graph.node import Node, Origin, derived
from graphwright.graph.operator import as_tuple
from graphwright.graph.tensor import Tensor

DEEPEST = 100
"""Composites within composites."""


def decompose(
    graph: Graph, log: Log, reason: Callable[[Node], str | None] = lambda node: ""
) -> Graph:
    """`graph` without composite operators; itself when it has none.

    reason: says why a composite is to be decomposed, in words for the log; None if it stays
    Raises CompileError when a composite is made of itself, or its parts give another type.
    """
    work = _Decomposition(log, reason)
    for node in graph.nodes:
        work.expand(node, node, depth=0)
    return graph.replaced(work.new)


class _Decomposition:
    """The sweep over a graph.

    new: what the outputs of nodes become
    """

    def __init__(self, log: Log, reason: Callable[[Node], str | None]) -> None:
        self.log = log
        self.reason = reason
        self.new: dict[Tensor, Tensor] = {}

    def expand(self, node: Node, whole: Node, depth: int) -> None:
        """Enter in `new` what the node's outputs become; of its parts, those that are composites
        too.

        whole: the node of the given graph that this one is a part of
        """
        new = self.new
        fresh = copy_node(node, new)
        if not fresh.op.composite:
            return
        reason = self.reason(fresh)
        if reason is None:
            self.log.declined("decompose", f"{fresh.op.name} is computed as a whole", [whole])
            return
        if depth > DEEPEST:
            raise CompileError(
                f"{whole.op.name} is decomposed without end: {fresh.op.name} is made of itself",
                source=whole.source,
                hint="a composite's decompose must use other operators",
            )
        outputs = _parts(fresh)
        parts = list(ancestors(outputs, stop=set(fresh.inputs)))
        names = ", ".join(dict.fromkeys(part.op.name for part in parts)) or "nothing"
        because = f": {reason}" if reason else ""
        what = f"{fresh.op.name} is made of {names}{because}"
        if not self.log.applied("decompose", what, [whole]):
            return
        for part in parts:
            self.expand(part, whole, depth + 1)
        for before, after in zip(fresh.outputs, outputs, strict=True):
            new[before] = new.get(after, after)
        for before, after in zip(node.outputs, fresh.outputs, strict=True):
            new[before] = new[after]


def _parts(node: Node) -> tuple[Tensor, ...]:
    """The outputs of a composite, computed by what it is made of."""
    scope = f"{node.scope}/{node.op.name}" if node.scope else node.op.name
    with derived(Origin(scope, node.source, node.phase)):
        answer = node.op.decompose(*node.inputs)
    outputs = as_tuple(answer)
    before, after = [t.type for t in node.outputs], [t.type for t in outputs]
    if before != after:
        raise CompileError(
            f"{node.op.name}: its parts give {after}, and it gives {before}",
            source=node.source,
            hint="infer and decompose must agree",
        )
    return outputs
