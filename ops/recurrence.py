"""First-order linear recurrences: what differentiates running products, and a layer by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size
from graphwright.graph.errors import DTypeError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.batching import in_front
from graphwright.ops.case import Case, Reject, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.convert import builder, promoted
from graphwright.ops.elementwise import in_single_precision
from graphwright.ops.movement import broadcast_to
from graphwright.ops.padding import pad
from graphwright.ops.shapes import broadcast, check_axis, normalize_axis
from graphwright.ops.slicing import Slice


@register
class LinearRecurrence(Operator):
    """Each element along an axis from the one before it: out[t] = factor[t] · out[t-1] + x[t].

    out[0] = x[0], whatever factor[0] is
    reverse: from the end, out[t] = factor[t] · out[t+1] + x[t]

    dx[t] = g[t] + factor[t+1] · dx[t+1], the same recurrence the other way
    dfactor[t] = out[t-1] · dx[t]
    Source: Martin and Cundy, Parallelizing linear recurrent neural nets over sequence length,
    2018, https://arxiv.org/abs/1709.04057.
    """

    name = "linear_recurrence"

    axis: int
    reverse: bool

    def infer(self, factor: TensorType, x: TensorType) -> TensorType:
        check_axis(self.axis, x.rank)
        check_floating(x)
        if factor.dtype != x.dtype:
            raise DTypeError(f"factor is {factor}, but x is {x}", hint="cast one of them")
        if factor.shape != x.shape:
            raise ShapeError(
                f"factor is {factor}, but x is {x}",
                hint="both must have one shape; broadcast first",
            )
        return x

    @in_single_precision
    def kernel(self, factor: NDArray[Any], x: NDArray[Any]) -> Any:
        out = x.copy()
        steps = np.moveaxis(out, self.axis, 0)
        factors = np.moveaxis(factor, self.axis, 0)
        if self.reverse:
            steps, factors = steps[::-1], factors[::-1]
        for t in range(1, len(steps)):
            steps[t] += factors[t] * steps[t - 1]
        return out

    def flops(self, factor: TensorType, x: TensorType) -> Size:
        return 2 * x.size

    def gradient(self, factor: Tensor, x: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        following = neighbour(factor, self.axis, not self.reverse, 0)
        mine = LinearRecurrence(self.axis, not self.reverse)(following, g)
        return neighbour(out, self.axis, self.reverse, 0) * mine, mine

    def batch(self, mapped: Sequence[bool], factor: Tensor, x: Tensor) -> Tensor:
        return LinearRecurrence(self.axis + 1, self.reverse)(*in_front(mapped, (factor, x)))

    cases = (
        Case(f32["n", 3], f32["n", 3], axis=0, reverse=False),
        Case(f64[2, "n"], f64[2, "n"], axis=1, reverse=True),
        Case([0.5, 2.0, 0.0, -1.0], [1.0, 3.0, -2.0, 0.5], axis=0, reverse=False),
        Case([[np.inf, 0.5], [1.0, np.nan]], [[1.0, 2.0], [3.0, 4.0]], axis=1, reverse=False),
    )
    rejects = (
        Reject(f32[3], f32[2], axis=0, reverse=False, message="factor is f32[3], but x is f32[2]"),
        Reject(f64[2], f32[2], axis=0, reverse=False, message="factor is f64[2], but x is f32[2]"),
        Reject(i32[3], i32[3], axis=0, reverse=False, message="needs a floating input, got i32"),
        Reject(f32[3], f32[3], axis=1, reverse=False, message="axis 1 is out of range for rank 1"),
        Reject(f32[3], f32[3], axis=-1, reverse=True, message="axis -1 must be counted from"),
    )


def neighbour(x: Tensor, axis: int, reverse: bool, edge: bool | float) -> Tensor:
    """At each place along `axis` what `x` has one place before it, or after it for `reverse`.

    The first place, or the last, has no such neighbour: there it is `edge`.
    """
    widths: list[tuple[Size, Size]] = [(0, 0)] * x.ndim
    widths[axis] = (0, 1) if reverse else (1, 0)
    starts = tuple(int(reverse and i == axis) for i in range(x.ndim))
    return Slice(starts, x.shape, (1,) * x.ndim)(pad(x, widths, value=edge))


@builder
def linear_recurrence(
    factor: TensorLike, x: TensorLike, axis: int = -1, reverse: bool = False
) -> Tensor:
    """out[t] = factor[t] · out[t-1] + x[t] along `axis`; see `LinearRecurrence`.

    factor: broadcasts against `x`
    Discounted sums of rewards are one, in reverse, with the discount for a factor.
    """
    factors, inputs = promoted(factor, x)
    shape = broadcast(factors.shape, inputs.shape)
    op = LinearRecurrence(normalize_axis(axis, len(shape)), reverse)
    return op(broadcast_to(factors, shape), broadcast_to(inputs, shape))
