"""What random operators give, number by number, in whole numbers and by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Index = tuple[int, ...]
inf, nan = math.inf, math.nan


# The inverses of the error function and of the normal distribution.


def bisected(function: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Where the rising `function` reaches `value`."""
    while low < (middle := (low + high) / 2) < high:
        if function(middle) < value:
            low = middle
        else:
            high = middle
    return middle


def erf_reaches(value: float, complement: float) -> float:
    """The x ≥ 0 with erf(x) = value = 1 - complement."""
    if complement == 0:
        return inf
    if value < 0.5:
        return value and bisected(math.erf, value, min(value / 2, 0.5), 2 * value)
    return bisected(lambda x: -math.erfc(x), -complement, 0, 30)


def erfinv(x: float) -> float:
    if math.isnan(x) or abs(x) > 1:
        return nan
    return math.copysign(erf_reaches(abs(x), 1 - abs(x)), x)


def ndtri(x: float) -> float:
    if math.isnan(x) or not 0 <= x <= 1:
        return nan
    tail = min(x, 1 - x)
    return math.copysign(math.sqrt(2) * erf_reaches(1 - 2 * tail, 2 * tail), x - 0.5)


# Keys and bits.

MASK = 2**32 - 1


def philox_block(key: int, counter: int) -> list[int]:
    """Philox 4x32-10 in whole numbers, as its authors' paper writes it."""
    words = [counter >> 32 * i & MASK for i in range(4)]
    keys = [key & MASK, key >> 32]
    for _ in range(10):
        high = [words[0] * 0xD2511F53 >> 32, words[2] * 0xCD9E8D57 >> 32]
        low = [words[0] * 0xD2511F53 & MASK, words[2] * 0xCD9E8D57 & MASK]
        words = [high[1] ^ words[1] ^ keys[0], low[1], high[0] ^ words[3] ^ keys[1], low[0]]
        keys = [keys[0] + 0x9E3779B9 & MASK, keys[1] + 0xBB67AE85 & MASK]
    return words


def bits_of(key: np.ndarray, i: int, size: int) -> int:
    """Number `i` of a key's numbers of `size` bits."""
    seed, stream = key.tolist()
    if size == 32:
        return philox_block(seed, (stream << 64) + i // 4)[i % 4]
    return bits_of(key, 2 * i, 32) << 32 | bits_of(key, 2 * i + 1, 32)


def drawn(key: np.ndarray, shape: Index, number: Callable[[np.ndarray, int], Any]) -> np.ndarray:
    """For each key, `number(key, i)` for each i in the C order of `shape`."""
    out = np.empty((*key.shape[:-1], *shape), object)
    for lead in np.ndindex(*key.shape[:-1]):
        for i, index in enumerate(np.ndindex(*shape)):
            out[(*lead, *index)] = number(key[lead], i)
    return out


def random_bits(key: np.ndarray, shape: Index, dtype: np.dtype) -> np.ndarray:
    return drawn(key, shape, lambda one, i: bits_of(one, i, 8 * dtype.itemsize))


def random_fold_in(key: np.ndarray, data: np.ndarray) -> np.ndarray:
    shape = np.broadcast_shapes(key.shape[:-1], data.shape)
    keys, numbers = np.broadcast_to(key, (*shape, 2)), np.broadcast_to(data, shape)
    out = np.empty((*shape, 2), object)
    for index in np.ndindex(*shape):
        seed, stream = keys[index].tolist()
        block = 2**63 + int(numbers[index]) % 2**63
        a, b, c, d = philox_block(seed, (stream << 64) + block)
        out[index] = a + (b << 32), c + (d << 32)
    return out


def random_split(key: np.ndarray, count: int) -> np.ndarray:
    return random_fold_in(key[..., None, :], np.arange(count, dtype=np.uint64))


# Draws.

BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def width(dtype: np.dtype) -> int:
    return 64 if dtype.name == "float64" else 32


def uniform_number(key: np.ndarray, i: int, dtype: np.dtype) -> float:
    return (bits_of(key, i, width(dtype)) >> width(dtype) - BITS[dtype.name]) / 2 ** BITS[
        dtype.name
    ]


def random_uniform(key: np.ndarray, shape: Index, dtype: np.dtype) -> np.ndarray:
    return drawn(key, shape, lambda one, i: uniform_number(one, i, dtype))


def from_unit(quantile: Callable[[float], float]) -> Callable[..., np.ndarray]:
    """Numbers by a function of v in (0, 1], which is (bits + ½)/2³² or (bits + ½)/2⁶⁴."""

    def define(key: np.ndarray, shape: Index, dtype: np.dtype) -> np.ndarray:
        def number(one: np.ndarray, i: int) -> float:
            return quantile((bits_of(one, i, width(dtype)) + 0.5) / 2 ** width(dtype))

        return drawn(key, shape, number)

    return define


def from_sign(quantile: Callable[[float], float]) -> Callable[..., np.ndarray]:
    """The same, negative where the upper bit is 1, of v from the other bits."""

    def define(key: np.ndarray, shape: Index, dtype: np.dtype) -> np.ndarray:
        def number(one: np.ndarray, i: int) -> float:
            sign, rest = divmod(bits_of(one, i, width(dtype)), middle := 2 ** (width(dtype) - 1))
            return quantile((rest + 0.5) / middle) * (-1 if sign else 1)

        return drawn(key, shape, number)

    return define


def random_permutation(key: np.ndarray, size: int) -> np.ndarray:
    out = np.empty((*key.shape[:-1], size), object)
    for lead in np.ndindex(*key.shape[:-1]):
        out[lead] = sorted(range(size), key=lambda i: bits_of(key[lead], i, 64))
    return out


def dropout(x: np.ndarray, key: np.ndarray, rate: float) -> np.ndarray:
    shares = random_uniform(key, x.shape[key.ndim - 1 :], np.dtype(np.float32))
    return np.where(shares >= rate, x / (1 - rate), 0.0)


definitions: dict[str, Callable[..., Any]] = {
    "dropout": dropout,
    "erfinv": erfinv,
    "ndtri": ndtri,
    "random_bits": random_bits,
    "random_exponential": from_unit(lambda v: -math.log(v)),
    "random_fold_in": random_fold_in,
    "random_gumbel": from_unit(lambda v: -math.log(-math.log1p(-v))),
    "random_laplace": from_sign(lambda v: -math.log(v)),
    "random_normal": from_sign(lambda v: -ndtri(v / 2)),
    "random_permutation": random_permutation,
    "random_split": random_split,
    "random_uniform": random_uniform,
}
