"""Reductions: sums, products, extremes, and where they are, over any axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, product
from graphwright.graph.dtype import DType, boolean, float32, int64, is_floating, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i8, i32
from graphwright.ops.comparison import equal, not_equal
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.extremum import extreme, limits
from graphwright.ops.movement import broadcast_to, reshape, transpose
from graphwright.ops.product import product_of_others
from graphwright.ops.reduction_kernel import folded
from graphwright.ops.shapes import behind, check_axes, inverse_permutation, normalize_axes

# `sum`, `max`, `all` and others here are tensors' functions; Python's own are not used below.


class Reduction(Operator):
    """Folds `axes` (sorted, counted from the front) away; `keepdims` leaves them with size 1."""

    reduction = True
    fold: ClassVar[bool] = False
    """Combines elements two by two, in any order: a single element is its own reduction, and to
    reduce some axes and then others is to reduce them together."""
    initial: ClassVar[bool | int] = 0
    takes_none: ClassVar[bool] = True
    """Has a value for no elements; otherwise a kernel on an empty axis raises."""
    """What it gives of no elements."""

    axes: tuple[int, ...]
    keepdims: bool

    def reduced(self, shape: Shape) -> Shape:
        """The output shape for an input shape."""
        check_axes(self.axes, len(shape))
        if self.keepdims:
            return tuple(1 if i in self.axes else size for i, size in enumerate(shape))
        return tuple(size for i, size in enumerate(shape) if i not in self.axes)

    def count(self, shape: Shape) -> Size:
        """How many elements of an input of this shape are folded into one."""
        return product(shape[axis] for axis in self.axes)

    # The native meaning of those that `fold`: a total begins as `start`, and takes in elements and
    # other totals by `lower(b, total, x)`; in which order is for the kernel to choose.

    def accumulates(self, dtype: DType) -> DType:
        """The dtype of totals, that elements of `dtype` are converted to, and results from.

        Of 16-bit floats it is float32, so that only the result is rounded to 16 bits.
        """
        return float32 if is_floating(dtype) and dtype.itemsize == 2 else dtype

    def start(self, dtype: DType) -> bool | int | float:
        """The total of no elements, of totals of `dtype`: combined with x, it gives x."""
        return self.initial

    def flops(self, x: TensorType) -> Size:
        return x.size

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return replace(self, axes=behind(self.axes))(x)

    def spread(self, tensor: Tensor, x: Tensor) -> Tensor:
        """An output-shaped tensor broadcast back to the shape of the input `x`."""
        if not self.keepdims:
            kept = tuple(1 if i in self.axes else size for i, size in enumerate(x.shape))
            tensor = reshape(tensor, kept)
        return broadcast_to(tensor, x.shape)


@register
class Sum(Reduction):
    """The sum over axes; 0 for none. Booleans and small integers are summed as int64, as in NumPy.

    d/dx = 1
    """

    name = "sum"
    fold = True

    def infer(self, x: TensorType) -> TensorType:
        return TensorType(np.sum(np.empty(0, x.dtype)).dtype, self.reduced(x.shape))

    def accumulates(self, dtype: DType) -> DType:
        return super().accumulates(np.sum(np.empty(0, dtype)).dtype)

    def lower(self, b: Any, total: Any, x: Any) -> Any:
        return total + x

    def kernel(self, x: NDArray[Any]) -> Any:
        return folded(np.add, x, self.axes, self.keepdims)

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        folded(np.add, x, self.axes, self.keepdims, out)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return self.spread(g, x)

    cases = (
        Case(f32["n", 4], axes=(1,), keepdims=False),
        Case(f32["n", 4], axes=(0,), keepdims=True),
        Case(f64[2, 3, 4], axes=(0, 2), keepdims=True),
        Case(f64[2, 3], axes=(0, 1), keepdims=False),
        Case(f64[()], axes=(), keepdims=False),
        Case(i32["n", 3], axes=(0,), keepdims=False),
        Case(bool_[5], axes=(0,), keepdims=False),
        Case(f64[2, 3], axes=(), keepdims=False),
        Case([[1.0, np.inf], [np.nan, -np.inf]], axes=(0,), keepdims=False, smooth=False),
    )
    rejects = (
        Reject(f32[2, 3], axes=(2,), keepdims=False, message="axis 2 is out of range for rank 2"),
        Reject(f32[2, 3], axes=(0, 0), keepdims=False, message="an axis is named twice"),
        Reject(f32[2, 3], axes=(-1,), keepdims=False, message="axes (-1,) must be sorted"),
    )


@register
class Prod(Reduction):
    """The product over axes; 1 for none. Small integers are multiplied as int64, as in NumPy.

    d/dx = the product of all the other elements, whether or not some are 0
    """

    name = "prod"
    fold = True
    initial = 1

    def infer(self, x: TensorType) -> TensorType:
        return TensorType(np.prod(np.empty(0, x.dtype)).dtype, self.reduced(x.shape))

    def accumulates(self, dtype: DType) -> DType:
        return super().accumulates(np.prod(np.empty(0, dtype)).dtype)

    def lower(self, b: Any, total: Any, x: Any) -> Any:
        return total * x

    def kernel(self, x: NDArray[Any]) -> Any:
        return np.prod(x, axis=self.axes, keepdims=self.keepdims)

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        np.prod(x, axis=self.axes, keepdims=self.keepdims, out=out)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        kept = tuple(i for i in range(x.ndim) if i not in self.axes)
        order = (*kept, *self.axes)
        moved = transpose(x, order)
        rows = reshape(moved, (*(x.shape[i] for i in kept), self.count(x.shape)))
        others = reshape(product_of_others(rows), moved.shape)
        return self.spread(g, x) * transpose(others, inverse_permutation(order))

    cases = (
        Case(f32["n", 4], axes=(1,), keepdims=False),
        Case(f32["n", 2], axes=(0,), keepdims=True),
        Case(f64[2, 3, 2], axes=(0, 2), keepdims=False),
        Case(f64[2, 3], axes=(), keepdims=False),
        Case(f64[()], axes=(), keepdims=True),
        Case(i8[3, 2], axes=(0,), keepdims=False),
        Case([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0]], axes=(1,), keepdims=False),
    )
    rejects = (
        Reject(f32[2], axes=(1,), keepdims=True, message="axis 1 is out of range for rank 1"),
    )


class ExtremeReduction(Reduction):
    """Max and min; each element that ties for the extreme gets an equal share of the gradient."""

    fold = True
    takes_none = False
    ufunc: ClassVar[np.ufunc]
    """NumPy's function that chooses between two."""

    def infer(self, x: TensorType) -> TensorType:
        shape = self.reduced(x.shape)
        refuse_empty(self.name, x.shape, self.axes)
        return x.with_shape(shape)

    def kernel(self, x: NDArray[Any]) -> Any:
        refuse_empty(self.name, x.shape, self.axes)
        return folded(self.ufunc, x, self.axes, self.keepdims)

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        refuse_empty(self.name, x.shape, self.axes)
        folded(self.ufunc, x, self.axes, self.keepdims, out)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        chosen = cast(equal(x, self.spread(out, x)), x.dtype)
        share = g / Sum(self.axes, self.keepdims)(chosen)
        return self.spread(share, x) * chosen

    cases = (
        Case(f32["n", 4], axes=(1,), keepdims=False),
        Case(f64[2, 3, 4], axes=(0, 2), keepdims=True),
        Case(f64[()], axes=(), keepdims=False),
        Case(i32[4, 3], axes=(0, 1), keepdims=False),
        Case(bool_[4, 2], axes=(0,), keepdims=False),
        Case([[1.0, 3.0, 3.0], [1.0, 1.0, 1.0]], axes=(1,), keepdims=False, smooth=False),
        Case([[1.0, np.inf], [np.nan, -np.inf]], axes=(1,), keepdims=False, smooth=False),
    )
    rejects = (
        Reject(f32[2, 3], axes=(2,), keepdims=False, message="axis 2 is out of range for rank 2"),
        Reject(f32[2, 0], axes=(1,), keepdims=False, message="axis 1 is empty: it has no"),
    )


@register
class Max(ExtremeReduction):
    """The largest over axes; nan if any is.

    d/dx = 1/k at the k elements that are the largest, else 0
    """

    name = "max"
    ufunc = np.maximum

    def start(self, dtype: DType) -> bool | int | float:
        return limits(dtype)[0]

    def lower(self, b: Any, total: Any, x: Any) -> Any:
        return extreme(b, x > total, total, x)


@register
class Min(ExtremeReduction):
    """The smallest over axes; nan if any is.

    d/dx = 1/k at the k elements that are the smallest, else 0
    """

    name = "min"
    ufunc = np.minimum

    def start(self, dtype: DType) -> bool | int | float:
        return limits(dtype)[1]

    def lower(self, b: Any, total: Any, x: Any) -> Any:
        return extreme(b, x < total, total, x)


class IndexReduction(Reduction):
    """Argmax and argmin: the index along one axis, as int64; the first of several, or of nans."""

    differentiable = False
    function: ClassVar[Any]

    def infer(self, x: TensorType) -> TensorType:
        shape = self.reduced(x.shape)
        if len(self.axes) != 1:
            raise AttributeValueError(
                f"takes one axis, got {self.axes}", hint="flatten the axes into one first"
            )
        refuse_empty(self.name, x.shape, self.axes)
        return TensorType(int64, shape)

    def kernel(self, x: NDArray[Any]) -> Any:
        refuse_empty(self.name, x.shape, self.axes)
        answer = type(self).function(x, axis=self.axes[0], keepdims=self.keepdims)
        return np.asarray(answer, np.int64)

    cases = (
        Case(f32["n", 4], axes=(1,), keepdims=False),
        Case(f64[2, 3, 4], axes=(1,), keepdims=True),
        Case(i32[5], axes=(0,), keepdims=False),
        Case([[1.0, 3.0, 3.0], [1.0, 1.0, 1.0]], axes=(1,), keepdims=False),
        Case([[1.0, np.nan, 3.0], [-np.inf, np.inf, np.nan]], axes=(1,), keepdims=False),
    )
    rejects = (
        Reject(f32[2, 3], axes=(0, 1), keepdims=False, message="takes one axis, got (0, 1)"),
        Reject(f32[2, 3], axes=(2,), keepdims=False, message="axis 2 is out of range for rank 2"),
        Reject(f32[2, 0], axes=(1,), keepdims=False, message="axis 1 is empty: it has no"),
    )


@register
class ArgMax(IndexReduction):
    """Where the largest is along an axis. It has no derivative."""

    name = "argmax"
    function = np.argmax


@register
class ArgMin(IndexReduction):
    """Where the smallest is along an axis. It has no derivative."""

    name = "argmin"
    function = np.argmin


class LogicalReduction(Reduction):
    """All and any: booleans in, booleans out."""

    differentiable = False
    fold = True
    function: ClassVar[Any]

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype != boolean:
            raise DTypeError(
                f"needs a boolean input, got {short_name(x.dtype)}",
                hint="compare it with something, e.g. x != 0",
            )
        return x.with_shape(self.reduced(x.shape))

    def kernel(self, x: NDArray[Any]) -> Any:
        return type(self).function(x, axis=self.axes, keepdims=self.keepdims)

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        type(self).function(x, axis=self.axes, keepdims=self.keepdims, out=out)

    cases = (
        Case(bool_["n", 3], axes=(0,), keepdims=False),
        Case(bool_["n", 3], axes=(1,), keepdims=True),
        Case(bool_[2, 2, 2], axes=(0, 1, 2), keepdims=False),
        Case([[True, True], [False, True], [False, False]], axes=(1,), keepdims=False),
    )
    rejects = (
        Reject(f32[2], axes=(0,), keepdims=False, message="needs a boolean input, got f32"),
        Reject(bool_[2], axes=(1,), keepdims=False, message="axis 1 is out of range for rank 1"),
    )


@register
class AllTrue(LogicalReduction):
    """True where all are; True for none."""

    name = "all"
    initial = True
    function = np.all

    def lower(self, b: Any, total: Any, x: Any) -> Any:
        return total & x


@register
class AnyTrue(LogicalReduction):
    """True where any is; False for none."""

    name = "any"
    initial = False
    function = np.any

    def lower(self, b: Any, total: Any, x: Any) -> Any:
        return total | x


def refuse_empty(name: str, shape: Shape, axes: tuple[int, ...]) -> None:
    """Raise ShapeError when there is nothing along one of `axes`, to take the `name` of."""
    for axis in axes:
        if shape[axis] == 0:
            raise ShapeError(
                f"axis {axis} is empty: it has no {name}",
                hint="of nothing only sums, products, all and any are known",
            )


@builder
def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of `x` over `axis` (one, several, or None for all); see `Sum`."""
    tensor = as_tensor(x)
    return Sum(normalize_axes(axis, tensor.ndim), keepdims)(tensor)


@builder
def prod(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product of `x` over `axis` (one, several, or None for all); see `Prod`."""
    tensor = as_tensor(x)
    return Prod(normalize_axes(axis, tensor.ndim), keepdims)(tensor)


@builder
def max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest of `x` over `axis` (one, several, or None for all); see `Max`.

    Raises ShapeError when an axis is empty.
    """
    tensor = as_tensor(x)
    return Max(normalize_axes(axis, tensor.ndim), keepdims)(tensor)


@builder
def min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest of `x` over `axis` (one, several, or None for all); see `Min`.

    Raises ShapeError when an axis is empty.
    """
    tensor = as_tensor(x)
    return Min(normalize_axes(axis, tensor.ndim), keepdims)(tensor)


@builder
def argmax(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest of `x` is along `axis`, or in the flattened `x` for None; int64."""
    return _index_of(ArgMax, as_tensor(x), axis, keepdims)


@builder
def argmin(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest of `x` is along `axis`, or in the flattened `x` for None; int64."""
    return _index_of(ArgMin, as_tensor(x), axis, keepdims)


def _index_of(op: type[IndexReduction], x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if axis is not None:
        return op(normalize_axes(axis, x.ndim), keepdims)(x)
    flat = op((0,), False)(reshape(x, (-1,)))
    return reshape(flat, (1,) * x.ndim) if keepdims else flat


@builder
def all(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """True where all of `x` are true, numbers if they are not 0, over `axis` (None for all)."""
    tensor = _truth(as_tensor(x))
    return AllTrue(normalize_axes(axis, tensor.ndim), keepdims)(tensor)


@builder
def any(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """True where any of `x` is true, a number if it is not 0, over `axis` (None for all)."""
    tensor = _truth(as_tensor(x))
    return AnyTrue(normalize_axes(axis, tensor.ndim), keepdims)(tensor)


def _truth(x: Tensor) -> Tensor:
    return x if x.dtype == boolean else not_equal(x, 0)


@builder
def count_nonzero(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements of `x` are not 0, over `axis` (one, several, or None for all); int64."""
    return sum(not_equal(x, 0), axis, keepdims)
