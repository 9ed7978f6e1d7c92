"""Put operations that share an iteration space into groups that will be one loop each.

before::

    graph(x: f32[batch,10]) {
      %0: f32[batch,1] = max(x, axes=(1,), keepdims=True)
      %1: f32[batch,10] = subtract(x, %0)
      %2: f32[batch,10] = exp(%1)
      %3: f32[batch,1] = sum(%2, axes=(1,), keepdims=True)
      %4: f32[batch,10] = divide(%2, %3)
      return %4
    }

after::

    graph(x: f32[batch,10]) {
      %0: f32[batch,10] = fused(x, kind="rows", graph=graph(x0: f32[batch,10]) {
        … the same five operations …
      })
      return %0
    }

A group loops over one space (`iteration.py`): elementwise operations on all of it; reductions, all
over the same axes; and elementwise operations on what is left of it, the rows. It is formed of
at least two such operations. Broadcasts, reshapes by axes of size 1, scalar constants and sizes
cost nothing: each group gets copies of those it reads through. Nothing else is computed twice.

Groups grow in three ways, all of which keep the graph of the groups acyclic (`partition.py`):

1. *Into the readers*, from the results backward: an operation joins the group that all its
   readers are in. What it computes is then never written to memory.
2. *Along what one group makes and another reads*, though others read it too: it is written, but
   not read again. Not when more than 8 values as large as the space would leave the group: they
   would all be live at once.
3. *Along what both read*, when it is as large as the space and one of the two reads nothing else
   that was computed, so that nothing is kept waiting; and when the values that leave one of them
   are small, or results, so that nothing more is live at once.

A graph that holds fused nodes already is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphwright.compiler.fused import Fused, Kind
from graphwright.compiler.grouping import Group, Grouping
from graphwright.compiler.log import Log
from graphwright.graph.graph import Graph, ancestors, copy_node
from graphwright.graph.leaf import Input
from graphwright.graph.node import Node, Origin, derived
from graphwright.graph.tensor import Tensor
from graphwright.ops.shapes import shape_text


def fuse(graph: Graph, log: Log) -> Graph:
    """The graph with `Fused` nodes in place of the groups; itself when there are none."""
    if any(isinstance(node.op, Fused) for node in graph.operations):
        return graph
    grouping = Grouping(graph)
    grouping.grow()
    grouping.explain(log)
    return _Rebuilding(grouping, log).graph()


class _Rebuilding:
    """The graph anew, group by group.

    solid: the tensors that are not looked through: leaves, and what units compute
    stop:  these, and what one group has copied so far
    done:  the solid tensors, and what the outer graph has copied so far
    new:   for each tensor of the old graph that changed, its successor
    """

    def __init__(self, grouping: Grouping, log: Log) -> None:
        self.grouping = grouping
        self.log = log
        self.flow = grouping.flow
        self.new: dict[Tensor, Tensor] = {}
        leaves = [*self.flow.graph.inputs, *self.flow.graph.parameters]
        computed = [tensor for node in self.flow.units for tensor in node.outputs]
        self.solid: frozenset[Tensor] = frozenset([*leaves, *computed])
        self.stop = set(self.solid)
        self.done = set(self.solid)

    def graph(self) -> Graph:
        members: dict[int, list[Node]] = {}
        for node in self.flow.units:
            members.setdefault(self.grouping.group_of(node), []).append(node)
        for number in self.grouping.partition.order():
            if len(members[number]) < 2 or not self.fused(number, members[number]):
                for node in members[number]:
                    self.copied(node.inputs)
                    copy_node(node, self.new)
        self.copied(self.flow.graph.results)
        return self.flow.graph.replaced(self.new)

    def copied(self, tensors: Iterable[Tensor]) -> None:
        """Copy what `tensors` are looked through."""
        for node in ancestors(tensors, stop=self.done):
            copy_node(node, self.new)
            self.done.update(node.outputs)

    def fused(self, number: int, members: list[Node]) -> bool:
        """Put a fused node in place of a group, unless the log denies it."""
        group = self.grouping.groups[number]
        outputs = [tensor for node in members for tensor in self.leaving(number, node)]
        kind: Kind = "rows" if group.rows else "elementwise"
        if not self.log.applied(f"fuse_{kind}", _what(group, members, outputs), members):
            return False
        inputs, inner = self.inner(members, outputs)
        op = Fused(kind, inner)
        with derived(_joined_origin(members)):
            made = op.apply(*(self.new.get(tensor, tensor) for tensor in inputs))
        self.new.update(zip(outputs, made, strict=True))
        return True

    def leaving(self, number: int, node: Node) -> Sequence[Tensor]:
        """The outputs of a member that are needed outside its group."""
        readers = self.flow.readers[node]
        outside = any(self.grouping.group_of(reader) != number for reader in readers)
        return node.outputs if outside or node in self.flow.handed_out else ()

    def inner(self, members: list[Node], outputs: list[Tensor]) -> tuple[list[Tensor], Graph]:
        """The graph of a group, and the tensors outside that are its inputs."""
        made = {tensor for node in members for tensor in node.outputs}
        new: dict[Tensor, Tensor] = {}
        outer: list[Tensor] = []
        copied: list[Tensor] = []
        for node in members:
            for copy in (*ancestors(node.inputs, stop=self.stop), node):
                for tensor in copy.inputs:
                    if tensor in self.solid and tensor not in made and tensor not in new:
                        with derived(tensor.node.origin):
                            new[tensor] = Input(f"x{len(outer)}", tensor.type)()
                        outer.append(tensor)
                copy_node(copy, new)
                if copy is not node:
                    copied += copy.outputs
            self.stop.update(copied)
        self.stop.difference_update(copied)
        inputs = [new[tensor] for tensor in outer]
        return outer, Graph(inputs, [new.get(tensor, tensor) for tensor in outputs])


def _what(group: Group, members: list[Node], outputs: list[Tensor]) -> str:
    """`7 operations over [batch,10], folding axes (1,): max, subtract, exp, sum, divide`."""
    loop = group.loop
    names = ", ".join(dict.fromkeys(node.op.name for node in members))
    folding = next((n.op.attributes["axes"] for n in members if n.op.reduction), None)
    over = f"over {shape_text(loop.space)}" + (f", folding axes {folding}" if folding else "")
    values = "one value" if len(outputs) == 1 else f"{len(outputs)} values"
    return f"{len(members)} operations {over}, give {values}: {names}"


def _joined_origin(members: list[Node]) -> Origin:
    """The blocks that all members are in, and the lines of all."""
    first, *rest = (node.origin for node in members)
    path = first.scope.split("/")
    source, backward = first.source, first.phase == "backward"
    for origin in rest:
        parts = origin.scope.split("/")
        same = (i for i, (a, b) in enumerate(zip(path, parts, strict=False)) if a != b)
        path = path[: next(same, min(len(path), len(parts)))]
        source |= origin.source
        backward = backward and origin.phase == "backward"
    return Origin("/".join(path), source, "backward" if backward else "forward")
