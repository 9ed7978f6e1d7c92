"""From Python functions to graphs that operators can hold: what they read becomes inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from graphwright.graph import tensor as language
from graphwright.graph.errors import GraphError
from graphwright.graph.graph import Graph, ancestors, copy_node
from graphwright.graph.leaf import Input
from graphwright.graph.node import Node, Origin, derived, next_serial
from graphwright.graph.structure import flatten, ordered_like, unflatten
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType

DEEPEST = 64
"""Graphs within graphs: as deep as passes can follow within Python's limit on recursion."""

_depth: ContextVar[int] = ContextVar("depth", default=0)


@dataclass(frozen=True)
class Closure:
    """A graph, and what it reads from around it.

    graph:     its inputs are the arguments, then one for each captured tensor
    captured:  the tensors from around it
    outputs:   as the function made them, to tell in errors where
    structure: how the function gave them: in tuples, lists and dicts
    """

    graph: Graph
    captured: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    structure: Any = None


def trace(
    function: Callable[..., Any],
    arguments: Any,
    types: Sequence[TensorType],
    *,
    hoist: bool,
    like: Any = None,
) -> Closure:
    """What `function` computes from arguments of these types.

    arguments: a tuple of structures, whose leaves stand for the arguments, in order
    hoist:     capture also what the function makes without using its arguments, so that a loop
               does not compute it again and again
    like:      a structure whose dicts say in which order the answer's are taken
    Captured is what was there before the function ran, constants excepted. Raises DTypeError when
    it gives what is no tensor and no array; GraphError when it is no function, or calls itself
    without end.
    """
    check_function(function)
    first = next_serial()
    with derived(Origin()):
        inputs = [Input(f"x{i}", kind)() for i, kind in enumerate(types)]
    with _one_deeper():
        answer = ordered_like(function(*unflatten(arguments, inputs)), like)
    outputs = [language.vocabulary.as_tensor(leaf) for leaf in flatten(answer)]
    closure = close(inputs, outputs, lambda node: hoist or node.serial < first)
    return replace(closure, structure=answer)


def check_function(function: object) -> None:
    """Raise GraphError for what can't be called."""
    if not callable(function):
        raise GraphError(
            f"needs a function, got {function!r}", hint="make it one: lambda: x, or lambda x: ..."
        )


@contextmanager
def _one_deeper() -> Iterator[None]:
    """Within a function that is traced. Python would give up a little later, and say less."""
    depth = _depth.get() + 1
    if depth > DEEPEST:
        raise too_deep()
    token = _depth.set(depth)
    try:
        yield
    finally:
        _depth.reset(token)


def too_deep() -> GraphError:
    """The error for graphs within graphs without end."""
    return GraphError(
        f"branches and loops lie more than {DEEPEST} deep in each other",
        hint="a function that calls itself is built without end: repeat it with gw.while_loop",
    )


def close(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    outside: Callable[[Node], bool] = lambda node: True,
) -> Closure:
    """A graph that computes `outputs` from `inputs`, with whatever else it needs as more inputs.

    outside: of the nodes that do not depend on `inputs`, those whose outputs are captured; the
             others are copied. Leaves are always captured, and what has no inputs never
    """
    given = set(inputs)
    nodes = list(ancestors(outputs, stop=given))
    dependent = set(given)
    outer: set[Tensor] = set()
    for node in nodes:
        if any(tensor in dependent for tensor in node.inputs):
            dependent.update(node.outputs)
        elif node.op.leaf or (node.inputs and outside(node)):
            outer.update(tensor for tensor in node.outputs if tensor not in given)
    new: dict[Tensor, Tensor] = {}
    captured = boundary(outputs, outer, given)
    for i, tensor in enumerate((*inputs, *captured)):
        with derived(tensor.node.origin):
            new[tensor] = Input(f"x{i}", tensor.type)()
    fresh = [new[tensor] for tensor in (*inputs, *captured)]
    for node in ancestors(outputs, stop=set(new)):
        copy_node(node, new)
    graph = Graph(fresh, [new.get(tensor, tensor) for tensor in outputs])
    return Closure(graph, tuple(captured), tuple(outputs))


def inline(graph: Graph, arguments: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of `graph` on these tensors, as nodes of the graph around it."""
    new = dict(zip(graph.inputs, arguments, strict=True))
    for node in graph.operations:
        copy_node(node, new)
    return [new.get(tensor, tensor) for tensor in graph.outputs]


def boundary(
    outputs: Sequence[Tensor],
    outer: set[Tensor],
    stop: frozenset[Tensor] | set[Tensor] = frozenset(),
) -> list[Tensor]:
    """The tensors of `outer` that `outputs` reach first, going back, in order of use.

    stop: tensors beyond which nothing is looked for
    """
    found: dict[Tensor, None] = {}
    for node in ancestors(outputs, stop=outer | stop):
        found.update(dict.fromkeys(tensor for tensor in node.inputs if tensor in outer))
    found.update(dict.fromkeys(tensor for tensor in outputs if tensor in outer))
    return list(found)
