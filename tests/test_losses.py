"""Losses: published values, limits, and what must be the same when it is said in another way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from support.drawn import RANDOM, chances, floats, labels, shares, signs
from support.loss_values import each, result, slope

import graphwright as gw
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError

ops = gw.ops
inf = math.inf


# Each with arrays for six samples; all but those of classes take weights of samples.
ELEMENTS = {
    ops.mse: (floats(6), floats(6)),
    ops.mae: (floats(6), floats(6)),
    ops.huber: (floats(6), floats(6)),
    ops.smooth_l1: (floats(6), floats(6)),
    ops.log_cosh: (floats(6), floats(6)),
    ops.poisson_nll: (floats(6), RANDOM.integers(0, 5, 6).astype(float)),
    ops.gaussian_nll: (floats(6), floats(6), chances(6)),
    ops.binary_cross_entropy: (chances(6), chances(6)),
    ops.binary_cross_entropy_with_logits: (floats(6), chances(6)),
    ops.focal: (floats(6), chances(6)),
    ops.hinge: (floats(6), signs(6)),
    ops.squared_hinge: (floats(6), signs(6)),
    ops.margin_ranking: (floats(6), floats(6), signs(6)),
}
ROWS = {
    ops.kl_divergence: (np.log(shares(6, 3)), shares(6, 3)),
    ops.cosine_embedding: (floats(6, 3), floats(6, 3), signs(6)),
    ops.contrastive: (floats(6, 3), floats(6, 3), RANDOM.choice([0.0, 1.0], 6)),
    ops.triplet_margin: (floats(6, 3), floats(6, 3), floats(6, 3)),
}
LABELLED = {
    ops.cross_entropy: (floats(6, 3), labels(6, 3)),
    ops.nll: (np.log(shares(6, 3)), labels(6, 3)),
    ops.sparse_categorical_cross_entropy: (shares(6, 3), labels(6, 3)),
    ops.categorical_focal: (floats(6, 3), labels(6, 3)),
    ops.multi_margin: (floats(6, 3), labels(6, 3)),
}
SAMPLED = ELEMENTS | ROWS
OTHERS = {ops.categorical_cross_entropy: (shares(6, 3), shares(6, 3))}


# Reductions and weights.


@each(SAMPLED | LABELLED | OTHERS)
def test_the_mean_and_the_sum_are_those_of_the_losses(loss):
    arrays = (SAMPLED | LABELLED | OTHERS)[loss]
    every = result(loss, *arrays, reduction="none")
    assert every.shape == (6,)
    np.testing.assert_allclose(result(loss, *arrays, reduction="sum"), every.sum(), rtol=1e-13)
    np.testing.assert_allclose(result(loss, *arrays), every.mean(), rtol=1e-13)
    with pytest.raises(AttributeValueError, match="the reduction is 'average'"):
        loss(*arrays, reduction="average")


@each(SAMPLED)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_whole_weights_are_repetitions(loss, reduction):
    counts = np.array([1, 0, 2, 1, 3, 1])
    repeated = [np.repeat(array, counts, 0) for array in SAMPLED[loss]]
    weighed = result(loss, *SAMPLED[loss], counts.astype(float), reduction=reduction)
    np.testing.assert_allclose(weighed, result(loss, *repeated, reduction=reduction), rtol=1e-13)


@each(LABELLED)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_whole_weights_of_classes_are_repetitions_of_their_rows(loss, reduction):
    scores, numbers = LABELLED[loss]
    weights = np.array([2, 1, 3])
    counts = weights[numbers]
    repeated = np.repeat(scores, counts, 0), np.repeat(numbers, counts)
    weighed = result(loss, scores, numbers, weights.astype(float), reduction=reduction)
    np.testing.assert_allclose(weighed, result(loss, *repeated, reduction=reduction), rtol=1e-13)


@each(LABELLED)
@pytest.mark.parametrize("ignored", [-100, 1, 255, (1, -100)])
def test_ignored_labels_are_rows_left_out(loss, ignored):
    scores, numbers = LABELLED[loss]
    several = ignored if isinstance(ignored, tuple) else (ignored,)
    numbers = np.where(np.arange(6) % 3 == 1, several[-1], numbers)
    kept = ~np.isin(numbers, several)
    weights = np.array([0.5, 1.5, 2.0])
    for given in ((), (weights,)):
        for reduction in ("mean", "sum"):
            options = {"reduction": reduction}
            rest = result(loss, scores[kept], numbers[kept], *given, **options)
            whole = result(loss, scores, numbers, *given, ignore_index=ignored, **options)
            np.testing.assert_allclose(whole, rest, rtol=1e-13)
    gradient = slope(loss, scores, numbers, weights, ignore_index=ignored)
    np.testing.assert_array_equal(gradient[~kept], 0)
    rest = slope(loss, scores[kept], numbers[kept], weights)
    np.testing.assert_allclose(gradient[kept], rest, rtol=1e-12, atol=1e-15)


@each(LABELLED)
def test_when_every_label_is_ignored_the_mean_is_nan_and_the_sum_0(loss):
    scores, numbers = LABELLED[loss]
    nothing = np.full_like(numbers, -100)
    assert np.isnan(result(loss, scores, nothing, ignore_index=-100))
    assert result(loss, scores, nothing, ignore_index=-100, reduction="sum") == 0


@each(LABELLED)
def test_scores_of_ignored_rows_do_no_harm(loss):
    scores, numbers = np.zeros((2, 3)), np.array([1, 2])
    scores[1] = [-inf, 0, -inf]
    whole = result(loss, scores, numbers, ignore_index=2)
    np.testing.assert_array_equal(whole, result(loss, scores[:1], numbers[:1]))
    gradient = slope(loss, scores, numbers, ignore_index=2)
    assert np.isfinite(gradient[0]).all()


def test_what_an_ignored_row_would_give_even_shares_of_does_no_harm():
    scores, numbers = np.array([[1.0, 2.0, 0.5], [-inf, 0.0, -inf]]), np.array([1, 2])
    options = {"ignore_index": 2, "label_smoothing": 0.1}
    whole = result(ops.cross_entropy, scores, numbers, **options)
    assert whole == result(ops.cross_entropy, scores[:1], numbers[:1], label_smoothing=0.1)


@each(LABELLED)
def test_classes_lie_along_any_axis(loss):
    scores, numbers = floats(2, 3, 4, 5), RANDOM.integers(0, 3, (2, 4, 5))
    scores = -np.abs(scores) if loss is ops.nll else np.abs(scores)
    last = result(loss, np.moveaxis(scores, 1, -1), numbers, reduction="none")
    for axis in (1, -3):
        every = result(loss, scores, numbers, axis=axis, reduction="none")
        np.testing.assert_allclose(every, last, rtol=1e-13)
    weights = np.array([0.5, 1.5, 2.0])
    np.testing.assert_allclose(
        result(loss, scores, numbers, weights, axis=1),
        (last * weights[numbers]).sum() / weights[numbers].sum(),
        rtol=1e-12,
    )


@each(LABELLED)
def test_a_wrong_label_is_nan_in_its_row_alone(loss):
    scores, numbers = LABELLED[loss]
    numbers = np.where(np.arange(6) == 2, 3, numbers)
    for options in ({}, {"weights": gw.constant(np.array([0.5, 1.5, 2.0]))}):
        every = result(loss, scores, numbers, reduction="none", **options)
        gradient = slope(loss, scores, numbers, reduction="none", **options)
        np.testing.assert_array_equal(np.isnan(every), np.arange(6) == 2)
        np.testing.assert_array_equal(np.isnan(gradient).all(1), np.arange(6) == 2)
        assert np.isnan(result(loss, scores, numbers, **options))
        gradient = slope(loss, scores, numbers, **options)
        np.testing.assert_array_equal(np.isnan(gradient).any(1), np.arange(6) == 2)


# Dtypes.


@each(SAMPLED | LABELLED | OTHERS)
def test_16_bit_floats_are_computed_as_float32(loss):
    arrays = (SAMPLED | LABELLED | OTHERS)[loss]
    half = [a.astype(np.float16) if a.dtype == float else a for a in arrays]
    single = [a.astype(np.float32) if a.dtype == np.float16 else a for a in half]
    found, wanted = result(loss, *half), result(loss, *single)
    assert (found.dtype, wanted.dtype) == (np.float16, np.float32)
    assert found == wanted.astype(np.float16)


@each(ELEMENTS)
def test_whole_numbers_take_the_dtype_of_the_prediction(loss):
    first, *others = ELEMENTS[loss]
    others = [np.ones(6, np.int64) for _ in others]
    found = result(loss, first.astype(np.float32), *others)
    assert found.dtype == np.float32
    floating = [other.astype(np.float32) for other in others]
    assert found == result(loss, first.astype(np.float32), *floating)


def test_weights_must_broadcast_to_the_losses():
    with pytest.raises(ShapeError, match=r"weights have shape \[3\], and the losses \[2\]"):
        ops.mse(np.zeros(2), np.zeros(2), np.zeros(3))
    with pytest.raises(ShapeError, match=r"weights have shape \[2\], not \[3\]"):
        ops.cross_entropy(np.zeros((2, 3)), np.zeros(2, int), np.zeros(2))
    with pytest.raises(AttributeValueError, match=r"ignore_index must be .*, got 1\.5"):
        ops.cross_entropy(np.zeros((2, 3)), np.zeros(2, int), ignore_index=1.5)
    with pytest.raises(AttributeValueError, match="delta must be a number, got 'x'"):
        ops.huber(np.zeros(2), np.zeros(2), delta="x")
    with pytest.raises(DTypeError, match="labels must be integers, got f64"):
        ops.nll(np.zeros((2, 3)), np.zeros(2))


# Published values.


def test_the_values_that_the_documentation_of_keras_shows():
    y, p = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])
    assert result(ops.mse, p, y) == 0.5
    assert result(ops.mae, p, y) == 0.5
    y, p = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[0.6, 0.4], [0.4, 0.6]])
    np.testing.assert_allclose(result(ops.huber, p, y), 0.155, rtol=1e-12)
    np.testing.assert_allclose(result(ops.hinge, p, np.sign(y - 0.5)), 1.3, rtol=1e-12)
    np.testing.assert_allclose(result(ops.squared_hinge, p, np.sign(y - 0.5)), 1.86, rtol=1e-12)
    np.testing.assert_allclose(result(ops.binary_cross_entropy, p, y), 0.8149, atol=1e-4)
    y, p = np.array([1, 2]), np.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])
    found = result(ops.categorical_cross_entropy, p, np.eye(3)[y])
    np.testing.assert_allclose(found, 1.177, atol=1e-3)
    found = result(ops.sparse_categorical_cross_entropy, p, y)
    np.testing.assert_allclose(found, 1.177, atol=1e-3)


def test_perfect_predictions_lose_nothing():
    x, numbers = floats(4, 3), labels(4, 3)
    for loss in (ops.mse, ops.mae, ops.huber, ops.smooth_l1, ops.log_cosh):
        assert result(loss, x, x) == 0
        np.testing.assert_array_equal(slope(loss, x, x), 0)
    sure = np.where(np.eye(3)[numbers] == 1, 1e3, -1e3)
    for loss in (ops.cross_entropy, ops.categorical_focal, ops.multi_margin):
        assert result(loss, sure, numbers) == 0
        np.testing.assert_array_equal(slope(loss, sure, numbers), 0)
    for gamma in (0.0, 0.5, 1.0):
        np.testing.assert_array_equal(slope(ops.categorical_focal, sure, numbers, gamma=gamma), 0)
    bits = np.array([0.0, 1.0])
    assert result(ops.binary_cross_entropy, bits, bits) == 0
    assert result(ops.dice, bits, bits) == 0
    assert result(ops.kl_divergence, np.log(shares := np.array([0.25, 0.75])), shares) == 0


def test_a_uniform_prediction_costs_the_log_of_the_classes():
    for count in (2, 10, 1000):
        found = result(ops.cross_entropy, np.zeros((3, count)), labels(3, count))
        np.testing.assert_allclose(found, math.log(count), rtol=1e-14)


# Extreme scores.


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@each((ops.cross_entropy, ops.categorical_focal))
def test_huge_logits_stay_finite(loss, dtype):
    huge = np.finfo(dtype).max / 8
    logits = np.array([[huge, 0, -huge], [-huge, huge, huge], [0, 0, -huge]], dtype)
    for numbers in itertools.product(range(3), repeat=3):
        assert np.isfinite(result(loss, logits, np.array(numbers)))
        assert np.isfinite(slope(loss, logits, np.array(numbers))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each((ops.binary_cross_entropy_with_logits, ops.focal))
def test_huge_logits_of_yes_and_no_stay_finite(loss, dtype):
    huge = np.finfo(dtype).max / 4
    logits = np.array([huge, -huge, huge, -huge, 0], dtype)
    target = np.array([1, 0, 0, 1, 1], dtype)
    found = result(loss, logits, target, reduction="none")
    assert np.isfinite(found).all() and (found[:2] == 0).all() and (found[2:4] > huge / 8).all()
    gradient = slope(loss, logits, target, reduction="none")
    assert np.isfinite(gradient).all() and (gradient[:2] == 0).all()


def test_binary_cross_entropy_from_logits_keeps_what_probabilities_lose():
    logits = np.array([40.0, -40.0, 800.0])
    target = np.array([1.0, 0.0, 1.0])
    found = result(ops.binary_cross_entropy_with_logits, logits, target, reduction="none")
    np.testing.assert_allclose(found, [math.exp(-40), math.exp(-40), 0], rtol=1e-15)


def test_small_probabilities_of_what_is_not_cost_little_but_not_nothing():
    p, t = np.array([1e-20, 1e-9]), np.zeros(2)
    found = result(ops.binary_cross_entropy, p, t, reduction="none")
    np.testing.assert_allclose(found, [1e-20, 1e-9 + 5e-19], rtol=1e-15)


def test_probabilities_0_and_1_cost_100_at_most():
    p, t = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.25, 1.0])
    for dtype in (np.float32, np.float64):
        arrays = p.astype(dtype), t.astype(dtype)
        found = result(ops.binary_cross_entropy, *arrays, reduction="none")
        np.testing.assert_array_equal(found, [100, 100, 25, 0])
        gradient = slope(ops.binary_cross_entropy, *arrays, reduction="none")
        np.testing.assert_allclose(gradient, [0, 0, 0.75, -1])


def test_positive_weights_are_repetitions_of_the_positive():
    logits, target = floats(5), np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    counts = np.where(target == 1, 3, 1)
    loss = ops.binary_cross_entropy_with_logits
    found = result(loss, logits, target, pos_weight=3.0, reduction="sum")
    repeated = np.repeat(logits, counts), np.repeat(target, counts)
    np.testing.assert_allclose(found, result(loss, *repeated, reduction="sum"), rtol=1e-13)


def test_log_cosh_is_exact_near_0_and_far_from_it():
    d = np.array([1e-9, 1e-4, 0.5, 30.0, 1e5])
    wanted = [
        5e-19,
        5e-9 - 1e-16 / 12,
        math.log(math.cosh(0.5)),
        30 - math.log(2),
        1e5 - math.log(2),
    ]
    found = result(ops.log_cosh, d, np.zeros(5), reduction="none")
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
    np.testing.assert_allclose(
        slope(ops.log_cosh, d, np.zeros(5), reduction="sum"), np.tanh(d), rtol=1e-14
    )


def test_huber_and_smooth_l1_are_each_other_scaled():
    x, y = floats(20) * 3, floats(20)
    for delta in (0.5, 1.0, 2.0):
        huber = result(ops.huber, x, y, delta=delta)
        np.testing.assert_allclose(huber, delta * result(ops.smooth_l1, x, y, beta=delta))
    np.testing.assert_allclose(result(ops.huber, x, y, delta=100.0), result(ops.mse, x, y) / 2)
    assert result(ops.smooth_l1, x, y, beta=0.0) == result(ops.mae, x, y)


def test_focal_loss_is_cross_entropy_where_nothing_is_turned_down():
    logits, target = floats(6), RANDOM.choice([0.0, 1.0], 6)
    plain = result(ops.binary_cross_entropy_with_logits, logits, target, reduction="none")
    found = result(ops.focal, logits, target, gamma=0.0, alpha=None, reduction="none")
    np.testing.assert_allclose(found, plain, rtol=1e-13)
    p = 1 / (1 + np.exp(-logits))
    right = np.where(target == 1, p, 1 - p)
    share = np.where(target == 1, 0.25, 0.75)
    found = result(ops.focal, logits, target, reduction="none")
    np.testing.assert_allclose(found, share * (1 - right) ** 2 * plain, rtol=1e-12)


# Distances.


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, inf])
def test_distances_of_equal_vectors_are_0_with_a_finite_gradient(p):
    x = floats(4, 3)
    gradient = slope(ops.pairwise_distance, x, x, p=p) if p else np.zeros(1)
    np.testing.assert_array_equal(gradient, 0)
    distances = result(ops.cdist, x, x, p=p)
    np.testing.assert_array_equal(distances.diagonal(), 0)
    np.testing.assert_array_equal(distances, distances.T)
    if p >= 1:
        through = distances[:, :, None] + distances[None]
        assert (distances[:, None] <= through + 1e-12).all()
    if p:
        assert np.isfinite(slope(ops.cdist, x, x, p=p)).all()


def test_near_rows_far_from_0_have_exact_distances():
    x = np.array([[1e8, 1.0]])
    np.testing.assert_array_equal(result(ops.cdist, x, x + np.array([0.0, 2.0])), [[2.0]])


def test_cosines_are_1_0_and_minus_1():
    x, y = np.array([[3.0, 4.0]] * 4), np.array([[6.0, 8.0], [-4.0, 3.0], [-3.0, -4.0], [0.0, 0.0]])
    found = result(ops.cosine_similarity, x, y)
    np.testing.assert_allclose(found, [1, 0, -1, 0], atol=1e-15)
    assert np.isfinite(slope(ops.cosine_similarity, np.zeros((1, 2)), np.zeros((1, 2)))).all()
