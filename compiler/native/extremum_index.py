"""Where the largest or the smallest element lies along an axis.

The first of several, or the first nan, as in NumPy. Either vectors lie along the axis, and each
lane finds the first of its own; or they lie across it, and each lane is an output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from graphwright.compiler.native.copy import gathers
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import (
    Context,
    Fault,
    Frame,
    Kernel,
    kernel_function,
)
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.traversal import (
    PICOSECONDS_PER_BYTE,
    Row,
    Space,
    Tiling,
    along,
    merged,
    rows_of,
    tile_elements,
)
from graphwright.compiler.native.values import Index, Pointer, Value, Variable
from graphwright.graph.dim import maximum
from graphwright.graph.dtype import DType, float32, int64, is_floating
from graphwright.ops.reduction import ArgMax, ArgMin, IndexReduction

_MOST_LANES = 16  # along the axis: places take 8 bytes each


@generates(ArgMax, ArgMin)
def extremum_index(
    op: IndexReduction, inputs: Operands, outputs: Operands, context: Context
) -> Kernels:
    """The index along one axis."""
    (x,), (out,) = inputs, outputs
    (axis,) = op.axes
    length, step = x.shape[axis], x.strides[axis]
    if length == 0:
        return "the axis is empty"
    kept = out.strides[:axis] + out.strides[axis + 1 :] if op.keepdims else out.strides
    shape, strides = (each[:axis] + each[axis + 1 :] for each in (x.shape, x.strides))
    space = merged(shape, kept, strides)
    across = step != 1 and space.steps == (1, 1)
    lanes = _lanes(context.target, x.type.dtype, across, step == 1)
    elements = tile_elements(x.type.dtype.itemsize, length)
    tiling = Tiling.of(space, maximum(elements, lanes) if across else elements)
    module = context.module()
    with kernel_function(module) as frame:
        number = frame.arguments.number
        search = _Search(
            frame.b, _elements(frame, x), number(length), number(step), isinstance(op, ArgMax)
        )
        goal = out.pointer(frame.arguments)
        with _some(frame, search.length), rows_of(frame, tiling) as row:
            write = _across if across else _within
            write(frame, search, goal, row, space, lanes)
    work = x.type.nbytes * PICOSECONDS_PER_BYTE
    return [Kernel(op.name, module.text, frame.arguments.slots, tiling.tiles, work)]


@contextmanager
def _some(frame: Frame, length: Index) -> Iterator[None]:
    """What is inside is for an axis with elements; one without is a fault."""
    if isinstance(length, int):
        yield
        return
    b = frame.b
    fault = frame.arguments.pointer(Fault(), int64)
    with b.when(length.equals(0), "empty"):
        b.store(fault, 0, b.constant(1, int64))
    with b.when(length > 0, "search"):
        yield


def _elements(frame: Frame, x: Operand) -> Pointer:
    """Booleans are read as the bytes that they are."""
    pointer = x.pointer(frame.arguments)
    return Pointer(pointer.text, np.dtype(np.uint8), pointer.bounds) if _boolean(x) else pointer


def _boolean(x: Operand) -> bool:
    return x.type.dtype.kind == "b"


def _lanes(target: Target, dtype: DType, across: bool, near: bool) -> int:
    if across:
        return 2 * target.lanes(max(dtype.itemsize, 4))
    return min(target.lanes(dtype.itemsize), _MOST_LANES) if near or gathers(target, dtype) else 1


def _across(
    frame: Frame, search: _Search, goal: Pointer, row: Row, space: Space, lanes: int
) -> None:
    b = frame.b

    def find(i: Index, lanes: int, mask: Value | None) -> None:
        start = b.shifted(search.x, row.offsets[1] + b.index(i))
        best, place = search.first(start, lanes, 1, mask)
        with b.loop(1, search.length, name="search") as t:
            search.look(best, place, search.read(start, t * search.step, lanes, 1, mask), t)
        b.store(goal, b.index(i) + row.offsets[0], place.value, mask=mask)

    along(b, row.length, lanes, find)


def _within(
    frame: Frame, search: _Search, goal: Pointer, row: Row, space: Space, lanes: int
) -> None:
    b = frame.b
    steps = [frame.arguments.number(step) for step in space.steps]
    with b.loop(0, row.length, name="output") as i:
        start = b.shifted(search.x, row.offsets[1] + i * steps[1])
        found = search.first(start, lanes, 0)
        # Elements that make no vector have a place of their own on CPUs without masks.
        rest = search.first(start, 1, 0) if lanes > 1 else found

        def look(t: Index, width: int, mask: Value | None) -> None:
            best, place = found if width > 1 else rest
            x = search.read(start, t * search.step, width, search.step, mask)
            search.look(best, place, x, b.lane_numbers(width) + t, mask)

        along(b, search.length, lanes, look)
        best, place = search.fold(found[0].value, found[1].value)
        if lanes > 1:
            place = search.chosen((best, place), (rest[0].value, rest[1].value))[1]
        b.store(goal, i * steps[0] + row.offsets[0], place)


@dataclass(frozen=True)
class _Search:
    """For the extreme of `length` elements, `step` apart."""

    b: Builder
    x: Pointer
    length: Index
    step: Index
    largest: bool

    def read(
        self, start: Pointer, at: Index, lanes: int, stride: Index, mask: Value | None
    ) -> Value:
        """Elements; 16-bit floats as float32."""
        x = self.b.load(start, at, lanes, stride=stride, mask=mask)
        narrow = is_floating(x.dtype) and x.dtype.itemsize == 2
        return self.b.convert(x, float32) if narrow else x

    def first(
        self, start: Pointer, lanes: int, stride: Index, mask: Value | None = None
    ) -> tuple[Variable, Variable]:
        """The best so far, the first element, and its place, 0."""
        x = self.read(start, 0, lanes, stride, mask)
        return self.b.variable(x), self.b.variable(self.b.constant(0, int64, lanes))

    def look(
        self, best: Variable, place: Variable, x: Value, at: Value, mask: Value | None = None
    ) -> None:
        """Take elements that are better than the best so far."""
        b, old = self.b, best.value
        wins = self._better(x, old)
        wins = wins if mask is None else wins & mask
        best.value = b.select(wins, x, old)
        place.value = b.select(wins, at, place.value)

    def _better(self, x: Value, y: Value) -> Value:
        wins = x > y if self.largest else x < y
        return wins | (x.differs(x) & y.equals(y)) if x.floating else wins

    def chosen(self, x: tuple[Value, Value], y: tuple[Value, Value]) -> tuple[Value, Value]:
        """The better of two elements with their places; of equal ones, the first."""
        b = self.b
        wins = self._better(y[0], x[0]) | (~self._better(x[0], y[0]) & (y[1] < x[1]))
        return b.select(wins, y[0], x[0]), b.select(wins, y[1], x[1])

    def fold(self, best: Value, place: Value) -> tuple[Value, Value]:
        """The best of all lanes, one half against the other until there is one."""
        while best.lanes > 1:
            half = best.lanes // 2
            low, high = (
                (self.b.lanes_of(best, first, half), self.b.lanes_of(place, first, half))
                for first in (0, half)
            )
            best, place = self.chosen(low, high)
        return best, place
