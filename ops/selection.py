"""Choosing between values, and what passes a value on but no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size
from graphwright.graph.dtype import boolean, short_name
from graphwright.graph.errors import DTypeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32
from graphwright.ops.convert import as_tensor, promoted
from graphwright.ops.elementwise import Elementwise, Unary
from graphwright.ops.shapes import broadcast


@register
class Where(Elementwise):
    """x where the condition holds, else y; all three broadcast.

    d/dx = 1 where the condition holds, else 0; d/dy the other way round. A branch that is not
    taken gets the gradient 0; should its own derivative be infinite there, 0 · inf is nan. Give it
    harmless values: not where(x > 0, log(x), 0), but where(x > 0, log(where(x > 0, x, 1)), 0).
    """

    name = "where"
    takes = "any"

    def __call__(self, condition: TensorLike, x: TensorLike, y: TensorLike) -> Tensor:
        return self.apply(as_tensor(condition), *promoted(x, y))[0]

    def infer(self, condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
        if condition.dtype != boolean:
            raise DTypeError(
                f"the condition must be bool, got {short_name(condition.dtype)}",
                hint="compare it with something, e.g. condition != 0",
            )
        chosen = self.typed(x, y)
        return chosen.with_shape(broadcast(condition.shape, x.shape, y.shape))

    def kernel(self, condition: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> Any:
        return np.where(condition, x, y)

    def kernel_into(
        self, out: NDArray[Any], condition: NDArray[Any], x: NDArray[Any], y: NDArray[Any]
    ) -> None:
        # `out` may be any one of the inputs' memory.
        if np.may_share_memory(out, x):
            np.copyto(out, y, where=~condition)
        else:
            chosen = condition.copy() if np.may_share_memory(out, condition) else condition
            if not np.may_share_memory(out, y):
                np.copyto(out, y)
            np.copyto(out, x, where=chosen)

    def lower(self, b: Any, condition: Any, x: Any, y: Any) -> Any:
        return b.select(condition, x, y)

    def gradient(
        self, condition: Tensor, x: Tensor, y: Tensor, out: Tensor, g: Tensor
    ) -> tuple[None, Tensor, Tensor]:
        return None, where(condition, g, 0), where(condition, 0, g)

    cases = (
        Case(bool_["n", 1], f32["n", 3], f32[3]),
        Case(bool_[4], i32[()], i32[4]),
        Case(bool_[9], bool_[9], bool_[9]),
        Case([True, False], [1.0, np.nan], [np.nan, 2.0], smooth=False),
    )
    rejects = (
        Reject(i32[2], f32[2], f32[2], message="the condition must be bool, got i32"),
        Reject(bool_[2], f32[2], f64[2], message="dtypes differ: f32 and f64"),
    )


@register
class StopGradient(Unary):
    """x itself, with no derivative: differentiation takes it for a constant. Takes any input."""

    name = "stop_gradient"
    takes = "any"
    view = "dense"
    idempotent = True
    differentiable = False

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return x

    def lower(self, b: Any, x: Any) -> Any:
        return x

    def flops(self, x: TensorType) -> Size:
        return 0

    cases = Case(f32["n", 4]), Case(f64[()]), Case(i32[3]), Case(bool_[2]), Case([np.nan, -0.0])
    rejects = ()


where = Where()
stop_gradient = StopGradient()
