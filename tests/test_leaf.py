"""Inputs, parameters and constants: names, sizes, and a parameter's value."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import graphwright as gw
from graphwright.graph.dtype import float32
from graphwright.graph.errors import (
    AttributeValueError,
    DTypeError,
    GraphwrightError,
    InputError,
    ShapeError,
)
from graphwright.graph.leaf import Parameter, unset_parameter
from graphwright.graph.types import TensorType

n = gw.dim("n")


@pytest.mark.parametrize(
    "name", ["x", "_", "X9", "encoder/layer_3", "dense.kernel", "w:0", "a-b", "a:b:c", "x.", "f32"]
)
def test_names_of_many_tools_are_taken(name: str) -> None:
    assert gw.input(name, ()).name == name
    assert gw.parameter(name, 0.0).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "3x",
        "a b",
        "x:",
        "a::b",
        ":a",
        "é",
        "x\n",
        "%0",
        "a,b",
        "return",
        "graph",
        "parameter",
        "update",
        "from",
        None,
        3,
    ],
)
def test_names_that_would_not_read_back_are_refused(name: Any) -> None:
    for make in (lambda: gw.input(name, ()), lambda: gw.parameter(name, 0.0)):
        with pytest.raises(AttributeValueError, match="can't name an input or a parameter"):
            make()


def test_an_input_has_the_type_it_was_given() -> None:
    assert gw.input("x", ("batch", 3)).type == TensorType(float32, (gw.dim("batch"), 3))
    assert gw.input("x").shape == ()
    assert gw.input("x", [2 * n + 1, np.int64(3)], "i8").type == TensorType(
        np.dtype(np.int8), (2 * n + 1, 3)
    )
    assert all(type(size) is not np.int64 for size in gw.input("x", (np.int64(3),)).shape)
    assert gw.input("x", (0,)).shape == (0,)


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        (3, ShapeError, r"the shape is a tuple of sizes, got 3"),
        (n, ShapeError, r"the shape is a tuple of sizes, got n"),
        ("batch", ShapeError, r"the shape is a tuple of sizes, got 'batch'"),
        (None, ShapeError, r"the shape is a tuple of sizes, got None"),
        ((-1,), ShapeError, "a size can't be negative, got -1"),
        ((2.0,), ShapeError, "2.0 is not a size"),
        ((None, 3), ShapeError, "None is not a size"),
        ((True,), ShapeError, "True is not a size"),
        ((gw.input("t", ()),), ShapeError, "is not a size"),
        (("2n",), AttributeValueError, "'2n' can't name a dimension"),
        (("n m",), AttributeValueError, "'n m' can't name a dimension"),
    ],
    ids=str,
)
def test_bad_shapes_are_refused_at_the_users_line(
    shape: Any, error: type[GraphwrightError], message: str
) -> None:
    with pytest.raises(error, match=f"input 'x': .*{message}") as caught:
        gw.input("x", shape)
    assert 'gw.input("x", shape)' in str(caught.value)


def test_a_bad_dtype_of_an_input_is_refused() -> None:
    with pytest.raises(DTypeError, match="input 'x': 'complex64' is not an element type"):
        gw.input("x", (2,), "complex64")
    with pytest.raises(DTypeError, match="input 'x': None is not an element type"):
        gw.input("x", (2,), None)


# Parameters.


def test_a_parameter_copies_its_value_and_gives_it_read_only() -> None:
    array = np.arange(3, dtype=np.float32)
    w = gw.parameter("w", array)
    array[0] = 7
    assert w.value.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        w.value[0] = 1
    assert isinstance(w, Parameter)
    assert w.has_value


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (1.5, None, "f32[]"),
        ([[1.5, 2]], None, "f32[1,2]"),
        ([1, 2], None, "i64[2]"),
        (np.zeros((2, 0)), None, "f64[2,0]"),
        (np.zeros(2, ">f4"), None, "f32[2]"),
        (np.zeros(2), "float16", "f16[2]"),
        ([1, 2], "u8", "u8[2]"),
        (np.ones((2, 3), order="F"), np.float32, "f32[2,3]"),
    ],
    ids=str,
)
def test_a_parameter_takes_its_type_from_its_value(value: Any, dtype: Any, expected: str) -> None:
    w = gw.parameter("w", value, dtype)
    assert str(w.type) == expected
    assert w.value.dtype == w.dtype
    assert w.value.flags.c_contiguous
    assert w.value.dtype.isnative


def test_setting_a_value_replaces_it_as_a_whole() -> None:
    w = gw.parameter("w", np.zeros(2, np.float32))
    before = w.value
    w.value = [1, 2]
    assert w.value.tolist() == [1, 2]
    assert before.tolist() == [0, 0]
    mine = np.array([3, 4], np.float32)
    w.value = mine
    mine[0] = 9
    assert w.value.tolist() == [3, 4]
    assert mine.flags.writeable


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3, np.float32), r"parameter 'w': expected shape \(2,\), got \(3,\)"),
        (1.0, r"parameter 'w': expected shape \(2,\), got \(\)"),
        (np.zeros(2), "parameter 'w': float64 can't become float32 without loss"),
        ("ab", "parameter 'w': an array of <U2 is no tensor"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_refused_and_the_old_one_stays(
    value: Any, message: str
) -> None:
    w = gw.parameter("w", np.ones(2, np.float32))
    with pytest.raises(InputError, match=message):
        w.value = value
    assert w.value.tolist() == [1, 1]


def test_a_parameter_of_the_parser_has_no_value_until_one_is_set() -> None:
    w = unset_parameter("w", TensorType(float32, (2,)))
    assert not w.has_value
    with pytest.raises(InputError, match="parameter 'w' has no value") as caught:
        _ = w.value
    assert "set its value" in str(caught.value)
    w.value = [1, 2]
    assert w.has_value


def test_a_parameter_has_no_symbolic_size() -> None:
    with pytest.raises(ShapeError, match=r"parameter 'w' has a symbolic size: f32\[n\]"):
        unset_parameter("w", TensorType(float32, (n,)))


def test_a_reader_sees_one_whole_value_while_another_thread_sets_them() -> None:
    w = gw.parameter("w", np.zeros(1000, np.float32))
    torn = []

    def read() -> None:
        for _ in range(300):
            value = w.value
            if not (value == value[0]).all():
                torn.append(value)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for i in range(300):
        w.value = np.full(1000, i, np.float32)
    for reader in readers:
        reader.join()
    assert torn == []
