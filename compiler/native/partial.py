"""Long reductions in two kernels: parts of the folded axes, then the parts together.

Where rows are few, or far apart in memory, the first of the folded axes is cut into parts of a
fixed length. A first kernel folds each part of each row by itself, and does the elementwise work
on the way; a second one folds the parts, in their order, and does what is left. What makes a part
depends on sizes alone, so the result is the same bits on any number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphwright.compiler.group import Group
from graphwright.compiler.native.kernel import Context, Frame, Kernel, Shared, kernel_function
from graphwright.compiler.native.nest import Loop, loops_over, walk
from graphwright.compiler.native.operand import Operand, dense_operand
from graphwright.compiler.native.rows import AcrossRows, AlongRows, rows_kernel
from graphwright.compiler.native.site import Memory, Site, walks_of
from graphwright.compiler.native.sweeps import accumulator, start_of
from graphwright.compiler.native.tiling import chunk_bounds, each_tile, rounds, vectors
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.compiler.native.work import INSTRUCTION, vector_lanes, work_of
from graphwright.graph.dim import Size, ceildiv, product
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType

PART = 32768
"""Elements in a part of all rows together, about."""
ROWS = 64
"""Rows from which on whole ones are enough to share, where each lies in one stretch."""
CHUNK = 4096
"""Rows in a tile of the second kernel."""


def part_length(group: Group, folds: list[Loop]) -> int | None:
    """How many rounds of the first loop over the folded axes are a part; None for whole rows.

    Whole rows where something as large as the space waits for a reduction, or one reduction for
    another; where there are enough of them; and where it is known that one part would do.
    """
    levels = {group.level[node.outputs[0]] for node in group.reductions}
    if group.last > 0 or levels != {1}:
        return None
    rows = product(group.space[axis] for axis in group.rows)
    along = group.full[-1] in group.folded
    if along and (not isinstance(rows, int) or rows >= ROWS):
        return None
    others = product([rows, *(loop.size for loop in folds[1:])])
    length = max(PART // max(others, 1), 1) if isinstance(others, int) else 16
    first = folds[0].size
    return None if isinstance(first, int) and first <= 2 * length else length


def row_kernels(
    name: str,
    group: Group,
    inputs: Mapping[Tensor, Operand],
    outputs: list[Operand],
    context: Context,
) -> list[Kernel]:
    """The kernels of a group that folds axes."""
    folds = loops_over(group.folded, group.space, walks_of(group, inputs, outputs))
    length = part_length(group, folds)
    if length is None:
        return [rows_kernel(name, group, inputs, outputs, context)]
    return Parts(group, inputs, outputs, context).kernels(name, length, folds[0].size)


class Parts:
    """A group in parts.

    length: rounds of the first loop over the folded axes in a part
    """

    def __init__(
        self,
        group: Group,
        inputs: Mapping[Tensor, Operand],
        outputs: list[Operand],
        context: Context,
    ) -> None:
        self.group = group
        self.inputs = inputs
        self.outputs = outputs
        self.context = context
        self.lanes = vector_lanes(group, context.target)
        self.row_space = tuple(group.space[axis] for axis in group.rows)
        self.row_count = product(self.row_space)

    def kernels(self, name: str, length: int, count: Size) -> list[Kernel]:
        """Both. count: the rounds of the first loop over the folded axes"""
        self.parts = ceildiv(count, length)
        self.totals = self._totals()
        return [self._first(name, length), self._second(name)]

    def _totals(self) -> dict[Node, tuple[Operand, Size]]:
        """For each reduction, the totals of one part of all rows, and where those of the first
        part begin in the memory that both kernels share."""
        found: dict[Node, tuple[Operand, Size]] = {}
        self.shared: Size = 0
        for node in self.group.reductions:
            kind = TensorType(accumulator(node), self.row_space)
            found[node] = dense_operand(-1 - len(found), kind), self.shared
            self.shared = self.shared + ceildiv(kind.nbytes * self.parts, 64) * 64
        return found

    def _pointers(self, frame: Frame) -> dict[Node, Pointer]:
        return {
            node: frame.arguments.pointer(Shared(offset), operand.type.dtype)
            for node, (operand, offset) in self.totals.items()
        }

    # The first kernel.

    def _first(self, name: str, length: int) -> Kernel:
        group, module = self.group, self.context.module()
        with kernel_function(module) as frame:
            memory = Memory(frame.b, frame.arguments, group, self.inputs, self.outputs)
            walks = memory.walks()
            rows = loops_over(group.rows, group.space, walks)
            folds = loops_over(group.folded, group.space, walks)
            part = Loop((), self.parts)
            pointers = self._pointers(frame)
            across = group.full[-1] in group.rows
            shape = AcrossRows if across else AlongRows
            sweeps = shape(frame, memory, rows, folds, self.lanes)
            around = [*(sweeps.around if isinstance(sweeps, AcrossRows) else rows), part]
            chunks = sweeps.chunks if isinstance(sweeps, AcrossRows) else 1
            outside = Site(memory, {})
            with each_tile(frame, memory, around, chunks) as (indices, chunk):
                size = memory.number(folds[0].size)
                sweeps.part = chunk_bounds(memory, indices[part], length, size)
                keeps = () if across else group.folded_from
                site = Site(memory, indices, outside, keeps=keeps)
                if isinstance(sweeps, AcrossRows):
                    site = sweeps.columns(site, sweeps.first_column(chunk))
                for node, total in sweeps.totals(site, 0).items():
                    if isinstance(sweeps, AlongRows):
                        total = sweeps.folded(node, total)
                    self._keep(site, node, pointers[node], indices[part], total)
        return Kernel(
            f"{name} (parts)",
            module.text,
            frame.arguments.slots,
            tiles=product(loop.size for loop in around) * chunks,
            work=work_of(group, self.lanes),
            shared=self.shared,
        )

    def _keep(self, site: Site, node: Node, pointer: Pointer, part: Index, total: Value) -> None:
        """Write the total of a part."""
        operand, _ = self.totals[node]
        place = site.b.index(part) * site.memory.value(self.row_count)
        site.memory.give(operand, site.b.shifted(pointer, place))
        site.write(operand, self.group.rows, total)

    # The second kernel.

    def _second(self, name: str) -> Kernel:
        group, module = self.group, self.context.module()
        written = [i for i, ref in enumerate(group.outputs) if ref.axes != group.full]
        lanes = self.lanes if group.rows else 1
        with kernel_function(module) as frame:
            memory = Memory(frame.b, frame.arguments, group, self.inputs, self.outputs)
            walks = [memory.output_walk(i) for i in written]
            reads = (ref for ref in memory.input_refs() if set(ref.axes) <= set(group.rows))
            walks += [memory.input_walk(ref) for ref in reads]
            walks += [walk(operand, group.rows) for operand, _ in self.totals.values()]
            *around, inner = loops_over(group.rows, group.space, walks) or [Loop((), 1)]
            chunks = rounds(inner.size, CHUNK)
            pointers = self._pointers(frame)
            outside = Site(memory, {})
            with each_tile(frame, memory, around, chunks) as (indices, chunk):
                site = Site(memory, indices, outside)
                start: Index = 0
                stop = memory.number(inner.size)
                if chunks != 1:
                    start, stop = chunk_bounds(memory, chunk, CHUNK, stop)
                for vector in vectors(site, inner, start, stop, lanes, group.folded_from):
                    for node in group.reductions:
                        vector.known[group.ref(node.outputs[0])] = self._folded(
                            vector, node, pointers[node]
                        )
                    vector.move_on()
                    values = [vector.value(group.outputs[i]) for i in written]
                    for i, value in zip(written, values, strict=True):
                        vector.store(i, value)
        return Kernel(
            f"{name} (together)",
            module.text,
            frame.arguments.slots,
            tiles=product(loop.size for loop in around) * chunks,
            work=self.row_count * self.parts * max(INSTRUCTION // lanes, 1),
            shared=self.shared,
        )

    def _folded(self, site: Site, node: Node, pointer: Pointer) -> Value:
        """The value of a reduction from the totals of all parts."""
        b, memory = site.b, site.memory
        operand, _ = self.totals[node]
        total = b.variable(start_of(b, node, site.lanes))
        first = site.place(walk(operand, self.group.rows))
        with b.loop(0, memory.number(self.parts), name="part") as part:
            place = part * memory.value(self.row_count) + first
            more = b.load(pointer, place, site.lanes, mask=site.mask)
            after = node.op.lower(b, total.value, more)
            if site.mask is not None:
                after = b.select(site.mask, after, total.value)
            total.value = after
        return b.convert(total.value, node.outputs[0].dtype)
