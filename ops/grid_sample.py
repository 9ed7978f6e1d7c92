"""Images sampled at computed places, and the places that an affine map makes."""

from __future__ import annotations

from itertools import product
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from graphwright.graph.dim import Size, dim
from graphwright.graph.dtype import int64
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.arithmetic import abs
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.composite import Composite
from graphwright.ops.convert import SizeValue, as_tensor, builder, cast, promoted
from graphwright.ops.creation import arange, ones
from graphwright.ops.extremum import maximum, minimum
from graphwright.ops.gather_nd import GatherNd
from graphwright.ops.joining import stack
from graphwright.ops.linear import matmul
from graphwright.ops.movement import broadcast_to, expand_dims, matrix_transpose, moveaxis, reshape
from graphwright.ops.rounding import floor, round
from graphwright.ops.selection import stop_gradient, where
from graphwright.ops.shapes import ShapeLike, as_shape, shape_text
from graphwright.ops.spatial import spatial_rank
from graphwright.ops.statistics import widened

# `abs` and `round` here are tensors' functions; Python's own are not used below.

Mode: TypeAlias = Literal["linear", "nearest"]
PaddingMode: TypeAlias = Literal["zeros", "border", "reflection"]


def _sampled(**changes: Any) -> dict[str, Any]:
    """Attributes for cases: nothing out of the ordinary but the `changes`."""
    return {"mode": "linear", "padding_mode": "zeros", "align_corners": False, **changes}


@register
class GridSample(Composite):
    """The images `x` at places in [-1, 1], interpolated (ONNX GridSample).

    x:    [examples, channels, *sizes]
    grid: [examples, *new sizes, axes]: a coordinate for each spatial axis, the last axis first
    out:  [examples, channels, *new sizes]

    -1 and 1 are the outer edges of the first and last elements: element i of n is at
    (2i + 1)/n - 1; with `align_corners` they are the middles of these, and it is at 2i/(n - 1) - 1.

    mode:         "linear" between the 2 elements around each coordinate, or "nearest", where halves
                  go to the even element
    padding_mode: what is outside: "zeros"; "border", the element that is nearest; or "reflection"
                  at -1 and 1, as often as needed

    16-bit floats are interpolated as float32. The gradient of x is that of what was read, times
    the weights; that of a coordinate is the slope between the elements around it, 0 for the nearest
    and beyond the border (Jaderberg et al., Spatial transformer networks, 2015).
    """

    name = "grid_sample"

    mode: Mode
    padding_mode: PaddingMode
    align_corners: bool

    def infer(self, x: TensorType, grid: TensorType) -> TensorType:
        check_floating(x)
        if x.dtype != grid.dtype:
            raise DTypeError(f"x is {x}, but grid is {grid}", hint="cast one of them")
        for what, given, known in (
            ("mode", self.mode, get_args(Mode)),
            ("padding_mode", self.padding_mode, get_args(PaddingMode)),
        ):
            if given not in known:
                raise AttributeValueError(f"{what} is one of {', '.join(known)}, got {given!r}")
        count = x.rank - 2
        fits = x.rank == grid.rank and count > 0 and grid.shape[-1] == count
        if not fits or x.shape[0] != grid.shape[0]:
            raise ShapeError(
                f"grid {grid} has no places in images {x}",
                hint="images are [examples, channels, *sizes], a grid [examples, *new sizes, axes] "
                "with one coordinate for each spatial axis, the last axis first",
            )
        if any(size == 0 for size in x.shape[2:]):
            raise ShapeError(f"images {x} have no elements to sample")
        return x.with_shape((*x.shape[:2], *grid.shape[1:-1]))

    def decompose(self, x: Tensor, grid: Tensor) -> Tensor:
        images, places = moveaxis(widened(x), 1, -1), widened(grid)
        sizes = x.shape[2:]
        read = [self._place(places[..., -1 - i], size) for i, size in enumerate(sizes)]
        if self.mode == "nearest":
            total = self._corner(images, [round(stop_gradient(c)) for c in read])
        else:
            bases = [floor(stop_gradient(c)) for c in read]
            total = as_tensor(0, images.dtype)
            for steps in product((0, 1), repeat=len(sizes)):
                corner = [base + step for base, step in zip(bases, steps, strict=True)]
                weight = as_tensor(1, images.dtype)
                for c, base, step in zip(read, bases, steps, strict=True):
                    weight = weight * (c - base if step else base + 1 - c)
                total = total + expand_dims(weight, -1) * self._corner(images, corner)
        return cast(moveaxis(total, -1, 1), x.dtype)

    def _place(self, coordinate: Tensor, size: Size) -> Tensor:
        """The coordinate in elements, brought into the axis if it is to be."""
        count = SizeValue(size, coordinate.dtype)()
        if self.align_corners:
            place = (coordinate + 1) / 2 * (count - 1)
        else:
            place = ((coordinate + 1) * count - 1) / 2
        if self.padding_mode == "reflection":
            place = self._reflected(place, count)
        return place if self.padding_mode == "zeros" else minimum(maximum(place, 0), count - 1)

    def _reflected(self, place: Tensor, count: Tensor) -> Tensor:
        low = as_tensor(0.0 if self.align_corners else -0.5, place.dtype)
        period = 2 * maximum(count - 1 if self.align_corners else count, 1)
        forth = abs(place - low)
        phase = forth - floor(stop_gradient(forth / period)) * period
        return minimum(phase, period - phase) + low

    def _corner(self, images: Tensor, corner: list[Tensor]) -> Tensor:
        """[examples, *new sizes, channels]: elements at whole coordinates, 0 for those outside."""
        indices, inside = [], as_tensor(True)
        for place, size in zip(corner, images.shape[1:-1], strict=True):
            inside = inside & (place >= 0) & (place <= size - 1)
            indices.append(maximum(minimum(cast(place, int64), size - 1), 0))
        read = GatherNd(1)(images, stack(indices, -1))
        return where(expand_dims(inside, -1), read, 0) if self.padding_mode == "zeros" else read

    cases = (
        Case(
            f64[2, 2, dim("h") + 1, 3],
            Within(f64[2, 2, 3, 2], -1.2, 1.2),
            **_sampled(),
        ),
        Case(f32["n", 2, 4], Within(f32["n", 3, 1], -0.9, 0.9), **_sampled(align_corners=True)),
        Case(
            f64[1, 2, 3, 4],
            Within(f64[1, 5, 1, 2], -3.5, 3.5),
            **_sampled(padding_mode="border"),
        ),
        Case(f64[1, 1, 5], Within(f64[1, 9, 1], -6, 6), **_sampled(padding_mode="reflection")),
        Case(
            f64[1, 1, 3, 1],
            Within(f64[1, 4, 2, 2], -6, 6),
            **_sampled(padding_mode="reflection", align_corners=True),
        ),
        Case(f64[1, 2, 2, 3, 2], Within(f64[1, 2, 1, 1, 3], -1, 1), **_sampled()),
        Case(
            f64[1, 2, 5],
            Within(f64[1, 6, 1], -1.5, 1.5),
            **_sampled(mode="nearest"),
            smooth=(0,),
        ),
        Case(
            f64[1, 2, 2, 3],
            Within(f64[1, 6, 1, 2], -2.5, 2.5),
            **_sampled(mode="nearest", padding_mode="reflection"),
            smooth=(0,),
        ),
        Case(f16[1, 1, 3], Within(f16[1, 2, 1], -1, 1), smooth=False, **_sampled()),
        Case([[[1.0, 2.0]]], [[[np.inf], [-np.inf], [0.0]]], smooth=False, **_sampled()),
    )
    rejects = (
        Reject(i32[1, 1, 3], i32[1, 2, 1], **_sampled(), message="needs a floating input, got i32"),
        Reject(f32[1, 1, 3], f64[1, 2, 1], **_sampled(), message="but grid is f64[1,2,1]"),
        Reject(
            f32[1, 1, 3], f32[1, 2, 2], **_sampled(), message="grid f32[1,2,2] has no places in"
        ),
        Reject(
            f32[1, 1, 3], f32[2, 2, 1], **_sampled(), message="grid f32[2,2,1] has no places in"
        ),
        Reject(f32[1, 1, 0], f32[1, 2, 1], **_sampled(), message="have no elements to sample"),
        Reject(f32[1, 1, 3], f32[1, 2, 1], **_sampled(mode="cubic"), message="mode is one of lin"),
        Reject(f32[1, 1, 3], f32[1, 2, 1], **_sampled(padding_mode="wrap"), message="one of zeros"),
    )


@builder
def grid_sample(
    x: TensorLike,
    grid: TensorLike,
    mode: Mode = "linear",
    padding_mode: PaddingMode = "zeros",
    align_corners: bool = False,
) -> Tensor:
    """The images `x` at the places in `grid`, interpolated; see `GridSample`.

    x:    [examples, channels, *sizes]
    grid: [examples, *new sizes, axes]: coordinates in [-1, 1], that of the last axis first, as
          `affine_grid` makes them
    """
    images, places = promoted(x, grid)
    spatial_rank(images)
    return GridSample(mode, padding_mode, align_corners)(images, places)


@register
class AffineGrid(Composite):
    """Where each place of an image of `sizes` comes from under affine maps (ONNX AffineGrid).

    theta: [examples, axes, axes + 1], a linear map and a shift for each example
    out:   [examples, *sizes, axes], for `grid_sample`

    out[n, i] = theta[n] (coordinates of i, 1), where coordinates are in [-1, 1] as in
    `grid_sample`, that of the last axis first. The gradient of theta sums g times those.
    """

    name = "affine_grid"

    sizes: Shape
    align_corners: bool

    def infer(self, theta: TensorType) -> TensorType:
        check_floating(theta)
        count = len(self.sizes)
        if theta.rank != 3 or theta.shape[1:] != (count, count + 1) or not count:
            raise ShapeError(
                f"maps of {count} axes have the shape [examples,{count},{count + 1}], got {theta}",
                hint="for each coordinate a row: a factor for each of them, and a shift",
            )
        for size in self.sizes:
            if isinstance(size, int) and size < 1:
                raise AttributeValueError(f"sizes must be 1 or more, got {shape_text(self.sizes)}")
        return theta.with_shape((theta.shape[0], *self.sizes, count))

    def decompose(self, theta: Tensor) -> Tensor:
        count, wide = len(self.sizes), widened(theta)
        columns = []
        for axis in reversed(range(count)):
            column = self._coordinates(self.sizes[axis], wide)
            spread = expand_dims(column, tuple(range(1, count - axis)))
            columns.append(broadcast_to(spread, self.sizes))
        columns.append(ones(self.sizes, wide.dtype))
        shape = self.infer(theta.type).shape
        points = stack(columns, -1)
        flat = reshape(points, (points.size // (count + 1), count + 1))
        return cast(reshape(matmul(flat, matrix_transpose(wide)), shape), theta.dtype)

    def _coordinates(self, size: Size, theta: Tensor) -> Tensor:
        """The middles of the elements of an axis."""
        places, count = arange(size, dtype=theta.dtype), SizeValue(size, theta.dtype)()
        if self.align_corners:
            # A single element is in the middle.
            return where(count > 1, 2 * places / maximum(count - 1, 1) - 1, 0)
        return (2 * places + 1) / count - 1

    cases = (
        Case(f32["n", 2, 3], sizes=(2, 3), align_corners=False),
        Case(f64[2, 2, 3], sizes=(dim("h") + 1, 2), align_corners=True),
        Case(f64[1, 3, 4], sizes=(2, 1, 3), align_corners=False),
        Case(f64[1, 1, 2], sizes=(4,), align_corners=True),
        Case(f16[1, 1, 2], sizes=(3,), align_corners=False, smooth=False),
    )
    rejects = (
        Reject(
            f32[1, 2, 2], sizes=(2, 3), align_corners=False, message="have the shape [examples,2,3]"
        ),
        Reject(f32[1, 1, 2], sizes=(0,), align_corners=False, message="sizes must be 1 or more"),
        Reject(i32[1, 1, 2], sizes=(2,), align_corners=False, message="needs a floating input"),
    )


@builder
def affine_grid(theta: TensorLike, sizes: ShapeLike, align_corners: bool = False) -> Tensor:
    """Where each place of an image of spatial `sizes` comes from under the maps `theta`.

    theta: [examples, axes, axes + 1]; see `AffineGrid`
    """
    return AffineGrid(as_shape(sizes), align_corners)(as_tensor(theta))
