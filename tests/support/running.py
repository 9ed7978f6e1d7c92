"""Values of tensors for given arrays, by the interpreter; results that may differ by rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphwright.graph.graph import Graph
from graphwright.graph.tensor import Tensor
from graphwright.runtime.interpret import interpret


def values(tensors: list[Tensor], arrays: dict[Tensor, Any]) -> list[np.ndarray]:
    """What `tensors` are where each input has its array."""
    outputs, _ = interpret(Graph(list(arrays), tensors), *arrays.values())
    return list(outputs)


def value(tensor: Tensor, arrays: dict[Tensor, Any] | None = None) -> np.ndarray:
    """What `tensor` is where each input has its array."""
    (result,) = values([tensor], arrays or {})
    return result


_TOLERANCE = {"float16": 3e-2, "float32": 1e-4, "float64": 1e-9}


def assert_near(expected: Sequence[np.ndarray], got: Sequence[np.ndarray]) -> None:
    """Results of random graphs agree: relative to the largest element, where finite."""
    for left, right in zip(expected, got, strict=True):
        assert left.dtype == right.dtype and left.shape == right.shape
        if left.dtype.kind == "f":
            tolerance = _TOLERANCE[left.dtype.name]
            finite = np.isfinite(left)
            scale = max(np.abs(left[finite]).max(initial=0), 1)
            np.testing.assert_allclose(
                right[finite], left[finite], rtol=tolerance, atol=tolerance * scale
            )
        else:
            np.testing.assert_array_equal(left, right)
