"""Random choices: coins, whole numbers, orders, categories; and normal numbers within bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from graphwright.graph.dim import Dim, Size, dim, product
from graphwright.graph.dtype import (
    DType,
    as_dtype,
    float32,
    float64,
    int64,
    is_floating,
    is_integer,
    short_name,
    uint64,
)
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, i64, u64
from graphwright.ops.comparison import greater, less
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.error_function import erfc
from graphwright.ops.extremum import maximum, minimum
from graphwright.ops.gather import take
from graphwright.ops.movement import reshape
from graphwright.ops.normal_quantile import ndtri
from graphwright.ops.philox import RandomBits, check_key
from graphwright.ops.random import RandomGumbel, RandomUniform, shape_of_draws, unit
from graphwright.ops.reduction import argmax
from graphwright.ops.selection import where
from graphwright.ops.shapes import ShapeLike, as_shape, check_sizes, normalize_axis
from graphwright.ops.slicing import slice
from graphwright.ops.sorting import Argsort


@builder
def random_bernoulli(
    key: TensorLike, shape: ShapeLike | None = None, p: TensorLike = 0.5
) -> Tensor:
    """True with probability `p`, else False: whether u < p, for u in [0, 1) of p's precision.

    key:   u64[2], from `gw.random.key`; an array of keys gives an axis for each of its own
    shape: that of p unless given
    p:     a number or a floating tensor, from 0 (never) to 1 (always); it broadcasts to the result
    Raises AttributeValueError for a number that is no probability.
    """
    tensor, chance = as_tensor(key), as_floating(p)
    if isinstance(p, int | float) and not 0 <= p <= 1:
        raise AttributeValueError(f"a probability is from 0 to 1, got {p}")
    kind = float64 if chance.dtype == float64 else float32
    shares = RandomUniform(shape_of_draws(tensor, shape, chance), kind)(tensor)
    return less(shares, cast(chance, kind))


@builder
def random_randint(
    key: TensorLike,
    shape: ShapeLike | None = None,
    low: TensorLike | Size = 0,
    high: TensorLike | Size = 2,
    dtype: DTypeLike = int64,
) -> Tensor:
    """Random whole numbers from `low` to `high` - 1, each as likely as any other.

    key:       u64[2], from `gw.random.key`; an array of keys gives an axis for each of its own
    shape:     that of low and high unless given
    low, high: numbers, sizes, or integer tensors that broadcast to the result; `high` may be one
               more than the dtype holds
    dtype:     any integer one

    out = low + bits mod (high - low), for 64 bits: no probability is off by 2⁻⁶⁴. Where tensors
    leave no number between them, it is low.
    Raises AttributeValueError for numbers of which low is not below high, or out of the range.
    """
    tensor, kind = as_tensor(key), as_dtype(dtype)
    if not is_integer(kind):
        raise DTypeError(
            f"gives whole numbers, not {short_name(kind)}",
            hint="random_uniform gives floating numbers",
        )
    if isinstance(low, int | np.integer) and isinstance(high, int | np.integer):
        bottom, span = _span(int(low), int(high), kind)
    else:
        bottom, span = _spans(low, high, kind)
    parameters = (bottom,) if span is None else (bottom, span)
    bits = RandomBits(shape_of_draws(tensor, shape, *parameters), uint64)(tensor)
    # Whole numbers wrap around, from any dtype to any other.
    return cast(bottom + (bits if span is None else bits % span), kind)


def _span(low: int, high: int, dtype: DType) -> tuple[Tensor, Tensor | None]:
    """`low`, and how many numbers there are, or None for all 2⁶⁴; as uint64."""
    limits = np.iinfo(dtype)
    if low >= high:
        raise AttributeValueError(f"low must be below high, got {low} and {high}")
    if low < limits.min or high > int(limits.max) + 1:
        raise AttributeValueError(
            f"{low} to {high - 1} is out of the range of {short_name(dtype)}",
            hint=f"from {limits.min} to {limits.max}",
        )
    count = None if high - low == 2**64 else as_tensor(np.uint64(high - low))
    return as_tensor(np.uint64(low % 2**64)), count


def _spans(low: Any, high: Any, dtype: DType) -> tuple[Tensor, Tensor]:
    """The same for tensors: 1 where there are no numbers."""
    kind = uint64 if dtype == uint64 else int64
    bounds = as_tensor(low), as_tensor(high)
    for bound in bounds:
        if not is_integer(bound.dtype):
            raise DTypeError(f"low and high are whole numbers, got {short_name(bound.dtype)}")
    bottom, top = (cast(bound, kind) for bound in bounds)
    count = cast(top, uint64) - cast(bottom, uint64)
    return cast(bottom, uint64), where(bottom < top, count, 1)


@builder
def random_truncated_normal(
    key: TensorLike,
    shape: ShapeLike | None = None,
    low: TensorLike = -2.0,
    high: TensorLike = 2.0,
    dtype: DTypeLike = float32,
) -> Tensor:
    """Normal random numbers of mean 0 and variance 1, given that they are in [low, high].

    key:       u64[2], from `gw.random.key`; an array of keys gives an axis for each of its own
    shape:     that of low and high unless given
    low, high: numbers, infinite ones too, or tensors that broadcast to the result

    out = ndtri(Φ(low) + v (Φ(high) - Φ(low))), Φ(z) = erfc(-z/√2)/2, in float64; where most lies
    above 0, that of the bounds mirrored at 0, since Φ has its digits below 0 (L. Devroye,
    Non-Uniform Random Variate Generation, 1986, chapter II.2).
    Raises AttributeValueError for numbers of which low is not below high.
    """
    tensor, kind = as_tensor(key), as_dtype(dtype)
    if not is_floating(kind):
        raise DTypeError(f"gives floating numbers, not {short_name(kind)}")
    if isinstance(low, int | float) and isinstance(high, int | float) and not low < high:
        raise AttributeValueError(f"low must be below high, got {low} and {high}")
    bounds = as_tensor(low, kind), as_tensor(high, kind)
    v = cast(unit(tensor, shape_of_draws(tensor, shape, *bounds), kind), float64)
    bottom, top = (cast(bound, float64) for bound in bounds)
    mirrored = greater(bottom + top, 0)
    below, above = _chance(where(mirrored, -top, bottom)), _chance(where(mirrored, -bottom, top))
    z = ndtri(below + minimum(v, 1 - 2.0**-53) * (above - below))
    return minimum(maximum(cast(where(mirrored, -z, z), kind), bounds[0]), bounds[1])


def _chance(z: Tensor) -> Tensor:
    """Φ(z): the probability of a normal number below `z`."""
    return erfc(z * -math.sqrt(0.5)) * 0.5


@builder
def random_categorical(
    key: TensorLike, logits: TensorLike, axis: int = -1, shape: ShapeLike = ()
) -> Tensor:
    """Random indices along `axis`, of probabilities softmax(logits); int64.

    key:    u64[2], from `gw.random.key`; an array of keys gives an axis for each of its own
    logits: floating; -inf is never chosen
    shape:  of the choices for each place: the result is [keys..., *shape, *logits without axis]

    The index of the largest logit + Gumbel number (R. D. Luce, Individual Choice Behavior, 1959;
    Maddison, Tarlow and Minka, "A* sampling", NeurIPS 2014).
    Raises ShapeError for an empty axis.
    """
    tensor, scores = as_tensor(key), as_floating(logits)
    place = normalize_axis(axis, scores.ndim) - scores.ndim
    kind = float64 if scores.dtype == float64 else float32
    noise = RandomGumbel((*as_shape(shape), *scores.shape), kind)(tensor)
    return argmax(noise + cast(scores, kind), place)


@register
class RandomPermutation(Composite):
    """The whole numbers from 0 to size - 1 in a random order, each order as likely as any other.

    key: u64[..., 2]
    out: int64[..., size]: the order of so many random numbers of 64 bits. Two of them are equal,
         and keep their places, with probability below size²/2⁶⁵. Orders have no derivative
    """

    name = "random_permutation"
    differentiable = False

    size: Size

    def infer(self, key: TensorType) -> TensorType:
        check_key(key)
        check_sizes((self.size,))
        return TensorType(int64, (*key.shape[:-1], self.size))

    def decompose(self, key: Tensor) -> Tensor:
        return Argsort(key.ndim - 1, descending=False)(RandomBits((self.size,), uint64)(key))

    cases = (
        Case(Within(u64[2], 0, 2**63), size=5),
        Case(Within(u64["n", 2], 0, 2**63), size=dim("n")),
        Case(u64[2, 2, 2], size=1),
        Case(u64[2], size=0),
    )
    rejects = (
        Reject(u64[2], size=-1, message="a size can't be negative, got -1"),
        Reject(i64[2], size=3, message="a key is u64[...,2], got i64[2]"),
    )


@builder
def random_permutation(key: TensorLike, x: TensorLike | Size, axis: int = 0) -> Tensor:
    """`x` in a random order along `axis`; for a size, 0 to x - 1 in a random order (int64).

    key: u64[2], from `gw.random.key`; for a size, an array of keys gives an order each

    See `RandomPermutation`.
    """
    tensor = as_tensor(key)
    if isinstance(x, int | np.integer | Dim):
        return RandomPermutation(_count(x))(tensor)
    shuffled = as_tensor(x)
    place = normalize_axis(axis, shuffled.ndim)
    _check_single(tensor)
    return take(shuffled, RandomPermutation(shuffled.shape[place])(tensor), place)


@builder
def random_choice(
    key: TensorLike,
    x: TensorLike | Size,
    shape: ShapeLike = (),
    replace: bool = True,
) -> Tensor:
    """Random elements of `x` along its first axis, each as likely as any other.

    key:     u64[2], from `gw.random.key`
    x:       a tensor, or a size for the numbers from 0 to x - 1
    shape:   how many: the result is [*shape, *the other axes of x]
    replace: False chooses none twice

    Raises ShapeError when there are none to choose from, or not so many without replacement.
    """
    tensor, sizes = as_tensor(key), as_shape(shape)
    _check_single(tensor)
    whole = isinstance(x, int | np.integer | Dim)
    population = None if whole else as_tensor(x)
    if population is not None and not population.ndim:
        raise ShapeError("there is nothing to choose from in rank 0", hint="give a size, or rank 1")
    count = _count(x) if population is None else population.shape[0]
    if replace:
        if count == 0:
            raise ShapeError("there is nothing to choose from: the first axis is empty")
        indices = random_randint(tensor, sizes, 0, count)
    else:
        wanted = product(sizes)
        if isinstance(count, int) and isinstance(wanted, int) and wanted > count:
            raise ShapeError(f"{wanted} can't be chosen from {count} without replacement")
        order = RandomPermutation(count)(tensor)
        indices = reshape(slice(order, (0,), (wanted,)), sizes)
    return indices if population is None else take(population, indices, 0)


def _count(size: Any) -> Size:
    """`size` as a size. Raises ShapeError for a negative one."""
    count = size if isinstance(size, Dim) else int(size)
    check_sizes((count,))
    return count


def _check_single(key: Tensor) -> None:
    """Raise ShapeError for an array of keys."""
    check_key(key.type)
    if key.ndim > 1:
        raise ShapeError(
            f"takes one key, got {key.type}", hint="gw.vmap applies it to each of several"
        )
