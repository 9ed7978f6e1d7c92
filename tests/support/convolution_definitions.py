"""What convolution and its transposes mean: see `structural_definitions` for the form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from support.structural_definitions import Index, item
from support.window_definitions import Pairs, counted, every, inside, places


def meetings(
    x: Index, w: Index, strides: Index, padding: Pairs, dilations: Index, groups: int
) -> Iterator[tuple[Index, Index, Index]]:
    """Which element of x meets which weight for which element of y: an index into each."""
    sizes, window = x[2:], w[2:]
    counts = counted(sizes, window, strides, dilations, padding)
    for n, o, c in product(range(x[0]), range(w[0]), range(w[1])):
        channel = o // (w[0] // groups) * w[1] + c
        for i, k in product(every(counts), every(window)):
            place = places(i, k, strides, dilations, padding)
            if inside(place, sizes):
                yield (n, channel, *place), (o, c, *k), (n, o, *i)


def conv(x: np.ndarray, w: np.ndarray, **how: Any) -> np.ndarray:
    numbers = how["strides"], how["dilations"], how["padding"]
    out = np.zeros((len(x), len(w), *counted(x.shape[2:], w.shape[2:], *numbers)), x.dtype)
    for at_x, at_w, at_y in meetings(x.shape, w.shape, **how):
        out[at_y] += item(x, at_x) * item(w, at_w)
    return out


def conv_transpose(x: np.ndarray, w: np.ndarray, sizes: Index, **how: Any) -> np.ndarray:
    out = np.zeros((len(x), w.shape[1] * how["groups"], *sizes), x.dtype)
    for at_x, at_w, at_y in meetings(out.shape, w.shape, **how):
        out[at_x] += item(x, at_y) * item(w, at_w)
    return out


def conv_weight_gradient(x: np.ndarray, y: np.ndarray, window: Index, **how: Any) -> np.ndarray:
    out = np.zeros((y.shape[1], x.shape[1] // how["groups"], *window), x.dtype)
    for at_x, at_w, at_y in meetings(x.shape, out.shape, **how):
        out[at_w] += item(x, at_x) * item(y, at_y)
    return out


definitions: dict[str, Callable[..., Any]] = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "conv_weight_gradient": conv_weight_gradient,
}
