"""The printed language: what graphs and values print as, and that it reads back."""

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.printed import TRAINING, Everything, round_trip, training
from support.random_graphs import graphs

import graphwright as gw
from graphwright.graph.array import FrozenArray
from graphwright.graph.dtype import SHORT_NAMES, as_dtype
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Constant
from graphwright.graph.parse import parse
from graphwright.graph.text import operation_text, tensor_names, text, value_text

# Printing.


def test_a_graph_prints_as_documented() -> None:
    assert text(training()) == TRAINING
    assert str(training()) == TRAINING


def test_what_is_printed_reads_back_as_the_same_graph() -> None:
    round_trip(training())
    assert text(parse(TRAINING)) == TRAINING


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_random_graphs_read_back(graph: Graph) -> None:
    round_trip(graph)


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_equal_graphs_print_alike(graph: Graph) -> None:
    copy = parse(text(graph))
    assert text(copy.bind({"n": 2, "m": 3})) == text(graph.bind({"n": 2, "m": 3}))


def test_every_stage_of_compiling_reads_back() -> None:
    x = gw.input("x", ("batch", 4))
    w = gw.parameter("w", np.ones((4, 3), np.float32))
    loss = gw.ops.cross_entropy(x @ w, gw.input("y", ("batch",), "int64"))
    y = loss.node.inputs[1]
    train = gw.compile([x, y], loss, updates={w: w - 0.1 * gw.grad(loss, w)})
    for record in train.compilation.records:
        if isinstance(record.after, Graph):
            round_trip(record.after)


def test_graphs_within_graphs_are_indented_and_read_back() -> None:
    x = gw.input("x", ("n", 4))
    fused = gw.parse(gw.compile(x, gw.ops.exp(x) * 2 + 1).text("fused"))
    printed = text(fused)
    assert re.search(
        r"^  %0: f32\[n,4\] = fused\(x, kind=.*graph=graph\(\w+: f32\[n,4\]\) \{$", printed, re.M
    )
    assert re.search(r"^    %\d+: f32\[n,4\] = exp\(\w+\)$", printed, re.M)
    assert re.search(r"^  \}\)$", printed, re.M)
    round_trip(fused)


def test_graphs_without_inputs_outputs_or_both_read_back() -> None:
    x = gw.input("x", ())
    w = gw.parameter("w", np.float32(1))
    for graph in (
        Graph([], []),
        Graph([x], []),
        Graph([], [w]),
        Graph([], [gw.constant(1.0)]),
        Graph([], [], {w: w + 1}),
        Graph([x], [], {w: w * x}),
        Graph([x], [x, x], {w: w}),
    ):
        round_trip(graph)


def test_names_of_every_allowed_kind_read_back() -> None:
    names = [
        "x",
        "_",
        "a/b",
        "a.b",
        "w:0",
        "a-b",
        "f32",
        "inf",
        "True",
        "max",
        "e5",
        "x.",
        "constant",
    ]
    inputs = [gw.input(name, ("n",)) for name in names]
    total = inputs[0]
    for tensor in inputs[1:]:
        total = total + tensor
    round_trip(Graph(inputs, [total, *inputs]))


def test_names_for_people_are_those_of_the_text() -> None:
    graph = training()
    names = tensor_names(graph)
    assert names[graph.inputs[0]] == "x"
    last = graph.operations[-1]
    assert f"{names[last.outputs[0]]}: i64[] = {operation_text(last, names)}" in text(graph)


def test_sources_are_added_as_comments_which_read_back() -> None:
    with gw.scope("layer"):
        x = gw.input("x", (2,))
        graph = Graph([x], [x + 1])
    printed = text(graph, sources=True)
    assert re.search(r"%1: f32\[2\] = add\(x, %0\)  # layer  test_text\.py:\d+\n", printed)
    assert parse(printed) == graph


# Values.


@pytest.mark.parametrize(
    ("array", "printed"),
    [
        (np.float32(0.1), "f32[]{0.1}"),
        (np.float64(0.1), "f64[]{0.1}"),
        (np.float32(1e20), "f32[]{1e+20}"),
        (np.float16(0.1), "f16[]{0.1}"),
        (np.array([1.5, -0.0, np.inf, -np.inf, np.nan]), "f64[5]{1.5, -0.0, inf, -inf, nan}"),
        (np.array([[1, -2], [3, 4]]), "i64[2,2]{1, -2, 3, 4}"),
        (np.array([0, 2**64 - 1], np.uint64), "u64[2]{0, 18446744073709551615}"),
        (np.array([-(2**63)]), "i64[1]{-9223372036854775808}"),
        (np.array([True, False]), "bool[2]{True, False}"),
        (np.zeros((0, 3), np.float32), "f32[0,3]{}"),
        (np.float32(16777216), "f32[]{16777216.0}"),
        (np.float32(3.4028235e38), "f32[]{3.4028235e+38}"),
        (np.array([5e-324]), "f64[1]{5e-324}"),
        (np.array([1.5, 0.1], ml_dtypes.bfloat16), "bf16[2]{1.5, 0.100098}"),
    ],
    ids=str,
)
def test_arrays_print_their_elements_and_read_back(array: Any, printed: str) -> None:
    assert value_text(FrozenArray(array)) == printed
    graph = Graph([], [Constant(FrozenArray(array))()])
    round_trip(graph)


def test_long_arrays_are_encoded_and_elided_when_asked() -> None:
    array = FrozenArray(np.arange(65, dtype=np.int16))
    printed = value_text(array)
    assert re.fullmatch(r'i16\[65\]"[A-Za-z0-9+/=]+"', printed)
    assert value_text(array, elide=True) == "i16[65]{…}"
    assert value_text(FrozenArray(np.zeros(8)), elide=True).startswith("f64[8]{0.0, ")
    round_trip(Graph([], [Constant(array)()]))


def test_nans_that_are_not_the_usual_one_keep_their_bits() -> None:
    for bits in (0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000001):
        array = np.array([bits], np.uint64).view(np.float64)
        round_trip(Graph([], [Constant(FrozenArray(array))()]))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SHORT_NAMES)), st.binary(min_size=0, max_size=64))
def test_arrays_of_any_bits_read_back(name: str, data: bytes) -> None:
    dtype = as_dtype(name)
    if name == "bool":
        data = bytes(byte & 1 for byte in data)
    array = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
    round_trip(Graph([], [Constant(FrozenArray(array))()]))


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(),
        st.sampled_from([as_dtype(name) for name in SHORT_NAMES]),
        st.sampled_from(["n", "batch_2", "_"]).map(lambda name: gw.dim(name) * 2 // 3 - 1),
        st.sampled_from([gw.input("x", ("n", 3)).type, gw.input("x", (), "bool").type]),
        st.integers(0, 3).map(lambda n: FrozenArray(np.arange(n))),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(values)
@example('\ud800 " \\ \n \x00 é %0 } #')
@example(())
@example(((),))
@example((1,))
@example(-0.0)
@example(1e16)
@example(float("nan"))
@example(5e-324)
def test_attributes_of_every_kind_read_back(value: Any) -> None:
    round_trip(Graph([], [Everything(value)()]))
