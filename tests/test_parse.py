"""The printed language as it is read: free layout, errors with their place, hostile text."""

from __future__ import annotations

import re
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.printed import TRAINING, round_trip, training

import graphwright as gw
from graphwright.graph.dtype import bfloat16
from graphwright.graph.errors import GraphwrightError, ParseError
from graphwright.graph.graph import Graph
from graphwright.graph.operator import Operator, operators, register
from graphwright.graph.parse import parse

FUSED = """\
graph(x: f32[n,4], y: f64[max(n - 3, 0),floordiv(n, 2)]) {
  %0: f32[n,4], %1: f32[n] = fused(x, kind="rows", graph=graph(a: f32[n,4]) {
    %0: f32[n,4] = exp(a)
    %1: f32[n] = sum(%0, axes=(1,), keepdims=False)
    return %0, %1
  })
  %2: f32[2,n,2], %3: f32[2,n,2] = split(%4, axis=0, sizes=(2, 2))
  return %1
}"""


# Reading.


def test_layout_and_comments_are_free() -> None:
    squeezed = re.sub(r"\s+", " ", TRAINING)
    assert parse(squeezed) == parse(TRAINING)
    commented = "# a graph\n" + TRAINING.replace("\n", "  # %0 = } {\n") + "\n# the end"
    assert parse(commented) == parse(TRAINING)
    assert parse(TRAINING.replace("\n", "\r\n")) == parse(TRAINING)


def test_parameters_given_are_the_ones_read() -> None:
    graph = training()
    again = parse(TRAINING, graph.parameters)
    assert again.parameters == graph.parameters
    assert list(again.updates) == list(graph.updates)
    fresh = parse(TRAINING)
    assert not any(parameter.has_value for parameter in fresh.parameters)
    wrong = gw.parameter("w", np.zeros(7, np.float32))
    with pytest.raises(ParseError, match=r"parameter w is f32\[3,2\] here, and f32\[7\] elsewhere"):
        parse(TRAINING, [wrong])


def test_a_parsed_graph_has_no_place_in_the_users_code() -> None:
    graph = parse(TRAINING)
    assert {str(node.source) for node in graph.nodes} == {""}


HEADERS = [
    ("x f32[2]", "line 1, column 9: expected ':', found 'f32'"),
    ("x:f32[2]", "line 1, column 12: expected ':', found '['"),
    ("x: f33[2]", "expected a type such as f32[2,3], found 'f33'"),
    ("x: f32", "expected '[', found ')'"),
    ("x: f32[2,", "expected a size, found ')'"),
    ("x: f32[,]", "expected a size, found ','"),
    ("x: f32[-2]", "a size is a number from 0 to 9223372036854775807"),
    ("x: f32[2.5]", "expected a whole number"),
    ("x: f32[n-1]", "'n-1' can't name a dimension"),
    ("x: f32[floordiv(n, 0)]", "division by 0"),
    ("x: f32[min(n, 2)]", "expected ',', found '('"),
    ("x: f32[99999999999999999999]", "a size is a number from 0 to 9223372036854775807"),
    ("x: f32[99999999999999999999*n]", "a size holds a number of more than 9223372036854775807"),
    ("x: f32[999999999999999999999]", "a whole number of at most 20 digits"),
    ("x: f32[], x: f32[]", "x is defined twice"),
    ("return: f32[]", "'return' can't name an input"),
]
BODIES = [
    ("parameter x: f32[]", "x is defined twice"),
    ("parameter w: f32[n]", "parameter 'w' has a symbolic size"),
    ("%0: f32[] = exp(y)", "y is not defined above"),
    ("%0: f32[] = exp(%0)", "%0 is not defined above"),
    ("%0: f32[] = exp(x) %0: f32[] = exp(x)", "%0 is defined twice"),
    ("%0: f32[] = frobnicate(x)", "there is no operator named 'frobnicate'"),
    ("%0: f32[] = exp()", "exp takes the inputs: x; 0 are given"),
    ("%0: f32[] = exp(x, x)", "exp takes the inputs: x; 2 are given"),
    ("%0: f32[] = exp(x, axis=1)", "exp takes the attributes: none; not: axis"),
    ("%0: f32[] = sum(v)", "sum takes the attributes: axes, keepdims; not: none"),
    ("%0: f32[] = sum(v, axes=(), axes=())", "axes is given twice"),
    ("%0: f32[] = sum(v, axes=3, keepdims=True)", "sum: axes can't be of the type int"),
    ("%0: f32[] = sum(v, axes=(), keepdims=1)", "sum: keepdims can't be of the type int"),
    ("%0: f32[] = sum(v, axes=(True,), keepdims=True)", "axes can't be of the type tuple"),
    ('%0: f32[] = reshape(x, shape="")', "reshape: shape can't be of the type str"),
    ("%0: f32[] = cast(x, dtype=3)", "cast: dtype can't be of the type int"),
    ('%0: f32[] = cast(x, dtype="f32")', "cast: dtype can't be of the type str"),
    ('%0: f32[] = input(label="z", type=f32[])', "input is no operation: it is declared above"),
    ("%0: f64[2] = exp(v)", "exp gives f32[2] here"),
    ("%0: f32[2], %1: f32[2] = exp(v)", "exp gives f32[2] here"),
    ("%0: f32[3] = exp(v)", "exp gives f32[2] here"),
    ("%0: i32[] = exp(i)", "exp: needs a floating input, got i32[]"),
    ("%0: f32[2] = add(v, u)", "shapes [2] and [3] differ"),
    ('%0: f32[] = pad(x, widths=(), value="a)', "unexpected character '\"'"),
    ("return x update x = x } ", "expected the name of a parameter not updated yet"),
    ("parameter w: f32[] return x update w = w update w = w }", "parameter not updated yet"),
    ("parameter w: f64[] return x update w = x }", "the update of parameter 'w' has another type"),
    ('%0: f32[] = exp(x, value="\\q")', "a malformed string"),
    ("return x, }", "expected a value, found '}'"),
    ("return x; }", "unexpected character ';'"),
    ("return x } more", "expected the end of the text, found 'more'"),
]
CONSTANTS = [
    ("f32[2]", "{1.0}", "f32[2] has 2 elements, found 1"),
    ("f32[n]", "{1.0}", "an array has numbers for sizes"),
    ("f32[9]", "{…}", "a constant was left out when this text was printed"),
    ("f32[1]", "{True}", "expected a number, found 'True'"),
    ("bool[1]", "{1}", "expected True or False, found '1'"),
    ("u8[1]", "{256}", "an element is out of the range of u8"),
    ("u8[1]", "{-1}", "an element is out of the range of u8"),
    ("u8[1]", "{1.5}", "expected a whole number"),
    ("f16[1]", "{70000.0}", "an element is out of the range of f16"),
    ("f64[1]", "{1e400}", "a number out of the range of f64"),
    ("f32[2]", '"AAAA"', "f32[2] has 8 bytes, found 3"),
    ("f32[1]", '"*AAAA="', "malformed base64"),
    ("f32[1]", '"AAA"', "malformed base64"),
    ("f32[1]", "", "constant: value can't be of the type TensorType"),
]
REFUSED = {
    "": "line 1, column 1: expected 'graph', found the end of the text",
    "grph() { return }": "line 1, column 1: expected 'graph', found 'grph'",
    **{f"graph({header}) {{ return }}": message for header, message in HEADERS},
    **{
        f"graph(x: f32[], v: f32[2], u: f32[3], i: i32[]) {{ {body} return x }}": message
        for body, message in BODIES
    },
    **{
        f"graph() {{ %0: {kind} = constant(value={kind}{value}) return %0 }}": message
        for kind, value, message in CONSTANTS
    },
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_malformed_text_is_refused_with_its_place(wrong: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(wrong)
    assert REFUSED[wrong] in caught.value.what
    assert re.match(r"line \d+, column \d+: ", caught.value.what)


def test_an_error_shows_line_column_and_the_line_itself() -> None:
    wrong = TRAINING.replace("greater(%0, %1)", "greater(%0, %9)")
    with pytest.raises(ParseError) as caught:
        parse(wrong)
    assert str(caught.value) == (
        "line 6, column 35: %9 is not defined above\n  line  %2: bool[batch,2] = greater(%0, %9)"
    )


def test_an_unknown_operator_says_what_to_do() -> None:
    with pytest.raises(ParseError, match="register custom operators"):
        parse("graph() { %0: f32[] = mine() return %0 }")


@pytest.mark.parametrize("wrong", [None, 3, b"graph() { return }", ["graph"]])
def test_only_text_is_parsed(wrong: Any) -> None:
    with pytest.raises(ParseError, match="a graph is parsed from text, got"):
        parse(wrong)


def test_bfloat16_without_its_package_is_refused_while_parsing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import importlib

    def missing(name: str) -> Any:
        raise ImportError(name)

    bfloat16.cache_clear()
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ParseError, match="bfloat16 needs the package ml_dtypes"):
        parse("graph(x: bf16[2]) { return x }")


# Hostile text.


def refused_or_read(source: str) -> Graph | None:
    """The graph; None when it was refused as it should be. Any other exception passes."""
    try:
        return parse(source)
    except ParseError as error:
        assert "\n" not in error.what
        assert str(error)
        return None


@pytest.mark.parametrize(
    "source", [TRAINING, FUSED.split("  %2")[0] + "  return %1\n}"], ids=["training", "fused"]
)
def test_text_cut_off_anywhere_is_refused(source: str) -> None:
    assert refused_or_read(source) is not None
    for length in range(len(source)):
        assert refused_or_read(source[:length]) is None, source[:length]


@pytest.mark.parametrize("source", [TRAINING, FUSED], ids=["training", "fused"])
def test_text_with_any_character_missing_or_changed_is_read_or_refused(source: str) -> None:
    for place in range(len(source)):
        refused_or_read(source[:place] + source[place + 1 :])
        refused_or_read(source[:place] + '%{("-\n…0'[place % 8] + source[place + 1 :])


WORDS = (
    "%0 %1 x graph return update parameter f32 f32[2] i64[]{1} 1e999 n floordiv(n,2) max(n,m) True "
    "None axes=(0,) keepdims=True sum add reshape shape=(n,2) constant graph=graph( "
    'f32[1]"AACAPw==" f32[2]{1.0,nan} 99999999999999999999'
)
PIECES = st.one_of(
    st.sampled_from([*'()[]{}=,:*+-%"#\n \t…01', *WORDS.split()]), st.text(max_size=3)
)
ODD_VALUES = (
    "() (0,) (-1,) (1,1) 0 -1 7 True None 1.5 nan -inf f32 i8 f32[2] f32[2]{1.0,2.0} n (n,2) "
    "((0,1),) ((n,-n),) (1,2,3) 9223372036854775807 (9223372036854775807,) graph(){return} "
    '"" "abc" ("a",) (None,) ((),)'
)


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from([TRAINING, FUSED]))
def test_mutated_text_is_read_or_refused(data: Any, source: str) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(source)))
        end = min(len(source), start + data.draw(st.sampled_from([0, 1, 1, 2, 5, 20])))
        source = source[:start] + data.draw(PIECES) + source[end:]
    graph = refused_or_read(source)
    if graph is not None:
        round_trip(graph)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_noise_is_refused(noise: str) -> None:
    refused_or_read(noise)
    refused_or_read("graph(x: f32[2]) {\n" + noise + "\n return x }")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(operators)), st.data())
def test_any_attributes_on_any_operator_are_read_or_refused(name: str, data: Any) -> None:
    """Values of the wrong kind and size for every attribute of every operator."""
    operator = operators[name]
    inputs = data.draw(st.lists(st.sampled_from(["x", "y", "i", "b", "s"]), max_size=3))
    attributes = [
        f"{key}={data.draw(st.sampled_from(ODD_VALUES.split()))}"
        for key in operator.attribute_names
    ]
    source = (
        "graph(x: f32[2,3], y: f32[3,n], i: i64[2], b: bool[n], s: f32[]) {\n"
        f"  %0: f32[2] = {name}({', '.join([*inputs, *attributes])})\n  return %0\n}}"
    )
    try:
        parse(source)
    except ParseError as error:
        if f"{name} gives " in error.what:  # then with the type it does have
            gives = re.search(r"gives (.*) here", error.what)
            assert gives
            kinds = gives[1].split(", ")
            graph = refused_or_read(
                source.replace(
                    "%0: f32[2]", ", ".join(f"%{i}: {kind}" for i, kind in enumerate(kinds))
                )
            )
            if graph is not None:
                round_trip(graph)


@pytest.mark.parametrize(
    "hostile",
    [
        "graph(x: f32[" + "max(" * 10_000,
        "graph(x: f32[" + "floordiv(" * 30 + "n" + ", 2)" * 30 + "]) { return x }",
        "graph() { %0: f32[] = test_everything(value=" + "(" * 100_000,
        "graph() { %0: f32[] = test_everything(value="
        + "graph() { %0: f32[] = test_everything(value=" * 2000,
        "graph(x: f32[" + "+".join(f"n{i}" for i in range(20_000)) + "]) { return x }",
        "graph(x: f32[" + "*".join(f"n{i}" for i in range(20_000)) + "]) { return x }",
        "graph(x: f32[" + "*".join(["floordiv(a + b + c + d, 1)"] * 30) + "]) { return x }",
        "graph(x: f32["
        + "*".join(["floordiv(a + b + c + d + e + f + g, 2)"] * 20)
        + "]) { return x }",
        "graph(x: f32[" + "*".join(["99999999999999999999"] * 40) + "]) { return x }",
        "graph(x: f32[" + "1," * 100_000 + "]) { return x }",
        "graph(x: f32[" + "max(n - " * 39 + "m" + ", 0)" * 39 + "]) { return x }",
        "graph(x: f32[n]) { %0: f32[] = reshape(x, shape=("
        + "n + m + k + l, " * 40
        + ")) return x }",
        "graph() { %0: f32[] = constant(value=f32[9999999999,9999999999]{1.0}) return %0 }",
        'graph() { %0: f32[] = constant(value=f32[9999999999]"AAAA") return %0 }',
        "graph(x: f32[]) { %0: f32[] = exp(" + "x, " * 50_000 + ") return x }",
        "graph() { return " + "%0, " * 50_000 + "}",
        "#" * 200_000,
        '"' * 100_000,
        '"' + "\\" * 100_001,
        " " * 200_000,
        "graph() {" + " #\n" * 50_000,
        "graph(x: f32[]) { %" + "9" * 100_000 + ": f32[] = exp(x) return x }",
        "graph(x: f32[" + "9" * 100_000 + "]) { return x }",
        "graph(x: f32[]) { %0: f32[] = exp(x, value=0." + "0" * 100_000 + "1) return x }",
    ],
    ids=lambda source: source[:40],
)
def test_hostile_text_takes_neither_time_nor_memory(hostile: str) -> None:
    tracemalloc.start()
    start = time.perf_counter()
    refused_or_read(hostile)
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 20  # tracing makes it several times slower than it is
    assert peak < 100 * 2**20


def test_text_of_ten_thousand_lines_reads_in_near_linear_time() -> None:
    def seconds(count: int) -> float:
        lines = [f"  %{i + 1}: f32[n] = exp(%{i})" for i in range(count)]
        source = "\n".join(
            ["graph(x: f32[n]) {", "  %0: f32[n] = exp(x)", *lines, f"  return %{count}", "}"]
        )
        start = time.perf_counter()
        assert len(parse(source).nodes) == count + 1
        return time.perf_counter() - start

    seconds(100)
    assert seconds(10_000) < 40 * max(seconds(1_000), 0.01)


def test_errors_of_operators_that_trip_are_errors_of_the_text() -> None:
    @register
    class Trips(Operator):
        """An operator whose infer does not check what it is given."""

        name = "test_trips"

        value: Any

        def infer(self) -> Any:
            return {"a": KeyError, "b": RecursionError, "c": AssertionError}[self.value]

    try:
        with pytest.raises(ParseError, match="KeyError"):
            parse("graph() { %0: f32[] = test_trips(value=3) return %0 }")
        with pytest.raises(ParseError):
            parse('graph() { %0: f32[] = test_trips(value="a") return %0 }')
    finally:
        del operators["test_trips"]


def test_a_parse_error_is_one_of_ours() -> None:
    with pytest.raises(GraphwrightError):
        parse("")
