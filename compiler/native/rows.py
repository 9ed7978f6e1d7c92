"""Row groups: reductions over the same axes and the elementwise work between them, as one kernel.

A row is what one value of each reduction is made of. Rows are independent: they are the grid. In
a row the folded axes are swept once for each level of the group (`compiler/group.py`): a softmax
takes a sweep for the maximum, one for the sum, one for the quotients. What a later sweep needs
again is computed again when that is cheap; else it is kept, in the output that it is or in memory
of the thread's own.

Lanes lie along the last axis of the space. Where that is folded, a reduction has as many partial
results as there are lanes, which are folded in halves at the end (a short row is one vector, and
needs no loop). Where it is not, each lane is a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from graphwright.compiler.group import Group
from graphwright.compiler.native.kernel import Context, Kernel, kernel_function
from graphwright.compiler.native.nest import Loop, loops_over
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.site import LONG, Memory, Site
from graphwright.compiler.native.sweeps import Sweeps
from graphwright.compiler.native.tiling import each_tile, lane_mask, rounds, vectors
from graphwright.compiler.native.values import Index, Value
from graphwright.compiler.native.work import vector_lanes, work_of
from graphwright.graph.dim import Size, product
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor

WIDE = 4
"""Vectors that are computed at once: additions to one total wait for one another otherwise."""


def rows_kernel(
    name: str,
    group: Group,
    inputs: Mapping[Tensor, Operand],
    outputs: list[Operand],
    context: Context,
) -> Kernel:
    """The kernel of a group that folds axes, whole rows at a time."""
    module = context.module()
    lanes = vector_lanes(group, context.target)
    with kernel_function(module) as frame:
        memory = Memory(frame.b, frame.arguments, group, inputs, outputs)
        walks = memory.walks()
        rows = loops_over(group.rows, group.space, walks)
        folds = loops_over(group.folded, group.space, walks)
        across = group.full[-1] in group.rows
        work = (AcrossRows if across else AlongRows)(frame, memory, rows, folds, lanes)
        work.write()
    return Kernel(
        name,
        module.text,
        frame.arguments.slots,
        tiles=work.tiles,
        work=work_of(group, lanes),
        scratch=work.scratch,
    )


class AlongRows(Sweeps):
    """Lanes lie along the last folded axis."""

    def write(self) -> None:
        if not self._short:
            size = product(loop.size for loop in self.folds)
            self.plan_kept(_strides(self.group, self.folds, 1), size)
        outside = Site(self.memory, {})
        with each_tile(self.frame, self.memory, self.rows, 1) as (indices, _):
            self.row(Site(self.memory, indices, outside, keeps=self.group.folded_from))

    @property
    def _short(self) -> bool:
        """True when a row is one vector, perhaps a wide one: all sweeps are in registers."""
        size = self.folds[-1].size
        one = len(self.folds) == 1 and self.part is None
        return one and isinstance(size, int) and size <= WIDE * self.lanes

    def width(self) -> int:
        size = self.folds[-1].size
        if isinstance(size, int) and size < WIDE * self.lanes:
            lanes = self.lanes
            while self._short and lanes < size:
                lanes *= 2
            return lanes
        return WIDE * self.lanes

    def row(self, site: Site) -> None:
        if self._short:
            inner, width = self.folds[-1], self.width()
            size = self.memory.number(inner.size)
            mask = None if size == width else lane_mask(site, 0, size, width)
            self._vector = Site(self.memory, {inner: 0}, site, along=inner, lanes=width, mask=mask)
        super().row(site)

    def elements(self, row: Site) -> Iterator[Site]:
        if self._short:
            self._vector.move_on()
            yield self._vector
            return
        *around, inner = self.folds
        with ExitStack() as loops:
            site = row
            for loop in around:
                index = loops.enter_context(self.b.loop(*self.bounds(loop)))
                site = Site(self.memory, {loop: index}, site)
            yield from vectors(site, inner, *self.bounds(inner), self.width())

    def keep(self, site: Site, level: int) -> None:
        """Besides, the second sweep, which finds all near, calls for what the next row reads.

        The CPU foresees what is read next along a row, but not beyond a page of memory: there the
        first sweep would wait while the others leave the memory idle.
        """
        super().keep(site, level)
        size = product(loop.size for loop in self.folds)
        if level != 1 or not self.rows or (isinstance(size, int) and size < LONG):
            return
        memory = self.memory
        for ref in memory.input_refs():
            moves = memory.input_walk(ref)
            along = self.full(ref) and self.folds[-1].stride(moves) == 1
            if along and ref.tensor not in self.group.level:
                step = memory.number(self.rows[-1].stride(moves))
                place = self.b.index(site.place(moves)) + step
                self.b.prefetch(memory.pointer(memory.inputs[ref.tensor]), place, site.lanes)

    def finish(self, node: Node, total: Value) -> Value:
        return self.b.convert(self.folded(node, total), node.outputs[0].dtype)

    def folded(self, node: Node, total: Value) -> Value:
        """Fold the lanes in halves: the same tree each time."""
        b = self.b
        while total.lanes > 1:
            half = total.lanes // 2
            first, second = b.lanes_of(total, 0, half), b.lanes_of(total, half, half)
            total = node.op.lower(b, first, second)
        return total


class AcrossRows(Sweeps):
    """Lanes lie along the last axis, which is not folded: each lane is a row."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        *self.around, self._columns = self.rows

    @property
    def tiles(self) -> Size:
        return product(loop.size for loop in self.around) * self.chunks

    def width(self) -> int:
        size = self._columns.size
        if isinstance(size, int):
            return next(
                (w * self.lanes for w in (1, 2) if size <= w * self.lanes), WIDE * self.lanes
            )
        return WIDE * self.lanes

    def write(self) -> None:
        b, width, chunks = self.b, self.width(), self.chunks
        self.plan_kept(
            _strides(self.group, self.folds, width, lanes=self._columns),
            product(loop.size for loop in self.folds) * width,
        )
        outside = Site(self.memory, {})
        with each_tile(self.frame, self.memory, self.around, chunks) as (indices, chunk):
            around = Site(self.memory, indices, outside)
            start = self.first_column(chunk)
            for operand, pointer in self.own.items():
                # Places along the lanes count from the first column of all.
                self.memory.give(operand, b.shifted(pointer, b.index(0) - start))
            self.row(self.columns(around, start))

    @property
    def chunks(self) -> Size:
        """How many vectors of lanes there are."""
        return rounds(self._columns.size, self.width())

    def first_column(self, chunk: Index) -> Index:
        """Where the so-manieth vector of lanes begins."""
        return self.b.index(chunk) * self.width() if self.chunks != 1 else 0

    def columns(self, around: Site, start: Index) -> Site:
        """The rows that are computed together, from the first."""
        width = self.width()
        size = self.memory.number(self._columns.size)
        exact = isinstance(size, int) and size > 0 and size % width == 0
        mask = None if exact else lane_mask(around, start, size, width)
        at = {self._columns: start}
        keeps = self.group.folded_from
        return Site(
            self.memory, at, around, along=self._columns, lanes=width, mask=mask, keeps=keeps
        )

    def elements(self, row: Site) -> Iterator[Site]:
        with ExitStack() as loops:
            site = row
            for loop in self.folds:
                index = loops.enter_context(self.b.loop(*self.bounds(loop)))
                site = Site(self.memory, {loop: index}, site)
            yield site

    def finish(self, node: Node, total: Value) -> Value:
        return self.b.convert(total, node.outputs[0].dtype)


def _strides(
    group: Group, folds: list[Loop], step: Size, lanes: Loop | None = None
) -> tuple[Size, ...]:
    """The strides, for each axis of the space, of values that are kept for one row, or for as many
    rows as there are lanes."""
    strides: dict[int, Size] = dict.fromkeys(group.full, 0)
    if lanes is not None:
        strides[lanes.axes[-1]] = 1
    for loop in reversed(folds):
        for axis in reversed(loop.axes):
            strides[axis] = step
            step = step * group.space[axis]
    return tuple(strides[axis] for axis in group.full)
