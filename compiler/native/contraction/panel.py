"""The heart of every product: one panel of columns, times a block of rows.

`panel` is a routine of its own, one for each dtype and CPU, whose sizes and strides are arguments::

    void @kernel(ptr %a, ptr %b, ptr %c, i64 %rows, i64 %columns, i64 %depth,
                 i64 %a_block, i64 %a_row, i64 %a_depth, i64 %b_depth, i64 %c_row)

    c[i, j] = Σ a[i, k] b[k, j] over k        i < rows, j < columns, k < depth

Strides count elements; `a_block` is from one tile's rows of a to the next one's. Elements of a row
of b, and of c, follow one another; a may lie in any way. All products of a program share the
routine: their kernels (`driver`) only say which block comes next.

A tile of 8 rows by 3 vectors stays in registers while k runs: per step, 3 vectors of b are loaded
and 8 elements of a are broadcast for 24 multiplications with addition. So few loads come to one
multiplication that b may stream from the second-level cache. Rows that are left are taken 4, 2
and 1 at a time, and lanes that are left are masked.

Each element is one chain of additions in the order of k, whatever the tile it is in: how a
product is cut, and which thread takes which part, changes no bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from graphwright.compiler.native.ir import Builder, Module
from graphwright.compiler.native.routine import routine_function
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.values import Pointer, Value, Variable
from graphwright.graph.dtype import DType

NUMBERS = 8
"""Sizes and strides that the routine is given."""


def tile_rows(target: Target) -> int:
    """Rows of the tile that stays in registers."""
    if target.registers >= 32:
        return 8
    return 6 if target.fma else 4


def tile_vectors(target: Target) -> int:
    """Vectors in a row of that tile."""
    return 3 if target.registers >= 32 else 2


def thin_vectors(rows: int, target: Target) -> int:
    """Vectors in a row of a tile of so few rows: more of them, to keep the units busy."""
    return min(8, (24 if target.registers >= 32 else 10) // rows)


def masked(dtype: DType, target: Target) -> bool:
    """Whether loads and stores of some lanes of a vector are instructions."""
    return target.masked or (target.vector_bytes == 32 and dtype.itemsize >= 4)


@cache
def panel(dtype: DType, target: Target, checked: bool = False, *, adds: bool = False) -> str:
    """The text of the routine; or of one that `adds` to what c holds, in the order of k too."""
    widths = range(1, tile_vectors(target) + 1)
    return _text(Module(target, checked=checked), dtype, widths, 0, adds)


@cache
def thin_panel(
    dtype: DType, target: Target, rows: int, widths: tuple[int, ...], checked: bool = False
) -> str:
    """The text of a routine for so few rows, and for panels of these many vectors."""
    return _text(Module(target, checked=checked), dtype, widths, rows)


def _text(
    module: Module, dtype: DType, widths: Sequence[int], rows: int, adds: bool = False
) -> str:
    lanes = module.target.lanes(dtype.itemsize)
    with routine_function(module, [dtype] * 3, NUMBERS) as (b, pointers, sizes):
        columns = sizes[1]
        for vectors in widths:
            fits = (columns <= vectors * lanes) & (columns > (vectors - 1) * lanes)
            with b.when(fits, f"vectors{vectors}."):
                width = _Width(b, pointers, sizes, vectors, adds)
                if rows:
                    width.tile(b.index(0), b.index(0), rows)
                else:
                    width.write()
    return module.text


class _Width:
    """Writes the loops for panels of so many vectors."""

    def __init__(
        self,
        b: Builder,
        pointers: tuple[Pointer, ...],
        sizes: tuple[Value, ...],
        vectors: int,
        adds: bool,
    ) -> None:
        self.b = b
        self.adds = adds
        self.dtype = dtype = pointers[0].dtype
        self.vectors = vectors
        self.lanes = b.module.target.lanes(dtype.itemsize)
        self.a, self.source, self.c = pointers
        self.rows, columns, self.depth = sizes[:3]
        self.a_block, self.a_row, self.a_depth, self.b_depth, self.c_row = sizes[3:]
        self.mask: Value | None = None
        if masked(dtype, b.module.target):
            b.comment("the lanes of the last vector that are columns")
            rest = b.splat(columns - (vectors - 1) * self.lanes, self.lanes)
            self.mask = b.lane_numbers(self.lanes) < rest

    def write(self) -> None:
        b = self.b
        height = tile_rows(b.module.target)
        done, at_a = b.variable(b.index(0)), b.variable(b.index(0))
        with b.loop(0, self.rows - (height - 1), height, "rows") as row:
            self.tile(row, at_a.value, height)
            done.value = row + height
            at_a.value = at_a.value + self.a_block
        for rest in (rest for rest in (4, 2, 1) if rest < height):
            first = done.value
            # Three rows are four, too: the last two are then the same one, and what is computed
            # twice is stored twice.
            least = 3 if rest == 4 else rest
            with b.when(first + least <= self.rows, f"rows{rest}."):
                self.tile(first, at_a.value, rest, least)
                done.value = first + rest
                at_a.value = at_a.value + self.a_row * rest

    def tile(self, row: Value, start: Value, height: int, least: int = 0) -> None:
        """So many rows, from `row` on, `least` at least if not 0; a's begin at `start`."""
        b = self.b
        b.comment(f"{height} rows by {self.vectors} vectors")
        a_last, c_last = self.a_row, self.c_row
        if 0 < least < height:
            full = row + height <= self.rows
            a_last, c_last = b.select(full, a_last, 0), b.select(full, c_last, 0)
        starts = [b.shifted(self.a, start)]
        for i in range(1, height):
            starts.append(b.shifted(starts[-1], self.a_row if i < height - 1 else a_last))
        out = [b.shifted(self.c, row * self.c_row)]
        for i in range(1, height):
            out.append(b.shifted(out[-1], self.c_row if i < height - 1 else c_last))
        sums = [self.start(line) for line in out]
        at_a, at_b = b.variable(b.index(0)), b.variable(b.index(0))
        with b.loop(0, self.depth, name="depth"):
            self.step(starts, sums, at_a.value, at_b.value)
            at_a.value = at_a.value + self.a_depth
            at_b.value = at_b.value + self.b_depth
        for place, line in zip(out, sums, strict=True):
            for j, total in enumerate(line):
                b.store(place, j * self.lanes, total.value, mask=self.mask_of(j))

    def start(self, line: Pointer) -> list[Variable]:
        """What a row of the tile starts with: 0, or what is there."""
        b, mask_of, vectors = self.b, self.mask_of, range(self.vectors)
        if not self.adds:
            return [b.variable(b.constant(0, self.dtype, self.lanes)) for _ in vectors]
        loaded = [b.load(line, j * self.lanes, self.lanes, mask=mask_of(j)) for j in vectors]
        return [b.variable(x) for x in loaded]

    def step(
        self, starts: list[Pointer], sums: list[list[Variable]], at_a: Value, at_b: Value
    ) -> None:
        """One k: a column of a, times a row of b."""
        b = self.b
        right = [
            b.load(self.source, at_b + j * self.lanes, self.lanes, mask=self.mask_of(j))
            for j in range(self.vectors)
        ]
        for start, line in zip(starts, sums, strict=True):
            left = b.splat(b.load(start, at_a), self.lanes)
            for total, x in zip(line, right, strict=True):
                total.value = multiply_add(b, left, x, total.value)

    def mask_of(self, vector: int) -> Value | None:
        return self.mask if vector == self.vectors - 1 else None


def multiply_add(b: Builder, x: Value, y: Value, z: Value) -> Value:
    """x y + z, rounded once where the CPU can."""
    if x.floating and b.module.target.fma:
        return b.fma(x, y, z)
    return x * y + z
