"""Convolution and its two transposes on NumPy: windows as columns, then products of matrices.

All three take arrays of one floating or integer dtype, [examples, channels, *sizes] for x and y and
[channels of y, channels of x in a group, *window] for w, and write their result into `out`. They
go over a few examples at a time, so that the columns stay in the processor's cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.ops.statistics import wide_dtype
from graphwright.ops.window import Windows, taps

_BLOCK_BYTES = 1 << 21

Array = NDArray[Any]


@dataclass(frozen=True)
class Geometry:
    """What the three have in common: where the windows lie, and how channels go together."""

    window: tuple[int, ...]
    counts: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilations: tuple[int, ...]
    groups: int

    def padded(self, x: Array, dtype: Any) -> Array:
        """`x` with zeros around it, in the dtype to compute in; `x` itself if it has both."""
        if not any(width for pair in self.padding for width in pair):
            return x.astype(dtype, copy=False)
        sizes = [size + sum(pair) for size, pair in zip(x.shape[2:], self.padding, strict=True)]
        out = np.zeros((*x.shape[:2], *sizes), dtype)
        out[self.middle(x.shape[2:])] = x
        return out

    def middle(self, sizes: Sequence[int]) -> tuple[Any, ...]:
        """The index of what is not padding."""
        pairs = zip(sizes, self.padding, strict=True)
        return (..., *(slice(before, before + size) for size, (before, _) in pairs))

    def columns(self, x: Array) -> Array:
        """[groups, channels · window, examples · counts]: what the windows of a padded `x` hold."""
        examples, channels = x.shape[:2]
        rank = len(self.window)
        seen = Windows(self.window, self.strides, self.dilations).kernel(x)
        order = (1, *range(2 + rank, 2 + 2 * rank), 0, *range(2, 2 + rank))
        rows = channels // self.groups * math.prod(self.window)
        wide = examples * math.prod(self.counts)
        return seen.transpose(order).reshape(self.groups, rows, wide)

    def rows(self, y: Array, dtype: Any) -> Array:
        """[groups, channels, examples · counts]: `y` as the columns have it."""
        examples, channels = y.shape[:2]
        shape = self.groups, channels // self.groups, examples * math.prod(self.counts)
        return y.astype(dtype, copy=False).swapaxes(0, 1).reshape(shape)

    def matrices(self, w: Array, dtype: Any) -> Array:
        """[groups, channels of y, channels of x · window]: `w` as the columns are multiplied."""
        rows, columns = w.shape[0] // self.groups, w.shape[1] * math.prod(self.window)
        return w.astype(dtype, copy=False).reshape(self.groups, rows, columns)

    def blocks(self, examples: int, channels: int, width: int) -> Iterator[slice]:
        """Some examples at a time, of which each has `channels` rows of columns."""
        each = channels * math.prod(self.window) * math.prod(self.counts) * width
        step = max(1, _BLOCK_BYTES // max(each, 1))
        return (slice(start, start + step) for start in range(0, examples, step))

    def depthwise(self, w: Array) -> bool:
        """True when each channel goes alone: there are no matrices to multiply."""
        return self.groups > 1 and w.shape[:2] == (self.groups, 1)

    def by_channel(self, tap: Array) -> Array:
        """One number for each channel, to multiply [examples, channels, *counts] with."""
        return tap.reshape(-1, *(1,) * len(self.window))


def convolve(out: Array, x: Array, w: Array, at: Geometry) -> None:
    """out[n, o, i] = Σ x[n, c, i·stride + k·dilation - padding] w[o, c, k] over c and k."""
    dtype = wide_dtype(x.dtype)
    matrices, alone = at.matrices(w, dtype), at.depthwise(w)
    for some in at.blocks(len(x), x.shape[1], dtype.itemsize):
        padded = at.padded(x[some], dtype)
        if alone:
            out[some] = _convolve_channels(padded, w.astype(dtype, copy=False), at)
            continue
        product = np.matmul(matrices, at.columns(padded))
        shape = (out.shape[1], len(padded), *out.shape[2:])
        out[some] = product.reshape(shape).swapaxes(0, 1)


def _convolve_channels(x: Array, w: Array, at: Geometry) -> Array:
    total = np.zeros((*x.shape[:2], *at.counts), x.dtype)
    term = np.empty_like(total)
    for tap, places in taps(at.window, at.counts, at.strides, at.dilations):
        np.multiply(x[places], at.by_channel(w[tap]), out=term)
        total += term
    return total


def convolve_transposed(out: Array, y: Array, w: Array, at: Geometry) -> None:
    """out[n, c, j] = Σ y[n, o, i] w[o, c, k] over o, and i·stride + k·dilation - padding = j."""
    dtype = wide_dtype(y.dtype)
    matrices, alone = at.matrices(w, dtype).swapaxes(1, 2), at.depthwise(w)
    sizes = [size + sum(pair) for size, pair in zip(out.shape[2:], at.padding, strict=True)]
    for some in at.blocks(len(y), out.shape[1], dtype.itemsize):
        rows = y[some].astype(dtype, copy=False)
        total = np.zeros((len(rows), out.shape[1], *sizes), dtype)
        if alone:
            for tap, places in taps(at.window, at.counts, at.strides, at.dilations):
                total[places] += rows * at.by_channel(w[tap].astype(dtype, copy=False))
        else:
            shape = (out.shape[1], *at.window, len(rows), *at.counts)
            columns = np.matmul(matrices, at.rows(rows, dtype)).reshape(shape)
            for tap, places in taps(at.window, at.counts, at.strides, at.dilations):
                total[places] += columns[(slice(None), *tap[1:])].swapaxes(0, 1)
        out[some] = total[at.middle(out.shape[2:])]


def correlate(out: Array, x: Array, y: Array, at: Geometry) -> None:
    """out[o, c, k] = Σ x[n, c, i·stride + k·dilation - padding] y[n, o, i] over n and i."""
    dtype = wide_dtype(x.dtype)
    alone = at.depthwise(out)
    total = np.zeros(at.matrices(out, dtype).shape, dtype)
    for some in at.blocks(len(x), x.shape[1], dtype.itemsize):
        padded, rows = at.padded(x[some], dtype), y[some].astype(dtype, copy=False)
        if alone:
            columns, axes = total.reshape(out.shape[0], *at.window), list(range(rows.ndim))
            for tap, places in taps(at.window, at.counts, at.strides, at.dilations):
                columns[tap] += np.einsum(padded[places], axes, rows, axes, [1])
        else:
            total += np.matmul(at.rows(rows, dtype), at.columns(padded).swapaxes(1, 2))
    out[...] = total.reshape(out.shape)
