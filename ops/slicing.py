"""Elements by position: slices, the other way round, moved along."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Dim, Size, ceildiv, dim, evaluate, minimum, positive
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.placement import Placement
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, f32, f64, i32
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.movement import reshape
from graphwright.ops.shapes import (
    ShapeLike,
    as_shape,
    behind,
    check_axes,
    check_sizes,
    normalize_axis,
    shape_text,
)

# `slice` here is the tensors' function; Python's own is `builtins.slice`.

Bound: TypeAlias = "Size | None"


@register
class Slice(Operator):
    """Every `steps`-th element from `starts` on, `sizes` of them; one number of each per axis.

    out[i, ...] = x[start + i·step, ...]; a step may be negative
    The gradient goes to the places that were read; the others get 0.
    """

    name = "slice"
    view = "strided"

    starts: tuple[Size, ...]
    sizes: tuple[Size, ...]
    steps: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        _check_slices(x.shape, self.starts, self.sizes, self.steps)
        return x.with_shape(self.sizes)

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        slices = _numpy_slices(x.shape, self.starts, self.sizes, self.steps)
        return x[slices] if slices else x

    def placed(self, place: Placement, x: TensorType, out: TensorType) -> Placement:
        offset, strides = place
        for start, stride in zip(self.starts, strides, strict=True):
            offset = offset + start * stride
        steps = (step * stride for step, stride in zip(self.steps, strides, strict=True))
        return Placement(offset, tuple(steps))

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return Unslice(x.shape, self.starts, self.steps)(g)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return Slice((0, *self.starts), (x.shape[0], *self.sizes), (1, *self.steps))(x)

    cases = (
        Case(f32[5], starts=(1,), sizes=(3,), steps=(1,)),
        Case(f64["n", 4], starts=(0, 3), sizes=(dim("n"), 2), steps=(1, -2)),
        Case(f32["n"], starts=(dim("n") - 1,), sizes=(dim("n"),), steps=(-1,)),
        Case(f64[6, 5], starts=(1, 0), sizes=(2, 2), steps=(3, 4)),
        Case(i32[3, 2], starts=(3, 0), sizes=(0, 2), steps=(1, 1)),
        Case(f64[()], starts=(), sizes=(), steps=()),
    )
    rejects = (
        Reject(f32[3], starts=(1,), sizes=(3,), steps=(1,), message="position 3 is outside axis 0"),
        Reject(
            f32[3], starts=(1,), sizes=(3,), steps=(-1,), message="position -1 is outside axis 0"
        ),
        Reject(
            f32[3], starts=(-1,), sizes=(1,), steps=(1,), message="position -1 is outside axis 0"
        ),
        Reject(f32[3], starts=(0,), sizes=(2,), steps=(0,), message="a step can't be 0"),
        Reject(f32[3], starts=(0,), sizes=(-2,), steps=(1,), message="a size can't be negative"),
        Reject(f32[3], starts=(), sizes=(), steps=(), message="rank 1 needs as many starts"),
    )


@register
class Unslice(Operator):
    """Zeros of `shape` with `x` in every `steps`-th place from `starts` on: slice, reversed.

    out[start + i·step, ...] = x[i, ...]
    The gradient is read from the places that were written.
    """

    name = "unslice"

    shape: Shape
    starts: tuple[Size, ...]
    steps: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        if len(self.shape) != x.rank:
            raise ShapeError(f"rank {x.rank} does not fit in shape {shape_text(self.shape)}")
        _check_slices(self.shape, self.starts, x.shape, self.steps)
        return x.with_shape(self.shape)

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        out = np.empty(evaluate(self.shape, {}), x.dtype)
        self.kernel_into(out, x)
        return out

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        out[...] = 0
        out[_numpy_slices(out.shape, self.starts, x.shape, self.steps)] = x

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return Slice(self.starts, x.shape, self.steps)(g)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return Unslice((x.shape[0], *self.shape), (0, *self.starts), (1, *self.steps))(x)

    cases = (
        Case(f32[3], shape=(7,), starts=(1,), steps=(2,)),
        Case(f64["n", 2], shape=(dim("n"), 4), starts=(dim("n") - 1, 0), steps=(-1, 3)),
        Case(i32[0, 2], shape=(3, 2), starts=(0, 0), steps=(1, 1)),
        Case(f64[()], shape=(), starts=(), steps=()),
    )
    rejects = (
        Reject(f32[3], shape=(5,), starts=(1,), steps=(2,), message="position 5 is outside axis 0"),
        Reject(f32[3], shape=(5, 5), starts=(0, 0), steps=(1, 1), message="rank 1 does not fit"),
    )


def _check_slices(
    shape: Shape, starts: tuple[Size, ...], sizes: tuple[Size, ...], steps: tuple[int, ...]
) -> None:
    """Raise unless the slices lie within `shape`, as far as the sizes are known."""
    if not len(shape) == len(starts) == len(sizes) == len(steps):
        raise AttributeValueError(f"rank {len(shape)} needs as many starts, sizes and steps")
    for axis, (size, start, length, step) in enumerate(
        zip(shape, starts, sizes, steps, strict=True)
    ):
        if not isinstance(step, int) or step == 0:
            raise AttributeValueError(f"a step can't be {step}", hint="a number other than 0")
        check_sizes((length,))
        if length == 0 or isinstance(start, Dim) or isinstance(length, Dim):
            continue
        for position in (start, start + (length - 1) * step):
            if position < 0 or (isinstance(size, int) and position >= size):
                raise ShapeError(f"position {position} is outside axis {axis} of size {size}")


def _numpy_slices(
    shape: tuple[int, ...], starts: Sequence[Any], sizes: Sequence[Any], steps: Sequence[int]
) -> tuple[builtins.slice, ...]:
    """The same slices in NumPy's terms, now that the sizes are known."""
    _check_slices(shape, tuple(starts), tuple(sizes), tuple(steps))
    slices = []
    for start, size, step in zip(starts, sizes, steps, strict=True):
        stop = start + size * step
        if not size:
            start = stop = 0
        slices.append(builtins.slice(start, stop if stop >= 0 else None, step))
    return tuple(slices)


@builder
def unslice(
    x: TensorLike, shape: ShapeLike, starts: Sequence[Size], steps: Sequence[int]
) -> Tensor:
    """Zeros of `shape` with `x` in every `steps`-th place from `starts` on; see `Unslice`."""
    return Unslice(as_shape(shape), tuple(starts), tuple(steps))(as_tensor(x))


@builder
def slice(
    x: TensorLike,
    starts: Sequence[Bound],
    stops: Sequence[Bound],
    steps: Sequence[int] | None = None,
) -> Tensor:
    """x[start:stop:step] along the first axes: bounds count and are clamped as in Python.

    starts, stops: one for each sliced axis: numbers, sizes, or None for the end; a symbolic size
                   is a position from the front, whatever number it turns out to be
    steps:         1 unless given; not 0
    Raises AttributeValueError for a step of 0, and when there are not as many of each.
    """
    tensor = as_tensor(x)
    count = len(starts)
    strides = (1,) * count if steps is None else steps
    if not count == len(stops) == len(strides) <= tensor.ndim:
        raise AttributeValueError(
            f"{count} starts, {len(stops)} stops and {len(strides)} steps for rank {tensor.ndim}",
            hint="one of each for every sliced axis",
        )
    keys = [builtins.slice(*key) for key in zip(starts, stops, strides, strict=True)]
    return sliced(tensor, [resolved(key, n) for key, n in zip(keys, tensor.shape, strict=False)])


@register
class Roll(Operator):
    """Elements moved along axes by so many places; those that leave at one end enter at the other.

    out[..., i, ...] = x[..., (i - shift) mod size, ...] (NumPy)
    The gradient is rolled back.
    """

    name = "roll"

    shifts: tuple[Size, ...]
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        check_axes(self.axes, x.rank)
        if len(self.shifts) != len(self.axes):
            raise AttributeValueError(f"{len(self.shifts)} shifts for {len(self.axes)} axes")
        return x

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return np.roll(x, evaluate(self.shifts, {}), self.axes)

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return Roll(tuple(-shift for shift in self.shifts), self.axes)(g)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return Roll(self.shifts, behind(self.axes))(x)

    cases = (
        Case(f32["n", 3], shifts=(1,), axes=(0,)),
        Case(f64[2, 3], shifts=(-1, 4), axes=(0, 1)),
        Case(f64["n", 2], shifts=(dim("n") - 2,), axes=(0,)),
        Case(i32[2, 3], shifts=(), axes=()),
    )
    rejects = (
        Reject(f32[2], shifts=(1,), axes=(1,), message="axis 1 is out of range for rank 1"),
        Reject(f32[2], shifts=(1, 2), axes=(0,), message="2 shifts for 1 axes"),
    )


@builder
def roll(
    x: TensorLike, shift: Size | Sequence[Size], axis: int | Sequence[int] | None = None
) -> Tensor:
    """`x` with its elements moved by `shift` places along `axis`, from the end to the front again.

    shift: one number for all axes, or one for each
    axis:  one, several, or None for the flattened `x`

    Raises AttributeValueError when there are not as many shifts as axes.
    """
    tensor = as_tensor(x)
    if axis is None:
        return reshape(roll(reshape(tensor, (-1,)), shift, 0), tensor.shape)
    given = axis if isinstance(axis, Sequence) else (axis,)
    places = [normalize_axis(item, tensor.ndim) for item in given]
    shifts = (shift,) * len(places) if isinstance(shift, int | Dim) else tuple(shift)
    if len(shifts) != len(places):
        raise AttributeValueError(f"{len(shifts)} shifts for {len(places)} axes")
    total: dict[int, Size] = {}
    for place, each in zip(places, shifts, strict=True):
        total[place] = total.get(place, 0) + each
    axes = tuple(sorted(total))
    return Roll(tuple(total[place] for place in axes), axes)(tensor)


@builder
def flip(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """`x` with the order of its elements reversed along `axis` (one, several, or None for all)."""
    tensor = as_tensor(x)
    given = range(tensor.ndim) if axis is None else axis if isinstance(axis, Sequence) else (axis,)
    axes = {normalize_axis(item, tensor.ndim) for item in given}
    backwards = builtins.slice(None, None, -1)
    return sliced(
        tensor,
        [
            resolved(backwards if i in axes else builtins.slice(None), size)
            for i, size in enumerate(tensor.shape)
        ],
    )


def sliced(x: Tensor, slices: list[tuple[Size, Size, int]]) -> Tensor:
    """`x` by (start, size, step) along its first axes; `x` itself when that is all of it."""
    parts = [(0, 0, 1) if n == 0 else (i, n, 1 if n == 1 else k) for i, n, k in slices]
    parts += [(0, size, 1) for size in x.shape[len(parts) :]]
    if parts == [(0, size, 1) for size in x.shape]:
        return x
    starts, sizes, steps = zip(*parts, strict=True)
    return Slice(starts, sizes, steps)(x)


def resolved(key: builtins.slice, size: Size) -> tuple[Size, Size, int]:
    """(start, length, step) of a Python slice along an axis of this size.

    With symbolic sizes the length is right, and the start too where the length is not 0.
    """
    step = 1 if key.step is None else _whole(key.step, "step")
    start, stop = _whole(key.start, "bound"), _whole(key.stop, "bound")
    if isinstance(step, Dim) or step == 0:
        raise AttributeValueError(f"the step of a slice must be a number other than 0, got {step}")
    if isinstance(size, int) and not isinstance(start, Dim) and not isinstance(stop, Dim):
        positions = range(*builtins.slice(start, stop, step).indices(size))
        return (positions.start if positions else 0), len(positions), step
    if step > 0:
        low = 0 if start is None else _from_front(start, size)
        high = size if stop is None else _from_front(stop, size)
        first = positive(low)
        if isinstance(low, int) and low < step and high == size:
            return first, ceildiv(size - first, step), step  # can't be negative, even for size 0
    else:
        low = 0 if stop is None else _from_front(stop, size) + 1
        high = size if start is None else _from_front(start, size) + 1
        first = minimum(high, size) - 1
    return first, ceildiv(_count_between(low, high, size), abs(step)), step


def _whole(bound: Any, what: str) -> Any:
    if bound is None or isinstance(bound, Dim):
        return bound
    if isinstance(bound, bool) or not isinstance(bound, int | np.integer):
        raise AttributeValueError(f"the {what} of a slice must be a whole number, got {bound!r}")
    return int(bound)


def _from_front(bound: Size, size: Size) -> Size:
    return size + bound if isinstance(bound, int) and bound < 0 else bound


def _count_between(low: Size, high: Size, size: Size) -> Size:
    """How many whole numbers lie in [low, high) and in [0, size).

    Equal counts are to look equal, however the slice was put: x[:-2], x[1:-1] and x[2:] agree.
    """
    span = high - low
    if positive(span) == span:
        return _count_from(low, size) - _count_from(high, size)
    return positive(minimum(high, size) - positive(low))


def _count_from(low: Size, size: Size) -> Size:
    """How many whole numbers lie in [low, size), from 0 on."""
    span = size - low
    if isinstance(span, int):  # of the last few, none may be before the front
        return size - positive(low) if span > 0 else 0
    return positive(size - positive(low))
