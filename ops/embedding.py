"""Learned vectors for whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

from graphwright.graph.dtype import int64, is_floating, is_integer, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, bool_, f32, f64, i32, i64, u8
from graphwright.ops.comparison import equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.creation import arange, zeros_like
from graphwright.ops.gather import Take, scatter_add, take
from graphwright.ops.logical import logical_or
from graphwright.ops.movement import expand_dims
from graphwright.ops.selection import stop_gradient, where


@register
class Embedding(Composite):
    """The rows of a table at indices: out[..., :] = table[indices[...], :].

    The gradient of a row is the sum of those of its copies; that of the row at `padding_index`,
    which stands for no word at all, is 0, so that it stays as it is made.

    indices:       whole numbers; negative ones count from the end
    table:         floating, of rank 1 or more
    padding_index: the place of that row, counted from the front; None for no such row
    Raises InputError when run on an index out of range.
    Source: Bengio, Ducharme, Vincent and Jauvin, A neural probabilistic language model, 2003.
    """

    name = "embedding"

    padding_index: int | None

    def infer(self, indices: TensorType, table: TensorType) -> TensorType:
        if not is_integer(indices.dtype):
            raise DTypeError(
                f"indices must be integers, got {short_name(indices.dtype)}",
                hint="convert them with .astype",
            )
        if not is_floating(table.dtype):
            raise DTypeError(f"the table must be floating, got {table}", hint="or use take")
        if not table.rank:
            raise ShapeError("the table has no rows, but rank 0")
        rows = table.shape[0]
        if self.padding_index is not None and (
            self.padding_index < 0 or (isinstance(rows, int) and self.padding_index >= rows)
        ):
            raise AttributeValueError(
                f"padding_index {self.padding_index} is no row of the table, which has {rows}",
                hint="it is counted from the front",
            )
        return table.with_shape((*indices.shape, *table.shape[1:]))

    def decompose(self, indices: Tensor, table: Tensor) -> Tensor:
        return take(table, indices, 0)

    def batch(self, mapped: Sequence[bool], indices: Tensor, table: Tensor) -> Tensor:
        if not mapped[1]:
            return self(indices, table)
        if self.padding_index is not None:  # of many tables, each has a row without a gradient
            padded = equal(arange(table.shape[1]), self.padding_index)
            padded = expand_dims(padded, range(1, table.ndim - 1))
            table = where(padded, stop_gradient(table), table)
        return Take(0).batch((True, mapped[0]), table, indices)

    def gradient(
        self, indices: Tensor, table: Tensor, out: Tensor, g: Tensor
    ) -> tuple[None, Tensor]:
        if self.padding_index is not None:
            places = cast(indices, int64)
            from_end = as_tensor(self.padding_index - table.shape[0], int64)
            padded = logical_or(equal(places, self.padding_index), equal(places, from_end))
            g = where(expand_dims(padded, range(padded.ndim, g.ndim)), 0, g)
        return None, scatter_add(zeros_like(table), indices, g, 0)

    cases = (
        Case(Within(i64["n", 3], 0, 5), f32[5, 2], padding_index=None),
        Case(Within(i32["n"], 1, 4), f64[4, 2, 2], padding_index=0),
        Case(Within(u8[()], 0, 3), f64[3], padding_index=None),
        Case(i64[0], f64["n", 2], padding_index=1),
        Case([0, 2, -1, 1], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], padding_index=2, smooth=False),
        Case([0, -3, 1], [1.0, 2.0, 3.0], padding_index=2),
    )
    rejects = (
        Reject(f32[2], f32[3, 2], padding_index=None, message="indices must be integers, got f32"),
        Reject(bool_[2], f32[3, 2], padding_index=None, message="must be integers, got bool"),
        Reject(i32[2], i32[3, 2], padding_index=None, message="table must be floating, got i32"),
        Reject(i32[2], f32[()], padding_index=None, message="the table has no rows"),
        Reject(i32[2], f32[3, 2], padding_index=3, message="padding_index 3 is no row"),
        Reject(i32[2], f32[3, 2], padding_index=-1, message="padding_index -1 is no row"),
    )


@builder
def embedding(indices: TensorLike, table: TensorLike, padding_index: int | None = None) -> Tensor:
    """The rows of `table` at `indices`, whole numbers of any shape; see `Embedding`.

    padding_index: the place of a row that gets no gradient; negative: from the end, where the
                   number of rows is known
    """
    rows = as_floating(table)
    place, count = padding_index, rows.shape[0] if rows.ndim else 0
    if place is not None and place < 0 and isinstance(count, int):
        place += count
    return Embedding(place)(as_tensor(indices), rows)
