"""What elementwise operators share: promotion, broadcasting, and NumPy's ufuncs as kernels."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dtype import DType, is_boolean, is_floating, is_integer, short_name
from graphwright.graph.errors import DTypeError
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.convert import promoted
from graphwright.ops.shapes import broadcast

Kind = Literal["any", "number", "floating", "integer", "boolean"]

_ACCEPTS = {
    "any": lambda dtype: True,
    "number": lambda dtype: is_floating(dtype) or is_integer(dtype),
    "floating": is_floating,
    "integer": is_integer,
    "boolean": is_boolean,
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
        dtype = types[0].dtype
        if any(kind.dtype != dtype for kind in types):
            names = " and ".join(short_name(kind.dtype) for kind in types)
            raise DTypeError(f"dtypes differ: {names}", hint="cast one input to the other's dtype")
        if not _ACCEPTS[self.takes](dtype):
            article = "an" if self.takes == "integer" else "a"
            raise DTypeError(
                f"needs {article} {self.takes} input, got {types[0]}",
                hint="convert it with .astype",
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


class Binary(Elementwise):
    """An elementwise operator of two inputs."""

    def __call__(self, x: TensorLike, y: TensorLike) -> Tensor:
        return super().__call__(x, y)

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        return self.typed(x, y)
