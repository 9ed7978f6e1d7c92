"""Fourier transforms over several axes, and the frequencies that they are made of."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import DTypeLike

from graphwright.graph.dim import Size, floordiv
from graphwright.graph.dtype import as_dtype, float32
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.creation import arange
from graphwright.ops.fourier import Fft, Ifft, Norm, Pair, pair_of
from graphwright.ops.joining import concatenate
from graphwright.ops.selection import where
from graphwright.ops.shapes import normalize_axes
from graphwright.ops.slicing import slice


@builder
def fftn(
    real: TensorLike,
    imag: TensorLike | None = None,
    axes: Axis = None,
    norm: Norm = "backward",
) -> Pair:
    """The Fourier transform along several axes (None for all), one after the other; see `Fft`."""
    return _over(Fft, pair_of(real, imag), axes, norm)


@builder
def ifftn(
    real: TensorLike,
    imag: TensorLike | None = None,
    axes: Axis = None,
    norm: Norm = "backward",
) -> Pair:
    """The inverse of `fftn`, with the same arguments."""
    return _over(Ifft, pair_of(real, imag), axes, norm)


@builder
def fft2(real: TensorLike, imag: TensorLike | None = None, norm: Norm = "backward") -> Pair:
    """The Fourier transform along the last two axes; see `fftn`."""
    return _over(Fft, pair_of(real, imag), (-2, -1), norm)


@builder
def ifft2(real: TensorLike, imag: TensorLike | None = None, norm: Norm = "backward") -> Pair:
    """The inverse of `fft2`, with the same arguments."""
    return _over(Ifft, pair_of(real, imag), (-2, -1), norm)


def _over(op: type[Fft] | type[Ifft], parts: Pair, axes: Axis, norm: Norm) -> Pair:
    for place in reversed(normalize_axes(axes, parts[0].ndim)):
        real, imag = op(place, norm).apply(*parts)
        parts = real, imag
    return parts


@builder
def fftfreq(n: Size, spacing: float = 1.0, dtype: DTypeLike = float32) -> Tensor:
    """The frequencies of the `n` numbers of a transform: 0, 1, … n/2 - 1, -n/2, … -1, by n·spacing.

    n:       the size of the signal; may be symbolic
    spacing: from one sample to the next, so that frequencies are in cycles per its unit
    """
    _check(n, spacing)
    k = arange(n)
    signed = where(2 * k < n, k, k - n)
    return cast(signed, dtype) * (1 / spacing) / as_tensor(n, as_dtype(dtype))


@builder
def rfftfreq(n: Size, spacing: float = 1.0, dtype: DTypeLike = float32) -> Tensor:
    """The frequencies of the ⌊n/2⌋ + 1 numbers of a half transform; arguments as of `fftfreq`."""
    _check(n, spacing)
    k = arange(floordiv(n, 2) + 1, dtype=dtype)
    return k * (1 / spacing) / as_tensor(n, as_dtype(dtype))


def _check(n: Size, spacing: float) -> None:
    if isinstance(n, int) and n < 1:
        raise AttributeValueError(f"a signal has a size of at least 1, got {n}")
    if not spacing > 0:
        raise AttributeValueError(f"the spacing must be more than 0, got {spacing}")


@builder
def fftshift(x: TensorLike, axes: Axis = None) -> Tensor:
    """`x` with frequency 0 in the middle: each axis rolled by half of its size (None for all)."""
    tensor = as_tensor(x)
    for place in normalize_axes(axes, tensor.ndim):
        size = tensor.shape[place]
        tensor = _exchanged(tensor, size - floordiv(size, 2), place)
    return tensor


@builder
def ifftshift(x: TensorLike, axes: Axis = None) -> Tensor:
    """The inverse of `fftshift`."""
    tensor = as_tensor(x)
    for place in normalize_axes(axes, tensor.ndim):
        tensor = _exchanged(tensor, floordiv(tensor.shape[place], 2), place)
    return tensor


def _exchanged(x: Tensor, middle: Size, axis: int) -> Tensor:
    """What is from `middle` on along an axis, then what is before."""
    before: Sequence[None] = (None,) * axis
    after = slice(x, (*before, middle), (*before, None))
    return concatenate([after, slice(x, (*before, 0), (*before, middle))], axis)
