"""Beam search, by `scan` with a walk back, and by a `while_loop` that ends with the last sentence.

A small recurrent language model is searched, and held against a search over Python lists; where
there are as many beams as sentences, against all sentences.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.program_checks import assert_close, assert_gradients, compiled

import graphwright as gw

WORDS, UNITS, END, START = 5, 3, 0, 1


# The programs: a model of [batch, beams] sentences at once.


def read(model, h, word):
    """The next state, and the logarithms of the chances of each next word."""
    table, back, out = model
    h = gw.ops.tanh(gw.ops.embedding(word, table) + h @ back)
    return h, gw.ops.log_softmax(h @ out)


def best(scores, logs, done, beams):
    """The best ways on: their scores, the beams they come from, and their words."""
    # A sentence that is over goes on in one way, by another END, that costs nothing.
    stays = gw.ops.where(gw.ops.arange(WORDS) == END, 0.0, -np.inf)
    scores = scores[..., None] + gw.ops.where(done[..., None], stays, logs)
    scores, places = gw.ops.topk(scores.reshape(-1, beams * WORDS), beams)
    return scores, places // WORDS, places % WORDS


def beginning(h, beams):
    """One sentence; the other beams are none yet."""
    batch = h.shape[0]
    rows = gw.ops.broadcast_to(h[:, None], (batch, beams, UNITS))
    zeros = gw.ops.zeros((batch, beams), h.dtype)
    scores = gw.ops.where(gw.ops.arange(beams) == 0, zeros, -np.inf)
    return rows, gw.ops.full((batch, beams), START, "int64"), scores, zeros > 0


def going_on(model, state, beams):
    h, word, scores, done = state
    h, logs = read(model, h, word)
    scores, parent, word = best(scores, logs, done, beams)
    h = gw.ops.take_along_axis(h, parent[..., None], 1)
    done = gw.ops.take_along_axis(done, parent, 1) | (word == END)
    return (h, word, scores, done), parent


def by_scan(model, h, beams, steps):
    def step(state, _):
        state, parent = going_on(model, state, beams)
        return state, (state[1], parent)

    (_, _, scores, _), (words, parents) = gw.scan(step, beginning(h, beams), length=steps)

    def walk(place, slices):
        word, parent = slices
        return gw.ops.take_along_axis(parent, place, 1), gw.ops.take_along_axis(word, place, 1)

    last = gw.ops.broadcast_to(gw.ops.arange(beams), scores.shape)
    _, sentences = gw.scan(walk, last, (words, parents), reverse=True)
    return scores, gw.ops.moveaxis(sentences, 0, -1)


def by_while_loop(model, h, beams, steps):
    def on(state):
        count, (_, _, _, done), _ = state
        return (count < steps) & ~done.all()

    def step(state):
        count, search, sentences = state
        search, parent = going_on(model, search, beams)
        sentences = gw.ops.take_along_axis(sentences, parent[..., None], 1)
        return count + 1, search, gw.ops.index_update(sentences, (..., count), search[1])

    start = beginning(h, beams)
    none = gw.ops.full((*start[1].shape, steps), END, "int64")
    _, (_, _, scores, _), sentences = gw.while_loop(
        on, step, (gw.ops.zeros((), "int64"), start, none), bound=steps
    )
    return scores, sentences


# The same over lists.


def chances(model, h, word):
    table, back, out = model
    h = np.tanh(table[word] + h @ back)
    weights = np.exp(h @ out)
    return h, np.log(weights / weights.sum())


def search(model, h, beams, steps):
    """[(score, sentence)] for one beginning, the best first."""
    sentences = [(0.0, (), h)]
    for _ in range(steps):
        ways = []
        for score, words, state in sentences:
            if words and words[-1] == END:
                ways.append((score, (*words, END), state))
                continue
            following, logs = chances(model, state, words[-1] if words else START)
            ways += [(score + logs[w], (*words, w), following) for w in range(WORDS)]
        sentences = sorted(ways, key=lambda way: -way[0].real)[:beams]
    return [(score, words) for score, words, _ in sentences]


def all_sentences(model, h, steps):
    """As `search`, with nothing left out."""
    found = {}
    for words in itertools.product(range(WORDS), repeat=steps):
        state, score, last, said = h, 0.0, START, []
        for word in words:
            state, logs = chances(model, state, last)
            score, last = score + logs[word], word
            said.append(word)
            if word == END:
                break
        found[(*said, *[END] * (steps - len(said)))] = score
    return sorted(((score, words) for words, score in found.items()), reverse=True)


def arrays(seed, batch):
    """The model, and a state to begin each sentence with."""
    random = np.random.default_rng(seed)
    shapes = [(WORDS, UNITS), (UNITS, UNITS), (UNITS, WORDS)]
    model = [random.normal(size=shape) * 1.5 for shape in shapes]
    return [*model, random.normal(size=(batch, UNITS))]


DRAWN = [(5, 3), (6, 1)]


@pytest.mark.parametrize("method", [by_scan, by_while_loop])
@pytest.mark.parametrize(("beams", "steps"), [(3, 6), (1, 4), (60, 3)])
def test_the_best_sentences_and_how_their_scores_move(method, beams, steps):
    shapes = {"table": (WORDS, UNITS), "back": (UNITS, UNITS), "out": (UNITS, WORDS)}
    model = [gw.input(name, shape, "float64") for name, shape in shapes.items()]
    h = gw.input("h", ("batch", UNITS), "float64")
    scores, sentences = method(model, h, beams, steps)
    best = scores[:, 0].sum()
    run = compiled([*model, h], [scores, sentences, gw.grad(best, [*model, h])])
    for seed, batch in DRAWN:
        given = arrays(seed, batch)
        found_scores, found, gradients = run(*given)
        for row, begin in enumerate(given[-1]):
            wanted = search(given[:-1], begin, beams, steps)
            assert [tuple(words) for words in found[row]] == [words for _, words in wanted]
            assert_close(found_scores[row], np.array([score for score, _ in wanted]))
            if beams == 60:  # more than there are beginnings
                most = all_sentences(given[:-1], begin, steps)[:beams]
                assert [words for _, words in most] == [words for _, words in wanted]

        def top(*given, beams=beams, steps=steps):
            return sum(search(given[:-1], begin, beams, steps)[0][0] for begin in given[-1])

        assert_gradients(top, given, gradients)


def test_some_searches_end_before_the_bound_and_some_do_not():
    lengths = []
    for seed, batch in DRAWN:
        *model, h = arrays(seed, batch)
        found = [words for begin in h for _, words in search(model, begin, 3, 6)]
        lengths.append(max((*words, END).index(END) for words in found))
    assert min(lengths) < 5 and max(lengths) == 6
