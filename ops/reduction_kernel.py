"""Reductions on NumPy: of few elements each, in the order that is fast."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dtype import float32, float64

# NumPy folds one result after the other, with a loop for each, where the folded axes are the inner
# ones. With few elements in each, and many results, it is many times faster to fold all results at
# once, element by element. Beyond these numbers it no longer is.
_MOST_ELEMENTS = 32
_FEWEST_RESULTS = 512


def folded(
    ufunc: np.ufunc,
    x: NDArray[Any],
    axes: tuple[int, ...],
    keepdims: bool,
    out: NDArray[Any] | None = None,
) -> Any:
    """ufunc.reduce(x, axes, keepdims=keepdims, out=out) of a sum or an extreme.

    axes: counted from the front
    """
    count = math.prod(x.shape[axis] for axis in axes)
    few = 1 < count <= _MOST_ELEMENTS and x.size >= _FEWEST_RESULTS * count
    # Sums of others are wider than they are, or have wider intermediate results.
    if not few or (ufunc is np.add and x.dtype not in (float32, float64)):
        return ufunc.reduce(x, axis=axes, keepdims=keepdims, out=out)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    if out is None:
        shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i in kept]
        out = np.empty(shape, x.dtype)
    total = np.squeeze(out, axes) if keepdims else out
    elements = x.transpose(*axes, *kept)
    places = np.ndindex(*elements.shape[: len(axes)])
    total[...] = elements[next(places)]
    for place in places:
        ufunc(total, elements[place], out=total)
    return out
