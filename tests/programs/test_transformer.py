"""An encoder of two Transformer layers that classifies sentences of different lengths.

Held against NumPy, where each sentence is taken by itself and without its padding, head by head.
Source: Vaswani et al., Attention is all you need, 2017; the norms before, as in Xiong et al., On
layer normalization in the Transformer architecture, 2020.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.program_checks import assert_close, assert_gradients, compiled

import graphwright as gw

WORDS, WIDTH, HEADS, HIDDEN, CLASSES, LAYERS = 11, 8, 2, 12, 3, 2
PADDING = 0


def shapes():
    layer = {
        "norm1": (2, WIDTH),
        "qkv": (WIDTH, 3 * WIDTH),
        "qkv_bias": (3 * WIDTH,),
        "out": (WIDTH, WIDTH),
        "norm2": (2, WIDTH),
        "up": (WIDTH, HIDDEN),
        "up_bias": (HIDDEN,),
        "down": (HIDDEN, WIDTH),
        "down_bias": (WIDTH,),
    }
    layers = {f"layer{i}/{name}": shape for i in range(LAYERS) for name, shape in layer.items()}
    return {"table": (WORDS, WIDTH), **layers, "norm": (2, WIDTH), "head": (WIDTH, CLASSES)}


# The program.


def within(weights, layer):
    prefix = f"layer{layer}/"
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


def normed(x, scale_and_shift):
    return gw.ops.layer_norm(x, *scale_and_shift)


def attention(x, real, w):
    query, key, value = gw.ops.split(x @ w["qkv"] + w["qkv_bias"], 3, axis=-1)
    mask = real[:, None, None, :]
    return gw.ops.multi_head_attention(query, key, value, HEADS, mask) @ w["out"]


def attention_by_parts(x, real, w):
    """The same out of reshapes, products and a softmax."""
    batch, time, _ = x.shape
    rows = (x @ w["qkv"] + w["qkv_bias"]).reshape(batch, time, 3, HEADS, WIDTH // HEADS)
    query, key, value = gw.ops.unstack(gw.ops.moveaxis(rows, 1, 3), 1)
    scores = query @ key.mT / math.sqrt(WIDTH // HEADS)
    scores = gw.ops.where(real[:, None, None, :], scores, -np.inf)
    mixed = gw.ops.softmax(scores) @ value
    return gw.ops.moveaxis(mixed, 1, 2).reshape(batch, time, WIDTH) @ w["out"]


def encoded(words, weights, attend, smooth):
    """[batch, time, WIDTH]; what is at padding means nothing."""
    real = words != PADDING
    x = gw.ops.embedding(words, weights["table"]) * math.sqrt(WIDTH)
    x = x + gw.ops.sinusoidal_encoding(gw.ops.arange(words.shape[1]), WIDTH, dtype=x.dtype)
    for i in range(LAYERS):
        w = within(weights, i)
        x = x + attend(normed(x, w["norm1"]), real, w)
        inner = gw.ops.gelu(normed(x, w["norm2"]) @ w["up"] + w["up_bias"], smooth)
        x = x + inner @ w["down"] + w["down_bias"]
    return normed(x, weights["norm"]), real


def classified(words, weights, attend, smooth):
    x, real = encoded(words, weights, attend, smooth)
    shown = gw.ops.where(real[..., None], x, 0.0)
    mean = shown.sum(1) / real.sum(1, keepdims=True).astype(x.dtype)
    return mean @ weights["head"], shown


# The same by hand: one sentence without padding. Analytic, for complex steps.


def norm_by_hand(x, scale_and_shift):
    off = x - x.mean(-1, keepdims=True)
    scale, shift = scale_and_shift
    return off / np.sqrt((off * off).mean(-1, keepdims=True) + 1e-5) * scale + shift


def erf(z):
    """Of a number with a tiny imaginary part."""
    real, tiny = z.real, z.imag
    value = np.vectorize(math.erf, otypes=[float])(real)
    return value + 1j * tiny * 2 / math.sqrt(math.pi) * np.exp(-(real**2))


def gelu_by_hand(x, smooth):
    if smooth == "tanh":
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + erf(x.astype(complex) / math.sqrt(2)))


def position(place, feature):
    angle = place / 10000 ** (feature // 2 * 2 / WIDTH)
    return math.cos(angle) if feature % 2 else math.sin(angle)


def sentence_by_hand(words, weights, smooth):
    x = weights["table"][words] * math.sqrt(WIDTH)
    x = x + np.array([[position(p, f) for f in range(WIDTH)] for p in range(len(words))])
    size = WIDTH // HEADS
    for i in range(LAYERS):
        w = within(weights, i)
        query, key, value = np.split(
            norm_by_hand(x, w["norm1"]) @ w["qkv"] + w["qkv_bias"], 3, axis=1
        )
        mixed = []
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            likes = np.exp(query[:, own] @ key[:, own].T / math.sqrt(size))
            mixed.append(likes / likes.sum(1, keepdims=True) @ value[:, own])
        x = x + np.concatenate(mixed, axis=1) @ w["out"]
        inner = gelu_by_hand(norm_by_hand(x, w["norm2"]) @ w["up"] + w["up_bias"], smooth)
        x = x + inner @ w["down"] + w["down_bias"]
    return norm_by_hand(x, weights["norm"])


def loss_by_hand(words, labels, weights, smooth):
    total = 0.0
    for row, label in zip(words, labels, strict=True):
        x = sentence_by_hand(row[row != PADDING], weights, smooth)
        likes = np.exp(x.mean(0) @ weights["head"])
        total = total - np.log(likes[label] / likes.sum())
    return total / len(words)


def drawn(random, batch, time):
    """Sentences of different lengths, and classes."""
    words = random.integers(1, WORDS, size=(batch, time))
    for row, length in enumerate((time, time - 1, 1)[:batch]):
        words[row, length:] = PADDING
    return words, random.integers(CLASSES, size=batch)


@pytest.mark.parametrize("smooth", ["none", "tanh"])
@pytest.mark.parametrize("attend", [attention, attention_by_parts])
def test_sentences_of_different_lengths(attend, smooth):
    words = gw.input("words", ("batch", "time"), "int64")
    labels = gw.input("labels", ("batch",), "int64")
    weights = {name: gw.input(name, shape, "float64") for name, shape in shapes().items()}
    logits, shown = classified(words, weights, attend, smooth)
    loss = gw.ops.cross_entropy(logits, labels)
    variables = list(weights.values())
    outputs = [shown, loss, gw.grad(loss, variables)]
    random = np.random.default_rng(6)
    given = {name: random.normal(size=shape) / 2 for name, shape in shapes().items()}
    # Sentences that are drawn without care may have no word, and nothing to compare.
    check = [*drawn(random, 3, 4), *given.values()]
    run = compiled([words, labels, *variables], outputs, check)
    for batch, time in ((3, 5), (1, 2)):
        said, meant = drawn(random, batch, time)
        states, value, gradients = run(said, meant, *given.values())
        for row, found in zip(said, states, strict=True):
            real = row != PADDING
            assert_close(found[real], sentence_by_hand(row[real], given, smooth).real)

        def by_hand(*arrays, said=said, meant=meant):
            return loss_by_hand(said, meant, dict(zip(given, arrays, strict=True)), smooth)

        assert_close(value, by_hand(*given.values()).real)
        assert_gradients(by_hand, list(given.values()), gradients)
