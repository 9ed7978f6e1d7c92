"""Elementwise operators where it is awkward: kinks, poles, infinities, tails, and user's input."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.graph import Graph
from graphwright.testing.example import evaluated

inf, nan = math.inf, math.nan


def values(f, *points, dtype=np.float64):
    """f at the points, given as one list per argument."""
    xs = [gw.input(f"x{i}", (len(p),), dtype) for i, p in enumerate(points)]
    (result,) = evaluated(Graph(xs, [f(*xs)]), [np.array(p, dtype) for p in points], {})
    return result.tolist()


def slopes(f, *points, order=1, dtype=np.float64):
    """The derivatives of f at the points by each argument, `order` times by the first before."""
    xs = [gw.input(f"x{i}", (len(p),), dtype) for i, p in enumerate(points)]
    y = f(*xs)
    for _ in range(order - 1):
        y = grad(y.sum(), xs[0])
    outputs = grad(y.sum(), xs, disconnected="zero")
    results = evaluated(Graph(xs, outputs), [np.array(p, dtype) for p in points], {})
    lists = [result.tolist() for result in results]
    return lists if len(lists) > 1 else lists[0]


# Kinks: which of the possible slopes is taken.


@pytest.mark.parametrize(
    ("f", "point", "slope"),
    [
        (gw.ops.abs, 0.0, 0.0),
        (gw.ops.relu, 0.0, 0.0),
        (gw.ops.relu, -0.0, 0.0),
        (gw.ops.relu6, 0.0, 0.0),
        (gw.ops.relu6, 6.0, 0.0),
        (lambda x: gw.ops.leaky_relu(x, 0.25), 0.0, 0.25),
        (lambda x: gw.ops.elu(x, 0.5), 0.0, 0.5),
        (lambda x: gw.ops.celu(x, 0.5), 0.0, 1.0),
        (lambda x: gw.ops.prelu(x, 0.25), 0.0, 0.25),
        (lambda x: gw.ops.threshold(x, 1.0), 1.0, 0.0),
        (gw.ops.hard_tanh, -1.0, 0.0),
        (gw.ops.hard_tanh, 1.0, 0.0),
        (lambda x: gw.ops.copysign(x, -1.0), 0.0, -0.0),
        (lambda x: gw.ops.hypot(x, 0.0), 0.0, 0.0),
        (gw.ops.nan_to_num, inf, 0.0),
        (lambda x: x.clip(-1, 1), -1.0, 1.0),
        (lambda x: x.clip(-1, 1), 1.0, 1.0),
        (lambda x: x.clip(1, -1), 0.0, 0.0),
        (lambda x: gw.ops.maximum(x, 0), 0.0, 0.5),
        (lambda x: gw.ops.minimum(x, 0), 0.0, 0.5),
        (gw.ops.hard_sigmoid, -3.0, 0.0),
        (gw.ops.softsign, 0.0, 1.0),
    ],
)
def test_the_slope_at_a_kink_is_the_one_documented(f, point, slope):
    assert slopes(f, [point]) == [slope]
    assert np.isfinite(slopes(f, [point], order=2)).all()


def test_a_tie_shares_the_gradient_and_loses_none():
    for f in (gw.ops.maximum, gw.ops.minimum):
        assert slopes(f, [2.0], [2.0]) == [[0.5], [0.5]]
    for low, high in ((-1.0, 1.0), (0.5, 1.0), (1.0, -1.0), (0.5, 0.5)):
        parts = slopes(lambda x, low, high: x.clip(low, high), [0.5], [low], [high])
        assert sum(part[0] for part in parts) == 1


# Poles and infinities.


def test_roots_have_an_infinite_slope_at_zero():
    assert slopes(gw.ops.sqrt, [0.0]) == [inf]
    assert slopes(gw.ops.cbrt, [0.0]) == [inf]
    assert slopes(gw.ops.rsqrt, [inf]) == [-0.0]


def test_powers_differentiate_at_zero_and_below():
    def power(y):
        return lambda x: x**y

    assert slopes(power(0), [0.0, -2.0, 3.0]) == [0.0, 0.0, 0.0]
    assert slopes(power(1), [0.0, -2.0, 3.0]) == [1.0, 1.0, 1.0]
    assert slopes(power(2), [0.0, -2.0, 3.0]) == [0.0, -4.0, 6.0]
    assert slopes(power(2), [0.0, -2.0, 3.0], order=2) == [2.0, 2.0, 2.0]
    assert slopes(power(3), [0.0, -2.0, 3.0], order=2) == [0.0, -12.0, 18.0]
    assert slopes(power(3), [0.0, -2.0, 3.0], order=3) == [6.0, 6.0, 6.0]
    assert slopes(gw.ops.power, [-2.0, 0.0], [3.0, 2.0]) == [[12.0, 0.0], [0.0, 0.0]]
    assert slopes(power(0.5), [4.0]) == [0.25]


def test_the_gradient_of_a_power_by_its_base_knows_the_exponent_at_zero():
    # d²/dxdy xʸ at y = 0 is 1/x.
    x, y = gw.input("x", (), gw.float64), gw.input("y", (), gw.float64)
    mixed = grad(grad(x**y, x), y)
    assert evaluated(Graph([x, y], [mixed]), [np.array(4.0), np.array(0.0)], {}) == [0.25]


def test_logaddexp_shares_equal_infinities():
    assert slopes(gw.ops.logaddexp, [inf, -inf, -inf], [inf, -inf, 1.0]) == [
        [0.5, 0.5, 0.0],
        [0.5, 0.5, 1.0],
    ]
    assert slopes(gw.ops.logaddexp, [1.0], [1.0], order=2) == [[0.25], [-0.25]]


def test_the_angle_of_the_origin_has_the_gradient_zero():
    assert slopes(gw.ops.arctan2, [0.0], [0.0]) == [[0.0], [0.0]]


def test_a_branch_made_harmless_passes_no_nan_on():
    def safe_log(x):
        positive = x > 0
        return gw.ops.where(positive, gw.ops.log(gw.ops.where(positive, x, 1)), 0)

    assert slopes(safe_log, [0.0, -1.0, 2.0]) == [0.0, 0.0, 0.5]
    assert slopes(safe_log, [0.0, -1.0, 2.0], order=2) == [0.0, 0.0, -0.25]


def test_a_branch_not_taken_may_be_infinite_itself():
    f = lambda x, y: gw.ops.where(x > 0, x, y)  # noqa: E731
    assert values(f, [1.0, -1.0], [inf, 2.0]) == [1.0, 2.0]
    assert slopes(f, [1.0, -1.0], [inf, 2.0]) == [[1.0, 0.0], [0.0, 1.0]]


def test_saturated_activations_have_finite_values_and_slopes():
    far = [-1e4, -800.0, 800.0, 1e4]
    for f in (
        gw.ops.sigmoid,
        gw.ops.log_sigmoid,
        gw.ops.softplus,
        gw.ops.silu,
        gw.ops.mish,
        gw.ops.elu,
        gw.ops.selu,
        gw.ops.celu,
        gw.ops.gelu,
        lambda x: gw.ops.gelu(x, "tanh"),
        gw.ops.tanh,
        gw.ops.hard_swish,
    ):
        for dtype in (np.float32, np.float64):
            assert np.isfinite(values(f, far, dtype=dtype)).all()
            assert np.isfinite(slopes(f, far, dtype=dtype)).all()
            assert np.isfinite(slopes(f, far, order=2, dtype=dtype)).all()


# Tails: relative accuracy where the value is tiny.


def test_gelu_keeps_its_digits_where_it_nearly_vanishes():
    # x Φ(x) by the continued fraction of Φ's tail, in 50 digits.
    def exact(x):
        with localcontext() as context:
            context.prec = 50
            z = abs(Decimal(x))
            fraction = Decimal(0)
            for k in range(400, 0, -1):
                fraction = k / (z + fraction)
            pi = Decimal("3.14159265358979323846264338327950288419716939937511")
            density = (-z * z / 2).exp() / (2 * pi).sqrt()
            return float(Decimal(x) * density / (z + fraction))

    points = [-5.0, -10.0, -30.0]
    np.testing.assert_allclose(values(gw.ops.gelu, points), [exact(x) for x in points], rtol=1e-12)


def test_gradients_keep_their_digits_where_they_nearly_vanish():
    assert slopes(gw.ops.log_sigmoid, [50.0])[0] == pytest.approx(math.exp(-50), rel=1e-12)
    assert slopes(gw.ops.expm1, [-50.0])[0] == pytest.approx(math.exp(-50), rel=1e-12)
    assert slopes(gw.ops.softplus, [-50.0])[0] == pytest.approx(math.exp(-50), rel=1e-12)


@pytest.mark.parametrize(
    ("op", "define", "low", "high"),
    [(gw.ops.erf, math.erf, -6, 6), (gw.ops.erfc, math.erfc, -6, 26.5)],
)
def test_the_error_function_is_within_8_units_everywhere(op, define, low, high):
    x = np.random.default_rng(0).uniform(low, high, 20_000)
    got = op.kernel(x)
    wanted = np.array([define(v) for v in x.tolist()])
    assert np.max(np.abs(got - wanted) / np.spacing(np.abs(wanted))) <= 8


# What users give.


def test_numbers_and_arrays_are_promoted_as_in_numpy():
    i, f, h = (gw.input(n, (2,), t) for n, t in (("i", "i32"), ("f", "f32"), ("h", "f16")))
    assert gw.ops.clip(i, 0, 3).dtype == np.int32
    assert gw.ops.clip(i, 0.5, 3).dtype == np.float64
    assert gw.ops.clip(h, 0, 6).dtype == np.float16
    assert gw.ops.maximum(f, np.float64(1)).dtype == np.float64
    assert gw.ops.where(f > 0, f, 0).dtype == np.float32
    assert gw.ops.relu(i).dtype == np.int32
    assert gw.ops.logaddexp(h, 0).dtype == np.float16
    assert gw.ops.arctan2(1.0, f).dtype == np.float32


def test_clip_takes_one_bound_both_or_none():
    x = [-2.0, 0.5, 2.0]
    assert values(lambda x: x.clip(-1, 1), x) == [-1.0, 0.5, 1.0]
    assert values(lambda x: gw.ops.clip(x, low=0), x) == [0.0, 0.5, 2.0]
    assert values(lambda x: gw.ops.clip(x, high=0), x) == [-2.0, 0.0, 0.0]
    t = gw.input("t", (3,))
    assert gw.ops.clip(t) is t


def test_rounding_returns_whole_numbers_as_they_are():
    n = gw.input("n", (3,), gw.int32)
    for f in (gw.ops.floor, gw.ops.ceil, gw.ops.round, gw.ops.trunc, gw.Tensor.round):
        assert f(n) is n
    with pytest.raises(gw.DTypeError, match="needs a floating input"):
        gw.ops.floor(gw.input("b", (), gw.bool_))


def test_logic_wants_booleans_and_says_how_to_get_them():
    x = gw.input("x", (3,))
    with pytest.raises(gw.DTypeError, match=r"or boolean input[\s\S]*e\.g\. x != 0"):
        _ = x & x
    assert (~(x > 0) | (x < 1) ^ (x == 0)).dtype == np.bool_


def test_logic_is_of_booleans_or_of_the_bits_of_whole_numbers_as_in_numpy():
    b, n, u = gw.input("b", (2,), "bool"), gw.input("n", (2,), "i32"), gw.input("u", (2,), "u8")
    for made, operator, dtype in (
        (b & True, "logical_and", np.bool_),
        (~b, "logical_not", np.bool_),
        (gw.ops.bitwise_xor(b, b), "logical_xor", np.bool_),
        (b | n, "bitwise_or", np.int32),
        (n ^ u, "bitwise_xor", np.int32),
        (u & 15, "bitwise_and", np.uint8),
        (np.array([1, 2], np.int64) & n, "bitwise_and", np.int64),
        (~u, "bitwise_invert", np.uint8),
        (n << 2, "left_shift", np.int32),
        (1 << u, "left_shift", np.uint8),
        (n >> u, "right_shift", np.int32),
        (np.array([8], np.int64) >> u, "right_shift", np.int64),
    ):
        assert (made.node.op.name, made.dtype) == (operator, dtype)
    with pytest.raises(gw.DTypeError, match="left_shift: needs an integer input, got f32"):
        _ = gw.input("x", ()) << 1


def test_functions_of_real_numbers_refuse_whole_ones_with_a_hint():
    n = gw.input("n", (3,), gw.int32)
    with pytest.raises(gw.DTypeError) as caught:
        gw.ops.exp(n)
    assert str(caught.value).startswith("exp: needs a floating input, got i32[3]")
    assert "n: i32[3]" in str(caught.value)
    assert "hint: convert it, e.g. with .astype(gw.float32)" in str(caught.value)


def test_a_slope_may_be_any_real_number():
    x = gw.input("x", (1,))
    made = gw.ops.leaky_relu(x, np.float32(0.25)).node.op
    assert made == gw.ops.leaky_relu(x, 0.25).node.op
    assert gw.ops.elu(x, 1).node.op == gw.ops.elu(x).node.op
    with pytest.raises(gw.AttributeValueError, match="elu: alpha must be a number, got nan"):
        gw.ops.elu(x, nan)


def test_stop_gradient_is_a_constant_to_differentiation():
    assert slopes(lambda x: x * gw.ops.stop_gradient(x), [3.0]) == [3.0]
    x = gw.input("x", ())
    with pytest.raises(gw.GradientError, match="without a derivative: stop_gradient"):
        grad(gw.ops.stop_gradient(x), x)


def test_what_is_not_finite_becomes_zero_or_the_bounds_of_the_dtype():
    x = [nan, inf, -inf, -0.0, 1.5]
    for dtype in (np.float16, np.float32, np.float64):
        top = float(np.finfo(dtype).max)
        assert values(gw.ops.nan_to_num, x, dtype=dtype) == [0.0, top, -top, -0.0, 1.5]
    assert gw.ops.nan_to_num(gw.input("h", (), "bf16")).node.op.posinf == 3.3895313892515355e38
    assert values(lambda x: gw.ops.nan_to_num(x, 1, 2, 3), x) == [1.0, 2.0, 3.0, -0.0, 1.5]
    n = gw.input("n", (), "i32")
    assert gw.ops.nan_to_num(n) is n


def test_nearness_is_numpys():
    x, y = [1.0, 1e-9, nan, inf, 1e5], [1.00001, 0.0, nan, inf, 1.1e5]
    for choice in ({}, {"equal_nan": True}, {"rtol": 0.2}, {"atol": 0.0}):
        got = values(lambda x, y, c=choice: gw.ops.isclose(x, y, **c), x, y)
        assert got == np.isclose(x, y, **choice).tolist()
        got = values(lambda x, y, c=choice: gw.ops.allclose(x, y, **c), x, y)
        assert got == np.allclose(x, y, **choice)
    assert values(gw.ops.isclose, [3, 4], [3, 5], dtype=np.int32) == [True, False]


def test_neighbours_are_one_step_away_in_every_dtype():
    for dtype in (np.float16, np.float32, np.float64):
        step = float(np.finfo(dtype).eps)
        assert values(gw.ops.nextafter, [1.0, 1.0], [2.0, 1.0], dtype=dtype) == [1 + step, 1.0]


def test_the_names_of_the_array_standard_are_the_same_operators():
    for name, same in {"acos": "arccos", "atan2": "arctan2", "pow": "power"}.items():
        assert getattr(gw.ops, name) is getattr(gw.ops, same)
    assert gw.ops.bitwise_left_shift is gw.ops.left_shift
    x = gw.input("x", ())
    assert +x is x
    with pytest.raises(gw.DTypeError, match="positive: needs a number input, got bool"):
        _ = +(x > 0)
