"""Discrete Fourier transforms; complex numbers are pairs of tensors, real and imaginary parts.

Of a signal x of size n along an axis, X[k] = c Σ x[j] exp(-2πi jk/n), and back,
x[j] = c' Σ X[k] exp(2πi jk/n), with c c' = 1/n (J. W. Cooley and J. W. Tukey, An algorithm for the
machine calculation of complex Fourier series, Math. Comp. 19, 1965). The norm says which is what,
as in NumPy: "backward" (c = 1), "ortho" (c = c' = 1/√n) or "forward" (c' = 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, dim, evaluate, floordiv, positive
from graphwright.graph.dtype import DType, float32
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.batching import in_front
from graphwright.ops.case import Case, Reject, f16, f32, f64, i32
from graphwright.ops.checks import check_floating, check_same_dtype
from graphwright.ops.comparison import equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, builder, promoted
from graphwright.ops.creation import arange, zeros_like
from graphwright.ops.logical import logical_or
from graphwright.ops.movement import reshape
from graphwright.ops.padding import pad
from graphwright.ops.selection import where
from graphwright.ops.shapes import check_axis, check_sizes, normalize_axis
from graphwright.ops.slicing import slice

Norm: TypeAlias = Literal["backward", "ortho", "forward"]
Pair: TypeAlias = tuple[Tensor, Tensor]

_OPPOSITE: dict[Norm, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The norm with c and c' exchanged."""

_HALF = f64[floordiv(dim("n"), 2) + 1, 2]


class _Transform(Operator):
    """What the transforms share: an axis and a norm."""

    axis: int
    norm: Norm

    def check(self, real: TensorType, imag: TensorType) -> None:
        """Raise unless these are parts of a signal with that axis."""
        check_floating(real)
        check_same_dtype(real, imag)
        if imag.shape != real.shape:
            raise ShapeError(
                f"the real part is {real}, the imaginary part {imag}",
                hint="both parts have the same shape",
            )
        check_axis(self.axis, real.rank)
        if self.norm not in _OPPOSITE:
            raise AttributeValueError(
                f"the norm is {self.norm!r}", hint='"backward", "ortho" or "forward"'
            )


@register
class Fft(_Transform):
    """The discrete Fourier transform along an axis: X[k] = c Σ x[j] exp(-2πi jk/n).

    real, imag: floating, of one type, which both outputs have
    norm:       see `graphwright.ops.fourier`

    It is linear: the gradient is that of the real part + i times that of the imaginary part,
    transformed by the conjugate matrix, c Σ g[k] exp(2πi jk/n). 16-bit floats are transformed as
    float32.
    """

    name = "fft"

    def infer(self, real: TensorType, imag: TensorType) -> tuple[TensorType, TensorType]:
        self.check(real, imag)
        return real, real

    def kernel(self, real: NDArray[Any], imag: NDArray[Any]) -> Any:
        if not real.size:
            return np.zeros_like(real), np.zeros_like(real)
        return _parts(np.fft.fft(_complex(real, imag), axis=self.axis, norm=self.norm), real.dtype)

    def gradient(
        self,
        real: Tensor,
        imag: Tensor,
        out: Tensor,
        out_imag: Tensor,
        g: Tensor | None,
        g_imag: Tensor | None,
    ) -> Pair:
        g, g_imag = _both(g, g_imag)
        back = Ifft(self.axis, _OPPOSITE[self.norm]).apply(g, g_imag)
        return back[0], back[1]

    def batch(self, mapped: Sequence[bool], *parts: Tensor) -> tuple[Tensor, ...]:
        return Fft(self.axis + 1, self.norm).apply(*in_front(mapped, parts))

    def flops(self, real: TensorType, imag: TensorType) -> Size:
        return _flops(real, self.axis)

    cases = (
        Case(f32["n", 4], f32["n", 4], axis=1, norm="backward"),
        Case(f64["n", 2], f64["n", 2], axis=0, norm="ortho"),
        Case(f64[2, 5, 3], f64[2, 5, 3], axis=1, norm="forward"),
        Case(f64[7], f64[7], axis=0, norm="backward"),
        Case(f16[6], f16[6], axis=0, norm="ortho", smooth=False),
        Case(f32[3, 0], f32[3, 0], axis=1, norm="backward"),
    )
    rejects = (
        Reject(i32[3], i32[3], axis=0, norm="backward", message="needs a floating input, got"),
        Reject(f32[3], f64[3], axis=0, norm="backward", message="dtypes differ: f32 and f64"),
        Reject(f32[3], f32[1], axis=0, norm="backward", message="is f32[3], the imaginary part"),
        Reject(f32[3], f32[3], axis=1, norm="backward", message="axis 1 is out of range"),
        Reject(f32[3], f32[3], axis=0, norm="half", message="the norm is 'half'"),
    )


@register
class Ifft(_Transform, Composite):
    """The inverse of `fft`: x[j] = c' Σ X[k] exp(2πi jk/n).

    It is `fft` with the real and imaginary parts exchanged, before and after. Its gradient is
    c' Σ g[k] exp(-2πi jk/n).
    """

    name = "ifft"

    def infer(self, real: TensorType, imag: TensorType) -> tuple[TensorType, TensorType]:
        self.check(real, imag)
        return real, real

    def decompose(self, real: Tensor, imag: Tensor) -> Pair:
        out_imag, out = Fft(self.axis, _OPPOSITE[self.norm]).apply(imag, real)
        return out, out_imag

    cases = Fft.cases
    rejects = Fft.rejects


@register
class Rfft(_Transform):
    """The first half of the Fourier transform of a real signal: X[k] for k ≤ n/2.

    x:   floating, of size n along the axis
    out: real and imaginary parts, of size ⌊n/2⌋ + 1; the other half are conjugates of these

    d/dx[j] = c Σ g[k] cos(2π jk/n) - h[k] sin(2π jk/n), for the gradients g, h of the parts: an
    `irfft`, which counts all but the first and the middle k twice, of halves of them.
    """

    name = "rfft"

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        self.check(x, x)
        half = x.with_shape(with_size(x.shape, self.axis, floordiv(x.shape[self.axis], 2) + 1))
        return half, half

    def kernel(self, x: NDArray[Any]) -> Any:
        if not x.size:
            shape: Any = self.infer(TensorType(x.dtype, x.shape))[0].shape
            return np.zeros(shape, x.dtype), np.zeros(shape, x.dtype)
        return _parts(np.fft.rfft(_single(x), axis=self.axis, norm=self.norm), x.dtype)

    def gradient(
        self, x: Tensor, out: Tensor, out_imag: Tensor, g: Tensor | None, g_imag: Tensor | None
    ) -> Tensor:
        size = x.shape[self.axis]
        half = _inner(out, self.axis, size, 0.5)
        g, g_imag = _both(g, g_imag)
        return Irfft(self.axis, _OPPOSITE[self.norm], size)(g * half, g_imag * half)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> tuple[Tensor, ...]:
        return Rfft(self.axis + 1, self.norm).apply(x)

    def flops(self, x: TensorType) -> Size:
        return _flops(x, self.axis)

    cases = (
        Case(f32["n", 4], axis=1, norm="backward"),
        Case(f64["n", 2], axis=0, norm="ortho"),
        Case(f64[2, 5, 2], axis=1, norm="forward"),
        Case(f64[6], axis=0, norm="ortho"),
        Case(f16[6], axis=0, norm="backward", smooth=False),
    )
    rejects = (
        Reject(i32[3], axis=0, norm="backward", message="needs a floating input, got i32[3]"),
        Reject(f32[3], axis=1, norm="backward", message="axis 1 is out of range for rank 1"),
        Reject(f32[3], axis=0, norm="half", message="the norm is 'half'"),
    )


@register
class Irfft(_Transform):
    """The real signal of `size` whose transform begins with the given half: `rfft` inverted.

    real, imag: floating, of size ⌊size/2⌋ + 1 along the axis; the other half is taken to be the
                conjugates, so that the imaginary parts of the first and, if size is even, of the
                last make no difference
    out:        x[j] = c' Σ w[k] (real[k] cos(2π jk/size) - imag[k] sin(2π jk/size)), with w = 1 for
                the first k and for k = size/2, else 2

    The gradients of the parts are those of `rfft`, times w.
    """

    name = "irfft"

    size: Size

    def infer(self, real: TensorType, imag: TensorType) -> TensorType:
        self.check(real, imag)
        check_sizes((self.size,))
        expected = floordiv(self.size, 2) + 1
        if real.shape[self.axis] != expected:
            raise ShapeError(
                f"a signal of size {self.size} has {expected} numbers in its half transform, "
                f"not {real.shape[self.axis]}",
                hint="give as n the size of what was transformed",
            )
        return real.with_shape(with_size(real.shape, self.axis, self.size))

    def kernel(self, real: NDArray[Any], imag: NDArray[Any]) -> Any:
        shape: Any = with_size(real.shape, self.axis, evaluate(self.size, {}))
        if 0 in shape:
            return np.zeros(shape, real.dtype)
        half, size = _complex(real, imag), shape[self.axis]
        return np.fft.irfft(half, size, axis=self.axis, norm=self.norm).astype(real.dtype)

    def gradient(self, real: Tensor, imag: Tensor, out: Tensor, g: Tensor) -> Pair:
        parts = Rfft(self.axis, _OPPOSITE[self.norm]).apply(g)
        twice = _inner(real, self.axis, self.size, 2.0)
        return parts[0] * twice, parts[1] * twice

    def batch(self, mapped: Sequence[bool], *parts: Tensor) -> Tensor:
        return Irfft(self.axis + 1, self.norm, self.size)(*in_front(mapped, parts))

    def flops(self, real: TensorType, imag: TensorType) -> Size:
        return _flops(self.infer(real, imag), self.axis)

    cases = (
        Case(f32["n", 3], f32["n", 3], size=4, axis=1, norm="backward"),
        Case(f64[3, "n"], f64[3, "n"], size=5, axis=0, norm="ortho"),
        Case(_HALF, _HALF, size=dim("n"), axis=0, norm="forward"),
        Case(f64[4], f64[4], size=7, axis=0, norm="backward"),
        Case(f16[4], f16[4], size=6, axis=0, norm="ortho", smooth=False),
        Case(f64[1, 2], f64[1, 2], size=0, axis=0, norm="backward"),
    )
    rejects = (
        Reject(f32[3], f32[3], size=6, axis=0, norm="backward", message="size 6 has 4 numbers"),
        Reject(f32[3], f32[2], size=4, axis=0, norm="backward", message="the imaginary part f32"),
        Reject(f32[3], f32[3], size=-1, axis=0, norm="backward", message="can't be negative"),
        Reject(f32[3], f32[3], size=4, axis=0, norm="half", message="the norm is 'half'"),
        Reject(i32[3], i32[3], size=4, axis=0, norm="ortho", message="needs a floating input"),
    )


def with_size(shape: Shape, axis: int, size: Size) -> Shape:
    """`shape` with another size along `axis`."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def _complex(real: NDArray[Any], imag: NDArray[Any]) -> NDArray[Any]:
    """One complex array; in parts, since i·inf would have a real part too."""
    whole = np.empty(real.shape, np.complex128 if real.dtype.itemsize == 8 else np.complex64)
    whole.real, whole.imag = real, imag
    return whole


def _parts(whole: NDArray[Any], dtype: DType) -> tuple[NDArray[Any], NDArray[Any]]:
    return whole.real.astype(dtype), whole.imag.astype(dtype)


def _single(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(float32) if x.dtype.itemsize == 2 else x


def _both(g: Tensor | None, g_imag: Tensor | None) -> Pair:
    """The gradients of both parts: zeros for that of an output that nothing uses."""
    if g is None:
        assert g_imag is not None
        return zeros_like(g_imag), g_imag
    return g, zeros_like(g) if g_imag is None else g_imag


def _inner(half: Tensor, axis: int, size: Size, factor: float) -> Tensor:
    """`factor` for each k that a half transform stands for twice, 1 for k = 0 and k = size/2."""
    k = arange(half.shape[axis])
    factors = where(logical_or(equal(k, 0), equal(2 * k, size)), 1.0, factor)
    shape = (half.shape[axis], *(1,) * (half.ndim - axis - 1))
    return reshape(factors, shape).astype(half.dtype)


def _flops(x: TensorType, axis: int) -> Size:
    """About 5 n log₂ n for each signal; a size that is not known counts as a thousand."""
    size = x.shape[axis]
    return 5 * (size.bit_length() if isinstance(size, int) else 10) * x.size


@builder
def fft(
    real: TensorLike,
    imag: TensorLike | None = None,
    n: Size | None = None,
    axis: int = -1,
    norm: Norm = "backward",
) -> Pair:
    """The Fourier transform along `axis`: its real and its imaginary part; see `Fft`.

    imag: zeros unless given
    n:    the signal is cut or filled with zeros to this size; its own unless given
    norm: "backward", "ortho" or "forward", as in NumPy
    """
    parts, place = _signal(real, imag, n, axis)
    out, out_imag = Fft(place, norm).apply(*parts)
    return out, out_imag


@builder
def ifft(
    real: TensorLike,
    imag: TensorLike | None = None,
    n: Size | None = None,
    axis: int = -1,
    norm: Norm = "backward",
) -> Pair:
    """The inverse of `fft`, with the same arguments; see `Ifft`."""
    parts, place = _signal(real, imag, n, axis)
    out, out_imag = Ifft(place, norm).apply(*parts)
    return out, out_imag


@builder
def rfft(x: TensorLike, n: Size | None = None, axis: int = -1, norm: Norm = "backward") -> Pair:
    """The first half of the Fourier transform of a real signal, in two parts; see `Rfft`.

    n, norm: as for `fft`
    """
    tensor = as_floating(x)
    place = normalize_axis(axis, tensor.ndim)
    out, out_imag = Rfft(place, norm).apply(resized(tensor, n, place))
    return out, out_imag


@builder
def irfft(
    real: TensorLike,
    imag: TensorLike | None = None,
    n: Size | None = None,
    axis: int = -1,
    norm: Norm = "backward",
) -> Tensor:
    """The real signal of size `n` that a half transform is of; see `Irfft`.

    n: 2 (m - 1) for parts of size m unless given; give it where it is odd. The parts are cut or
       filled with zeros to fit

    Raises ShapeError when the parts are empty and n is not given.
    """
    parts, place = _signal(real, imag, None, axis)
    have = parts[0].shape[place]
    if n is None and have == 0:
        raise ShapeError(f"axis {place} is empty, so that no size follows", hint="give n")
    size = 2 * (have - 1) if n is None else n
    need = have if n is None else floordiv(size, 2) + 1
    return Irfft(place, norm, size)(*(resized(part, need, place) for part in parts))


def pair_of(real: TensorLike, imag: TensorLike | None) -> Pair:
    """Both parts, floating and of one dtype."""
    if imag is None:
        tensor = as_floating(real)
        return tensor, zeros_like(tensor)
    first, second = promoted(as_floating(real), as_floating(imag))
    if first.shape != second.shape:
        raise ShapeError(
            f"the real part is {first.type}, the imaginary part {second.type}",
            hint="both parts have the same shape",
        )
    return first, second


def _signal(
    real: TensorLike, imag: TensorLike | None, n: Size | None, axis: int
) -> tuple[Pair, int]:
    """Both parts of size n along `axis`, and that axis counted from the front."""
    parts = pair_of(real, imag)
    place = normalize_axis(axis, parts[0].ndim)
    return (resized(parts[0], n, place), resized(parts[1], n, place)), place


def resized(x: Tensor, n: Size | None, axis: int) -> Tensor:
    """`x` cut, or filled with zeros at the end, to size `n` along `axis`."""
    size = x.shape[axis]
    if n is None or n == size:
        return x
    check_sizes((n,))
    more = positive(n - size)
    if more != 0:
        x = pad(x, [(0, more if i == axis else 0) for i in range(x.ndim)])
    if x.shape[axis] == n:
        return x
    return slice(x, (None,) * (axis + 1), (*(None,) * axis, n))
