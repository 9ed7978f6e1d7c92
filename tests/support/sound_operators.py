"""Two operators with nothing wrong, and their definitions."""

from __future__ import annotations

import numpy as np

import graphwright as gw
from graphwright.ops.elementwise import in_single_precision
from graphwright.testing import Case, Reject, f32, f64


class Bent(gw.ops.Operator):
    """√(x² + c²), smooth where |x| is not: d/dx = x/out."""

    name = "bent"
    elementwise = True

    def infer(self, x):
        if x.dtype.kind != "f" and x.dtype != gw.bfloat16:
            raise gw.DTypeError(f"needs a floating input, got {x}")
        return x

    @in_single_precision
    def kernel(self, x):
        return np.sqrt(x * x + 1).astype(x.dtype)

    def gradient(self, x, out, g):
        return g * x / out

    cases = Case(f32["n", 3]), Case([0.5, -2.0]), Case(f64[()])
    rejects = (Reject(gw.testing.i32[2], message="needs a floating input, got i32[2]"),)


class Centred(gw.ops.Operator):
    """The rows of x less their mean, and the means: d/dx = g less its mean, and its share of h."""

    name = "centred"

    def infer(self, x):
        if x.rank != 2 or x.dtype.kind != "f":
            raise gw.ShapeError(f"needs a floating matrix, got {x}")
        return x, x.with_shape(x.shape[:1])

    def kernel(self, x):
        mean = x.mean(axis=1)
        return x - mean[:, None], mean

    def gradient(self, x, out, mean, g, h):
        zero = gw.ops.zeros_like(mean)
        g = gw.ops.zeros_like(x) if g is None else g
        h = zero if h is None else h
        return g - g.mean(1, keepdims=True) + h.reshape(h.shape[0], 1) / x.shape[1]

    cases = Case(f32["n", 3]), Case(f64[2, 2])
    rejects = (Reject(f32[3], message="needs a floating matrix, got f32[3]"),)


def bent(x):
    """What `Bent` gives."""
    return (x * x + 1) ** 0.5


def centred(x):
    """What `Centred` gives, row by row."""
    means = np.array([sum(row) / len(row) for row in x])
    return np.array([row - m for row, m in zip(x, means, strict=True)]).reshape(x.shape), means
