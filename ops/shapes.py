"""Shape arithmetic that operators share: broadcasting and axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TypeAlias

import numpy as np

from graphwright.graph.dim import Dim, Size, dim
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.tensor import Axis, Tensor
from graphwright.graph.types import Shape
from graphwright.ops.arguments import shown

ShapeLike: TypeAlias = "Size | str | Sequence[Size | str]"


def broadcast(*shapes: Shape) -> Shape:
    """NumPy's broadcast shape. A symbolic size fits itself and 1, nothing else.

    Raises ShapeError, saying which sizes differ.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Size] = []
    for position in range(-rank, 0):
        size: Size = 1
        for shape in shapes:
            other = shape[position] if len(shape) >= -position else 1
            if other == 1 or other == size:
                continue
            if size != 1:
                raise _mismatch(size, other, position, shapes)
            size = other
        result.append(size)
    return tuple(result)


def _mismatch(size: Size, other: Size, axis: int, shapes: Sequence[Shape]) -> ShapeError:
    listed = " and ".join(shape_text(shape) for shape in shapes)
    if isinstance(size, Dim) or isinstance(other, Dim):
        hint = "sizes that are not known must be the same expression; reshape or broadcast_to first"
    else:
        hint = "sizes broadcast when they are equal or one of them is 1"
    return ShapeError(f"shapes {listed} differ: {size} != {other} on axis {axis}", hint=hint)


def as_shape(shape: ShapeLike) -> Shape:
    """`shape` as a tuple of sizes; a name stands for `gw.dim(name)`, one size for a shape of one.

    Raises ShapeError for what is no size or no shape, AttributeValueError for what is no name.
    """
    if isinstance(shape, str | int | np.integer | Dim):
        return (as_size(shape),)
    if not isinstance(shape, Iterable) or isinstance(shape, Tensor | Set | Mapping | bytes):
        raise ShapeError(f"{shown(shape)} is not a shape", hint="a size, or a tuple of sizes")
    return tuple(map(as_size, shape))


def as_size(size: object) -> Size:
    """`size` as a number or a Dim; a name stands for `gw.dim(name)`.

    Raises ShapeError for what is no size, AttributeValueError for what is no name.
    """
    if isinstance(size, str):
        return dim(size)
    if isinstance(size, bool) or not isinstance(size, int | np.integer | Dim):
        raise ShapeError(
            f"{shown(size)} is not a size", hint='a number, a name such as "batch", or a gw.dim'
        )
    return size if isinstance(size, Dim) else int(size)


def check_sizes(sizes: Sequence[Size]) -> None:
    """For `infer`: raise ShapeError when a size is known to be negative."""
    for size in sizes:
        if isinstance(size, int) and size < 0:
            raise ShapeError(f"a size can't be negative, got {size}")


def shape_text(shape: Shape) -> str:
    """`[batch,784]`, as in types."""
    return f"[{','.join(map(str, shape))}]"


def normalize_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front. Raises AttributeValueError when out of range."""
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise AttributeValueError(
            f"an axis is a whole number, got {shown(axis)}", hint="0 is the first, -1 the last"
        )
    if not -rank <= axis < rank:
        allowed = f"from {-rank} to {rank - 1}" if rank else "none: the rank is 0"
        raise AttributeValueError(
            f"axis {axis} is out of range for rank {rank}", hint=f"axes: {allowed}"
        )
    return int(axis) % rank


def check_axis(axis: int, rank: int) -> None:
    """For `infer`: raise AttributeValueError unless `axis` is counted from the front."""
    if normalize_axis(axis, rank) != axis:
        raise AttributeValueError(f"axis {axis} must be counted from the front")


def normalize_axes(axis: Axis, rank: int) -> tuple[int, ...]:
    """Sorted axes counted from the front; None means all.

    Raises AttributeValueError when one is out of range or named twice.
    """
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, Sequence) and not isinstance(axis, str) else (axis,)
    axes = sorted(normalize_axis(item, rank) for item in given)
    if len(set(axes)) != len(axes):
        raise AttributeValueError(f"an axis is named twice in {tuple(given)}")
    return tuple(axes)


def behind(axes: Sequence[int]) -> tuple[int, ...]:
    """The same axes where one more is in front."""
    return tuple(axis + 1 for axis in axes)


def check_axes(axes: tuple[int, ...], rank: int) -> None:
    """For `infer`: raise AttributeValueError unless `axes` is what `normalize_axes` gives."""
    if normalize_axes(axes, rank) != axes:
        raise AttributeValueError(f"axes {axes} must be sorted, from 0 to {rank - 1}")


def normalize_permutation(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """`axes` counted from the front. Raises AttributeValueError unless each occurs once."""
    order = tuple(normalize_axis(axis, rank) for axis in axes)
    if sorted(order) != list(range(rank)):
        raise AttributeValueError(
            f"axes {tuple(axes)} are no order of {rank} axes",
            hint=f"name each axis from 0 to {rank - 1} once" if rank else "the rank is 0",
        )
    return order


def inverse_permutation(order: Sequence[int]) -> tuple[int, ...]:
    """The order that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))
