"""A graph laid open: the nodes within fused groups beside the others, and the phase of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.text import tensor_names
from graphwright.viz.view import Phase


class Value(NamedTuple):
    """Output `output` of step `step`."""

    step: int
    output: int


@dataclass(frozen=True, slots=True)
class Group:
    """A fused node, whose inner graph is laid open; `parent` is the group around it, if any."""

    node: Node
    parent: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One node that is not a group, with where its inputs come from.

    names: how the printed language calls the outputs; `%5.2` is the value `%2` in the group `%5`
    group: the group that it is part of, a position in `Flow.groups`
    """

    node: Node
    inputs: tuple[Value, ...]
    names: tuple[str, ...]
    group: int | None


@dataclass(frozen=True)
class Flow:
    """Steps, each after those it needs, and where the results come from.

    The graph's inputs come first; the parameters that it only writes come last.
    """

    steps: tuple[Step, ...]
    groups: tuple[Group, ...]
    outputs: tuple[Value, ...]
    updates: tuple[tuple[Value, Value], ...]
    """(parameter, next value)."""


def lay_open(graph: Graph) -> Flow:
    """The flow of `graph`."""
    names = tensor_names(graph)
    steps = [Step(tensor.node, (), (names[tensor],), None) for tensor in graph.inputs]
    values = {tensor: Value(i, 0) for i, tensor in enumerate(graph.inputs)}
    groups: list[Group] = []
    _append(graph, values, names, None, steps, groups)
    for parameter in graph.parameters:
        if parameter not in values:
            values[parameter] = Value(len(steps), 0)
            steps.append(Step(parameter.node, (), (names[parameter],), None))
    return Flow(
        tuple(steps),
        tuple(groups),
        tuple(values[tensor] for tensor in graph.outputs),
        tuple((values[p], values[tensor]) for p, tensor in graph.updates.items()),
    )


def _append(
    graph: Graph,
    values: dict[Tensor, Value],
    names: dict[Tensor, str],
    group: int | None,
    steps: list[Step],
    groups: list[Group],
) -> None:
    """Append the steps of `graph`, and enter its tensors in `values`."""
    for node in graph.nodes:
        inner = node.op.body
        if inner is None:
            inputs = tuple(values[tensor] for tensor in node.inputs)
            for output, tensor in enumerate(node.outputs):
                values[tensor] = Value(len(steps), output)
            steps.append(Step(node, inputs, tuple(names[tensor] for tensor in node.outputs), group))
            continue
        inside = {own: values[given] for own, given in zip(inner.inputs, node.inputs, strict=True)}
        groups.append(Group(node, group))
        # Groups hold groups only a few deep, however large the graph is.
        _append(inner, inside, _inner_names(node, inner, names), len(groups) - 1, steps, groups)
        for tensor, result in zip(node.outputs, inner.results, strict=True):
            values[tensor] = inside[result]


def _inner_names(node: Node, inner: Graph, names: dict[Tensor, str]) -> dict[Tensor, str]:
    prefix = names[node.outputs[0]]
    within = {
        tensor: f"{prefix}.{name.removeprefix('%')}" for tensor, name in tensor_names(inner).items()
    }
    results = zip(inner.results, node.outputs, strict=True)
    return within | {result: names[tensor] for result, tensor in results}


def phases(flow: Flow) -> tuple[Phase, ...]:
    """The phase of each step.

    A step belongs to the update when only updates need it and differentiation did not make it, nor
    needs it. The steps of a group share in this analysis one by one.
    """
    backward = [step.node.phase == "backward" for step in flow.steps]
    shared = _needed(flow.steps, [value.step for value in flow.outputs])
    shared |= _needed(flow.steps, [i for i, made in enumerate(backward) if made])
    return tuple(
        "backward" if made else "forward" if i in shared else "update"
        for i, made in enumerate(backward)
    )


def _needed(steps: Sequence[Step], roots: Iterable[int]) -> set[int]:
    """The steps that `roots` need, themselves included."""
    found = set(roots)
    for i in range(len(steps) - 1, -1, -1):
        if i in found:
            found.update(value.step for value in steps[i].inputs)
    return found
