"""What operators that look at more than one index mean, by naive loops and published values.

Each definition takes the input arrays (floating ones in float64, whatever the dtype of the case)
and the operator's attributes by name, with numbers for symbolic sizes; it gives the output (an
array or anything NumPy makes one of), or a tuple of them. It is rounded to the dtype afterwards.
Arrays serve as storage only: elements are read, computed as Python's own numbers, and written.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

Index = tuple[int, ...]
inf, nan = math.inf, math.nan


def built(shape: Index, element: Callable[[Index], Any], dtype: Any = object) -> np.ndarray:
    """The array of `shape` whose element at each index is `element(index)`."""
    out = np.empty(shape, dtype)
    for index in np.ndindex(*shape):
        out[index] = element(index)
    return out


def item(x: np.ndarray, index: Index) -> Any:
    return x[index].item()


# Reductions.


def folded(x: np.ndarray, axes: Index, keepdims: bool, fold: Callable[[list], Any]) -> np.ndarray:
    """`fold` of each list of elements that differ in `axes` alone."""
    groups: dict[Index, list] = {}
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    for index in np.ndindex(*shape):
        groups[index] = []
    for index in np.ndindex(*x.shape):
        groups[tuple(0 if i in axes else k for i, k in enumerate(index))].append(item(x, index))
    out = built(shape, lambda index: fold(groups[index]))
    return out if keepdims else out.reshape([n for i, n in enumerate(shape) if i not in axes])


def reduction(fold: Callable[..., Any]) -> Callable[..., np.ndarray]:
    def define(x: np.ndarray, axes: Index, keepdims: bool, **attributes: Any) -> np.ndarray:
        return folded(x, axes, keepdims, lambda values: fold(values, **attributes))

    return define


def total(values: list) -> Any:
    if all(isinstance(v, float) and math.isfinite(v) for v in values):
        return math.fsum(values)
    result = 0
    for value in values:
        result += value
    return result


def largest(values: list) -> Any:
    best = values[0]
    for value in values:
        best = value if value > best or value != value else best
        if best != best:
            return best
    return best


def smallest(values: list) -> Any:
    return -largest([-v for v in values]) if not isinstance(values[0], bool) else all(values)


def first_at(best: Callable[[list], Any]) -> Callable[[list], int]:
    def position(values: list) -> int:
        wanted = best(values)
        return next(i for i, v in enumerate(values) if v == wanted or v != v)

    return position


def mean(values: list) -> float:
    return total([float(v) for v in values]) / len(values) if values else nan


def variance(values: list, correction: float) -> float:
    """By the differences of all pairs: Σ (xᵢ - xⱼ)² over i < j, divided by the count."""
    count = len(values)
    pairs = [(a - b) ** 2 for i, a in enumerate(values) for b in values[:i]]
    if not count:
        return nan
    spread, divisor = total([float(p) for p in pairs]) / count, count - correction
    return spread / divisor if divisor > 0 else nan


def log_sum_exp(values: list) -> float:
    """By adding one element at a time: log(eᵃ + eᵇ) = max(a, b) + log(1 + e^-|a - b|)."""
    result = -inf
    for value in values:
        if value != value or result != result:
            return nan
        if inf in (value, result):
            result = inf
        elif -inf in (value, result):
            result = max(value, result)
        else:
            result = max(value, result) + math.log1p(math.exp(-abs(value - result)))
    return result


def product_of_others(x: np.ndarray) -> np.ndarray:
    def element(index: Index) -> float:
        *before, i = index
        return math.prod(item(x, (*before, j)) for j in range(x.shape[-1]) if j != i)

    return built(x.shape, element)


# Movement.


def reshape(x: np.ndarray, shape: Index) -> np.ndarray:
    elements = [item(x, index) for index in np.ndindex(*x.shape)]
    return built(shape, lambda index: elements[position(index, shape)])


def position(index: Index, shape: Index) -> int:
    """The place of an index in C order, by Horner's rule."""
    place = 0
    for i, n in zip(index, shape, strict=True):
        place = place * n + i
    return place


def transpose(x: np.ndarray, axes: Index) -> np.ndarray:
    def element(index: Index) -> Any:
        source = [0] * x.ndim
        for i, axis in zip(index, axes, strict=True):
            source[axis] = i
        return item(x, tuple(source))

    return built(tuple(x.shape[axis] for axis in axes), element)


def expand_dims(x: np.ndarray, axes: Index) -> np.ndarray:
    sizes = iter(x.shape)
    shape = tuple(1 if i in axes else next(sizes) for i in range(x.ndim + len(axes)))
    return built(shape, lambda index: item(x, without(index, axes)))


def squeeze(x: np.ndarray, axes: Index) -> np.ndarray:
    def element(index: Index) -> Any:
        rest = iter(index)
        return item(x, tuple(0 if i in axes else next(rest) for i in range(x.ndim)))

    return built(without(x.shape, axes), element)


def without(values: Index, axes: Index) -> Index:
    return tuple(value for i, value in enumerate(values) if i not in axes)


def broadcast_to(x: np.ndarray, shape: Index) -> np.ndarray:
    def element(index: Index) -> Any:
        tail = index[len(index) - x.ndim :]
        return item(x, tuple(0 if n == 1 else i for i, n in zip(tail, x.shape, strict=True)))

    return built(shape, element)


def slice_(x: np.ndarray, starts: Index, sizes: Index, steps: Index) -> np.ndarray:
    return built(sizes, lambda index: item(x, strided(index, starts, steps)))


def unslice(x: np.ndarray, shape: Index, starts: Index, steps: Index) -> np.ndarray:
    out = built(shape, lambda index: 0)
    for index in np.ndindex(*x.shape):
        out[strided(index, starts, steps)] = item(x, index)
    return out


def strided(index: Index, starts: Index, steps: Index) -> Index:
    return tuple(start + i * step for i, start, step in zip(index, starts, steps, strict=True))


def concatenate(*tensors: np.ndarray, axis: int) -> np.ndarray:
    offsets = list(accumulate((x.shape[axis] for x in tensors), initial=0))
    out = np.empty((*tensors[0].shape[:axis], offsets[-1], *tensors[0].shape[axis + 1 :]), object)
    for x, offset in zip(tensors, offsets, strict=False):
        for index in np.ndindex(*x.shape):
            out[(*index[:axis], index[axis] + offset, *index[axis + 1 :])] = item(x, index)
    return out


def split(x: np.ndarray, axis: int, sizes: Index) -> tuple[np.ndarray, ...]:
    def piece(offset: int, size: int) -> np.ndarray:
        shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        return built(
            shape, lambda k: item(x, (*k[:axis], k[axis] + offset, *k[axis + 1 :])), x.dtype
        )

    return tuple(piece(sum(sizes[:i]), size) for i, size in enumerate(sizes))


def pad(x: np.ndarray, widths: tuple[Index, ...], value: Any) -> np.ndarray:
    def element(index: Index) -> Any:
        inner = tuple(i - before for i, (before, _) in zip(index, widths, strict=True))
        inside = all(0 <= i < n for i, n in zip(inner, x.shape, strict=True))
        return item(x, inner) if inside else value

    shape = tuple(a + n + b for n, (a, b) in zip(x.shape, widths, strict=True))
    return built(shape, element)


# Indices.


def take(x: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])

    def element(index: Index) -> Any:
        inner = index[axis : axis + indices.ndim]
        chosen = item(indices, inner) % x.shape[axis]
        return item(x, (*index[:axis], chosen, *index[axis + indices.ndim :]))

    return built(shape, element)


def scatter_add(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, axis: int) -> np.ndarray:
    out = built(x.shape, lambda index: item(x, index))
    for index in np.ndindex(*updates.shape):
        place = item(indices, index[axis : axis + indices.ndim]) % x.shape[axis]
        out[(*index[:axis], place, *index[axis + indices.ndim :])] += item(updates, index)
    return out


def one_hot(indices: np.ndarray, depth: int, dtype: Any) -> np.ndarray:
    out = built((*indices.shape, depth), lambda index: 0)
    for index in np.ndindex(*indices.shape):
        if 0 <= item(indices, index) < depth:
            out[(*index, item(indices, index))] = 1
    return out


# Creation.


def arange(start: Any, step: Any, size: int, dtype: Any) -> list:
    values = [start] * min(size, 1)
    while len(values) < size:
        values.append(values[-1] + step)
    return values


# Products.


def matmul(lhs: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    batch = np.broadcast_shapes(lhs.shape[:-2], rhs.shape[:-2])
    left = broadcast_to(lhs, (*batch, *lhs.shape[-2:]))
    right = broadcast_to(rhs, (*batch, *rhs.shape[-2:]))

    def element(index: Index) -> Any:
        *outer, i, j = index
        inner = range(lhs.shape[-1])
        return total([left[(*outer, i, k)] * right[(*outer, k, j)] for k in inner])

    return built((*batch, lhs.shape[-2], rhs.shape[-1]), element)


# Composites.


def over_axes(x: np.ndarray, axes: Index, f: Callable[[float, list[float]], float]) -> np.ndarray:
    """`f` of each element and of all the elements that differ from it in `axes` alone."""
    groups = folded(x, axes, True, list)

    def element(index: Index) -> float:
        group = groups[tuple(0 if i in axes else k for i, k in enumerate(index))]
        return f(item(x, index), group)

    return built(x.shape, element)


def softmax(x: np.ndarray, axes: Index) -> np.ndarray:
    """1 / Σ e^(xⱼ - xᵢ) over j."""
    return over_axes(x, axes, lambda v, group: 1 / total([power_of_e(w - v) for w in group]))


def power_of_e(x: float) -> float:
    return math.exp(x) if x < 700 else inf


def log_softmax(x: np.ndarray, axes: Index) -> np.ndarray:
    return over_axes(x, axes, lambda v, group: v - log_sum_exp(group))


def layer_norm(
    x: np.ndarray, scale: np.ndarray, shift: np.ndarray, axes: Index, epsilon: float
) -> np.ndarray:
    def standard(value: float, group: list[float]) -> float:
        return (value - mean(group)) / math.sqrt(variance(group, 0) + epsilon)

    normal = over_axes(x, axes, standard)

    def element(index: Index) -> float:
        within = tuple(index[axis] for axis in axes)
        return normal[index] * item(scale, within) + item(shift, within)

    return built(x.shape, element)


definitions: dict[str, Callable[..., Any]] = {
    "all": reduction(lambda values: False not in values),
    "any": reduction(lambda values: True in values),
    "arange": arange,
    "argmax": reduction(first_at(largest)),
    "argmin": reduction(first_at(smallest)),
    "broadcast_to": broadcast_to,
    "concatenate": concatenate,
    "constant": lambda value: value.array.tolist(),
    "unslice": unslice,
    "expand_dims": expand_dims,
    "layer_norm": layer_norm,
    "log_softmax": log_softmax,
    "logsumexp": reduction(log_sum_exp),
    "matmul": matmul,
    "max": reduction(largest),
    "mean": reduction(mean),
    "min": reduction(smallest),
    "one_hot": one_hot,
    "pad": pad,
    "prod": reduction(lambda values: math.prod(values)),
    "product_of_others": product_of_others,
    "reshape": reshape,
    "scatter_add": scatter_add,
    "size": lambda value, dtype: value,
    "slice": slice_,
    "softmax": softmax,
    "split": split,
    "squeeze": squeeze,
    "sum": reduction(total),
    "take": take,
    "transpose": transpose,
    "var": reduction(variance),
}
