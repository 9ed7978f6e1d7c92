"""Conversions to and from f16 and bf16 for CPUs without such instructions, in whole numbers.

LLVM calls functions of these names, which a compiler's runtime library would have. Each is a module
with a function `kernel` of that signature. Rounding is to nearest, ties to even; a nan stays a nan,
made quiet; what is too large becomes an infinity; subnormal numbers are kept.
"""

from __future__ import annotations


def _narrowing(wide: str, narrow: str, fraction: int, exponent: int) -> str:
    """From `wide` (float or double) to 16 bits, of which `fraction` and `exponent` are such bits.

    A normal result: the bits, rounded, with the exponent shifted; a carry goes into the exponent,
    and beyond the largest number makes the infinity. A subnormal one: the bits with the leading 1,
    shifted by how far the exponent is too small. What is shifted out decides on rounding.
    """
    bits, own, bias = {"float": ("i32", 23, 127), "double": ("i64", 52, 1023)}[wide]
    size = int(bits[1:])
    less = own - fraction  # bits of the fraction that go
    shift = bias - (2 ** (exponent - 1) - 1)  # between the two biases
    most = 2**exponent - 1  # the exponent of infinity
    return f"""
define {narrow} @kernel({wide} %x) {{
  %bits = bitcast {wide} %x to {bits}
  %high = lshr {bits} %bits, {size - 16}
  %sign = and {bits} %high, {1 << 15}
  %magnitude = and {bits} %bits, {(1 << (size - 1)) - 1}
  %biased = lshr {bits} %magnitude, {own}
  %fraction = and {bits} %magnitude, {(1 << own) - 1}
  ; a normal result keeps the leading 1 implicit, in the exponent; a subnormal one shows it
  %exponent = sub {bits} %biased, {shift}
  %normal = icmp sgt {bits} %exponent, 0
  %moved = sub {bits} %magnitude, {shift << own}
  %has_one = icmp ne {bits} %biased, 0
  %one = select i1 %has_one, {bits} {1 << own}, {bits} 0
  %whole = or {bits} %fraction, %one
  %from = select i1 %normal, {bits} %moved, {bits} %whole
  ; the smallest exponent counts as 1, with or without a leading 1
  %below_0 = sub {bits} 1, %exponent
  %unseen = select i1 %has_one, {bits} 0, {bits} 1
  %below = sub {bits} %below_0, %unseen
  %further = select i1 %normal, {bits} 0, {bits} %below
  %far = icmp sgt {bits} %further, {fraction + 2}
  %more = select i1 %far, {bits} {fraction + 2}, {bits} %further
  %count = add {bits} %more, {less}
  ; round to nearest, ties to even
  %kept = lshr {bits} %from, %count
  %again = shl {bits} %kept, %count
  %lost = sub {bits} %from, %again
  %before = sub {bits} %count, 1
  %half = shl {bits} 1, %before
  %above = icmp ugt {bits} %lost, %half
  %tie = icmp eq {bits} %lost, %half
  %last = trunc {bits} %kept to i1
  %odd = and i1 %tie, %last
  %up = or i1 %above, %odd
  %carry = zext i1 %up to {bits}
  %rounded = add {bits} %kept, %carry
  ; too large: infinity; nan: quiet, with the bits that fit
  %large = icmp ugt {bits} %rounded, {most << fraction}
  %finite = select i1 %large, {bits} {most << fraction}, {bits} %rounded
  %endless = icmp sge {bits} %magnitude, {(2 * bias + 1) << own}
  %result_0 = select i1 %endless, {bits} {most << fraction}, {bits} %finite
  %is_nan = fcmp uno {wide} %x, 0.0
  %payload = lshr {bits} %fraction, {less}
  %quiet = or {bits} %payload, {(most << fraction) | (1 << (fraction - 1))}
  %result_1 = select i1 %is_nan, {bits} %quiet, {bits} %result_0
  %signed = or {bits} %result_1, %sign
  %short = trunc {bits} %signed to i16
  %result = bitcast i16 %short to {narrow}
  ret {narrow} %result
}}"""


# 10 bits of fraction, moved to where a float has them; 112 is the difference of the biases. What
# has the smallest exponent is a whole number of 2**-24; what has the largest stays at the end.
_HALF_TO_FLOAT = """
define float @kernel(half %x) {
  %short = bitcast half %x to i16
  %bits = zext i16 %short to i32
  %magnitude = and i32 %bits, 32767
  %signs = and i32 %bits, 32768
  %sign = shl i32 %signs, 16
  %wide = shl i32 %magnitude, 13
  %normal = add i32 %wide, 939524096
  %end = add i32 %wide, 1879048192
  %whole = uitofp i32 %magnitude to float
  %small = fmul float %whole, 0x3E70000000000000
  %subnormal = bitcast float %small to i32
  %is_small = icmp ult i32 %magnitude, 1024
  %is_end = icmp uge i32 %magnitude, 31744
  %is_nan = icmp ugt i32 %magnitude, 31744
  %quiet = select i1 %is_nan, i32 4194304, i32 0
  %finite = select i1 %is_small, i32 %subnormal, i32 %normal
  %any = select i1 %is_end, i32 %end, i32 %finite
  %made = or i32 %any, %quiet
  %signed = or i32 %made, %sign
  %result = bitcast i32 %signed to float
  ret float %result
}"""

# By the name that LLVM calls.
CONVERSIONS = {
    "__extendhfsf2": _HALF_TO_FLOAT,
    "__truncsfhf2": _narrowing("float", "half", 10, 5),
    "__truncdfhf2": _narrowing("double", "half", 10, 5),
    "__truncsfbf2": _narrowing("float", "bfloat", 7, 8),
    "__truncdfbf2": _narrowing("double", "bfloat", 7, 8),
}
