"""Dropout: elements left out at random."""

from __future__ import annotations

from graphwright.graph.dtype import float32
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, f32, f64, i32, i64, u64
from graphwright.ops.checks import check_floating
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder
from graphwright.ops.philox import check_key
from graphwright.ops.random import RandomUniform
from graphwright.ops.selection import where
from graphwright.ops.shapes import shape_text


@register
class Dropout(Composite):
    """Each element set to 0 with probability `rate`, the others scaled by 1 / (1 - rate).

    So the mean stays (Srivastava et al., Dropout: a simple way to prevent neural networks from
    overfitting, JMLR 2014). What is dropped is a function of the key.
    d/dx = 1 / (1 - rate) where x was kept, else 0

    key: u64[..., 2]; the axes of an array of keys are the first ones of x
    """

    name = "dropout"

    rate: float

    def infer(self, x: TensorType, key: TensorType) -> TensorType:
        if not 0 <= self.rate < 1:
            raise AttributeValueError(f"the rate must be at least 0 and below 1, got {self.rate}")
        check_floating(x)
        check_key(key)
        if key.shape[:-1] != x.shape[: key.rank - 1]:
            raise ShapeError(
                f"keys of shape {shape_text(key.shape[:-1])} are not on the first axes of {x}",
                hint="give one key, u64[2], or one for each row",
            )
        return x

    def decompose(self, x: Tensor, key: Tensor) -> Tensor:
        kept = RandomUniform(x.shape[key.ndim - 1 :], float32)(key) >= self.rate
        return where(kept, x * (1 / (1 - self.rate)), 0)

    cases = (
        Case(f32["n", 3], Within(u64[2], 0, 2**63), rate=0.5),
        Case(f64[4, 5], Within(u64[2], 0, 2**63), rate=0.25),
        Case(f64[3, "n"], Within(u64[3, 2], 0, 2**63), rate=0.5),
        Case(f64[3], u64[2], rate=0.0),
        Case(f64[()], u64[2], rate=0.9),
    )
    rejects = (
        Reject(f32[2], u64[2], rate=1.0, message="at least 0 and below 1, got 1.0"),
        Reject(f32[2], u64[2], rate=-0.1, message="at least 0 and below 1, got -0.1"),
        Reject(f32[2], u64[2], rate=float("nan"), message="below 1, got nan"),
        Reject(i32[2], u64[2], rate=0.5, message="needs a floating input, got i32[2]"),
        Reject(f32[2], i64[2], rate=0.5, message="a key is u64[...,2], got i64[2]"),
        Reject(f32[3, 2], u64[2, 2], rate=0.5, message="keys of shape [2] are not on the first"),
    )


@builder
def dropout(x: TensorLike, rate: float, key: TensorLike) -> Tensor:
    """`x` with a random share `rate` of its elements set to 0, the others scaled; see `Dropout`.

    key: u64[2], from `gw.random.key`, another one at each step
    """
    return Dropout(rate)(as_floating(x), as_tensor(key))
