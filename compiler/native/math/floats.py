"""What vector functions are made of: polynomials, the parts of floating-point numbers, selection.

Everything works for any number of lanes, in float32 and float64, and gives the same bits for each
number of lanes. Where AVX-512 has one instruction for what else takes several, it is used, and
gives the same bits too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TypeAlias

import numpy as np

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.ir import Function
from graphwright.compiler.native.values import Number, Operand, Value
from graphwright.graph.dtype import DType, float32, float64, int32, int64

_SINGLE, _DOUBLE = float32, float64
Coefficients: TypeAlias = Sequence[float]
Table: TypeAlias = Mapping[DType, tuple[float, ...]]


@dataclass(frozen=True)
class Format:
    """How a floating dtype is laid out.

    integer:   the signed dtype of the same width
    fraction:  bits after the leading one
    bias:      what is added to the exponent
    magic:     a number so large that adding it rounds to whole numbers, which are then in the
               low bits of the sum: 1.5 · 2^fraction
    tiny:      the smallest number that is not subnormal
    largest:   the largest finite number
    """

    integer: DType
    fraction: int
    bias: int
    magic: float
    tiny: float
    largest: float


_FORMATS = {
    float32: Format(int32, 23, 127, 1.5 * 2.0**23, 2.0**-126, float(np.finfo(np.float32).max)),
    float64: Format(int64, 52, 1023, 1.5 * 2.0**52, 2.0**-1022, float(np.finfo(np.float64).max)),
}


def format_of(x: Value) -> Format:
    """The layout of a value's dtype."""
    return _FORMATS[x.dtype]


def coefficients(float32: str, float64: str) -> Table:
    """Numbers of each dtype, written one after the other: those of a polynomial c₀ c₁ c₂ …"""
    return {
        dtype: tuple(float(word) for word in words.split())
        for dtype, words in ((_SINGLE, float32), (_DOUBLE, float64))
    }


def double_without_fma(function: Function) -> Function:
    """Decorator: float32 is computed in float64 on CPUs where its error would be too large."""

    @wraps(function)
    def wide(b: Instructions, *operands: Value) -> Value:
        dtype = operands[0].dtype
        if dtype != _SINGLE or b.module.target.fma:
            return function(b, *operands)
        return b.convert(function(b, *(b.convert(x, _DOUBLE) for x in operands)), dtype)

    return wide


def polynomial(b: Instructions, x: Value, coefficients: Coefficients) -> Value:
    """c₀ + c₁ x + c₂ x² + …, by Horner's rule."""
    *others, last = coefficients
    result = x.like(last)
    for coefficient in reversed(others):
        result = b.multiply_add(result, x, coefficient)
    return result


def magnitude(b: Instructions, x: Value) -> Value:
    """|x|."""
    return b.intrinsic("fabs", x)


def with_sign(b: Instructions, x: Value, sign: Operand) -> Value:
    """|x| with the sign of another."""
    return b.intrinsic("copysign", x, sign)


def at_most(b: Instructions, x: Value, bound: float) -> Value:
    """The smaller of x and a bound; nan stays nan."""
    return b.select(x > bound, bound, x)


def at_least(b: Instructions, x: Value, bound: float) -> Value:
    """The larger of x and a bound; nan stays nan."""
    return b.select(x < bound, bound, x)


def is_nan(x: Value) -> Value:
    """True where x is nan."""
    return x.differs(x)


def integer_bits(b: Instructions, x: Value) -> Value:
    """The bits of a float as a signed integer."""
    return b.bits(x, format_of(x).integer)


def nearest(b: Instructions, x: Value, factor: Number = 1.0) -> tuple[Value, Value]:
    """The whole number nearest to x · factor, and the same in the low bits of an integer.

    |x · factor| must be less than 2^22 (float32), 2^51 (float64) for these to be right.
    """
    magic = format_of(x).magic
    shifted = x + magic if factor == 1.0 else b.multiply_add(x, factor, magic)
    return shifted - magic, integer_bits(b, shifted)


def power_of_two(b: Instructions, whole: Value, dtype: DType, more: int = 0) -> Value:
    """2 to the power whole + more, in the range of normal numbers.

    whole: integers, of which only the low bits count
    """
    layout = _FORMATS[dtype]
    bits = (whole << layout.fraction) + ((layout.bias + more) << layout.fraction)
    return b.bits(bits, dtype)


def scaled(b: Instructions, x: Value, exponent: Value) -> Value:
    """x · 2^exponent, rounded once, subnormal or infinite where it must.

    x:        near 1: from 2^-20 to 2^20
    exponent: whole numbers in floating point; on CPUs without AVX-512, not beyond ± 2000 (float64)
              or ± 240 (float32)
    """
    if has_avx512(b, x):
        return _avx512(b, "scalef", x, exponent)
    layout = format_of(x)
    # Twice about half of it: the first product is exact, and only the second one may round.
    whole = integer_bits(b, exponent + layout.magic) - _bits_of_magic(layout, x.dtype)
    half = whole >> 1
    return x * power_of_two(b, half, x.dtype) * power_of_two(b, whole - half, x.dtype)


def scaled_normal(b: Instructions, x: Value, exponent: Value, whole: Value) -> Value:
    """x · 2^exponent where that is neither subnormal nor infinite.

    whole: the exponent in the low bits of an integer
    """
    if has_avx512(b, x):
        return _avx512(b, "scalef", x, exponent)
    return x * power_of_two(b, whole, x.dtype)


def bounded(b: Instructions, x: Value, bound: float) -> Value:
    """Between -bound and bound; nan becomes one of those. For CPUs with AVX-512 only."""
    return _avx512(b, "range", x, x.like(bound), immediate=0b0010)


def decomposed(b: Instructions, x: Value) -> tuple[Value, Value]:
    """x = m · 2^e: m from 0.75 up to 1.5, and e, a whole number in floating point.

    At 0, e is -inf; at inf, inf; and m is any of those numbers. For nan and negative numbers, e
    or m is nan.
    """
    if has_avx512(b, x):
        m = _avx512(b, "getmant", x, immediate=0b1011)
        return m, _avx512(b, "getexp", x) - _avx512(b, "getexp", m)
    layout = format_of(x)
    lift = layout.fraction + 2
    # Subnormal numbers are made normal first.
    small = x < layout.tiny
    normal = b.select(small, x * 2.0**lift, x)
    least = _bits(0.75, x.dtype)
    bits = integer_bits(b, normal) - least
    m = b.bits((bits & ((1 << layout.fraction) - 1)) + least, x.dtype)
    e = _small_float(b, bits >> layout.fraction, x.dtype) - b.select(small, x.like(lift), 0.0)
    at_zero = b.select(x.equals(0.0), x.like(-np.inf), np.nan)
    return m, b.select(x > 0.0, b.select(x < np.inf, e, x), at_zero)


def _small_float(b: Instructions, x: Value, dtype: DType) -> Value:
    """Small integers as floats: int64 ones by addition, since few CPUs convert them."""
    if dtype == float32:
        return b.convert(x, dtype)
    layout = _FORMATS[dtype]
    return b.bits(x + _bits_of_magic(layout, dtype), dtype) - layout.magic


def _bits(number: float, dtype: DType) -> int:
    """The bits of a positive number, as an integer."""
    return int(np.asarray(number, dtype).view(_FORMATS[dtype].integer))


def _bits_of_magic(layout: Format, dtype: DType) -> int:
    return _bits(layout.magic, dtype)


# Exact sums and products, for what must be known with more digits than one number has.


def quick_sum(x: Value, y: Operand) -> tuple[Value, Value]:
    """x + y, rounded, and what the rounding lost. For |x| ≥ |y|, or x = 0."""
    total = x + y
    return total, (x - total) + y


def exact_sum(x: Value, y: Value) -> tuple[Value, Value]:
    """x + y, rounded, and what the rounding lost (Knuth's two-sum)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def exact_product(b: Instructions, x: Value, y: Value) -> tuple[Value, Value]:
    """x · y, rounded, and what the rounding lost, where nothing overflows or vanishes."""
    product = x * y
    if b.module.target.fma:
        return product, b.fma(x, y, -product)
    high, low = _halves(b, x)
    high2, low2 = _halves(b, y)
    error = ((high * high2 - product) + high * low2 + low * high2) + low * low2
    return product, error


def exact_rest(b: Instructions, z: Operand, x: Value, y: Value) -> Value:
    """z - x · y, where that is small: rounded once, or nearly so."""
    if b.module.target.fma:
        return b.fma(-x, y, z)
    product, lost = exact_product(b, x, y)
    return (-product + z) - lost


def _halves(b: Instructions, x: Value) -> tuple[Value, Value]:
    """x as a sum of two numbers of half the digits (Veltkamp's splitting, by masking)."""
    keep = (format_of(x).fraction + 2) // 2
    high = b.bits(integer_bits(b, x) & -(1 << keep), x.dtype)
    return high, x - high


# AVX-512.


def has_avx512(b: Instructions, x: Value) -> bool:
    """Whether AVX-512's own instructions may be used on a value."""
    target = b.module.target
    wide = target.architecture == "x86_64" and target.vector_bytes == 64
    return wide and x.lanes * x.dtype.itemsize >= 16


def _avx512(
    b: Instructions, name: str, x: Value, y: Value | None = None, *, immediate: int | None = None
) -> Value:
    """An instruction on floats, by LLVM's name for it, in pieces of at most 512 bits."""
    if x.lanes * x.dtype.itemsize > 64:
        lows, highs = zip(*(_split(b, v) for v in (x, y) if v is not None), strict=True)
        low = _avx512(b, name, *lows, immediate=immediate)
        high = _avx512(b, name, *highs, immediate=immediate)
        return _joined(b, low, high)
    kind = x.type
    width = x.lanes * x.dtype.itemsize * 8
    full = f"llvm.x86.avx512.mask.{name}.p{'s' if x.dtype == float32 else 'd'}.{width}"
    mask = f"i{max(x.lanes, 8)}"
    types = [kind] + [kind] * (y is not None) + ["i32 immarg"] * (immediate is not None)
    given = [f"{kind} {v.text}" for v in (x, y) if v is not None]
    given += [f"i32 {immediate}"] * (immediate is not None)
    types += [kind, mask]
    given += [f"{kind} zeroinitializer", f"{mask} -1"]
    if width == 512:  # these have an argument for the rounding mode: that of the environment
        types.append("i32 immarg")
        given.append("i32 4")
    b.module.declare(full, kind, types)
    return Value(b, b.emit(f"call {kind} @{full}({', '.join(given)})"), x.dtype, x.lanes)


def _split(b: Instructions, x: Value) -> tuple[Value, Value]:
    """The first half of a vector and the second."""
    half = x.lanes // 2
    texts = []
    for start in (0, half):
        lanes = ", ".join(f"i32 {i}" for i in range(start, start + half))
        mask = f"<{half} x i32> <{lanes}>"
        texts.append(b.emit(f"shufflevector {x.type} {x.text}, {x.type} poison, {mask}"))
    low, high = (Value(b, text, x.dtype, half) for text in texts)
    return low, high


def _joined(b: Instructions, low: Value, high: Value) -> Value:
    lanes = ", ".join(f"i32 {i}" for i in range(2 * low.lanes))
    mask = f"<{2 * low.lanes} x i32> <{lanes}>"
    text = b.emit(f"shufflevector {low.type} {low.text}, {high.type} {high.text}, {mask}")
    return Value(b, text, low.dtype, 2 * low.lanes)
