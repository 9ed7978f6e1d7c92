"""Elements several times: tiles, repeats, and grids of coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Dim, Size, dim
from graphwright.graph.dtype import int64, is_integer, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arguments import shown
from graphwright.ops.case import Case, Reject, Within, bool_, f32, f64, i32, i64, u8
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.creation import arange
from graphwright.ops.cumulative import cumsum
from graphwright.ops.extremum import minimum
from graphwright.ops.gather import Take
from graphwright.ops.movement import broadcast_to, expand_dims, reshape
from graphwright.ops.shapes import broadcast, check_axis, check_sizes, normalize_axis, shape_text
from graphwright.ops.sorting import Searchsorted


@register
class Tile(Composite):
    """`x` laid side by side `repeats` times along each axis.

    out[i, j] = x[i mod rows, j mod columns]
    The gradient of an element is the sum of the gradients of its copies.
    """

    name = "tile"

    repeats: tuple[Size, ...]

    def infer(self, x: TensorType) -> TensorType:
        check_sizes(self.repeats)
        if len(self.repeats) != x.rank:
            raise AttributeValueError(
                f"{len(self.repeats)} numbers of repeats for rank {x.rank}",
                hint="one for each axis",
            )
        pairs = zip(self.repeats, x.shape, strict=True)
        return x.with_shape(tuple(count * size for count, size in pairs))

    def decompose(self, x: Tensor) -> Tensor:
        pairs = list(zip(self.repeats, x.shape, strict=True))
        apart = reshape(x, tuple(size for _, own in pairs for size in (1, own)))
        tiled = broadcast_to(apart, tuple(size for pair in pairs for size in pair))
        return reshape(tiled, self.infer(x.type).shape)

    cases = (
        Case(f32["n", 2], repeats=(2, 3)),
        Case(f64[2, 1], repeats=(dim("n"), 1)),
        Case(i32[3], repeats=(0,)),
        Case(bool_[()], repeats=()),
    )
    rejects = (
        Reject(f32[2], repeats=(2, 2), message="2 numbers of repeats for rank 1"),
        Reject(f32[2], repeats=(-1,), message="a size can't be negative, got -1"),
    )


@builder
def tile(x: TensorLike, repeats: Size | Sequence[Size]) -> Tensor:
    """`x` laid side by side `repeats` times along its last axes (new ones are made if need be)."""
    tensor = as_tensor(x)
    counts = (repeats,) if isinstance(repeats, int | Dim) else tuple(repeats)
    rank = max(tensor.ndim, len(counts))
    whole = reshape(tensor, ((1,) * (rank - tensor.ndim) + tensor.shape))
    return Tile((1,) * (rank - len(counts)) + counts)(whole)


@register
class Repeat(Composite):
    """Each element `repeats` times, one copy after another, along an axis.

    out[..., i, ...] = x[..., ⌊i/repeats⌋, ...]
    The gradient of an element is the sum of the gradients of its copies.
    """

    name = "repeat"

    repeats: Size
    axis: int

    def infer(self, x: TensorType) -> TensorType:
        check_axis(self.axis, x.rank)
        check_sizes((self.repeats,))
        size = x.shape[self.axis] * self.repeats
        return x.with_shape((*x.shape[: self.axis], size, *x.shape[self.axis + 1 :]))

    def decompose(self, x: Tensor) -> Tensor:
        apart = expand_dims(x, self.axis + 1)
        end = self.axis + 1
        copies = broadcast_to(apart, (*x.shape[:end], self.repeats, *x.shape[end:]))
        return reshape(copies, self.infer(x.type).shape)

    cases = (
        Case(f32["n", 2], repeats=3, axis=0),
        Case(f64[2, 3], repeats=dim("n"), axis=1),
        Case(i32[3], repeats=0, axis=0),
        Case(bool_[2, 1, 2], repeats=2, axis=1),
    )
    rejects = (
        Reject(f32[2], repeats=-1, axis=0, message="a size can't be negative, got -1"),
        Reject(f32[2], repeats=2, axis=1, message="axis 1 is out of range for rank 1"),
    )


@register
class RepeatEach(Composite):
    """Element i `counts[i]` times, one copy after another, along an axis of the size `total`.

    counts: integers, not negative; where they add up to more than `total` the rest is cut off,
            where they add up to less the last element goes on
    The gradient of an element is the sum of the gradients of its copies.
    """

    name = "repeat_each"

    axis: int
    total: Size

    def infer(self, x: TensorType, counts: TensorType) -> TensorType:
        check_axis(self.axis, x.rank)
        check_sizes((self.total,))
        if not is_integer(counts.dtype):
            raise DTypeError(
                f"counts must be integers, got {short_name(counts.dtype)}",
                hint="convert them with .astype",
            )
        size = x.shape[self.axis]
        if counts.shape != (size,):
            raise ShapeError(
                f"counts have shape {shape_text(counts.shape)}, not {shape_text((size,))}",
                hint="one for each element along the axis",
            )
        return x.with_shape((*x.shape[: self.axis], self.total, *x.shape[self.axis + 1 :]))

    def decompose(self, x: Tensor, counts: Tensor) -> Tensor:
        ends = cumsum(cast(counts, int64), 0)
        place = Searchsorted("right")(ends, arange(self.total))
        return Take(self.axis)(x, minimum(place, x.shape[self.axis] - 1))

    cases = (
        Case(f32[3, 2], [2, 0, 3], axis=0, total=5),
        Case(f64[2, 3], [1, 4, 0], axis=1, total=dim("n")),
        Case(f64["n"], Within(u8["n"], 0, 4), axis=0, total=2 * dim("n")),
    )
    rejects = (
        Reject(f32[3], f32[3], axis=0, total=4, message="counts must be integers, got f32"),
        Reject(f32[3], i64[2], axis=0, total=4, message="counts have shape [2], not [3]"),
        Reject(f32[3], i64[3], axis=0, total=-4, message="a size can't be negative, got -4"),
        Reject(f32[3], i64[3], axis=1, total=4, message="axis 1 is out of range for rank 1"),
    )


@builder
def repeat(
    x: TensorLike, repeats: Size | Sequence[int] | NDArray[Any], axis: int | None = None
) -> Tensor:
    """Each element of `x` several times along `axis`, or in the flattened `x` for None.

    repeats: a number for all, or a known number for each element

    Raises AttributeValueError for a tensor of counts, which `repeat_each` takes.
    """
    tensor = as_tensor(x)
    if isinstance(repeats, Tensor):
        raise AttributeValueError(
            "the size of the result can't depend on the values of a tensor",
            hint="use gw.ops.repeat_each(x, counts, total), with the total known",
        )
    if axis is None:
        tensor, axis = reshape(tensor, (-1,)), 0
    place = normalize_axis(axis, tensor.ndim)
    if isinstance(repeats, int | np.integer | Dim) and not isinstance(repeats, bool):
        return Repeat(repeats if isinstance(repeats, Dim) else int(repeats), place)(tensor)
    counts = np.asarray(repeats) if isinstance(repeats, Sequence | np.ndarray) else None
    if counts is None or counts.ndim != 1 or (counts.size and counts.dtype.kind not in "iu"):
        raise AttributeValueError(
            f"repeats must be a size, or a whole number for each element, got {shown(repeats)}",
            hint="such as 2, or [1, 0, 2]",
        )
    return RepeatEach(place, int(counts.sum()))(tensor, as_tensor(counts.astype(np.int64)))


@builder
def repeat_each(x: TensorLike, counts: TensorLike, total: Size, axis: int = 0) -> Tensor:
    """Element i of `x` counts[i] times along `axis`, which gets the size `total`.

    What is too much is cut off, and what is too little filled with the last; see `RepeatEach`.
    """
    tensor = as_tensor(x)
    return RepeatEach(normalize_axis(axis, tensor.ndim), total)(tensor, as_tensor(counts))


@builder
def broadcast_arrays(*tensors: TensorLike) -> tuple[Tensor, ...]:
    """The tensors, each broadcast to the shape that they have together."""
    parts = [as_tensor(tensor) for tensor in tensors]
    shape = broadcast(*(part.shape for part in parts))
    return tuple(broadcast_to(part, shape) for part in parts)


@builder
def meshgrid(*tensors: TensorLike, indexing: Literal["xy", "ij"] = "xy") -> tuple[Tensor, ...]:
    """Grids of coordinates: each vector repeated along the axes of all the others.

    indexing: "ij" for the axes in the order of the vectors; "xy", as in plots, for the first two
              axes exchanged (NumPy)
    Raises ShapeError for what is no vector, AttributeValueError for another `indexing`.
    """
    parts = [as_tensor(tensor) for tensor in tensors]
    if indexing not in ("xy", "ij"):
        raise AttributeValueError(f'indexing must be "xy" or "ij", got {indexing!r}')
    for part in parts:
        if part.ndim != 1:
            raise ShapeError(f"needs vectors, got {part.type}", hint="flatten it: reshape(x, -1)")
    axes = list(range(len(parts)))
    if indexing == "xy":
        axes[:2] = axes[:2][::-1]
    aligned = [
        reshape(part, tuple(part.shape[0] if i == axis else 1 for i in range(len(parts))))
        for axis, part in zip(axes, parts, strict=True)
    ]
    return broadcast_arrays(*aligned)
