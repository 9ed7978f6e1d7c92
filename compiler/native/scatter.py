"""Scattering: rows added to, or set in, a table at computed indices: the gradient of gathering.

First the table is copied to the output; then the updates come, in the order of their indices. Each
tile owns some columns of some rows in front, and walks all indices for them, so that every element
has its updates in that order whichever thread does it: no atomic operations, the same bits always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphwright.compiler.native.choice import NOTHING_CHOSEN, Choice, Reader
from graphwright.compiler.native.copy import Region, copied, gathers
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Context, Frame, Kernel, kernel_function
from graphwright.compiler.native.traversal import (
    PICOSECONDS_PER_BYTE,
    Places,
    Space,
    along,
    digits,
    least,
    merged,
    numbers,
    piece_length,
)
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dim import Size, ceildiv, maximum, product
from graphwright.ops.gather import ScatterAdd
from graphwright.ops.gather_nd import Mode, ScatterNd

_COLUMN_BYTES = 256  # of the part of a row that a tile owns
_UPDATES = 4096  # elements that make a tile worth its while, about


@generates(ScatterAdd)
def scatter_add(op: ScatterAdd, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """Added at indices along an axis."""
    _, indices, updates = inputs
    choice = Choice.along(outputs[0], indices, updates, op.axis)
    return _scattered(choice, "add", inputs, outputs, context, op.name)


@generates(ScatterNd)
def scatter_nd(op: ScatterNd, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """Combined at tuples of indices."""
    _, indices, updates = inputs
    choice = Choice.by_tuples(outputs[0], indices, updates, op.batch_dims)
    if not choice.keys:
        return "tuples of no indices choose everything"
    return _scattered(choice, op.mode, inputs, outputs, context, f"{op.name} {op.mode}")


def _scattered(
    choice: Choice, mode: Mode, inputs: Operands, outputs: Operands, context: Context, name: str
) -> Kernels:
    (x, indices, updates), (out,) = inputs, outputs
    if updates.type.size == 0 != indices.type.size:
        return NOTHING_CHOSEN
    initial = copied([Region(out, x)], context, f"{name}: initial")
    grid = _Grid.of(choice, max(_COLUMN_BYTES // out.type.dtype.itemsize, 1))
    if grid.tiles == 0:
        return initial
    module = context.module()
    with kernel_function(module) as frame:
        pointers = updates.pointer(frame.arguments), out.pointer(frame.arguments)
        reader = Reader.of(frame, choice, indices)
        _write(frame, grid, pointers[0], pointers[1], reader, mode)
    work = updates.type.nbytes * PICOSECONDS_PER_BYTE
    return [*initial, Kernel(name, module.text, frame.arguments.slots, grid.tiles, work)]


@dataclass(frozen=True)
class _Grid:
    """Spaces of the axes in front, of the indices, and of what each chooses.

    Their operands are the updates, the output and the indices.

    together: how many places in front a tile owns
    columns:  how many elements of the last axis
    """

    front: Space
    indexed: Space
    behind: Space
    together: Size
    columns: int

    @classmethod
    def of(cls, choice: Choice, columns: int) -> _Grid:
        ends = choice.front, choice.front + choice.indexed
        spaces = [
            merged(
                choice.shape[part],
                choice.chosen[part],
                choice.table[part],
                choice.indices[part],
            )
            for part in (slice(ends[0]), slice(*ends), slice(ends[1], None))
        ]
        front, indexed, behind = spaces
        row = behind.row
        each = product(indexed.shape) * (min(row, columns) if isinstance(row, int) else columns)
        together: Size = 1
        if product(front.shape) != 1:
            together = maximum(_UPDATES // maximum(each, 1), 1)
        return cls(front, indexed, behind, together, columns)

    @property
    def parts(self) -> tuple[Size, Size, Size]:
        """How many groups in front, rows behind and pieces of them: their product is the grid."""
        groups = ceildiv(product(self.front.shape), self.together)
        return groups, self.behind.rows, ceildiv(self.behind.row, self.columns)

    @property
    def tiles(self) -> Size:
        if product(self.indexed.shape) == 0:
            return 0
        return product(self.parts)


def _write(
    frame: Frame, grid: _Grid, updates: Pointer, out: Pointer, reader: Reader, mode: Mode
) -> None:
    b, number = frame.b, frame.arguments.number
    fronts, indexed = Places.of(frame, grid.front), Places.of(frame, grid.indexed)
    behind = Places.of(frame, grid.behind)
    steps = [number(step) for step in grid.behind.steps[:2]]
    parts = numbers(frame.arguments, grid.parts)
    count, choices = number(product(grid.front.shape)), number(product(grid.indexed.shape))
    together = number(grid.together)
    with b.loop(frame.first, frame.last, name="tile") as tile:
        group, row, piece = digits(b, tile, parts)
        start = b.index(piece) * grid.columns
        length = piece_length(b, number(grid.behind.row), start, grid.columns)
        column = behind.of_row(b, row, start)
        begin = b.index(group) * together
        with b.loop(begin, least(b, begin + together, count), name="front") as place:
            front = fronts.at(b, place)
            with b.loop(0, choices, name="index") as i:
                chosen = indexed.at(b, i)
                at, fine = reader.read(b.index(front[2]) + chosen[2])
                with b.when(fine, "update"):
                    come = b.shifted(updates, b.index(front[0]) + chosen[0] + column[0])
                    go = b.shifted(out, at + front[1] + column[1])
                    _combine_rows(frame, come, go, length, steps, mode)


def _combine_rows(
    frame: Frame, come: Pointer, go: Pointer, length: Index, steps: Sequence[Index], mode: Mode
) -> None:
    b = frame.b
    target = b.module.target
    near = all(isinstance(step, int) and step in (0, 1) for step in steps)
    lanes = target.lanes(come.dtype.itemsize) if near or gathers(target, come.dtype) else 1
    if isinstance(length, int) and 2 * length < lanes:
        lanes = 1  # what is written with a mask is slow to read again at once

    def combine(i: Index, lanes: int, mask: Value | None) -> None:
        update = b.load(come, i * steps[0], lanes, stride=steps[0], mask=mask)
        if mode != "set":
            old = b.load(go, i * steps[1], lanes, stride=steps[1], mask=mask)
            update = _combined(b, mode, old, update)
        b.store(go, i * steps[1], update, stride=steps[1], mask=mask)

    along(b, length, lanes, combine)


def _combined(b: Builder, mode: Mode, old: Value, update: Value) -> Value:
    """As NumPy's functions do: a nan wins, and of equal numbers the old one stays."""
    if mode == "add":
        return old + update
    if mode == "mul":
        return old * update
    stays = old >= update if mode == "max" else old <= update
    if old.floating:
        stays = stays | old.differs(old)
    return b.select(stays, old, update)
