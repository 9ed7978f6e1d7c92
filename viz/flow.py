"""A graph laid open: the nodes within fused groups, branches and loops beside the others, and the
phase of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.text import inner_names, tensor_names
from graphwright.viz.view import Phase
from graphwright.viz.wiring import Wiring, wiring_of

Kind = Literal["fused", "held"]


class Value(NamedTuple):
    """Output `output` of step `step`."""

    step: int
    output: int


@dataclass(frozen=True, slots=True)
class Group:
    """A node whose inner graphs are laid open, or one of several such graphs.

    kind:   `fused` for a fused node, `held` for a branch or a loop
    title:  what it is called, `fused rows`, `scan: step`, `then`
    parent: the group around it, if any
    """

    node: Node
    kind: Kind
    title: str
    parent: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One node that is drawn, with where its inputs come from.

    A node that holds graphs reads what these compute. What a loop hands from step to step, and
    what else a graph gets that no operand is, is a step too: a `port`.

    names:    how the printed language calls the outputs; `%5.2` is the value `%2` in the group `%5`
    group:    the group that it is part of, a position in `Flow.groups`
    backward: differentiation made it, or the loop that it is part of
    port:     `carried`, `slice` or `received`; empty for an ordinary node
    notes:    what each input is to the node, where there is something to say
    returns:  of a loop, (the next value, the port) of each value that is carried
    """

    node: Node
    inputs: tuple[Value, ...]
    names: tuple[str, ...]
    group: int | None
    backward: bool = False
    port: str = ""
    notes: tuple[str, ...] = ()
    returns: tuple[tuple[Value, Value], ...] = ()


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
    opening = _Opening()
    values = {
        tensor: opening.add(Step(tensor.node, (), (names[tensor],), None))
        for tensor in graph.inputs
    }
    opening.graph(graph, values, _Place(names))
    for parameter in graph.parameters:
        if parameter not in values:
            values[parameter] = opening.add(Step(parameter.node, (), (names[parameter],), None))
    return Flow(
        tuple(opening.steps),
        tuple(opening.groups),
        tuple(values[tensor] for tensor in graph.outputs),
        tuple((values[p], values[tensor]) for p, tensor in graph.updates.items()),
    )


class _Place(NamedTuple):
    """Where the nodes of a graph are: how its tensors are called, the group, and whether
    differentiation made what is around them."""

    names: Mapping[Tensor, str]
    group: int | None = None
    backward: bool = False


class _Opening:
    """Steps and groups while they are being found. Graphs hold graphs only a few deep, however
    large they are."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.groups: list[Group] = []

    def add(self, step: Step) -> Value:
        """Append a step; its first output."""
        self.steps.append(step)
        return Value(len(self.steps) - 1, 0)

    def graph(self, graph: Graph, values: dict[Tensor, Value], place: _Place) -> None:
        """Append the steps of `graph`, and enter its tensors in `values`."""
        for node in graph.nodes:
            here = place._replace(backward=place.backward or node.phase == "backward")
            if node.op.body is not None:
                self._fused(node, node.op.body, values, here)
                continue
            if node.op.graphs:
                step = self._held(node, values, here)
            else:
                inputs = tuple(values[tensor] for tensor in node.inputs)
                names = tuple(here.names[tensor] for tensor in node.outputs)
                step = Step(node, inputs, names, here.group, here.backward)
            first = self.add(step)
            for output, tensor in enumerate(node.outputs):
                values[tensor] = Value(first.step, output)

    def _fused(self, node: Node, inner: Graph, values: dict[Tensor, Value], place: _Place) -> None:
        """What a fused node computes is what its operations compute: nothing stands for it."""
        kind = node.op.attributes.get("kind")
        group = self._group(node, "fused", f"fused {kind}" if kind else "fused", place)
        inside = {own: values[given] for own, given in zip(inner.inputs, node.inputs, strict=True)}
        names = inner_names(node, inner, place.names)
        for tensor, result in zip(node.outputs, inner.results, strict=True):
            names[result] = place.names[tensor]
        self.graph(inner, inside, place._replace(names=names, group=group))
        for tensor, result in zip(node.outputs, inner.results, strict=True):
            values[tensor] = inside[result]

    def _held(self, node: Node, values: Mapping[Tensor, Value], place: _Place) -> Step:
        """The graphs of a node, then the node itself, which reads what they compute."""
        wiring, graphs = wiring_of(node), node.op.graphs
        several = len(graphs) > 1
        title = "" if several else next(iter(graphs)).replace("graph", "")
        around = self._group(node, "held", ": ".join(filter(None, (node.op.name, title))), place)
        given = [values[tensor] for tensor in node.inputs]
        ports: dict[int, Value] = {}
        written = [(value, "condition") for value in given[: wiring.first]]
        returns: list[tuple[Value, Value]] = []
        for part, inner in graphs.items():
            outside = place._replace(names=inner_names(node, inner, place.names), group=around)
            own = self._inputs(inner, wiring, given[wiring.first :], ports, outside)
            inside = outside
            if several:
                names = inner_names(node, inner, place.names, part)
                inside = _Place(names, self._group(node, "held", part, outside), place.backward)
            self.graph(inner, own, inside)
            results = [own[tensor] for tensor in inner.outputs]
            count = wiring.carried if part == wiring.step else 0
            returns += [(results[i], ports[i]) for i in range(count)]
            note = "written" if part == wiring.step else part if several else ""
            written += [(value, note) for value in results[count:]]
        read = [*((ports[i], "") for i in range(wiring.carried)), *written]
        return Step(
            node,
            tuple(value for value, _ in read),
            tuple(place.names[tensor] for tensor in node.outputs),
            around,
            place.backward,
            notes=tuple(note for _, note in read),
            returns=tuple(returns),
        )

    def _inputs(
        self,
        graph: Graph,
        wiring: Wiring,
        given: Sequence[Value],
        ports: dict[int, Value],
        place: _Place,
    ) -> dict[Tensor, Value]:
        """Where the inputs of a graph come from: operands, or ports, which graphs share."""
        values: dict[Tensor, Value] = {}
        for i, tensor in enumerate(graph.inputs):
            source = given[i : i + 1]
            port = wiring.port(i) if source else "received"
            if port and i not in ports:
                names = (place.names[tensor],)
                step = Step(tensor.node, tuple(source), names, place.group, place.backward, port)
                ports[i] = self.add(step)
            values[tensor] = ports[i] if port else source[0]
        return values

    def _group(self, node: Node, kind: Kind, title: str, place: _Place) -> int:
        self.groups.append(Group(node, kind, title, place.group))
        return len(self.groups) - 1


def phases(flow: Flow) -> tuple[Phase, ...]:
    """The phase of each step.

    A step belongs to the update when only updates need it and differentiation did not make it, nor
    needs it. The steps of a group share in this analysis one by one.
    """
    backward = [step.backward for step in flow.steps]
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
            found.update(following.step for following, _ in steps[i].returns)
    return found
