"""Rounding to whole numbers, which stay floating. None has a derivative but 0."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from graphwright.graph.dtype import is_integer
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.ops.case import Case, f32
from graphwright.ops.convert import as_tensor
from graphwright.ops.elementwise import Real, lowered_in_single_precision


class Rounding(Real):
    """A whole number near x. Tensors of integers are returned as they are."""

    idempotent = True
    differentiable = False
    intrinsic: ClassVar[str]
    """What LLVM calls it."""

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any) -> Any:
        return b.intrinsic(self.intrinsic, x)

    def __call__(self, x: TensorLike) -> Tensor:
        tensor = as_tensor(x)
        return tensor if is_integer(tensor.dtype) else super().__call__(tensor)

    cases = (
        Case(f32["n", 4]),
        Case([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994]),
        Case([-0.0, 1e300, 2.0**52 + 1, -np.inf, np.nan]),
    )


@register
class Floor(Rounding):
    """⌊x⌋, the largest whole number that is not above x. Its derivative is 0 where it exists."""

    name = "floor"
    ufunc = np.floor
    intrinsic = "floor"


@register
class Ceil(Rounding):
    """⌈x⌉, the smallest whole number that is not below x. Its derivative is 0 where it exists."""

    name = "ceil"
    ufunc = np.ceil
    intrinsic = "ceil"


@register
class Round(Rounding):
    """The whole number nearest to x; halves go to the even one, as in IEEE 754 and NumPy.

    Its derivative is 0 where it exists.
    """

    name = "round"
    ufunc = np.rint
    intrinsic = "roundeven"


@register
class Trunc(Rounding):
    """x without its fraction: the nearest whole number towards 0.

    Its derivative is 0 where it exists.
    """

    name = "trunc"
    ufunc = np.trunc
    intrinsic = "trunc"


floor = Floor()
ceil = Ceil()
round = Round()
trunc = Trunc()
