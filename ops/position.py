"""Where in a sequence: waves for positions, rotations by them, and biases by distance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from graphwright.graph.dim import Size, dim, exact_quotient
from graphwright.graph.dtype import (
    DType,
    as_dtype,
    float16,
    float32,
    int64,
    is_boolean,
    is_floating,
    is_integer,
    short_name,
)
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import abs
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64, i32, i64, u8
from graphwright.ops.checks import check_floating
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.creation import arange
from graphwright.ops.exponential import exp
from graphwright.ops.joining import concatenate, split, stack
from graphwright.ops.movement import expand_dims, reshape, sum_to
from graphwright.ops.shapes import broadcast, shape_text
from graphwright.ops.statistics import wide_dtype, widened
from graphwright.ops.trigonometric import cos, sin


@register
class SinusoidalEncoding(Composite):
    """Positions as waves: sin(p·w) and cos(p·w) of position p, for each of many frequencies w.

    out[..., 2i] = sin(p·w), out[..., 2i + 1] = cos(p·w), where w = base^(-2i/features)
    A shift by so many positions is a rotation of each pair.
    Computed in float32 for 16-bit floats.

    positions: numbers; out has one axis more than they, of the size `features`, which is even
    Source: Vaswani et al., Attention is all you need, 2017, §3.5, https://arxiv.org/abs/1706.03762.
    """

    name = "sinusoidal_encoding"

    features: Size
    base: float
    dtype: DType

    def infer(self, positions: TensorType) -> TensorType:
        check_positions(positions)
        if not is_floating(self.dtype):
            raise DTypeError(f"the waves can't be {short_name(self.dtype)}", hint="use float32")
        pair_count(self.features)
        check_base(self.base)
        return TensorType(self.dtype, (*positions.shape, self.features))

    def decompose(self, positions: Tensor) -> Tensor:
        angles = wave_angles(cast(positions, wide_dtype(self.dtype)), self.features, self.base)
        waves = reshape(stack([sin(angles), cos(angles)], -1), (*positions.shape, self.features))
        return cast(waves, self.dtype)

    cases = (
        Case(i64["n"], features=4, base=10000.0, dtype=float32),
        Case(f64[2, "n"], features=6, base=100.0, dtype=np.dtype(np.float64)),
        Case(u8[()], features=2, base=10.0, dtype=float16),
        Case(i32[3], features=2 * dim("n"), base=100.0, dtype=np.dtype(np.float64)),
    )
    rejects = (
        Reject(i32[3], features=3, base=10.0, dtype=float32, message="3 features are no pairs"),
        Reject(
            i32[3], features=dim("n"), base=10.0, dtype=float32, message="n features are no pairs"
        ),
        Reject(i32[3], features=-2, base=10.0, dtype=float32, message="-2 features are no pairs"),
        Reject(i32[3], features=2, base=0.0, dtype=float32, message="base must be more than 0"),
        Reject(i32[3], features=2, base=2.0, dtype=int64, message="the waves can't be i64"),
        Reject(bool_[3], features=2, base=2.0, dtype=float32, message="must be numbers, got bool"),
    )


_USUAL: dict[str, Any] = {"base": 10.0, "scaling": 1.0, "interleaved": True}


@register
class RotaryEmbedding(Composite):
    """Pairs of features rotated by angles that are proportional to the position of their row.

    (out₁, out₂) = (x₁ cos a - x₂ sin a, x₂ cos a + x₁ sin a), a = p / scaling · base^(-2i/features)
    for pair i of a row at position p: lengths stay, and the inner product of two rows depends on
    the distance of their positions alone.
    d/dx is g rotated back.

    x:           floating [..., D]; 16-bit floats are rotated as float32
    positions:   numbers, of a shape that broadcasts to that of x without its last axis
    features:    how many of the D are rotated, the first ones; even. The others stay
    interleaved: False: pair i is x[i] and x[i + features/2], the two halves; True: x[2i] and
                 x[2i + 1], neighbours
    scaling:     positions are divided by it, to fit more of them in the range that a model knows
    Sources: Su et al., RoFormer, 2021, https://arxiv.org/abs/2104.09864; Chen et al., Extending
    context window of large language models via position interpolation, 2023,
    https://arxiv.org/abs/2306.15595.
    """

    name = "rotary_embedding"

    features: Size
    base: float
    scaling: float
    interleaved: bool

    def infer(self, x: TensorType, positions: TensorType) -> TensorType:
        check_floating(x)
        check_positions(positions)
        pair_count(self.features)
        check_base(self.base)
        if not 0 < self.scaling < math.inf:
            raise AttributeValueError(f"scaling must be more than 0, and finite; {self.scaling}")
        if not x.rank:
            raise ShapeError("x has no features, but rank 0")
        total = x.shape[-1]
        if isinstance(total, int) and isinstance(self.features, int) and self.features > total:
            raise ShapeError(f"{self.features} of {total} features can't be rotated")
        if broadcast(positions.shape, x.shape[:-1]) != x.shape[:-1]:
            raise ShapeError(
                f"positions {shape_text(positions.shape)} don't fit x, {shape_text(x.shape)}",
                hint="they broadcast to the shape of x without its last axis",
            )
        return x

    def decompose(self, x: Tensor, positions: Tensor) -> Tensor:
        angles = self._angles(x, positions)
        turned, rest = self._parts(x)
        first, second = self._pairs(turned)
        cosine, sine = cos(angles), sin(angles)
        out = self._joined(first * cosine - second * sine, second * cosine + first * sine)
        return cast(out if rest is None else concatenate([out, rest], -1), x.dtype)

    def gradient(
        self, x: Tensor, positions: Tensor, out: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        back = -(positions if is_floating(positions.dtype) else cast(positions, int64))
        to_x = self(g, back)
        if not is_floating(positions.dtype):
            return to_x, None
        # The derivative of a rotation by its angle is the rotation, a right angle further.
        (first, second), (g1, g2) = (self._pairs(self._parts(t)[0]) for t in (out, g))
        by_angle = g2 * first - g1 * second
        rate = self._angles(x, as_tensor(1, positions.dtype))
        to_positions = sum_to((by_angle * rate).sum(-1), positions.shape)
        return to_x, cast(to_positions, positions.dtype)

    def _angles(self, x: Tensor, positions: Tensor) -> Tensor:
        wide = cast(positions, widened(x).dtype)
        return wave_angles(wide / self.scaling, self.features, self.base)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The features that are rotated, and the others."""
        wide = widened(x)
        if self.features == x.shape[-1]:
            return wide, None
        turned, rest = split(wide, [self.features, x.shape[-1] - self.features], -1)
        return turned, rest

    def _pairs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        half = pair_count(self.features)
        if not self.interleaved:
            first, second = split(x, [half, half], -1)
            return first, second
        pairs = reshape(x, (*x.shape[:-1], half, 2))
        first, second = split(pairs, [1, 1], -1)
        return reshape(first, (*x.shape[:-1], half)), reshape(second, (*x.shape[:-1], half))

    def _joined(self, first: Tensor, second: Tensor) -> Tensor:
        if not self.interleaved:
            return concatenate([first, second], -1)
        return reshape(stack([first, second], -1), (*first.shape[:-1], self.features))

    cases = (
        Case(f32["n", 4], i64["n"], features=4, base=10000.0, scaling=1.0, interleaved=False),
        Case(f32["n", 4], i64["n"], features=4, base=10000.0, scaling=2.0, interleaved=True),
        Case(f64[2, "n", 5], i32["n"], features=4, base=10.0, scaling=1.0, interleaved=False),
        Case(f64[2, "n", 5], i32[2, 1], features=2, base=10.0, scaling=0.5, interleaved=True),
        Case(f64[3, 4], f64[3], features=4, base=10.0, scaling=1.5, interleaved=False),
        Case(f64[2, 3, 4], f64[3], features=4, base=10.0, scaling=1.0, interleaved=True),
        Case(f64[2], u8[()], features=0, base=10.0, scaling=1.0, interleaved=False),
        Case(f64[2, 2 * dim("n")], i64[()], features=2 * dim("n"), **_USUAL),
        Case(f16[3, 2], i64[3], features=2, base=10.0, scaling=1.0, interleaved=False),
    )
    rejects = (
        Reject(f32[3, 4], i64[3], features=3, **_USUAL, message="3 features are no pairs"),
        Reject(f32[3, 4], i64[3], features=6, **_USUAL, message="6 of 4 features can't be rotated"),
        Reject(f32[3, 4], i64[2, 3], features=4, **_USUAL, message="[2,3] don't fit x, [3,4]"),
        Reject(f32[3, 4], i64[3], features=4, **_USUAL | {"base": -1.0}, message="more than 0"),
        Reject(f32[3, 4], i64[3], features=4, **_USUAL | {"scaling": 0.0}, message="more than 0"),
        Reject(f32[()], i64[()], features=0, **_USUAL, message="x has no features"),
        Reject(i32[3, 4], i64[3], features=4, **_USUAL, message="needs a floating input"),
        Reject(f32[3, 4], bool_[3], features=4, **_USUAL, message="must be numbers, got bool[3]"),
    )


@register
class AlibiBias(Composite):
    """What is added to attention's scores, to favour what is near: -m |i - j| for each head.

    out[h, i, j] = -m[h] · |queries[i] - keys[j]|, m[h] = 2^(-8(h + 1)/heads)
    Where the number of heads is no power of 2: those m of the next smaller power n, then every
    second one of 2n, from the first.

    queries, keys: positions, whole numbers [Tq] and [Tk]; out is [heads, Tq, Tk]
    There is no derivative by whole numbers.
    Source: Press, Smith and Lewis, Train short, test long, 2022, https://arxiv.org/abs/2108.12409.
    """

    name = "alibi_bias"
    differentiable = False

    heads: int
    dtype: DType

    def infer(self, queries: TensorType, keys: TensorType) -> TensorType:
        for label, kind in (("queries", queries), ("keys", keys)):
            if not is_integer(kind.dtype) or kind.rank != 1:
                raise DTypeError(
                    f"{label} must be a vector of whole numbers, got {kind}",
                    hint="give positions, such as arange(size)",
                )
        if self.heads < 1:
            raise AttributeValueError(f"there must be at least one head, got {self.heads}")
        if not is_floating(self.dtype):
            raise DTypeError(f"the bias can't be {short_name(self.dtype)}", hint="use float32")
        return TensorType(self.dtype, (self.heads, *queries.shape, *keys.shape))

    def decompose(self, queries: Tensor, keys: Tensor) -> Tensor:
        distances = abs(expand_dims(cast(queries, int64), 1) - cast(keys, int64))
        slopes = as_tensor(np.reshape(alibi_slopes(self.heads), (-1, 1, 1)))
        return cast(-slopes * cast(distances, slopes.dtype), self.dtype)

    cases = (
        Case(i64["q"], i64["k"], heads=4, dtype=float32),
        Case(i32[2], u8[3], heads=6, dtype=np.dtype(np.float64)),
        Case([3, 2], [0, 5], heads=1, dtype=float16),
    )
    rejects = (
        Reject(f32[2], i32[2], heads=2, dtype=float32, message="queries must be a vector of"),
        Reject(i32[2], i32[2, 2], heads=2, dtype=float32, message="keys must be a vector of"),
        Reject(i32[2], i32[2], heads=0, dtype=float32, message="at least one head, got 0"),
        Reject(i32[2], i32[2], heads=2, dtype=int64, message="the bias can't be i64"),
    )


def alibi_slopes(heads: int) -> list[float]:
    """The slope m of each head."""
    power = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    between = [2 ** (-8 * (head + 1) / (2 * power)) for head in range(0, 2 * power, 2)]
    return slopes + between[: heads - power]


def check_positions(positions: TensorType) -> None:
    """Raise DTypeError unless they are numbers."""
    if is_boolean(positions.dtype):
        raise DTypeError(f"positions must be numbers, got {positions}", hint="use arange")


def pair_count(features: Size) -> Size:
    """Half of `features`. Raises ShapeError when that is not known to be a whole number."""
    half = exact_quotient(features, 2)
    if half is None or (isinstance(features, int) and features < 0):
        raise ShapeError(
            f"{features} features are no pairs", hint="the number of features must be even"
        )
    return half


def check_base(base: float) -> None:
    """Raise AttributeValueError unless `base` is a positive, finite number."""
    if not 0 < base < math.inf:
        raise AttributeValueError(f"the base must be more than 0, and finite; got {base}")


def wave_angles(positions: Tensor, features: Size, base: float) -> Tensor:
    """p · base^(-2i/features) for each position p, in a new last axis for each pair i."""
    half = pair_count(features)
    if isinstance(half, int):
        waves = as_tensor(base ** -(np.arange(half) / max(half, 1)), positions.dtype)
    else:
        exponents = cast(arange(half), positions.dtype) / as_tensor(half, positions.dtype)
        waves = exp(exponents * -math.log(base))
    return expand_dims(positions, -1) * waves


@builder
def sinusoidal_encoding(
    positions: TensorLike, features: Size, base: float = 10000.0, dtype: DTypeLike = float32
) -> Tensor:
    """Each of the `positions` as sines and cosines of `features`/2 frequencies.

    See `SinusoidalEncoding`.
    """
    return SinusoidalEncoding(features, float(base), as_dtype(dtype))(as_tensor(positions))


@builder
def rotary_embedding(
    x: TensorLike,
    positions: TensorLike | None = None,
    features: Size | None = None,
    base: float = 10000.0,
    scaling: float = 1.0,
    interleaved: bool = False,
) -> Tensor:
    """`x` [..., T, D] with pairs of features rotated by their row's position.

    positions: of a shape that broadcasts to that of `x` without its last axis; 0, 1, 2 and so on
               along the second-last axis unless given
    features:  how many are rotated, the first ones; all unless given
    See `RotaryEmbedding` for the others. Raises ShapeError for features that are no pairs and for
    positions that don't broadcast, DTypeError for booleans, AttributeValueError for a base or a
    scaling that is not positive.
    """
    tensor = as_floating(x)
    if tensor.ndim < (2 if positions is None else 1):
        raise ShapeError(f"x is {tensor.type}: it has no rows", hint="it must be [..., T, D]")
    places = arange(tensor.shape[-2]) if positions is None else as_tensor(positions)
    turned = tensor.shape[-1] if features is None else features
    return RotaryEmbedding(turned, float(base), float(scaling), interleaved)(tensor, places)


@builder
def alibi_bias(
    queries: TensorLike, keys: TensorLike, heads: int, dtype: DTypeLike = float32
) -> Tensor:
    """The bias for attention from `queries` to `keys`, vectors of positions; see `AlibiBias`.

    [heads, Tq, Tk], to be given to attention as its mask.
    """
    return AlibiBias(heads, as_dtype(dtype))(as_tensor(queries), as_tensor(keys))
