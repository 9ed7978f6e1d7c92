"""A residual block with batch norm: trained, its statistics kept, then used with them.

Held against NumPy, one pixel at a time. Source: He et al., Deep residual learning for image
recognition, 2016.
"""

from __future__ import annotations

import numpy as np
from support.program_checks import assert_close, assert_gradients, compiled

import graphwright as gw

IN, OUT, MOMENTUM, EPSILON = 2, 3, 0.1, 1e-5
CONVOLUTIONS = {"first": (OUT, IN, 3, 3), "second": (OUT, OUT, 3, 3), "short": (OUT, IN, 1, 1)}
STRIDES = {"first": 2, "second": 1, "short": 2}
SHAPES = {
    **CONVOLUTIONS,
    **{f"{name}/{part}": (OUT,) for name in CONVOLUTIONS for part in ("scale", "shift")},
}


def block(x, w, norm):
    """norm: of a convolution's output and its name"""

    def layer(x, name):
        edge = CONVOLUTIONS[name][-1] // 2
        return norm(gw.ops.conv2d(x, w[name], stride=STRIDES[name], padding=edge), name)

    inner = layer(gw.ops.relu(layer(x, "first")), "second")
    return gw.ops.relu(inner + layer(x, "short"))


def convolved(x, w, stride):
    edge = w.shape[-1] // 2
    wide = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    height, width = (-(-size // stride) for size in x.shape[2:])
    out = np.empty((len(x), len(w), height, width), np.result_type(x, w))
    for n, c, i, j in np.ndindex(*out.shape):
        top, left = i * stride, j * stride
        window = wide[n, :, top : top + w.shape[2], left : left + w.shape[3]]
        out[n, c, i, j] = (window * w[c]).sum()
    return out


def block_by_hand(x, w, known=None):
    """The output, and the mean and the variance of each channel before each norm.

    known: the means and variances to use, by name; the batch's own unless given
    """
    seen = {}

    def layer(x, name):
        y = convolved(x, w[name], STRIDES[name])
        out = np.empty(y.shape, np.result_type(y, *w.values()))
        seen[name] = np.empty((2, OUT), y.dtype)
        for c in range(OUT):
            pixels = y[:, c]
            mean = pixels.sum() / pixels.size
            seen[name][:, c] = mean, ((pixels - mean) ** 2).sum() / pixels.size
            middle, spread = (seen if known is None else known)[name][:, c]
            bent = (pixels - middle) / np.sqrt(spread + EPSILON)
            out[:, c] = bent * w[name + "/scale"][c] + w[name + "/shift"][c]
        return out

    def bent(y):
        return np.where(y.real > 0, y, 0)

    inner = layer(bent(layer(x, "first")), "second")
    return bent(inner + layer(x, "short")), seen


def test_training_with_running_statistics_and_use():
    random = np.random.default_rng(12)
    start = {name: random.normal(size=shape) for name, shape in SHAPES.items()}
    w = {name: gw.parameter(name, value) for name, value in start.items()}
    kept = {
        (name, part): gw.parameter(f"{name}/{part}", np.full(OUT, value), "float64")
        for name in CONVOLUTIONS
        for part, value in (("mean", 0.0), ("variance", 1.0))
    }
    x = gw.input("x", ("batch", IN, "height", "width"), "float64")
    updates = {}

    def training(y, name):
        out, mean, variance = gw.ops.batch_norm(y, w[name + "/scale"], w[name + "/shift"])
        own = kept[name, "mean"], kept[name, "variance"]
        count = y.size // OUT
        new = gw.ops.running_statistics(*own, mean, variance, count, MOMENTUM)
        updates.update(zip(own, new, strict=True))
        return out

    def use(y, name):
        own = kept[name, "mean"], kept[name, "variance"]
        return gw.ops.batch_norm_inference(y, w[name + "/scale"], w[name + "/shift"], *own)

    out = block(x, w, training)
    seed = gw.input("seed", out.shape, "float64")
    loss = (out * seed).sum()
    gradients = gw.grad(loss, [x, *w.values()])
    train = gw.compile([x, seed], [out, gradients], updates, check=True)
    apply = compiled([x], block(x, w, use))
    running = {name: np.array([np.zeros(OUT), np.ones(OUT)]) for name in CONVOLUTIONS}
    for size in ((3, IN, 5, 4), (2, IN, 3, 6)):
        images = random.normal(size=size)
        wanted, seen = block_by_hand(images, start)
        weights = random.normal(size=wanted.shape)
        found, slopes = train(images, weights)
        assert_close(found, wanted)

        def by_hand(images, *arrays, weights=weights):
            out, _ = block_by_hand(images, dict(zip(start, arrays, strict=True)))
            return (out * weights).sum()

        assert_gradients(by_hand, [images, *start.values()], slopes)
        for name, statistics in seen.items():
            pixels = size[0] * wanted.shape[2] * wanted.shape[3]
            unbiased = statistics * [[1], [pixels / (pixels - 1)]]
            running[name] = (1 - MOMENTUM) * running[name] + MOMENTUM * unbiased
            own = [kept[name, part].value for part in ("mean", "variance")]
            assert_close(np.array(own), running[name])
        assert_close(apply(images), block_by_hand(images, start, running)[0])
