"""Indexing as in NumPy, `x[...]`: by integers, slices, new axes, arrays and masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Dim, Size
from graphwright.graph.dtype import is_boolean, is_integer, short_name, uint64
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.extremum import minimum
from graphwright.ops.gather import take
from graphwright.ops.gather_nd import GatherNd
from graphwright.ops.joining import stack
from graphwright.ops.movement import broadcast_to, expand_dims, squeeze, transpose
from graphwright.ops.shapes import broadcast, shape_text
from graphwright.ops.slicing import resolved, sliced

Indices: TypeAlias = "Tensor | NDArray[Any]"


@builder
def index(x: TensorLike, key: Any) -> Tensor:
    """x[key]: what `Tensor.__getitem__` does, with NumPy's meaning.

    key: integers and symbolic sizes, slices, `None` for a new axis, `...`, arrays and tensors of
         integers, boolean arrays (masks, whose values are known), or a tuple of these

    Slices count and are clamped as in Python; a symbolic bound is a position from the front,
    whatever number it turns out to be. Arrays broadcast against each other and choose together;
    their axes come where the first of them stands, or in front when a slice, `None` or `...` stands
    between them (or between them and an integer). A mask stands for the indices where it is True,
    one array for each of its axes.

    Raises AttributeValueError for other keys, ShapeError for too many indices, for sizes that don't
    fit and for an integer out of range; InputError or ShapeError when run, for what is out of range
    only then.
    """
    tensor = as_tensor(x)
    parts = _parts(key, tensor.shape)
    slices: list[tuple[Size, Size, int]] = []
    dropped: list[int] = []
    arrays: dict[int, Indices] = {}
    for item in parts:
        axis = len(slices)
        if isinstance(item, slice):
            slices.append(resolved(item, tensor.shape[axis]))
        elif isinstance(item, Tensor | np.ndarray):
            arrays[axis - len(dropped)] = item
            slices.append((0, tensor.shape[axis], 1))
        elif _chooses(item):
            dropped.append(axis)
            slices.append((_position(item, tensor.shape[axis], axis), 1, 1))
    result = sliced(tensor, slices)
    result = squeeze(result, dropped) if dropped else result
    in_front = bool(arrays) and not _adjacent(parts)
    if arrays:
        result = _chosen(result, arrays, in_front)
    count = result.ndim - sum(isinstance(item, slice) for item in parts)
    added = _new_axes(parts, count, in_front)
    return expand_dims(result, added) if added else result


def _parts(key: Any, shape: Shape) -> list[Any]:
    """The parts of a key, one for each axis and each new axis; masks as indices."""
    given = key if isinstance(key, tuple) else (key,)
    items = [_as_indices(i) if isinstance(i, Tensor | np.ndarray | list) else i for i in given]
    parts: list[Any] = []
    axis = 0
    for item in _completed(items, len(shape)):
        several = _checked_indices(item, shape, axis) if isinstance(item, np.ndarray) else [item]
        parts += several
        axis += len(several) if item is not None and item is not Ellipsis else 0
    return parts


def _completed(items: list[Any], rank: int) -> list[Any]:
    """The parts of a key, and a slice for each axis that they don't speak of."""
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    used = sum(
        item.ndim if _is_mask(item) else item is not None and item is not Ellipsis for item in items
    )
    if len(dots) > 1:
        raise AttributeValueError("an index can have only one ellipsis (...)")
    if used > rank:
        raise ShapeError(
            f"{used} indices for a tensor of rank {rank}",
            hint="one for each axis at most; None adds an axis, and a mask stands for several",
        )
    # The ellipsis stays: it stands between its neighbours even where it stands for no axes.
    place = dots[0] if dots else len(items)
    return items[: place + 1] + [slice(None)] * (rank - used) + items[place + 1 :]


def _chooses(item: Any) -> bool:
    """Whether a part of a key is an integer or an array."""
    return not (item is None or item is Ellipsis or isinstance(item, slice))


def _adjacent(parts: list[Any]) -> bool:
    """Whether nothing stands between the integers and the arrays of a key."""
    places = [i for i, item in enumerate(parts) if _chooses(item)]
    return places[-1] - places[0] == len(places) - 1


def _new_axes(parts: list[Any], count: int, in_front: bool) -> list[int]:
    """Where the new axes are, when arrays leave `count` axes in place of the first that chooses."""
    axes: list[int] = []
    before, left = (count, 0) if in_front else (0, count)
    for item in parts:
        if item is None:
            axes.append(before)
        if item is None or isinstance(item, slice):
            before += 1
        elif _chooses(item):
            before, left = before + left, 0
    return axes


def _position(item: Any, size: Size, axis: int) -> Size:
    """An integer index, counted from the front."""
    if isinstance(item, Dim):
        return item
    if isinstance(item, bool | np.bool_) or not isinstance(item, int | np.integer):
        raise AttributeValueError(
            f"{item!r} can't be an index",
            hint="use integers, slices, None, ..., and arrays or tensors of integers",
        )
    number = int(item)
    if isinstance(size, int) and not -size <= number < size:
        raise _out_of_range(number, axis, size)
    return number if number >= 0 else size + number


def _out_of_range(index: int, axis: int, size: int) -> ShapeError:
    return ShapeError(
        f"index {index} is out of range for axis {axis} of size {size}",
        hint=f"indices go from {-size} to {size - 1}" if size else "the axis is empty",
    )


def _as_indices(item: Tensor | NDArray[Any] | list[Any]) -> Indices:
    """An array in a key: integers, or a boolean mask whose values are known.

    Raises AttributeValueError for anything else.
    """
    if isinstance(item, list):
        try:
            item = np.asarray(item) if item else np.empty(0, np.int64)
        except (ValueError, TypeError):
            raise AttributeValueError(
                f"{item} can't be an index", hint="rows of indices must be equally long"
            ) from None
    if is_integer(item.dtype) or (_is_mask(item) and item.ndim):
        return item
    if is_boolean(item.dtype) and item.ndim:
        raise AttributeValueError(
            "a boolean tensor can't be an index: the size of the result would depend on values",
            hint="use gw.ops.where(mask, x, 0); or, where the number of True is known, "
            "x[gw.ops.nonzero(mask, size=number)]",
        )
    name = short_name(item.dtype) if is_boolean(item.dtype) else item.dtype
    raise AttributeValueError(f"an index is made of integers, got {name}")


def _is_mask(item: object) -> bool:
    """Whether this part of a key stands for several: where a boolean array is True."""
    return isinstance(item, np.ndarray) and item.dtype == bool


def _checked_indices(item: NDArray[Any], shape: Shape, axis: int) -> list[NDArray[Any]]:
    """The integer arrays, one for each axis from `axis` on, that known values stand for.

    Raises ShapeError for a mask of another shape, and for an integer out of range.
    """
    if _is_mask(item):
        within = shape[axis : axis + item.ndim]
        if item.shape != within:
            raise ShapeError(
                f"the mask has shape {shape_text(item.shape)}, where x has {shape_text(within)}",
                hint="a mask has the sizes of the axes that it stands for",
            )
        return list(item.nonzero())
    size = shape[axis]
    if isinstance(size, int):
        for wrong in item[(item < -size) | (item >= size)].flat:
            raise _out_of_range(wrong, axis, size)
    return [item]


def _chosen(x: Tensor, arrays: Mapping[int, Indices], in_front: bool) -> Tensor:
    """`x` at arrays of indices, broadcast against each other, for some of its axes.

    in_front: whether the axes of the arrays come first, rather than where the first axis was
    """
    axes = tuple(arrays)
    first = axes[0]
    if len(axes) == 1:
        indices = as_tensor(arrays[first])
        result, place = take(x, indices, first), first
    else:
        tuples = _tuples([*arrays.values()])
        others = (axis for axis in range(x.ndim) if axis not in arrays)
        result, place = GatherNd(0)(transpose(x, (*axes, *others)), tuples), 0
    count = result.ndim - x.ndim + len(axes)
    return _block_moved(result, count, place, 0 if in_front else first)


def _tuples(arrays: list[Indices]) -> Tensor:
    """The broadcast arrays, side by side along a new last axis."""
    known = [array for array in arrays if isinstance(array, np.ndarray)]
    shape = broadcast(*(array.shape for array in arrays))
    if len(known) == len(arrays):
        return as_tensor(np.stack(np.broadcast_arrays(*known), -1).astype(np.int64))
    return stack([broadcast_to(_int64(array), shape) for array in arrays], -1)


def _int64(indices: Indices) -> Tensor:
    tensor = as_tensor(indices)
    if tensor.dtype == uint64:  # what is too large stays so
        tensor = minimum(tensor, np.iinfo(np.int64).max)
    return tensor.astype(np.int64)


def _block_moved(x: Tensor, count: int, source: int, destination: int) -> Tensor:
    """`x` with `count` neighbouring axes moved together; the others keep their order."""
    block = range(source, source + count)
    others = [axis for axis in range(x.ndim) if axis not in block]
    return transpose(x, (*others[:destination], *block, *others[destination:]))
