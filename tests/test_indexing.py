"""Indexing and slicing: NumPy's answers for every size, and its errors where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.running import value

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.dim import evaluate
from graphwright.graph.errors import AttributeValueError, GraphwrightError, InputError, ShapeError

BOUNDS = st.none() | st.integers(-9, 9)
SLICES = st.builds(slice, BOUNDS, BOUNDS, st.none() | st.integers(-4, 4).filter(bool))
SIZES = range(9)


@given(SLICES)
@settings(max_examples=300, deadline=None)
def test_a_slice_of_a_symbolic_axis_is_right_for_every_size(key):
    x = gw.input("x", ("n",), "int64")
    part = x[key]
    for n in SIZES:
        array = np.arange(100, 100 + n)
        assert evaluate(part.shape, {"n": n}) == array[key].shape
        np.testing.assert_array_equal(value(part, {x: array}), array[key])


@given(SLICES, SLICES)
@settings(max_examples=100, deadline=None)
def test_a_slice_of_a_slice_is_right_for_every_size(first, second):
    x = gw.input("x", ("n",), "int64")
    part = x[first][second]
    for n in SIZES:
        array = np.arange(n)
        assert evaluate(part.shape, {"n": n}) == array[first][second].shape
        np.testing.assert_array_equal(value(part, {x: array}), array[first][second])


@given(SLICES)
@settings(max_examples=100, deadline=None)
def test_the_gradient_of_a_slice_goes_where_it_was_read(key):
    x = gw.input("x", ("n",), "float64")
    weighted = x[key] * (gw.ops.arange(x[key].shape[0]) + 1)
    gradient = grad(weighted.sum(), x)
    for n in SIZES:
        expected = np.zeros(n)
        expected[key] = np.arange(1, 1 + len(expected[key]))
        np.testing.assert_array_equal(value(gradient, {x: np.ones(n)}), expected)


@st.composite
def keys(draw, shape=(4, 3, 2)):
    """A basic index of an array of this shape."""
    parts = [draw(SLICES | st.integers(-size, size - 1)) for size in shape]
    parts = parts[: draw(st.integers(0, len(parts)))]
    if draw(st.booleans()):
        place = draw(st.integers(0, len(parts)))
        tail = len(parts) - place
        parts[place:] = [
            draw(SLICES | st.integers(-size, size - 1)) for size in shape[len(shape) - tail :]
        ]
        parts.insert(place, ...)
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return tuple(parts) if len(parts) != 1 or draw(st.booleans()) else parts[0]


@given(keys())
@settings(max_examples=300, deadline=None)
def test_basic_indices_mean_what_they_mean_in_numpy(key):
    array = np.arange(24).reshape(4, 3, 2)
    x = gw.input("x", array.shape, "int64")
    part = x[key]
    assert part.shape == array[key].shape
    np.testing.assert_array_equal(value(part, {x: array}), array[key])


@given(keys())
@settings(max_examples=100, deadline=None)
def test_basic_indices_work_on_symbolic_sizes(key):
    array = np.arange(24).reshape(4, 3, 2)
    x = gw.input("x", ("a", "b", "c"), "int64")
    np.testing.assert_array_equal(value(x[key], {x: array}), array[key])


def test_slices_of_equal_length_have_equal_sizes():
    x = gw.input("x", ("n", 4))
    assert (x[2:] - 2 * x[1:-1] + x[:-2]).shape == x[2:].shape
    assert x[:3].shape == x[-3:].shape
    assert x[::-1].shape == x.shape
    assert x[1:4].shape == x[3:0:-1].shape
    m = gw.dim("m")
    pairs = gw.input("pairs", (2 * m,))
    assert pairs[::2].shape == pairs[1::2].shape == (m,)


def test_what_changes_nothing_makes_no_node():
    x = gw.input("x", ("n", 4, 1))
    assert x[:] is x[...] is x[:, ::1] is x[0:] is x[:, :4] is x[:, -4:] is x
    assert x[..., ::-1] is x


def test_symbolic_bounds_are_positions_from_the_front():
    n = gw.dim("n")
    x = gw.input("x", (n,), "int64")
    for size in SIZES:
        array = np.arange(size)
        # Where n - 3 is negative, it is clamped to the front and does not count from the end.
        np.testing.assert_array_equal(value(x[n - 3 :], {x: array}), array[max(size - 3, 0) :])
        np.testing.assert_array_equal(value(x[: n - 3], {x: array}), array[: max(size - 3, 0)])
        np.testing.assert_array_equal(value(x[: n // 2], {x: array}), array[: size // 2])
        np.testing.assert_array_equal(value(x[n // 2 :: 2], {x: array}), array[size // 2 :: 2])
        np.testing.assert_array_equal(value(x[n // 2 :: -1], {x: array}), array[size // 2 :: -1])
    assert value(x[n - 1], {x: np.array([4, 5, 6])}) == 6
    k = gw.input("k", ("k",))
    for size in SIZES:
        for count in range(12):
            array = np.arange(size)
            given_arrays = {x: array, k: np.zeros(count, np.float32)}
            for part, expected in (
                (x[: k.shape[0]], array[:count]),
                (x[k.shape[0] :], array[count:]),
                (x[k.shape[0] :: -1], array[count::-1]),
                (x[: k.shape[0] : -2], array[:count:-2]),
            ):
                np.testing.assert_array_equal(value(part, given_arrays), expected)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("a", AttributeValueError, "'a' can't be an index"),
        (1.0, AttributeValueError, "1.0 can't be an index"),
        (True, AttributeValueError, "True can't be an index"),
        ((0, 0, 0), ShapeError, "3 indices for a tensor of rank 2"),
        ((slice(None), 4), ShapeError, "index 4 is out of range for axis 1 of size 4"),
        ((..., -5), ShapeError, "index -5 is out of range for axis 1 of size 4"),
        ((..., ...), AttributeValueError, "only one ellipsis"),
        (slice(0, 1.5), AttributeValueError, "bound of a slice must be a whole number, got 1.5"),
        (slice(0, 3, 0), AttributeValueError, "a number other than 0, got 0"),
        (slice(0, 3, gw.dim("k")), AttributeValueError, "a number other than 0, got k"),
        (np.array([True, False]), ShapeError, "mask has shape [2], where x has [n]"),
        ((0, [True, False]), ShapeError, "mask has shape [2], where x has [4]"),
        (np.array(True), AttributeValueError, "an index is made of integers, got bool"),
        (np.array([0.5]), AttributeValueError, "an index is made of integers, got float64"),
        (([0], [0.5]), AttributeValueError, "an index is made of integers, got float64"),
        (([0], [1, -5]), ShapeError, "index -5 is out of range for axis 1 of size 4"),
        (([0, 1], [0, 1, 2]), ShapeError, "shapes [2] and [3] differ"),
        (([0], [0], [0]), ShapeError, "3 indices for a tensor of rank 2"),
        ((np.ones((3, 4), bool), 0), ShapeError, "3 indices for a tensor of rank 2"),
        ([[0], [1, 2]], AttributeValueError, "[[0], [1, 2]] can't be an index"),
    ],
    ids=str,
)
def test_what_is_no_index_is_refused(key, error, message):
    x = gw.input("x", ("n", 4))
    with pytest.raises(error) as caught:
        x[key]
    assert message in caught.value.what
    assert "test_indexing.py" in str(caught.value) and "x: f32[n,4]" in str(caught.value)


def test_a_mask_is_refused_with_what_to_do_instead():
    x = gw.input("x", (3,))
    with pytest.raises(AttributeValueError, match=r"gw\.ops\.where"):
        x[x > 0]


def test_an_index_beyond_a_symbolic_size_is_refused_when_run():
    x = gw.input("x", ("n",))
    for part in (x[3], x[-4], x[gw.dim("n") - 4]):
        assert value(part, {x: np.zeros(4, np.float32)}).shape == ()
        with pytest.raises(ShapeError, match=r"slice: position -?\d is outside axis 0 of size 3"):
            value(part, {x: np.zeros(3, np.float32)})


@st.composite
def arrays(draw, size):
    """Integers, negative ones too, in one of several shapes that broadcast."""
    shape = draw(st.sampled_from([(), (2,), (1,), (3, 1), (3, 2), (0, 1)]))
    if 0 in shape and draw(st.booleans()):
        shape = (2,)
    count = int(np.prod(shape))
    numbers = draw(st.lists(st.integers(-size, size - 1), min_size=count, max_size=count))
    return np.array(numbers, draw(st.sampled_from(["int64", "int8"]))).reshape(shape)


@st.composite
def masks(draw, shape):
    """Booleans, two of which are True, so that they go with other arrays."""
    count = int(np.prod(shape))
    chosen = draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=2, unique=True))
    mask = np.zeros(count, bool)
    mask[chosen] = True
    return mask.reshape(shape)


@st.composite
def advanced_keys(draw, shape=(4, 3, 5)):
    """An index with arrays among its parts, and perhaps a mask; often it fits."""
    rank = len(shape)
    masked = draw(st.none() | st.tuples(st.integers(0, rank - 1), st.integers(1, 2)))
    dots = draw(st.none() | st.integers(0, rank))
    parts, axis = [], 0
    while axis < rank:
        if dots == axis:
            parts.append(...)
            axis += draw(st.integers(0, rank - axis))
            dots = None
        elif masked is not None and masked[0] == axis:
            end = min(axis + masked[1], rank)
            parts.append(draw(masks(shape[axis:end])))
            axis = end
        else:
            whole = st.integers(-shape[axis], shape[axis] - 1)
            parts.append(draw(arrays(shape[axis]) | arrays(shape[axis]) | SLICES | whole))
            axis += 1
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return tuple(parts)


def in_numpy(array, key):
    """array[key], or None where NumPy refuses it."""
    try:
        return array[key]
    except IndexError:
        return None


def has_mask(key):
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(part, np.ndarray) and part.dtype == bool for part in parts)


@given(advanced_keys())
@settings(max_examples=400, deadline=None)
def test_indices_with_arrays_mean_what_they_mean_in_numpy(key):
    array = np.arange(60).reshape(4, 3, 5)
    x, expected = gw.input("x", array.shape, "int64"), in_numpy(array, key)
    if expected is None:
        with pytest.raises(ShapeError, match=r"shapes .* differ"):
            x[key]
    else:
        assert x[key].shape == expected.shape
        np.testing.assert_array_equal(value(x[key], {x: array}), expected)


@given(advanced_keys())
@settings(max_examples=150, deadline=None)
def test_what_is_not_known_while_building_is_indexed_the_same(key):
    array = np.arange(60).reshape(4, 3, 5)
    expected = in_numpy(array, key)
    if expected is None or has_mask(key):
        return
    x = gw.input("x", ("a", "b", "c"), "int64")
    given, symbolic = {x: array}, []
    for i, part in enumerate(key):
        if isinstance(part, np.ndarray):
            symbolic.append(gw.input(f"i{i}", part.shape, part.dtype))
            given[symbolic[-1]] = part
        else:
            symbolic.append(part)
    np.testing.assert_array_equal(value(x[tuple(symbolic)], given), expected)


@given(advanced_keys() | keys((4, 3, 5)))
@settings(max_examples=100, deadline=None)
def test_the_gradient_of_an_index_goes_where_it_was_read(key):
    x = gw.input("x", (4, 3, 5), "float64")
    expected = np.zeros(x.shape)
    chosen = in_numpy(np.arange(60).reshape(x.shape), key)
    if chosen is None:
        return
    np.add.at(expected.reshape(-1), chosen, np.arange(chosen.size).reshape(chosen.shape))
    weights = np.arange(float(chosen.size)).reshape(chosen.shape)
    gradient = grad((x[key] * weights).sum(), x)
    np.testing.assert_array_equal(value(gradient, {x: np.ones(x.shape)}), expected)


UPDATED = {
    "set": lambda old, new: new,
    "add": lambda old, new: old + new,
    "mul": lambda old, new: old * new,
    "max": max,
    "min": min,
}


@given(advanced_keys() | keys((4, 3, 5)), st.sampled_from(sorted(UPDATED)), st.booleans())
@settings(max_examples=200, deadline=None)
def test_updating_an_index_is_assigning_to_it(key, mode, symbolic):
    array = np.arange(60.0).reshape(4, 3, 5)
    places = in_numpy(np.arange(60).reshape(array.shape), key)
    masked = has_mask(key)
    if places is None or (symbolic and masked):
        return
    updates = np.arange(20.0, 20.0 + places.size).reshape(places.shape)
    expected = array.reshape(-1).copy()
    for place, update in zip(places.flat, updates.flat, strict=True):
        expected[place] = UPDATED[mode](expected[place], update)
    x = gw.input("x", ("a", "b", "c") if symbolic else array.shape, "float64")
    u = gw.input("u", x[key].shape, "float64")
    result = value(gw.ops.index_update(x, key, u, mode), {x: array, u: updates})
    np.testing.assert_array_equal(result, expected.reshape(array.shape))


def test_integers_as_a_whole_index_choose_along_the_first_axis():
    array = np.arange(12).reshape(4, 3)
    x = gw.input("x", array.shape, "int64")
    rows = gw.input("rows", ("k",), "int32")
    for chosen in ([1, -1], [[0, 3], [3, 3]], np.array(2), []):
        np.testing.assert_array_equal(value(x[chosen], {x: array}), array[np.asarray(chosen, int)])
    np.testing.assert_array_equal(
        value(x[rows], {x: array, rows: np.array([3, -4, 0], np.int32)}), array[[3, -4, 0]]
    )


@pytest.mark.parametrize("wrong", [4, -5])
@pytest.mark.parametrize("dtype", ["int8", "int64"])
def test_an_index_out_of_range_is_named_when_run(wrong, dtype):
    x, rows = gw.input("x", (4, 3)), gw.input("rows", (2,), dtype)
    arrays = {x: np.zeros((4, 3), np.float32), rows: np.array([0, wrong], dtype)}
    with pytest.raises(InputError) as caught:
        value(x[rows], arrays)
    assert f"take: index {wrong} is out of range for axis 0 of size 4" in str(caught.value)
    assert "value(x[rows], arrays)" in str(caught.value)
    with pytest.raises(InputError, match=f"scatter_add: index {wrong} is out of range"):
        value(gw.ops.scatter_add(x, rows, x[:2], 0), arrays)


@pytest.mark.parametrize("wrong", [4, 2**64 - 1])
def test_an_unsigned_index_out_of_range_is_named(wrong):
    x, rows = gw.input("x", (4,)), gw.input("rows", (1,), "uint64")
    arrays = {x: np.zeros(4, np.float32), rows: np.array([wrong], np.uint64)}
    with pytest.raises(InputError, match=f"index {wrong} is out of range"):
        value(x[rows], arrays)


def test_an_unsigned_index_beside_others_is_not_taken_for_a_negative_one():
    x, rows = gw.input("x", (4, 2)), gw.input("rows", (1,), "uint64")
    arrays = {x: np.zeros((4, 2), np.float32), rows: np.array([2**64 - 1], np.uint64)}
    with pytest.raises(InputError, match=r"index \d+ is out of range for axis 0 of size 4"):
        value(x[rows, [0]], arrays)


def test_tensors_of_known_length_can_be_unpacked():
    x = gw.input("x", (3, 2), "int64")
    array = np.arange(6).reshape(3, 2)
    for row, expected in zip(x, array, strict=True):
        np.testing.assert_array_equal(value(row, {x: array}), expected)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), ()])
def test_flip_reverses_the_axes_it_is_given(axis):
    array = np.arange(24).reshape(2, 3, 4)
    for shape in (array.shape, ("a", "b", "c")):
        x = gw.input("x", shape, "int64")
        np.testing.assert_array_equal(value(gw.ops.flip(x, axis), {x: array}), np.flip(array, axis))


def test_slice_takes_bounds_for_the_first_axes():
    array = np.arange(24).reshape(2, 3, 4)
    x = gw.input("x", array.shape, "int64")
    part = gw.ops.slice(x, (None, -1), (1, None), (1, -2))
    np.testing.assert_array_equal(value(part, {x: array}), array[:1, -1::-2])
    np.testing.assert_array_equal(value(gw.ops.slice(x, (1,), (2,)), {x: array}), array[1:2])
    with pytest.raises(GraphwrightError, match="1 starts, 2 stops and 1 steps for rank 3"):
        gw.ops.slice(x, (0,), (1, 2))
    with pytest.raises(GraphwrightError, match="4 starts, 4 stops and 4 steps for rank 3"):
        gw.ops.slice(x, (0,) * 4, (1,) * 4)
    with pytest.raises(GraphwrightError, match="flip: axis 3 is out of range for rank 3"):
        gw.ops.flip(x, 3)
