"""Random numbers from keys, each a function of its key and its place alone.

A number is computed from bits of its own, element by element, so that it is the same whatever is
fused, reordered or batched around it. What is not uniform comes of the inverse of its distribution
function (L. Devroye, Non-Uniform Random Variate Generation, 1986, chapter II.2), from a number v in
(0, 1] that keeps all its digits near 0, so that the tails are as long as the bits allow: 2⁻³³, or
2⁻⁶⁵ for float64. 16-bit floats are drawn as float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from graphwright.graph.dim import dim
from graphwright.graph.dtype import (
    DType,
    as_dtype,
    float32,
    float64,
    is_floating,
    short_name,
    uint32,
    uint64,
)
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.bitwise import bitwise_and, right_shift
from graphwright.ops.case import Case, Reject, Within, f32, u64
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.exponential import log, log1p
from graphwright.ops.extremum import minimum
from graphwright.ops.normal_quantile import ndtri
from graphwright.ops.philox import RandomBits, check_key
from graphwright.ops.selection import where
from graphwright.ops.shapes import ShapeLike, as_shape, broadcast, check_sizes, shape_text

# dtype to the bits of its fraction, implicit one included.
_PRECISION = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


class Draw(Composite):
    """Floating numbers, so many for each key: u64[..., 2] gives [..., *shape]."""

    differentiable = False

    shape: Shape
    dtype: DType

    def infer(self, key: TensorType) -> TensorType:
        check_key(key)
        if not is_floating(self.dtype):
            raise DTypeError(
                f"gives floating numbers, not {short_name(self.dtype)}",
                hint="random_randint gives whole numbers",
            )
        check_sizes(self.shape)
        return TensorType(self.dtype, (*key.shape[:-1], *self.shape))

    cases = (
        Case(Within(u64[2], 0, 2**63), shape=(dim("n"), 3), dtype=float32),
        Case(Within(u64[2], 0, 2**63), shape=(2, 3), dtype=float64),
        Case(Within(u64["n", 2, 2], 0, 2**63), shape=(2,), dtype=float32),
        Case(Within(u64[2], 0, 2**63), shape=(9,), dtype=np.dtype(np.float16)),
        Case(u64[2], shape=(), dtype=float32),
        Case(u64[2], shape=(0, 2), dtype=float64),
    )
    rejects = (
        Reject(f32[2], shape=(2,), dtype=float32, message="a key is u64[...,2], got f32[2]"),
        Reject(u64[2], shape=(-2,), dtype=float32, message="a size can't be negative, got -2"),
        Reject(u64[2], shape=(2,), dtype=np.dtype(np.int32), message="floating numbers, not i32"),
    )


@register
class RandomUniform(Draw):
    """Numbers spread evenly over [0, 1): multiples of 2⁻²⁴ (float32) or 2⁻⁵³ (float64).

    The upper bits of each of the key's numbers: 11 of 32 for float16, 8 for bfloat16, 24 for
    float32, 53 of 64 for float64. Numbers have no derivative by their key.
    """

    name = "random_uniform"

    def decompose(self, key: Tensor) -> Tensor:
        precision = _PRECISION[self.dtype.name]
        kind = uint64 if precision > 32 else uint32
        bits = RandomBits(self.shape, kind)(key)
        upper = right_shift(bits, as_tensor(8 * kind.itemsize - precision, kind))
        return cast(upper, self.dtype) * 2.0**-precision  # both exact


@register
class RandomNormal(Draw):
    """Numbers of mean 0 and variance 1, normally distributed.

    z = ∓ndtri(v/2): the upper bit chooses the sign, the others the distance from 0. Numbers have
    no derivative by their key.
    """

    name = "random_normal"

    def decompose(self, key: Tensor) -> Tensor:
        negative, half = _signed(key, self.shape, self.dtype, 0.5)
        z = ndtri(half)
        return cast(where(negative, z, -z), self.dtype)


@register
class RandomLaplace(Draw):
    """Numbers of mean 0 and variance 2, by the density exp(-|x|)/2.

    x = ∓log v; the upper bit chooses the sign. Numbers have no derivative by their key.
    """

    name = "random_laplace"

    def decompose(self, key: Tensor) -> Tensor:
        negative, whole = _signed(key, self.shape, self.dtype, 1.0)
        x = log(whole)
        return cast(where(negative, x, -x), self.dtype)


@register
class RandomExponential(Draw):
    """Numbers of mean 1, by the density exp(-x) for x ≥ 0.

    x = -log v. Numbers have no derivative by their key.
    """

    name = "random_exponential"

    def decompose(self, key: Tensor) -> Tensor:
        return cast(-log(unit(key, self.shape, self.dtype)), self.dtype)


@register
class RandomGumbel(Draw):
    """Numbers of the standard Gumbel distribution: the largest of many, by exp(-exp(-x)).

    x = -log(-log(1 - v)), which has its digits where x is large (E. J. Gumbel, Statistics of
    Extremes, 1958). Numbers have no derivative by their key.
    """

    name = "random_gumbel"

    def decompose(self, key: Tensor) -> Tensor:
        below_one = minimum(unit(key, self.shape, self.dtype), 1 - 2.0**-24)
        return cast(-log(-log1p(-below_one)), self.dtype)


def unit(key: Tensor, shape: Shape, dtype: DType) -> Tensor:
    """Numbers in (0, 1], (bits + ½)/2³² or (bits + ½)/2⁶⁴: float64 for float64, else float32."""
    kind, wide = _kinds(dtype)
    bits = RandomBits(shape, kind)(key)
    return (cast(bits, wide) + 0.5) * 2.0 ** (-8 * kind.itemsize)


def _signed(key: Tensor, shape: Shape, dtype: DType, most: float) -> tuple[Tensor, Tensor]:
    """Whether each number is negative, from one bit, and a number in (0, most] from the others."""
    kind, wide = _kinds(dtype)
    bits = RandomBits(shape, kind)(key)
    middle = 2 ** (8 * kind.itemsize - 1)
    rest = cast(bitwise_and(bits, as_tensor(middle - 1, kind)), wide)
    return bits >= as_tensor(middle, kind), (rest + 0.5) * (most / middle)


def _kinds(dtype: DType) -> tuple[DType, DType]:
    """The bits to draw, and the floats to compute in."""
    return (uint64, float64) if dtype == float64 else (uint32, float32)


@builder
def random_bits(key: TensorLike, shape: ShapeLike = (), dtype: DTypeLike = uint32) -> Tensor:
    """Random uint32 or uint64 numbers of `shape` for each key; see `RandomBits`."""
    return RandomBits(as_shape(shape), as_dtype(dtype))(as_tensor(key))


@builder
def random_uniform(
    key: TensorLike,
    shape: ShapeLike | None = None,
    low: TensorLike = 0.0,
    high: TensorLike = 1.0,
    dtype: DTypeLike = float32,
) -> Tensor:
    """Random numbers in [low, high), evenly spread; see `RandomUniform`.

    key:       u64[2], from `gw.random.key`; an array of keys gives an axis for each of its own
    shape:     that of low and high unless given
    low, high: numbers, or tensors that broadcast to the result

    out = low + (high - low)·u, with low in place of what rounds to high, and where high ≤ low.
    Raises AttributeValueError for numbers of which low is not below high.
    """
    tensor, kind = as_tensor(key), as_dtype(dtype)
    bottom, top = as_tensor(low, kind), as_tensor(high, kind)
    drawn = RandomUniform(shape_of_draws(tensor, shape, bottom, top), kind)(tensor)
    if _is_number(low) and _is_number(high):
        if not -np.inf < low < high < np.inf:  # type: ignore[operator]
            raise AttributeValueError(f"low must be below high, got {low} and {high}")
        if (low, high) == (0, 1):
            return drawn
    scaled = bottom + (top - bottom) * drawn
    return where(scaled < top, scaled, bottom)


@builder
def random_normal(
    key: TensorLike,
    shape: ShapeLike | None = None,
    mean: TensorLike = 0.0,
    std: TensorLike = 1.0,
    dtype: DTypeLike = float32,
) -> Tensor:
    """Normal random numbers of this mean and standard deviation; see `RandomNormal`.

    key:       u64[2], from `gw.random.key`; an array of keys gives an axis for each of its own
    shape:     that of mean and std unless given
    mean, std: numbers, or tensors that broadcast to the result
    """
    return _shifted(RandomNormal, key, shape, mean, std, dtype)


@builder
def random_laplace(
    key: TensorLike,
    shape: ShapeLike | None = None,
    location: TensorLike = 0.0,
    scale: TensorLike = 1.0,
    dtype: DTypeLike = float32,
) -> Tensor:
    """Random numbers by the density exp(-|x - location|/scale)/(2·scale).

    Arguments as of `random_normal`; see `RandomLaplace`.
    """
    return _shifted(RandomLaplace, key, shape, location, scale, dtype)


@builder
def random_exponential(
    key: TensorLike,
    shape: ShapeLike | None = None,
    scale: TensorLike = 1.0,
    dtype: DTypeLike = float32,
) -> Tensor:
    """Random numbers of the mean `scale` by the density exp(-x/scale)/scale.

    Arguments as of `random_normal`; see `RandomExponential`.
    """
    return _shifted(RandomExponential, key, shape, 0.0, scale, dtype)


@builder
def random_gumbel(
    key: TensorLike,
    shape: ShapeLike | None = None,
    location: TensorLike = 0.0,
    scale: TensorLike = 1.0,
    dtype: DTypeLike = float32,
) -> Tensor:
    """location + scale times numbers of the standard Gumbel distribution.

    Arguments as of `random_normal`; see `RandomGumbel`.
    """
    return _shifted(RandomGumbel, key, shape, location, scale, dtype)


def _shifted(
    draw: type[Draw],
    key: TensorLike,
    shape: ShapeLike | None,
    location: TensorLike,
    scale: TensorLike,
    dtype: DTypeLike,
) -> Tensor:
    """location + scale · numbers of a standard distribution."""
    tensor, kind = as_tensor(key), as_dtype(dtype)
    places, scales = as_tensor(location, kind), as_tensor(scale, kind)
    drawn = draw(shape_of_draws(tensor, shape, places, scales), kind)(tensor)
    scaled = drawn if _is_number(scale) and scale == 1 else drawn * scales
    return scaled if _is_number(location) and location == 0 else places + scaled


def shape_of_draws(key: Tensor, shape: ShapeLike | None, *parameters: Tensor) -> Shape:
    """The shape of what each key gives: `shape`, or None for that of the parameters.

    Raises ShapeError when the parameters don't broadcast to the result.
    """
    common = broadcast(*(parameter.shape for parameter in parameters))
    if shape is None:
        return common
    sizes = as_shape(shape)
    whole = (*key.shape[:-1], *sizes)
    try:
        fits = broadcast(whole, common) == whole
    except ShapeError:
        fits = False
    if not fits:
        raise ShapeError(
            f"parameters of shape {shape_text(common)} don't broadcast to {shape_text(whole)}",
            hint="each number has parameters of its own, or shares them with others",
        )
    return sizes


def _is_number(value: TensorLike) -> bool:
    return isinstance(value, int | float | np.number)
