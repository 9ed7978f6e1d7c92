"""Packing: a block of a factor as the routine `panel` can read it, in memory of the thread's own.

What is computed of the factor elementwise, and its conversion to a wider dtype, happens here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import gcd

from graphwright.compiler.native.contraction.panel import masked
from graphwright.compiler.native.contraction.product import Compute, Place
from graphwright.compiler.native.ir import Builder, Module
from graphwright.compiler.native.kernel import Frame, Routine
from graphwright.compiler.native.routine import call_routine, routine_function
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.transpose import transposed
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dtype import DType


@dataclass(frozen=True)
class Packing:
    """What is packed: `lines` rows of `length` elements.

    places:  where they come from
    compute: what makes one element of those of all places; none for the one as it is
    goal:    where they go; there, columns follow one another
    """

    places: tuple[Place, ...]
    compute: Compute | None
    goal: Place
    lines: Value
    length: Value

    @property
    def dtype(self) -> DType:
        return self.goal.pointer.dtype

    def shifted(self, b: Builder, row: Index) -> Packing:
        """From another row on."""
        places = tuple(place.at(b, row, 0) for place in self.places)
        return replace(self, places=places, goal=self.goal.at(b, row, 0))

    def part(self, b: Builder, row: Index, lines: Value) -> Packing:
        """So many lines from another row on."""
        return replace(self.shifted(b, row), lines=lines)

    def element(self, b: Builder, values: list[Value]) -> Value:
        """What is packed for elements of all places."""
        value = self.compute(b, values) if self.compute is not None else values[0]
        return b.convert(value, self.dtype)


def pack_panel(frame: Frame, packing: Packing, width: int, by_rows: bool) -> None:
    """Pack a panel, of `width` elements in a line if not of less.

    by_rows: whether columns are what follows one another in memory
    """
    b = frame.b
    if by_rows and packing.compute is None and packing.places[0].pointer.dtype == packing.dtype:
        _call_transposing(frame, packing)
    elif by_rows:
        pack_transposed(b, packing)
    else:
        usual = packing.length.equals(width)
        with b.when(usual, "whole"):
            _pack_whole_lines(b, packing, width)
        with b.when(~usual, "part"):
            pack_lines(b, packing)


def _pack_whole_lines(b: Builder, packing: Packing, width: int) -> None:
    lanes = gcd(b.module.target.lanes(packing.dtype.itemsize), width)
    with b.loop(0, packing.lines, name="line") as row:
        line = packing.shifted(b, row)
        for index in range(0, width, lanes):
            _pack_vector(b, line, b.index(index), lanes, None)


def pack_lines(b: Builder, packing: Packing) -> None:
    """Row by row, in vectors along them."""
    lanes = b.module.target.lanes(packing.dtype.itemsize)
    with b.loop(0, packing.lines, name="line") as row:
        line = packing.shifted(b, row)
        for index, count, mask in vector_loop(b, packing.length, lanes, packing.dtype):
            _pack_vector(b, line, index, count, mask)


def _pack_vector(b: Builder, line: Packing, index: Value, lanes: int, mask: Value | None) -> None:
    values = [
        b.load(p.pointer, index * p.column, lanes, stride=p.column, mask=mask) for p in line.places
    ]
    b.store(line.goal.pointer, index, line.element(b, values), mask=mask)


@cache
def transposing(dtype: DType, target: Target, checked: bool = False) -> str:
    """The text of a routine that packs one matrix as it is, transposed.

    Its parameters: source, goal; lines, length, the source's column, the goal's row.
    """
    module = Module(target, checked=checked)
    with routine_function(module, [dtype] * 2, 4) as (b, (source, goal), sizes):
        lines, length, column, row = sizes
        place, to = Place(source, b.index(1), column), Place(goal, row, 1)
        pack_transposed(b, Packing((place,), None, to, lines, length))
    return module.text


def _call_transposing(frame: Frame, packing: Packing) -> None:
    """Call that routine."""
    b, [place], goal = frame.b, packing.places, packing.goal
    text = transposing(packing.dtype, b.module.target, b.module.checked)
    routine = frame.arguments.pointer(Routine(text), packing.dtype)
    sizes = (packing.lines, packing.length, place.column, goal.row)
    call_routine(b, routine, [place.pointer, goal.pointer], sizes)


def pack_transposed(b: Builder, packing: Packing) -> None:
    """Where columns are what follows one another in memory: squares are transposed in registers.

    Columns beyond the last are copies of it, and rows beyond the last may be written: room for
    as many as make a whole square is needed.
    """
    lanes = b.module.target.lanes(packing.dtype.itemsize)
    with b.loop(0, packing.length, lanes, "square") as column:
        last = packing.length - 1
        lines = []
        for lane in range(lanes):
            number = b.intrinsic("smin", column + lane, last)
            lines.append([place.at(b, 0, number).pointer for place in packing.places])
        goal = packing.goal.at(b, 0, column)
        for row, count, mask in _squares(b, packing.lines, lanes, packing.dtype):
            rows = [
                packing.element(b, [b.load(p, row, count, mask=mask) for p in line])
                for line in lines
            ]
            place = goal.at(b, row, 0)
            square: Sequence[Value | list[Value]] = transposed(b, rows) if count > 1 else [rows]
            for i, values in enumerate(square):
                _store_row(b, place.at(b, i, 0).pointer, values)


def _squares(
    b: Builder, count: Value, lanes: int, dtype: DType
) -> Iterator[tuple[Value, int, Value | None]]:
    """As `vector_loop`, but always masked where that can be: the code of a square is long."""
    if not masked(dtype, b.module.target):
        yield from vector_loop(b, count, lanes, dtype)
        return
    with b.loop(0, count, lanes, "lanes") as index:
        yield index, lanes, b.lane_numbers(lanes) < b.splat(count - index, lanes)


def _store_row(b: Builder, goal: Pointer, values: Value | list[Value]) -> None:
    if isinstance(values, Value):
        b.store(goal, 0, values)
        return
    for lane, value in enumerate(values):
        b.store(goal, lane, value)


def vector_loop(
    b: Builder, count: Value, lanes: int, dtype: DType
) -> Iterator[tuple[Value, int, Value | None]]:
    """Walks `count` elements: gives the first, how many, and which of them are some (none: all).

    What is left in the end is masked, or goes one by one on CPUs that can't for the dtype.
    """
    done = b.variable(b.index(0))
    with b.loop(0, count - (lanes - 1), lanes, "lanes") as index:
        yield index, lanes, None
        done.value = index + lanes
    rest = done.value
    if masked(dtype, b.module.target):
        with b.when(rest < count, "rest"):
            yield rest, lanes, b.lane_numbers(lanes) < b.splat(count - rest, lanes)
        return
    with b.loop(rest, count, name="rest") as index:
        yield index, 1, None
