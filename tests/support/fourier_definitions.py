"""What Fourier transforms give, by the sums that define them."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]

# norm: the factors of the transform and of its inverse, for a size
FACTORS = {
    "backward": lambda n: (1.0, 1 / n),
    "ortho": lambda n: (1 / math.sqrt(n), 1 / math.sqrt(n)),
    "forward": lambda n: (1 / n, 1.0),
}


def transformed(signal: list[complex], sign: int, factor: float, count: int) -> list[complex]:
    """factor Σ signal[j] exp(sign 2πi jk/n) for k < count, summed exactly."""
    n = len(signal)
    out = []
    for k in range(count):
        # jk is taken modulo n first, which keeps the angle's digits.
        terms = [x * cmath.exp(sign * 2j * math.pi * (j * k % n) / n) for j, x in enumerate(signal)]
        total = complex(math.fsum(t.real for t in terms), math.fsum(t.imag for t in terms))
        out.append(factor * total)
    return out


def along(
    axis: int, size: int, define: Callable[[list[complex]], list[complex]], *parts: np.ndarray
) -> Pair:
    """`define` of every line along the axis, to lines of `size`."""
    whole = parts[0] + (1j * parts[1] if len(parts) > 1 else 0)
    moved = np.moveaxis(whole, axis, -1)
    out = np.zeros((*moved.shape[:-1], size), complex)
    for index in np.ndindex(*moved.shape[:-1]):
        out[index] = define(moved[index].tolist())
    out = np.moveaxis(out, -1, axis)
    return out.real, out.imag


def fft(real: np.ndarray, imag: np.ndarray, axis: int, norm: str) -> Pair:
    n = real.shape[axis]
    factor = FACTORS[norm](n or 1)[0]
    return along(axis, n, lambda line: transformed(line, -1, factor, n), real, imag)


def ifft(real: np.ndarray, imag: np.ndarray, axis: int, norm: str) -> Pair:
    n = real.shape[axis]
    factor = FACTORS[norm](n or 1)[1]
    return along(axis, n, lambda line: transformed(line, 1, factor, n), real, imag)


def rfft(x: np.ndarray, axis: int, norm: str) -> Pair:
    n = x.shape[axis]
    factor = FACTORS[norm](n or 1)[0]
    return along(axis, n // 2 + 1, lambda line: transformed(line, -1, factor, n // 2 + 1), x)


def irfft(real: np.ndarray, imag: np.ndarray, size: int, axis: int, norm: str) -> np.ndarray:
    """By the whole transform, whose second half are conjugates of the first."""

    def define(half: list[complex]) -> list[complex]:
        if not size:
            return []
        rest = [half[size - k].conjugate() for k in range(size // 2 + 1, size)]
        whole = [complex(half[0].real), *half[1:], *rest]
        if size % 2 == 0:
            whole[size // 2] = complex(half[size // 2].real)
        return transformed(whole, 1, FACTORS[norm](size)[1], size)

    return along(axis, size, define, real, imag)[0]


def stft(x: np.ndarray, window: np.ndarray, hop: int) -> Pair:
    length = len(window)
    frames = (x.shape[-1] - length) // hop + 1
    out = np.zeros((*x.shape[:-1], frames, length // 2 + 1), complex)
    for *lead, t in np.ndindex(*x.shape[:-1], frames):
        seen = [x[(*lead, t * hop + j)].item() * window[j].item() for j in range(length)]
        out[(*lead, t)] = transformed(seen, -1, 1.0, length // 2 + 1)
    return out.real, out.imag


def istft(real: np.ndarray, imag: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    length, frames = len(window), real.shape[-2]
    size = (frames - 1) * hop + length
    signals = irfft(real, imag, length, real.ndim - 1, "backward")
    out = np.zeros((*real.shape[:-2], size))
    for *lead, n in np.ndindex(*out.shape):
        looks = [(t, n - t * hop) for t in range(frames) if 0 <= n - t * hop < length]
        weight = math.fsum(window[j].item() ** 2 for _, j in looks)
        total = math.fsum(window[j].item() * signals[(*lead, t, j)].item() for t, j in looks)
        out[(*lead, n)] = total / weight if weight else 0.0
    return out


definitions: dict[str, Callable[..., Any]] = {
    "fft": fft,
    "ifft": ifft,
    "irfft": irfft,
    "istft": istft,
    "rfft": rfft,
    "stft": stft,
}
