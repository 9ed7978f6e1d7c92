"""What operators that choose and move elements mean: see `structural_definitions` for the form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from support.structural_definitions import Index, broadcast_to, built, item

# Indices.


def places(x: np.ndarray, indices: np.ndarray, batch_dims: int) -> dict[Index, Index]:
    """For each tuple of indices, by where it stands, the place in `x` that it names."""
    found: dict[Index, Index] = {}
    for where in np.ndindex(*indices.shape[:-1]):
        place = where[:batch_dims]
        for j in range(indices.shape[-1]):
            place += (item(indices, (*where, j)) % x.shape[len(place)],)
        found[where] = place
    return found


def gather_nd(x: np.ndarray, indices: np.ndarray, batch_dims: int) -> np.ndarray:
    lead, depth = indices.shape[:-1], indices.shape[-1]
    chosen = places(x, indices, batch_dims)
    shape = (*lead, *x.shape[batch_dims + depth :])
    return built(
        shape, lambda index: item(x, (*chosen[index[: len(lead)]], *index[len(lead) :])), x.dtype
    )


def scatter_nd(
    x: np.ndarray, indices: np.ndarray, updates: np.ndarray, batch_dims: int, mode: str
) -> np.ndarray:
    out = built(x.shape, lambda index: item(x, index), x.dtype)
    chosen = places(x, indices, batch_dims)
    lead = indices.ndim - 1
    for index in np.ndindex(*updates.shape):
        place = (*chosen[index[:lead]], *index[lead:])
        out[place] = UPDATED[mode](item(out, place), item(updates, index))
    return out


UPDATED: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda old, new: new,
    "add": lambda old, new: old + new,
    "mul": lambda old, new: old * new,
    "max": lambda old, new: old if old > new or old != old else new,
    "min": lambda old, new: old if old < new or old != old else new,
}


def nonzero(x: np.ndarray, size: int, fill: int) -> tuple[np.ndarray, ...]:
    found = [index for index in np.ndindex(*x.shape) if item(x, index) != 0][:size]
    found += [(fill,) * x.ndim] * (size - len(found))
    return tuple(np.array([index[axis] for index in found], int) for axis in range(x.ndim))


def isin(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    return built(x.shape, lambda i: any(item(x, i) == v for v in values.reshape(-1).tolist()))


def take_along_axis(x: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    pairs = list(enumerate(zip(x.shape, indices.shape, strict=True)))
    shape = tuple(j if i == axis else max(n, j) if n and j else 0 for i, (n, j) in pairs)

    def element(index: Index) -> Any:
        chosen = item(indices, first_of_one(index, indices.shape)) % x.shape[axis]
        return item(x, first_of_one((*index[:axis], chosen, *index[axis + 1 :]), x.shape))

    return built(shape, element)


def first_of_one(index: Index, shape: Index) -> Index:
    """The index where axes of size 1 are repeated."""
    return tuple(0 if n == 1 else i for i, n in zip(index, shape, strict=True))


def put_along_axis(
    x: np.ndarray, indices: np.ndarray, values: np.ndarray, axis: int, mode: str
) -> np.ndarray:
    out = built(x.shape, lambda index: item(x, index))
    for index in np.ndindex(*values.shape):
        chosen = item(indices, first_of_one(index, indices.shape)) % x.shape[axis]
        place = (*index[:axis], chosen, *index[axis + 1 :])
        out[place] = UPDATED[mode](out[place], item(values, index))
    return out


def scatter(
    x: np.ndarray, indices: np.ndarray, updates: np.ndarray, axis: int, mode: str
) -> np.ndarray:
    out = built(x.shape, lambda index: item(x, index))
    for index in np.ndindex(*updates.shape):
        chosen = item(indices, index[axis : axis + indices.ndim]) % x.shape[axis]
        place = (*index[:axis], chosen, *index[axis + indices.ndim :])
        out[place] = UPDATED[mode](out[place], item(updates, index))
    return out


# Repetition.


def tile(x: np.ndarray, repeats: Index) -> np.ndarray:
    shape = tuple(n * count for n, count in zip(x.shape, repeats, strict=True))
    return built(shape, lambda i: item(x, tuple(j % n for j, n in zip(i, x.shape, strict=True))))


def copies(x: np.ndarray, sources: list[int], axis: int) -> np.ndarray:
    """The elements at these places along an axis, one after another."""
    shape = (*x.shape[:axis], len(sources), *x.shape[axis + 1 :])
    return built(shape, lambda i: item(x, (*i[:axis], sources[i[axis]], *i[axis + 1 :])))


def repeat(x: np.ndarray, repeats: int, axis: int) -> np.ndarray:
    return copies(x, [i for i in range(x.shape[axis]) for _ in range(repeats)], axis)


def repeat_each(x: np.ndarray, counts: np.ndarray, axis: int, total: int) -> np.ndarray:
    sources = [i for i, count in enumerate(counts.tolist()) for _ in range(count)]
    sources += [x.shape[axis] - 1] * (total - len(sources))
    return copies(x, sources[:total], axis)


def roll(x: np.ndarray, shifts: Index, axes: Index) -> np.ndarray:
    def element(index: Index) -> Any:
        source = list(index)
        for shift, axis in zip(shifts, axes, strict=True):
            source[axis] = (source[axis] - shift) % x.shape[axis]
        return item(x, tuple(source))

    return built(x.shape, element)


def extend(x: np.ndarray, widths: tuple[Index, ...], mode: str) -> np.ndarray:
    shape = tuple(a + n + b for n, (a, b) in zip(x.shape, widths, strict=True))

    def element(index: Index) -> Any:
        triples = zip(index, widths, x.shape, strict=True)
        return item(x, tuple(source(i - before, n, mode) for i, (before, _), n in triples))

    return built(shape, element)


def source(place: int, size: int, mode: str) -> int:
    """Walk from the first element to `place`, and say where in the axis one is then."""
    at, step = 0, 1 if place > 0 else -1
    for _ in range(abs(place)):
        inside = 0 <= at + step < size
        if mode == "wrap":
            at = (at + step) % size
        elif inside:
            at += step
        elif mode == "reflect" and size > 1:
            step = -step
            at += step
        elif mode == "symmetric":
            step = -step
    return at


def linspace(start: np.ndarray, stop: np.ndarray, size: int, endpoint: bool) -> np.ndarray:
    shape = np.broadcast_shapes(start.shape, stop.shape)
    low, high = broadcast_to(start, shape), broadcast_to(stop, shape)
    parts = max(size - 1, 1) if endpoint else size

    def element(index: Index) -> float:
        i, *rest = index
        a, b = low[tuple(rest)], high[tuple(rest)]
        return math.fsum([a, i * b / parts, -i * a / parts])

    return built((size, *shape), element)


# Blocks of pixels.


def space_to_depth(x: np.ndarray, block: int) -> np.ndarray:
    batch, channels, height, width = x.shape
    out = np.empty((batch, channels * block**2, height // block, width // block), object)
    for n, c, row, column in np.ndindex(*x.shape):
        (i, y), (j, z) = (row % block, row // block), (column % block, column // block)
        out[n, (i * block + j) * channels + c, y, z] = item(x, (n, c, row, column))
    return out


def depth_to_space(x: np.ndarray, block: int, mode: str) -> np.ndarray:
    batch, depth, height, width = x.shape
    channels = depth // block**2
    out = np.empty((batch, channels, height * block, width * block), object)
    for n, c, row, column in np.ndindex(*out.shape):
        pixel = row % block * block + column % block
        source = pixel * channels + c if mode == "DCR" else c * block**2 + pixel
        out[n, c, row, column] = item(x, (n, source, row // block, column // block))
    return out


# Triangles and diagonals.


def triangle(kept: Callable[[int, int], bool]) -> Callable[..., np.ndarray]:
    """The elements of matrices where `kept(k, j - i)`; the others 0."""

    def define(x: np.ndarray, k: int) -> np.ndarray:
        return built(x.shape, lambda i: item(x, i) if kept(k, i[-1] - i[-2]) else 0)

    return define


def diagonal(x: np.ndarray, offset: int, axis1: int, axis2: int) -> np.ndarray:
    rest = [axis for axis in range(x.ndim) if axis not in (axis1, axis2)]
    matrices = x.transpose(*rest, axis1, axis2)
    rows, columns = matrices.shape[-2:]
    places = [(i, j) for i in range(rows) for j in range(columns) if j - i == offset]
    shape = (*matrices.shape[:-2], len(places))
    return built(shape, lambda i: item(matrices, (*i[:-1], *places[i[-1]])))


def diag_embed(x: np.ndarray, offset: int) -> np.ndarray:
    size = x.shape[-1] + abs(offset)
    out = built((*x.shape[:-1], size, size), lambda i: 0)
    for index in np.ndindex(*x.shape):
        row = index[-1] if offset >= 0 else index[-1] - offset
        out[(*index[:-1], row, row + offset)] = item(x, index)
    return out


definitions: dict[str, Callable[..., Any]] = {
    "depth_to_space": depth_to_space,
    "diag_embed": diag_embed,
    "diagonal": diagonal,
    "extend": extend,
    "gather_nd": gather_nd,
    "isin": isin,
    "linspace": linspace,
    "nonzero": nonzero,
    "put_along_axis": put_along_axis,
    "repeat": repeat,
    "repeat_each": repeat_each,
    "roll": roll,
    "scatter": scatter,
    "scatter_nd": scatter_nd,
    "space_to_depth": space_to_depth,
    "take_along_axis": take_along_axis,
    "tile": tile,
    "tril": triangle(lambda k, right: right <= k),
    "triu": triangle(lambda k, right: right >= k),
}
