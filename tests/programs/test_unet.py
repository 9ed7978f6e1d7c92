"""A small U-Net, which marks the pixels of images of any size that its poolings divide.

Held against NumPy, one pixel at a time. Source: Ronneberger, Fischer and Brox, U-Net:
convolutional networks for biomedical image segmentation, 2015.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from support.program_checks import assert_close, assert_gradients, compiled

import graphwright as gw

CHANNELS, CLASSES = (2, 3, 4), 3


def shapes(way):
    first, second, third = CHANNELS
    raised = {
        "resize": {},
        "transposed": {"up2": (third, third, 2, 2), "up1": (second, second, 2, 2)},
    }
    convolutions = {
        "in1": (first, 1, 3, 3),
        "in2": (second, first, 3, 3),
        "deep": (third, second, 3, 3),
        "out2": (second, third + second, 3, 3),
        "out1": (first, second + first, 3, 3),
        "last": (CLASSES, first, 1, 1),
    }
    biases = {name + "_bias": (shape[0],) for name, shape in convolutions.items()}
    return {**convolutions, **biases, **raised[way]}


# The program.


def marked(x, w, way):
    """The logits [batch, CLASSES, height, width]."""

    def layer(x, name):
        return gw.ops.relu(gw.ops.conv2d(x, w[name], w[name + "_bias"], padding=1))

    def raised(x, name):
        if way == "resize":
            return gw.ops.resize(x, scale=2, axes=(2, 3), mode="linear")
        return gw.ops.conv_transpose2d(x, w[name], stride=2)

    first = layer(x, "in1")
    second = layer(gw.ops.max_pool(first, 2), "in2")
    deep = layer(gw.ops.max_pool(second, 2), "deep")
    up = layer(gw.ops.concatenate([raised(deep, "up2"), second], axis=1), "out2")
    up = layer(gw.ops.concatenate([raised(up, "up1"), first], axis=1), "out1")
    return gw.ops.conv2d(up, w["last"], w["last_bias"])


# The same by hand, on one image [channels, height, width].


def convolved(x, w, bias):
    outs, _, size, _ = w.shape
    edge = size // 2
    wide = np.pad(x, ((0, 0), (edge, edge), (edge, edge)))
    out = np.empty((outs, *x.shape[1:]), np.result_type(x, w, bias))
    for c, i, j in np.ndindex(*out.shape):
        out[c, i, j] = (wide[:, i : i + size, j : j + size] * w[c]).sum() + bias[c]
    return out


def pooled(x):
    channels, height, width = x.shape
    out = np.empty((channels, height // 2, width // 2), x.dtype)
    for c, i, j in np.ndindex(*out.shape):
        window = x[c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel()
        out[c, i, j] = window[window.real.argmax()]
    return out


def doubled(x):
    """Twice as large, linearly: the centres of pixels lie a quarter to each side."""
    _, height, width = x.shape
    out = np.zeros((len(x), 2 * height, 2 * width), x.dtype)

    def sources(k, size):
        place = (k + 0.5) / 2 - 0.5
        low = math.floor(place)
        share = place - low
        for at, weight in ((low, 1 - share), (low + 1, share)):
            yield min(max(at, 0), size - 1), weight

    for i, j in np.ndindex(*out.shape[1:]):
        pairs = itertools.product(sources(i, height), sources(j, width))
        out[:, i, j] = sum(x[:, a, b] * (p * q) for (a, p), (b, q) in pairs)
    return out


def stamped(x, w):
    """Each pixel lays a stamp of its size on the image."""
    _, outs, size, _ = w.shape
    out = np.zeros((outs, size * x.shape[1], size * x.shape[2]), np.result_type(x, w))
    for c, i, j in np.ndindex(*x.shape):
        out[:, size * i : size * (i + 1), size * j : size * (j + 1)] += x[c, i, j] * w[c]
    return out


def marked_by_hand(x, w, way):
    def layer(x, name):
        value = convolved(x, w[name], w[name + "_bias"])
        return np.where(value.real > 0, value, 0)

    def raised(x, name):
        return doubled(x) if way == "resize" else stamped(x, w[name])

    first = layer(x, "in1")
    second = layer(pooled(first), "in2")
    deep = layer(pooled(second), "deep")
    up = layer(np.concatenate([raised(deep, "up2"), second]), "out2")
    up = layer(np.concatenate([raised(up, "up1"), first]), "out1")
    return convolved(up, w["last"], w["last_bias"])


def loss_by_hand(images, labels, w, way):
    total = 0.0
    for image, label in zip(images, labels, strict=True):
        logits = marked_by_hand(image, w, way)
        for i, j in np.ndindex(*label.shape):
            likes = np.exp(logits[:, i, j])
            total = total - np.log(likes[label[i, j]] / likes.sum())
    return total / labels.size


@pytest.mark.parametrize("way", ["resize", "transposed"])
def test_images_of_several_sizes(way):
    height, width = 4 * gw.dim("h"), 4 * gw.dim("w")
    x = gw.input("x", ("batch", 1, height, width), "float64")
    labels = gw.input("labels", ("batch", height, width), "int64")
    weights = {name: gw.input(name, shape, "float64") for name, shape in shapes(way).items()}
    logits = marked(x, weights, way)
    assert logits.shape == (x.shape[0], CLASSES, height, width)
    loss = gw.ops.cross_entropy(logits, labels, axis=1)
    variables = [x, *weights.values()]
    run = compiled([*variables, labels], [logits, loss, gw.grad(loss, variables)])
    random = np.random.default_rng(7)
    given = {name: random.normal(size=shape) / 2 for name, shape in shapes(way).items()}
    for batch, high, wide in ((2, 4, 8), (1, 8, 4)):
        images = random.normal(size=(batch, 1, high, wide))
        meant = random.integers(CLASSES, size=(batch, high, wide))
        found, value, gradients = run(images, *given.values(), meant)
        wanted = np.array([marked_by_hand(image, given, way) for image in images])
        assert_close(found, wanted)

        def by_hand(images, *arrays, meant=meant):
            return loss_by_hand(images, meant, dict(zip(given, arrays, strict=True)), way)

        assert_close(value, by_hand(images, *given.values()))
        assert_gradients(by_hand, [images, *given.values()], gradients)
