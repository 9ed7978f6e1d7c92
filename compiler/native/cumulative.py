"""Running sums, products, extremes and linear recurrences: one element after the other.

The order is NumPy's, so that the bits are too. Vectors lie across the axis. Where the axis itself
is the one of neighbours, square blocks of rows and elements are transposed in registers on their
way in and out, so that each lane runs along a row of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphwright.compiler.native.copy import gathers
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Context, Frame, Kernel, kernel_function
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.transpose import block_side, transposed
from graphwright.compiler.native.traversal import (
    PICOSECONDS_PER_BYTE,
    Places,
    Space,
    Tiling,
    along,
    first_lanes,
    least,
    merged,
    rows_of,
    tile_elements,
)
from graphwright.compiler.native.values import Index, Pointer, Value, Variable
from graphwright.graph.dim import Size, ceildiv, maximum, product
from graphwright.graph.dtype import DType, float32, is_floating
from graphwright.ops.cumulative import CumMax, CumMin, CumProd, CumSum, Cumulative, LogCumSumExp
from graphwright.ops.recurrence import LinearRecurrence

Step: TypeAlias = Callable[[Value, Sequence[Value]], Value]
"""The next value, of the one before and the elements of the operands."""

_FEW_ROWS = 4  # too few to transpose for
_LINES = 4  # vectors across the axis that are done together


@generates(CumSum, CumProd, CumMax, CumMin)
def cumulative(op: Cumulative, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """Elements combined by one instruction, or two."""
    steps: dict[Any, Step] = {
        CumSum: lambda before, x: before + x[0],
        CumProd: lambda before, x: before * x[0],
        CumMax: lambda before, x: _extreme(before, x[0], largest=True),
        CumMin: lambda before, x: _extreme(before, x[0], largest=False),
    }
    return _accumulated(op, steps[type(op)], inputs, outputs, context)


@generates(LogCumSumExp)
def log_cumulative(
    op: LogCumSumExp, inputs: Operands, outputs: Operands, context: Context
) -> Kernels:
    """Elements combined by log(exp(x) + exp(y)) = max(x, y) + log1p(exp(-|x - y|))."""
    missing = {"exp", "log1p"} - context.functions.keys()
    if missing:
        return f"there is no vector function {min(missing)}"
    return _accumulated(op, lambda before, x: _logaddexp(before, x[0]), inputs, outputs, context)


@generates(LinearRecurrence)
def linear_recurrence(
    op: LinearRecurrence, inputs: Operands, outputs: Operands, context: Context
) -> Kernels:
    """The value before, times a factor, plus an element: rounded twice, as NumPy does."""
    factor, x = inputs
    return _accumulated(op, lambda before, e: e[1] * before + e[0], [x, factor], outputs, context)


def _extreme(before: Value, x: Value, largest: bool) -> Value:
    """NumPy's: a nan stays."""
    stays = before >= x if largest else before <= x
    if before.floating:
        stays = stays | before.differs(before)
    return before.builder.select(stays, before, x)


def _logaddexp(x: Value, y: Value) -> Value:
    """NumPy's: of equal ones, infinities too, x + log 2."""
    b = x.builder
    assert isinstance(b, Builder)
    apart = b.select(x > y, y - x, x - y)
    sum = b.select(x > y, x, y) + b.call("log1p", b.call("exp", apart))
    # A nan is in the difference; it is neither equal to anything.
    return b.select(x.equals(y), x + math.log(2), sum)


def _accumulated(
    op: Cumulative | LinearRecurrence,
    step: Step,
    inputs: Operands,
    outputs: Operands,
    context: Context,
) -> Kernels:
    (out,) = outputs
    operands = [out, *inputs]
    axis, length = op.axis, out.shape[op.axis]
    space = merged(*(_without(each, axis) for each in (out.shape, *(o.strides for o in operands))))
    steps = [operand.strides[axis] for operand in operands]
    side = block_side(context.target, _computed(out).itemsize)
    blocked = all(step == 1 for step in steps) and context.target.masked
    if isinstance(space.rows, int) and isinstance(space.row, int):
        blocked = blocked and space.rows * space.row >= _FEW_ROWS
    module = context.module()
    with kernel_function(module) as frame:
        number = frame.arguments.number
        chain = _Chain(
            frame.b,
            [operand.pointer(frame.arguments) for operand in operands],
            number(length),
            [number(each) for each in steps],
            _computed(out),
            step,
            op.reverse,
        )
        if blocked:
            tiles = _by_blocks(frame, chain, space, side, length)
        else:
            tiles = _across(frame, chain, space, length)
    work = out.type.nbytes * PICOSECONDS_PER_BYTE
    return [Kernel(op.name, module.text, frame.arguments.slots, tiles, work)]


def _without(sizes: tuple[Size, ...], axis: int) -> tuple[Size, ...]:
    return sizes[:axis] + sizes[axis + 1 :]


def _computed(out: Operand) -> DType:
    """The dtype of what runs along: 16-bit floats are rounded when they are written."""
    dtype = out.type.dtype
    return float32 if is_floating(dtype) and dtype.itemsize == 2 else dtype


@dataclass(frozen=True)
class _Chain:
    """What runs along an axis.

    pointers: of the output and the inputs
    length:   of the axis
    strides:  along it
    dtype:    of the running value
    step:     from one value to the next
    reverse:  from the end to the front
    """

    b: Builder
    pointers: Sequence[Pointer]
    length: Index
    strides: Sequence[Index]
    dtype: DType
    step: Step
    reverse: bool

    def place(self, t: Index) -> Index:
        """Where the running value is in its so-manieth step."""
        return self.b.index(self.length) - 1 - t if self.reverse else t

    def load(
        self, operand: int, at: Index, lanes: int, stride: Index = 1, mask: Value | None = None
    ) -> Value:
        """Elements of an operand, as the running value's dtype."""
        x = self.b.load(self.pointers[operand], at, lanes, stride=stride, mask=mask)
        return self.b.convert(x, self.dtype)

    def store(self, at: Index, value: Value, stride: Index = 1, mask: Value | None = None) -> None:
        """Elements of the output."""
        rounded = self.b.convert(value, self.pointers[0].dtype)
        self.b.store(self.pointers[0], at, rounded, stride=stride, mask=mask)

    def advance(self, running: Variable, first: Value | None, elements: Sequence[Value]) -> Value:
        """The running value's next, kept and given: where `first` holds, the first element."""
        value = self.step(running.value, elements)
        if first is not None:
            value = self.b.select(first, elements[0], value)
        running.value = value
        return value

    def start(self, lanes: int) -> Variable:
        """The running value before its first step."""
        return self.b.variable(self.b.constant(0, self.dtype, lanes))


def _across(frame: Frame, chain: _Chain, space: Space, length: Size) -> Size:
    b = frame.b
    itemsize = chain.dtype.itemsize
    lanes = _lanes(frame, chain, space)
    tiling = Tiling.of(space, maximum(tile_elements(itemsize, length), lanes))
    steps = [frame.arguments.number(step) for step in space.steps]
    with rows_of(frame, tiling) as row:

        def run(i: Index, lanes: int, mask: Value | None) -> None:
            places = [o + i * step for o, step in zip(row.offsets, steps, strict=True)]
            running = chain.start(lanes)
            with b.loop(0, chain.length, name="step") as t:
                at = chain.place(t)
                here = [p + at * s for p, s in zip(places, chain.strides, strict=True)]
                elements = [
                    chain.load(k, here[k], lanes, steps[k], mask) for k in range(1, len(here))
                ]
                value = chain.advance(running, t.equals(0), elements)
                chain.store(here[0], value, steps[0], mask)

        along(b, row.length, lanes, run)
    return tiling.tiles


def _lanes(frame: Frame, chain: _Chain, space: Space) -> int:
    target = frame.b.module.target
    near = all(isinstance(step, int) and step in (0, 1) for step in space.steps)
    narrowest = min((pointer.dtype for pointer in chain.pointers), key=lambda d: d.itemsize)
    lanes = target.lanes(chain.dtype.itemsize)
    row = space.row
    if (isinstance(row, int) and 2 * row <= lanes) or not (near or gathers(target, narrowest)):
        return 1
    # Of what lies far apart, several cache lines at a time.
    many = target.masked and (not isinstance(row, int) or row >= _LINES * lanes)
    return _LINES * lanes if many else lanes


def _by_blocks(frame: Frame, chain: _Chain, space: Space, side: int, length: Size) -> Size:
    """Each tile is a few groups of as many rows as a block has sides."""
    b, number = frame.b, frame.arguments.number
    rows = product(space.shape)
    groups = ceildiv(rows, side)
    together = tile_elements(chain.dtype.itemsize * side, length)
    count, several, last = number(groups), number(together), b.index(number(rows)) - 1
    places = Places.of(frame, space)
    with b.loop(frame.first, frame.last, name="tile") as tile:
        begin = tile * several
        with b.loop(begin, least(b, begin + several, count), name="group") as group:
            # A row past the last is the last again: the same values come to the same place.
            numbers = [least(b, group * side + k, last) for k in range(side)]
            offsets = [places.at(b, row) for row in numbers]
            running = chain.start(side)
            with b.loop(0, chain.length, side, name="block") as t:
                here = b.index(chain.place(t))
                _run_block(chain, running, here - b.remainder(here, side), offsets)
    return ceildiv(groups, together)


def _run_block(
    chain: _Chain, running: Variable, start: Value, offsets: Sequence[Sequence[Index]]
) -> None:
    b, side = chain.b, len(offsets)
    mask = first_lanes(b, b.index(chain.length) - start, side)
    columns = [
        transposed(b, [chain.load(k, start + row[k], side, mask=mask) for row in offsets])
        for k in range(1, len(chain.pointers))
    ]
    values = [running.value] * side
    for j in reversed(range(side)) if chain.reverse else range(side):
        first = None if j else start.equals(0)
        if chain.reverse:
            first = (start + j).equals(b.index(chain.length) - 1)
        values[j] = chain.advance(running, first, [elements[j] for elements in columns])
    for value, row in zip(transposed(b, values), offsets, strict=True):
        chain.store(start + row[0], value, mask=mask)
