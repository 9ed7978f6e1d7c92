"""Writing to chosen places: along an axis, and wherever an index of NumPy's kind says."""

from __future__ import annotations

from typing import Any

from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, bool_, f32, f64, i32, i64, u8
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, promoted
from graphwright.ops.creation import arange
from graphwright.ops.gather import ScatterAdd, check_updates, taken_shape
from graphwright.ops.gather_nd import Mode, ScatterNd, check_indices, check_mode
from graphwright.ops.indexing import index
from graphwright.ops.movement import broadcast_to, expand_dims, moveaxis, reshape, transpose
from graphwright.ops.shapes import check_axis, normalize_axis


@register
class Scatter(Composite):
    """`x` with `updates` written at `indices` along an axis, in one of five modes; `take` reversed.

    indices: integers of any shape; negative ones count from the end
    updates: of the shape of take(x, indices, axis)
    mode:    "set", "add", "mul", "max" or "min": what becomes of the element and its update;
             where an index repeats, the last update is set, and in the other modes all take part

    out[..., indices[i], ...] = updates[..., i, ...], where i runs over all axes of `indices`
    The gradient is that of `scatter_nd`. Raises InputError when run on an index out of range.
    """

    name = "scatter"

    axis: int
    mode: Mode

    def infer(self, x: TensorType, indices: TensorType, updates: TensorType) -> TensorType:
        check_axis(self.axis, x.rank)
        check_indices(indices)
        check_mode(self.mode, x, updates)
        check_updates(x, indices, updates, self.axis)
        return x

    def decompose(self, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        if self.mode == "add":
            return ScatterAdd(self.axis)(x, indices, updates)
        end = self.axis + indices.ndim
        order = (*range(self.axis, end), *range(self.axis), *range(end, updates.ndim))
        rows = moveaxis(x, self.axis, 0)
        scatter = ScatterNd(0, self.mode)
        written = scatter(rows, expand_dims(indices, -1), transpose(updates, order))
        return moveaxis(written, 0, self.axis)

    cases = (
        Case(f32[4, 3], Within(i64["n"], 0, 4), f32["n", 3], axis=0, mode="set"),
        Case(f64[2, 4, 2], Within(i32[2, 3], -4, 4), f64[2, 2, 3, 2], axis=1, mode="set"),
        Case(f64[2, 4], Within(i32[2, 3], -4, 4), f64[2, 2, 3], axis=1, mode="add"),
        Case(f64["n", 3], Within(u8[()], 0, 3), f64["n"], axis=1, mode="mul"),
        Case(f64[3], [0, 2, 2, -1, 0], f64[5], axis=0, mode="max"),
        Case(i32[3], [0, 2, 2, -1, 0], i32[5], axis=0, mode="min"),
        Case(bool_[3], Within(i64[0], 0, 1), bool_[0], axis=0, mode="set"),
    )
    rejects = (
        Reject(f32[3], f32[2], f32[2], axis=0, mode="set", message="indices must be integers"),
        Reject(f32[3], i32[2], f64[2], axis=0, mode="set", message="dtypes differ: f32 and f64"),
        Reject(f32[3], i32[2], f32[3], axis=0, mode="set", message="shape [3], not [2]"),
        Reject(f32[3], i32[2], f32[2], axis=0, mode="put", message='the mode must be "set"'),
        Reject(bool_[3], i32[2], bool_[2], axis=0, mode="mul", message="needs number inputs"),
        Reject(f32[3], i32[2], f32[2], axis=-1, mode="set", message="counted from the front"),
    )


@builder
def scatter(
    x: TensorLike, indices: TensorLike, updates: TensorLike, axis: int = 0, mode: Mode = "set"
) -> Tensor:
    """`x` with `updates` (broadcast) written at the integer `indices` along `axis`.

    mode: "set", "add", "mul", "max" or "min"; see `Scatter`
    """
    tensor, written = promoted(x, updates)
    chosen, place = as_tensor(indices), normalize_axis(axis, tensor.ndim)
    expected = taken_shape(tensor.shape, chosen.shape, place)
    return Scatter(place, mode)(tensor, chosen, broadcast_to(written, expected))


@builder
def index_update(x: TensorLike, key: Any, updates: TensorLike, mode: Mode = "set") -> Tensor:
    """`x` with `updates` (broadcast) written at x[key]: what assigning to it would make of `x`.

    key:  whatever x[key] takes
    mode: "set", "add", "mul", "max" or "min"; where places repeat, the last update in the order
          of x[key] is set, and in the other modes all take part

    Raises what x[key] raises, and ShapeError when the updates don't broadcast to its shape.
    """
    tensor, written = promoted(x, updates)
    # The places that the key names, as numbers of elements: so all keys are one case.
    numbers = index(reshape(arange(tensor.size), tensor.shape), key)
    flat = ScatterNd(0, mode)(
        reshape(tensor, (-1,)), expand_dims(numbers, -1), broadcast_to(written, numbers.shape)
    )
    return reshape(flat, tensor.shape)
