"""Normalizations, positions, embeddings and recurrent cells: what must hold beyond their cases."""

from __future__ import annotations

import numpy as np
import pytest
from support.running import value, values

import graphwright as gw
from graphwright import ops
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import AttributeValueError, InputError, ShapeError
from graphwright.graph.parse import parse


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def close(actual, wanted, tolerance=1e-12) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


# Normalization.


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_batch_norm_brings_channels_to_the_same_scale_wherever_they_are(axis):
    x = 3 + 2 * drawn(4, 5, 6, 7)
    others = tuple(i for i in range(4) if i != axis % 4)
    out, mean, variance = values(list(ops.batch_norm(x, axis=axis, epsilon=0.0)), {})
    close(mean, x.mean(others))
    close(variance, x.var(others))
    close(out.mean(others), 0)
    close(out.var(others), 1)


def test_inference_by_the_statistics_of_the_batch_is_what_training_gives():
    x, scale, shift = drawn(5, 3, 2), drawn(3), drawn(3, seed=1)
    out, mean, variance = ops.batch_norm(x, scale, shift)
    again = ops.batch_norm_inference(x, scale, shift, mean, variance)
    close(value(again - out), 0)


def test_running_statistics_tend_to_those_of_all_that_was_seen():
    mean, variance = gw.parameter("mean", np.zeros(3)), gw.parameter("variance", np.ones(3))
    x = gw.input("x", ("n", 3), "float64")
    _, *batch = ops.batch_norm(x)
    latest = ops.running_statistics(mean, variance, *batch, count=x.shape[0], momentum=0.01)
    observe = gw.compile(x, batch[0], dict(zip((mean, variance), latest, strict=True)))
    for seed in range(1000):
        observe(3 * drawn(2, 3, seed=seed) + [1.0, 2.0, 3.0])
    np.testing.assert_allclose(mean.value, [1, 2, 3], atol=0.5)
    # Of batches of 2, without the correction it would be half as much.
    np.testing.assert_allclose(variance.value, [9, 9, 9], rtol=0.25)


def test_running_statistics_by_hand():
    given = ops.running_statistics([1.0], [2.0], [5.0], [3.0], count=4, momentum=0.25)
    close(values(list(given), {}), [[2.0], [2.5]])
    close(value(ops.running_statistics([1.0], [2.0], [5.0], [0.0], count=1)[1]), [1.8], 1e-7)
    with pytest.raises(AttributeValueError, match="the momentum must be from 0 to 1, got 2"):
        ops.running_statistics([1.0], [2.0], [5.0], [3.0], count=4, momentum=2)


def test_running_statistics_pass_no_gradient():
    x = gw.input("x", (4, 3), "float64")
    _, mean, variance = ops.batch_norm(x)
    latest = ops.running_statistics(np.zeros(3), np.ones(3), mean, variance, count=4)
    (gradient,) = grad(latest[0].sum() + latest[1].sum(), [x], disconnected="zero")
    assert not value(gradient, {x: drawn(4, 3)}).any()


def test_group_norm_with_one_group_or_with_as_many_as_channels_has_other_names():
    x, scale, shift = drawn(2, 6, 4), drawn(6), drawn(6, seed=1)
    each = value(ops.group_norm(x, 6, scale, shift))
    close(each, value(ops.instance_norm(x, scale, shift)))
    whole = np.broadcast_to(scale[:, None], (6, 4)), np.broadcast_to(shift[:, None], (6, 4))
    close(value(ops.group_norm(x, 1, scale, shift)), value(ops.layer_norm(x, *whole, axis=(1, 2))))


def test_weights_that_are_not_given_change_nothing():
    x, one, zero = drawn(3, 4, 2), np.ones(4), np.zeros(4)
    close(value(ops.group_norm(x, 2)), value(ops.group_norm(x, 2, one, zero)))
    close(value(ops.instance_norm(x)), value(ops.instance_norm(x, one, zero)))
    close(value(ops.layer_norm(x, axis=1)), value(ops.layer_norm(x, one, zero, axis=1)))
    close(value(ops.rms_norm(x, axis=1)), value(ops.rms_norm(x, one, axis=1)))
    given = value(ops.batch_norm_inference(x, None, None, zero, one, epsilon=0.0))
    close(given, x)


def test_rms_norm_is_layer_norm_of_what_has_mean_zero():
    x = drawn(3, 8)
    x -= x.mean(1, keepdims=True)
    close(value(ops.rms_norm(x, epsilon=1e-5)), value(ops.layer_norm(x, epsilon=1e-5)))


def test_normalizing_again_by_length_changes_nothing():
    x = drawn(3, 8)
    once = value(ops.l2_normalize(x))
    close(np.linalg.norm(once, axis=1), 1)
    close(value(ops.l2_normalize(once)), once)


def test_zeros_are_normalized_to_zeros_with_finite_gradients():
    x = gw.input("x", (2, 3), "float64")
    for out in (ops.l2_normalize(x), ops.rms_norm(x), ops.layer_norm(x)):
        result, gradient = values([out, grad(out.sum(), x)], {x: np.zeros((2, 3))})
        assert not result.any() and np.isfinite(gradient).all()


def test_weight_norm_gives_each_row_its_length():
    direction, magnitude = drawn(4, 3, 2), np.array([1.0, 2.0, 0.5, 3.0])
    weights = value(ops.weight_norm(direction, magnitude))
    close(np.linalg.norm(weights.reshape(4, -1), axis=1), magnitude)
    close(value(ops.weight_norm(direction, np.linalg.norm(direction, axis=(0, 1)), 2)), direction)
    with pytest.raises(ShapeError, match=r"weight_norm: magnitude is f64\[4\], not f64\[3\]"):
        ops.weight_norm(direction, magnitude, axis=1)


def test_local_response_norm_of_one_channel_knows_only_that():
    x = drawn(2, 5, 3)
    close(value(ops.local_response_norm(x, 1, alpha=1.0, beta=0.5)), x / np.sqrt(1 + x * x))
    wide = value(ops.local_response_norm(x, 9, alpha=9.0, beta=1.0, bias=2.0))
    close(wide, x / (2 + (x * x).sum(1, keepdims=True)))


ROWS, SEED = gw.input("x", ("n", 6, 4)), gw.input("seed", ("n", 6, 4))
NORMALIZED = {
    "batch_norm": lambda x: ops.batch_norm(x)[0],
    "layer_norm": ops.layer_norm,
    "rms_norm": ops.rms_norm,
    "group_norm": lambda x: ops.group_norm(x, 3),
    "instance_norm": ops.instance_norm,
    "l2_normalize": ops.l2_normalize,
}


@pytest.mark.parametrize("build", NORMALIZED.values(), ids=NORMALIZED)
def test_a_normalization_and_its_gradient_are_one_group_each(build):
    out = build(ROWS)
    for result in (out, grad((out * SEED).sum(), ROWS)):
        fused = parse(gw.compile([ROWS, SEED], result).text("fused"))
        names = [node.op.name for node in fused.operations]
        assert names.count("fused") == 1
        assert set(names) <= {"fused", "reshape"}


# Positions.


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotation_keeps_lengths_and_knows_only_distances(interleaved):
    q, k = drawn(8), drawn(8, seed=1)

    def turned(x, position):
        return value(ops.rotary_embedding(x, position, interleaved=interleaved))

    for position in (0, 1, 7, 1000, -3):
        close(np.linalg.norm(turned(q, position)), np.linalg.norm(q))
        close(turned(q, position + 5) @ turned(k, position + 2), turned(q, 3) @ turned(k, 0), 1e-10)
    close(turned(q, 0), q)
    assert abs(turned(q, 3) @ turned(k, 0) - turned(q, 4) @ turned(k, 0)) > 1e-3


def test_both_kinds_of_rotation_are_one_in_another_order():
    x = drawn(5, 8)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    halves = value(ops.rotary_embedding(x[:, order]))
    close(halves, value(ops.rotary_embedding(x, interleaved=True))[:, order])


def test_rotation_of_some_features_leaves_the_others_and_scaling_stretches():
    x = drawn(2, 3, 6)
    out = value(ops.rotary_embedding(x, features=4))
    assert (out[..., 4:] == x[..., 4:]).all()
    close(out[..., :4], value(ops.rotary_embedding(x[..., :4])))
    stretched = ops.rotary_embedding(x, np.array([0, 2, 4]), scaling=2.0)
    close(value(stretched), value(ops.rotary_embedding(x)))
    with pytest.raises(ShapeError, match=r"x is f64\[4\]: it has no rows"):
        ops.rotary_embedding(drawn(4))


def test_waves_are_rotated_by_a_shift():
    waves = value(ops.sinusoidal_encoding(np.arange(4), 6, dtype="float64"))
    np.testing.assert_array_equal(waves[0], [0, 1, 0, 1, 0, 1])
    close(waves[1, 0], np.sin(1))
    close(waves[3, 3], np.cos(3 / 10000 ** (2 / 6)))
    # Waves of position p + 1 from those of p and of 1, by the sum of angles.
    for p in range(3):
        sine, cosine = waves[p, ::2], waves[p, 1::2]
        close(waves[p + 1, ::2], sine * waves[1, 1::2] + cosine * waves[1, ::2])


def test_alibi_gives_causal_attention_a_preference_for_the_near():
    places = np.arange(4)
    bias = value(ops.alibi_bias(places, places, heads=8))
    close(bias[:, 3, 0], [-3 * 2.0**-n for n in range(1, 9)])
    assert (bias == bias.swapaxes(1, 2)).all() and not bias[:, places, places].any()
    same = np.zeros((8, 4, 1))
    out = value(ops.scaled_dot_product_attention(same, same, np.eye(4)[None] + same, mask=bias))
    assert (np.diff(out[0, 3]) > 0).all()


# Embedding.


def test_a_row_of_padding_is_read_but_learns_nothing():
    table = gw.input("table", (4, 2), "float64")
    indices = np.array([[1, 3, -1], [3, 0, 3]])
    for padding in (3, -1):
        out = ops.embedding(indices, table, padding_index=padding)
        result, gradient = values([out, grad(out.sum(), table)], {table: drawn(4, 2)})
        np.testing.assert_array_equal(result, drawn(4, 2)[indices])
        np.testing.assert_array_equal(gradient, [[1, 1], [1, 1], [0, 0], [0, 0]])
    out = ops.embedding(indices, table)
    gradient = value(grad(out.sum(), table), {table: drawn(4, 2)})
    np.testing.assert_array_equal(gradient[:, 0], [1, 1, 0, 4])


def test_an_index_out_of_the_table_is_refused_when_run():
    with pytest.raises(InputError, match="index 4 is out of range"):
        value(ops.embedding(np.array([4]), drawn(4, 2)))


# Recurrent cells.


def cell_weights(gates: int, features: int = 3, units: int = 2) -> list[np.ndarray]:
    rows = gates * units
    return [drawn(rows, features), drawn(rows, units, seed=1), drawn(rows, seed=2), drawn(rows)]


def test_an_lstm_that_forgets_nothing_and_writes_nothing_keeps_its_memory():
    x, h, c = drawn(4, 3), drawn(4, 2), drawn(4, 2, seed=1)
    bias = np.repeat([-50.0, 50.0, 0.0, 50.0], 2)  # write, keep, candidate, read
    state, memory = values(
        list(ops.lstm_cell(x, h, c, np.zeros((8, 3)), np.zeros((8, 2)), bias)), {}
    )
    close(memory, c)
    close(state, np.tanh(c))


def test_a_gru_that_keeps_everything_keeps_its_state():
    x, h = drawn(4, 3), drawn(4, 2)
    weights = np.zeros((6, 3)), np.zeros((6, 2))
    for reset_after in (True, False):
        keep = np.repeat([0.0, 50.0, 0.0], 2)
        close(value(ops.gru_cell(x, h, *weights, keep, reset_after=reset_after)), h)
        fresh = np.repeat([0.0, -50.0, 0.3], 2)
        out = value(ops.gru_cell(x, h, *weights, fresh, reset_after=reset_after))
        close(out, np.full((4, 2), np.tanh(0.3)))


def test_both_kinds_of_gru_agree_where_the_reset_is_one():
    x, h, (w, u, b, d) = drawn(4, 3), drawn(4, 2), cell_weights(3)
    b[:2] = 50.0
    after, before = (value(ops.gru_cell(x, h, w, u, b, d, reset_after=r)) for r in (True, False))
    close(after, before)
    b[:2] = 0.0
    after, before = (value(ops.gru_cell(x, h, w, u, b, d, reset_after=r)) for r in (True, False))
    assert np.abs(after - before).max() > 1e-3


def test_a_bias_of_a_cell_may_be_given_alone():
    x, h, c, (w, u, b, d) = drawn(4, 3), drawn(4, 2), drawn(4, 2), cell_weights(4)
    zero = np.zeros(8)

    def state(*biases, **named):
        return value(ops.lstm_cell(x, h, c, w, u, *biases, **named)[0])

    close(state(b), state(b, zero))
    close(state(state_bias=d), state(zero, d))
    close(state(), state(zero, zero))
    close(state(b, d), state(b + d))


def test_a_cell_computes_in_the_dtype_of_all_it_is_given():
    x, weights = gw.input("x", (3,)), np.ones((1, 3), np.float32)
    for dtype in (np.float32, np.float64):
        assert (
            ops.rnn_cell(x, np.zeros(1, np.float32), weights, np.ones((1, 1), dtype)).dtype == dtype
        )
