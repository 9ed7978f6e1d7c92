"""Special values as the Python array API standard has them, and where they deliberately differ."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from support.running import value
from support.special_values import BINARY, UNARY, operands, result, sentences

import graphwright as gw

DOCUMENT = Path(__file__).parents[1] / "docs" / "special_values.md"
SENTENCES = [*sentences(UNARY), *sentences(BINARY)]
BOOLEAN = {"logical_and", "logical_or", "logical_xor", "logical_not"}
NAMES = {name: getattr(gw.ops, name) for name in gw.ops.__all__}
NAMES |= {"inf": math.inf, "nan": math.nan, "int8": np.int8, "uint8": np.uint8}

# What the standard has for real numbers, under its names.
STANDARD = """
abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert
bitwise_or bitwise_right_shift bitwise_xor ceil clip copysign cos cosh divide equal exp expm1
floor floor_divide greater greater_equal hypot isfinite isinf isnan less less_equal log log1p
log2 log10 logaddexp logical_and logical_not logical_or logical_xor maximum minimum multiply
negative nextafter not_equal positive pow reciprocal remainder round sign signbit sin sinh square
sqrt subtract tan tanh trunc all any argmax argmin count_nonzero cumulative_prod cumulative_sum
diff max mean min prod std sum var
"""

# Reductions along an axis: what goes in, and what comes out.
inf, nan = math.inf, math.nan
REDUCTIONS = [
    ("sum", [], 0.0),
    ("sum", [inf, 1.0], inf),
    ("sum", [inf, -inf], nan),
    ("sum", [nan, 1.0], nan),
    ("sum", [inf, nan], nan),
    ("prod", [], 1.0),
    ("prod", [-0.0], -0.0),
    ("prod", [0.0, inf], nan),
    ("prod", [-inf, 2.0], -inf),
    ("prod", [nan, 0.0], nan),
    ("mean", [], nan),
    ("mean", [nan, 1.0], nan),
    ("mean", [inf, 1.0], inf),
    ("var", [], nan),
    ("var", [nan, 1.0], nan),
    ("var", [inf, 1.0], nan),
    ("std", [], nan),
    ("std", [nan, 1.0], nan),
    ("std", [3.0], 0.0),
    ("max", [nan, 1.0], nan),
    ("max", [1.0, nan, inf], nan),
    ("max", [-inf, -inf], -inf),
    ("min", [nan, 1.0], nan),
    ("min", [1.0, nan, -inf], nan),
    ("min", [inf, inf], inf),
    ("all", [], True),
    ("all", [nan, inf, 1.0], True),
    ("all", [1.0, -0.0], False),
    ("any", [], False),
    ("any", [nan], True),
    ("any", [0.0, -0.0], False),
    ("count_nonzero", [], 0),
    ("count_nonzero", [nan, -0.0, inf], 2),
    ("logsumexp", [-inf, -inf], -inf),
    ("logsumexp", [inf, -inf], inf),
    ("logsumexp", [nan, inf], nan),
    ("cumulative_sum", [], []),
    ("cumulative_sum", [-0.0, -0.0, 0.0], [-0.0, -0.0, 0.0]),
    ("cumulative_sum", [1.0, inf, -inf, 1.0], [1.0, inf, nan, nan]),
    ("cumulative_prod", [], []),
    ("cumulative_prod", [-0.0, 2.0, -1.0], [-0.0, -0.0, 0.0]),
    ("cumulative_prod", [inf, 0.0, 1.0], [inf, nan, nan]),
    ("cummax", [-inf, 1.0, nan, 2.0], [-inf, 1.0, nan, nan]),
    ("cummin", [inf, nan, -inf], [inf, nan, nan]),
    ("logcumsumexp", [-inf, 0.0, inf, nan], [-inf, 0.0, inf, nan]),
    ("diff", [inf, inf, 1.0], [nan, -inf]),
]


def rows(heading: str) -> list[list[str]]:
    """The cells of the document's table below a heading."""
    section = DOCUMENT.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


EXCEPTIONS = rows("Deliberate exceptions")


def operator_names() -> list[str]:
    return sorted({operator for operator, _, _ in SENTENCES})


def table_of(operator: str, dtype: np.dtype) -> tuple[list[np.ndarray], np.ndarray]:
    """The operands of all sentences about an operator, and the results that they state."""
    given, wanted = [], []
    for _, words, answer in (s for s in SENTENCES if s[0] == operator):
        for numbers in itertools.product(*(operands(word, dtype) for word in words)):
            if excepted(operator, numbers) is None:
                given.append(numbers)
                wanted.append(result(answer, numbers, dtype))
    columns = [np.array(column, dtype) for column in zip(*given, strict=True)]
    return columns, np.array(wanted)


def excepted(operator: str, numbers: tuple[float, ...]) -> str | None:
    """What the document says of an operation that is like this one in infinities and signs."""
    for expression, _, here, _ in EXCEPTIONS:
        match = re.fullmatch(rf"`{operator}\((.*), (.*)\)`", expression)
        if match and alike(numbers, [float(word) for word in match.groups()]):
            return here
    return None


def alike(numbers, others) -> bool:
    return all(
        math.isinf(a) == math.isinf(b) and (a > 0) == (b > 0) and a == a and a != 0
        for a, b in zip(numbers, others, strict=True)
    )


def assert_same(actual: np.ndarray, wanted: np.ndarray, given: list[np.ndarray]) -> None:
    """Equal in the sign of zero too; to the last places where pi is involved."""
    exact = (actual == wanted) & (np.signbit(actual) == np.signbit(wanted))
    same = exact | (np.isnan(actual) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        unit = np.finfo(actual.dtype).eps
        same |= np.isfinite(wanted) & (wanted != 0) & (np.abs(actual / wanted - 1) <= 2 * unit)
    told = [(*(x[i] for x in given), actual[i], wanted[i]) for i in np.flatnonzero(~same)]
    assert not told, "\n".join(f"{row[:-2]} gives {row[-2]}, not {row[-1]}" for row in told[:9])


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("name", operator_names())
@pytest.mark.parametrize("way", ["kernel", "compiled"])
def test_the_standards_special_cases(name, dtype, way):
    given, wanted = table_of(name, np.dtype(dtype))
    if name in BOOLEAN:
        given = [x.astype(bool) for x in given]
    actual = (by_kernel if way == "kernel" else by_compiling)(NAMES[name], given)
    if actual.dtype == bool:
        assert actual.tolist() == wanted.tolist()
    else:
        assert_same(actual, wanted.astype(actual.dtype), given)


def by_kernel(op, given: list[np.ndarray]) -> np.ndarray:
    with np.errstate(all="ignore"):
        return op.kernel(*given)


def by_compiling(op, given: list[np.ndarray]) -> np.ndarray:
    xs = [gw.input(f"x{i}", x.shape, x.dtype) for i, x in enumerate(given)]
    with np.errstate(all="ignore"):
        return gw.compile(xs, op(*xs))(*given)


def test_every_operator_of_the_standard_is_here():
    assert set(gw.ops.__all__) >= set(STANDARD.split())


# Reductions.


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@pytest.mark.parametrize(("name", "given", "wanted"), REDUCTIONS)
def test_reductions_of_special_values(name, given, wanted, dtype):
    x = np.array(given, dtype)
    for rank_one in (x, x.reshape(1, -1)):
        t = gw.input("x", rank_one.shape, dtype)
        result = gw.compile([t], NAMES[name](t, axis=-1))(rank_one)
        written = value(NAMES[name](t, axis=-1), {t: rank_one})
        for actual in (result, written):
            actual = np.atleast_1d(actual).ravel()
            wide = np.atleast_1d(np.array(wanted))
            assert_same(actual.astype(np.float64), wide.astype(np.float64), [wide])


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (None, 1.0), (0.0, None), (nan, 1.0), (0.0, nan)])
@pytest.mark.parametrize("x", [nan, inf, -inf, -0.0, 0.5])
def test_clip_gives_nan_where_any_of_its_operands_is(x, bounds):
    given = gw.input("x", (1,), "float64")
    (found,) = value(gw.ops.clip(given, *bounds), {given: np.array([x])})
    low, high = bounds
    if any(v is not None and math.isnan(v) for v in (x, low, high)):
        assert math.isnan(found)
    else:
        assert found == max(min(x, inf if high is None else high), -inf if low is None else low)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_what_an_empty_axis_does_not_have_is_refused(name):
    with pytest.raises(gw.ShapeError, match=f"axis 0 is empty: it has no {name}"):
        NAMES[name](gw.input("x", (0,)))
    x = gw.input("x", ("n",))
    with pytest.raises(gw.GraphwrightError, match=f"axis 0 is empty: it has no {name}"):
        gw.compile([x], NAMES[name](x, axis=0))(np.zeros(0, np.float32))


# The document.


@pytest.mark.parametrize("row", EXCEPTIONS, ids=lambda row: row[0].strip("`"))
def test_the_exceptions_are_what_the_document_says(row):
    expression, standard, here, _ = row
    assert_documented(expression, here)
    assert repr(float(standard)) != repr(float(here))


@pytest.mark.parametrize("row", rows("Choices"), ids=lambda row: row[0].strip("`"))
def test_the_choices_are_what_the_document_says(row):
    expression, here, _ = row
    assert_documented(expression, here)


def assert_documented(expression: str, here: str) -> None:
    name, arguments = re.fullmatch(r"`(\w+)\((.*)\)`", expression).groups()
    arrays = [np.asarray(argument) for argument in eval(f"[{arguments}]", NAMES)]
    xs = [gw.input(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    tensor = NAMES[name](*xs)
    written = value(tensor, dict(zip(xs, arrays, strict=True)))
    for actual in (written, gw.compile(xs, tensor)(*arrays)):
        assert repr(float(actual)) == repr(float(here))


def test_the_exceptions_of_division_are_exceptions_to_the_tables():
    for expression, standard, _, _ in EXCEPTIONS:
        match = re.fullmatch(r"`floor_divide\((.*), (.*)\)`", expression)
        if match:
            numbers = tuple(float(word) for word in match.groups())
            stated = {
                repr(float(result(answer, numbers, np.dtype(np.float64))))
                for name, words, answer in SENTENCES
                if name == "floor_divide"
                and all(
                    repr(number) in map(repr, operands(word, np.dtype(np.float64)))
                    for number, word in zip(numbers, words, strict=True)
                )
            }
            assert stated == {repr(float(standard))}


@pytest.mark.parametrize("row", rows("Compiled and written"), ids=lambda row: row[0])
def test_what_compiling_changes_is_what_the_document_says(row):
    example, written, compiled = row
    expression, array = re.fullmatch(r"`(.*)` at `x` = (.*)", example).groups()
    point = np.array(eval(array), np.float64)
    x = gw.input("x", point.shape, np.float64)
    tensor = eval(expression, {**NAMES, "x": x})
    with np.errstate(all="ignore"):
        assert repr(float(value(tensor, {x: point}))) == repr(float(written))
        assert repr(float(gw.compile([x], tensor)(point))) == repr(float(compiled))
