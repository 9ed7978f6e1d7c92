"""Max pools that say where each maximum was, and their reverse: putting numbers back there."""

from __future__ import annotations

import numpy as np

from graphwright.graph.dim import dim, product
from graphwright.graph.dtype import is_boolean
from graphwright.graph.errors import DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, Within, bool_, f32, f64, i32, i64
from graphwright.ops.comparison import equal, not_equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.creation import arange, zeros
from graphwright.ops.gather_nd import GatherNd, ScatterNd, check_indices
from graphwright.ops.movement import expand_dims, reshape
from graphwright.ops.pooling import Pool, lowest, pool, pool_numbers
from graphwright.ops.reduction import max, min
from graphwright.ops.selection import where
from graphwright.ops.shapes import ShapeLike, as_shape, check_sizes
from graphwright.ops.spatial import Numbers, Padding, check_rank, padded_with, spatial_rank

# `max` and `min` here are tensors' functions; Python's own are not used below.


@register
class MaxPoolWithIndices(Pool):
    """The largest element of each window, and where it is: the first of several, or of nans.

    Windows are those of `max_pool`. The indices, int64, count the elements of one example and
    channel in C order, padding left out (ONNX MaxPool's second output).
    The gradient goes to the element at the index alone.
    """

    name = "max_pool_with_indices"

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        if is_boolean(x.dtype):
            raise DTypeError("needs a number input, got bool", hint="convert it with .astype")
        self.check(x)
        values, indices = super().infer(x)  # type: ignore[misc]
        return values, indices

    def decompose(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.windows(x, lowest(x.type))
        largest = max(seen, self.within, keepdims=True)
        size, rank = product(x.shape[2:]), len(self.window)
        numbered = reshape(arange(size), x.shape[2:])
        places = self.unpadded_windows(padded_with(numbered, self.around(x.shape), -1))
        places = expand_dims(places, (rank, rank + 1))
        candidates = (equal(seen, largest) | not_equal(seen, seen)) & (places >= 0)
        # In C order of a window, the places grow: the smallest is the first.
        indices = min(where(candidates, places, size), self.within)
        values = GatherNd(1)(_rows(x), expand_dims(_rows(indices), -1))
        return reshape(values, indices.shape), indices

    cases = (
        Case(f32["n", 2, 6], **pool((2,))),
        Case(f64[2, 2, dim("h") + 2, 5], **pool((2, 3), strides=(2, 1), padding=((1, 0), (1, 2)))),
        Case(f64[1, 2, 7, 7], **pool((2, 2), dilations=(3, 2), ceil_mode=True)),
        Case(i32[1, 2, 6], **pool((3,), strides=(1,), padding=((1, 1),))),
        Case(
            [[[1.0, 3.0, 3.0, np.nan, np.nan, -np.inf, -np.inf, -np.inf]]],
            **pool((2,), strides=(1,), padding=((1, 1),)),
            smooth=False,
        ),
    )
    rejects = (
        Reject(f32[1, 2, 3], **pool((4,)), message="a window that spans 4 does not fit in an axis"),
        Reject(bool_[1, 2, 3], **pool((2,)), message="needs a number input, got bool"),
    )


def _rows(x: Tensor) -> Tensor:
    """[examples · channels, elements]."""
    return reshape(x, (product(x.shape[:2]), product(x.shape[2:])))


@builder
def max_pool_with_indices(
    x: TensorLike,
    window: Numbers,
    stride: Numbers | None = None,
    padding: Padding = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    """The largest element of each window in the spatial axes of `x`, and their indices.

    See `MaxPoolWithIndices`; the arguments and errors are those of `max_pool`. `max_unpool` puts
    numbers back at the indices.
    """
    tensor = as_tensor(x)
    shared = pool_numbers(tensor, window, stride, padding, dilation)
    values, indices = MaxPoolWithIndices(*shared, ceil_mode).apply(tensor)
    return values, indices


@register
class MaxUnpool(Composite):
    """Zeros with each element of `x` at its index: `max_pool_with_indices`, as far as reversible.

    x:       [examples, channels, *counts]
    indices: of the same shape, integers: places in the sizes of one example and channel, in C order
    out:     [examples, channels, *sizes]

    Where an index repeats, the last element in C order is set. The gradient of an element is what
    is at its index (Zeiler and Fergus, Visualizing and understanding convolutional networks,
    2014; ONNX MaxUnpool). Raises InputError when run on an index out of range.
    """

    name = "max_unpool"

    sizes: Shape

    def infer(self, x: TensorType, indices: TensorType) -> TensorType:
        check_indices(indices)
        check_sizes(self.sizes)
        check_rank(x.rank, len(self.sizes))
        if x.shape != indices.shape:
            raise ShapeError(
                f"x {x} and its indices {indices} differ in shape",
                hint="both come from max_pool_with_indices: one index for each element",
            )
        return x.with_shape((*x.shape[:2], *self.sizes))

    def decompose(self, x: Tensor, indices: Tensor) -> Tensor:
        shape = (*x.shape[:2], *self.sizes)
        empty = zeros((product(shape[:2]), product(self.sizes)), x.dtype)
        filled = ScatterNd(1, "set")(empty, expand_dims(_rows(indices), -1), _rows(x))
        return reshape(filled, shape)

    cases = (
        Case(f32[2, 2, 2], [[[1, 2], [0, 3]], [[0, 4], [2, 1]]], sizes=(5,)),
        Case(f64[1, 1, 2, 2], [[[[3, 0], [2, 7]]]], sizes=(2, 4)),
        Case(f64[1, 1, 3], [[[1, 2, 1]]], sizes=(4,)),
        Case(i32[1, 2, dim("n") + 1], Within(i64[1, 2, dim("n") + 1], 3, 4), sizes=(dim("n") + 5,)),
    )
    rejects = (
        Reject(f32[1, 2, 3], i32[1, 2, 4], sizes=(6,), message="x f32[1,2,3] and its indices i32"),
        Reject(f32[1, 2, 3], f32[1, 2, 3], sizes=(6,), message="indices must be integers, got f32"),
        Reject(f32[1, 2, 3], i32[1, 2, 3], sizes=(2, 3), message="2 spatial axes need an input of"),
        Reject(f32[1, 2, 3], i32[1, 2, 3], sizes=(-2,), message="a size can't be negative, got -2"),
    )


@builder
def max_unpool(x: TensorLike, indices: TensorLike, sizes: ShapeLike) -> Tensor:
    """Zeros of spatial `sizes` with each element of `x` at its index; see `MaxUnpool`.

    Raises ShapeError unless `x` and `indices` have one shape, of as many spatial axes as `sizes`.
    """
    tensor = as_tensor(x)
    spatial_rank(tensor)
    return MaxUnpool(as_shape(sizes))(tensor, as_tensor(indices))
