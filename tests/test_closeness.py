"""`assert_close` of `gw.testing`: what passes, and what is told of the rest."""

from __future__ import annotations

import numpy as np
import pytest

import graphwright as gw
from graphwright.testing import assert_close


def test_what_is_close_passes():
    third = np.float32(1) / 3
    assert_close(third, np.float32(1 / 3))
    assert_close(np.array([third]), [1 / 3])
    assert_close(np.array([1e8, 1.0], np.float32), np.array([1e8, 2.0], np.float32))
    assert_close([np.array([np.nan, np.inf, 0.0])], (np.array([np.nan, np.inf, -0.0]),))
    assert_close({"a": np.arange(3)}, {"a": [0, 1, 2]})
    assert_close(np.ones(2), np.ones(2, np.float32), check_dtype=False)
    assert_close(np.ones(2), np.full(2, 1.01), rtol=0.1)
    assert_close(None, None)
    assert_close(np.zeros(0), np.zeros(0))


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (np.ones(2), np.ones(3), "another shape"),
        (np.ones(2), np.ones((1, 2)), "another shape"),
        (np.ones(2), np.ones(2, np.float32), "another dtype"),
        (np.array([1.0, 2.0, 3.0]), [1.0, 2.5, 3.0], "1 of 3 elements are not what is expected"),
        (np.array([1, 2]), [1, 3], "1 of 2 elements"),
        (np.array([np.nan]), [1.0], "the value is not"),
        (np.array([np.inf, 1.0]), [-np.inf, 1.0], "1 of 2"),
        ({"a": np.ones(1)}, {"b": np.ones(1)}, "the structures differ"),
        ((np.ones(1), np.ones(1)), (np.ones(1),), "the structures differ"),
        (np.array([1.0]), [1.0 + 1e-12], "the value"),
        (np.array(1.0), 1.0 + 1e-12, "the value"),
    ],
)
def test_what_is_not_close_is_told(actual, expected, words):
    with pytest.raises(gw.CheckError, match=words):
        assert_close(actual, expected)


def test_where_values_differ_is_told():
    with pytest.raises(gw.CheckError) as caught:
        assert_close({"w": np.zeros((2, 2))}, {"w": np.array([[0.0, 0.0], [7.0, 0.0]])})
    assert "expected  7.0 at ['w'][1, 0]" in str(caught.value)
