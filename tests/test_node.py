"""Nodes: frozen, and each knows its block, the user's line, and who wrote it down."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator

import pytest

import graphwright as gw
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.node import Node, Origin, derived, scope
from graphwright.graph.source import NOWHERE, Line, Source, here
from graphwright.graph.tensor import Tensor


def leaf() -> Tensor:
    return gw.input("x", ("n",))


def line_of(tensor: Tensor) -> str:
    (line,) = tensor.node.source.lines
    return line.text


# The node.


def test_a_node_is_frozen() -> None:
    node = (leaf() + 1).node
    for name in ("op", "inputs", "outputs", "origin", "scope", "new"):
        with pytest.raises(AttributeError, match=f"nodes are frozen: {name} can't be set"):
            setattr(node, name, None)
        with pytest.raises(AttributeError, match=f"nodes are frozen: {name} can't be deleted"):
            delattr(node, name)
    assert isinstance(node.inputs, tuple)
    assert isinstance(node.outputs, tuple)


def test_an_operator_is_frozen() -> None:
    for tensor in (leaf() + 1, leaf().sum(), gw.ops.exp(leaf())):
        for name in ("axes", "name", "new"):
            with pytest.raises(AttributeError, match=r"frozen|cannot assign"):
                setattr(tensor.node.op, name, None)
            with pytest.raises(AttributeError, match=r"frozen|cannot delete"):
                delattr(tensor.node.op, name)


def test_nodes_are_compared_by_identity() -> None:
    x = leaf()
    a, b = (x + 1).node, (x + 1).node
    assert a != b
    assert len({a, b, a}) == 2


def test_a_node_shows_its_operator_and_types() -> None:
    assert repr(leaf().sum().node) == "<sum(axes=(0,), keepdims=False): f32[]>"


def test_outputs_know_their_place() -> None:
    node = gw.ops.split(gw.input("x", (6,)), 3)[0].node
    assert [tensor.index for tensor in node.outputs] == [0, 1, 2]
    assert all(tensor.node is node for tensor in node.outputs)


# Scopes.


def test_scopes_nest_and_close() -> None:
    x = leaf()
    with scope("encoder"):
        outer = x + 1
        with scope("layer_1"), gw.scope("attention"):
            inner = x + 1
        again = x + 1
    after = x + 1
    assert [t.node.scope for t in (x, outer, inner, again, after)] == [
        "",
        "encoder",
        "encoder/layer_1/attention",
        "encoder",
        "",
    ]


def test_a_scope_closes_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), scope("broken"):
        raise ZeroDivisionError
    assert leaf().node.scope == ""


def test_a_scope_can_decorate_a_function() -> None:
    @scope("block")
    def block(x: Tensor) -> Tensor:
        return x + 1

    assert block(leaf()).node.scope == block(leaf()).node.scope == "block"


def test_slashes_in_scopes_make_paths() -> None:
    with scope("/a/b/"):
        assert leaf().node.scope == "a/b"


@pytest.mark.parametrize("name", ["", "/", "a\nb", "\x00", None, 3])
def test_names_that_make_no_scope_are_refused(name: str) -> None:
    with pytest.raises(AttributeValueError, match="can't name a scope"), scope(name):
        pass
    assert leaf().node.scope == ""


def test_threads_have_scopes_of_their_own() -> None:
    found: dict[str, list[str]] = {}
    together = threading.Barrier(2)

    def build(name: str) -> None:
        found[name] = [leaf().node.scope]
        with scope(name):
            together.wait(timeout=10)
            found[name].append(leaf().node.scope)
            together.wait(timeout=10)

    with scope("main"):
        threads = [threading.Thread(target=build, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert leaf().node.scope == "main"
    assert found == {"a": ["", "a"], "b": ["", "b"]}


def test_tasks_have_scopes_of_their_own() -> None:
    async def build(name: str) -> str:
        with scope(name):
            await asyncio.sleep(0)
            return leaf().node.scope

    async def both() -> list[str]:
        return list(await asyncio.gather(build("a"), build("b")))

    assert asyncio.run(both()) == ["a", "b"]


# Origins.


def test_derived_hands_on_block_line_and_phase() -> None:
    with scope("layer"):
        origin = leaf().node.origin
    with scope("elsewhere"), derived(origin._replace(phase="backward")):
        made = leaf()
    assert made.node.origin == Origin("layer", origin.source, "backward")
    assert (made.node.scope, made.node.source, made.node.phase) == made.node.origin
    assert leaf().node.phase == "forward"


def test_the_inner_derived_counts_and_ends_with_its_block() -> None:
    with derived(Origin("a")):
        with derived(Origin("b")):
            assert leaf().node.scope == "b"
        assert leaf().node.scope == "a"
    assert leaf().node.scope == ""


def test_a_node_that_replaces_several_has_the_lines_of_all() -> None:
    with scope("first"):
        a = gw.input("a", ())
    b = gw.input("b", ())
    merged = a.node.origin | b.node.origin
    assert merged.scope == "first"
    assert merged.source.lines == a.node.source.lines + b.node.source.lines
    assert merged | b.node.origin == merged


# Sources.


def test_the_source_is_the_users_line() -> None:
    x = leaf()
    y = x * 2
    assert line_of(y) == "y = x * 2"
    assert line_of(y.node.inputs[1]) == "y = x * 2"
    (line,) = y.node.source.lines
    assert line.file == __file__
    assert line.code.co_name == "test_the_source_is_the_users_line"


@pytest.mark.parametrize(
    "build",
    [
        lambda x: x.mean(),
        lambda x: gw.ops.softmax(x),
        lambda x: gw.ops.where(x > 0, x, 0.0),
        lambda x: x[1:],
        lambda x: gw.nn.Dense(4)(gw.ops.expand_dims(x.reshape(-1, 1), 0)),
    ],
)
def test_the_source_is_the_users_line_through_every_helper(
    build: Callable[[Tensor], Tensor],
) -> None:
    made = build(gw.input("x", (3,)))
    for node in gw.Graph([n.outputs[0] for n in _leaves(made)], [made]).nodes:
        assert {line.file for line in node.source.lines} == {__file__}


def _leaves(tensor: Tensor) -> Iterator[Node]:
    from graphwright.graph.graph import ancestors

    for node in ancestors([tensor]):
        if node.op.name == "input":
            yield node


def test_the_source_is_the_innermost_of_the_users_frames() -> None:
    def helper(x: Tensor) -> Tensor:
        return x + 1

    made = functools.reduce(lambda x, _: helper(x), range(3), leaf())
    assert line_of(made) == "return x + 1"


def test_the_line_of_a_statement_over_several_lines_is_where_the_call_stands() -> None:
    x = leaf()
    made = (
        x
        + 1
    )  # fmt: skip
    assert line_of(made) in ("x", "+ 1")


def test_a_source_prints_short_and_long() -> None:
    x = leaf()
    made = x + 1
    number = made.node.source.lines[0].number
    assert str(made.node.source) == f"test_node.py:{number}"
    assert made.node.source.describe() == (
        f"test_node.py:{number} in test_a_source_prints_short_and_long: made = x + 1"
    )
    earlier = x.node.source.lines[0].number
    # Lines of one file are sorted behind its name, whatever the order they came in.
    assert str(made.node.source | x.node.source) == f"test_node.py:{earlier}, {number}"


def test_nowhere_prints_as_nothing() -> None:
    assert str(NOWHERE) == ""
    assert NOWHERE.describe() == "an unknown line"


def test_sources_join_without_repeats_and_in_order() -> None:
    a = gw.input("a", ()).node.source
    b = gw.input("b", ()).node.source
    assert (a | b).lines == a.lines + b.lines
    assert a | NOWHERE is a
    assert NOWHERE | b is b
    assert (a | b) | a == a | b
    assert (a | b) | b == a | b
    assert a | a is a


def test_a_line_whose_file_is_gone_still_has_a_number() -> None:
    names: dict[str, object] = {"here": here}
    exec(compile("\n\nplace = here()", "gone.py", "exec"), names)
    source = names["place"]
    assert isinstance(source, Source)
    assert source.describe() == "gone.py:3"


def test_a_code_object_without_that_instruction_gives_its_first_line() -> None:
    code = compile("pass", "some.py", "exec")
    assert Line(code, 10_000).number == code.co_firstlineno
