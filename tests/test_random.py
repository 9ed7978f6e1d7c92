"""Random numbers: the published generator, its keys, and the same bits every time."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.random_definitions import philox_block
from support.running import value

import graphwright as gw
from graphwright import nn, random
from graphwright.compiler.differentiate import grad
from graphwright.graph.batch import batched
from graphwright.graph.errors import AttributeValueError, DTypeError
from graphwright.ops.keys import process_seed
from graphwright.ops.philox import philox, random_words

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


@pytest.fixture(autouse=True)
def _same_seed_afterwards():
    before = process_seed()
    yield
    random.seed(before)


# Bits.


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_gives_its_published_answers(counter, key, words):
    columns = np.array([counter, counter], np.uint64).T.copy()
    philox(columns, np.array([key], np.uint64).T)
    assert columns.T.tolist() == [list(words)] * 2


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_bits_are_what_was_published(counter, key, words):
    whole = [low + (high << 32) for low, high in (key, counter[2:])]
    block = counter[0] + (counter[1] << 32)
    if block < 2**63:
        assert block == 0 or block > 2**56, "too far to count to"
    if block == 0:
        drawn = value(random.bits(np.array(whole, np.uint64), 4))
        assert drawn.tolist() == list(words)
        drawn = value(random.bits(np.array(whole, np.uint64), 2, "uint64"))
        assert drawn.tolist() == [(words[0] << 32) + words[1], (words[2] << 32) + words[3]]
    if block >= 2**63:
        made = value(random.fold_in(np.array(whole, np.uint64), block - 2**63))
        assert made.tolist() == [words[0] + (words[1] << 32), words[2] + (words[3] << 32)]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_the_definition_that_operators_are_held_against_gives_them_too(counter, key, words):
    whole = sum(word << 32 * i for i, word in enumerate(counter))
    assert philox_block(key[0] + (key[1] << 32), whole) == list(words)


def test_long_streams_continue_over_chunks():
    keys = np.array([[123456789123, 5 + (7 << 32)], [2**64 - 1, 3]], np.uint64)
    both = random_words(200_001, keys)
    for (seed, stream), words in zip(keys.tolist(), both, strict=True):
        for i in (0, 3, 65_535, 65_536, 131_071, 131_072, 200_000):
            assert words[i] == philox_block(seed, (stream << 64) + i // 4)[i % 4]
    assert both.shape == (2, 200_001)
    np.testing.assert_array_equal(random_words(200_001, keys[1:])[0], both[1])


def test_elements_depend_on_their_key_and_place_alone():
    key = random.key(0)
    for draw in (random.bits, random.uniform, random.normal, random.gumbel):
        whole = value(draw(key, (6, 4)))
        np.testing.assert_array_equal(whole, value(draw(key, 24)).reshape(6, 4))
        np.testing.assert_array_equal(whole[:3], value(draw(key, (3, 4))))
        x = gw.input("x", ("n", 4))
        drawn = value(draw(key, x.shape), {x: np.zeros((6, 4), np.float32)})
        np.testing.assert_array_equal(drawn, whole)


# Keys.


def test_a_key_is_its_seed_and_stream():
    assert value(random.key(5)).tolist() == [5, 0]
    assert value(random.key(2**64 - 1, 7)).tolist() == [2**64 - 1, 7]
    step = gw.input("step", (), "int32")
    assert value(random.key(9, step), {step: np.int32(4)}).tolist() == [9, 4]
    rows = random.key(gw.constant(np.arange(3)), 1)
    assert value(rows).tolist() == [[0, 1], [1, 1], [2, 1]]


def test_seeds_and_streams_make_different_numbers():
    numbers = (0, 1, 2**32, 2**63)
    arrays = [value(random.bits(random.key(a, b), 8)) for a in numbers for b in numbers]
    assert len({array.tobytes() for array in arrays}) == len(arrays)


def test_keys_made_of_keys_all_differ_and_are_unrelated():
    key = random.key(3)
    rows = value(random.split(key, 2000))
    deeper = value(random.split(random.split(key, 40), 50)).reshape(-1, 2)
    keys = np.concatenate([value(key)[None], rows, deeper])
    assert len(np.unique(keys, axis=0)) == len(keys)
    # Every bit of them is 1 half of the time: within 5 standard deviations.
    bits = np.unpackbits(keys[1:].view(np.uint8), axis=1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / math.sqrt(len(bits))
    # Numbers of neighbours are not correlated.
    numbers = value(random.uniform(random.split(key, 2000), 2, dtype="float64")) - 0.5
    assert abs((numbers[1:] * numbers[:-1]).mean() * 12) < 5 / math.sqrt(numbers.size)


def test_a_split_is_a_fold_of_counts_and_no_number_of_the_key():
    key = random.key(11)
    keys = value(random.split(key, 3))
    for i in range(3):
        np.testing.assert_array_equal(keys[i], value(random.fold_in(key, i)))
    assert not np.isin(keys, value(random.bits(key, 1000, "uint64"))).any()
    np.testing.assert_array_equal(
        value(random.fold_in(key, -1)), value(random.fold_in(key, 2**63 - 1))
    )
    step = gw.input("step", (), "int8")
    np.testing.assert_array_equal(
        value(random.fold_in(key, step), {step: np.int8(2)}), value(random.fold_in(key, 2))
    )


def test_an_array_of_keys_gives_each_its_own_numbers():
    keys = random.split(random.key(1), 6)
    grid = keys.reshape(2, 3, 2)
    for draw in (random.uniform, random.normal, random.randint, random.truncated_normal):
        together = value(draw(grid, 4))
        assert together.shape == (2, 3, 4)
        for i in range(6):
            np.testing.assert_array_equal(together.reshape(6, 4)[i], value(draw(keys[i], 4)))


def test_keys_without_a_seed_come_in_order_from_that_of_the_process():
    def drawn():
        return [value(random.key()) for _ in range(3)]

    random.seed(5)
    first = drawn()
    random.seed(5)
    np.testing.assert_array_equal(drawn(), first)
    random.seed(6)
    others = drawn()
    assert len({key.tobytes() for key in [*first, *others]}) == 6
    np.testing.assert_array_equal(first[1], value(random.fold_in(random.key(5), 1)))


def test_no_two_threads_get_the_same_key():
    random.seed(0)
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: value(random.key()).tobytes(), range(200)))
    assert len(set(keys)) == 200


def test_initial_values_and_modules_without_a_seed_follow_that_of_the_process():
    def made():
        layer = nn.Dense(3)
        layer(gw.input("x", (2, 4)))
        return gw.init.normal((5,)), gw.init.he_uniform((5, 2)), layer.parameters[0].value

    random.seed(1)
    first = made()
    random.seed(1)
    for ours, again in zip(first, made(), strict=True):
        np.testing.assert_array_equal(ours, again)
    random.seed(2)
    assert not any(np.array_equal(a, b) for a, b in zip(first, made(), strict=True))
    assert not np.array_equal(gw.init.normal((5,)), gw.init.normal((5,)))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "a", True])
def test_a_bad_seed_is_refused(seed):
    for call in (random.key, random.seed):
        with pytest.raises((AttributeValueError, DTypeError), match=r"whole number|neither"):
            call(seed)


def test_what_is_no_key_is_refused():
    x = gw.input("x", (2,))
    draws = [getattr(random, name) for name in random.__all__ if name not in ("key", "seed")]
    arguments = {"choice": (3,), "permutation": (3,), "fold_in": (1,), "categorical": ([0.5],)}
    for draw in draws:
        with pytest.raises(DTypeError, match=r"a key is u64\[\.\.\.,2\], got f32\[2\]"):
            draw(x, *arguments.get(draw.__name__.removeprefix("random_"), ()))


# The same bits, whatever is around.

DRAWS = {
    "bits": lambda key: random.bits(key, (7, 3)),
    "uniform": lambda key: random.uniform(key, (7, 3)),
    "between": lambda key: random.uniform(key, (7, 3), -3.0, 0.7),
    "double": lambda key: random.uniform(key, (7, 3), -3.0, 0.7, "float64"),
    "normal": lambda key: random.normal(key, (7, 3)),
    "wide": lambda key: random.normal(key, (7, 3), dtype="float64"),
    "half": lambda key: random.normal(key, (7, 3), dtype="float16"),
    "laplace": lambda key: random.laplace(key, (7, 3)),
    "exponential": lambda key: random.exponential(key, (7, 3)),
    "gumbel": lambda key: random.gumbel(key, (7, 3)),
    "truncated": lambda key: random.truncated_normal(key, (7, 3), 0.5, 3.0),
    "bernoulli": lambda key: random.bernoulli(key, (7, 3), 0.3),
    "randint": lambda key: random.randint(key, (7, 3), -5, 9),
    "permutation": lambda key: random.permutation(key, 21).reshape(7, 3),
    "categorical": lambda key: random.categorical(key, np.zeros((3, 5)), shape=7),
    "choice": lambda key: random.choice(key, 40, (7, 3), replace=False),
}


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("name", DRAWS)
def test_the_same_key_gives_the_same_bits_however_it_is_computed(name, backend):
    key = gw.input("key", (2,), "uint64")
    given = np.array([2**40 + 3, 5], np.uint64)
    drawn = DRAWS[name](key)
    wanted = value(drawn, {key: given})
    compiled = gw.compile(key, drawn, backend=backend)(given)
    # Native logarithms are rounded in their own way.
    rounded = backend == "native" and name in ("laplace", "exponential", "gumbel")
    tolerance = 1e-6 if rounded else 0
    np.testing.assert_allclose(compiled, wanted, tolerance, strict=True)
    folded = gw.compile([], DRAWS[name](random.key(2**40 + 3, 5)), backend=backend)
    np.testing.assert_allclose(folded(), wanted, tolerance, strict=True)
    np.testing.assert_array_equal(folded(), folded(), strict=True)
    # Among other work, that fuses with it, in another order.
    x = gw.input("x", (7, 3), "float64")
    used = gw.ops.tanh(x * 2 - drawn.astype("float64")).sum(0)
    outputs = [used, drawn, DRAWS[name](random.split(key)[1])]
    among = gw.compile([x, key], outputs, backend=backend)
    np.testing.assert_array_equal(among(np.ones((7, 3)), given)[1], compiled, strict=True)


@pytest.mark.parametrize("name", DRAWS)
def test_mapping_over_keys_is_drawing_for_each(name):
    key, keys = gw.input("key", (2,), "uint64"), gw.input("keys", (4, 2), "uint64")
    (together,) = batched([DRAWS[name](key)], {key: keys})
    arrays = value(random.split(random.key(8), 4))
    rows = value(together, {keys: arrays})
    for row, one in zip(rows, arrays, strict=True):
        np.testing.assert_array_equal(row, value(DRAWS[name](key), {key: one}))


def test_large_draws_are_not_computed_while_compiling():
    f = gw.compile([], random.normal(random.key(0), (100, 100)).sum(0))
    assert "random_bits" in f.text()


def test_random_numbers_have_no_gradient_but_their_parameters_have():
    x = gw.input("x", (3,), "float64")
    key = random.key(0)
    drawn = random.uniform(key, (3,), dtype="float64")
    np.testing.assert_array_equal(value(grad((x * drawn).sum(), x), {x: np.ones(3)}), value(drawn))
    sample = random.normal(key, None, x, 2 * x, "float64")
    slope = value(grad(sample.sum(), x), {x: np.ones(3)})
    np.testing.assert_allclose(slope, 1 + 2 * value(random.normal(key, 3, dtype="float64")))


# The names.


def test_gw_random_holds_the_random_operators_under_short_names():
    assert gw.random is random
    for name in set(random.__all__) - {"seed"}:
        assert getattr(random, name) is getattr(gw.ops, f"random_{name}")
    assert {n for n in gw.ops.__all__ if n.startswith("random_")} == {
        f"random_{name}" for name in random.__all__ if name != "seed"
    }
