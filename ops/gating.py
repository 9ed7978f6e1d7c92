"""Gates: one part that lets another through."""

from __future__ import annotations

import numpy as np

from graphwright.graph.dim import Size, dim, exact_quotient
from graphwright.graph.errors import ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.activation import silu
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, builder
from graphwright.ops.elementwise import Binary
from graphwright.ops.exponential import sigmoid
from graphwright.ops.joining import Split
from graphwright.ops.shapes import check_axis, normalize_axis


@register
class Glu(Composite):
    """The gated linear unit a · σ(b), where a and b are the halves of x along an axis.

    Source: Dauphin, Fan, Auli and Grangier, Language modeling with gated convolutional networks,
    2017, https://arxiv.org/abs/1612.08083.
    """

    name = "glu"

    axis: int

    def infer(self, x: TensorType) -> TensorType:
        check_axis(self.axis, x.rank)
        check_floating(x)
        half = self._half(x.shape)
        return x.with_shape((*x.shape[: self.axis], half, *x.shape[self.axis + 1 :]))

    def decompose(self, x: Tensor) -> Tensor:
        half = self._half(x.shape)
        values, gates = Split(self.axis, (half, half)).apply(x)
        return values * sigmoid(gates)

    def _half(self, shape: Shape) -> Size:
        size = shape[self.axis]
        half = exact_quotient(size, 2)
        if half is None:
            raise ShapeError(
                f"axis {self.axis} of size {size} has no two halves",
                hint="its size must be even, as 4 and 2*n are",
            )
        return half

    cases = (
        Case(f32["n", 4], axis=1),
        Case(f64[2 * dim("n"), 3], axis=0),
        Case([[40.0, -1.0, -np.inf, 2.0], [1.0, np.nan, 0.0, -800.0]], axis=1),
    )
    rejects = (
        Reject(f32[2, 3], axis=1, message="axis 1 of size 3 has no two halves"),
        Reject(f32["n"], axis=0, message="axis 0 of size n has no two halves"),
        Reject(i32[4], axis=0, message="needs a floating input, got i32[4]"),
        Reject(f32[4], axis=1, message="axis 1 is out of range for rank 1"),
        Reject(f32[4], axis=-1, message="axis -1 must be counted from the front"),
    )


@builder
def glu(x: TensorLike, axis: int = -1) -> Tensor:
    """The first half of `x` along `axis` times the sigmoid of the second; see `Glu`."""
    tensor = as_floating(x)
    return Glu(normalize_axis(axis, tensor.ndim))(tensor)


@register
class SwiGlu(Composite, Binary):
    """silu(gate) · value: a value let through by a gate, in the feed-forward part of a Transformer.

    d/dgate = (σ(gate) + gate σ(gate) (1 - σ(gate))) value, d/dvalue = silu(gate)
    Source: Shazeer, GLU variants improve Transformer, 2020, https://arxiv.org/abs/2002.05202.
    """

    name = "swiglu"
    takes = "floating"

    def __call__(self, gate: TensorLike, value: TensorLike) -> Tensor:
        return super().__call__(gate, value)

    def infer(self, gate: TensorType, value: TensorType) -> TensorType:
        return self.typed(gate, value)

    def decompose(self, gate: Tensor, value: Tensor) -> Tensor:
        return silu(gate) * value

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
