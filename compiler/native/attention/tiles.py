"""What the kernels of attention are written with: memory of their own, products, panels of queries.

A panel is as many queries as fill the vectors of a row of the routine that multiplies
(`contraction/panel.py`). What is computed for a panel and a block of keys has a row for each key,
`Tiles.line` elements apart, with a lane for each query.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from graphwright.compiler.native.attention.problem import Problem, Rows
from graphwright.compiler.native.contraction.grid import Panels
from graphwright.compiler.native.contraction.packing import Packing, pack_lines, pack_panel
from graphwright.compiler.native.contraction.panel import (
    masked,
    panel,
    tile_rows,
    tile_vectors,
)
from graphwright.compiler.native.contraction.product import Place
from graphwright.compiler.native.kernel import Frame, Routine
from graphwright.compiler.native.routine import call_routine
from graphwright.compiler.native.traversal import Places, merged
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dim import Size, ceildiv


@dataclass(frozen=True)
class Sizes:
    """Of a product."""

    rows: Value
    columns: Value
    depth: Value


class Tiles:
    """The frame of a kernel of attention.

    lanes: elements of a vector
    line:  elements of a row of what is computed for a panel: the most queries of one
    """

    def __init__(self, frame: Frame, problem: Problem, rows: dict[str, Rows]) -> None:
        self.frame = frame
        self.b = b = frame.b
        self.problem = problem
        self.dtype = problem.dtype
        target = b.module.target
        self.lanes = target.lanes(self.dtype.itemsize)
        self.vectors = tile_vectors(target)
        self.line = self.vectors * self.lanes
        self.scratch: Size = 0
        self.own = frame.own(self.dtype)
        arguments = frame.arguments
        self.groups, self.queries, self.keys, self.features, self.width = (
            arguments.value(size)
            for size in (
                problem.groups,
                problem.queries,
                problem.keys,
                problem.features,
                problem.width,
            )
        )
        self.multiplying, self.adding = (
            arguments.pointer(
                Routine(panel(self.dtype, target, b.module.checked, adds=adds)), self.dtype
            )
            for adds in (False, True)
        )
        self.panels = Panels(b, self.queries, self.lanes, self.vectors)
        self.reach = arguments.value(problem.reach)
        self.rows = rows
        self._places = {name: self._place(each) for name, each in rows.items()}
        self._groups = {name: arguments.value(each.group) for name, each in rows.items()}
        space = merged(problem.heads, *(each.heads for each in rows.values()))
        self._heads = Places(
            tuple(arguments.value(size) for size in space.shape),
            tuple(tuple(map(self._step, strides)) for strides in space.strides),
        )

    def _step(self, size: Size) -> Index:
        """A stride: from a slot, but for 0."""
        return 0 if size == 0 else self.frame.arguments.value(size)

    def _place(self, rows: Rows) -> Place:
        arguments, column = self.frame.arguments, rows.column
        known = column if isinstance(column, int) and column in (0, 1) else None
        return Place(
            rows.operand.pointer(arguments),
            arguments.value(rows.row),
            known if known is not None else arguments.value(column),
        )

    @property
    def panel_count(self) -> Size:
        """How many panels the queries of a head make."""
        return ceildiv(ceildiv(self.problem.queries, self.lanes), self.vectors)

    # Where things are.

    def padded(self, size: Size) -> Size:
        """A number of elements as whole vectors."""
        return self.lanes * ceildiv(size, self.lanes)

    def take(self, elements: Size) -> Pointer:
        """So many elements of the thread's own memory."""
        base = self.own
        start, self.scratch = self.scratch, self.scratch + 16 * ceildiv(elements, 16)
        return base if start == 0 else self.b.shifted(base, self.frame.arguments.value(start))

    def take_rows(self, count: Size, length: Size) -> Place:
        """Memory for rows of whole vectors."""
        line = self.padded(length)
        return Place(self.take(count * line), self.frame.arguments.value(line), 1)

    def take_tile(self, count: Size) -> Place:
        """Memory for so many rows with a lane for each query of a panel."""
        return Place(self.take(count * self.line), self.b.index(self.line), 1)

    def head(self, number: Value, group: Index) -> dict[str, Place]:
        """The matrices of all operands for a head of the keys, and one of the query's for it."""
        found = {}
        offsets = self._heads.at(self.b, number)
        for offset, (name, place) in zip(offsets, self._places.items(), strict=True):
            index = self.b.index(group) * self._groups[name] + offset
            found[name] = Place(self.b.shifted(place.pointer, index), place.row, place.column)
        return found

    def last_key(self, first: Value, count: Value) -> Value:
        """The number after the last key that one of these queries attends to."""
        if self.problem.op.causal == "no":
            return self.keys
        b = self.b
        reach = first + count + self.reach
        return b.intrinsic("smax", b.intrinsic("smin", reach, self.keys), 0)

    # What is done with it.

    @contextmanager
    def each_vector(self, rows: Value) -> Iterator[tuple[Value, list[Value]]]:
        """A loop over rows with a lane for each query: the row's number, its vectors' places."""
        with self.b.loop(0, rows, name="row") as row:
            start = row * self.line
            yield row, [start + v * self.lanes for v in range(self.vectors)]

    def load(self, base: Pointer) -> list[Value]:
        """The vectors of a row of a panel's numbers."""
        return [self.b.load(base, v * self.lanes, self.lanes) for v in range(self.vectors)]

    def store(self, base: Pointer, values: list[Value]) -> None:
        """The reverse."""
        for v, value in enumerate(values):
            self.b.store(base, v * self.lanes, value)

    def multiply(self, left: Place, right: Place, goal: Place, sizes: Sizes, adds: bool) -> None:
        """goal = left · right, or goal + left · right; columns follow one another in the latter
        two."""
        b = self.b
        height = tile_rows(b.module.target)
        routine = self.adding if adds else self.multiplying
        panels = Panels(b, sizes.columns, self.lanes, self.vectors)
        with b.loop(0, panels.count, name="panel") as number:
            start, columns = panels.bounds(number)
            pointers = [left.pointer, right.at(b, 0, start).pointer, goal.at(b, 0, start).pointer]
            strides = [left.row * height, left.row, left.column, right.row, goal.row]
            call_routine(b, routine, pointers, [sizes.rows, columns, sizes.depth, *strides])

    def transpose(self, source: Place, goal: Place, length: Value, queries: Value) -> None:
        """Rows of a panel's queries, of some length, as rows with a lane for each query."""
        b, column = self.b, source.column
        turned = Place(source.pointer, b.index(column), source.row)
        packing = Packing((turned,), None, goal, length, queries)
        pack_panel(self.frame, packing, self.line, by_rows=isinstance(column, int) and column == 1)

    def readable(self, name: str, length: Size) -> bool:
        """Whether rows of an operand can be the right factor where they lie."""
        whole = isinstance(length, int) and length % self.lanes == 0
        column = self.rows[name].column
        fits = whole or masked(self.dtype, self.b.module.target)
        return fits and isinstance(column, int) and column == 1

    def copy(self, source: Place, goal: Place, rows: Value, length: Value) -> Place:
        """Copy rows to memory of the thread's own."""
        pack_lines(self.b, Packing((source,), None, goal, rows, length))
        return goal

    def clear(self, place: Place, rows: Value) -> None:
        """Make rows of the thread's own memory 0."""
        b = self.b
        zero = b.constant(0, self.dtype, self.lanes)
        with b.loop(0, rows * place.row, self.lanes, name="clear") as i:
            b.store(place.pointer, i, zero)
