"""The special cases of the Python array API standard (2024.12) for real numbers, as data.

One line of a table is one sentence of the standard: operands on the left, the result on the right.
An operand is a number, or a word for a set of them that `operands` makes concrete in a dtype:

    any      every number below, and nan        finite   neither infinite nor nan
    ±inf ±0  either                             nonzero  finite, and not 0
    >0 <0    of that sign, infinite ones too    pos neg  of that sign, finite, and not 0
    number   not nan                            tiny     the smallest subnormal number
    odd even fraction                           max      the largest finite number

A result is a number, `x` or `y` for an operand itself, `-x`, `|x|`, `|y|`, or a fraction of pi.
Equal results are equal in the sign of zero too; nan has no sign here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

inf, nan, pi = math.inf, math.nan, math.pi

UNARY = """
abs: nan -> nan; -0 -> 0; -inf -> inf; -tiny -> tiny; -max -> max
arccos: nan -> nan; >1 -> nan; <-1 -> nan; 1 -> 0
arccosh: nan -> nan; <1 -> nan; 1 -> 0; inf -> inf
arcsin: nan -> nan; >1 -> nan; <-1 -> nan; ±0 -> x; ±tiny -> x
arcsinh: nan -> nan; ±0 -> x; ±inf -> x; ±tiny -> x
arctan: nan -> nan; ±0 -> x; inf -> pi/2; -inf -> -pi/2; ±tiny -> x
arctanh: nan -> nan; <-1 -> nan; >1 -> nan; -1 -> -inf; 1 -> inf; ±0 -> x; ±tiny -> x
ceil: ±inf -> x; ±0 -> x; nan -> nan; tiny -> 1; -tiny -> -0; -0.5 -> -0; max -> x
cos: nan -> nan; ±0 -> 1; ±inf -> nan; ±tiny -> 1
cosh: nan -> nan; ±0 -> 1; ±inf -> inf; ±max -> inf
exp: nan -> nan; ±0 -> 1; inf -> inf; -inf -> 0; max -> inf; -max -> 0
expm1: nan -> nan; ±0 -> x; inf -> inf; -inf -> -1; ±tiny -> x
floor: ±inf -> x; ±0 -> x; nan -> nan; tiny -> 0; -tiny -> -1; 0.5 -> 0; max -> x
isfinite: ±inf -> False; nan -> False; finite -> True
isinf: ±inf -> True; nan -> False; finite -> False
isnan: nan -> True; ±inf -> False; finite -> False
log: nan -> nan; <0 -> nan; ±0 -> -inf; 1 -> 0; inf -> inf
log10: nan -> nan; <0 -> nan; ±0 -> -inf; 1 -> 0; inf -> inf
log1p: nan -> nan; <-1 -> nan; -1 -> -inf; ±0 -> x; inf -> inf; ±tiny -> x
log2: nan -> nan; <0 -> nan; ±0 -> -inf; 1 -> 0; inf -> inf
logical_not: True -> False; False -> True
negative: nan -> nan; ±0 -> -x; ±inf -> -x; finite -> -x
reciprocal: nan -> nan; 0 -> inf; -0 -> -inf; inf -> 0; -inf -> -0; tiny -> inf
round: ±inf -> x; ±0 -> x; nan -> nan; 0.5 -> 0; 1.5 -> 2; 2.5 -> 2; -0.5 -> -0; -2.5 -> -2
sign: <0 -> -1; ±0 -> 0; >0 -> 1; nan -> nan
signbit: 0 -> False; -0 -> True; >0 -> False; <0 -> True; nan -> False
sin: nan -> nan; ±0 -> x; ±inf -> nan; ±tiny -> x
sinh: nan -> nan; ±0 -> x; ±inf -> x; ±tiny -> x; max -> inf; -max -> -inf
sqrt: nan -> nan; <0 -> nan; ±0 -> x; inf -> inf
square: nan -> nan; ±0 -> 0; ±inf -> inf; ±tiny -> 0; ±max -> inf
tan: nan -> nan; ±0 -> x; ±inf -> nan; ±tiny -> x
tanh: nan -> nan; ±0 -> x; inf -> 1; -inf -> -1; ±tiny -> x; max -> 1; -max -> -1
trunc: ±inf -> x; ±0 -> x; nan -> nan; tiny -> 0; -tiny -> -0; 1.5 -> 1; -1.5 -> -1; max -> x
"""

BINARY = """
add: nan any -> nan; any nan -> nan; inf -inf -> nan; -inf inf -> nan
     inf inf -> inf; -inf -inf -> -inf; ±inf finite -> x; finite ±inf -> y
     -0 -0 -> -0; -0 0 -> 0; 0 -0 -> 0; 0 0 -> 0; ±0 nonzero -> y; nonzero ±0 -> x
     max max -> inf; -max -max -> -inf; 1.5 -1.5 -> 0; tiny -tiny -> 0
subtract: nan any -> nan; any nan -> nan; inf inf -> nan; -inf -inf -> nan
     ±inf finite -> x; finite inf -> -inf; finite -inf -> inf; 0 0 -> 0; -0 0 -> -0; 0 -0 -> 0
     nonzero ±0 -> x; -max max -> -inf; tiny tiny -> 0
multiply: nan any -> nan; any nan -> nan; ±inf ±0 -> nan; ±0 ±inf -> nan
     inf >0 -> inf; inf <0 -> -inf; -inf >0 -> -inf; -inf <0 -> inf
     >0 inf -> inf; <0 inf -> -inf; >0 -inf -> -inf; <0 -inf -> inf
     0 pos -> 0; 0 neg -> -0; -0 pos -> -0; -0 neg -> 0; 0 -0 -> -0; -0 -0 -> 0
     finite 1 -> x; max 2 -> inf; max -2 -> -inf; tiny 0.25 -> 0; tiny -0.25 -> -0
divide: nan any -> nan; any nan -> nan; ±inf ±inf -> nan; ±0 ±0 -> nan
     0 >0 -> 0; -0 >0 -> -0; 0 <0 -> -0; -0 <0 -> 0
     >0 0 -> inf; >0 -0 -> -inf; <0 0 -> -inf; <0 -0 -> inf
     inf pos -> inf; inf neg -> -inf; -inf pos -> -inf; -inf neg -> inf
     pos inf -> 0; pos -inf -> -0; neg inf -> -0; neg -inf -> 0; max 0.5 -> inf; tiny 4 -> 0
floor_divide: nan any -> nan; any nan -> nan; ±inf ±inf -> nan; ±0 ±0 -> nan
     0 >0 -> 0; -0 >0 -> -0; 0 <0 -> -0; -0 <0 -> 0
     >0 0 -> inf; >0 -0 -> -inf; <0 0 -> -inf; <0 -0 -> inf
     inf pos -> inf; inf neg -> -inf; -inf pos -> -inf; -inf neg -> inf
     pos inf -> 0; pos -inf -> -0; neg inf -> -0; neg -inf -> 0
remainder: nan any -> nan; any nan -> nan; ±inf ±inf -> nan; ±0 ±0 -> nan
     0 >0 -> 0; -0 >0 -> 0; 0 <0 -> -0; -0 <0 -> -0; >0 ±0 -> nan; <0 ±0 -> nan
     inf pos -> nan; inf neg -> nan; -inf pos -> nan; -inf neg -> nan
     pos inf -> x; pos -inf -> y; neg inf -> y; neg -inf -> x
power: not1 nan -> nan; any 0 -> 1; any -0 -> 1; nan >0 -> nan; nan <0 -> nan
     large inf -> inf; large -inf -> 0; ±1 inf -> 1; ±1 -inf -> 1; 1 number -> 1
     small inf -> 0; small -inf -> inf; inf >0 -> inf; inf <0 -> 0
     -inf odd -> -inf; -inf uneven -> inf; -inf -odd -> -0; -inf -uneven -> 0
     0 >0 -> 0; 0 <0 -> inf; -0 odd -> -0; -0 uneven -> 0; -0 -odd -> -inf; -0 -uneven -> inf
     neg fraction -> nan; max 2 -> inf; tiny 2 -> 0
arctan2: nan any -> nan; any nan -> nan; >0 0 -> pi/2; >0 -0 -> pi/2
     0 >0 -> 0; 0 0 -> 0; 0 -0 -> pi; 0 <0 -> pi; -0 >0 -> -0; -0 0 -> -0; -0 -0 -> -pi
     -0 <0 -> -pi; <0 0 -> -pi/2; <0 -0 -> -pi/2; pos inf -> 0; pos -inf -> pi
     neg inf -> -0; neg -inf -> -pi; inf finite -> pi/2; -inf finite -> -pi/2; inf inf -> pi/4
     inf -inf -> 3*pi/4; -inf inf -> -pi/4; -inf -inf -> -3*pi/4
copysign: number <0 -> -|x|; number -0 -> -|x|; number 0 -> |x|; number >0 -> |x|; nan any -> nan
     number nan -> |x|
hypot: ±inf any -> inf; any ±inf -> inf; ±0 number -> |y|; number ±0 -> |x|
     nan finite -> nan; finite nan -> nan; nan nan -> nan; max max -> inf; tiny ±0 -> tiny
logaddexp: nan any -> nan; any nan -> nan; inf number -> inf; number inf -> inf
     -inf nonzero -> y; nonzero -inf -> x; -inf -inf -> -inf
maximum: nan any -> nan; any nan -> nan; inf number -> inf; number -inf -> x; -tiny tiny -> tiny
minimum: nan any -> nan; any nan -> nan; -inf number -> -inf; number inf -> x; -tiny tiny -> -tiny
nextafter: nan any -> nan; any nan -> nan; -0 0 -> 0; 0 -0 -> -0; 0 >0 -> tiny; 0 <0 -> -tiny
     inf finite -> max; -inf finite -> -max; max inf -> inf; tiny <0 -> 0; -tiny >0 -> -0
equal: nan any -> False; any nan -> False; inf inf -> True; -inf -inf -> True; ±0 ±0 -> True
     inf -inf -> False; ±inf finite -> False; tiny ±0 -> False
not_equal: nan any -> True; any nan -> True; inf -inf -> True; -inf inf -> True; ±0 ±0 -> False
     inf inf -> False; tiny ±0 -> True
less: nan any -> False; any nan -> False; -inf inf -> True; ±0 ±0 -> False; 0 tiny -> True
     max inf -> True; inf number -> False
less_equal: nan any -> False; any nan -> False; ±0 ±0 -> True; number inf -> True
     -inf number -> True; inf finite -> False
greater: nan any -> False; any nan -> False; inf -inf -> True; ±0 ±0 -> False; tiny 0 -> True
     inf max -> True; number inf -> False
greater_equal: nan any -> False; any nan -> False; ±0 ±0 -> True; inf number -> True
     number -inf -> True; -inf finite -> False
logical_and: True True -> True; True False -> False; False True -> False; False False -> False
logical_or: True True -> True; True False -> True; False True -> True; False False -> False
logical_xor: True True -> False; True False -> True; False True -> True; False False -> False
"""


def sentences(table: str) -> list[tuple[str, tuple[str, ...], str]]:
    """Each sentence of a table: operator, operands, result."""
    found, operator = [], ""
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            operator, line = line.split(": ", 1)
        for sentence in line.strip().split("; "):
            operands, result = sentence.split(" -> ")
            found.append((operator, tuple(operands.split()), result))
    return found


def operands(word: str, dtype: np.dtype) -> list[Any]:
    """The numbers that an operand's word stands for, in `dtype`."""
    limits = np.finfo(dtype)
    tiny, top = float(limits.smallest_subnormal), float(limits.max)
    pos = [tiny, 0.5, 1.0, 1.5, 2.0, 3.0, top]
    uneven = [tiny, 0.5, 1.5, 2.0, top, inf]
    finite = [0.0, -0.0, *pos, *(-v for v in pos)]
    sets: dict[str, list[Any]] = {
        "any": [*finite, inf, -inf, nan],
        "number": [*finite, inf, -inf],
        "finite": finite,
        "nonzero": finite[2:],
        ">0": [*pos, inf],
        "pos": pos,
        ">1": [1.5, top, inf],
        "<1": [0.5, 0.0, -2.0, -inf],
        "not1": [*(v for v in finite if v != 1), inf, -inf, nan],
        "large": [1.5, -2.0, top, -top, inf, -inf],
        "small": [0.5, -0.5, tiny, 0.0, -0.0],
        "odd": [1.0, 3.0],
        "uneven": uneven,
        "fraction": [0.5, -1.5, tiny],
        "tiny": [tiny],
        "max": [top],
        "nan": [nan],
        "True": [True],
        "False": [False],
    }
    if word in sets:
        return sets[word]
    opposite = {"<0": ">0", "neg": "pos", "<-1": ">1"}
    if word in opposite:
        return [-v for v in sets[opposite[word]]]
    if word[0] == "±":
        return [sign * v for v in operands(word[1:], dtype) for sign in (1.0, -1.0)]
    if word[0] == "-":
        return [-v for v in operands(word[1:], dtype)]
    return [float(word)]


def result(word: str, given: tuple[Any, ...], dtype: np.dtype) -> Any:
    """The number that a result's word stands for, of these operands."""
    first, last = given[0], given[-1]
    limits = np.finfo(dtype)
    names = {
        "x": first,
        "y": last,
        "inf": inf,
        "nan": nan,
        "pi": pi,
        "tiny": float(limits.smallest_subnormal),
        "max": float(limits.max),
        "abs": abs,
    }
    if word == "-0":
        return -0.0
    for letter in "xy":
        word = word.replace(f"|{letter}|", f"abs({letter})")
    return eval(word, {"__builtins__": {}}, names)
