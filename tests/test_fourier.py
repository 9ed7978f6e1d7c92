"""Fourier transforms beside NumPy's, and signals through windows and back."""

from __future__ import annotations

import numpy as np
import pytest
from support.running import value, values

import graphwright as gw
from graphwright import ops
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError

RANDOM = np.random.default_rng(3)
REAL, IMAG = RANDOM.normal(size=(2, 3, 4, 5))
SIGNAL = REAL + 1j * IMAG
NORMS = ["backward", "ortho", "forward"]


def whole(parts, arrays=None):
    """A pair of tensors as one complex array."""
    real, imag = values(list(parts), arrays or {})
    return real + 1j * imag


def assert_near(actual, wanted):
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 1, 3, 5, 8])
@pytest.mark.parametrize("axis", [0, -1])
def test_transforms_agree_with_numpy(axis, n, norm):
    options = {"n": n, "axis": axis, "norm": norm}
    assert_near(whole(ops.fft(REAL, IMAG, **options)), np.fft.fft(SIGNAL, **options))
    assert_near(whole(ops.fft(REAL, **options)), np.fft.fft(REAL, **options))
    assert_near(whole(ops.ifft(REAL, IMAG, **options)), np.fft.ifft(SIGNAL, **options))
    assert_near(whole(ops.rfft(REAL, **options)), np.fft.rfft(REAL, **options))
    assert_near(value(ops.irfft(REAL, IMAG, **options)), np.fft.irfft(SIGNAL, **options))
    assert_near(value(ops.irfft(REAL, **options)), np.fft.irfft(REAL, **options))


@pytest.mark.parametrize("norm", NORMS)
def test_transforms_over_several_axes_agree_with_numpy(norm):
    for axes in (None, (0, 2), 1, ()):
        taken = axes if axes is None else np.atleast_1d(np.array(axes, int)).tolist()
        numpy = {"axes": taken, "norm": norm} if taken != [] else None
        forth = whole(ops.fftn(REAL, IMAG, axes=axes, norm=norm))
        back = whole(ops.ifftn(REAL, IMAG, axes=axes, norm=norm))
        assert_near(forth, np.fft.fftn(SIGNAL, **numpy) if numpy else SIGNAL)
        assert_near(back, np.fft.ifftn(SIGNAL, **numpy) if numpy else SIGNAL)
    assert_near(whole(ops.fft2(REAL, IMAG, norm=norm)), np.fft.fft2(SIGNAL, norm=norm))
    assert_near(whole(ops.ifft2(REAL, norm=norm)), np.fft.ifft2(REAL, norm=norm))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_parts_keep_their_dtype_and_its_precision(dtype):
    x = RANDOM.normal(size=64).astype(dtype)
    wanted = np.fft.fft(x.astype(np.float64))
    tolerance = 8 * np.finfo(dtype).eps * np.abs(wanted).max()
    for parts in (ops.fft(x), ops.rfft(x), ops.ifft(*ops.fft(x))):
        assert {part.dtype for part in parts} == {np.dtype(dtype)}
    assert np.abs(whole(ops.fft(x)) - wanted).max() < tolerance
    assert np.abs(whole(ops.rfft(x)) - wanted[:33]).max() < tolerance
    assert ops.irfft(*ops.rfft(x)).dtype == dtype
    assert np.abs(value(ops.irfft(*ops.rfft(x))) - x).max() < tolerance


def test_integers_become_floats_and_infinities_stay_in_their_part():
    assert ops.fft([1, 2, 3])[0].dtype == np.float64
    real, imag = values(list(ops.fft(np.zeros(2), [np.inf, 0.0])), {})
    assert real.tolist() == [0, 0] and imag.tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_sizes_may_be_symbolic(size):
    x = gw.input("x", (2, "n"), "float64")
    n = x.shape[1]
    given = {x: RANDOM.normal(size=(2, size))}
    array = given[x]
    assert_near(whole(ops.fft(x), given), np.fft.fft(array))
    half = ops.rfft(x)
    assert_near(whole(half, given), np.fft.rfft(array))
    assert_near(value(ops.irfft(*half, n=n), given), array)
    assert_near(whole(ops.fft(x, n=4), given), np.fft.fft(array, 4))
    assert_near(whole(ops.rfft(x, n=2 * n - 1), given), np.fft.rfft(array, 2 * size - 1))
    assert_near(value(ops.fftshift(x), given), np.fft.fftshift(array))
    assert_near(value(ops.fftfreq(n, 0.5, "float64"), given), np.fft.fftfreq(size, 0.5))
    hann = np.hanning(size + 1)[:size] if size > 1 else np.ones(1)
    assert_near(value(ops.hann_window(n, dtype="float64"), given), hann)
    # The default size of the inverse, and its gradient.
    signal = ops.irfft(x, n=2 * n - 1)
    assert_near(value(signal, given), np.fft.irfft(array, 2 * size - 1))
    slope = value(grad((signal * signal).sum() / 2, x), given)
    k = np.eye(size)
    waves = np.fft.irfft(k, 2 * size - 1)
    assert_near(slope, np.fft.irfft(array, 2 * size - 1) @ waves.T)


def test_the_gradient_by_one_part_alone_is_that_of_the_sum():
    x = gw.input("x", (7,), "float64")
    given = {x: RANDOM.normal(size=7)}
    weights = RANDOM.normal(size=7)
    angles = 2 * np.pi * np.outer(np.arange(7), np.arange(7)) / 7
    real, imag = ops.fft(x)
    assert_near(value(grad((real * weights).sum(), x), given), np.cos(angles) @ weights)
    assert_near(value(grad((imag * weights).sum(), x), given), -np.sin(angles) @ weights)
    real, imag = ops.rfft(x)
    half = weights[:4]
    assert_near(value(grad((real * half).sum(), x), given), np.cos(angles[:, :4]) @ half)
    assert_near(value(grad((imag * half).sum(), x), given), -np.sin(angles[:, :4]) @ half)


def test_energy_is_kept_and_its_gradient_is_the_signal():
    x = gw.input("x", (3, 8), "float64")
    real, imag = ops.fft(x, norm="ortho")
    energy = (real * real + imag * imag).sum() / 2
    given = {x: RANDOM.normal(size=(3, 8))}
    f = gw.compile(x, [energy, grad(energy, x)])
    compiled, slope = f(given[x])
    np.testing.assert_allclose(compiled, (given[x] ** 2).sum() / 2)
    np.testing.assert_allclose(slope, given[x], rtol=1e-12)


def test_convolution_is_a_product_of_transforms():
    x, kernel = RANDOM.normal(size=20), RANDOM.normal(size=5)
    (a, b), (c, d) = ops.rfft(x, 24), ops.rfft(kernel, 24)
    product = ops.irfft(a * c - b * d, a * d + b * c, 24)
    assert_near(value(product), np.convolve(x, kernel))


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_frequencies_and_shifts_agree_with_numpy(n):
    assert_near(value(ops.fftfreq(n, 0.25, "float64")), np.fft.fftfreq(n, 0.25))
    assert_near(value(ops.rfftfreq(n, 0.25, "float64")), np.fft.rfftfreq(n, 0.25))
    assert ops.fftfreq(n).dtype == np.float32
    x = np.arange(n * 3.0).reshape(n, 3)
    for axes in (None, 0, (0, 1)):
        assert_near(value(ops.fftshift(x, axes)), np.fft.fftshift(x, axes))
        assert_near(value(ops.ifftshift(x, axes)), np.fft.ifftshift(x, axes))
        assert_near(value(ops.ifftshift(ops.fftshift(x, axes), axes)), x)


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8])
@pytest.mark.parametrize(
    ("window", "numpy"),
    [
        (ops.hann_window, np.hanning),
        (ops.hamming_window, np.hamming),
        (ops.blackman_window, np.blackman),
    ],
)
def test_windows_agree_with_numpy(window, numpy, size):
    assert_near(value(window(size, False, "float64")), numpy(size))
    periodic = numpy(size + 1)[:size] if size > 1 else np.ones(size)
    assert_near(value(window(size, dtype="float64")), periodic)
    assert window(size).dtype == np.float32


def test_a_single_place_of_symbolic_size_is_seen_whole():
    x = gw.input("x", ("n",))
    for periodic in (True, False):
        window = ops.hann_window(x.shape[0], periodic)
        assert value(window, {x: np.zeros(1, np.float32)}).tolist() == [1]
        assert value(window, {x: np.zeros(0, np.float32)}).tolist() == []


@pytest.mark.parametrize(("length", "hop"), [(16, 4), (15, 5), (8, 8), (8, 3)])
def test_short_time_transforms_lead_back_to_the_signal(length, hop):
    x = gw.input("x", (2, "n"), "float64")
    window = ops.hamming_window(length, dtype="float64")
    real, imag = ops.stft(x, window, hop)
    again = ops.istft(real, imag, window, hop)
    given = {x: RANDOM.normal(size=(2, 50))}
    forth, back = whole((real, imag), given), value(again, given)
    frames = (50 - length) // hop + 1
    assert forth.shape == (2, frames, length // 2 + 1)
    seen = (frames - 1) * hop + length
    assert_near(back, given[x][:, :seen])
    # One frame is one transform.
    third = given[x][:, 2 * hop : 2 * hop + length] * np.hamming(length + 1)[:length]
    assert_near(forth[:, 2], np.fft.rfft(third))


def test_what_no_window_sees_is_0():
    window = np.array([0.0, 1.0, 1.0, 0.0])
    x = np.arange(1.0, 9.0)
    back = ops.istft(*ops.stft(x, window, 4), window, 4)
    assert_near(value(back), np.array([0, 2, 3, 0, 0, 6, 7, 0.0]))


def test_a_tone_stands_where_its_frequency_is():
    rate, tone = 8000, 1000
    x = np.sin(2 * np.pi * tone * np.arange(2000) / rate)
    real, imag = ops.stft(x, ops.hann_window(256, dtype="float64"), 128)
    loudest = value(ops.argmax(ops.square(real) + ops.square(imag), -1))
    frequencies = value(ops.rfftfreq(256, 1 / rate, "float64"))
    assert (frequencies[loudest] == tone).all()


def test_what_can_not_be_transformed_is_refused():
    x = gw.input("x", (3,))
    for transform in (ops.fft, ops.ifft):
        with pytest.raises(ShapeError, match=r"the real part is f32\[3\], the imaginary part"):
            transform(x, gw.input("y", (4,)))
    with pytest.raises(AttributeValueError, match="the norm is 'unitary'"):
        ops.rfft(x, norm="unitary")
    with pytest.raises(AttributeValueError, match="axis 1 is out of range for rank 1"):
        ops.fft(x, axis=1)
    with pytest.raises(ShapeError, match="a size can't be negative, got -2"):
        ops.rfft(x, -2)
    with pytest.raises(ShapeError, match="axis 0 is empty, so that no size follows"):
        ops.irfft(gw.input("empty", (0,)))
    with pytest.raises(AttributeValueError, match="a signal has a size of at least 1, got 0"):
        ops.fftfreq(0)
    with pytest.raises(AttributeValueError, match="the spacing must be more than 0, got 0"):
        ops.rfftfreq(3, 0)
    with pytest.raises(AttributeValueError, match="an axis is named twice"):
        ops.fftn(gw.input("x", (3, 3)), axes=(0, -2))
    with pytest.raises(DTypeError, match="gives floating numbers, not i64"):
        ops.hann_window(4, dtype="int64")
    with pytest.raises(ShapeError, match="a size can't be negative, got -1"):
        ops.hann_window(-1)
