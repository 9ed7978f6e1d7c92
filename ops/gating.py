"""Gates: one tensor that lets another through."""

from __future__ import annotations

import numpy as np

from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.activation import silu
from graphwright.ops.case import Case, Reject, bool_, f32, f64
from graphwright.ops.composite import Composite
from graphwright.ops.elementwise import Binary


@register
class SwiGlu(Composite, Binary):
    """silu(x) y = x σ(x) y: y let through by a gate x, in the feed-forward part of a Transformer.

    d/dx = (σ(x) + x σ(x) (1 - σ(x))) y, d/dy = x σ(x)
    Source: Shazeer, GLU variants improve Transformer, 2020, https://arxiv.org/abs/2002.05202.
    """

    name = "swiglu"
    takes = "floating"

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        return self.typed(x, y)

    def decompose(self, x: Tensor, y: Tensor) -> Tensor:
        return silu(x) * y

    cases = (
        Case(f32["n", 4], f32["n", 4]),
        Case(f64[3, 1], f64["n"]),
        Case([-30.0, -1.0, 0.0, 30.0], [2.0, 3.0, 5.0, -1.0]),
        Case([np.inf, -0.0, np.nan], [2.0, np.inf, 0.0], smooth=False),
    )
    rejects = (
        *Binary.misfits,
        Reject(bool_[2], bool_[2], message="needs a floating input, got bool[2]"),
    )


swiglu = SwiGlu()
