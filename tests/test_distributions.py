"""Random numbers: their distributions and bounds, orders and choices, and dropout."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from support.running import value, values

import graphwright as gw
from graphwright import random
from graphwright.compiler.differentiate import grad
from graphwright.graph.batch import batched
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.ops.philox import RandomBits
from graphwright.testing.closeness import precision

# Distributions.

COUNT = 40_000


def assert_distributed(array, distribution):
    """Kolmogorov and Smirnov's test: the distance is above 1.95 / √n once in a thousand times."""
    ordered = np.sort(array.astype(np.float64), axis=None)
    expected = np.array([distribution(x) for x in ordered.tolist()])
    steps = np.arange(len(ordered) + 1) / len(ordered)
    distance = max((steps[1:] - expected).max(), (expected - steps[:-1]).max())
    assert distance < 1.95 / math.sqrt(len(ordered))


def below(z):
    """Φ(z)."""
    return math.erfc(-z / math.sqrt(2)) / 2


def within(low, high):
    return lambda z: (below(z) - below(low)) / (below(high) - below(low))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("draw", "distribution"),
    [
        (random.uniform, lambda x: x),
        (random.normal, below),
        (random.exponential, lambda x: 1 - math.exp(-x)),
        (random.gumbel, lambda x: math.exp(-math.exp(-x))),
        (random.laplace, lambda x: math.exp(x) / 2 if x < 0 else 1 - math.exp(-x) / 2),
        (random.truncated_normal, within(-2, 2)),
    ],
    ids=["uniform", "normal", "exponential", "gumbel", "laplace", "truncated"],
)
def test_numbers_have_their_distribution(draw, distribution, dtype):
    array = value(draw(random.key(17), COUNT, dtype=dtype))
    assert array.dtype == dtype and np.isfinite(array).all()
    assert_distributed(array, distribution)


@pytest.mark.parametrize(
    ("dtype", "bits"), [("float16", 11), ("bfloat16", 8), ("float32", 24), ("float64", 53)]
)
def test_uniform_numbers_fill_the_mantissa_of_each_dtype_evenly(dtype, bits):
    array = value(random.uniform(random.key(0), 100_000, dtype=dtype)).astype(np.float64)
    assert array.min() >= 0 and array.max() < 1
    whole = array * 2.0**bits
    assert (whole == np.floor(whole)).all() and (whole % 2 == 1).any()
    # χ² of 16 classes: 15 degrees of freedom, above 37.7 in one of a thousand.
    assert chi_squared(np.bincount((array * 16).astype(int), minlength=16)) < 37.7
    assert abs(array.mean() + 2.0 ** -(bits + 1) - 0.5) < 4 * np.sqrt(1 / 12 / len(array))


def chi_squared(counts):
    """Σ (counted - expected)² / expected, where all are as likely."""
    return ((counts - counts.mean()) ** 2 / counts.mean()).sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rarest_bits_give_the_ends_of_the_tails_and_nothing_infinite(dtype, monkeypatch):
    size = 32 if dtype == "float32" else 64
    rare = [0, 2 ** (size - 1) - 1, 2 ** (size - 1), 2**size - 1]

    def kernel(op, key):
        return np.array(rare, op.dtype)[: op.shape[0]]

    monkeypatch.setattr(RandomBits, "kernel", kernel)
    tail = -NormalDist().inv_cdf(2.0 ** -(size + 1))
    log = math.log(2)
    wanted = {
        random.normal: [tail, 0, -tail, 0],
        random.laplace: [size * log, 0, -size * log, 0],
        random.exponential: [(size + 1) * log, log, log, 0],
        random.gumbel: [(size + 1) * log, *[-math.log(log)] * 2, -math.log(24 * log)],
    }
    for draw, numbers in wanted.items():
        array = value(draw(random.key(0), 4, dtype=dtype))
        np.testing.assert_allclose(array, numbers, rtol=1e-6, atol=1e-6)
    upper = value(random.truncated_normal(random.key(0), 4, 0.0, math.inf, dtype))
    assert np.isfinite(upper).all() and (upper >= 0).all() and upper[0] > 6
    everywhere = value(random.truncated_normal(random.key(0), 4, -math.inf, math.inf, dtype))
    assert np.isfinite(everywhere).all() and everywhere[0] < -6 and everywhere[3] > 5


def test_neighbours_are_not_correlated():
    array = value(random.uniform(random.key(0), 100_000, dtype="float64")) - 0.5
    for distance in (1, 2, 3, 4, 5):
        correlation = (array[distance:] * array[:-distance]).mean() * 12
        assert abs(correlation) < 4 / np.sqrt(len(array))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 3.0), (-1.5, 1.0), (1.0, 1.0625), (-7.0, -0.1)])
def test_uniform_numbers_stay_below_their_upper_bound(low, high, dtype):
    array = value(random.uniform(random.key(2), 20_000, low, high, dtype))
    step = precision(array.dtype)[0] * max(-low, high)
    bottom, top = np.array([low, high]).astype(array.dtype).astype(np.float64)
    array = array.astype(np.float64)
    assert array.min() >= bottom and array.max() < top
    assert abs(array.mean() - (low + high) / 2) < 0.03 * (high - low) + step / 2


def test_a_bound_next_to_the_other_is_never_reached():
    high = np.nextafter(np.float32(1), np.float32(2))
    assert (value(random.uniform(random.key(2), 1000, 1.0, high)) == 1).all()
    third = np.nextafter(high, np.float32(2))
    array = value(random.uniform(random.key(2), 10_000, 1.0, third))
    assert set(np.unique(array)) == {np.float32(1), high}
    assert abs((array == 1).mean() - 0.5) < 0.02


def test_bounds_may_be_tensors():
    low, high = np.array([0.0, 10.0], np.float32), np.array([[1.0], [20.0]], np.float32)
    array = value(random.uniform(random.key(1), (500, 2, 2), low, high))
    assert ((array >= low) & ((array < high) | (array == low))).all()
    assert value(random.uniform(random.key(1), None, low, high)).shape == (2, 2)
    with pytest.raises(ShapeError, match=r"parameters of shape \[2\] don't broadcast to \[3\]"):
        random.uniform(random.key(1), 3, low)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers_have_the_moments_of_the_normal_distribution(dtype):
    array = value(random.normal(random.key(4, 3), 200_000, dtype=dtype)).astype(np.float64)
    tolerance = 4 / np.sqrt(len(array))
    assert abs(array.mean()) < tolerance
    assert abs(array.var() - 1) < tolerance * np.sqrt(2)
    assert abs((array**3).mean()) < tolerance * np.sqrt(15)
    assert abs((array**4).mean() - 3) < tolerance * np.sqrt(96)
    # Nothing of float64 is lost: no two of so many numbers are equal.
    assert dtype == "float32" or len(np.unique(array)) == len(array)


def test_normal_numbers_have_a_mean_and_a_deviation():
    array = value(random.normal(random.key(4), 100_000, 5.0, 0.25))
    assert array.dtype == np.float32
    assert abs(array.mean() - 5) < 0.005 and abs(array.std() - 0.25) < 0.005
    means = np.array([0.0, 100.0])
    assert value(random.normal(random.key(4), None, means)).shape == (2,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("low", "high"),
    [(-1.0, 0.5), (0.0, math.inf), (-math.inf, 1.0), (3.0, 4.0), (-9.0, -8.0), (8.0, math.inf)],
)
def test_truncated_normal_numbers_are_normal_within_their_bounds(low, high, dtype):
    array = value(random.truncated_normal(random.key(6), COUNT, low, high, dtype))
    assert array.dtype == dtype and np.isfinite(array).all()
    assert array.min() >= low and array.max() <= high
    # Mirrored, where Φ has its digits.
    mirrored = low + high > 0
    numbers, bounds = (-array, (-high, -low)) if mirrored else (array, (low, high))
    assert_distributed(numbers, within(*bounds))


def test_coins_fall_by_their_probability():
    p = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    array = value(random.bernoulli(random.key(3), (20_000, 5), p))
    assert array.dtype == bool
    assert not array[:, 0].any() and array[:, 4].all()
    assert (np.abs(array.mean(0) - p) < 4 * np.sqrt(p * (1 - p) / 20_000) + 1e-12).all()
    assert value(random.bernoulli(random.key(3), p=np.float32(0.5))).shape == ()
    with pytest.raises(AttributeValueError, match=r"a probability is from 0 to 1, got 1\.5"):
        random.bernoulli(random.key(3), p=1.5)


# Whole numbers.

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_whole_numbers_fill_their_range_evenly(dtype):
    low = 0 if dtype[0] == "u" else -3
    array = value(random.randint(random.key(5), 10_000, low, low + 10, dtype))
    assert array.dtype == dtype
    counts = np.bincount(array.astype(np.int64) - low, minlength=10)
    assert len(counts) == 10 and chi_squared(counts) < 27.9  # 9 degrees of freedom
    limits = np.iinfo(dtype)
    whole = value(random.randint(random.key(5), 4096, limits.min, int(limits.max) + 1, dtype))
    span = float(limits.max) - float(limits.min)
    spread = (whole.astype(np.float64) - float(limits.min)) / span
    assert spread.min() < 0.01 and spread.max() > 0.99 and abs(spread.mean() - 0.5) < 0.02
    one = value(random.randint(random.key(5), 8, limits.max, int(limits.max) + 1, dtype))
    assert (one == limits.max).all()


def test_whole_numbers_may_lie_between_tensors():
    low, high = np.array([-5, 0, 7], np.int8), np.array([5, 2**31, 7], np.int64)
    array = value(random.randint(random.key(5), (4000, 3), low, high))
    assert array[:, 0].min() == -5 and array[:, 0].max() == 4
    assert array[:, 1].min() >= 0 and array[:, 1].max() > 2**30
    assert (array[:, 2] == 7).all()
    rows = gw.input("rows", ("n", 2))
    drawn = random.randint(random.key(5), 1000, 0, rows.shape[0])
    found = value(drawn, {rows: np.zeros((3, 2), np.float32)})
    assert set(found.tolist()) == {0, 1, 2}
    assert (value(random.randint(random.key(5), (50, 1), np.array([7]), 3)) == 7).all()
    across = np.array([5], np.uint64), np.array([2**63 + 9], np.uint64)
    assert value(random.randint(random.key(5), 50, *across, "uint64")).max() > 2**60
    wide = np.array([2**63], np.uint64), np.array([2**64 - 1], np.uint64)
    assert (value(random.randint(random.key(5), 50, *wide, "uint64")) >= wide[0]).all()


def test_bad_bounds_are_refused():
    key = random.key(0)
    with pytest.raises(AttributeValueError, match="low must be below high, got 3 and 3"):
        random.randint(key, 2, 3, 3)
    with pytest.raises(AttributeValueError, match="-1 to 4 is out of the range of u8"):
        random.randint(key, 2, -1, 5, "uint8")
    with pytest.raises(DTypeError, match="gives whole numbers, not f32"):
        random.randint(key, 2, 0, 5, "float32")
    with pytest.raises(DTypeError, match="low and high are whole numbers, got f32"):
        random.randint(key, 2, 0, gw.input("x", ()))
    for draw in (random.uniform, random.truncated_normal):
        with pytest.raises(AttributeValueError, match=r"low must be below high, got 1\.0 and"):
            draw(key, 2, 1.0, -1.0)
        with pytest.raises(DTypeError, match="gives floating numbers, not i64"):
            draw(key, 2, dtype="int64")


# Orders and choices.


def test_every_order_is_as_likely():
    orders = value(random.permutation(random.split(random.key(1), 9600), 4))
    assert orders.shape == (9600, 4) and (np.sort(orders) == np.arange(4)).all()
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24 and chi_squared(counts) < 49.7  # 23 degrees of freedom


def test_elements_are_shuffled_along_an_axis():
    x = np.arange(12).reshape(3, 4)
    order = value(random.permutation(random.key(2), 4))
    np.testing.assert_array_equal(value(random.permutation(random.key(2), x, 1)), x[:, order])
    rows = gw.input("rows", ("n", 2))
    shuffled = value(
        random.permutation(random.key(2), rows), {rows: np.eye(5, 2, dtype=np.float32)}
    )
    assert sorted(shuffled.tolist()) == sorted(np.eye(5, 2).tolist())
    with pytest.raises(ShapeError, match=r"takes one key, got u64\[3,2\]"):
        random.permutation(random.split(random.key(2), 3), x)


def test_choices_are_even_and_without_replacement_different():
    picked = value(random.choice(random.key(4), 7, 14_000))
    assert chi_squared(np.bincount(picked, minlength=7)) < 22.5  # 6 degrees of freedom
    once = value(random.choice(random.key(4), 30, (4, 5), replace=False))
    assert once.shape == (4, 5) and len(np.unique(once)) == 20 and once.max() < 30
    x = np.arange(6.0).reshape(3, 2)
    rows = value(random.choice(random.key(4), x, 50))
    assert rows.shape == (50, 2) and {tuple(row) for row in rows} == {(0, 1), (2, 3), (4, 5)}
    assert value(random.choice(random.key(4), x)).shape == (2,)
    with pytest.raises(ShapeError, match="4 can't be chosen from 3 without replacement"):
        random.choice(random.key(4), x, (2, 2), replace=False)
    with pytest.raises(ShapeError, match="there is nothing to choose from"):
        random.choice(random.key(4), 0, 2)
    with pytest.raises(ShapeError, match="there is nothing to choose from in rank 0"):
        random.choice(random.key(4), gw.input("x", ()), 2)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_categories_are_chosen_by_their_probabilities(dtype):
    p = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])
    with np.errstate(divide="ignore"):
        logits = np.log(p).astype(dtype) + np.array([[3], [-50]], dtype)
    drawn = value(random.categorical(random.key(9), logits, shape=20_000))
    assert drawn.shape == (20_000, 2) and drawn.dtype == np.int64
    for column, wanted in zip(drawn.T, p, strict=True):
        shares = np.bincount(column, minlength=3) / len(column)
        assert (np.abs(shares - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) / 20_000)).all()
    sideways = value(random.categorical(random.key(9), logits.T, axis=0))
    assert sideways.shape == (2,) and sideways[1] != 2


# Dropout.


def test_dropout_keeps_the_mean_and_drops_at_its_rate():
    x = gw.input("x", ("n",), "float64")
    for rate in (0.1, 0.5, 0.9):
        array = value(gw.ops.dropout(x, rate, random.key(1)), {x: np.ones(100_000)})
        assert set(np.unique(array)) == {0, 1 / (1 - rate)}
        assert abs((array == 0).mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / 100_000)


def test_the_gradient_of_dropout_has_the_mask_of_its_value():
    x, key = gw.input("x", (50, 4), "float64"), gw.input("key", (2,), "uint64")
    dropped = gw.ops.dropout(x, 0.3, key)
    arrays = {x: np.full((50, 4), 2.0), key: np.array([8, 11], np.uint64)}
    out, gradient = values([dropped, grad(dropped.sum(), x)], arrays)
    np.testing.assert_allclose(gradient, out / 2, rtol=1e-15)
    other = value(dropped, {**arrays, key: np.array([8, 12], np.uint64)})
    assert (other != out).any()


def test_rows_drop_by_keys_of_their_own_or_all_alike():
    x = gw.input("x", (3, 64))
    ones = {x: np.ones((3, 64), np.float32)}
    own = value(gw.ops.dropout(x, 0.5, random.split(random.key(1), 3)), ones)
    assert (own[0] != own[1]).any() and (own[1] != own[2]).any()
    one, rows = gw.input("one", (64,)), gw.input("rows", (3, 64))
    (alike,) = batched([gw.ops.dropout(one, 0.5, random.key(1))], {one: rows})
    same = value(alike, {rows: np.ones((3, 64), np.float32)})
    assert (same == same[0]).all() and (same == 0).any()


def test_a_bad_rate_is_refused():
    with pytest.raises(AttributeValueError, match="the rate must be at least 0 and below 1, got 1"):
        gw.ops.dropout(gw.input("x", (3,)), 1, random.key(0))
