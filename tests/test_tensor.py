"""Tensors: NumPy's operators and methods, and what a symbol can't do."""

from __future__ import annotations

import copy
import math
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.running import value

import graphwright as gw
from graphwright.graph.errors import DTypeError, GraphwrightError, SymbolicValueError
from graphwright.graph.tensor import Tensor

Array = np.ndarray[Any, Any]

A = np.array([[1.5, -2.0, 3.25], [0.5, 4.0, -1.0]])
B = np.array([2.0, -3.0, 0.5])
I = np.array([[7, -7, 3], [2, 0, -5]])  # noqa: E741
J = np.array([2, 3, -4])
P = np.array([True, True, False, False])
Q = np.array([True, False, True, False])

ARITHMETIC = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
]
COMPARISONS = [
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]
LOGIC = [operator.and_, operator.or_, operator.xor]


def symbol(array: Array, name: str = "x") -> Tensor:
    return gw.input(name, array.shape, array.dtype)


def same(got: Array, expected: Any) -> None:
    assert got.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("op", [*ARITHMETIC, *COMPARISONS], ids=lambda op: op.__name__)
@pytest.mark.parametrize(("left", "right"), [(A, B), (I, J), (A, I), (I, B)])
def test_binary_operators_mean_what_they_do_in_numpy(op: Any, left: Array, right: Array) -> None:
    x, y = symbol(left, "x"), symbol(right, "y")
    with np.errstate(all="ignore"):
        expected = op(left, right)
    same(value(op(x, y), {x: left, y: right}), expected)


@pytest.mark.parametrize("op", LOGIC, ids=lambda op: op.__name__)
def test_logical_operators_mean_what_they_do_in_numpy(op: Any) -> None:
    x, y = symbol(P, "x"), symbol(Q, "y")
    same(value(op(x, y), {x: P, y: Q}), op(P, Q))
    same(value(op(P, y), {y: Q}), op(P, Q))
    same(value(op(True, y), {y: Q}), op(True, Q))
    same(value(~x, {x: P}), ~P)


@pytest.mark.parametrize("op", [*ARITHMETIC, *COMPARISONS], ids=lambda op: op.__name__)
@pytest.mark.parametrize("left", [B, np.float64(2.5), 3, -2.5], ids=repr)
def test_arrays_and_numbers_may_stand_on_the_left(op: Any, left: Any) -> None:
    y = symbol(A, "y")
    made = op(left, y)
    assert isinstance(made, Tensor)
    same(value(made, {y: A}), op(left, A))


@pytest.mark.parametrize("op", [*ARITHMETIC, *COMPARISONS], ids=lambda op: op.__name__)
@pytest.mark.parametrize("right", [B, np.float32(2.5), 3, 0.5], ids=repr)
def test_arrays_and_numbers_may_stand_on_the_right(op: Any, right: Any) -> None:
    x = symbol(A)
    same(value(op(x, right), {x: A}), op(A, right))


def test_powers_on_both_sides() -> None:
    x = symbol(np.abs(A))
    same(value(x**2, {x: np.abs(A)}), np.abs(A) ** 2)
    same(value(2.0**x, {x: np.abs(A)}), 2.0 ** np.abs(A))
    i = symbol(np.abs(I))
    same(value(2**i, {i: np.abs(I)}), 2 ** np.abs(I))


def test_matrix_products_on_both_sides() -> None:
    x, y = symbol(A), symbol(A.T, "y")
    for made, given in ((x @ y, {x: A, y: A.T}), (A @ y, {y: A.T}), (x @ A.T, {x: A})):
        np.testing.assert_allclose(value(made, given), A @ A.T, rtol=1e-14)
    np.testing.assert_allclose(value(x.dot(B), {x: A}), A.dot(B), rtol=1e-14)


def test_unary_operators() -> None:
    x = symbol(A)
    same(value(-x, {x: A}), -A)
    same(value(abs(x), {x: A}), abs(A))
    assert +x is x


def test_operators_on_assignment_make_new_tensors() -> None:
    x = symbol(A)
    y = x
    y += 1
    y *= 2
    assert y is not x
    same(value(y, {x: A}), (A + 1) * 2)


@pytest.mark.parametrize(
    ("method", "reference"),
    [
        (lambda t: t.T, lambda a: a.T),
        (lambda t: t.mT, lambda a: a.swapaxes(-1, -2)),
        (lambda t: t.transpose(), lambda a: a.transpose()),
        (lambda t: t.transpose(1, 0), lambda a: a.transpose(1, 0)),
        (lambda t: t.transpose((1, 0)), lambda a: a.transpose((1, 0))),
        (lambda t: t.transpose([0, 1]), lambda a: a.transpose([0, 1])),
        (lambda t: t.transpose(None), lambda a: a.transpose(None)),
        (lambda t: t.reshape(3, 2), lambda a: a.reshape(3, 2)),
        (lambda t: t.reshape((3, -1)), lambda a: a.reshape((3, -1))),
        (lambda t: t.reshape(-1), lambda a: a.reshape(-1)),
        (lambda t: t.flatten(), lambda a: a.flatten()),
        (lambda t: t[:, None].squeeze(1), lambda a: a),
        (lambda t: t[None].squeeze(), lambda a: a),
        (lambda t: t.astype("float32"), lambda a: a.astype("float32")),
        (lambda t: t.astype(bool), lambda a: a.astype(bool)),
        (lambda t: t.sum(), lambda a: a.sum()),
        (lambda t: t.sum(0), lambda a: a.sum(0)),
        (lambda t: t.sum((0, 1), keepdims=True), lambda a: a.sum((0, 1), keepdims=True)),
        (lambda t: t.sum(axis=-1), lambda a: a.sum(axis=-1)),
        (lambda t: t.mean(1), lambda a: a.mean(1)),
        (lambda t: t.prod(), lambda a: a.prod()),
        (lambda t: t.max(axis=0, keepdims=True), lambda a: a.max(axis=0, keepdims=True)),
        (lambda t: t.min(), lambda a: a.min()),
        (lambda t: t.argmax(1), lambda a: a.argmax(1)),
        (lambda t: t.argmax(), lambda a: a.argmax()),
        (lambda t: t.argmin(0, keepdims=True), lambda a: a.argmin(0, keepdims=True)),
        (lambda t: t.var(0), lambda a: a.var(0)),
        (lambda t: t.clip(-1, 2), lambda a: a.clip(-1, 2)),
        (lambda t: t.clip(high=0.5), lambda a: a.clip(max=0.5)),
        (lambda t: t.round(), lambda a: a.round()),
        (lambda t: t[1], lambda a: a[1]),
        (lambda t: t[-1, ::-2], lambda a: a[-1, ::-2]),
        (lambda t: t[..., None, 1:], lambda a: a[..., None, 1:]),
        (lambda t: t[0][2], lambda a: a[0][2]),
    ],
)
def test_methods_mean_what_they_do_in_numpy(method: Any, reference: Any) -> None:
    x = symbol(A)
    got = value(method(x), {x: A})
    expected = np.asarray(reference(A))
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_an_integer_tensor_as_an_index_chooses_rows() -> None:
    x, i = symbol(A), gw.input("i", (3,), "int64")
    rows = np.array([1, 0, 1])
    same(value(x[i], {x: A, i: rows}), A[rows])


def test_iteration_and_length_go_by_the_first_axis() -> None:
    x = symbol(A)
    assert len(x) == 2
    first, second = x
    same(value(second, {x: A}), A[1])
    assert first.shape == (3,)


def test_a_tensor_describes_itself() -> None:
    x = gw.input("x", ("batch", 3), "float16")
    assert (x.name, x.ndim, x.leaf) == ("x", 2, True)
    assert x.shape == (gw.dim("batch"), 3)
    assert x.size == gw.dim("batch") * 3
    assert x.dtype == np.float16
    assert repr(x) == "<x: f16[batch,3]>"
    y = x * 2
    assert (y.name, y.leaf) == (None, False)
    assert repr(y) == "<multiply: f16[batch,3]>"
    assert re.fullmatch(
        r"·: f16\[batch,3\]    made at test_tensor\.py:\d+ by multiply", y.describe()
    )


# Identity.


def test_tensors_are_found_by_identity_in_dicts_and_sets() -> None:
    x, y = symbol(A), symbol(A)
    table = {x: "x", y: "y"}
    assert table[x] == "x"
    assert table[y] == "y"
    assert len({x, x, y, x + 0, x + 0}) == 4
    assert x in table
    assert (x + 0) not in table


def test_equality_is_by_element() -> None:
    x = symbol(A)
    made = x == A
    assert isinstance(made, Tensor)
    assert made.dtype == bool
    assert value(made, {x: A}).all()
    assert not value(x != A, {x: A}).any()


@pytest.mark.parametrize("other", [None, "a", object, {}], ids=repr)
def test_comparing_with_what_is_no_array_is_an_error_not_false(other: object) -> None:
    with pytest.raises(DTypeError):
        symbol(A) == other  # noqa: B015


# What a symbol can't do.

IMPOSSIBLE: list[tuple[str, Callable[[Tensor], object], str, str]] = [
    ("if", lambda t: 1 if t > 0 else 2, "its truth is not known", "gw.ops.where"),
    ("not", lambda t: not t, "its truth is not known", "gw.ops.where"),
    ("and", lambda t: t and t, "its truth is not known", "gw.ops.where"),
    ("chained comparison", lambda t: 0 < t < 1, "its truth is not known", "gw.ops.where"),
    ("in", lambda t: 3 in gw.input("v", (2,)), "its truth is not known", "gw.ops.where"),
    ("max", lambda t: max(t, t + 1), "its truth is not known", "gw.ops.where"),
    ("assert", lambda t: all([t]), "its truth is not known", "gw.ops.where"),
    ("float", float, "its value is not known", "compile the graph"),
    ("int", int, "its value is not known", "compile the graph"),
    ("complex", complex, "its value is not known", "compile the graph"),
    ("range", range, "its value is not known", "compile the graph"),
    ("a list's index", lambda t: [1, 2][t], "its value is not known", "compile the graph"),
    ("math", math.exp, "its value is not known", "compile the graph"),
    ("np.asarray", np.asarray, "its value is not known", "use gw.ops"),
    ("np.array of several", lambda t: np.array([t, t]), "its value is not known", "use gw.ops"),
    ("np.sum", np.sum, "np.sum needs values", "use gw.ops.sum"),
    ("np.concatenate", lambda t: np.concatenate([t, t]), "np.concatenate needs", "gw.ops.concat"),
    ("np.unwrap", np.unwrap, "np.unwrap needs values", "use gw.ops in place of NumPy's functions"),
    ("item assignment", lambda t: operator.setitem(t, 0, 1), "can't be written to", "new tensor"),
]


@pytest.mark.parametrize(
    ("use", "what", "hint"), [row[1:] for row in IMPOSSIBLE], ids=[row[0] for row in IMPOSSIBLE]
)
def test_what_needs_a_value_is_refused_with_advice(use: Any, what: str, hint: str) -> None:
    x = gw.input("x", ())
    with pytest.raises(SymbolicValueError) as caught:
        use(x)
    message = str(caught.value)
    assert what in message
    assert hint in message.split("hint: ")[1]
    assert "  at      test_tensor.py:" in message


def test_the_message_of_an_if_on_a_tensor_reads_well() -> None:
    x = gw.input("x", ("n",))
    with pytest.raises(SymbolicValueError) as caught:
        if x > 0:
            pass
    assert re.sub(r":\d+", ":N", str(caught.value)).splitlines() == [
        "its truth is not known while the graph is built",
        "  tensor  ·: bool[n]    made at test_tensor.py:N by greater",
        "  at      test_tensor.py:N in test_the_message_of_an_if_on_a_tensor_reads_well: if x > 0:",
        "  hint: use gw.ops.where(condition, a, b) to choose between tensors, "
        "`is` to compare objects",
    ]


def test_numpys_universal_functions_leave_tensors_alone() -> None:
    with pytest.raises(TypeError, match=r"np\.exp needs values"):
        np.exp(symbol(A))


def test_a_symbolic_length_is_not_known() -> None:
    x = gw.input("x", ("n", 3))
    for use in (len, list, lambda t: [*t]):
        with pytest.raises(SymbolicValueError, match="its length is not known") as caught:
            use(x)
        assert "use x.shape[0], which is n" in str(caught.value)
    with pytest.raises(TypeError, match="rank 0 has no length"):
        len(gw.input("s", ()))


@pytest.mark.parametrize("other", ["a", None, object, 1j, np.array(["a"]), {}], ids=repr)
@pytest.mark.parametrize("op", [*ARITHMETIC, operator.matmul], ids=lambda op: op.__name__)
def test_arithmetic_with_what_is_no_array_of_numbers_is_refused(op: Any, other: object) -> None:
    x = symbol(A)
    with pytest.raises(GraphwrightError, match="constant: "):
        op(x, other)


def test_shape_and_dtype_can_not_be_assigned() -> None:
    x = symbol(A)
    for name in ("shape", "dtype", "ndim", "name"):
        with pytest.raises(AttributeError):
            setattr(x, name, None)


def test_copies_of_a_tensor_are_of_the_same_node() -> None:
    x = symbol(A)
    assert copy.copy(x).node is x.node
