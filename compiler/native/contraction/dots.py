"""Products with few rows: each element is a sum of its own, over vectors along k.

`dots` is a routine that is called as `panel` is, for factors whose elements follow one another
along k; so the stride of b is that from one column to the next::

    c[i, j] = Σ a[i, k] b[k, j] over k        i < rows, j < columns, k < depth

So the right factor is read once, from start to end, and nothing is packed. Lane l of a vector sums
the products of k = l, l + lanes …; then halves of the vector are added, and halves of that. This
tree is the same for all elements, whatever the tile they are in.
"""

from __future__ import annotations

from functools import cache

from graphwright.compiler.native.contraction.panel import NUMBERS, masked, multiply_add
from graphwright.compiler.native.ir import Builder, Module
from graphwright.compiler.native.routine import routine_function
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.transpose import shuffled
from graphwright.compiler.native.values import Pointer, Value, Variable
from graphwright.graph.dtype import DType

_ROWS, _COLUMNS = 4, 4  # of a tile


@cache
def dots(dtype: DType, target: Target, rows: int, checked: bool = False) -> str:
    """The text of the routine for so many rows."""
    module = Module(target, checked=checked)
    with routine_function(module, [dtype] * 3, NUMBERS) as (b, pointers, sizes):
        _Dots(b, pointers, sizes, rows).write()
    return module.text


class _Dots:
    """Writes the routine."""

    def __init__(
        self, b: Builder, pointers: tuple[Pointer, ...], sizes: tuple[Value, ...], rows: int
    ) -> None:
        self.b = b
        self.rows = rows
        self.dtype = pointers[0].dtype
        self.lanes = b.module.target.lanes(self.dtype.itemsize)
        self.left, self.right, self.out = pointers
        self.columns, self.depth = sizes[1:3]
        self.a_row, self.b_column, self.c_row = sizes[4], sizes[6], sizes[7]
        self.whole = self.depth - b.remainder(self.depth, self.lanes)

    def write(self) -> None:
        b = self.b
        width = min(_COLUMNS, self.lanes)
        done = b.variable(b.index(0))
        with b.loop(0, self.columns - (width - 1), width, "columns") as column:
            self.all_rows(column, width)
            done.value = column + width
        with b.loop(done.value, self.columns, name="column") as column:
            self.all_rows(column, 1)

    def all_rows(self, column: Value, width: int) -> None:
        """Some columns."""
        row = 0
        while row < self.rows:
            height = min(_ROWS, 1 << ((self.rows - row).bit_length() - 1))
            stop = self.rows - (self.rows - row) % height if height == _ROWS else row + height
            with self.b.loop(row, stop, height, "rows") as first:
                self.tile(first, column, height, width)
            row = stop

    def tile(self, row: Value, column: Value, height: int, width: int) -> None:
        """Some rows of some columns."""
        b = self.b
        b.comment(f"{height} rows by {width} columns")
        left = self.lines(self.left, row, self.a_row, height)
        right = self.lines(self.right, column, self.b_column, width)
        zero = b.constant(0, self.dtype, self.lanes)
        sums = [[b.variable(zero) for _ in right] for _ in left]
        with b.loop(0, self.whole, self.lanes, "depth") as k:
            self.step(left, right, sums, k, self.lanes, None)
        if masked(self.dtype, b.module.target):
            with b.when(self.whole < self.depth, "rest"):
                mask = b.lane_numbers(self.lanes) < b.splat(self.depth - self.whole, self.lanes)
                self.step(left, right, sums, self.whole, self.lanes, mask)
            totals = [folded(b, [each.value for each in line]) for line in sums]
        else:
            totals = self.with_rest(left, right, sums)
        out = b.shifted(self.out, row * self.c_row + column)
        for total in totals:
            b.store(out, 0, total)
            out = b.shifted(out, self.c_row)

    def lines(self, base: Pointer, first: Value, step: Value, count: int) -> list[Pointer]:
        """Where so many rows or columns begin."""
        lines = [self.b.shifted(base, first * step)]
        for _ in range(count - 1):
            lines.append(self.b.shifted(lines[-1], step))
        return lines

    def step(
        self,
        left: list[Pointer],
        right: list[Pointer],
        sums: list[list[Variable]],
        k: Value,
        lanes: int,
        mask: Value | None,
    ) -> None:
        """Some k, for all sums."""
        b = self.b
        columns = [b.load(line, k, lanes, mask=mask) for line in right]
        for line, totals in zip(left, sums, strict=True):
            x = b.load(line, k, lanes, mask=mask)
            for y, total in zip(columns, totals, strict=True):
                total.value = multiply_add(b, x, y, total.value)

    def with_rest(
        self, left: list[Pointer], right: list[Pointer], sums: list[list[Variable]]
    ) -> list[Value]:
        """The sums, and what is left of k: one by one, in a sum of its own that is added last."""
        b = self.b
        rests = [[b.variable(b.constant(0, self.dtype)) for _ in right] for _ in left]
        with b.loop(self.whole, self.depth, name="rest") as k:
            self.step(left, right, rests, k, 1, None)
        return [
            folded(b, [each.value for each in line]) + _joined(b, [each.value for each in rest])
            for line, rest in zip(sums, rests, strict=True)
        ]


def _joined(b: Builder, values: list[Value]) -> Value:
    """Single values as the lanes of a vector."""
    if len(values) == 1:
        return values[0]
    vector = b.splat(values[0], len(values))
    for lane, value in enumerate(values[1:], 1):
        given = f"{vector.type} {vector.text}, {value.type} {value.text}, i32 {lane}"
        vector = Value(b, b.emit(f"insertelement {given}"), value.dtype, len(values))
    return vector


def folded(b: Builder, vectors: list[Value]) -> Value:
    """The sum of the lanes of each of 1, 2 or 4 vectors, as the lanes of one.

    The upper half is added to the lower half until one lane is left. Two vectors become one by
    the first addition, four by two of them.
    """
    groups = 1
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [_halved(b, x, y, groups) for x, y in pairs]
        groups *= 2
    [vector] = vectors
    while vector.lanes > groups:
        vector = _halved(b, vector, None, groups)
    return vector


def _halved(b: Builder, x: Value, y: Value | None, groups: int) -> Value:
    """Each group of lanes added up to half as many: the groups of x, then those of y."""
    size, count = x.lanes // groups, x.lanes if y is None else 2 * x.lanes
    low = [start + lane for start in range(0, count, size) for lane in range(size // 2)]
    high = [lane + size // 2 for lane in low]
    if len(low) == 1:
        return b.lanes_of(x, 0, 1) + b.lanes_of(x, 1, 1)
    second = x if y is None else y
    return shuffled(b, x, second, low) + shuffled(b, x, second, high)
