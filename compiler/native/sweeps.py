"""The sweeps of a row: what each folds, writes, and keeps for later ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from graphwright.compiler.group import Ref
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Frame
from graphwright.compiler.native.nest import Loop
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.site import Memory, Site
from graphwright.compiler.native.values import Index, Pointer, Value, Variable
from graphwright.compiler.native.work import expensive
from graphwright.graph.dim import Size, ceildiv, product
from graphwright.graph.dtype import DType, int8
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.reduction import Reduction


class Sweeps:
    """A group's sweeps over its folded axes. Subclasses say where the lanes lie.

    rows:    the loops around a row
    folds:   the loops within one
    lanes:   elements of a vector
    scratch: the bytes of the thread's memory that are used
    part:    the rounds of the first of `folds` that are made, first and last (excluded); None: all
    kept:    what later sweeps read again, and where it lies
    own:     of this, what lies in the thread's memory
    """

    def __init__(
        self, frame: Frame, memory: Memory, rows: list[Loop], folds: list[Loop], lanes: int
    ) -> None:
        self.frame = frame
        self.b = frame.b
        self.memory = memory
        self.group = memory.group
        self.rows = rows
        self.folds = folds
        self.lanes = lanes
        self.scratch: Size = 0
        self.part: tuple[Index, Index] | None = None
        self.kept: dict[Tensor, Operand] = {}
        self.own: dict[Operand, Pointer] = {}

    @property
    def tiles(self) -> Size:
        """How many tiles the grid has."""
        return product(loop.size for loop in self.rows)

    def write(self) -> None:
        """Write the body of the kernel."""
        raise AssertionError

    def elements(self, row: Site) -> Iterator[Site]:
        """The sites within a row; each is written to once."""
        raise AssertionError

    def finish(self, node: Node, total: Value) -> Value:
        """The value of a reduction from its lanes."""
        raise AssertionError

    def width(self) -> int:
        """How many partial results a reduction has."""
        raise AssertionError

    def row(self, site: Site) -> None:
        """All sweeps of one row, and what is left when they are done."""
        group = self.group
        for level in range(group.last + 1):
            self.sweep(site, level)
        for position, ref in enumerate(group.outputs):
            if not self.full(ref):
                site.store(position, site.value(ref))
        for tensor in self.kept:
            self.memory.inputs.pop(tensor, None)

    def bounds(self, loop: Loop) -> tuple[Index, Index]:
        """The rounds of one of the loops within a row."""
        if self.part is not None and loop is self.folds[0]:
            return self.part
        return 0, self.memory.number(loop.size)

    def full(self, ref: Ref) -> bool:
        return ref.axes == self.group.full

    def sweep(self, row: Site, level: int) -> None:
        """Fold what is to be folded, write what is to be written, keep what is to be kept."""
        for node, total in self.totals(row, level).items():
            row.known[self.group.ref(node.outputs[0])] = self.finish(node, total)
        row.move_on()
        for tensor, operand in self.kept.items():
            if self.group.level[tensor] == level:
                self.memory.inputs[tensor] = operand

    def totals(self, row: Site, level: int) -> dict[Node, Value]:
        """The lanes of each reduction of a sweep; the rest of its work is done too."""
        group = self.group
        folding = [n for n in group.reductions if group.level[n.outputs[0]] == level + 1]
        totals = {node: self.start(node) for node in folding}
        for site in self.elements(row):
            written = [
                (position, site.value(ref))
                for position, ref in enumerate(group.outputs)
                if self.full(ref) and group.level[ref.tensor] == level
            ]
            for node, total in totals.items():
                self.fold(site, node, total)
            self.keep(site, level)
            for position, value in written:
                site.store(position, value)
        return {node: total.value for node, total in totals.items()}

    # Reductions.

    def start(self, node: Node) -> Variable:
        """The total of a reduction before anything is added."""
        return self.b.variable(start_of(self.b, node, self.width()))

    def fold(self, site: Site, node: Node, total: Variable) -> None:
        """Add the elements of a site; lanes that do not count change nothing."""
        (ref,) = self.group.reads[node]
        x = self.b.splat(self.b.convert(site.value(ref), total.dtype), site.lanes)
        before = total.value
        after = node.op.lower(self.b, before, x)
        if site.mask is not None:
            after = self.b.select(site.mask, after, before)
        total.value = after

    def keep(self, site: Site, level: int) -> None:
        """Write what later sweeps than `level` read again to the thread's memory."""
        for tensor, operand in self.kept.items():
            if self.group.level[tensor] == level and operand in self.own:
                site.write(operand, self.group.full, site.value(self.group.ref(tensor)))

    # What is kept from one sweep to a later one.

    def plan_kept(self, strides: Sequence[Size], count: Size) -> None:
        """Decide what to keep of what a later sweep needs: outputs, and what is dear to compute.

        strides: of a kept value in the thread's memory, for each axis of the space
        count:   how many elements of one there are
        """
        written = {ref.tensor: i for i, ref in enumerate(self.group.outputs)}
        for tensor in self.needed_again():
            if tensor in written:
                self.kept[tensor] = self.memory.outputs[written[tensor]]
                continue
            kind = TensorType(tensor.dtype, self.group.space)
            # No two are equal: they are told apart by what they are.
            operand = Operand(-1 - len(self.own), kind, 0, tuple(strides))
            offset = self.b.index(self.memory.number(self.scratch))
            where = self.b.shifted(self.frame.own(int8), offset)
            self.own[operand] = Pointer(where.text, tensor.dtype, where.bounds)
            self.memory.give(operand, self.own[operand])
            self.kept[tensor] = operand
            self.scratch = self.scratch + ceildiv(count * tensor.dtype.itemsize, 64) * 64

    def needed_again(self) -> list[Tensor]:
        """Values as large as the space that a sweep after their own needs, and can't have
        cheaply."""
        group = self.group
        again: dict[Tensor, None] = {}
        for node in group.operations:
            output = node.outputs[0]
            sweep = group.level[output] - (1 if node.op.reduction else 0)
            if node.op.reduction or self.full(group.ref(output)):
                self._find_again(node, sweep, again)
        return list(again)

    def _find_again(self, node: Node, sweep: int, again: dict[Tensor, None]) -> None:
        """Look at what an operation reads in a sweep, and at what that takes to compute again."""
        group = self.group
        outputs = {ref.tensor for ref in group.outputs}
        for ref in group.reads[node]:
            tensor = ref.tensor
            if tensor not in group.level or not self.full(ref) or group.level[tensor] >= sweep:
                continue
            if tensor in outputs or expensive(tensor.node):
                again[tensor] = None
            elif tensor not in again:
                self._find_again(tensor.node, sweep, again)


def accumulator(node: Node) -> DType:
    """The dtype of a reduction's totals."""
    return cast(Reduction, node.op).accumulates(node.inputs[0].dtype)


def start_of(b: Builder, node: Node, lanes: int) -> Value:
    """The total of no elements."""
    dtype = accumulator(node)
    return b.constant(cast(Reduction, node.op).start(dtype), dtype, lanes)
