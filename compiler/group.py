"""A fused group as its loop sees it: what each operation reads, along which axes, in which sweep.

The space of a group, its folded axes and what is read through are those of `iteration.py`. In::

    %0: f32[n,1] = max(x, axes=(1,), keepdims=True)
    %1: f32[n,10] = subtract(x, %0)
    %2: f32[n,10] = exp(%1)
    %3: f32[n,1] = sum(%2, axes=(1,), keepdims=True)
    %4: f32[n,10] = divide(%2, %3)

the space is (n, 10) and axis 1 is folded. `%0` is known after the first sweep over a row (level 0),
so `%1` and `%2` belong to the second (level 1), and `%4`, which reads `%3`, to the third (level 2).
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from graphwright.compiler.iteration import Axes, Loop, Space, look, loop_of, reads_through, space_of
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.leaf import Input
from graphwright.graph.node import Node, Origin, derived
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType


class Ref(NamedTuple):
    """A tensor as something in the group reads it.

    axes: for each axis of the tensor's own space, the axis of the group's space it lies along
    """

    tensor: Tensor
    axes: Axes


class Group:
    """The loop of a graph whose operations share one.

    space:   the sizes of all axes, but those of size 1
    folded:  the axes that its reductions fold away; none for an elementwise group
    reads:   for each operation, what it reads
    along:   for each tensor that is computed, the axes it lies along
    level:   for each tensor that is computed, the sweep over the folded axes in which it is known;
             for a reduction's result, the first sweep that can read it
    outputs: what is written, in the order of the graph's outputs

    Raises ValueError, with the reason, for a graph whose operations do not share a loop.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._through = reads_through(graph.operations)
        self.operations = [n for n in graph.operations if n.outputs[0] not in self._through]
        self.space, self.folded = self._loop()
        self.full: Axes = tuple(range(len(self.space)))
        self.rows: Axes = tuple(axis for axis in self.full if axis not in self.folded)
        self.along: dict[Tensor, Axes] = {}
        self.reads: dict[Node, tuple[Ref, ...]] = {}
        self.level: dict[Tensor, int] = {}
        for node in self.operations:
            self._add(node)
        self.outputs = [self._output(tensor) for tensor in graph.outputs]

    def _loop(self) -> tuple[Space, Axes]:
        """The space, and the axes that are folded."""
        loops: list[Loop] = []
        for node in self.operations:
            loop = loop_of(node)
            if isinstance(loop, Loop):
                loops.append(loop)
            elif node.inputs:
                raise ValueError(loop)
        folding = [loop for loop in loops if loop.folded is not None]
        for loop in folding:
            if loop != folding[0]:
                raise ValueError("its reductions do not fold the same axes")
        if folding:
            return folding[0].space, folding[0].folded or ()
        return max((loop.space for loop in loops), key=len, default=()), ()

    def _add(self, node: Node) -> None:
        output = node.outputs[0]
        if node.op.reduction:
            reader, made = self.full, self.rows
        else:
            reader = made = self._axes_of(space_of(output.shape))
        self.along[output] = made
        onto = output.shape if node.op.elementwise else None
        refs = []
        for tensor in node.inputs:
            read = look(self._through, tensor, onto)
            ref = Ref(read.tensor, tuple(reader[axis] for axis in read.axes))
            if self.along.get(ref.tensor, ref.axes) != ref.axes:
                raise ValueError("a value is read along other axes than it is made along")
            refs.append(ref)
        self.reads[node] = tuple(refs)
        last = max((self.level.get(ref.tensor, 0) for ref in refs), default=0)
        self.level[output] = last + 1 if node.op.reduction else last

    def _axes_of(self, space: Space) -> Axes:
        rows = tuple(self.space[axis] for axis in self.rows)
        if space == self.space:
            return self.full
        if space == rows:
            return self.rows
        if space == ():
            return ()
        raise ValueError("its operations do not share a space")

    def _output(self, tensor: Tensor) -> Ref:
        source = look(self._through, tensor, None).tensor
        return Ref(source, self.along.get(source) or self._axes_of(space_of(source.shape)))

    def ref(self, tensor: Tensor) -> Ref:
        """A computed tensor, where it is made."""
        return Ref(tensor, self.along[tensor])

    @cached_property
    def folded_from(self) -> frozenset[Tensor]:
        """What is made of a reduction's result, and these results."""
        return frozenset(tensor for tensor, level in self.level.items() if level > 0)

    @property
    def last(self) -> int:
        """The last sweep over the folded axes; -1 when nothing is as large as the space."""
        sweeps = [self.level.get(x.tensor, 0) for x in self.outputs if x.axes == self.full]
        sweeps += [self.level[node.outputs[0]] - 1 for node in self.reductions]
        return max(sweeps, default=-1)

    @property
    def reductions(self) -> list[Node]:
        return [node for node in self.operations if node.op.reduction]


def single(op: Operator, types: tuple[TensorType, ...]) -> Graph:
    """The graph of one operation."""
    with derived(Origin()):
        inputs = [Input(f"x{i}", kind)() for i, kind in enumerate(types)]
        return Graph(inputs, op.apply(*inputs))


def epilogue(graph: Graph) -> tuple[Node, Graph]:
    """The product in a graph of the kind `contraction`, and the work on it: a graph of its own.

    The product is the first input of that.
    """
    (product,) = (node for node in graph.operations if node.op.contraction)
    made = product.outputs[0]
    with derived(Origin()):
        given = Input("product", made.type)()
    new = {made: given}
    for node in graph.operations:
        if node is not product:
            copy_node(node, new)
    outputs = [new.get(tensor, tensor) for tensor in graph.outputs]
    read = {tensor for node in graph.operations if node is not product for tensor in node.inputs}
    return product, Graph([given, *(x for x in graph.inputs if x in read)], outputs)


def analysis(graph: Graph) -> tuple[Node | None, Group]:
    """The product of a graph of the kind `contraction`, else None; and the loop of the rest.

    Raises ValueError, with the reason, when there is no native code for it.
    """
    for node in graph.operations:
        if (node.op.elementwise or node.op.reduction) and not node.op.lowerable:
            raise ValueError(f"{node.op.name} has no native code")
    if any(node.op.contraction for node in graph.operations):
        product, work = epilogue(graph)
        return product, Group(work)
    return None, Group(graph)


def overwritten(graph: Graph, product: Node | None, group: Group, output: int) -> list[int]:
    """The inputs of a graph in whose memory an output of the same type may be computed.

    product, group: its analysis
    """
    operands = product.inputs if product else ()
    made = group.outputs[output]
    if made.axes not in (group.full, group.rows):
        return []  # each round of the loop would read what the one before has written
    if made.axes == group.full and group.level.get(made.tensor, 0) < group.last:
        return []  # a later sweep would read what is there no more
    reads: dict[Tensor, set[Axes]] = {tensor: set() for tensor in graph.inputs}
    for refs in group.reads.values():
        for ref in refs:
            if ref.tensor in reads:
                reads[ref.tensor].add(ref.axes)
    # Element by element, the place that is written must be the only one that was read.
    return [
        place
        for place, tensor in enumerate(graph.inputs)
        if reads[tensor] == {made.axes} and not any(tensor is x for x in operands)
    ]
