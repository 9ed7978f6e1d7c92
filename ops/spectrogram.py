"""Short-time Fourier transforms, and the windows that they look through."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from graphwright.graph.dim import Dim, Size, dim, floordiv
from graphwright.graph.dtype import as_dtype, float32, float64, is_floating, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import square
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.creation import arange
from graphwright.ops.extremum import maximum
from graphwright.ops.fourier import Irfft, Pair, Rfft
from graphwright.ops.movement import broadcast_to
from graphwright.ops.selection import where
from graphwright.ops.shapes import check_sizes
from graphwright.ops.trigonometric import cos
from graphwright.ops.window import OverlapAdd, Windows

_TINY = 1e-11
"""Where squared windows add up to no more, nothing was seen of the signal."""


@register
class Stft(Composite):
    """The Fourier transforms of a signal's frames, each multiplied by a window.

    X[..., t, k] = Σ x[..., t·hop + j] window[j] exp(-2πi jk/length), k ≤ length/2 (J. B. Allen and
    L. R. Rabiner, A unified approach to short-time Fourier analysis and synthesis, Proc. IEEE 65,
    1977)

    x:      floating [..., size]
    window: [length], of x's dtype
    out:    real and imaginary parts, [..., frames, ⌊length/2⌋ + 1], of
            ⌊(size - length)/hop⌋ + 1 frames; what is left at the end is in none
    """

    name = "stft"

    hop: int

    def infer(self, x: TensorType, window: TensorType) -> tuple[TensorType, TensorType]:
        _check_hop(self.hop)
        _check_window(x, window, "x")
        frames = Windows(window.shape, (self.hop,), (1,)).infer(x)
        half = frames.with_shape((*frames.shape[:-1], floordiv(window.shape[0], 2) + 1))
        return half, half

    def decompose(self, x: Tensor, window: Tensor) -> Pair:
        frames = Windows(window.shape, (self.hop,), (1,))(x) * window
        real, imag = Rfft(frames.ndim - 1, "backward").apply(frames)
        return real, imag

    cases = (
        Case(f32["n", 9], f32[4], hop=2),
        Case(f64[dim("n") + 5], f64[5], hop=3),
        Case(f64[2, 2, 7], f64[3], hop=4),
        Case(f64[3], f64[3], hop=1),
        Case(f16[8], f16[4], hop=2, smooth=False),
    )
    rejects = (
        Reject(f32[9], f32[4], hop=0, message="the hop must be a whole number from 1, got 0"),
        Reject(f32[9], f64[4], hop=1, message="x is f32[9], the window f64[4]"),
        Reject(i32[9], i32[4], hop=1, message="needs a floating input, got i32[9]"),
        Reject(f32[9], f32[2, 2], hop=1, message="the window has rank 1, got f32[2,2]"),
        Reject(f32[3], f32[4], hop=1, message="does not fit in an axis of size 3"),
        Reject(f32[3], f32["n"], hop=1, message="the window's size must be a number from 1, got n"),
        Reject(f32[()], f32[4], hop=1, message="there is no axis"),
    )


@register
class Istft(Composite):
    """The signal whose short-time transforms are nearest to the given ones: `stft` inverted.

    x[n] = Σ_t window[n - t·hop] y_t[n - t·hop] / Σ_t window[n - t·hop]², where y_t is the inverse
    transform of frame t (D. W. Griffin and J. S. Lim, Signal estimation from modified short-time
    Fourier transform, IEEE Trans. ASSP 32, 1984, eq. 6); 0 where no window looks

    real, imag: floating [..., frames, ⌊length/2⌋ + 1]
    window:     [length], of their dtype
    out:        [..., (frames - 1)·hop + length]
    """

    name = "istft"

    hop: int

    def infer(self, real: TensorType, imag: TensorType, window: TensorType) -> TensorType:
        _check_hop(self.hop)
        _check_window(real, window, "the real part")
        if real.rank < 2:
            raise ShapeError(f"transforms are [..., frames, frequencies], got {real}")
        length = window.shape[0]
        frames = Irfft(real.rank - 1, "backward", length).infer(real, imag)
        return frames.with_shape((*frames.shape[:-2], self._size(frames.shape[-2], length)))

    def _size(self, frames: Size, length: Size) -> Size:
        size = (frames - 1) * self.hop + length
        check_sizes((size,))
        if frames == 0:
            raise ShapeError("there are no frames, so that no size follows")
        return size

    def decompose(self, real: Tensor, imag: Tensor, window: Tensor) -> Tensor:
        length = window.shape[0]
        frames = Irfft(real.ndim - 1, "backward", length)(real, imag) * window
        add = OverlapAdd((self._size(real.shape[-2], length),), (self.hop,), (1,))
        weights = add(broadcast_to(square(window), (real.shape[-2], length)))
        seen = weights > _TINY
        return where(seen, add(frames) / where(seen, weights, 1), 0)

    cases = (
        Case(f32["n", 3, 3], f32["n", 3, 3], Within(f32[4], 0.5, 1), hop=2),
        Case(f64[dim("n") + 1, 3], f64[dim("n") + 1, 3], Within(f64[5], 0.5, 1), hop=3),
        Case(f64[2, 2, 2, 2], f64[2, 2, 2, 2], Within(f64[3], 0.5, 1), hop=2),
        Case(f64[2, 3], f64[2, 3], [0.0, 1.0, 1.0, 1.0], hop=4, smooth=(0, 1)),
    )
    rejects = (
        Reject(f32[2, 3], f32[2, 3], f32[4], hop=0, message="a whole number from 1, got 0"),
        Reject(f32[2, 3], f32[2, 3], f64[4], hop=1, message="the window f64[4]"),
        Reject(f32[2, 3], f32[2, 3], f32[6], hop=1, message="size 6 has 4 numbers in its half"),
        Reject(f32[3], f32[3], f32[4], hop=1, message="transforms are [..., frames, freq"),
        Reject(f32[0, 3], f32[0, 3], f32[4], hop=1, message="there are no frames"),
        Reject(i32[2, 3], i32[2, 3], i32[4], hop=1, message="needs a floating input"),
    )


def _check_hop(hop: object) -> None:
    if isinstance(hop, bool) or not isinstance(hop, int) or hop < 1:
        raise AttributeValueError(f"the hop must be a whole number from 1, got {hop!r}")


def _check_window(x: TensorType, window: TensorType, what: str) -> None:
    """Raise unless `window` is one, of x's dtype."""
    check_floating(x)
    if window.dtype != x.dtype:
        raise DTypeError(f"{what} is {x}, the window {window}", hint="cast one of them")
    if window.rank != 1:
        raise ShapeError(f"the window has rank 1, got {window}")
    if isinstance(window.shape[0], Dim) or window.shape[0] < 1:
        raise ShapeError(f"the window's size must be a number from 1, got {window.shape[0]}")
    if not x.rank:
        raise ShapeError(f"there is no axis to look along in {x}")


@builder
def stft(x: TensorLike, window: TensorLike, hop: int) -> Pair:
    """The Fourier transforms of frames of `x`, `hop` apart, through a window; see `Stft`.

    window: such as `hann_window(400)`; its size is that of a frame. To look at the ends too, pad x
            first

    >>> real, imag = stft(x, hann_window(400), 160)
    """
    tensor = as_floating(x)
    real, imag = Stft(hop).apply(tensor, as_tensor(window, tensor.dtype))
    return real, imag


@builder
def istft(real: TensorLike, imag: TensorLike, window: TensorLike, hop: int) -> Tensor:
    """The signal that `stft` gives these transforms of; see `Istft`."""
    first = as_floating(real)
    others = as_tensor(imag, first.dtype), as_tensor(window, first.dtype)
    return Istft(hop)(first, *others)


@builder
def hann_window(size: Size, periodic: bool = True, dtype: DTypeLike = float32) -> Tensor:
    """½ - ½ cos(2πj/n) for j < size: J. von Hann's raised cosine.

    size:     may be symbolic
    periodic: n = size, for transforms; else n = size - 1, which is symmetric, as in NumPy

    R. B. Blackman and J. W. Tukey, The measurement of power spectra, Bell System Technical
    Journal 37, 1958, appendix B.5; this, and the other two windows.
    """
    return _cosines(size, periodic, dtype, (0.5, -0.5))


@builder
def hamming_window(size: Size, periodic: bool = True, dtype: DTypeLike = float32) -> Tensor:
    """0.54 - 0.46 cos(2πj/n) for j < size, by R. W. Hamming; as `hann_window`."""
    return _cosines(size, periodic, dtype, (0.54, -0.46))


@builder
def blackman_window(size: Size, periodic: bool = True, dtype: DTypeLike = float32) -> Tensor:
    """0.42 - 0.5 cos(2πj/n) + 0.08 cos(4πj/n) for j < size; as `hann_window`."""
    return _cosines(size, periodic, dtype, (0.42, -0.5, 0.08))


def _cosines(size: Size, periodic: bool, dtype: DTypeLike, weights: tuple[float, ...]) -> Tensor:
    """Σ weights[i] cos(2πij/n); 1 where there is one place alone. Computed in float64."""
    kind = as_dtype(dtype)
    if not is_floating(kind):
        raise DTypeError(f"gives floating numbers, not {short_name(kind)}")
    check_sizes((size,))
    span = as_tensor(size if periodic else size - 1, float64)
    turns = arange(size, dtype=float64) * (2 * math.pi) / maximum(span, 1)
    window = as_tensor(np.float64(weights[0]))
    for i, weight in enumerate(weights[1:], 1):
        window = window + weight * cos(i * turns)
    return cast(where(as_tensor(size, float64) > 1, window, 1), kind)
