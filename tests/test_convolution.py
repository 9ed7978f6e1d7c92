"""Convolutions, pools and resizing: what holds beyond one operator on one case."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.running import value, values

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import AttributeValueError, GraphwrightError, ShapeError

ops = gw.ops


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def of(build, *arrays, **attributes) -> np.ndarray:
    """What a builder gives for arrays."""
    xs = [gw.input(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    return value(build(*xs, **attributes), dict(zip(xs, arrays, strict=True)))


@st.composite
def geometries(draw):
    """Shapes of x and w, and attributes of a convolution of them."""
    rank, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    small = st.integers(1, 3)
    window = [draw(small) for _ in range(rank)]
    strides = [draw(small) for _ in range(rank)]
    dilations = [draw(st.integers(1, 2)) for _ in range(rank)]
    padding = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank)]
    sizes = [
        max((k - 1) * d + 1 - sum(pair), 1) + draw(st.integers(0, 3))
        for k, d, pair in zip(window, dilations, padding, strict=True)
    ]
    x = (draw(small), groups * draw(small), *sizes)
    w = (groups * draw(small), x[1] // groups, *window)
    numbers = {"stride": strides, "dilation": dilations, "padding": padding, "groups": groups}
    return x, w, numbers


# Convolution and its transposes.


@given(geometries())
@settings(max_examples=60, deadline=None)
def test_the_three_convolutions_are_transposes_of_one_another(geometry):
    x_shape, w_shape, numbers = geometry
    x, w = drawn(*x_shape), drawn(*w_shape)
    out = of(ops.conv, x, w, **numbers)
    y = drawn(*out.shape, seed=1)
    inner = np.vdot(out, y)
    by_weights = of(ops.conv_weight_gradient, x, y, **numbers, window=w_shape[2:])
    strides, dilations = numbers["stride"], numbers["dilation"]
    smallest = [
        (n - 1) * s + (k - 1) * d + 1 - sum(pair)
        for n, s, k, d, pair in zip(
            out.shape[2:], strides, w_shape[2:], dilations, numbers["padding"], strict=True
        )
    ]
    more = [size - least for size, least in zip(x_shape[2:], smallest, strict=True)]
    by_input = of(ops.conv_transpose, y, w, **numbers, output_padding=more)
    assert by_input.shape == x.shape and by_weights.shape == w.shape
    np.testing.assert_allclose(np.vdot(by_input, x), inner, atol=1e-10)
    np.testing.assert_allclose(np.vdot(by_weights, w), inner, atol=1e-10)


@given(geometries())
@settings(max_examples=30, deadline=None)
def test_groups_are_convolutions_side_by_side(geometry):
    x_shape, w_shape, numbers = geometry
    groups, x, w = numbers["groups"], drawn(*x_shape), drawn(*w_shape)
    alone = {**numbers, "groups": 1}
    parts = [
        of(ops.conv, part, weights, **alone)
        for part, weights in zip(np.split(x, groups, 1), np.split(w, groups), strict=True)
    ]
    together = of(ops.conv, x, w, **numbers)
    np.testing.assert_allclose(together, np.concatenate(parts, 1), atol=1e-12)


@given(geometries())
@settings(max_examples=30, deadline=None)
def test_channels_may_be_last(geometry):
    x_shape, w_shape, numbers = geometry
    x, w = drawn(*x_shape), drawn(*w_shape)
    bias = drawn(w_shape[0])
    first = of(ops.conv, x, w, bias, **numbers)
    last = of(ops.conv, np.moveaxis(x, 1, -1), w, bias, **numbers, channels_last=True)
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), first)
    back = {**numbers, "padding": 0}
    y = drawn(*first.shape)
    first = of(ops.conv_transpose, y, w, **back)
    last = of(ops.conv_transpose, np.moveaxis(y, 1, -1), w, **back, channels_last=True)
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), first)


def test_a_convolution_is_compiled_once_for_all_sizes():
    x = gw.input("x", ("n", 2, "h", "w"), "float64")
    weights = gw.parameter("weights", drawn(3, 2, 3, 3))
    y = ops.conv2d(x, weights, padding="same", stride=2)
    pooled = ops.average_pool(ops.relu(y), 2, ceil_mode=True)
    up = ops.resize(ops.conv_transpose2d(y, weights, stride=2, padding="same"), scale=1.5)
    f = gw.compile(x, [y, pooled, up, grad(y.sum() + up.sum(), weights)])
    for n, h, w in ((1, 5, 8), (2, 6, 3), (3, 7, 9)):
        array = drawn(n, 2, h, w)
        out, small, large, slope = f(array)
        half = (-(-h // 2), -(-w // 2))
        assert out.shape == (n, 3, *half)
        assert small.shape == (n, 3, *(-(-size // 2) for size in half))
        assert large.shape == (n, 2, *(2 * size * 3 // 2 for size in half))
        expected = values([y, pooled, up, grad(y.sum() + up.sum(), weights)], {x: array})
        for actual, wanted in zip((out, small, large, slope), expected, strict=True):
            np.testing.assert_allclose(actual, wanted, atol=1e-10)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_same_gives_one_window_for_each_stride(window, stride, dilation):
    x = gw.input("x", (1, 1, "n"), "float64")
    w = ops.zeros((1, 1, window), "float64")
    y = ops.conv1d(x, w, stride=stride, dilation=dilation, padding="same")
    back = ops.conv_transpose1d(x, w, stride=stride, dilation=dilation, padding="same")
    for n in range(1, 9):
        array = np.zeros((1, 1, n))
        assert value(y, {x: array}).shape == (1, 1, -(-n // stride))
        assert value(back, {x: array}).shape == (1, 1, n * stride)


def test_padding_is_read_in_all_its_forms():
    x, w = drawn(1, 1, 5, 6), drawn(1, 1, 2, 3)
    explicit = of(ops.conv2d, x, w, padding=[(1, 1), (2, 2)])
    np.testing.assert_array_equal(of(ops.conv2d, x, w, padding=(1, 2)), explicit)
    np.testing.assert_array_equal(of(ops.conv2d, x, w, padding="same"), explicit[:, :, 1:, 1:-1])
    np.testing.assert_array_equal(of(ops.conv2d, x, w, padding="valid"), of(ops.conv2d, x, w))


def test_a_transposed_convolution_with_its_own_stride_repeats_elements():
    x, w = drawn(2, 3, 4), np.ones((3, 1, 2))
    repeated = of(ops.conv_transpose1d, x, w, stride=2, groups=3)
    np.testing.assert_array_equal(repeated, np.repeat(x, 2, 2))


def test_a_bias_is_added_to_each_channel():
    x, w, bias = drawn(2, 1, 3, 3), drawn(4, 1, 2, 2), drawn(4)
    without = of(ops.conv2d, x, w)
    added = of(ops.conv2d, x, w, bias)
    np.testing.assert_allclose(added - without, np.broadcast_to(bias[:, None, None], added.shape))


def test_weights_and_bias_may_be_mapped():
    x = gw.input("x", (2, 3, 5), "float64")
    w = gw.input("w", ("models", 4, 3, 2), "float64")
    y = gw.vmap(lambda weights: ops.conv1d(x, weights))(w)
    arrays = {x: drawn(2, 3, 5), w: drawn(3, 4, 3, 2)}
    one_by_one = [of(ops.conv1d, arrays[x], weights) for weights in arrays[w]]
    np.testing.assert_allclose(value(y, arrays), np.stack(one_by_one), atol=1e-12)


def test_half_precision_is_rounded_once():
    x = np.array([[[4096.0, 1.0, -4096.0]]], np.float16)
    ones = np.ones((1, 1, 3), np.float16)
    assert of(ops.conv1d, x, ones) == 1
    assert of(ops.conv_weight_gradient, x, ones, window=1) == 1
    assert of(ops.conv_transpose1d, x, ones, padding=1)[0, 0, 1] == 1
    assert of(ops.overlap_add, x.reshape(3, 1), sizes=(3,)).dtype == np.float16
    windows = np.array([[0, 0, 4096.0], [0, 1.0, 0], [-4096.0, 0, 0]], np.float16)
    assert of(ops.overlap_add, windows, sizes=(5,))[2] == 1
    assert of(ops.average_pool, x, window=3) == np.float16(1 / 3)


# Windows.


def test_windows_and_columns_agree():
    x = drawn(2, 3, 6, 7)
    columns = of(ops.unfold, x, window=(2, 3), stride=2, dilation=(1, 2))
    seen = of(ops.windows, x, window=(2, 3), stride=2, dilation=(1, 2))
    np.testing.assert_array_equal(columns, seen.transpose(0, 1, 4, 5, 2, 3).reshape(columns.shape))
    count = of(
        ops.fold, np.ones_like(columns), sizes=(6, 7), window=(2, 3), stride=2, dilation=(1, 2)
    )
    back = of(ops.fold, columns, sizes=(6, 7), window=(2, 3), stride=2, dilation=(1, 2))
    np.testing.assert_allclose(back, x * count)


def test_windows_stay_right_when_what_reads_them_could_write_over_them():
    x = gw.input("x", (4, 9), "float32")
    squares = ops.square(x)
    seen = ops.windows(squares, 3)
    f = gw.compile(x, [ops.exp(seen).sum(), ops.sqrt(seen).max((0, 1))])
    array = drawn(4, 9).astype(np.float32)
    view = np.lib.stride_tricks.sliding_window_view(array * array, 3, 1)
    total, roots = f(array)
    np.testing.assert_allclose(total, np.exp(view).sum(), rtol=1e-5)
    np.testing.assert_allclose(roots, np.sqrt(view).max((0, 1)), rtol=1e-5)


# Pools.


@given(geometries(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_pools_agree_about_their_windows(geometry, ceil_mode):
    shape, w, numbers = geometry
    spans = [(k - 1) * d + 1 for k, d in zip(w[2:], numbers["dilation"], strict=True)]
    padding = [
        (min(before, span - 1), min(after, span - 1))
        for (before, after), span in zip(numbers["padding"], spans, strict=True)
    ]
    sizes = [max(n, span) for n, span in zip(shape[2:], spans, strict=True)]
    x = np.abs(drawn(*shape[:2], *sizes))
    how = {"window": w[2:], "stride": numbers["stride"], "dilation": numbers["dilation"]}
    how |= {"padding": padding, "ceil_mode": ceil_mode}
    largest = of(ops.max_pool, x, **how)
    chosen, places = (
        of(lambda x, i=i: ops.max_pool_with_indices(x, **how)[i], x) for i in range(2)
    )
    np.testing.assert_array_equal(chosen, largest)
    flat = x.reshape(*x.shape[:2], -1)
    taken = np.take_along_axis(flat, places.reshape(*x.shape[:2], -1), 2)
    np.testing.assert_array_equal(taken.reshape(largest.shape), largest)
    mean = of(ops.average_pool, x, **how, count_include_pad=False)
    norm = of(lambda x: ops.lp_pool(x, 40, **how), x)
    assert (mean <= largest * (1 + 1e-12)).all()
    assert (largest <= norm * (1 + 1e-12)).all()
    np.testing.assert_allclose(norm, largest, rtol=0.2)


def test_unpooling_puts_back_what_pooling_found():
    x = np.abs(drawn(2, 3, 4, 6))
    largest, places = (of(lambda x, i=i: ops.max_pool_with_indices(x, 2)[i], x) for i in range(2))
    back = of(ops.max_unpool, largest, places, sizes=(4, 6))
    np.testing.assert_array_equal(of(ops.max_pool, back, window=2), largest)
    assert np.count_nonzero(back) == largest.size
    assert ((back == 0) | (back == x)).all()


def test_the_norm_of_nothing_but_zeros_has_no_slope():
    x = gw.input("x", (1, 1, 4), "float64")
    slope = grad(ops.lp_pool(x, 2, 2).sum(), x)
    np.testing.assert_allclose(
        value(slope, {x: np.array([[[0.0, 0, 3, 4]]])}), [[[0, 0, 0.6, 0.8]]]
    )


def test_pools_with_channels_last_agree_with_pools_with_channels_first():
    x = drawn(2, 3, 5, 6)
    last = np.moveaxis(x, 1, -1)
    for build in (
        lambda x, **how: ops.max_pool(x, (2, 3), padding=1, **how),
        lambda x, **how: ops.average_pool(x, 2, ceil_mode=True, **how),
        lambda x, **how: ops.lp_pool(x, 2, 3, stride=1, **how),
        lambda x, **how: ops.adaptive_average_pool(x, (2, 4), **how),
        lambda x, **how: ops.adaptive_max_pool(x, 3, **how),
        ops.global_average_pool,
        ops.global_max_pool,
    ):
        first, other = of(build, x), of(build, last, channels_last=True)
        np.testing.assert_allclose(np.moveaxis(other, -1, 1), first)


def test_global_pools_are_adaptive_pools_of_one_bin():
    x = drawn(2, 3, 5, 6)
    np.testing.assert_allclose(
        of(ops.global_average_pool, x), of(ops.adaptive_average_pool, x, sizes=1)
    )
    np.testing.assert_array_equal(of(ops.global_max_pool, x), of(ops.adaptive_max_pool, x, sizes=1))


# Resizing and sampling.


def test_resizing_gives_the_published_values():
    # The examples of the ONNX standard for Resize.
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    linear = of(ops.resize, x, scale=2, mode="linear")
    np.testing.assert_allclose(
        linear[0, 0],
        [
            [1.0, 1.25, 1.75, 2.0],
            [1.5, 1.75, 2.25, 2.5],
            [2.5, 2.75, 3.25, 3.5],
            [3.0, 3.25, 3.75, 4.0],
        ],
    )
    corners = of(ops.resize, x, scale=2, mode="linear", coordinates="align_corners")
    np.testing.assert_allclose(corners[0, 0, 0], [1, 4 / 3, 5 / 3, 2])
    x = np.arange(1.0, 17.0).reshape(1, 1, 4, 4)
    cubic = of(ops.resize, x, scale=2, mode="cubic")
    np.testing.assert_allclose(
        cubic[0, 0, 0],
        [0.47265625, 0.76953125, 1.24609375, 1.875, 2.28125, 2.91015625, 3.38671875, 3.68359375],
    )


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "asymmetric"])
def test_resizing_keeps_constants_and_the_inside_of_straight_lines(mode, coordinates):
    constant = of(ops.resize, np.full((1, 1, 5), 3.0), sizes=8, mode=mode, coordinates=coordinates)
    np.testing.assert_allclose(constant, 3.0)
    if coordinates == "align_corners":
        line = of(
            ops.resize,
            np.arange(9.0).reshape(1, 1, 9),
            sizes=17,
            mode=mode,
            coordinates=coordinates,
        )
        np.testing.assert_allclose(line[0, 0, 4:-4], np.arange(17)[4:-4] / 2)


@pytest.mark.parametrize("align_corners", [False, True])
def test_sampling_at_the_places_of_the_identity_changes_nothing(align_corners):
    x = drawn(2, 3, 4, 5)
    identity = np.array([[[1.0, 0, 0], [0, 1, 0]]] * 2)
    sampled = of(
        lambda x, theta: ops.grid_sample(
            x, ops.affine_grid(theta, (4, 5), align_corners), align_corners=align_corners
        ),
        x,
        identity,
    )
    np.testing.assert_allclose(sampled, x, atol=1e-12)


def test_sampling_at_scaled_places_is_resizing():
    x = drawn(1, 2, 4, 5)
    identity = np.array([[[1.0, 0, 0], [0, 1, 0]]])
    sampled = of(
        lambda x, t: ops.grid_sample(x, ops.affine_grid(t, (7, 9)), padding_mode="border"),
        x,
        identity,
    )
    np.testing.assert_allclose(sampled, of(ops.resize, x, sizes=(7, 9), mode="linear"))


def test_the_first_coordinate_of_a_map_is_that_of_the_last_axis():
    x = np.arange(6.0).reshape(1, 1, 2, 3)
    mirrored = np.array([[[-1.0, 0, 0], [0, 1, 0]]])
    sampled = of(lambda x, t: ops.grid_sample(x, ops.affine_grid(t, (2, 3))), x, mirrored)
    np.testing.assert_allclose(sampled, x[..., ::-1], atol=1e-12)


# Errors.

X, W = gw.input("x", ("n", 3, 8, 8)), gw.input("w", (4, 3, 3, 3))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: ops.conv2d(X, gw.input("w", (4, 2, 3, 3))),
            ShapeError,
            "conv: x f32[n,3,8,8] has 3 channels, but weights [4,2,3,3] take 2",
        ),
        (
            lambda: ops.conv2d(X, gw.input("w", (4, 2, 3, 3)), groups=2),
            ShapeError,
            "take 4 (2 in each of 2 groups)",
        ),
        (
            lambda: ops.conv2d(X, gw.input("w", (4, 3, 9, 9))),
            ShapeError,
            "a window that spans 9 does not fit in an axis of size 8",
        ),
        (
            lambda: ops.conv1d(X, W),
            ShapeError,
            "conv1d: needs an input of rank 3, got f32[n,3,8,8]",
        ),
        (lambda: ops.conv(X[0, 0], W), ShapeError, "conv: needs an input of rank 3 or more"),
        (
            lambda: ops.conv2d(X, gw.input("w", (4, 3, 3))),
            ShapeError,
            "conv2d: weights for 2 spatial axes have rank 4, got f32[4,3,3]",
        ),
        (
            lambda: ops.conv2d(X, W, gw.input("b", (3,))),
            ShapeError,
            "conv2d: the bias is f32[3], where the shape [4] is needed",
        ),
        (
            lambda: ops.conv2d(X, W, stride=(1, 2, 3)),
            AttributeValueError,
            "stride is a whole number, or one for each of the 2 spatial axes, got (1, 2, 3)",
        ),
        (lambda: ops.conv2d(X, W, stride=0), AttributeValueError, "strides must be 1 or more"),
        (
            lambda: ops.conv2d(X, W, padding="full"),
            AttributeValueError,
            'padding is "same", "valid", a number',
        ),
        (lambda: ops.conv2d(X, W, padding=-1), AttributeValueError, "padding can't be negative"),
        (
            lambda: ops.conv_transpose2d(X, gw.input("w", (3, 4, 2, 2)), output_padding=1),
            AttributeValueError,
            "output_padding 1 must be from 0 to less than the stride, 1",
        ),
        (
            lambda: ops.conv_transpose1d(
                gw.input("x", (1, 3, 1)), gw.input("w", (3, 4, 2)), padding=1
            ),
            ShapeError,
            "nothing is left of spatial axis 0",
        ),
        (lambda: ops.max_pool(X, 9), ShapeError, "max_pool: a window that spans 9 does not fit"),
        (lambda: ops.max_pool(X[0], 2, padding=2), AttributeValueError, "a padding of 2 has room"),
        (
            lambda: ops.adaptive_average_pool(gw.input("x", (1, 1, "h")), 2),
            ShapeError,
            "size h can't be split evenly into 2 bins",
        ),
        (lambda: ops.resize(X), AttributeValueError, "resize: give either sizes or a scale"),
        (
            lambda: ops.resize(gw.input("x", (1, 1, "h")), scale=2**0.5),
            AttributeValueError,
            "the symbolic size h times 1.41",
        ),
        (
            lambda: ops.grid_sample(X, gw.input("grid", ("n", 2, 2, 3))),
            ShapeError,
            "grid_sample: grid f32[n,2,2,3] has no places in images f32[n,3,8,8]",
        ),
        (
            lambda: ops.affine_grid(gw.input("theta", (1, 3, 2)), (4, 4)),
            ShapeError,
            "maps of 2 axes have the shape [examples,2,3], got f32[1,3,2]",
        ),
    ],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_what_does_not_fit_is_refused(build, error, message):
    with pytest.raises(error) as caught:
        build()
    assert message in str(caught.value)
    assert "test_convolution.py" in str(caught.value)


def test_a_window_that_does_not_fit_is_found_out_when_sizes_are_known():
    x = gw.input("x", (1, 1, "n"))
    f = gw.compile(x, [ops.conv1d(x, np.ones((1, 1, 3), np.float32)), ops.max_pool(x, 2)])
    assert [out.shape for out in f(np.ones((1, 1, 3), np.float32))] == [(1, 1, 1), (1, 1, 1)]
    with pytest.raises(GraphwrightError, match="a window that spans 3 does not fit in an axis"):
        f(np.ones((1, 1, 2), np.float32))
