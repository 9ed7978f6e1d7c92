"""Choose the fused groups that become one native kernel each.

before::

    %0: f32[n] = fused(x, kind="rows", graph=graph(x0: f32[n,10]) { … })

after::

    %0: f32[n] = native(x, kind="rows", graph=graph(x0: f32[n,10]) { … })

A group stays `fused`, and is run operation by operation on NumPy, when an operator in it has no
native code, as a user's own may not.
"""

from __future__ import annotations

from graphwright.compiler.fused import Fused, Native
from graphwright.compiler.log import Log
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.tensor import Tensor


def select(graph: Graph, log: Log) -> Graph:
    """The graph with `Native` nodes in place of the groups that native code is made for."""
    new: dict[Tensor, Tensor] = {}
    for node in graph.operations:
        op = node.op
        if type(op) is Fused:
            native = Native(op.kind, op.graph)
            try:
                _ = native.analysis
            except ValueError as reason:
                log.declined("select", f"not native: {reason}", [node])
            else:
                op = native if log.applied("select", "one native kernel", [node]) else op
        copy_node(node, new, op)
    return graph.replaced(new) if new else graph
