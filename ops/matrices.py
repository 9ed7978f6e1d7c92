"""What operators on matrices share: the last two axes are a matrix, the axes before them batch.

Kernels are NumPy's `linalg`, which is LAPACK's (Anderson et al., LAPACK Users' Guide, 1999).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, product
from graphwright.graph.dtype import float32
from graphwright.graph.errors import InputError, ShapeError
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.case import Reject, f32, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.movement import expand_dims, matrix_transpose

SINGULAR = (
    "a matrix is singular: no inverse exists",
    "use pinv or lstsq, or add a small multiple of the identity",
)
UNSETTLED = ("the iteration does not converge", "the input has elements that are nan or infinite")


class OnMatrix(Operator):
    """An operator on each matrix of one floating tensor."""

    refusal: ClassVar[tuple[str, str]] = SINGULAR
    """What to say when LAPACK refuses a matrix: what is wrong with it, and what to do."""

    def batch(self, mapped: Sequence[bool], *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.apply(*inputs)

    rejects: ClassVar[tuple[Reject, ...]] = (
        Reject(f32[3], message="needs matrices, got f32[3]"),
        Reject(i32[3, 3], message="needs a floating input, got i32[3,3]"),
    )


class OnSquare(OnMatrix):
    """An operator on each square matrix of one floating tensor."""

    def flops(self, x: TensorType) -> Size:
        """About n³ for a matrix of n rows."""
        return x.size * x.shape[-1]

    rejects: ClassVar[tuple[Reject, ...]] = (
        *OnMatrix.rejects,
        Reject(f32[2, 3], message="needs square matrices, got f32[2,3]"),
        Reject(f32["n", "m"], message="needs square matrices, got f32[n,m]"),
    )


def check_matrix(x: TensorType) -> None:
    """Raise DTypeError unless `x` is floating, ShapeError unless it has the rank of a matrix."""
    check_floating(x)
    if x.rank < 2:
        raise ShapeError(f"needs matrices, got {x}", hint="the last two axes are the matrix")


def check_square(x: TensorType) -> None:
    """The same, and ShapeError unless the matrices are square."""
    check_matrix(x)
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            f"needs square matrices, got {x}",
            hint="their last two sizes must be the same; pinv, lstsq, qr and svd take any",
        )


def matrices(x: TensorType) -> Size:
    """How many matrices there are."""
    return product(x.shape[:-2])


def lapack(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of kernels: 16-bit floats are computed in float32; refusals become InputErrors."""

    @wraps(kernel)
    def guarded(self: Any, *arrays: NDArray[Any]) -> Any:
        dtype = arrays[0].dtype
        narrow = dtype.itemsize <= 2
        try:
            with np.errstate(all="ignore"):
                result = kernel(self, *(x.astype(float32) if narrow else x for x in arrays))
        except np.linalg.LinAlgError:
            what, hint = self.refusal
            raise InputError(f"{self.name}: {what}", hint=hint) from None
        several = isinstance(result, tuple)
        outputs = tuple(
            x.astype(dtype, copy=False) if x.dtype.kind == "f" else x
            for x in (result if several else (result,))
        )
        return outputs if several else outputs[0]

    return guarded


# Parts of matrices, as tensors.


def symmetrized(x: Tensor) -> Tensor:
    """(x + xᵀ)/2"""
    return (x + matrix_transpose(x)) / 2


def aligned(mapped: Sequence[bool], inputs: Sequence[Tensor]) -> list[Tensor]:
    """The inputs of a batch, where those with an axis in front have as many axes behind it as any:
    so that what is before the matrices broadcasts."""
    pairs = list(zip(inputs, mapped, strict=True))
    rank = max(x.ndim - has_axis for x, has_axis in pairs)
    return [expand_dims(x, range(1, rank + 2 - x.ndim)) if has_axis else x for x, has_axis in pairs]


# Of arrays, for kernels.


def mirrored(x: NDArray[Any]) -> NDArray[Any]:
    """(x + xᵀ)/2, of an array: to the bit the same where it is symmetric already."""
    half = x * x.dtype.type(0.5)
    return half + half.swapaxes(-1, -2)  # type: ignore[no-any-return]


def signs(vectors: NDArray[Any]) -> NDArray[Any]:
    """For each column the sign, 1 or -1, that makes the first of its largest elements positive."""
    if not vectors.size:
        return np.ones((*vectors.shape[:-2], 1, vectors.shape[-1]), vectors.dtype)
    sizes = np.abs(vectors)
    # Elements that are equal but for rounding count as equal.
    first = np.argmax(sizes > 0.9 * sizes.max(-2, keepdims=True), -2, keepdims=True)
    chosen = np.take_along_axis(vectors, first, -2)
    return np.where(chosen < 0, -1, 1).astype(vectors.dtype)


def check_finite(x: NDArray[Any]) -> None:
    """LAPACK may go on for ever, or answer anything, where a number is not finite."""
    if not np.isfinite(x).all():
        raise np.linalg.LinAlgError
