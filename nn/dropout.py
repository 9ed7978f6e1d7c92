"""Dropout: a layer whose state is a count of the calls."""

from __future__ import annotations

import numpy as np

from graphwright import ops
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor
from graphwright.nn.module import Module


class Dropout(Module):
    """In training, each element set to 0 with probability `rate`, the others scaled by
    1 / (1 - rate); else the input itself.

    x: floating, any shape. What is dropped follows from a key: the layer's seed, and a counter,
    which is state: `model.updates` raises it by one with every training call, so that each step
    drops other elements, and the same ones when the training is run again.

    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 2014.
    Raises AttributeValueError for a rate outside [0, 1).
    """

    def __init__(self, rate: float, *, name: str = "", seed: int | None = None) -> None:
        if not 0 <= rate < 1:
            raise AttributeValueError(
                f"dropout: the rate must be from 0 to below 1, got {rate}", source=here()
            )
        self.rate = float(rate)
        self.name = name
        self.seed = seed

    def forward(self, x: Tensor, training: bool) -> Tensor:
        if not training or not self.rate:
            return x
        counter = self.state("counter", np.uint64(0))
        # Called again in the same graph, it drops other elements: the count goes on.
        count = self.latest(counter)
        self.update(counter, count + 1)
        return ops.dropout(x, self.rate, ops.random_key(self.derived_seed, count))
