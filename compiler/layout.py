"""Layout: where transpositions go, and which ones vanish.

before::

    graph(x: f32[n,3], w: f32[n,4]) {
      %0: f32[3,n] = transpose(x, axes=(1, 0))
      %1: f32[3,n] = exp(%0)
      %2: f32[3,4] = matmul(%1, w)
      return %2
    }

after::

    graph(x: f32[n,3], w: f32[n,4]) {
      %0: f32[n,3] = exp(x)
      %1: f32[3,n] = transpose(%0, axes=(1, 0))
      %2: f32[3,4] = matmul(%1, w)
      return %2
    }

A transposition is *free* when only contractions read it: they take a transposed matrix as it
is. Any other has a price: its readers step through memory in strides, or a copy is made, and it
keeps the operations before it and after it from sharing one loop. The pass looks at *regions*,
elementwise operations that feed each other with values of one shape, and computes a region in
another order of axes wherever that leaves fewer transpositions that are not free. So pairs on the
two sides of a region cancel, and one before a region moves behind it when it becomes free there.
Their number only ever falls, and with it the pass ends.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence, Set
from typing import NamedTuple, TypeAlias

from graphwright.compiler.log import Log
from graphwright.compiler.rewrite import RuleSet, rewrite
from graphwright.compiler.rules import reductions, shapes
from graphwright.compiler.rules.rule import replacing
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import Shape
from graphwright.ops.movement import Transpose, matrix_transpose, reshape, transpose
from graphwright.ops.shapes import inverse_permutation

Order: TypeAlias = tuple[int, ...]
"""A permutation: axis i is what was axis order[i] before."""

CANCELLING = RuleSet(
    (
        shapes.transpose_of_transpose,
        shapes.transpose_of_axes_of_size_one,
        shapes.dense_view_of_dense_view,
        shapes.view_of_same_shape,
        reductions.reduction_of_transpose,
        reductions.reshape_of_reduction,
    )
)
"""What makes transpositions vanish once they have met."""


def layout(graph: Graph, log: Log) -> Graph:
    """`graph` with fewer transpositions that are not free; itself when none can be saved."""
    for _ in priced_transpositions(graph):
        improved = _improve(graph, log)
        if improved is graph:
            break
        graph = improved
    return graph


def priced_transpositions(graph: Graph) -> list[Node]:
    """The transpositions of a graph that are not free."""
    flow = _Flow(graph)
    return [node for node in graph.operations if flow.priced(node)]


def _improve(graph: Graph, log: Log) -> Graph:
    """Each region in its best order, as far as regions don't share a transposition."""
    flow = _Flow(graph)
    products: set[Node] = set()
    regions: list[_Region] = []
    for node in flow.products():
        what = "transpose(a @ b) → transpose(b) @ transpose(a), where both are free"
        if log.applied("transpose_of_matmul", what, [node, node.inputs[0].node]):
            products.add(node)
    claimed = set(products)
    for region in flow.regions():
        if claimed.isdisjoint(region.transpositions) and _worthwhile(region, log):
            regions.append(region)
            claimed.update(region.transpositions)
    if not claimed:
        return graph
    return rewrite(_Rebuilding(graph, regions, products).graph(), CANCELLING, log)


def _worthwhile(region: _Region, log: Log) -> bool:
    """Whether there is a better order for the region, which it then has; if not, says why."""
    best = min(map(region.change, region.candidates), key=lambda change: change.balance)
    names = ", ".join(dict.fromkeys(node.op.name for node in region.nodes))
    nodes = [*region.transpositions, *region.nodes]
    if best.balance < 0:
        region.order = best.order
        what = f"{names} computed in the order {best.order} of axes: {best.gone} transpositions "
        return log.applied("transpose_region", f"{what}less, {best.added} more", nodes)
    if any(map(region.flow.priced, region.transpositions)):
        what = f"for {best.gone} that vanish before or after {names}, {best.added} would be added"
        log.declined("transpose_region", what, nodes)
    return False


class _Change(NamedTuple):
    """How many transpositions with a price it saves and costs to compute a region in an order."""

    order: Order
    gone: int
    added: int

    @property
    def balance(self) -> int:
        return self.added - self.gone


class _Flow:
    """Who reads what in a graph, and at what price."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.readers = graph.consumers
        self.results = set(graph.results)

    def priced(self, node: Node, order: Order | None = None, apart: Container[Node] = ()) -> bool:
        """Whether a node is a transposition that is not free.

        order: asks for it as if it had this order of axes
        apart: asks for it as if these nodes did not read it
        """
        if not isinstance(node.op, Transpose):
            return False
        readers = [r for r in self.readers.get(node.outputs[0], ()) if r not in apart]
        free = all(_takes_transposed(reader, order or node.op.axes) for reader in readers)
        return node.outputs[0] in self.results or not free

    def transposable(self, tensor: Tensor, order: Order, readers: Container[Node]) -> bool:
        """Whether only `readers` read it, and it is a product whose factors can be transposed."""
        rank = tensor.ndim
        swapped = (*range(rank - 2), rank - 1, rank - 2)
        alone = all(r in readers for r in self.readers[tensor]) and tensor not in self.results
        return alone and order == swapped and tensor.node.op.contraction

    def products(self) -> Iterator[Node]:
        """The transpositions with a price of a product that is computed for them alone."""
        for node in self.graph.operations:
            axes = axes_of(node)
            if axes and self.priced(node) and self.transposable(node.inputs[0], axes, {node}):
                yield node

    def regions(self) -> list[_Region]:
        """The regions with a transposition at their boundary."""
        found: dict[Node, list[Node]] = {}
        for node in self.graph.operations:
            if not node.op.elementwise or len(node.outputs) > 1 or node.outputs[0].ndim < 2:
                continue
            nodes = found[node] = [node]
            for tensor in node.inputs:
                other = found.get(tensor.node, nodes)
                if other is not nodes and tensor.shape == node.outputs[0].shape:
                    few, nodes = sorted((nodes, other), key=len)
                    nodes += few
                    found.update(dict.fromkeys(few, nodes))
        position = {node: i for i, node in enumerate(found)}
        distinct = {id(nodes): nodes for nodes in found.values()}.values()
        regions = [_Region(self, sorted(nodes, key=position.__getitem__)) for nodes in distinct]
        return [region for region in regions if region.candidates]


class _Region:
    """Elementwise operations that feed each other with values of one shape.

    entries:        what they read and don't compute
    transpositions: those that they read, and those that read what they compute
    candidates:     the orders of axes in which one of these vanishes
    order:          the one to compute the region in
    """

    def __init__(self, flow: _Flow, nodes: Sequence[Node]) -> None:
        self.flow = flow
        self.nodes = nodes
        self.members = frozenset(nodes)
        self.shape = nodes[0].outputs[0].shape
        inputs = dict.fromkeys(tensor for node in nodes for tensor in node.inputs)
        self.entries = [tensor for tensor in inputs if tensor.node not in self.members]
        before = {t.node: axes_of(t.node) for t in self.entries if t.shape == self.shape}
        after = {reader: axes_of(reader) for node in nodes for reader in self.leaving(node)}
        undone = [inverse_permutation(axes) for axes in before.values() if axes]
        self.transpositions = [n for n, axes in (*before.items(), *after.items()) if axes]
        # A transposition from a region back into it turns with the region, and can't vanish.
        twice = len(set(self.transpositions)) < len(self.transpositions)
        orders = [*undone, *(axes for axes in after.values() if axes)]
        self.candidates = [] if twice else list(dict.fromkeys(orders))
        self.order: Order = tuple(range(len(self.shape)))

    def leaving(self, node: Node) -> list[Node]:
        """Those that read what `node` computes, and are not of the region."""
        readers = self.flow.readers.get(node.outputs[0], ())
        return [reader for reader in readers if reader not in self.members]

    def change(self, order: Order) -> _Change:
        """What it saves and costs to compute the region in another order."""
        steps = [self._entry(tensor, order) for tensor in self.entries]
        steps += [self._exit(node, inverse_permutation(order)) for node in self.nodes]
        return _Change(order, sum(gone for gone, _ in steps), sum(added for _, added in steps))

    def _entry(self, tensor: Tensor, order: Order) -> tuple[int, int]:
        """For an operand that is read in `order`, those gone and added."""
        axes = axes_of(tensor.node)
        if tensor.shape != self.shape:
            full = (1,) * (len(self.shape) - tensor.ndim) + tensor.shape
            return 0, not _moves_only_ones(full, order)
        if not axes:
            free = self.flow.transposable(tensor, order, self.members)
            return 0, not free
        gone = not self.flow.priced(tensor.node, apart=self.members)
        return gone, not _is_identity(_composed(axes, order))

    def _exit(self, node: Node, back: Order) -> tuple[int, int]:
        """For a value that is had back by the order `back`, those gone and added."""
        gone = added = 0
        in_order = node.outputs[0] in self.flow.results  # whether it must be had as it was
        for reader in self.leaving(node):
            axes = axes_of(reader)
            if axes:
                after = _composed(back, axes)
                gone += self.flow.priced(reader)
                added += not _is_identity(after) and self.flow.priced(reader, after)
            elif reader.op.reduction:
                folded = reader.op.attributes["axes"]
                left = [axis for i, axis in enumerate(back) if i not in folded]
                added += left != sorted(left)
            else:
                in_order = in_order or not _takes_transposed(reader, back)
        return gone, added + in_order


class _Rebuilding:
    """The graph anew, with its regions in their orders.

    turned: for what a region computes, the same in the region's order
    new:    for each tensor that changed, its successor
    """

    def __init__(self, graph: Graph, regions: Sequence[_Region], products: Set[Node]) -> None:
        self.old = graph
        self.flow = _Flow(graph)
        self.products = products
        self.region_of = {node: region for region in regions for node in region.nodes}
        self.turned: dict[Tensor, Tensor] = {}
        self.new: dict[Tensor, Tensor] = {}

    def graph(self) -> Graph:
        for node in self.old.nodes:
            region = self.region_of.get(node)
            if node in self.products:
                with replacing(node, node.inputs[0].node):
                    self.new[node.outputs[0]] = self.transposed_product(node.inputs[0])
            elif region is None:
                copy_node(node, self.new)
            else:
                with replacing(node):
                    operands = [self.operand(tensor, region) for tensor in node.inputs]
                    (turned,) = node.op.apply(*operands)
                    self.turned[node.outputs[0]] = turned
                    back = inverse_permutation(region.order)
                    self.new[node.outputs[0]] = transpose(turned, back)
        return self.old.replaced(self.new)

    def operand(self, tensor: Tensor, region: _Region) -> Tensor:
        """What `tensor` is in the order of `region`."""
        if tensor.node in region.members:
            return self.turned[tensor]
        if not tensor.ndim:
            return self.new.get(tensor, tensor)
        if tensor.shape == region.shape and self.flow.transposable(
            tensor, region.order, region.members
        ):
            return self.transposed_product(tensor)
        rank = len(region.shape)
        full = reshape(self.new.get(tensor, tensor), (1,) * (rank - tensor.ndim) + tensor.shape)
        return transpose(full, region.order)

    def transposed_product(self, tensor: Tensor) -> Tensor:
        """The transpose of what a contraction computes, from the transposes of its factors."""
        lhs, rhs = (self.new.get(factor, factor) for factor in tensor.node.inputs)
        return tensor.node.op(matrix_transpose(rhs), matrix_transpose(lhs))


def axes_of(node: Node) -> Order | None:
    """The order of axes of a transposition; None for any other node."""
    return node.op.axes if isinstance(node.op, Transpose) else None


def _takes_transposed(reader: Node, order: Order) -> bool:
    """Whether it reads an operand transposed to `order` as fast as any other.

    A contraction does, where the axis whose elements lie side by side stays in the matrix.
    """
    return reader.op.contraction and len(order) - 1 in order[-2:]


def _composed(first: Order, second: Order) -> Order:
    """The order of transpose(transpose(x, first), second)."""
    return tuple(first[axis] for axis in second)


def _is_identity(order: Order) -> bool:
    return order == tuple(range(len(order)))


def _moves_only_ones(shape: Shape, order: Order) -> bool:
    """Whether a transposition leaves all elements in place, as it moves only axes of size 1."""
    moved = [axis for axis in order if shape[axis] != 1]
    return moved == sorted(moved)
