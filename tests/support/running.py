"""Values of tensors for given arrays, by the interpreter."""

from __future__ import annotations

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
