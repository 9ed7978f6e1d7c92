"""An index for every element: choosing along an axis, and writing there."""

from __future__ import annotations

from typing import cast as cast_type

from graphwright.graph.errors import ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, Within, bool_, f32, f64, i8, i32, i64, u8
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, promoted
from graphwright.ops.gather_nd import GatherNd, Mode, ScatterNd, check_indices, check_mode
from graphwright.ops.movement import broadcast_to, expand_dims, moveaxis
from graphwright.ops.shapes import broadcast, check_axis, normalize_axis, shape_text


@register
class TakeAlongAxis(Composite):
    """For each index the element that it chooses along an axis; negative ones count from the end.

    x, indices: of one rank; their sizes on the other axes broadcast

    out[i, j, k] = x[i, indices[i, j, k], k], where the axis is the middle one (NumPy, ONNX
    GatherElements)
    The gradient of each element is the sum of the gradients of its copies.
    Raises InputError when run on an index out of range.
    """

    name = "take_along_axis"

    axis: int

    def infer(self, x: TensorType, indices: TensorType) -> TensorType:
        lead = _others(x, indices, self.axis)
        return x.with_shape((*lead[: self.axis], indices.shape[self.axis], *lead[self.axis :]))

    def decompose(self, x: Tensor, indices: Tensor) -> Tensor:
        lead = _others(x.type, indices.type, self.axis)
        rows, chosen = (
            broadcast_to(moveaxis(tensor, self.axis, -1), (*lead, tensor.shape[self.axis]))
            for tensor in (x, indices)
        )
        taken = GatherNd(len(lead))(rows, expand_dims(chosen, -1))
        return moveaxis(taken, -1, self.axis)

    cases = (
        Case(f32["n", 4], Within(i64["n", 2], 0, 4), axis=1),
        Case(f64[3, "n"], Within(i32[5, "n"], -3, 3), axis=0),
        Case(f64[2, 3, 1], Within(u8[1, 4, 2], 0, 3), axis=1),
        Case(bool_[3], Within(i8[2], 0, 3), axis=0),
        Case(i32[2, 3], Within(i64[2, 0], 0, 3), axis=1),
        Case([[1.0, 2.0], [3.0, 4.0]], [[1, 1, 0], [-1, -2, 0]], axis=1),
    )
    rejects = (
        Reject(f32[3], f32[2], axis=0, message="indices must be integers, got f32"),
        Reject(f32[3, 2], i32[2], axis=0, message="x has rank 2, indices have 1"),
        Reject(f32[3, 2], i32[2, 3], axis=0, message="shapes [2] and [3] differ"),
        Reject(f32[3], i32[2], axis=1, message="axis 1 is out of range for rank 1"),
        Reject(f32[3], i32[2], axis=-1, message="axis -1 must be counted from the front"),
    )


@builder
def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """For each of the integer `indices` the element of `x` along `axis`; see `TakeAlongAxis`.

    What `argsort`, `argmax(..., keepdims=True)` and the like give fits.
    """
    tensor, chosen = as_tensor(x), as_tensor(indices)
    return TakeAlongAxis(normalize_axis(axis, tensor.ndim))(tensor, chosen)


@register
class PutAlongAxis(Composite):
    """`x` with values written at an index for each along an axis; `take_along_axis` reversed.

    indices: integers; of the rank of x, and their sizes on the other axes broadcast to those of x
    values:  of the shape of the indices so broadcast
    mode:    "set", "add", "mul", "max" or "min": what becomes of the element and its value; where
             an index repeats, the last value is set, and in the other modes all take part

    out[i, indices[i, j, k], k] = values[i, j, k], where the axis is the middle one (NumPy, ONNX
    ScatterElements)
    The gradient is that of `scatter_nd`. Raises InputError when run on an index out of range.
    """

    name = "put_along_axis"

    axis: int
    mode: Mode

    def infer(self, x: TensorType, indices: TensorType, values: TensorType) -> TensorType:
        check_mode(self.mode, x, values)
        expected = _written_shape(x, indices, self.axis)
        if values.shape != expected:
            raise ShapeError(
                f"values have shape {shape_text(values.shape)}, not {shape_text(expected)}",
                hint="one for each index; use broadcast_to if need be",
            )
        return x

    def decompose(self, x: Tensor, indices: Tensor, values: Tensor) -> Tensor:
        chosen = broadcast_to(indices, values.shape)
        rows, tuples, updates = (
            moveaxis(tensor, self.axis, x.ndim - 1) for tensor in (x, chosen, values)
        )
        scatter = ScatterNd(x.ndim - 1, self.mode)
        return moveaxis(scatter(rows, expand_dims(tuples, -1), updates), -1, self.axis)

    cases = (
        Case(f32["n", 4], Within(i64["n", 2], 0, 4), f32["n", 2], axis=1, mode="set"),
        Case(f64[3, "n"], Within(i32[5, "n"], -3, 3), f64[5, "n"], axis=0, mode="add"),
        Case(f64[2, 3, 2], Within(u8[1, 4, 2], 0, 3), f64[2, 4, 2], axis=1, mode="mul"),
        Case(f64[3], Within(i8[2], 0, 3), f64[2], axis=0, mode="max"),
        Case(i32[2, 3], Within(i64[2, 0], 0, 3), i32[2, 0], axis=1, mode="min"),
        Case([[1.0, 2.0], [3.0, 4.0]], [[1, -1]], [[5.0, 6], [7, 8]], axis=1, mode="set"),
    )
    rejects = (
        Reject(f32[3], i32[2], f64[2], axis=0, mode="set", message="dtypes differ: f32 and f64"),
        Reject(f32[3], f32[2], f32[2], axis=0, mode="set", message="indices must be integers"),
        Reject(
            f32[3], i32[2], f32[3], axis=0, mode="set", message="values have shape [3], not [2]"
        ),
        Reject(
            f32[3, 1], i32[2, 2], f32[2, 2], axis=0, mode="set", message="indices have shape [2,2]"
        ),
        Reject(f32[3], i32[2], f32[2], axis=0, mode="or", message="the mode must be"),
        Reject(f32[3], i32[2], f32[2], axis=1, mode="set", message="axis 1 is out of range"),
    )


@builder
def put_along_axis(
    x: TensorLike, indices: TensorLike, values: TensorLike, axis: int = -1, mode: Mode = "set"
) -> Tensor:
    """`x` with `values` (broadcast) written at the integer `indices` along `axis`.

    mode: "set", "add", "mul", "max" or "min"; see `PutAlongAxis`
    """
    tensor, written = promoted(x, values)
    chosen, place = as_tensor(indices), normalize_axis(axis, tensor.ndim)
    expected = _written_shape(tensor.type, chosen.type, place)
    return PutAlongAxis(place, mode)(tensor, chosen, broadcast_to(written, expected))


def _others(x: TensorType, indices: TensorType, axis: int) -> Shape:
    """The sizes of all other axes, broadcast."""
    check_axis(axis, x.rank)
    check_indices(indices)
    if x.rank != indices.rank:
        raise ShapeError(
            f"x has rank {x.rank}, indices have {indices.rank}",
            hint="add axes of size 1, or use gw.ops.take for the same indices everywhere",
        )
    rest = (kind.shape[:axis] + kind.shape[axis + 1 :] for kind in (x, indices))
    return broadcast(*rest)


def _written_shape(x: TensorType, indices: TensorType, axis: int) -> Shape:
    lead = _others(x, indices, axis)
    if lead != x.shape[:axis] + x.shape[axis + 1 :]:
        raise ShapeError(
            f"indices have shape {shape_text(indices.shape)}, which does not broadcast to "
            f"{shape_text(x.shape)} on other axes than {axis}"
        )
    return cast_type(Shape, (*lead[:axis], indices.shape[axis], *lead[axis:]))
