"""Tensors with more elements around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Dim, Size, dim, evaluate
from graphwright.graph.dim import maximum as maximum_size
from graphwright.graph.dtype import int64, is_boolean, is_floating, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.arguments import AnyFloat, shown
from graphwright.ops.arithmetic import remainder
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32, u8
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.creation import Arange
from graphwright.ops.extremum import clip, minimum
from graphwright.ops.gather import take
from graphwright.ops.joining import concatenate
from graphwright.ops.movement import broadcast_to
from graphwright.ops.shapes import as_size
from graphwright.ops.slicing import Slice

Widths: TypeAlias = "Size | Sequence[Size] | Sequence[Sequence[Size]]"


@register
class Pad(Operator):
    """`x` with `widths` (before, after) more elements on each axis, all of them `value`.

    The gradient is that of the middle.
    """

    name = "pad"

    widths: tuple[tuple[Size, Size], ...]
    value: bool | int | float

    def infer(self, x: TensorType) -> TensorType:
        shape = _padded_shape(x.shape, self.widths)
        _check_fill(self.value, x)
        return x.with_shape(shape)

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        shape = self.infer(TensorType(x.dtype, x.shape)).shape
        out = np.empty(evaluate(shape, {}), x.dtype)
        self.kernel_into(out, x)
        return out

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        out[...] = self.value
        pairs = zip(self.widths, x.shape, strict=True)
        out[tuple(slice(before, before + size) for (before, _), size in pairs)] = x

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return Slice(tuple(before for before, _ in self.widths), x.shape, (1,) * x.ndim)(g)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return Pad(((0, 0), *self.widths), self.value)(x)

    cases = (
        Case(f32["n", 2], widths=((1, 2), (0, 3)), value=0.0),
        Case(f64[2], widths=((2, dim("n")),), value=-1.5),
        Case(i32[2, 1], widths=((0, 0), (1, 1)), value=7),
        Case(bool_[2], widths=((1, 0),), value=True),
        Case(f64[()], widths=(), value=0.0),
        Case(f64[0, 2], widths=((1, 1), (0, 0)), value=float("-inf")),
    )
    rejects = (
        Reject(f32[2], widths=((-1, 0),), value=0.0, message="a width can't be negative, got -1"),
        Reject(f32[2, 2], widths=((1, 0),), value=0.0, message="1 pairs of widths for rank 2"),
        Reject(i32[2], widths=((1, 0),), value=0.5, message="0.5 is no i32"),
        Reject(u8[2], widths=((1, 0),), value=-1, message="-1 is no u8"),
    )


def _padded_shape(shape: Shape, widths: tuple[tuple[Size, Size], ...]) -> Shape:
    """The shape with the widths added. Raises AttributeValueError for widths that are none."""
    if len(widths) != len(shape):
        raise AttributeValueError(
            f"{len(widths)} pairs of widths for rank {len(shape)}",
            hint="one pair (before, after) for each axis",
        )
    for width in (width for pair in widths for width in pair):
        if isinstance(width, int) and width < 0:
            raise AttributeValueError(
                f"a width can't be negative, got {width}", hint="cut with x[1:] instead"
            )
    pairs = zip(shape, widths, strict=True)
    return tuple(before + size + after for size, (before, after) in pairs)


def _check_fill(value: object, x: TensorType) -> None:
    """Raise unless `value` is a number of the kind and in the range of the dtype of `x`."""
    if is_boolean(x.dtype):
        fits = isinstance(value, bool)
    elif is_floating(x.dtype):
        fits = isinstance(value, int | float)
    else:
        limits = np.iinfo(x.dtype)
        fits = isinstance(value, int) and limits.min <= value <= limits.max
    if not fits:
        raise DTypeError(f"the value {value!r} is no {short_name(x.dtype)}")


@register
class Extend(Composite):
    """`x` with `widths` (before, after) more elements on each axis, taken from `x` itself.

    mode: "edge" for the element at the edge, a a|a b c d|d d;
          "reflect" for a mirror in the middle of that element, c b|a b c d|c b;
          "symmetric" for a mirror beside it, b a|a b c d|d c;
          "wrap" for the elements from the other end, c d|a b c d|a b (NumPy's names)

    Where a width is larger than the axis, this goes on to and fro. The gradient of each element is
    the sum of the gradients of its copies.
    """

    name = "extend"

    widths: tuple[tuple[Size, Size], ...]
    mode: Literal["edge", "reflect", "symmetric", "wrap"]

    def infer(self, x: TensorType) -> TensorType:
        if self.mode not in _SOURCES:
            raise AttributeValueError(
                f'the mode must be "edge", "reflect", "symmetric" or "wrap", got {self.mode!r}'
            )
        shape = _padded_shape(x.shape, self.widths)
        for axis, size in enumerate(x.shape):
            if size == 0 != shape[axis]:
                raise ShapeError(
                    f"axis {axis} is empty: it has no elements to take",
                    hint='pad it with a value, in the mode "constant"',
                )
        return x.with_shape(shape)

    def decompose(self, x: Tensor) -> Tensor:
        for axis, (before, after) in enumerate(self.widths):
            if (before, after) != (0, 0):
                x = self._along(x, axis, before, after)
        return x

    def _along(self, x: Tensor, axis: int, before: Size, after: Size) -> Tensor:
        size = x.shape[axis]
        if self.mode == "edge":
            first, last = _part(x, axis, 0, 1, 1), _part(x, axis, size - 1, 1, 1)
            shapes = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in (before, after)]
            sides = [broadcast_to(first, shapes[0]), broadcast_to(last, shapes[1])]
            return concatenate([sides[0], x, sides[1]], axis)
        widths = [before, after]
        least = 1 if self.mode == "reflect" else 0
        if all(isinstance(n, int) and isinstance(size, int) and n + least <= size for n in widths):
            return self._by_slices(x, axis, before, after)
        place = Arange(-before, 1, before + size + after, int64)()
        return take(x, _SOURCES[self.mode](place, size), axis)

    def _by_slices(self, x: Tensor, axis: int, before: Size, after: Size) -> Tensor:
        size = x.shape[axis]
        left, right, step = {
            "reflect": (before, size - 2, -1),
            "symmetric": (before - 1, size - 1, -1),
            "wrap": (size - before, 0, 1),
        }[self.mode]
        sides = _part(x, axis, left, before, step), _part(x, axis, right, after, step)
        return concatenate([sides[0], x, sides[1]], axis)

    cases = (
        Case(f32["n", 3], widths=((0, 0), (1, 2)), mode="edge"),
        Case(f64["n", 3], widths=((0, 0), (2, 1)), mode="reflect"),
        Case(f64["n", 2], widths=((0, 0), (2, 1)), mode="symmetric"),
        Case(f64["n", 3], widths=((0, 0), (0, 2)), mode="wrap"),
        Case(f64[dim("n") + 1, 2], widths=((5, 1), (1, 0)), mode="edge"),
        Case(f64[dim("n") + 1, 2], widths=((5, 1), (1, 0)), mode="reflect"),
        Case(f64[dim("n") + 1, 2], widths=((5, 1), (1, 0)), mode="symmetric"),
        Case(f64[dim("n") + 1, 2], widths=((5, 1), (1, 0)), mode="wrap"),
        Case(f64[1, 2], widths=((2, 1), (5, 7)), mode="reflect"),
        Case(i32[2, 1], widths=((0, 0), (1, 1)), mode="wrap"),
        Case(bool_[0, 2], widths=((0, 0), (1, 1)), mode="edge"),
        Case(f64[()], widths=(), mode="edge"),
    )
    rejects = (
        Reject(f32[2], widths=((-1, 0),), mode="edge", message="a width can't be negative, got -1"),
        Reject(f32[2, 2], widths=((1, 0),), mode="edge", message="1 pairs of widths for rank 2"),
        Reject(f32[0], widths=((1, 0),), mode="wrap", message="axis 0 is empty"),
        Reject(f32[2], widths=((1, 0),), mode="mirror", message='the mode must be "edge"'),
    )


def _reflected(place: Tensor, size: Size) -> Tensor:
    period = 2 * size - 2
    around = remainder(place, maximum_size(period, 1))
    return minimum(around, period - around)


def _mirrored(place: Tensor, size: Size) -> Tensor:
    around = remainder(place, 2 * size)
    return minimum(around, 2 * size - 1 - around)


_SOURCES: dict[str, Callable[[Tensor, Size], Tensor]] = {
    "edge": lambda place, size: clip(place, 0, size - 1),
    "reflect": _reflected,
    "symmetric": _mirrored,
    "wrap": remainder,
}
"""For each place along the axis, counted from the first element, where its element comes from."""


def _part(x: Tensor, axis: int, start: Size, size: Size, step: int) -> Tensor:
    """`size` elements along an axis, from `start` on."""
    before, after = (0,) * axis, (0,) * (x.ndim - axis - 1)
    sizes = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    steps = (1,) * axis + (step,) + (1,) * (x.ndim - axis - 1)
    return Slice((*before, 0 if size == 0 else start, *after), sizes, steps)(x)


@builder
def extend(
    x: TensorLike, widths: Widths, mode: Literal["edge", "reflect", "symmetric", "wrap"]
) -> Tensor:
    """`x` with more elements around it, taken from `x` itself; see `Extend`.

    widths: (before, after) for each axis, or one pair for all axes, or one number for all sides
    """
    tensor = as_tensor(x)
    pairs = _pairs(widths, tensor.ndim)
    return Extend(pairs, mode)(tensor)


@builder
def pad(
    x: TensorLike,
    widths: Widths,
    mode: Literal["constant", "edge", "reflect", "symmetric", "wrap"] = "constant",
    value: bool | int | AnyFloat = 0,
) -> Tensor:
    """`x` with more elements around it, all of them `value`, or taken from `x` itself.

    widths: (before, after) for each axis, or one pair for all axes, or one number for all sides
    mode:   "constant"; or "edge", "reflect", "symmetric" or "wrap", for which see `Extend`
    """
    if mode != "constant":
        if value != 0:
            raise AttributeValueError(f'a value goes with the mode "constant", not {mode!r}')
        return extend(x, widths, mode)
    tensor = as_tensor(x)
    pairs = _pairs(widths, tensor.ndim)
    kind = bool if is_boolean(tensor.dtype) else float if is_floating(tensor.dtype) else None
    number = value if kind is None or isinstance(value, float) else kind(value)
    if all(width == 0 for pair in pairs for width in pair) and len(pairs) == tensor.ndim:
        return tensor
    return Pad(pairs, number)(tensor)


def _pairs(widths: Widths, rank: int) -> tuple[tuple[Size, Size], ...]:
    """The widths (before, after) of each axis."""
    given: Any = widths.tolist() if isinstance(widths, np.ndarray | np.generic) else widths
    pairs: Any = (given, given) if isinstance(given, int | Dim) else given
    if _is_list(pairs) and pairs and not _is_list(pairs[0]):
        pairs = (pairs,) * rank
    if not _is_list(pairs) or not all(_is_list(pair) and len(pair) == 2 for pair in pairs):
        raise AttributeValueError(
            f"widths are pairs (before, after), one for each axis, got {shown(widths)}",
            hint=f"such as {((1, 1),) * rank}; or one pair, or one number, for all axes",
        )
    return tuple((as_size(before), as_size(after)) for before, after in pairs)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
