"""Element types: names, what is none, and promotion as NEP 50 has it."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import graphwright as gw
from graphwright.graph import dtype as dtypes
from graphwright.graph.dtype import (
    SHORT_NAMES,
    as_dtype,
    bfloat16,
    is_boolean,
    is_floating,
    is_integer,
    promote,
    short_name,
)
from graphwright.graph.errors import DTypeError

BF16 = np.dtype(ml_dtypes.bfloat16)
NUMPYS = [np.dtype(name) for name in SHORT_NAMES if name != "bfloat16"]
WEAK = [True, 7, -7, 0.5]


@pytest.mark.parametrize("left", NUMPYS, ids=str)
@pytest.mark.parametrize("right", NUMPYS, ids=str)
def test_two_dtypes_promote_as_numpys_own_addition_does(
    left: np.dtype[Any], right: np.dtype[Any]
) -> None:
    expected = (np.ones(2, left) * np.ones(2, right)).dtype
    assert promote(left, right) == promote(right, left) == expected


@pytest.mark.parametrize("dtype", NUMPYS, ids=str)
@pytest.mark.parametrize("scalar", WEAK, ids=str)
def test_python_scalars_are_as_weak_as_in_numpy(dtype: np.dtype[Any], scalar: float) -> None:
    if scalar == -7 and dtype.kind == "u":
        scalar = 7  # NumPy refuses the value, not the type
    expected = (np.ones(2, dtype) * scalar).dtype
    assert promote(dtype, scalar) == promote(scalar, dtype) == expected


# The table of changes and the examples of NEP 50, by hand.
@pytest.mark.parametrize(
    ("operands", "expected"),
    [
        ((np.uint8, 2), np.uint8),
        ((np.uint8, np.int64), np.int64),
        ((np.int64, np.uint8), np.int64),
        ((np.float32, 3.0), np.float32),
        ((np.float32, np.float64), np.float64),
        ((np.float16, np.int64), np.float64),
        ((np.float32, np.int64), np.float64),
        ((np.float32, np.int16), np.float32),
        ((np.int16, 1.0), np.float64),
        ((np.int64, np.float32), np.float64),
        ((np.uint8, np.int8), np.int16),
        ((np.uint64, np.int64), np.float64),
        ((np.bool_, 1), np.int64),
        ((np.bool_, 1.0), np.float64),
        ((np.bool_, True), np.bool_),
        ((np.int8, True), np.int8),
        ((np.float16, 1e5), np.float16),
        ((np.uint8, np.bool_, 2), np.uint8),
        ((np.int8, np.float16, np.int16), np.float32),
    ],
)
def test_promotion_follows_the_examples_of_nep_50(operands: Any, expected: Any) -> None:
    given = [np.dtype(o) if isinstance(o, type) else o for o in operands]
    assert promote(*given) == np.dtype(expected)


@pytest.mark.parametrize(
    ("scalars", "expected"),
    [
        ((True,), "bool"),
        ((2,), "int64"),
        ((2.0,), "float32"),
        ((True, 2), "int64"),
        ((2, 0.5, True), "float32"),
        ((2**80,), "int64"),
    ],
)
def test_python_scalars_alone_take_our_defaults(scalars: Any, expected: str) -> None:
    assert promote(*scalars) == np.dtype(expected)


def test_promotion_of_three_is_that_of_numpys_result_type() -> None:
    for triple in itertools.product(NUMPYS, repeat=3):
        assert promote(*triple) == np.result_type(*triple)


def test_bfloat16_promotes_with_what_ml_dtypes_lets_it() -> None:
    assert bfloat16() == BF16
    assert promote(BF16, np.dtype("float32")) == np.float32
    assert promote(np.dtype("float64"), BF16) == np.float64
    assert promote(BF16, np.dtype("bool")) == BF16
    for scalar in WEAK:
        assert promote(BF16, scalar) == promote(scalar, BF16) == BF16


@pytest.mark.parametrize("other", ["float16", "int32", "int64", "uint16"])
def test_bfloat16_has_no_common_type_with_float16_and_wide_integers(other: str) -> None:
    with pytest.raises(
        DTypeError, match=f"no common type for bf16 and {short_name(np.dtype(other))}"
    ):
        promote(BF16, np.dtype(other))


def test_bfloat16_without_ml_dtypes_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def missing(name: str) -> Any:
        if name == "ml_dtypes":
            raise ImportError(name)
        return real(name)

    bfloat16.cache_clear()
    monkeypatch.setattr(dtypes.importlib, "import_module", missing)
    for ask in (bfloat16, lambda: as_dtype("bfloat16"), lambda: gw.input("x", (2,), "bf16")):
        with pytest.raises(DTypeError, match="bfloat16 needs the package ml_dtypes") as caught:
            ask()
        assert "pip install 'graphwright[bfloat16]'" in str(caught.value)
    monkeypatch.undo()
    assert as_dtype("bfloat16") == BF16


def test_every_dtype_has_a_long_and_a_short_name() -> None:
    for long, short in SHORT_NAMES.items():
        dtype = as_dtype(long)
        assert dtype == as_dtype(short) == as_dtype(dtype) == as_dtype(dtype.type)
        assert dtype.name == long
        assert short_name(dtype) == short


@pytest.mark.parametrize("dtype", [d for d in NUMPYS if d.itemsize > 1], ids=str)
def test_big_endian_dtypes_mean_the_native_ones(dtype: np.dtype[Any]) -> None:
    native = as_dtype(dtype.newbyteorder(">"))
    assert native == dtype
    assert native.isnative


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (bool, "bool"),
        (int, "int64"),
        (float, "float64"),
        (np.float32, "float32"),
        (np.longlong, "int64"),
        (np.intc, "int32"),
        (ml_dtypes.bfloat16, "bfloat16"),
    ],
)
def test_types_name_dtypes_as_in_numpy(given: Any, expected: str) -> None:
    assert as_dtype(given).name == expected
    assert as_dtype(given) == as_dtype(expected)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        object,
        str,
        bytes,
        complex,
        np.complex64,
        np.longdouble,
        "complex64",
        "str",
        "float8",
        "f4",
        "",
        "datetime64[s]",
        np.dtype("M8[s]"),
        np.dtype([("a", "f4")]),
        np.dtype("U3"),
        ml_dtypes.float8_e5m2,
        3,
        {"names": ["a"]},
        [1, 2],
    ],
    ids=repr,
)
def test_what_is_no_element_type_is_refused_and_the_choice_told(wrong: Any) -> None:
    with pytest.raises(DTypeError, match="is not an element type of tensors") as caught:
        as_dtype(wrong)
    assert "one of bool, int8, " in str(caught.value)


def test_kinds_of_dtypes() -> None:
    kinds = {
        name: (is_boolean(as_dtype(name)), is_integer(as_dtype(name)), is_floating(as_dtype(name)))
        for name in SHORT_NAMES
    }
    assert {name for name, kind in kinds.items() if kind == (True, False, False)} == {"bool"}
    assert {name for name, kind in kinds.items() if kind == (False, False, True)} == {
        "float16",
        "bfloat16",
        "float32",
        "float64",
    }
    assert sum(kind == (False, True, False) for kind in kinds.values()) == 8
