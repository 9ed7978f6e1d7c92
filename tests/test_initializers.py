"""Initial values: their mean, variance and shape, their seeds, and what is refused."""

import math

import numpy as np
import pytest

from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.leaf import input
from graphwright.nn import init

WIDE = (300, 500)


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / 800),
        ("glorot_normal", 2 / 800),
        ("he_uniform", 2 / 300),
        ("he_normal", 2 / 300),
        ("lecun_uniform", 1 / 300),
        ("lecun_normal", 1 / 300),
        ("normal", 0.05**2),
        ("uniform", 0.1**2 / 12),
    ],
)
def test_random_initializers_have_the_mean_variance_and_shape_of_their_papers(name, variance):
    drawn = getattr(init, name)(WIDE, seed=5)
    assert drawn.shape == WIDE and drawn.dtype == np.float32
    count = drawn.size
    assert abs(drawn.mean()) < 5 * math.sqrt(variance / count)
    assert drawn.var() == pytest.approx(variance, rel=0.02)
    kurtosis = (drawn.astype(np.float64) ** 4).mean() / drawn.var(dtype=np.float64) ** 2
    # 9/5 for uniform, 3 for normal.
    assert kurtosis == pytest.approx(1.8 if "uniform" in name else 3.0, abs=0.1)
    if "uniform" in name:
        assert np.abs(drawn).max() <= math.sqrt(3 * variance) * 1.000001


def test_receptive_fields_multiply_the_fans():
    assert init.fans((3, 5, 7, 11)) == (15 * 7, 15 * 11)
    assert init.fans((7, 11)) == (7, 11)
    assert init.fans((7,)) == (7, 7)
    drawn = init.he_normal((3, 3, 64, 32), seed=0)
    assert drawn.var() == pytest.approx(2 / (9 * 64), rel=0.05)


def test_initial_values_follow_from_the_seed_alone():
    for name, draw in init.BY_NAME.items():
        first, again = draw((4, 3), seed=1), draw((4, 3), seed=1)
        np.testing.assert_array_equal(first, again)
        if name not in ("zeros", "ones"):
            assert not np.array_equal(first, draw((4, 3), seed=2))
            assert len(np.unique(first)) == 12
        assert draw((4, 3), seed=1, dtype=np.float64).dtype == np.float64


def test_constant_initializers_are_constant():
    assert init.zeros((2, 3)).tolist() == [[0.0] * 3] * 2
    assert init.ones(()).tolist() == 1.0
    assert init.constant((2,), 0.5, dtype=np.float64).tolist() == [0.5, 0.5]
    assert init.glorot_uniform((0, 0), seed=0).shape == (0, 0)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: init.he_normal((), seed=0), ShapeError, "rank 0 has no inputs"),
        (lambda: init.zeros((2, -1)), ShapeError, "-1 is not a size"),
        (lambda: init.he_normal((input("x", ("n", 2)).shape[0], 4), seed=0), ShapeError, "got n"),
        (lambda: init.normal((2,), seed=-1), AttributeValueError, "a seed is a whole number"),
        (lambda: init.normal((2,), seed=0.5), AttributeValueError, "a seed is a whole number"),
        (lambda: init.zeros((2,), dtype="complex64"), DTypeError, "complex64"),
        (lambda: init.initializer("he_norml"), AttributeValueError, "did you mean 'he_normal'?"),
    ],
)
def test_bad_initial_values_are_refused(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
