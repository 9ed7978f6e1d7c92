"""Initial values of parameters, by the seed alone: NumPy arrays, float32 unless asked otherwise.

Without a seed they take the next one of the process, another each time (see `gw.random.seed`).

A kernel's last two sizes are its inputs and outputs; sizes before them are a receptive field, which
multiplies both. Every initializer is called alike, `initializer(shape, seed=…, dtype=…)`: the ones
that draw nothing take no notice of the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graphwright.graph.dim import Dim
from graphwright.graph.dtype import as_dtype, float32
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.source import here
from graphwright.nn.choose import choose
from graphwright.ops.keys import next_seed

Array: TypeAlias = NDArray[Any]
Initializer: TypeAlias = Callable[..., Array]


def zeros(shape: Sequence[int], *, seed: int | None = None, dtype: DTypeLike = float32) -> Array:
    """All 0."""
    return constant(shape, 0, dtype=dtype)


def ones(shape: Sequence[int], *, seed: int | None = None, dtype: DTypeLike = float32) -> Array:
    """All 1."""
    return constant(shape, 1, dtype=dtype)


def constant(
    shape: Sequence[int], value: float, *, seed: int | None = None, dtype: DTypeLike = float32
) -> Array:
    """All `value`."""
    return np.full(_sizes(shape), value, as_dtype(dtype))


def normal(
    shape: Sequence[int],
    mean: float = 0.0,
    std: float = 0.05,
    *,
    seed: int | None = None,
    dtype: DTypeLike = float32,
) -> Array:
    """Normal, with this mean and standard deviation."""
    drawn = _generator(seed).standard_normal(_sizes(shape))
    return np.asarray(mean + std * drawn, as_dtype(dtype))


def uniform(
    shape: Sequence[int],
    low: float = -0.05,
    high: float = 0.05,
    *,
    seed: int | None = None,
    dtype: DTypeLike = float32,
) -> Array:
    """Uniform from `low` to `high`."""
    drawn = _generator(seed).random(_sizes(shape))
    return np.asarray(low + (high - low) * drawn, as_dtype(dtype))


def glorot_uniform(
    shape: Sequence[int], *, seed: int | None = None, dtype: DTypeLike = float32
) -> Array:
    """Uniform within ±√(6 / (inputs + outputs)): for tanh, sigmoid and softmax.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010, equation 16.
    """
    inputs, outputs = fans(shape)
    return _within(shape, math.sqrt(6 / max(inputs + outputs, 1)), seed, dtype)


def glorot_normal(
    shape: Sequence[int], *, seed: int | None = None, dtype: DTypeLike = float32
) -> Array:
    """Normal with variance 2 / (inputs + outputs); Glorot and Bengio 2010, equation 12."""
    inputs, outputs = fans(shape)
    return normal(shape, 0, math.sqrt(2 / max(inputs + outputs, 1)), seed=seed, dtype=dtype)


def he_normal(
    shape: Sequence[int], *, seed: int | None = None, dtype: DTypeLike = float32
) -> Array:
    """Normal with variance 2 / inputs: for relu and its kin.

    He, Zhang, Ren and Sun, Delving Deep into Rectifiers, ICCV 2015, equation 10.

    >>> he_normal((784, 10), seed=0).shape
    (784, 10)
    """
    return normal(shape, 0, math.sqrt(2 / max(fans(shape)[0], 1)), seed=seed, dtype=dtype)


def he_uniform(
    shape: Sequence[int], *, seed: int | None = None, dtype: DTypeLike = float32
) -> Array:
    """Uniform within ±√(6 / inputs), which has the variance of `he_normal`."""
    return _within(shape, math.sqrt(6 / max(fans(shape)[0], 1)), seed, dtype)


def lecun_normal(
    shape: Sequence[int], *, seed: int | None = None, dtype: DTypeLike = float32
) -> Array:
    """Normal with variance 1 / inputs: for selu.

    LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998, equation 16.
    """
    return normal(shape, 0, math.sqrt(1 / max(fans(shape)[0], 1)), seed=seed, dtype=dtype)


def lecun_uniform(
    shape: Sequence[int], *, seed: int | None = None, dtype: DTypeLike = float32
) -> Array:
    """Uniform within ±√(3 / inputs), which has the variance of `lecun_normal`."""
    return _within(shape, math.sqrt(3 / max(fans(shape)[0], 1)), seed, dtype)


BY_NAME: dict[str, Initializer] = {
    function.__name__: function
    for function in (
        zeros,
        ones,
        normal,
        uniform,
        glorot_uniform,
        glorot_normal,
        he_normal,
        he_uniform,
        lecun_normal,
        lecun_uniform,
    )
}


def initializer(choice: str | Initializer) -> Initializer:
    """The initializer of that name, or `choice` itself when it is a function.

    Raises AttributeValueError for an unknown name.
    """
    return choose("initializer", choice, BY_NAME)


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """How many inputs feed an output, and how many outputs an input feeds.

    (inputs, outputs) of a matrix; both the size of a vector; both times the receptive field for
    (…field, inputs, outputs). Raises ShapeError for rank 0.
    """
    sizes = _sizes(shape)
    if not sizes:
        raise ShapeError(
            "rank 0 has no inputs and outputs to count",
            source=here(),
            hint="use zeros, ones, constant, normal or uniform",
        )
    field = math.prod(sizes[:-2])
    return field * sizes[max(len(sizes) - 2, 0)], field * sizes[-1]


def _within(shape: Sequence[int], limit: float, seed: int | None, dtype: DTypeLike) -> Array:
    return uniform(shape, -limit, limit, seed=seed, dtype=dtype)


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    for size in shape:
        if isinstance(size, Dim):
            raise ShapeError(
                f"a parameter's sizes must be numbers, got {size}",
                source=here(),
                hint=f"give the input a number instead of the name {size}",
            )
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 0:
            raise ShapeError(f"{size!r} is not a size", source=here())
    return tuple(int(size) for size in shape)


def _generator(seed: int | None) -> np.random.Generator:
    if seed is None:
        seed = next_seed()
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise AttributeValueError(
            f"a seed is a whole number, zero or more, got {seed!r}", source=here()
        )
    return np.random.Generator(np.random.PCG64(int(seed)))
