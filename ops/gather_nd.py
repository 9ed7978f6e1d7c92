"""Elements chosen by tuples of indices, and their reverse: writing to the places so chosen.

All other ways to choose by computed indices, and to write there, can be put in these terms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, product
from graphwright.graph.dtype import int64, is_boolean, is_integer, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, InputError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.batching import in_front
from graphwright.ops.case import Case, Reject, Within, bool_, f32, f64, i8, i32, i64, u8
from graphwright.ops.checks import check_same_dtype
from graphwright.ops.comparison import equal
from graphwright.ops.convert import as_tensor, builder, cast, promoted
from graphwright.ops.creation import arange, ones_like, zeros, zeros_like
from graphwright.ops.movement import moveaxis, reshape
from graphwright.ops.selection import where
from graphwright.ops.shapes import shape_text

Mode: TypeAlias = Literal["set", "add", "mul", "max", "min"]

_AT: dict[str, Any] = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


@register
class GatherNd(Operator):
    """What is in `x` at tuples of indices, the rows of `indices`; negative ones count from the end.

    x:       [batch..., d1, ..., dk, rest...], with `batch_dims` axes in batch
    indices: [batch..., chosen..., k], integers
    out:     [batch..., chosen..., rest...]

    out[b, i] = x[b, indices[b, i, 0], ..., indices[b, i, k-1]] (ONNX GatherND)
    The gradient of each element is the sum of the gradients of its copies.
    Raises InputError when run on an index out of range.
    """

    name = "gather_nd"

    batch_dims: int

    def infer(self, x: TensorType, indices: TensorType) -> TensorType:
        return x.with_shape(_gathered_shape(x, indices, self.batch_dims))

    def kernel(self, x: NDArray[Any], indices: NDArray[Any]) -> Any:
        rows = x.reshape(_by_rows(x.shape, indices, self.batch_dims))
        return np.take(rows, _places(indices, x.shape, self.batch_dims), 0)

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any], indices: NDArray[Any]) -> None:
        rows = x.reshape(_by_rows(x.shape, indices, self.batch_dims))
        places = _places(indices, x.shape, self.batch_dims)
        # The places are in range, and only the other modes write to `out` directly.
        if out.size:
            np.take(rows, places, 0, out=out, mode="clip")

    def flops(self, x: TensorType, indices: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, indices: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, None]:
        return ScatterNd(self.batch_dims, "add")(zeros_like(x), indices, g), None

    def batch(self, mapped: Sequence[bool], x: Tensor, indices: Tensor) -> Tensor:
        if mapped[0]:
            return GatherNd(self.batch_dims + 1)(*in_front(mapped, (x, indices)))
        # Not to repeat `x`, the axis becomes the first of those that choose.
        chosen = GatherNd(self.batch_dims)(x, moveaxis(indices, 0, self.batch_dims))
        return moveaxis(chosen, self.batch_dims, 0)

    cases = (
        Case(f32[3, 4, 2], Within(i64["n", 2], 0, 3), batch_dims=0),
        Case(f64["n", 4, 2], Within(i32["n", 3, 1], -4, 4), batch_dims=1),
        Case(f64[2, 3, 4], Within(u8[2, 3, 2, 1], 0, 4), batch_dims=2),
        Case(i32[3, 2], Within(i8[2], 0, 2), batch_dims=0),
        Case(f64[2, 3], Within(i64[2, 0, 1], 0, 3), batch_dims=1),
        Case(bool_[2], Within(i64[3, 0], 0, 1), batch_dims=0),
        Case([[1.0, 2.0], [3.0, 4.0]], [[1, 1], [-1, 0], [0, 1], [1, 1]], batch_dims=0),
    )
    rejects = (
        Reject(f32[3], f32[2, 1], batch_dims=0, message="indices must be integers, got f32"),
        Reject(f32[3], i32[()], batch_dims=0, message="indices need a last axis for the tuples"),
        Reject(f32[3], i32[2, 2], batch_dims=0, message="2 indices for the 1 axes of [3]"),
        Reject(f32[3], i32[2, "n"], batch_dims=0, message="the last axis of indices has size n"),
        Reject(f32[2, 3], i32[3, 1], batch_dims=1, message="[2] and [3] of the batch differ"),
        Reject(f32[2, 3], i32[2, 1], batch_dims=2, message="batch_dims 2 must be from 0 to 1"),
        Reject(f32[2, 3], i32[2, 1], batch_dims=-1, message="batch_dims -1 must be from 0 to 1"),
    )


@builder
def gather_nd(x: TensorLike, indices: TensorLike, batch_dims: int = 0) -> Tensor:
    """What is in `x` at the tuples of integers along the last axis of `indices`; see `GatherNd`."""
    return GatherNd(batch_dims)(as_tensor(x), as_tensor(indices))


@register
class ScatterNd(Operator):
    """`x` with `updates` written at tuples of indices, in one of five modes; `gather_nd` reversed.

    x:       [batch..., d1, ..., dk, rest...], with `batch_dims` axes in batch
    indices: [batch..., chosen..., k], integers; negative ones count from the end
    updates: [batch..., chosen..., rest...]
    mode:    "set", "add", "mul", "max" or "min": what becomes of the element and its update
             (ONNX ScatterND); where a tuple repeats, the last update in C order is set, and in
             the other modes all take part

    d/dx = 0 where an update was set; 1 in the mode "add"; the product of the updates in the mode
    "mul"; for extremes an equal share for all that tie, 0 for the others. That of an update
    follows: 0 for one that was set over, and the product of all others in the mode "mul".
    Raises InputError when run on an index out of range.
    """

    name = "scatter_nd"

    batch_dims: int
    mode: Mode

    def infer(self, x: TensorType, indices: TensorType, updates: TensorType) -> TensorType:
        check_mode(self.mode, x, updates)
        expected = _gathered_shape(x, indices, self.batch_dims)
        if updates.shape != expected:
            raise ShapeError(
                f"updates have shape {shape_text(updates.shape)}, not {shape_text(expected)}",
                hint="the shape that gather_nd(x, indices, batch_dims) has; use broadcast_to "
                "if need be",
            )
        return x

    def kernel(self, x: NDArray[Any], indices: NDArray[Any], updates: NDArray[Any]) -> Any:
        out = np.empty(x.shape, x.dtype)
        self.kernel_into(out, x, indices, updates)
        return out

    def kernel_into(
        self, out: NDArray[Any], x: NDArray[Any], indices: NDArray[Any], updates: NDArray[Any]
    ) -> None:
        places = _places(indices, x.shape, self.batch_dims)
        if not out.flags.c_contiguous:
            out[...] = self.kernel(x, indices, updates)
            return
        out[...] = x
        rows = out.reshape(_by_rows(x.shape, indices, self.batch_dims))
        if self.mode == "set":
            rows[places] = updates
            return
        # Element by element in the flattened array: the one case that NumPy does at full speed.
        inner = math.prod(rows.shape[1:])
        elements = places.reshape(-1, 1) * inner + np.arange(inner)
        _AT[self.mode].at(out.reshape(-1), elements.reshape(-1), updates.reshape(-1))

    def flops(self, x: TensorType, indices: TensorType, updates: TensorType) -> Size:
        return 0 if self.mode == "set" else updates.size

    def gradient(
        self, x: Tensor, indices: Tensor, updates: Tensor, out: Tensor, g: Tensor
    ) -> tuple[Tensor, None, Tensor]:
        if self.mode == "add":
            return g, None, GatherNd(self.batch_dims)(g, indices)
        if self.mode == "set":
            rest = self(g, indices, zeros_like(updates))
            received = GatherNd(self.batch_dims)(g, indices)
            return rest, None, where(self._last(x, indices, updates), received, 0)
        if self.mode == "mul":
            factors = self(ones_like(x), indices, updates)
            received = GatherNd(self.batch_dims)(g * x, indices)
            return g * factors, None, received * self._others(x, indices, updates)
        chosen = equal(updates, GatherNd(self.batch_dims)(out, indices))
        kept = equal(x, out)
        add = ScatterNd(self.batch_dims, "add")
        share = g / add(cast(kept, x.dtype), indices, cast(chosen, x.dtype))
        received = GatherNd(self.batch_dims)(share, indices)
        return where(kept, share, 0), None, where(chosen, received, 0)

    def _last(self, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        """Which updates are the last at their place, with an axis of size 1 for each in rest."""
        lead = indices.shape[:-1]
        order = reshape(arange(product(lead)), lead)
        places = zeros(x.shape[: self.batch_dims + _depth(indices.shape)], int64)
        last = GatherNd(self.batch_dims)(self(places, indices, order), indices)
        return reshape(equal(last, order), (*lead, *(1,) * (updates.ndim - len(lead))))

    def _others(self, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        """For each update, the product of the others at its place, without division by 0."""
        zero = equal(updates, 0)
        nonzero, nothing = where(zero, 1, updates), where(zero, updates, 0)
        add, gather = ScatterNd(self.batch_dims, "add"), GatherNd(self.batch_dims)
        count, sums = (
            gather(add(zeros_like(x), indices, values), indices) - values
            for values in (cast(zero, x.dtype), nothing)
        )
        # A single 0 among the others is a factor, so that the product has a derivative by it.
        factor = where(equal(count, 0), 1, where(equal(count, 1), sums, 0))
        return factor * gather(self(ones_like(x), indices, nonzero), indices) / nonzero

    def batch(self, mapped: Sequence[bool], x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        return ScatterNd(self.batch_dims + 1, self.mode)(*in_front(mapped, (x, indices, updates)))

    cases = (
        Case(f32[3, 4, 2], Within(i64["n", 2], 0, 3), f32["n", 2], batch_dims=0, mode="set"),
        Case(f64["n", 4], Within(i32["n", 6, 1], -4, 4), f64["n", 6], batch_dims=1, mode="set"),
        Case(f64["n", 4], Within(i32["n", 6, 1], -4, 4), f64["n", 6], batch_dims=1, mode="add"),
        Case(f64["n", 4], Within(i32["n", 6, 1], -4, 4), f64["n", 6], batch_dims=1, mode="mul"),
        Case(f64["n", 4], Within(i32["n", 6, 1], -4, 4), f64["n", 6], batch_dims=1, mode="max"),
        Case(f64["n", 4], Within(i32["n", 6, 1], -4, 4), f64["n", 6], batch_dims=1, mode="min"),
        Case(f64[2, 2], [[0], [1], [0]], f64[3, 2], batch_dims=0, mode="mul"),
        Case([2.0, 3.0, 5.0], [[0], [1], [1], [-1]], [7.0, 0, 2, 0], batch_dims=0, mode="mul"),
        Case([2.0, 1.0], [[0], [0], [1]], [2.0, 2.0, 0.5], batch_dims=0, mode="max", smooth=False),
        Case([2.0, 1.0], [[0], [1]], [np.nan, np.inf], batch_dims=0, mode="min", smooth=False),
        Case(bool_[3], Within(u8[2, 1], 0, 3), bool_[2], batch_dims=0, mode="set"),
        Case(i8[3, 2], Within(i64[4, 1], 0, 3), i8[4, 2], batch_dims=0, mode="add"),
        Case(i32[3], Within(i64[0, 1], 0, 3), i32[0], batch_dims=0, mode="max"),
        Case(f64[2, 3], Within(i64[2], 0, 2), f64[()], batch_dims=0, mode="set"),
    )
    rejects = (
        Reject(
            f32[3], f32[2, 1], f32[2], batch_dims=0, mode="set", message="indices must be integers"
        ),
        Reject(
            f32[3], i32[2, 1], f64[2], batch_dims=0, mode="set", message="dtypes differ: f32 and"
        ),
        Reject(f32[3], i32[2, 1], f32[3], batch_dims=0, mode="set", message="shape [3], not [2]"),
        Reject(
            bool_[3], i32[2, 1], bool_[2], batch_dims=0, mode="add", message="number inputs, got"
        ),
        Reject(
            f32[3], i32[2, 1], f32[2], batch_dims=0, mode="sub", message='mode must be "set", "add"'
        ),
    )


@builder
def scatter_nd(
    x: TensorLike,
    indices: TensorLike,
    updates: TensorLike,
    batch_dims: int = 0,
    mode: Mode = "set",
) -> Tensor:
    """`x` with `updates` written at the tuples along the last axis of `indices`; see `ScatterNd`.

    mode: "set", "add", "mul", "max" or "min"
    """
    tensor, written = promoted(x, updates)
    return ScatterNd(batch_dims, mode)(tensor, as_tensor(indices), written)


def check_mode(mode: str, x: TensorType, updates: TensorType) -> None:
    """For `infer`: raise unless elements like `x` can be updated in this mode."""
    if mode != "set" and mode not in _AT:
        raise AttributeValueError(
            f'the mode must be "set", "add", "mul", "max" or "min", got {mode!r}'
        )
    check_same_dtype(x, updates)
    if mode != "set" and is_boolean(x.dtype):
        raise DTypeError("needs number inputs, got bool", hint='booleans can only be "set"')


def check_indices(indices: TensorType) -> None:
    """For `infer`: raise DTypeError unless `indices` are integers."""
    if not is_integer(indices.dtype):
        raise DTypeError(
            f"indices must be integers, got {short_name(indices.dtype)}",
            hint="convert them with .astype; for a boolean mask use gw.ops.where",
        )


def positions(indices: NDArray[Any], size: int, axis: int) -> NDArray[np.intp]:
    """The indices counted from the front. Raises InputError for one out of range."""
    wrong = (indices < -size) | (indices >= size) if indices.dtype.kind == "i" else indices >= size
    if wrong.any():
        raise InputError(
            f"index {indices[wrong].flat[0]} is out of range for axis {axis} of size {size}",
            hint=f"indices go from {-size} to {size - 1}" if size else "the axis is empty",
        )
    counted = indices.astype(np.intp)
    return np.where(counted < 0, counted + size, counted)


def _gathered_shape(x: TensorType, indices: TensorType, batch_dims: int) -> Shape:
    check_indices(indices)
    if not indices.rank:
        raise ShapeError(
            "indices need a last axis for the tuples, got rank 0",
            hint="use gw.ops.take(x, indices, axis) for single indices",
        )
    most = min(x.rank, indices.rank - 1)
    if not isinstance(batch_dims, int) or not 0 <= batch_dims <= most:
        raise AttributeValueError(f"batch_dims {batch_dims} must be from 0 to {most}")
    shared, given = x.shape[:batch_dims], indices.shape[:batch_dims]
    if shared != given:
        raise ShapeError(
            f"sizes {shape_text(shared)} and {shape_text(given)} of the batch differ",
            hint="the first batch_dims sizes of x and of indices are the same",
        )
    inner = x.shape[batch_dims:]
    depth = _depth(indices.shape)
    if depth > len(inner):
        raise ShapeError(
            f"{depth} indices for the {len(inner)} axes of {shape_text(inner)}",
            hint="the last size of indices says how many axes of x are indexed",
        )
    return (*indices.shape[:-1], *inner[depth:])


def _depth(indices: Shape) -> int:
    """How many indices make a tuple."""
    depth = indices[-1]
    if not isinstance(depth, int):
        raise ShapeError(
            f"the last axis of indices has size {depth}, which must be a number",
            hint="it says how many axes of x are indexed",
        )
    return depth


def _by_rows(shape: tuple[int, ...], indices: NDArray[Any], batch_dims: int) -> tuple[int, ...]:
    """The shape of `x` with all axes that are indexed, or of the batch, as one."""
    end = batch_dims + indices.shape[-1]
    return (math.prod(shape[:end]), *shape[end:])


def _places(indices: NDArray[Any], shape: tuple[int, ...], batch_dims: int) -> NDArray[np.intp]:
    """For each tuple, the row that it chooses; see `_by_rows`."""
    lead, sizes = shape[:batch_dims], shape[batch_dims : batch_dims + indices.shape[-1]]
    behind = (1,) * (indices.ndim - 1 - batch_dims)
    places = np.arange(math.prod(lead)).reshape((*lead, *behind))
    for j, size in enumerate(sizes):
        places = places * size + positions(indices[..., j], size, batch_dims + j)
    return np.broadcast_to(places, indices.shape[:-1])
