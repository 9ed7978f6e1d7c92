"""What elementwise operators share: promotion, broadcasting, and NumPy's ufuncs as kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dtype import (
    DType,
    float32,
    is_boolean,
    is_floating,
    is_integer,
)
from graphwright.graph.errors import DTypeError
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Reject, bool_, f32, f64, i32
from graphwright.ops.checks import check_same_dtype
from graphwright.ops.convert import promoted
from graphwright.ops.shapes import broadcast

Kind = Literal["any", "number", "floating", "integer", "boolean", "integer or boolean"]

_ACCEPTS: dict[str, Callable[[DType], bool]] = {
    "any": lambda dtype: True,
    "number": lambda dtype: is_floating(dtype) or is_integer(dtype),
    "floating": is_floating,
    "integer": is_integer,
    "boolean": is_boolean,
    "integer or boolean": lambda dtype: is_integer(dtype) or is_boolean(dtype),
}
_HINTS = {
    "number": "convert it, e.g. with .astype(gw.float32), or choose with gw.ops.where",
    "floating": "convert it, e.g. with .astype(gw.float32)",
    "integer": "convert it, e.g. with .astype(gw.int64)",
    "boolean": "compare it with something, e.g. x != 0",
    "integer or boolean": "compare it with something, e.g. x != 0, or use .astype(gw.int64)",
}


class Elementwise(Operator):
    """An operator on each element; inputs of one dtype broadcast against each other.

    `gradient` may ignore broadcasting: differentiation sums over the axes that were broadcast.
    """

    elementwise = True

    ufunc: ClassVar[Any] = None
    """NumPy's function of the same meaning, when there is one; else define `kernel`."""
    takes: ClassVar[Kind] = "number"
    """The dtypes it accepts."""
    gives: ClassVar[DType | None] = None
    """The dtype of the output; None for that of the inputs."""

    def __call__(self, *inputs: Any, **nothing: Any) -> Tensor:
        return self.apply(*promoted(*inputs), **nothing)[0]

    def typed(self, *types: TensorType) -> TensorType:
        """What `infer` answers, for any number of inputs."""
        check_same_dtype(*types)
        dtype = types[0].dtype
        if not _ACCEPTS[self.takes](dtype):
            article = "an" if self.takes.startswith("integer") else "a"
            raise DTypeError(
                f"needs {article} {self.takes} input, got {types[0]}",
                hint=_HINTS[self.takes],
            )
        return TensorType(self.gives or dtype, broadcast(*(kind.shape for kind in types)))

    def kernel(self, *arrays: Any, **_: Any) -> Any:
        return self.ufunc(*arrays)

    def kernel_into(self, out: NDArray[Any], *arrays: Any, **_: Any) -> None:
        if self.ufunc is None:
            np.copyto(out, self.kernel(*arrays), casting="same_kind")
        else:
            self.ufunc(*arrays, out=out, casting="same_kind")


class Unary(Elementwise):
    """An elementwise operator of one input."""

    def __call__(self, x: TensorLike) -> Tensor:
        return super().__call__(x)

    def infer(self, x: TensorType) -> TensorType:
        return self.typed(x)

    rejects: ClassVar[tuple[Reject, ...]] = (
        Reject(bool_[2], message="needs a number input, got bool[2]"),
    )


class Real(Unary):
    """A real function of one floating input."""

    takes = "floating"

    rejects: ClassVar[tuple[Reject, ...]] = (
        Reject(i32[3], message="needs a floating input, got i32[3]"),
        Reject(bool_["n"], message="needs a floating input, got bool[n]"),
    )


class Binary(Elementwise):
    """An elementwise operator of two inputs."""

    def __call__(self, x: TensorLike, y: TensorLike) -> Tensor:
        return super().__call__(x, y)

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        return self.typed(x, y)

    misfits: ClassVar[tuple[Reject, ...]] = (
        Reject(f32[2], f64[2], message="dtypes differ: f32 and f64"),
        Reject(f32[2, 3], f32[2], message="shapes [2,3] and [2] differ: 3 != 2 on axis -1"),
        Reject(f32["n"], f32["m"], message="shapes [n] and [m] differ: n != m on axis -1"),
    )
    rejects: ClassVar[tuple[Reject, ...]] = (
        *misfits,
        Reject(bool_[2], bool_[2], message="needs a number input, got bool[2]"),
    )


def lowered_in_single_precision(lower: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of `lower`: 16-bit floats are computed in float32 and rounded once, at the end."""

    @wraps(lower)
    def rounded_once(self: Operator, b: Any, *x: Any) -> Any:
        dtype = x[0].dtype
        if not is_floating(dtype) or dtype.itemsize > 2:
            return lower(self, b, *x)
        wide = lower(self, b, *(b.convert(value, float32) for value in x))
        return b.convert(wide, dtype) if wide.dtype == float32 else wide

    return rounded_once


def in_single_precision(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of kernels: 16-bit floats are computed in float32 and rounded once, at the end."""

    @wraps(kernel)
    def rounded_once(self: Operator, *arrays: NDArray[Any]) -> Any:
        dtype = arrays[0].dtype
        if dtype.itemsize > 2:
            return kernel(self, *arrays)
        return kernel(self, *(array.astype(float32) for array in arrays)).astype(dtype)

    return rounded_once
