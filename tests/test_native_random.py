"""Random graphs in native code: the interpreter's values, the same bits on any threads.

`scripts/fuzz.py` does the same for as many graphs as it is told.
"""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.native_graphs import NativeGraph, assert_same_bits, check_steps
from support.random_graphs import draw_arrays, draw_sizes, graphs

import graphwright as gw


@given(graphs(), st.data())
@settings(max_examples=40, deadline=None)
def test_random_graphs_compute_what_the_interpreter_does(graph, data):
    native = NativeGraph(graph)
    for _ in range(2):
        sizes = data.draw(draw_sizes(graph))
        native.check(data.draw(draw_arrays(graph, sizes)), sizes)


@given(graphs(), st.data())
@settings(max_examples=40, deadline=None)
def test_each_native_step_of_random_graphs_computes_what_numpy_does(graph, data):
    sizes = data.draw(draw_sizes(graph))
    check_steps(graph, data.draw(draw_arrays(graph, sizes)), sizes)


def test_many_python_threads_call_at_once_with_sizes_of_their_own():
    x = gw.input("x", ("n", 40))
    w = gw.parameter("w", np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32))
    run = gw.compile(x, gw.ops.log_softmax(gw.ops.tanh(x @ w), 1).sum(0), backend="native")
    arrays = [np.full((n, 40), n / 100, np.float32) for n in (1, 7, 7, 64, 300, 301)]
    expected = [run(array) for array in arrays]
    wrong: list[BaseException] = []

    def call(first: int) -> None:
        try:
            for i in range(60):
                number = (first + i) % len(arrays)
                assert_same_bits([expected[number]], [run(arrays[number])])
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
