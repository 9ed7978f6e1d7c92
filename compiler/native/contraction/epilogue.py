"""A product and the elementwise work on it, by the same kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphwright.compiler.group import Group, Ref
from graphwright.compiler.native.contraction.driver import contraction
from graphwright.compiler.native.contraction.orientation import oriented
from graphwright.compiler.native.contraction.product import (
    Epilogue,
    Factor,
    Line,
    LineWriter,
    Matrix,
    Product,
    Write,
    matrix,
    product_of,
)
from graphwright.compiler.native.kernel import Context, Frame, Kernel
from graphwright.compiler.native.nest import Loop, Walk, walk
from graphwright.compiler.native.operand import Operand, dense_operand
from graphwright.compiler.native.site import Memory, Site
from graphwright.compiler.native.values import Value
from graphwright.graph.dim import product as size_product
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import Shape


def worked_product(
    node: Node,
    group: Group,
    inputs: Mapping[Tensor, Operand],
    outputs: list[Operand],
    context: Context,
) -> list[Kernel]:
    """The kernels of a product of two matrices, and of what a group does with it.

    group:  its graph's first input is the product
    inputs: the operands of the product and of the group
    """
    made, *others = group.graph.inputs
    work = {tensor: inputs[tensor] for tensor in others}
    left, right = (inputs[tensor] for tensor in node.inputs)
    rank = len(made.shape)
    # In order: a text must be the same in each process, or it would not be found on disk.
    reads = dict.fromkeys(r for refs in group.reads.values() for r in refs if r.tensor in work)
    walks = [(work[ref.tensor], walk(work[ref.tensor], ref.axes)) for ref in reads]
    written = zip(outputs, group.outputs, strict=True)
    walks = [*((operand, walk(operand, ref.axes)) for operand, ref in written), *walks]
    matrices = [_matrix(operand, moves, made.shape) for operand, moves in walks]
    result = replace(dense_operand(-1, made.type), value=outputs[0].value)
    product = product_of(
        Factor((matrix(left, rank - 2),)),
        Factor((matrix(right, rank - 2),)),
        Epilogue((matrix(result, rank - 2), *matrices)),
        rank,
        left.shape[-1],
    )
    product = oriented(product)
    writing = _Writing(product, group, work, outputs)
    return contraction(replace(product, out=replace(product.out, begin=writing.begin)), context)


def _matrix(operand: Operand, moves: Walk, shape: Shape) -> Matrix:
    """An operand of the group, walked along the axes of the product."""
    loops = (axis for axis, size in enumerate(shape) if size != 1)
    strides = {axis: moves.stride(place) for place, axis in enumerate(loops)}
    *batch, row, column = [strides.get(axis, 0) for axis in range(len(shape))]
    return Matrix(operand, tuple(batch), row, column)


class _Writing:
    """Writes the work on a line of the product."""

    def __init__(
        self,
        product: Product,
        group: Group,
        inputs: Mapping[Tensor, Operand],
        outputs: list[Operand],
    ) -> None:
        self.group = group
        self.inputs = inputs
        self.outputs = outputs
        self.made = group.graph.inputs[0]
        sizes = self.made.shape
        place = {axis: i for i, axis in enumerate(a for a, n in enumerate(sizes) if n != 1)}
        *self.batch, self.row, self.column = (
            Loop(
                tuple(place[axis] for axis in axes if axis in place),
                size_product(sizes[axis] for axis in axes),
            )
            for axes in product.axes
        )

    def begin(self, frame: Frame) -> LineWriter:
        """What is done once in a call of the kernel."""
        memory = Memory(frame.b, frame.arguments, self.group, self.inputs, self.outputs)
        outside = Site(memory, {})

        def writer(line: Line) -> Write:
            indices = {**dict(zip(self.batch, line.batch, strict=True)), self.row: line.row}
            site = Site(memory, indices, outside)

            def write(index: Value, value: Value, mask: Value | None) -> None:
                made = frame.b.convert(value, self.made.dtype)
                at = {self.column: line.column + index}
                keeps = self.group.level  # all waits for the product, even where that is one number
                inner = Site(
                    memory, at, site, along=self.column, lanes=value.lanes, mask=mask, keeps=keeps
                )
                inner.known[Ref(self.made, self.group.full)] = made
                values = [inner.value(ref) for ref in self.group.outputs]
                for position, each in enumerate(values):
                    inner.store(position, each)

            return write

        return writer
