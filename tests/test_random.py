"""Random numbers: the published generator, evenly spread, and the same bits every time."""

from __future__ import annotations

import numpy as np
import pytest
from support.running import value, values
from support.structural_definitions import philox_block

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import AttributeValueError, DTypeError
from graphwright.ops.random import philox, random_words

# The generator's authors' known answers (Random123, kat_vectors: philox4x32 10).
KNOWN = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_gives_its_published_answers(counter, key, words):
    columns = np.array([counter, counter], np.uint64).T.copy()
    philox(columns, key)
    assert columns.T.tolist() == [list(words)] * 2


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_the_definition_that_operators_are_held_against_gives_them_too(counter, key, words):
    whole = sum(word << 32 * i for i, word in enumerate(counter))
    assert philox_block(key[0] + (key[1] << 32), whole) == list(words)


def test_long_streams_continue_over_chunks():
    words = random_words(200_001, 5 + (7 << 32), 123456789123)
    for i in (0, 3, 65_535, 65_536, 131_071, 131_072, 200_000):
        block = philox_block(123456789123, ((5 + (7 << 32)) << 64) + i // 4)
        assert words[i] == block[i % 4]
    assert len(words) == 200_001


def uniform(counter=0, seed=0, shape=(100_000,), dtype="float32"):
    return value(gw.ops.random_uniform(counter, seed, shape, dtype))


@pytest.mark.parametrize(
    ("dtype", "bits"), [("float16", 11), ("bfloat16", 8), ("float32", 24), ("float64", 53)]
)
def test_uniform_numbers_fill_the_mantissa_of_each_dtype_evenly(dtype, bits):
    array = uniform(dtype=dtype).astype(np.float64)
    assert array.min() >= 0 and array.max() < 1
    whole = array * 2.0**bits
    assert (whole == np.floor(whole)).all() and (whole % 2 == 1).any()
    # χ² of 16 classes: 15 degrees of freedom, above 37.7 in one of a thousand.
    counts = np.bincount((array * 16).astype(int), minlength=16)
    expected = len(array) / 16
    assert ((counts - expected) ** 2 / expected).sum() < 37.7
    assert abs(array.mean() + 2.0 ** -(bits + 1) - 0.5) < 4 * np.sqrt(1 / 12 / len(array))


def test_neighbours_are_not_correlated():
    array = uniform(dtype="float64") - 0.5
    for distance in (1, 2, 3, 4, 5):
        correlation = (array[distance:] * array[:-distance]).mean() * 12
        assert abs(correlation) < 4 / np.sqrt(len(array))


def test_seeds_and_counters_make_different_streams():
    arrays = [uniform(c, s, (64,)) for c in (0, 1, 2**32, 2**63) for s in (0, 1, 2**32, 2**62)]
    assert len({array.tobytes() for array in arrays}) == len(arrays)


def test_elements_depend_on_their_place_alone():
    whole = uniform(shape=(6, 4))
    np.testing.assert_array_equal(whole, uniform(shape=(24,)).reshape(6, 4))
    np.testing.assert_array_equal(whole[:3], uniform(shape=(3, 4)))
    x = gw.input("x", ("n", 4))
    drawn = gw.ops.random_uniform(0, 0, x.shape)
    np.testing.assert_array_equal(value(drawn, {x: np.zeros((6, 4), np.float32)}), whole)


def test_the_counter_may_be_a_tensor_of_any_integer_type():
    step = gw.input("step", (), "int64")
    drawn = gw.ops.random_uniform(step, 9, (3,))
    np.testing.assert_array_equal(value(drawn, {step: 5}), uniform(5, 9, (3,)))


def test_random_numbers_have_no_gradient():
    x = gw.input("x", (3,), "float64")
    target = (x * gw.ops.random_uniform(0, 0, (3,), "float64")).sum()
    np.testing.assert_array_equal(
        value(grad(target, x), {x: np.ones(3)}), uniform(shape=(3,), dtype="float64")
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers_have_the_moments_of_the_normal_distribution(dtype):
    array = value(gw.ops.random_normal(3, 4, (200_000,), dtype))
    assert array.dtype == dtype and np.isfinite(array).all()
    tolerance = 4 / np.sqrt(len(array))
    assert abs(array.mean()) < tolerance
    assert abs(array.var() - 1) < tolerance * np.sqrt(2)
    assert abs((array**3).mean()) < tolerance * np.sqrt(15)
    assert abs((array**4).mean() - 3) < tolerance * np.sqrt(96)
    # Φ(1) - Φ(-1) and Φ(2) - Φ(-2).
    assert abs((np.abs(array) < 1).mean() - 0.682689) < tolerance
    assert abs((np.abs(array) < 2).mean() - 0.954500) < tolerance


def test_dropout_keeps_the_mean_and_drops_at_its_rate():
    x = gw.input("x", ("n",), "float64")
    for rate in (0.1, 0.5, 0.9):
        array = value(gw.ops.dropout(x, rate, 0, 1), {x: np.ones(100_000)})
        assert set(np.unique(array)) == {0, 1 / (1 - rate)}
        assert abs((array == 0).mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / 100_000)


def test_the_gradient_of_dropout_has_the_mask_of_its_value():
    x, step = gw.input("x", (50, 4), "float64"), gw.input("step", (), "uint64")
    dropped = gw.ops.dropout(x, 0.3, step, 8)
    arrays = {x: np.full((50, 4), 2.0), step: np.uint64(11)}
    out, gradient = values([dropped, grad(dropped.sum(), x)], arrays)
    np.testing.assert_allclose(gradient, out / 2, rtol=1e-15)
    other = value(dropped, {**arrays, step: np.uint64(12)})
    assert (other != out).any()


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, "a", True])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(AttributeValueError, match="the seed must be a whole number from 0"):
        gw.ops.random_uniform(0, seed, (2,))


def test_a_bad_counter_or_rate_is_refused():
    x = gw.input("x", (3,))
    with pytest.raises(DTypeError, match=r"the counter must be u64\[\], got u64\[3\]"):
        gw.ops.random_uniform(x, 0, (2,))
    with pytest.raises(AttributeValueError, match="the rate must be at least 0 and below 1, got 1"):
        gw.ops.dropout(x, 1, 0, 0)
    with pytest.raises(DTypeError, match="gives floating numbers, not i64"):
        gw.ops.random_uniform(0, 0, (2,), "int64")
