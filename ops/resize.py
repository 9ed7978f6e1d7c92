"""Axes brought to other sizes, their elements interpolated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal, TypeAlias, get_args

from graphwright.graph.dim import Dim, Size, dim, exact_quotient, floordiv
from graphwright.graph.dtype import float64, int64
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.arithmetic import abs
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.comparison import equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.creation import arange
from graphwright.ops.extremum import maximum, minimum
from graphwright.ops.gather import take
from graphwright.ops.linear import matmul
from graphwright.ops.movement import expand_dims, matrix_transpose, moveaxis
from graphwright.ops.repetition import Repeat
from graphwright.ops.rounding import ceil, floor
from graphwright.ops.selection import where
from graphwright.ops.shapes import ShapeLike, as_shape, check_axes, normalize_axes
from graphwright.ops.statistics import widened

# `abs` here is tensors' function; Python's own is not used below.

Mode: TypeAlias = Literal["nearest", "linear", "cubic"]
Coordinates: TypeAlias = Literal["half_pixel", "align_corners", "asymmetric"]
Rounding: TypeAlias = Literal["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def _plain(axes: tuple[int, ...], sizes: Shape, **changes: Any) -> dict[str, Any]:
    """Attributes for cases: nothing out of the ordinary but the `changes`."""
    names = {"mode": "nearest", "coordinates": "half_pixel", "rounding": "round_prefer_floor"}
    numbers = {"axes": axes, "sizes": sizes, "scales": (), "cubic_coefficient": -0.75}
    return {**numbers, **names, **changes}


@register
class Resize(Composite):
    """`axes` (sorted) of `x` brought to `sizes`, their elements interpolated (ONNX Resize).

    Element i of an axis of n elements, of which there are m before, is read at the coordinate c:

    half_pixel:    (i + ½) m/n - ½; elements are intervals, and it is their middles that move
    asymmetric:    i m/n
    align_corners: i (m - 1)/(n - 1); 0 where n is 1

    With `scales`, one for each axis, 1/scale stands for m/n. What is read there:

    nearest:       the element at c, rounded as `rounding` says: "round_prefer_floor" or "..._ceil"
                   differ in what becomes of halves, "floor" and "ceil" round one way
    linear:        between the two elements around c, by their distances
    cubic:         from four elements around c, by the kernel of Keys, Cubic convolution
                   interpolation for digital image processing, 1981, with a = cubic_coefficient

    Where elements are missing at an end, the last one stands for them. Axes are resized one by
    one, and 16-bit floats interpolated as float32. The gradient of x is that of what was read,
    times the weights that it was read with.
    """

    name = "resize"

    axes: tuple[int, ...]
    sizes: Shape
    scales: tuple[float, ...]
    mode: Mode
    coordinates: Coordinates
    rounding: Rounding
    cubic_coefficient: float

    def infer(self, x: TensorType) -> TensorType:
        check_axes(self.axes, x.rank)
        for what, given, known in (
            ("mode", self.mode, get_args(Mode)),
            ("coordinates", self.coordinates, get_args(Coordinates)),
            ("rounding", self.rounding, get_args(Rounding)),
        ):
            if given not in known:
                raise AttributeValueError(f"{what} is one of {', '.join(known)}, got {given!r}")
        if len(self.sizes) != len(self.axes) or len(self.scales) not in (0, len(self.axes)):
            raise AttributeValueError(
                f"{len(self.sizes)} sizes and {len(self.scales)} scales for {len(self.axes)} axes",
                hint="one size for each axis, and one scale for each or none",
            )
        if self.mode != "nearest":
            check_floating(x)
        for scale in self.scales:
            if not 0 < scale < math.inf:
                raise AttributeValueError(f"a scale must be larger than 0 and finite, got {scale}")
        shape = list(x.shape)
        for axis, size in zip(self.axes, self.sizes, strict=True):
            if isinstance(size, int) and size < 1:
                raise ShapeError(f"axis {axis} can't be resized to {size}", hint="1 or more")
            if shape[axis] == 0:
                raise ShapeError(f"axis {axis} is empty: there is nothing to resize")
            shape[axis] = size
        return x.with_shape(tuple(shape))

    def decompose(self, x: Tensor) -> Tensor:
        out = x if self.mode == "nearest" else widened(x)
        for position, axis in enumerate(self.axes):
            size, before = self.sizes[position], x.shape[axis]
            scale = self.scales[position] if self.scales else None
            if size == before and (scale is None or scale == 1):
                continue
            times = exact_quotient(size, before)
            if times is not None and self._repeats(times, scale):
                out = Repeat(times, axis)(out)
                continue
            read = self._coordinates(before, size, scale)
            if self.mode == "nearest":
                out = take(out, _limited(self._rounded(read), before), axis)
            else:
                weights = cast(self._weights(read, before), out.dtype)
                out = _times(out, weights, axis)
        return cast(out, x.dtype)

    def _repeats(self, times: Size, scale: float | None) -> bool:
        """True when each element is simply repeated, which is faster, and its gradient too."""
        if self.mode != "nearest" or (scale is not None and scale != times):
            return False
        halves = ("round_prefer_floor", "round_prefer_ceil")
        return (self.coordinates == "half_pixel" and self.rounding in halves) or (
            self.coordinates == "asymmetric" and self.rounding == "floor"
        )

    def _coordinates(self, before: Size, after: Size, scale: float | None) -> Tensor:
        """Where each element is read, in float64."""
        places = arange(after, dtype=float64)
        # Products are exact, and so are quotients that are whole numbers.
        if self.coordinates == "align_corners":
            return places * (before - 1) / maximum(as_tensor(after - 1), 1)
        middle = 0.5 if self.coordinates == "half_pixel" else 0.0
        moved = places + middle
        return (moved * before / after if scale is None else moved / scale) - middle

    def _rounded(self, read: Tensor) -> Tensor:
        if self.rounding == "floor":
            return floor(read)
        if self.rounding == "ceil":
            return ceil(read)
        return ceil(read - 0.5) if self.rounding == "round_prefer_floor" else floor(read + 0.5)

    def _weights(self, read: Tensor, before: Size) -> Tensor:
        """[before, after]: how much of each element there is in each of the new ones."""
        base = floor(read)
        elements = expand_dims(arange(before), 1)
        taps = (0, 1) if self.mode == "linear" else (-1, 0, 1, 2)
        total = as_tensor(0.0, float64)
        for tap in taps:
            distance = abs(read - (base + tap))
            share = 1 - distance if self.mode == "linear" else self._keys(distance, tap in (0, 1))
            total = total + where(equal(elements, _limited(base + tap, before)), share, 0)
        return total

    def _keys(self, d: Tensor, near: bool) -> Tensor:
        """The kernel of Keys at a distance up to 1, or from 1 to 2."""
        a = self.cubic_coefficient
        if near:
            return ((a + 2) * d - (a + 3)) * d * d + 1
        return a * (((d - 5) * d + 8) * d - 4)

    cases = (
        Case(f32["n", 5], **_plain((1,), (3,))),
        Case(f64[4], **_plain((0,), (2,))),
        Case(f64[2, dim("h") + 1], **_plain((0, 1), (6, 2 * dim("h") + 2))),
        Case(f64[3], **_plain((0,), (6,), coordinates="asymmetric", rounding="floor")),
        Case(f64[3], **_plain((0,), (6,), coordinates="asymmetric", rounding="ceil")),
        Case(f64[3], **_plain((0,), (6,), scales=(2.0,), rounding="round_prefer_ceil")),
        Case(f64[3], **_plain((0,), (6,), scales=(2.2,))),
        Case(i32[2, 6], **_plain((1,), (3,), rounding="round_prefer_ceil")),
        Case(bool_[2, 4], **_plain((0, 1), (3, 2), coordinates="asymmetric", rounding="floor")),
        Case(f64[4], **_plain((0,), (6,), coordinates="align_corners", rounding="ceil")),
        Case(
            f64[2, dim("h") + 1, 3],
            **_plain((1, 2), (2 * dim("h") + 1, 4), mode="linear"),
        ),
        Case(f64[dim("h") + 2], **_plain((0,), (5,), mode="linear", coordinates="align_corners")),
        Case(f64[1, 3, 2], **_plain((1,), (1,), mode="linear", coordinates="align_corners")),
        Case(f64[5], **_plain((0,), (8,), mode="linear", coordinates="asymmetric")),
        Case(f64[5], **_plain((0,), (7,), scales=(1.5,), mode="linear")),
        Case(f64[2, 4], **_plain((0, 1), (5, 3), mode="cubic")),
        Case(f64[5], **_plain((0,), (3,), scales=(0.7,), mode="cubic", cubic_coefficient=-0.5)),
        Case(f64[4], **_plain((0,), (7,), mode="cubic", coordinates="align_corners")),
        Case(f16[2, 3], **_plain((1,), (5,), mode="linear"), smooth=False),
        Case(f64[2, 3], **_plain((), ())),
    )
    rejects = (
        Reject(f32[2, 3], **_plain((2,), (3,)), message="axis 2 is out of range for rank 2"),
        Reject(f32[2, 3], **_plain((1,), (3, 4)), message="2 sizes and 0 scales for 1 axes"),
        Reject(f32[2, 3], **_plain((1,), (0,)), message="axis 1 can't be resized to 0"),
        Reject(f32[2, 0], **_plain((1,), (3,)), message="axis 1 is empty: there is nothing to"),
        Reject(f32[2], **_plain((0,), (3,), mode="area"), message="mode is one of nearest, linear"),
        Reject(f32[2], **_plain((0,), (3,), coordinates="corners"), message="coordinates is one"),
        Reject(f32[2], **_plain((0,), (3,), rounding="up"), message="rounding is one of round_pr"),
        Reject(f32[2], **_plain((0,), (3,), scales=(0.0,)), message="a scale must be larger than"),
        Reject(i32[2], **_plain((0,), (3,), mode="linear"), message="needs a floating input, got"),
    )


def _limited(places: Tensor, size: Size) -> Tensor:
    """Coordinates as indices into an axis of `size`."""
    return maximum(minimum(cast(places, int64), size - 1), 0)


def _times(x: Tensor, weights: Tensor, axis: int) -> Tensor:
    """The products of rows along `axis` with a matrix [before, after]."""
    if axis == x.ndim - 2:
        return matmul(matrix_transpose(weights), x)
    return moveaxis(matmul(moveaxis(x, axis, -1), weights), -1, axis)


@builder
def resize(
    x: TensorLike,
    sizes: ShapeLike | None = None,
    scale: float | Sequence[float] | None = None,
    axes: Sequence[int] | None = None,
    mode: Mode = "nearest",
    coordinates: Coordinates = "half_pixel",
    rounding: Rounding = "round_prefer_floor",
    cubic_coefficient: float = -0.75,
) -> Tensor:
    """`x` with `axes` brought to other sizes, its elements interpolated; see `Resize`.

    sizes:             those of the result, one for each of the axes
    scale:             instead of sizes: a factor for all axes or one for each; an axis gets the
                       size ⌊size · scale⌋, and the scale is that of the coordinates
    axes:              the spatial ones, all but the first two, unless given
    mode:              "nearest", "linear" or "cubic"
    coordinates:       "half_pixel", "align_corners" or "asymmetric"
    rounding:          of the nearest: "round_prefer_floor", "round_prefer_ceil", "floor" or "ceil"
    cubic_coefficient: a of the cubic kernel: -3/4, or -1/2 for an error of the third order

    What PyTorch's `interpolate` calls nearest is nearest with asymmetric and floor, nearest-exact
    with round_prefer_ceil; its linear and cubic modes have the names that they have here.
    Raises AttributeValueError unless there is one of sizes and scale, and for numbers or names
    that are none of these; ShapeError for an empty axis; DTypeError for integers in the modes that
    compute.
    """
    tensor = as_tensor(x)
    places = normalize_axes(range(2, tensor.ndim) if axes is None else axes, tensor.ndim)
    if (sizes is None) == (scale is None):
        raise AttributeValueError("give either sizes or a scale")
    before = [tensor.shape[axis] for axis in places]
    scales: tuple[float, ...] = ()
    if scale is not None:
        given = scale if isinstance(scale, Sequence) else (scale,) * len(places)
        scales = tuple(map(_checked_scale, given))
        shape = tuple(map(_scaled, before, scales))
    else:
        shape = as_shape(sizes)  # type: ignore[arg-type]
    op = Resize(places, shape, scales, mode, coordinates, rounding, float(cubic_coefficient))
    return op(tensor)


def _checked_scale(scale: Any) -> float:
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise AttributeValueError(f"a scale is a number larger than 0 and finite, got {scale!r}")
    return float(scale)


def _scaled(size: Size, scale: float) -> Size:
    """⌊size · scale⌋, where the scale is meant as the simplest fraction that rounds to it."""
    simple = Fraction(scale).limit_denominator(10_000)
    if float(simple) == scale:
        return floordiv(size * simple.numerator, simple.denominator)
    if isinstance(size, Dim):
        raise AttributeValueError(
            f"the symbolic size {size} times {scale} is no size",
            hint="give a fraction of small numbers, or sizes",
        )
    return math.floor(size * scale)
