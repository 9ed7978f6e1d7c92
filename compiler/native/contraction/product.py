"""A product of matrices as generators see it: which sizes, and how each operand lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Frame
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dim import Size
from graphwright.graph.dtype import DType, float32

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Matrix:
    """An operand as a stack of matrices; strides count elements.

    batch:  from one matrix to the next, along each axis of the stack
    row:    from one row to the next
    column: from one column to the next
    """

    operand: Operand
    batch: tuple[Size, ...]
    row: Size
    column: Size

    @property
    def transposed(self) -> Matrix:
        return replace(self, row=self.column, column=self.row)


Compute: TypeAlias = Callable[[Builder, Sequence[Value]], Value]
"""From elements of one place of several operands, what the product takes there."""


@dataclass(frozen=True)
class Factor:
    """What is multiplied: a matrix, or what is computed of some elementwise while it is loaded.

    matrices: of one shape; strides are 0 where one is broadcast
    compute:  makes an element of the factor of theirs; none for the one matrix as it is
    """

    matrices: tuple[Matrix, ...]
    compute: Compute | None = None

    @property
    def first(self) -> Matrix:
        return self.matrices[0]

    @property
    def dtype(self) -> DType:
        return self.first.operand.type.dtype

    @property
    def transposed(self) -> Factor:
        return replace(self, matrices=tuple(m.transposed for m in self.matrices))


@dataclass(frozen=True)
class Place:
    """Where elements are in memory.

    pointer: the first
    row:     elements to the same column of the next row
    column:  elements to the next column
    """

    pointer: Pointer
    row: Value
    column: Index

    def at(self, b: Builder, row: Index, column: Index) -> Place:
        """What starts at another row and column."""
        index = b.index(row) * self.row + b.index(column) * self.column
        return Place(b.shifted(self.pointer, index), self.row, self.column)


@dataclass(frozen=True)
class Line:
    """A row of a panel of a product.

    places: where it starts in each of the epilogue's matrices
    batch:  the number of the matrix along each axis of the stack
    row:    its number in the product
    column: the number of its first column
    """

    places: tuple[Place, ...]
    batch: tuple[Index, ...]
    row: Value
    column: Value


Write: TypeAlias = Callable[[Value, Value, Value | None], None]
"""Does with elements of the product what is left to do, and stores it: told the number in the line
of the first, the elements, and which of them are some (none: all)."""
LineWriter: TypeAlias = Callable[[Line], Write]
"""What is done to a line; code that it writes itself runs once for the line."""


@dataclass(frozen=True)
class Epilogue:
    """Elementwise work on a product as soon as a part of it is there.

    matrices: what it reads and writes, of the shape of the product
    begin:    writes what is done once in a call of the kernel; none just stores
    """

    matrices: tuple[Matrix, ...]
    begin: Callable[[Frame], LineWriter] | None = None


@dataclass(frozen=True)
class Product:
    """out[..., i, j] = Σ left[..., i, k] right[..., k, j] over k

    batch: sizes of the axes before the last two
    axes:  which axes of the result each axis of `batch` is, then the rows, then the columns
    """

    batch: tuple[Size, ...]
    rows: Size
    columns: Size
    depth: Size
    axes: tuple[tuple[int, ...], ...]
    left: Factor
    right: Factor
    out: Epilogue

    @property
    def dtype(self) -> DType:
        """What it is computed in: float32 for all that is narrower."""
        given = self.left.dtype
        return float32 if given.itemsize == 2 and given.kind not in "iu" else given

    @property
    def transposed(self) -> Product:
        """The same as rightᵀ leftᵀ."""
        return replace(
            self,
            rows=self.columns,
            columns=self.rows,
            axes=(*self.axes[:-2], self.axes[-1], self.axes[-2]),
            left=self.right.transposed,
            right=self.left.transposed,
            out=replace(self.out, matrices=tuple(m.transposed for m in self.out.matrices)),
        )


def matrix(operand: Operand, batch_rank: int) -> Matrix:
    """An operand whose last two axes are the matrix, its stack broadcast to so many axes."""
    missing = batch_rank + 2 - len(operand.shape)
    strides = [
        0 if size == 1 else step for size, step in zip(operand.shape, operand.strides, strict=True)
    ]
    *batch, row, column = [0] * missing + strides
    return Matrix(operand, tuple(batch), row, column)


def product_of(left: Factor, right: Factor, out: Epilogue, rank: int, depth: Size) -> Product:
    """A product whose result, the first of the epilogue's matrices, has so many axes."""
    *batch, rows, columns = out.matrices[0].operand.shape
    axes = tuple((axis,) for axis in range(rank))
    return Product(tuple(batch), rows, columns, depth, axes, left, right, out)


def merged(product: Product) -> Product:
    """The same with as few axes of the stack as can be.

    Those of size 1 are left out, and neighbours that follow one another become one. An axis along
    which the right factor stays the same makes more rows of the left one.
    """
    for axis in reversed(range(len(product.batch))):
        if product.batch[axis] == 1:
            product = _without(product, axis)
    while product.batch and all(m.batch[-1] == 0 for m in product.right.matrices):
        size, rows = product.batch[-1], product.rows
        if rows != 1 and not all(m.batch[-1] == m.row * rows for m in _row_matrices(product)):
            break
        *axes, inner, own, columns = product.axes
        more = replace(product, rows=rows * size, axes=(*axes, inner, (*inner, *own), columns))
        if rows == 1:
            more = _every(more, lambda m: replace(m, row=m.batch[-1]))
            more = replace(more, right=product.right)
        product = _without(more, -1)
    for axis in reversed(range(len(product.batch) - 1)):
        product = _merged_axis(product, axis)
    return product


def _row_matrices(product: Product) -> tuple[Matrix, ...]:
    return (*product.left.matrices, *product.out.matrices)


def _every(product: Product, change: Callable[[Matrix], Matrix]) -> Product:
    """The product with each of its matrices changed."""
    left, right = (
        replace(part, matrices=tuple(change(m) for m in part.matrices))
        for part in (product.left, product.right)
    )
    out = replace(product.out, matrices=tuple(change(m) for m in product.out.matrices))
    return replace(product, left=left, right=right, out=out)


def _without(product: Product, axis: int) -> Product:
    """The product without an axis of its stack."""
    axis %= len(product.batch)

    def keep(items: tuple[Kept, ...]) -> tuple[Kept, ...]:
        return items[:axis] + items[axis + 1 :]

    changed = _every(product, lambda m: replace(m, batch=keep(m.batch)))
    return replace(changed, batch=keep(product.batch), axes=keep(product.axes))


def _merged_axis(product: Product, axis: int) -> Product:
    """An axis of the stack and the next as one, if they follow one another in all matrices."""
    size = product.batch[axis + 1]
    every = (*_row_matrices(product), *product.right.matrices)
    if not all(m.batch[axis] == m.batch[axis + 1] * size for m in every):
        return product
    sizes, axes = list(product.batch), list(product.axes)
    sizes[axis + 1] = size * sizes[axis]
    axes[axis + 1] = (*axes[axis], *axes[axis + 1])
    return _without(replace(product, batch=tuple(sizes), axes=tuple(axes)), axis)
