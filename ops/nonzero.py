"""Where a tensor is not 0, and which of its elements are among others."""

from __future__ import annotations

import numpy as np

from graphwright.graph.dim import Size, dim, maximum
from graphwright.graph.dtype import boolean, int64
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import floor_divide, remainder
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32
from graphwright.ops.checks import check_same_dtype
from graphwright.ops.comparison import equal, not_equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, promoted
from graphwright.ops.creation import arange
from graphwright.ops.logical import logical_not
from graphwright.ops.movement import expand_dims, reshape
from graphwright.ops.padding import pad
from graphwright.ops.reduction import any, sum
from graphwright.ops.selection import where
from graphwright.ops.shapes import check_sizes
from graphwright.ops.slicing import Slice
from graphwright.ops.sorting import Argsort

# `any` and `sum` here are tensors' functions.


@register
class Nonzero(Composite):
    """The indices of the elements that are not 0 (or are True), in C order: one output per axis.

    size: how many there are to be; where there are more, the first ones are given, and where there
          are fewer, `fill` stands for the rest
    Each output is int64 and has no derivative.
    """

    name = "nonzero"
    differentiable = False

    size: Size
    fill: int

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        check_sizes((self.size,))
        if not x.rank:
            raise ShapeError("needs a rank of at least 1, got 0", hint="add an axis: x[None]")
        if isinstance(self.fill, bool) or not isinstance(self.fill, int):
            raise AttributeValueError(f"the fill must be a whole number, got {self.fill!r}")
        kinds = (TensorType(int64, (self.size,)),) * x.rank
        return kinds if x.rank > 1 else kinds[0]

    def decompose(self, x: Tensor) -> tuple[Tensor, ...]:
        flat = reshape(x if x.dtype == boolean else not_equal(x, 0), (x.size,))
        order = Argsort(0, False)(logical_not(flat))  # True first, and in their own order
        places = Slice((0,), (self.size,), (1,))(pad(order, [(0, self.size)]))
        found = arange(self.size) < sum(flat)
        outputs: list[Tensor] = []
        for size in reversed(x.shape):
            divisor = maximum(size, 1)
            outputs.insert(0, where(found, remainder(places, divisor), self.fill))
            places = floor_divide(places, divisor)
        return tuple(outputs)

    cases = (
        Case(bool_["n", 2], size=4, fill=0),
        Case(i32[2, 3, 2], size=dim("n"), fill=-1),
        Case([0.0, np.nan, -0.0, 2.0], size=3, fill=0),
        Case(bool_[3], size=0, fill=0),
        Case(bool_[2, 0], size=2, fill=7),
    )
    rejects = (
        Reject(bool_[()], size=1, fill=0, message="needs a rank of at least 1, got 0"),
        Reject(bool_[2], size=-1, fill=0, message="a size can't be negative, got -1"),
        Reject(f32[2], size=1, fill=0.5, message="the fill must be a whole number, got 0.5"),
    )


@builder
def nonzero(x: TensorLike, size: Size, fill: int = 0) -> tuple[Tensor, ...]:
    """The indices of the elements of `x` that are not 0, one tensor per axis, for x[...].

    size: how many there are, as the size of a tensor can't depend on values; where there are more,
          the first ones are given, and where there are fewer, `fill` stands for the rest
    """
    return Nonzero(size, fill).apply(as_tensor(x))


@register
class Isin(Composite):
    """Which elements are equal to one of `values`. It has no derivative.

    out = any over j of x = values[j]; nan is equal to nothing
    """

    name = "isin"
    differentiable = False

    def infer(self, x: TensorType, values: TensorType) -> TensorType:
        check_same_dtype(x, values)
        return x.with_dtype(boolean)

    def decompose(self, x: Tensor, values: Tensor) -> Tensor:
        return any(equal(expand_dims(x, -1), reshape(values, (values.size,))), -1)

    cases = (
        Case(f64["n", 2], [[1.0, np.nan], [0.0, 3.0]]),
        Case([np.nan, np.inf, -0.0, 2.0], [np.nan, 0.0, np.inf]),
        Case(i32[2, 3], i32["n"]),
        Case(bool_[3], bool_[()]),
    )
    rejects = (Reject(f32[2], f64[2], message="dtypes differ: f32 and f64"),)


@builder
def isin(x: TensorLike, values: TensorLike) -> Tensor:
    """Which elements of `x` are equal to one of `values`; see `Isin`."""
    return Isin()(*promoted(x, values))
