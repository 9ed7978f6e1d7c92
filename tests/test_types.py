"""Tensor types: sizes, printing, and what sizes they refuse."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from graphwright.graph.dim import dim
from graphwright.graph.dtype import as_dtype, float32, int64
from graphwright.graph.errors import ShapeError
from graphwright.graph.types import TensorType

n, m = dim("n"), dim("m")


def test_a_type_knows_its_rank_elements_and_bytes() -> None:
    kind = TensorType(float32, (2, 3))
    assert (kind.rank, kind.size, kind.nbytes) == (2, 6, 24)
    assert TensorType(int64, ()).size == 1
    assert TensorType(float32, (n, 3)).nbytes == 12 * n
    assert TensorType(as_dtype("bf16"), (n, m)).nbytes == 2 * n * m
    assert TensorType(float32, (0, 3)).size == 0


def test_types_print_as_in_the_language() -> None:
    assert str(TensorType(float32, (n, 784))) == repr(TensorType(float32, (n, 784))) == "f32[n,784]"
    assert str(TensorType(as_dtype("bool"), ())) == "bool[]"
    assert str(TensorType(as_dtype("bfloat16"), (n // 2 + 1,))) == "bf16[floordiv(n, 2) + 1]"


def test_types_compare_by_dtype_and_sizes() -> None:
    assert TensorType(float32, (n + n,)) == TensorType(np.dtype("float32"), (2 * n,))
    assert len({TensorType(float32, (2,)), TensorType(float32, (2,))}) == 1
    assert TensorType(float32, (n,)) != TensorType(float32, (m,))
    assert TensorType(float32, (2,)) != TensorType(int64, (2,))


def test_types_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TensorType(float32, ()).shape = (3,)  # type: ignore[misc]


def test_with_shape_and_with_dtype_change_one_part() -> None:
    kind = TensorType(float32, (n, 3))
    assert kind.with_shape((2,)) == TensorType(float32, (2,))
    assert kind.with_dtype(int64) == TensorType(int64, (n, 3))


def test_binding_puts_numbers_for_names() -> None:
    kind = TensorType(float32, (n, 3, n * m - 1))
    assert kind.symbolic
    assert kind.bind({"n": 2, "m": 5, "k": 7}) == TensorType(float32, (2, 3, 9))
    static = TensorType(float32, (2,))
    assert not static.symbolic
    assert static.bind({}) is static


def test_binding_refuses_a_missing_name_and_a_size_below_zero() -> None:
    with pytest.raises(ShapeError, match="the size of dimension m is not known"):
        TensorType(float32, (m,)).bind({"n": 3})
    with pytest.raises(ShapeError, match=r"f32\[n - 5\]: the size n - 5 is -2 where n = 3"):
        TensorType(float32, (n - 5,)).bind({"n": 3})
