"""Arrays from outside: what is taken, what is refused, and constants compared by their bits."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import graphwright as gw
from graphwright.graph.array import FrozenArray, coerce
from graphwright.graph.dtype import SHORT_NAMES, as_dtype
from graphwright.graph.errors import DTypeError, GraphwrightError, InputError, SymbolicValueError
from graphwright.graph.types import TensorType

F32 = np.dtype(np.float32)


def taken(value: object, dtype: Any) -> np.ndarray[Any, Any]:
    array = coerce(value, np.dtype(dtype), "x")
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.flags.c_contiguous
    assert array.flags.aligned
    return array


def test_an_array_that_fits_is_taken_as_it_is() -> None:
    array = np.ones((2, 3), np.float32)
    assert taken(array, np.float32) is array
    array.flags.writeable = False
    assert taken(array, np.float32) is array


def unaligned() -> np.ndarray[Any, Any]:
    data = np.zeros(4 * 6 + 1, np.uint8)[1:].view(np.float32)
    data[:] = range(6)
    return data.reshape(2, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(3, 2).T,
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-2],
        np.broadcast_to(np.float32(3), (2, 3)),
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(6, dtype=np.float16).reshape(2, 3),
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.arange(6).reshape(2, 3) > 2,
        unaligned(),
    ],
    ids=[
        "transposed",
        "fortran",
        "strided",
        "broadcast",
        "big-endian",
        "f16",
        "i16",
        "bool",
        "unaligned",
    ],
)
def test_layouts_and_safe_casts_are_taken_with_the_same_values(array: Any) -> None:
    assert np.array_equal(taken(array, np.float32), array.astype(np.float32))


def test_zero_size_and_rank_zero_arrays_are_taken() -> None:
    assert taken(np.zeros((0, 3), np.float32), np.float32).shape == (0, 3)
    assert taken(np.float32(2), np.float32).shape == ()
    assert taken([], np.int64).shape == (0,)
    assert taken([[], []], np.bool_).shape == (2, 0)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (2, np.float32, 2.0),
        (2, np.uint8, 2),
        (True, np.float32, 1.0),
        (0.1, np.float32, np.float32(0.1)),
        (0.1, np.float16, np.float16(0.1)),
        ([1, 2], np.uint8, [1, 2]),
        ([0, 255], np.uint8, [0, 255]),
        ([2**63], np.uint64, [2**63]),
        ([-128, 127], np.int8, [-128, 127]),
        ([[1, 2.5]], np.float64, [[1, 2.5]]),
        ([True, False], np.bool_, [True, False]),
        ((1, 2), ml_dtypes.bfloat16, [1, 2]),
        ([0.5], ml_dtypes.bfloat16, [0.5]),
        (range(3), np.int32, [0, 1, 2]),
        ([np.float32(1), np.float32(2)], np.float32, [1, 2]),
    ],
)
def test_numbers_and_lists_become_what_is_expected(value: Any, dtype: Any, expected: Any) -> None:
    assert taken(value, dtype).tolist() == np.asarray(expected).tolist()


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (np.ones(2), np.float32, "x: float64 can't become float32 without loss"),
        (np.ones(2, np.int64), np.int32, "x: int64 can't become int32 without loss"),
        (np.ones(2, np.int64), np.float32, "x: int64 can't become float32 without loss"),
        (np.ones(2, np.float32), np.int64, "x: float32 can't become int64 without loss"),
        (np.ones(2, np.float32), np.float16, "x: float32 can't become float16 without loss"),
        (np.ones(2, np.int8), np.uint8, "x: int8 can't become uint8 without loss"),
        (np.ones(2, np.int64), np.bool_, "x: int64 can't become bool without loss"),
        (np.float64(1), np.float32, "x: float64 can't become float32 without loss"),
        (1.5, np.int64, "x: float64 can't become int64 without loss"),
        ([1, 0], np.bool_, "x: int64 can't become bool without loss"),
        ([1, 300], np.uint8, "x: 300 is out of the range of uint8"),
        ([-1], np.uint64, "x: -1 is out of the range of uint64"),
        (2**63, np.int64, f"x: {2**63} is out of the range of int64"),
        (np.array([object]), np.float32, "x: an array of object is no tensor; expected float32"),
        (2**80, np.float32, "x: an array of object is no tensor"),
        (None, np.float32, "x: an array of object is no tensor"),
        ({"a": 1}, np.float32, "x: an array of object is no tensor"),
        ("abc", np.float32, "x: an array of <U3 is no tensor"),
        ([b"1"], np.float32, "x: an array of |S1 is no tensor"),
        (np.ones(2, complex), np.float32, "x: an array of complex128 is no tensor"),
        (np.array(["2020"], "M8[Y]"), np.int64, r"x: an array of datetime64\[Y\] is no tensor"),
        (np.zeros(2, [("a", "f4")]), np.float32, "without loss"),
        ([[1], [1, 2]], np.float32, "x: list is not an array"),
    ],
    ids=str,
)
def test_what_would_lose_something_is_refused_by_name(value: Any, dtype: Any, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        coerce(value, np.dtype(dtype), "x")


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"convert it yourself, with \.astype\('float32'\)"):
        coerce(np.ones(2), F32, "x")
    with pytest.raises(InputError, match="rows must be equally long"):
        coerce([[1], [1, 2]], F32, "x")
    with pytest.raises(InputError, match="from -128 to 127"):
        coerce([128], np.dtype(np.int8), "x")


def test_a_tensor_is_no_array() -> None:
    with pytest.raises(SymbolicValueError, match="its value is not known"):
        coerce(gw.input("t", (2,)), F32, "x")


def test_floats_beyond_the_range_become_infinite_without_a_warning() -> None:
    assert taken([1e300, -1e300], np.float32).tolist() == [np.inf, -np.inf]


# Constants.


def test_a_frozen_array_is_a_copy_that_nobody_writes_to() -> None:
    source = np.arange(3.0)
    frozen = FrozenArray(source)
    source[0] = 7
    assert frozen.array.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        frozen.array[0] = 1
    assert frozen.type == TensorType(np.dtype(np.float64), (3,))
    assert repr(frozen) == "FrozenArray(f64[3])"


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_every_dtype_can_be_frozen_and_compared(name: str) -> None:
    array = np.ones((2, 2), as_dtype(name))
    assert FrozenArray(array) == FrozenArray(array.copy())
    assert hash(FrozenArray(array)) == hash(FrozenArray(np.asfortranarray(array)))


def test_frozen_arrays_are_equal_when_their_bits_are() -> None:
    nan = np.array([np.nan, 1])
    payload = nan.copy()
    payload.view(np.uint64)[0] += 1
    assert FrozenArray(nan) == FrozenArray(nan.copy())
    assert FrozenArray(nan) != FrozenArray(payload)
    assert FrozenArray([0.0]) != FrozenArray([-0.0])
    assert FrozenArray([1.0]) != FrozenArray([[1.0]])
    assert FrozenArray(np.float32(1)) != FrozenArray(np.float64(1))
    assert FrozenArray(np.zeros((0, 3))) != FrozenArray(np.zeros((3, 0)))
    assert FrozenArray(np.ones(2)) == FrozenArray(np.ones(2, ">f8"))
    assert FrozenArray([1.0]) != [1.0]
    colliding = 261031903865218, 149383681321797  # of one CRC-32, which hashes are made of
    assert len({FrozenArray(np.int64(value)) for value in colliding}) == 2
    big = np.arange(10_000)
    assert len({FrozenArray(big), FrozenArray(big.copy()), FrozenArray(big + 1)}) == 2


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.5, "float32"),
        ([1.5, 2], "float32"),
        (3, "int64"),
        (True, "bool"),
        (np.float64(1.5), "float64"),
        (np.arange(3), "int64"),
        (np.int8(3), "int8"),
        (np.ones(2, ml_dtypes.bfloat16), "bfloat16"),
    ],
    ids=str,
)
def test_constants_keep_an_arrays_dtype_and_make_pythons_floats_float32(
    value: Any, dtype: str
) -> None:
    for made in (gw.constant(value), gw.ops.as_tensor(value), gw.parameter("w", value)):
        assert made.dtype.name == dtype
        assert made.shape == np.shape(value)


@pytest.mark.parametrize(
    ("value", "dtype", "error", "message"),
    [
        (..., None, DTypeError, "ellipsis is neither a tensor nor an array of numbers"),
        (None, None, DTypeError, "NoneType is neither a tensor nor an array of numbers"),
        ([1, None], None, DTypeError, "list is neither a tensor nor an array of numbers"),
        ("abc", None, DTypeError, "is not an element type of tensors"),
        (1j, None, DTypeError, "'complex128' is not an element type of tensors"),
        (1, "complex64", DTypeError, "'complex64' is not an element type of tensors"),
        ([[1], [1, 2]], None, InputError, "the rows differ in length"),
        (2**70, None, InputError, "a number of 71 bits is out of the range of int64"),
        (10**400, "float32", InputError, "is out of the range of float32"),
        (300, "uint8", InputError, "300 is out of the range of uint8"),
        (np.array([1, -1]), "uint8", InputError, "-1 is out of the range of uint8"),
    ],
    ids=str,
)
def test_what_is_no_array_of_numbers_makes_no_constant_and_no_parameter(
    value: Any, dtype: Any, error: type[GraphwrightError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        gw.constant(value, dtype)
    assert str(caught.value).startswith("constant: ")
    assert "gw.constant(value, dtype)" in str(caught.value)
    with pytest.raises(error, match=message) as caught:
        gw.parameter("w", value, dtype)
    assert str(caught.value).startswith("parameter 'w': ")


def test_wide_numbers_are_constants_of_floats() -> None:
    x = gw.input("x", ())
    made = x + 2**70
    assert made.dtype == F32
    assert gw.constant(2**70, "float64").node.op.value.array == 2.0**70


def test_a_number_that_a_tensors_integers_cannot_hold_is_refused() -> None:
    pixels = gw.input("pixels", (4,), "uint8")
    for use in (lambda: pixels * 300, lambda: -1 * pixels):
        with pytest.raises(InputError, match="is out of the range of uint8"):
            use()
