"""Angles, less a multiple of π: near ones in vectors, far ones number by number.

A near angle x is reduced to x - n π, by subtracting n times each of three or four parts of π
(Cody and Waite). Far ones, which hardly occur, are multiplied by as many bits of 1/π as matter
(Payne and Hanek, Radian reduction for trigonometric functions, SIGNUM Newsletter 18, 1983), in a
function of their own that is called for each of them.
"""

from __future__ import annotations

import math

from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.math.floats import (
    coefficients,
    exact_product,
    exact_sum,
    format_of,
    integer_bits,
    magnitude,
    nearest,
    quick_sum,
)
from graphwright.compiler.native.values import Pointer, Value
from graphwright.graph.dtype import float64

# π in parts, none negative: as long as they can be, for `fma`; and so short that n times each is
# exact.
_PARTS = coefficients(
    float32="3.141592502593994 1.5099578831723193e-07 1.078060505991553e-14",
    float64="3.141592653589793 1.224646799147353e-16 2.1657133478438278e-32",
)
_SHORT_PARTS = coefficients(
    float32="3.140625 0.0009675025939941406 1.5099067240953445e-07 5.126688136514179e-12",
    float64="""3.1415926534682512 1.2154201012607932e-10 4.044532497422333e-21
        1.69568553207378e-31""",
)
# Up to where angles are near, on CPUs with `fma` and on others.
_NEAR = coefficients(float32="131072.0 6000.0", float64="1073741824.0 1000000.0")


def reduced(
    b: Builder, x: Value, periods: int = 1, shift: float = 0.0
) -> tuple[Value, Value, Value]:
    """r = x - (n + shift) π/periods, |r| ≤ π/(2 periods) (and a little more, by rounding).

    periods: in π: 1 or 2
    shift:   0 or ½; with ½, x must not be negative
    Gives r; what r lacks, if there are 2 periods, else 0; and an integer whose sign bit alone is
    set, where n is odd. r is nan for infinite x.
    """
    layout, fused = format_of(x), b.module.target.fma
    per_period = periods / math.pi
    if shift:
        n, whole = nearest(b, b.multiply_add(x, per_period, -shift))
        n = n + shift
    else:
        n, whole = nearest(b, x, per_period)
    parts = [-part / periods for part in (_PARTS if fused else _SHORT_PARTS)[x.dtype]]
    r, low = _difference(b, x, n, parts, careful=periods == 2)
    odd = whole << (layout.integer.itemsize * 8 - 1)
    far = magnitude(b, x) > _NEAR[x.dtype][0 if fused else 1]
    return _with_far(b, x, far, (r, low, odd), (periods, shift))


def _difference(
    b: Builder, x: Value, n: Value, parts: list[float], careful: bool
) -> tuple[Value, Value]:
    """x + n times each of the parts, and what that lacks, if it is asked for, else 0."""
    # All steps but the last two are exact.
    *exact, middle, last = parts
    r = x
    for part in exact:
        r = b.multiply_add(n, part, r)
    if not careful:
        return b.multiply_add(n, last, b.multiply_add(n, middle, r)), x.like(0.0)
    product, lost = exact_product(b, n, n.like(middle))
    after, low = exact_sum(r, product)
    return quick_sum(after, b.multiply_add(n, last, low + lost))


def _with_far(
    b: Builder,
    x: Value,
    far: Value,
    near: tuple[Value, Value, Value],
    how: tuple[int, float],
) -> tuple[Value, Value, Value]:
    """What `reduced` gives, with the values of far angles put in their places."""
    results = [b.variable(value) for value in near]
    with b.when(b.any_lane(far), "far"):
        places = [b.variable(value) for value in (x, x.like(0.0), x.like(0.0))]
        given, rest, parity = (Pointer(place.text, x.dtype) for place in places)
        with b.loop(0, x.lanes) as lane:
            angle = b.load(given, lane)
            with b.when(magnitude(b, angle) > _NEAR[x.dtype][1]):
                distance, flip = _far_angle(b, b.convert(angle, float64), *how)
                rounded = b.convert(distance, x.dtype)
                b.store(given, lane, rounded)
                b.store(rest, lane, b.convert(distance - b.convert(rounded, float64), x.dtype))
                b.store(parity, lane, b.convert(flip, x.dtype))
        found = [places[0].value, places[1].value, integer_bits(b, places[2].value)]
        for result, value, usual in zip(results, found, near, strict=True):
            result.value = b.select(far, value, usual)
    r, low, odd = (result.value for result in results)
    return r, low, odd


def _far_angle(b: Builder, x: Value, periods: int, shift: float) -> tuple[Value, Value]:
    """r, and -0.0 where n is odd, for one far angle in float64."""
    b.module.add("far_angle", _FAR_ANGLE)
    half = -(1 << 126) if shift else 0
    operands = f"double {x.text}, i64 {periods - 1}, i128 {half}"
    pair = b.emit(f"call {_PAIR} @far_angle({operands})")
    r, flip = (b.emit(f"extractvalue {_PAIR} {pair}, {i}") for i in (0, 1))
    return Value(b, r, float64) * (1.0 / periods), Value(b, flip, float64)


_PAIR = "{double, double}"

# The bits of 1/π after the point: 1216 of them, in hexadecimal.
_INVERSE = (
    "517cc1b727220a94fe13abe8fa9a6ee06db14acc9e21c820ff28b1d5ef5de2b0db92371d2126e970"
    "0324977504e8c90e7f0ef58e5894d39f74411afa975da24274ce38135a2fbf209cc8eb1cc1a99cfa"
    "4e422fc5defc941d8ffc4bffef02cc07f79788c5ad05368fb69b3f6793e584dba7a31fb34f2ff516"
    "ba93dd63f5f2f8bd9e839cfbc529497535fdafd88fc6ae842b0198237e3db5d5"
)


def _words() -> str:
    """The table: 64 zeros, then the bits of 1/π, in words of 64."""
    words = ["0" * 16, *(_INVERSE[i : i + 16] for i in range(0, len(_INVERSE), 16))]
    return ", ".join(f"i64 {int(word, 16)}" for word in words)


_FAR_ANGLE = f"""@inverse_of_pi = private constant [20 x i64] [{_words()}]

; The distance of |x| 2^more + half from the nearest multiple of π, half being in units of
; π/2^127, and -0.0 if that multiple is odd; the distance negative if x is; nan if x is infinite.
; |x| must be at least 1.
define internal {_PAIR} @far_angle(double %x, i64 %more, i128 %half) nounwind noinline {{
  %bits = bitcast double %x to i64
  %positive = and i64 %bits, 9223372036854775807
  %exponent = lshr i64 %positive, 52
  %fraction = and i64 %positive, 4503599627370495
  %digits = or i64 %fraction, 4503599627370496
  ; x = digits 2^(exponent - 1075): the bits of 1/π that count start where their product with
  ; that power of two is 1, for those before it give even multiples of π.
  %offset = add i64 %exponent, -1012
  %start = add i64 %offset, %more
  %word = lshr i64 %start, 6
  %shift = and i64 %start, 63
  %place0 = getelementptr inbounds i64, ptr @inverse_of_pi, i64 %word
  %place1 = getelementptr inbounds i64, ptr %place0, i64 1
  %place2 = getelementptr inbounds i64, ptr %place0, i64 2
  %place3 = getelementptr inbounds i64, ptr %place0, i64 3
  %word0 = load i64, ptr %place0
  %word1 = load i64, ptr %place1
  %word2 = load i64, ptr %place2
  %word3 = load i64, ptr %place3
  %high = call i64 @llvm.fshl.i64(i64 %word0, i64 %word1, i64 %shift)
  %middle = call i64 @llvm.fshl.i64(i64 %word1, i64 %word2, i64 %shift)
  %low = call i64 @llvm.fshl.i64(i64 %word2, i64 %word3, i64 %shift)
  ; Their product with the digits: |x|/π modulo 2, in units of 2^-127.
  %product0 = mul i64 %digits, %high
  %wide = zext i64 %digits to i128
  %middle128 = zext i64 %middle to i128
  %low128 = zext i64 %low to i128
  %product1 = mul i128 %wide, %middle128
  %product2 = mul i128 %wide, %low128
  %carried = lshr i128 %product2, 64
  %product0wide = zext i64 %product0 to i128
  %product0high = shl i128 %product0wide, 64
  %sum = add i128 %product0high, %product1
  %turns0 = add i128 %sum, %carried
  %turns = add i128 %turns0, %half
  ; The nearest whole number, and the distance from it.
  %above = add i128 %turns, 85070591730234615865843651857942052864
  %odd = lshr i128 %above, 127
  %part = and i128 %above, 170141183460469231731687303715884105727
  %distance = sub i128 %part, 85070591730234615865843651857942052864
  %size = call i128 @llvm.abs.i128(i128 %distance, i1 false)
  ; As a sum of two floats.
  %upper128 = lshr i128 %size, 64
  %upper = trunc i128 %upper128 to i64
  %lower = trunc i128 %size to i64
  %first = uitofp i64 %upper to double
  %back = fptosi double %first to i64
  %rest = sub i64 %upper, %back
  %restfloat = sitofp i64 %rest to double
  %lowerfloat = uitofp i64 %lower to double
  %scaledlower = fmul double %lowerfloat, 0x3BF0000000000000
  %second = fadd double %restfloat, %scaledlower
  ; Times π.
  %main = fmul double %first, PI_HIGH
  %negative = fneg double %main
  %error = call double @llvm.fma.f64(double %first, double PI_HIGH, double %negative)
  %more1 = fmul double %first, PI_LOW
  %more2 = fmul double %second, PI_HIGH
  %small1 = fadd double %more1, %more2
  %small = fadd double %small1, %error
  %total = fadd double %main, %small
  %angle = fmul double %total, 0x3C00000000000000
  ; The signs.
  %sign128 = lshr i128 %distance, 127
  %sign = trunc i128 %sign128 to i64
  %signbit = shl i64 %sign, 63
  %own = and i64 %bits, -9223372036854775808
  %both = xor i64 %signbit, %own
  %anglebits = bitcast double %angle to i64
  %signed = xor i64 %anglebits, %both
  %unchecked = bitcast i64 %signed to double
  %zero = fmul double %x, 0.0
  %result = fadd double %unchecked, %zero
  %odd64 = trunc i128 %odd to i64
  %oddbit = shl i64 %odd64, 63
  %flip = bitcast i64 %oddbit to double
  %pair = insertvalue {_PAIR} poison, double %result, 0
  %both_results = insertvalue {_PAIR} %pair, double %flip, 1
  ret {_PAIR} %both_results
}}

declare i64 @llvm.fshl.i64(i64, i64, i64)
declare i128 @llvm.abs.i128(i128, i1 immarg)""".replace("PI_HIGH", "0x400921FB54442D18").replace(
    "PI_LOW", "0x3CA1A62633145C07"
)
