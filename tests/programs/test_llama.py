"""Blocks as in Llama: RMS norms, rotary positions, grouped heads that look back, gated layers.

Held against NumPy, head by head; and read word by word, with the keys and values so far kept,
they give what they give for all words at once. Source: Touvron et al., LLaMA: open and efficient
foundation language models, 2023; Ainslie et al., GQA, 2023.
"""

from __future__ import annotations

import math

import numpy as np
from support.program_checks import assert_close, assert_gradients, compiled

import graphwright as gw

WORDS, WIDTH, HEADS, SHARED, SIZE, HIDDEN, LAYERS = 7, 6, 4, 2, 4, 5, 2
BASE = 100.0


def shapes():
    layer = {
        "norm1": (WIDTH,),
        "query": (WIDTH, HEADS * SIZE),
        "key": (WIDTH, SHARED * SIZE),
        "value": (WIDTH, SHARED * SIZE),
        "out": (HEADS * SIZE, WIDTH),
        "norm2": (WIDTH,),
        "gate": (WIDTH, HIDDEN),
        "up": (WIDTH, HIDDEN),
        "down": (HIDDEN, WIDTH),
    }
    layers = {f"layer{i}/{name}": shape for i in range(LAYERS) for name, shape in layer.items()}
    return {"table": (WORDS, WIDTH), **layers, "norm": (WIDTH,)}


def within(weights, layer):
    prefix = f"layer{layer}/"
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


# The programs.


def heads(x, matrix, count):
    """[batch, time, WIDTH] as [batch, count, time, SIZE]."""
    return gw.ops.swapaxes((x @ matrix).reshape(*x.shape[:2], count, SIZE), 1, 2)


def block(x, w, attend):
    """attend: from queries, keys and values to what they mix"""
    rows = gw.ops.rms_norm(x, w["norm1"])
    query, key, value = (
        heads(rows, w[name], count)
        for name, count in (("query", HEADS), ("key", SHARED), ("value", SHARED))
    )
    mixed = gw.ops.swapaxes(attend(query, key, value), 1, 2)
    x = x + mixed.reshape(*x.shape[:2], HEADS * SIZE) @ w["out"]
    rows = gw.ops.rms_norm(x, w["norm2"])
    return x + gw.ops.swiglu(rows @ w["gate"], rows @ w["up"]) @ w["down"]


def all_at_once(words, weights):
    """The logits [batch, time, WORDS] of each next word."""

    def attend(query, key, value):
        query, key = (gw.ops.rotary_embedding(part, base=BASE) for part in (query, key))
        return gw.ops.scaled_dot_product_attention(query, key, value, causal=True)

    x = gw.ops.embedding(words, weights["table"])
    for i in range(LAYERS):
        x = block(x, within(weights, i), attend)
    return gw.ops.rms_norm(x, weights["norm"]) @ weights["table"].T


def one_word(word, place, kept, weights):
    """The logits after a word [batch] at a place, and the keys and values up to it."""
    later = []

    def attend(query, key, value):
        keys, values = kept[len(later)]
        query, key = (gw.ops.rotary_embedding(x, place, base=BASE) for x in (query, key))
        keys, values = (
            gw.ops.index_update(rows, (..., place, slice(None)), new[:, :, 0])
            for rows, new in ((keys, key), (values, value))
        )
        later.append((keys, values))
        known = gw.ops.arange(keys.shape[2]) <= place
        return gw.ops.scaled_dot_product_attention(query, keys, values, mask=known)

    x = gw.ops.embedding(word[:, None], weights["table"])
    for i in range(LAYERS):
        x = block(x, within(weights, i), attend)
    return (gw.ops.rms_norm(x, weights["norm"]) @ weights["table"].T)[:, 0], later


def nothing_kept(batch, time):
    empty = gw.ops.zeros((batch, SHARED, time, SIZE), "float64")
    return [(empty, empty)] * LAYERS


def word_by_word(words, weights):
    batch, time = words.shape

    def step(kept, slices):
        logits, kept = one_word(*slices, kept, weights)
        return kept, logits

    slices = words.T, gw.ops.arange(time)
    _, logits = gw.scan(step, nothing_kept(batch, time), slices)
    return gw.ops.swapaxes(logits, 0, 1)


def written(first, weights, time):
    """The likeliest words, each after those before: [batch, time]."""

    def step(state, place):
        word, kept = state
        logits, kept = one_word(word, place, kept, weights)
        word = logits.argmax(-1)
        return (word, kept), word

    start = first, nothing_kept(first.shape[0], time)
    return gw.scan(step, start, gw.ops.arange(time))[1].T


# The same by hand, for one text.


def norm_by_hand(x, scale):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * scale


def turned(x):
    """Rows of one head, each pair of features turned by their place: as complex numbers."""
    half = SIZE // 2
    out = x.copy()
    for place, pair in np.ndindex(len(x), half):
        angle = place * BASE ** (-2 * pair / SIZE)
        c, s = math.cos(angle), math.sin(angle)
        a, b = x[place, pair], x[place, pair + half]
        out[place, pair], out[place, pair + half] = a * c - b * s, a * s + b * c
    return out


def logits_by_hand(words, weights):
    x = weights["table"][words]
    for i in range(LAYERS):
        w = within(weights, i)
        rows = norm_by_hand(x, w["norm1"])
        mixed = []
        for head in range(HEADS):
            own = slice(head * SIZE, (head + 1) * SIZE)
            group = head // (HEADS // SHARED)
            of_group = slice(group * SIZE, (group + 1) * SIZE)
            query, key = turned((rows @ w["query"])[:, own]), turned((rows @ w["key"])[:, of_group])
            value = (rows @ w["value"])[:, of_group]
            out = []
            for t in range(len(words)):
                likes = np.exp(key[: t + 1] @ query[t] / math.sqrt(SIZE))
                out.append(likes @ value[: t + 1] / likes.sum())
            mixed.append(np.array(out))
        x = x + np.concatenate(mixed, axis=1) @ w["out"]
        rows = norm_by_hand(x, w["norm2"])
        gate = rows @ w["gate"]
        x = x + (gate / (1 + np.exp(-gate)) * (rows @ w["up"])) @ w["down"]
    return norm_by_hand(x, weights["norm"]) @ weights["table"].T


def loss_by_hand(texts, weights):
    total, count = 0.0, 0
    for words in texts:
        for logits, label in zip(logits_by_hand(words[:-1], weights), words[1:], strict=True):
            total = total - np.log(np.exp(logits[label]) / np.exp(logits).sum())
            count += 1
    return total / count


def weights_of(random):
    return {name: random.normal(size=shape) for name, shape in shapes().items()}


def test_all_words_at_once_and_one_by_one():
    words = gw.input("words", ("batch", "time"), "int64")
    weights = {name: gw.input(name, shape, "float64") for name, shape in shapes().items()}
    variables = list(weights.values())
    whole, parts = all_at_once(words, weights), word_by_word(words, weights)
    losses = [gw.ops.cross_entropy(x[:, :-1], words[:, 1:]) for x in (whole, parts)]
    gradients = [gw.grad(loss, variables) for loss in losses]
    run = compiled([words, *variables], [whole, parts, losses, gradients])
    random = np.random.default_rng(10)
    given = weights_of(random)
    for batch, time in ((2, 5), (1, 2)):
        said = random.integers(WORDS, size=(batch, time))
        found, by_parts, values, (slopes, slopes_by_parts) = run(said, *given.values())
        assert_close(found, np.array([logits_by_hand(text, given) for text in said]))
        assert_close(by_parts, found)

        def by_hand(*arrays, said=said):
            return loss_by_hand(said, dict(zip(given, arrays, strict=True)))

        wanted = by_hand(*given.values())
        assert_close(values, [wanted, wanted])
        assert_gradients(by_hand, list(given.values()), slopes)
        assert_close(slopes_by_parts, slopes)


def test_writing_on():
    first = gw.input("first", ("batch",), "int64")
    weights = {name: gw.input(name, shape, "float64") for name, shape in shapes().items()}
    run = compiled([first, *weights.values()], written(first, weights, 6))
    given = weights_of(np.random.default_rng(11))
    start = np.arange(WORDS)
    found = run(start, *given.values())
    for begin, text in zip(start, found, strict=True):
        words = [begin]
        for _ in range(6):
            words.append(int(logits_by_hand(np.array(words), given)[-1].argmax()))
        assert text.tolist() == words[1:]
    assert len({tuple(text) for text in found.tolist()}) > 2
