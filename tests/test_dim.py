"""Symbolic sizes: arithmetic that agrees with whole numbers, and one form for equal sizes."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import graphwright as gw
from graphwright.graph.dim import (
    Dim,
    Size,
    ceildiv,
    dim,
    evaluate,
    exact_quotient,
    floordiv,
    maximum,
    minimum,
    names_of,
    positive,
    product,
    solve,
)
from graphwright.graph.errors import (
    AttributeValueError,
    GraphwrightError,
    ShapeError,
    SymbolicValueError,
)
from graphwright.graph.parse import parse

n, m, k = dim("n"), dim("m"), dim("k")

# Each operation on sizes beside what it means on whole numbers, in plain Python.
OPERATIONS: dict[str, tuple[Callable[..., Any], Callable[[int, int], int]]] = {
    "+": (operator.add, operator.add),
    "-": (operator.sub, operator.sub),
    "*": (operator.mul, operator.mul),
    "//": (operator.floordiv, operator.floordiv),
    "%": (operator.mod, operator.mod),
    "ceil": (ceildiv, lambda a, b: a // b + (a % b != 0)),
    "max": (maximum, max),
    "min": (minimum, min),
}

Expression = int | str | tuple[str, Any, Any]

leaves = st.one_of(st.sampled_from(["n", "m", "k"]), st.integers(-7, 9))


def trees(operations: str) -> st.SearchStrategy[Expression]:
    names = st.sampled_from(operations.split())
    return st.recursive(leaves, lambda inner: st.tuples(names, inner, inner), max_leaves=8)


def as_size(tree: Expression) -> Size:
    if isinstance(tree, str):
        return dim(tree)
    if isinstance(tree, int):
        return tree
    return OPERATIONS[tree[0]][0](as_size(tree[1]), as_size(tree[2]))


def as_number(tree: Expression, sizes: Mapping[str, int]) -> int:
    if isinstance(tree, str):
        return sizes[tree]
    if isinstance(tree, int):
        return tree
    return OPERATIONS[tree[0]][1](as_number(tree[1], sizes), as_number(tree[2], sizes))


def parsed(size: Size) -> Size:
    """`size` printed and read back."""
    return parse(f"graph(x: f32[{size}]) {{ return x }}").inputs[0].shape[0]


def sized(tree: Expression) -> Size:
    try:
        return as_size(tree)
    except ZeroDivisionError:
        assume(False)
        raise


@settings(max_examples=400, deadline=None)
@given(trees("+ - * // % ceil max min"), st.data())
def test_arithmetic_on_sizes_agrees_with_whole_numbers(tree: Expression, data: Any) -> None:
    size = sized(tree)
    for _ in range(8):
        sizes = {name: data.draw(st.integers(0, 12), label=name) for name in "nmk"}
        try:
            expected = as_number(tree, sizes)
        except ZeroDivisionError:
            continue
        try:
            assert evaluate(size, sizes) == expected
        except ShapeError as error:  # a divisor that the size kept and that is 0 here
            assert "which is 0" in str(error)


@settings(max_examples=300, deadline=None)
@given(trees("+ - * // % ceil max min"))
def test_a_size_is_printed_in_a_form_that_reads_back_as_itself(tree: Expression) -> None:
    size = sized(tree)
    if isinstance(size, Dim):
        assert parsed(size) == size
        assert str(parsed(size)) == str(size)


@settings(max_examples=300, deadline=None)
@given(trees("+ - *"), trees("+ - *"))
def test_polynomials_are_equal_exactly_when_their_values_are(
    left: Expression, right: Expression
) -> None:
    a, b = as_size(left), as_size(right)
    # Eight leaves make at most degree 8: nine points in each name tell polynomials apart.
    points = [
        dict(zip("nmk", values, strict=True)) for values in itertools.product(range(9), repeat=3)
    ]
    agree = all(as_number(left, point) == as_number(right, point) for point in points)
    assert (a == b) is agree
    if agree:
        assert hash(a) == hash(b)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-5, 5), st.lists(st.sampled_from("nmk"), max_size=3))),
    st.randoms(),
)
def test_the_order_of_terms_and_factors_does_not_matter(
    terms: list[tuple[int, list[str]]], random: Any
) -> None:
    def total(terms: list[tuple[int, list[str]]]) -> Size:
        result: Size = 0
        for coefficient, names in terms:
            result = result + product([coefficient, *map(dim, names)])
        return result

    shuffled = [(c, random.sample(names, len(names))) for c, names in terms]
    random.shuffle(shuffled)
    assert total(terms) == total(shuffled)
    assert str(total(terms)) == str(total(shuffled))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((n + 1) * 2 - n, n + 2),
        ((n + m) * (n - m), n * n - m * m),
        ((6 * n + 3) // 3, 2 * n + 1),
        ((n * m + m) // m, n + 1),
        ((4 * n + 4) // (n + 1), 4),
        ((n * n - 1) // (n + 1), n - 1),
        ((n * m + n + m + 1) // (m + 1), n + 1),
        (2 * n // 4, n // 2),
        ((2 * n + 1) // 4, n // 2),
        (n // 2 // 3, n // 6),
        ((n // 2 + 1) // 2, (n + 2) // 4),
        (3 * n * m // (2 * m), 3 * n // 2),
        (2 * n // (2 * m), n // m),
        (-n // -m, n // m),
        (n // -2, -ceildiv(n, 2)),
        (-(-n // 2), ceildiv(n, 2)),
        (-(-n // 3), ceildiv(n, 3)),
        (n // 2 + ceildiv(n, 2), n),
        ((n - 3) // 2 + 1, (n - 1) // 2),
        (ceildiv(n, 1), n),
        (ceildiv(6 * n, 3), 2 * n),
        (n % 1, 0),
        ((4 * n + 3) % 4, 3),
        (n - n % 2, 2 * (n // 2)),
        (0 // n, 0),
        (maximum(n, 0), n),
        (maximum(n, m), maximum(m, n)),
        (minimum(n, m), minimum(m, n)),
        (maximum(n, m) + minimum(n, m), n + m),
        (maximum(n, n), n),
        (minimum(n, 0), 0),
        (minimum(n, n + 3), n),
        (maximum(2 * n, 2 * m), 2 * maximum(n, m)),
        (positive(positive(n - 2) - 3), positive(n - 5)),
        (positive(-n), 0),
        (positive(minimum(n, 3)), minimum(n, 3)),
        (positive(ceildiv(n, 2)), ceildiv(n, 2)),
        (positive(n - n // 3), n - n // 3),
        (maximum(n + m, n), n + m),
        (positive(minimum(n, 5) - minimum(n, 2)), positive(n - 2) - positive(n - 5)),
        (positive(n // 2 - (n - 4) // 2), 2),
    ],
)
def test_equal_sizes_are_structurally_equal(left: Size, right: Size) -> None:
    assert left == right
    assert str(left) == str(right)


@pytest.mark.parametrize(
    "tree",
    [
        ("max", ("//", ("-", "n", 5), 2), 0),
        ("max", ("//", ("-", 3, "n"), "m"), 0),
        ("max", ("-", ("+", ("max", ("-", "n", 5), 0), "m"), 3), 0),
        ("max", ("-", 3, ("max", ("-", "n", 5), 0)), 0),
        ("max", ("-", ("//", "n", 2), ("//", ("+", "n", "m"), 2)), 0),
        ("max", ("-", ("max", ("-", "n", 5), 0), ("max", ("-", "m", 2), 0)), 0),
        ("max", ("-", "n", ("*", "m", ("//", "n", 2))), 0),
        ("max", ("-", ("*", 2, ("//", "n", 2)), "n"), 0),
        ("ceil", ("-", "n", 9), ("+", "m", 1)),
        ("//", ("-", ("//", "n", 2), "m"), 3),
    ],
    ids=str,
)
def test_no_size_is_simplified_too_far(tree: Expression) -> None:
    size = as_size(tree)
    for a, b in itertools.product(range(12), repeat=2):
        sizes = {"n": a, "m": b}
        try:
            expected = as_number(tree, sizes)
        except ZeroDivisionError:
            continue
        assert evaluate(size, sizes) == expected


@pytest.mark.parametrize(
    ("size", "printed"),
    [
        (n, "n"),
        (2 * n + 1, "2*n + 1"),
        (1 - n, "-n + 1"),
        (n * m * 3 - n, "3*m*n - n"),
        (n // 2, "floordiv(n, 2)"),
        (ceildiv(n, 2), "floordiv(n + 1, 2)"),
        ((n - 3) // 2 + 1, "floordiv(n + 1, 2) - 1"),
        (7 // n, "floordiv(7, n)"),
        (n % 2, "n - 2*floordiv(n, 2)"),
        (positive(n - 3), "max(n - 3, 0)"),
        (maximum(n, m) * 2, "2*n + 2*max(m - n, 0)"),
    ],
)
def test_sizes_print_as_their_users_would_write_them(size: Size, printed: str) -> None:
    assert str(size) == repr(size) == printed


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [
        (n * 6, 3, 2 * n),
        (n * m, n, m),
        (12, 4, 3),
        (0, n, 0),
        ((n + 1) * 4, n + 1, 4),
        (n + 1, 2, None),
        (n, m, None),
        (7, 2, None),
        (n, 0, None),
        (3, n, None),
    ],
)
def test_exact_quotients_are_found_only_where_they_are_whole(
    numerator: Size, denominator: Size, quotient: Size | None
) -> None:
    assert exact_quotient(numerator, denominator) == quotient


@pytest.mark.parametrize(
    ("size", "value", "known", "answer"),
    [
        (n, 5, {}, ("n", 5)),
        (2 * n + 1, 7, {}, ("n", 3)),
        (2 * n + 1, 8, {}, None),
        (n + 3, 1, {}, None),
        (n * m, 12, {"m": 4}, ("n", 3)),
        (n * m * m, 12, {"m": 2}, ("n", 3)),
        (n * m, 12, {}, None),
        (n * n, 9, {}, None),
        (n * m + n, 12, {"m": 3}, ("n", 3)),
        (n * m, 0, {"m": 0}, None),
        (n // 2, 3, {}, None),
        (n * (m // 2), 6, {"m": 4}, ("n", 3)),
        (n * (n // 2), 6, {}, None),
        (n - m, 3, {"m": 2}, ("n", 5)),
        (n, 5, {"n": 5}, None),
        (7, 7, {}, None),
    ],
)
def test_solve_finds_the_one_unknown_name(
    size: Size, value: int, known: dict[str, int], answer: tuple[str, int] | None
) -> None:
    assert solve(size, value, known) == answer


@settings(max_examples=200, deadline=None)
@given(trees("+ - *"), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_what_solve_finds_solves_it(tree: Expression, a: int, b: int, c: int) -> None:
    sizes = {"n": a, "m": b, "k": c}
    found = solve(as_size(tree), as_number(tree, sizes), {"m": b, "k": c})
    if found is not None:
        assert as_number(tree, {**sizes, "n": found[1]}) == as_number(tree, sizes)


def test_numpy_integers_take_part_as_numbers() -> None:
    assert n * np.int64(2) == 2 * n == np.int32(2) * n
    assert np.int64(7) - n == 7 - n
    assert n // np.int64(2) == n // 2
    assert all(type(c) is int for size in (n * np.int64(2), np.int8(3) + n) for _, c in size.terms)


def test_names_are_those_that_matter() -> None:
    assert (n * 2 + m // k - m // k).names == {"n"}
    assert (m // k + positive(n - 3)).names == {"n", "m", "k"}
    assert names_of((n + 1, 3, m)) == {"n", "m"}


def test_evaluate_takes_shapes_and_says_which_name_is_missing() -> None:
    assert evaluate((n, 3, n * m), {"n": 2, "m": 5}) == (2, 3, 10)
    with pytest.raises(ShapeError, match="the size of dimension m is not known"):
        evaluate((n, m), {"n": 2})


def test_a_divisor_that_turns_out_to_be_zero_is_named() -> None:
    with pytest.raises(ShapeError, match=r"the size floordiv\(n, m\) divides by m, which is 0"):
        evaluate(n // m, {"n": 1, "m": 0})
    for divide in (floordiv, ceildiv, operator.mod):
        with pytest.raises(ZeroDivisionError):
            divide(n, 0)


@pytest.mark.parametrize(
    "use",
    [bool, int, range, lambda size: size < 3, lambda size: size >= 3, lambda size: [0][size]],
)
def test_a_symbolic_size_has_no_value_in_python(use: Callable[[Any], object]) -> None:
    with pytest.raises(SymbolicValueError, match="is not known while the graph is built"):
        use(n + 1)


def test_a_symbolic_size_is_never_equal_to_a_number() -> None:
    assert n != 3
    assert not n == 0  # noqa: SIM201
    assert n != m
    assert n not in (1, 2, "n", None)


@pytest.mark.parametrize(
    "operation", [operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod]
)
@pytest.mark.parametrize("other", [1.5, "2", None])
def test_sizes_refuse_what_is_no_whole_number(operation: Any, other: object) -> None:
    with pytest.raises(TypeError):
        operation(n, other)
    with pytest.raises(TypeError):
        operation(other, n)


def test_a_tensor_beside_a_size_makes_a_tensor() -> None:
    x = gw.input("x", ("n",))
    for made in (n * x, n + x, n == x, n < x, x * n):
        assert made.shape == (n,)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "2n",
        "a b",
        "a-b",
        "é",
        "n\n",
        "f32",
        "bool",
        "max",
        "floordiv",
        "inf",
        "nan",
        "True",
        "None",
        "graph",
        3,
        None,
    ],
)
def test_names_that_would_be_misread_are_refused(name: Any) -> None:
    with pytest.raises(AttributeValueError, match="can't name a dimension"):
        dim(name)


def test_every_error_of_a_size_is_one_of_ours() -> None:
    for use in (lambda: dim(""), lambda: bool(n), lambda: evaluate(n, {})):
        with pytest.raises(GraphwrightError):
            use()
