"""From a graph to its view: which vertices, edges and nested clusters there are to draw."""

from __future__ import annotations

from collections import Counter

from graphwright.graph.graph import Graph
from graphwright.viz.boxes import Box, Boxes
from graphwright.viz.flow import Flow, Step, Value, lay_open, phases
from graphwright.viz.view import Edge, EdgeKind, GraphView, Phase, Role, Vertex, counted
from graphwright.viz.words import code_text, detail_of, places_text, role_of, title_of


def view_of(graph: Graph) -> GraphView:
    """The view of `graph`: its scopes as nested clusters; fused groups, branches and the bodies of
    loops laid open."""
    return _Builder(lay_open(graph)).view()


class _Builder:
    """Goes through the steps of a flow once, in order."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.phases = phases(flow)
        self.roles: list[Role] = [
            "port" if step.port else role_of(step.node) for step in flow.steps
        ]
        self.boxes = Boxes(flow, [role == "operation" for role in self.roles])
        self.count = 0
        self.keys: dict[int, str] = {}
        """The vertex of each step that is drawn once."""
        self.written = {parameter.step for parameter, _ in flow.updates}
        self.badges: dict[tuple[int, Box], str] = {}
        """The badges of parameters that are both read and written in the update of a box."""
        self.edges: list[Edge] = []

    def view(self) -> GraphView:
        for position, step in enumerate(self.flow.steps):
            if self.roles[position] == "input":
                self.keys[position] = self._vertex(position, self.boxes.root)
            elif self.roles[position] in ("operation", "port"):
                self._operation(position, step)
        self._outputs()
        self._updates()
        return GraphView(self.boxes.frozen(), tuple(self.edges), self._summary())

    def _operation(self, position: int, step: Step) -> None:
        box, phase = self.boxes.of(step), self.phases[position]
        tails = [self._tail(value, box, phase) for value in step.inputs]
        returned = [self._tail(value, box, phase) for value, _ in step.returns]
        self.keys[position] = head = self._vertex(position, box)
        notes = step.notes or ("",) * len(tails)
        for value, tail, note in zip(step.inputs, tails, notes, strict=True):
            self._edge(value, tail, head, phase, note=note)
        for (value, port), tail in zip(step.returns, returned, strict=True):
            self._edge(value, tail, self.keys[port.step], phase, "next")

    def _outputs(self) -> None:
        several = len(self.flow.outputs) > 1
        for i, value in enumerate(self.flow.outputs):
            phase = self._phase(value, "forward")
            tail = self._tail(value, self.boxes.root, phase)
            title = f"output {i}" if several else "output"
            names, types = (self._name(value),), (self._type(value),)
            head = self._key()
            self.boxes.root.add(Vertex(head, "output", title, "", phase, names, types))
            self._edge(value, tail, head, phase)

    def _updates(self) -> None:
        for parameter, value in self.flow.updates:
            box = self.boxes.of(self.flow.steps[value.step])
            tail = self._tail(value, box, "update")
            head = self._tail(parameter, box, "update")
            self._edge(value, tail, head, "update", "update")

    def _tail(self, value: Value, reader: Box, phase: Phase) -> str:
        """The vertex that `value` comes from for a reader in a box.

        Badges are drawn for each reader, so that no long edges cross the diagram; but what an
        update reads and writes is one badge.
        """
        if self.roles[value.step] not in ("parameter", "constant"):
            return self.keys[value.step]
        box = self.boxes.beside(self.flow.steps[value.step], reader)
        if phase != "update" or value.step not in self.written:
            return self._vertex(value.step, box, phase)
        spot = (value.step, box)
        if spot not in self.badges:
            self.badges[spot] = self._vertex(value.step, box, phase)
        return self.badges[spot]

    def _vertex(self, position: int, box: Box, phase: Phase | None = None) -> str:
        step = self.flow.steps[position]
        node, key = step.node, self._key()
        vertex = Vertex(
            key,
            self.roles[position],
            step.port or title_of(node).removeprefix("/".join((*box.path, ""))),
            detail_of(node),
            phase or self.phases[position],
            step.names,
            tuple(str(tensor.type) for tensor in node.outputs),
            node.scope,
            places_text(node.source),
            code_text(node.source),
        )
        box.add(vertex)
        return key

    def _key(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def _edge(
        self,
        value: Value,
        tail: str,
        head: str,
        reader: Phase,
        kind: EdgeKind = "data",
        note: str = "",
    ) -> None:
        phase = "update" if kind == "update" else self._phase(value, reader)
        several = len(self.flow.steps[value.step].node.outputs) > 1
        output = value.output if several else None
        name, type = self._name(value), self._type(value)
        self.edges.append(Edge(tail, head, kind, phase, type, name, output, note))

    def _phase(self, value: Value, reader: Phase) -> Phase:
        """The phase of a value is that of what computes it; of a badge, that of its reader."""
        badge = self.roles[value.step] in ("parameter", "constant")
        return reader if badge else self.phases[value.step]

    def _name(self, value: Value) -> str:
        return self.flow.steps[value.step].names[value.output]

    def _type(self, value: Value) -> str:
        return str(self.flow.steps[value.step].node.outputs[value.output].type)

    def _summary(self) -> str:
        count = Counter(self.roles)
        parts = (
            counted(count["input"], "input"),
            counted(count["parameter"], "parameter"),
            counted(count["operation"], "operation"),
            counted(sum(group.kind == "fused" for group in self.flow.groups), "fused group"),
            counted(sum(len(step.node.op.graphs) for step in self.flow.steps), "inner graph"),
            counted(len(self.flow.outputs), "output"),
        )
        return ", ".join(part for part in parts if part)
