"""Connectionist temporal classification, against the sum over all paths."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from support.drawn import RANDOM, floats
from support.loss_values import result, slope
from support.running import values

import graphwright as gw
from graphwright.graph.errors import InputError, ShapeError

ops = gw.ops
inf = math.inf


def sequences(*shape):
    scores = floats(*shape)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def by_paths(logs, wanted, blank):
    """-log of the probability of all paths that collapse to the wanted labels."""
    total = 0.0
    for path in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        collapsed = [c for c, _ in itertools.groupby(path) if c != blank]
        if collapsed == list(wanted):
            total += math.exp(sum(logs[t, c] for t, c in enumerate(path)))
    return -math.log(total) if total else inf


@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_is_the_sum_over_all_alignments(blank):
    logs = sequences(5, 4, 3)
    first, second = (c for c in range(3) if c != blank)
    targets = np.array([[first, second], [first, first], [second, -7], [99, 99]])
    lengths, times = np.array([2, 2, 1, 0]), np.array([5, 3, 4, 2])
    found = result(ops.ctc, logs, targets, times, lengths, blank=blank, reduction="none")
    wanted = [
        by_paths(logs[:time, n], targets[n, :k], blank)
        for n, (time, k) in enumerate(zip(times, lengths, strict=True))
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    mean = result(ops.ctc, logs, targets, times, lengths, blank=blank)
    np.testing.assert_allclose(mean, np.mean(wanted / np.maximum(lengths, 1)), rtol=1e-12)


def test_the_probabilities_of_all_labels_add_up_to_1():
    logs = sequences(4, 1, 3)
    total = 0.0
    for count in range(5):
        for wanted in itertools.product((1, 2), repeat=count):
            target = np.array([wanted], np.int64).reshape(1, count)
            total += math.exp(-result(ops.ctc, logs, target, reduction="sum"))
    np.testing.assert_allclose(total, 1, rtol=1e-12)


def test_ctc_takes_time_of_any_length_by_one_graph():
    logs, targets = gw.input("logs", ("t", 2, 4), gw.float64), np.array([[1, 2, 2], [3, 1, 2]])
    loss = ops.ctc(logs, targets, reduction="sum")
    gradient = gw.grad(loss, logs)
    for time in (4, 5, 6):
        array = sequences(time, 2, 4)
        wanted = sum(by_paths(array[:, n], targets[n], 0) for n in range(2))
        found, slopes = values([loss, gradient], {logs: array})
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        # At each time an alignment has one class.
        np.testing.assert_allclose(slopes.sum(2), -1, rtol=1e-12)


def test_labels_without_time_have_no_alignment():
    logs, targets = sequences(2, 2, 3), np.array([[1, 1], [1, 2]])
    found = result(ops.ctc, logs, targets, reduction="none")
    assert found[0] == inf and np.isfinite(found[1])
    for zero in (False, True):
        gradient = slope(ops.ctc, logs, targets, zero_infinity=zero)
        assert (gradient[:, 0] == 0).all() and (gradient[:, 1] != 0).any()
    found = result(ops.ctc, logs, targets, zero_infinity=True, reduction="none")
    assert found[0] == 0


def test_long_sequences_do_not_underflow():
    logs = np.log(np.full((2000, 1, 3), 1 / 3))
    found = result(ops.ctc, logs, np.array([[1]]), reduction="sum")
    # One run of 1s among blanks: 2000 · 2001 / 2 alignments.
    np.testing.assert_allclose(found, 2000 * math.log(3) - math.log(1000 * 2001), rtol=1e-12)
    scores = np.where(np.eye(3)[RANDOM.integers(0, 3, 50)] == 1, 1e4, -1e4)[:, None]
    logs = gw.input("logs", scores.shape, gw.float64)
    loss = ops.ctc(ops.log_softmax(logs), np.array([[1, 2, 1]]), reduction="sum")
    assert all(np.isfinite(x).all() for x in values([loss, gw.grad(loss, logs)], {logs: scores}))


@pytest.mark.parametrize(
    ("targets", "times", "lengths", "message"),
    [
        ([[1, 3]], [3], [2], "label 3 is out of range for 3 classes"),
        ([[1, -1]], [3], [2], "label -1 is out of range for 3 classes"),
        ([[1, 0]], [3], [2], "a label is 0, the blank"),
        ([[1, 2]], [4], [2], "input length 4 is out of range"),
        ([[1, 2]], [3], [3], "label length 3 is out of range"),
        ([[1, 2]], [-1], [2], "input length -1 is out of range"),
    ],
)
def test_wrong_labels_and_lengths_are_refused(targets, times, lengths, message):
    with pytest.raises(InputError, match=message):
        result(ops.ctc, sequences(3, 1, 3), targets, times, lengths)


def test_ctc_says_what_shapes_it_needs():
    with pytest.raises(
        ShapeError, match=r"they are \[time, batch, classes\] and \[batch, length\]"
    ):
        ops.ctc(np.zeros((3, 2)), np.zeros((2, 1), int))
