"""What moves and chooses elements, against NumPy's functions of the same names."""

from __future__ import annotations

import numpy as np
import pytest
from support.running import value

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import AttributeValueError, DTypeError, GraphwrightError, ShapeError

ARRAY = np.arange(24.0).reshape(2, 3, 4)
SHAPES = pytest.mark.parametrize("shape", [ARRAY.shape, ("a", "b", "c")], ids=["known", "symbolic"])


def check(function, expected, shape=ARRAY.shape):
    """`function` of a tensor has this value, whose dtype may be another one."""
    x = gw.input("x", shape, "float64")
    tensor = function(x)
    result = value(tensor, {x: ARRAY})
    np.testing.assert_array_equal(result, expected)


@SHAPES
@pytest.mark.parametrize("offset", [-4, -2, -1, 0, 1, 3, 5])
def test_triangles_and_diagonals(shape, offset):
    check(lambda x: gw.ops.tril(x, offset), np.tril(ARRAY, offset), shape)
    check(lambda x: gw.ops.triu(x, offset), np.triu(ARRAY, offset), shape)
    for axes in ((0, 1), (2, 0), (-1, -2)):
        check(lambda x, a=axes: x.diagonal(offset, *a), ARRAY.diagonal(offset, *axes), shape)
        check(lambda x, a=axes: x.trace(offset, *a), ARRAY.trace(offset, *axes), shape)
    check(lambda x: gw.ops.diag(x[0], offset), np.diag(ARRAY[0], offset), shape)
    check(lambda x: gw.ops.diag(x[0, 0], offset), np.diag(ARRAY[0, 0], offset), shape)
    check(lambda x: gw.ops.tri(*x.shape[1:], offset), np.tri(3, 4, offset), shape)
    check(lambda x: gw.ops.eye(*x.shape[1:], offset), np.eye(3, 4, offset), shape)


def test_square_ones():
    assert gw.ops.tri(3).shape == gw.ops.eye(3, k=1).shape == (3, 3)
    assert gw.ops.tri(2, dtype="bool").dtype == bool
    with pytest.raises(ShapeError, match="needs a vector or a matrix"):
        gw.ops.diag(gw.ops.zeros((2, 2, 2)))


@SHAPES
def test_repetition(shape):
    for repeats in (2, (2,), (1, 3), (2, 1, 2), (2, 1, 1, 3), (0, 1)):
        check(lambda x, r=repeats: gw.ops.tile(x, r), np.tile(ARRAY, repeats), shape)
    for axis in (None, 0, -1):
        check(lambda x, a=axis: x.repeat(3, a), ARRAY.repeat(3, axis), shape)
    check(lambda x: gw.ops.tile(x, gw.dim("a")), np.tile(ARRAY, 2), ("a", 3, 4))


def test_repeats_of_each():
    check(lambda x: x.repeat([1, 0, 2], 1), ARRAY.repeat([1, 0, 2], 1))
    check(lambda x: x.repeat(np.array([2, 3]), 0), ARRAY.repeat([2, 3], 0))
    x, counts = gw.input("x", (3,), "float64"), gw.input("counts", (3,), "int32")
    for total, expected in ((3, [5, 5, 7]), (4, [5, 5, 7, 7]), (6, [5, 5, 7, 7, 7, 7])):
        result = gw.ops.repeat_each(x, counts, total)
        arrays = {x: np.array([5.0, 6, 7]), counts: np.array([2, 0, 2], np.int32)}
        np.testing.assert_array_equal(value(result, arrays), expected)
    with pytest.raises(AttributeValueError, match=r"use gw\.ops\.repeat_each"):
        x.repeat(counts)


@SHAPES
def test_rolling(shape):
    for shift, axis in ((1, 0), (-2, -1), (30, 1), ((1, 2), (0, 2)), (1, (0, 0)), (5, None)):
        check(lambda x, s=shift, a=axis: gw.ops.roll(x, s, a), np.roll(ARRAY, shift, axis), shape)
    with pytest.raises(AttributeValueError, match="2 shifts for 1 axes"):
        gw.ops.roll(gw.ops.zeros(3), (1, 2), 0)


@SHAPES
@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_padding_from_the_tensor_itself(shape, mode):
    for widths in (1, (2, 0), ((0, 0), (1, 2), (0, 3)), ((3, 3), (7, 2), (0, 9))):
        expected = np.pad(ARRAY, widths, mode)
        check(lambda x, w=widths: gw.ops.pad(x, w, mode=mode), expected, shape)


def test_a_single_element_is_its_own_mirror():
    x = gw.input("x", ("n",), "float64")
    result = value(gw.ops.pad(x, 2, mode="reflect"), {x: np.array([7.0])})
    assert result.tolist() == [7.0] * 5


def test_padding_is_refused():
    x = gw.ops.zeros((2, 0))
    with pytest.raises(AttributeValueError, match="goes with the mode"):
        gw.ops.pad(x, 1, "edge", 3.0)
    with pytest.raises(AttributeValueError, match="the mode must be"):
        gw.ops.pad(x, 1, mode="mirror")
    with pytest.raises(ShapeError, match="axis 1 is empty"):
        gw.ops.pad(x, 1, mode="wrap")


def test_taking_apart_is_putting_together_reversed():
    x = gw.input("x", (2, 3, "n"), "float64")
    for axis in (0, 1, -2):
        pieces = gw.ops.unstack(x, axis)
        assert len(pieces) == x.shape[axis]
        whole = value(gw.ops.stack(pieces, axis), {x: ARRAY})
        np.testing.assert_array_equal(whole, ARRAY)
    assert gw.ops.unstack(gw.ops.zeros((0, 2))) == ()
    with pytest.raises(ShapeError, match="axis -1 of size n gives a number of tensors"):
        gw.ops.unstack(x, -1)


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_grids_of_coordinates(indexing, count):
    vectors = [np.arange(2.0), np.arange(3.0), np.arange(4.0)][:count]
    grids = gw.ops.meshgrid(*vectors, indexing=indexing)
    expected = np.meshgrid(*vectors, indexing=indexing)
    for grid, wanted in zip(grids, expected, strict=True):
        np.testing.assert_array_equal(value(grid), wanted)


def test_grids_are_of_vectors():
    with pytest.raises(ShapeError, match="needs vectors"):
        gw.ops.meshgrid(np.zeros((2, 2)))
    with pytest.raises(AttributeValueError, match='"xy" or "ij"'):
        gw.ops.meshgrid(np.zeros(2), indexing="yx")
    shapes = [t.shape for t in gw.ops.broadcast_arrays(np.zeros((3, 1)), np.zeros(2), 1)]
    assert shapes == [(3, 2)] * 3


def test_numbers_between_two_ends():
    for start, stop, size, endpoint in ((0, 10, 11, True), (1, -1, 4, False), (2.5, 3, 1, True)):
        result = value(gw.ops.linspace(start, stop, size, endpoint, dtype="float64"))
        np.testing.assert_array_equal(result, np.linspace(start, stop, size, endpoint))
    assert gw.ops.linspace(0, 1, 3).dtype == np.float32
    assert gw.ops.linspace(np.zeros(2, np.float16), 1.0, 3).dtype == np.float16
    assert gw.ops.linspace(np.zeros(2, int), 1, 3).dtype == np.float64
    np.testing.assert_allclose(
        value(gw.ops.logspace(0, 3, 4, dtype="float64")), [1.0, 10.0, 100.0, 1000.0]
    )
    np.testing.assert_allclose(value(gw.ops.logspace(0, 3, 3, False, 2.0)), [1.0, 2.0, 4.0])
    with pytest.raises(DTypeError, match="needs a floating dtype, got i64"):
        gw.ops.linspace(0, 1, 3, dtype="int64")


@SHAPES
def test_order(shape):
    for axis in (0, 1, -1):
        check(lambda x, a=axis: (-x).sort(a), np.sort(-ARRAY, axis), shape)
        check(lambda x, a=axis: x.sort(a, descending=True), -np.sort(-ARRAY, axis), shape)
        check(lambda x, a=axis: (x % 3).argsort(a), np.argsort(ARRAY % 3, axis, kind="stable"))
    check(lambda x: gw.ops.topk(x, 2)[0], ARRAY[..., :1:-1], shape)
    check(lambda x: gw.ops.topk(x, 1, 0, largest=False)[1], np.zeros((1, 3, 4)), shape)


def test_bfloat16_is_ordered_with_nan_last():
    x = gw.input("x", (4,), gw.bfloat16)
    array = np.array([1, np.nan, -2, 0.5]).astype(x.dtype)
    assert value(x.sort(), {x: array}).astype(float).tolist()[:3] == [-2, 0.5, 1]
    assert value(x.argsort(), {x: array}).tolist() == [2, 3, 0, 1]
    assert value(x.argsort(descending=True), {x: array}).tolist() == [1, 0, 3, 2]


def test_a_mask_whose_count_is_known_chooses():
    x = gw.input("x", (2, 3), "float64")
    array = np.array([[1.0, -2, 3], [-4, 5, 6]])
    chosen = x[gw.ops.nonzero(x > 0, size=4)]
    np.testing.assert_array_equal(value(chosen, {x: array}), array[array > 0])
    np.testing.assert_array_equal(value(grad(chosen.sum(), x), {x: array}), array > 0)
    fewer = gw.ops.nonzero(x < 0, size=3, fill=-1)
    assert [value(i, {x: array}).tolist() for i in fewer] == [[0, 1, -1], [1, 0, -1]]


def test_what_was_sorted_is_put_back():
    x = gw.input("x", (2, 5), "float64")
    array = np.random.default_rng(0).normal(size=(2, 5))
    order = x.argsort()
    back = gw.ops.put_along_axis(gw.ops.zeros_like(x), order, gw.ops.take_along_axis(x, order))
    np.testing.assert_array_equal(value(back, {x: array}), array)


@pytest.mark.parametrize("mode", ["set", "add", "mul", "max", "min"])
def test_updates_broadcast(mode):
    x = gw.input("x", (3, 4), "float64")
    array = np.arange(12.0).reshape(3, 4)
    expected = array.copy()
    ufunc = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}.get(mode)
    expected[:, [0, 2]] = ufunc(expected[:, [0, 2]], 5.0) if ufunc else 5.0
    for result in (
        gw.ops.scatter(x, [0, 2], 5.0, axis=1, mode=mode),
        gw.ops.put_along_axis(x, [[0, 2]], 5.0, mode=mode),
        gw.ops.index_update(x, np.s_[:, ::2], 5.0, mode),
    ):
        np.testing.assert_array_equal(value(result, {x: array}), expected)
    with pytest.raises(GraphwrightError, match="does not broadcast"):
        gw.ops.index_update(x, 0, np.zeros((2, 4)), mode)


def test_the_last_of_several_updates_is_set_and_alone_has_a_gradient():
    x, u = gw.input("x", (3,), "float64"), gw.input("u", (4,), "float64")
    result = gw.ops.scatter(x, [0, 2, 0, 0], u)
    arrays = {x: np.zeros(3), u: np.array([1.0, 2, 3, 4])}
    assert value(result, arrays).tolist() == [4, 0, 2]
    dx, du = grad((result * np.array([10.0, 20, 30])).sum(), [x, u])
    assert value(dx, arrays).tolist() == [0, 20, 0]
    assert value(du, arrays).tolist() == [0, 30, 0, 10]


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
def test_what_ties_for_the_extreme_shares_its_gradient(mode, sign):
    x, u = gw.input("x", (3,), "float64"), gw.input("u", (4,), "float64")
    result = gw.ops.scatter(x, [0, 0, 0, 1], u, mode=mode)
    arrays = {x: sign * np.array([2.0, 1, 5]), u: sign * np.array([2.0, 1, 2, 3])}
    assert value(result, arrays).tolist() == [sign * 2, sign * 3, sign * 5]
    dx, du = grad((result * np.array([6.0, 10, 20])).sum(), [x, u])
    assert value(dx, arrays).tolist() == [2, 0, 20]
    assert value(du, arrays).tolist() == [2, 0, 2, 10]


def test_an_update_out_of_range_is_named():
    x, rows = gw.input("x", (4,)), gw.input("rows", (1,), "int64")
    arrays = {x: np.zeros(4, np.float32), rows: np.array([4])}
    for tensor, name in (
        (gw.ops.scatter(x, rows, 1.0), "scatter"),
        (gw.ops.take_along_axis(x, rows), "take_along_axis"),
        (gw.ops.gather_nd(x, rows), "gather_nd"),
    ):
        with pytest.raises(
            GraphwrightError, match=rf"^{name}: .*index 4 is out of range for axis 0"
        ):
            value(tensor, arrays)


def test_methods_are_functions():
    x = gw.input("x", ("a", "b", "c"), "float64")
    for method, expected in (
        (x.swapaxes(0, 2), ARRAY.swapaxes(0, 2)),
        (x.ravel(), ARRAY.ravel()),
        (x.take([1, 0], 1), ARRAY.take([1, 0], 1)),
        (x.take([[5, -1]]), ARRAY.take([[5, -1]])),
        (x.cumsum(1), ARRAY.cumsum(1)),
        (x.cumprod(), ARRAY.cumprod()),
        ((x > 3).all(0), (ARRAY > 3).all(0)),
        ((x > 3).any((0, 1)), (ARRAY > 3).any((0, 1))),
        (gw.ops.permute_dims(x, (2, 0, 1)), ARRAY.transpose(2, 0, 1)),
        (gw.ops.concat([x, x], 1), np.concatenate([ARRAY, ARRAY], 1)),
        (gw.ops.isin(x, [1, 2, 30]), np.isin(ARRAY, [1, 2, 30])),
    ):
        np.testing.assert_array_equal(value(method, {x: ARRAY}), expected)
