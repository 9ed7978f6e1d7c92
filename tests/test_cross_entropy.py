"""Cross-entropy in all its forms, which agree."""

from __future__ import annotations

import numpy as np
from support.drawn import floats, labels
from support.loss_values import result, slope
from support.running import values

import graphwright as gw

ops = gw.ops


def test_label_smoothing_mixes_the_target_with_an_even_one():
    logits, numbers, epsilon = floats(6, 4), labels(6, 4), 0.3
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    target = (1 - epsilon) * np.eye(4)[numbers] + epsilon / 4
    wanted = -(target * logs).sum(1)
    loss = ops.cross_entropy
    options = {"label_smoothing": epsilon, "reduction": "none"}
    np.testing.assert_allclose(result(loss, logits, numbers, **options), wanted, rtol=1e-13)
    # With weights each class's term has its own, and the mean is over those of the labels.
    weights = np.array([0.5, 1.0, 2.0, 0.25])
    wanted = -(weights * target * logs).sum() / weights[numbers].sum()
    found = result(loss, logits, numbers, weights, label_smoothing=epsilon)
    np.testing.assert_allclose(found, wanted, rtol=1e-13)
    soft = ops.categorical_cross_entropy
    options = {"from_logits": True, "label_smoothing": epsilon}
    found = result(soft, logits, np.eye(4)[numbers], weights, **options)
    np.testing.assert_allclose(found, -(weights * target * logs).sum() / 6, rtol=1e-13)


def test_all_forms_of_cross_entropy_agree():
    logits, numbers = floats(6, 4), labels(6, 4)
    powers = np.exp(logits)
    wanted = result(ops.cross_entropy, logits, numbers)
    probabilities = powers / powers.sum(1, keepdims=True)
    one_hot = np.eye(4)[numbers]
    found = [
        result(ops.nll, np.log(probabilities), numbers),
        result(ops.sparse_categorical_cross_entropy, probabilities, numbers),
        result(ops.sparse_categorical_cross_entropy, logits, numbers, from_logits=True),
        result(ops.categorical_cross_entropy, probabilities, one_hot),
        result(ops.categorical_cross_entropy, logits, one_hot, from_logits=True),
        result(ops.categorical_focal, logits, numbers, gamma=0.0),
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_the_gradient_of_cross_entropy_is_the_error():
    logits, numbers = floats(6, 4), labels(6, 4)
    powers = np.exp(logits)
    error = powers / powers.sum(1, keepdims=True) - np.eye(4)[numbers]
    np.testing.assert_allclose(slope(ops.cross_entropy, logits, numbers), error / 6, atol=1e-15)


def test_smoothing_knows_how_many_symbolic_classes_there_are():
    logits, target = (
        gw.input("logits", (2, "c"), gw.float64),
        gw.input("target", (2, "c"), gw.float64),
    )
    numbers = gw.constant(np.array([0, 2]))
    soft = ops.categorical_cross_entropy(logits, target, from_logits=True, label_smoothing=0.2)
    sparse = ops.cross_entropy(logits, numbers, label_smoothing=0.2)
    arrays = {logits: floats(2, 5), target: np.eye(5)[[0, 2]]}
    found = values([soft, sparse], arrays)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-14)
