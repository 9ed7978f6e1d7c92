"""Give every value a place in memory: reuse, in-place results and views.

before: a schedule, whose fused nodes hold several operations::

    graph(x: f32[batch,784]) {
      parameter w: f32[784,10]
      parameter b: f32[10]
      %0: f32[batch,10] = matmul(x, w)
      %1: f32[batch] = fused(%0, b, kind="rows", graph=graph(x0: f32[batch,10], x1: f32[10]) {
        %0: f32[batch,10] = add(x0, x1)
        %1: f32[batch,10] = tanh(%0)
        %2: f32[batch] = sum(%1, axes=(1,), keepdims=False)
        return %2
      })
      return %1
    }

after: a plan, each of whose steps writes to a numbered buffer::

    plan {
         0  arena 0       %0: f32[batch,10] = matmul(x, w)
         1  arena 0       _4: f32[batch,10] = add(%0, b)
         2  arena 0       _5: f32[batch,10] = tanh(_4)
         3  result 0      %1: f32[batch] = sum(_5, axes=(1,), keepdims=False)
    }

Views (reshape, transpose, slice …) share the buffer of what they view. An elementwise step writes
over an input of the same type that nobody reads later. The next value of a parameter is written
over the present one, if nobody reads that later. What is handed out gets fresh memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from graphwright.compiler.arrangement import arrangement
from graphwright.compiler.log import Log
from graphwright.compiler.plan import Buffer, BufferKind, Plan, Step, Value
from graphwright.compiler.schedule import Schedule
from graphwright.graph.array import FrozenArray
from graphwright.graph.dim import Size
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Constant
from graphwright.graph.node import Node
from graphwright.graph.placement import Placement, dense_placement
from graphwright.graph.tensor import Tensor
from graphwright.graph.text import tensor_names
from graphwright.graph.types import TensorType


def plan_memory(schedule: Schedule, log: Log) -> Plan:
    """The plan of a schedule; `log` says which steps are views and which work in place."""
    work = _Planner(schedule.graph, log)
    for node in schedule.order:
        work.list_steps(node)
    return work.plan()


@dataclass
class _Value:
    """A value while planning."""

    type: TensorType
    name: str
    kind: BufferKind
    place: Placement
    last: int = -1
    """The last step that reads it."""
    buffer: int = -1

    @property
    def dense(self) -> bool:
        return self.place.dense(self.type.shape)


@dataclass
class _Buffer:
    """A buffer while planning; `last` covers all the values that share it so far."""

    kind: BufferKind
    nbytes: Size
    first: int
    last: int


class _Planner:
    """Two sweeps: `list_steps` numbers the steps and values, `plan` gives out buffers."""

    def __init__(self, graph: Graph, log: Log) -> None:
        self.graph = graph
        self.log = log
        self.names = tensor_names(graph)
        self.steps: list[Step] = []
        self.values: list[_Value] = []
        self.buffers: list[_Buffer] = []
        self.numbers: dict[Tensor, int] = {}
        self.constants: list[tuple[int, FrozenArray]] = []
        self.replaces: dict[int, int] = {}
        self.arrangement = arrangement(graph)
        self.inputs = tuple(self.define(tensor, "input") for tensor in graph.inputs)
        self.parameters = tuple(self.define(tensor, "parameter") for tensor in graph.parameters)

    def define(self, tensor: Tensor, kind: BufferKind) -> int:
        place = self.arrangement.get(tensor) or dense_placement(tensor.shape)
        self.values.append(_Value(tensor.type, self.names.get(tensor, ""), kind, place))
        self.numbers[tensor] = len(self.values) - 1
        return self.numbers[tensor]

    def list_steps(self, node: Node) -> None:
        """Add the steps of a scheduled node: a fused one becomes the steps of its body."""
        body = node.op.plan_body
        if body is None:
            self.list_step(node, node)
            return
        for inner, outer in zip(body.inputs, node.inputs, strict=True):
            self.numbers[inner] = self.numbers[outer]
        for inner_node in body.operations:
            self.list_step(inner_node, node)
        for inner, outer in zip(body.outputs, node.outputs, strict=True):
            self.numbers[outer] = self.numbers[inner]
            self.values[self.numbers[inner]].name = self.names[outer]

    def list_step(self, node: Node, owner: Node) -> None:
        if isinstance(node.op, Constant):
            self.constants.append((self.define(node.outputs[0], "constant"), node.op.value))
            return
        inputs = tuple(self.numbers[tensor] for tensor in node.inputs)
        for number in inputs:
            self.values[number].last = len(self.steps)
        outputs = tuple(self.define(tensor, "arena") for tensor in node.outputs)
        self.steps.append(Step(node.op, inputs, outputs, owner))

    def plan(self) -> Plan:
        results = tuple(self.numbers[tensor] for tensor in self.graph.results)
        for number in results:
            if self.values[number].kind == "arena":
                self.values[number].kind = "result"
            else:
                self.values[number].last = len(self.steps)  # read when all steps are done
        self.find_successors(results)
        for value in self.values:
            if value.kind not in ("arena", "result"):
                self.allocate(value, -1)
        steps = tuple(self.place(position, step) for position, step in enumerate(self.steps))
        computed = [n for step in steps if not step.view for n in step.outputs]
        return Plan(
            graph=self.graph,
            steps=steps,
            values=tuple(Value(v.type, v.buffer, v.name, v.place) for v in self.values),
            buffers=tuple(Buffer(b.kind, b.nbytes, b.first, b.last) for b in self.buffers),
            inputs=self.inputs,
            parameters=self.parameters,
            constants=tuple(self.constants),
            results=results,
            unshared=tuple(self.values[number].type.nbytes for number in computed),
        )

    def find_successors(self, results: tuple[int, ...]) -> None:
        """For each parameter, the value that replaces it and is nothing else besides."""
        updates = zip(self.graph.updates, results[len(self.graph.outputs) :], strict=True)
        times = Counter(results)
        for parameter, number in updates:
            if times[number] == 1 and self.values[number].kind == "result":
                self.replaces[number] = self.numbers[parameter]

    def place(self, position: int, step: Step) -> Step:
        """Give the outputs of a step their buffers; the step, marked if it is a view."""
        output = self.values[step.outputs[0]]
        place = self.view_place(step, output)
        if place is not None:
            self.share(output, self.values[step.inputs[0]].buffer)
            output.place = place
            return replace(step, view=True)
        taken: set[int] = set()
        for nth, number in enumerate(step.outputs):
            over = self.overwritten(position, step, nth, taken)
            if over is None:
                self.allocate(self.values[number], position)
                continue
            taken.add(over.buffer)
            self.share(self.values[number], over.buffer)
            buffer = self.buffers[over.buffer]
            buffer.kind = self.values[number].kind if buffer.kind == "arena" else buffer.kind
        return step

    def view_place(self, step: Step, output: _Value) -> Placement | None:
        """Where the output lies in the memory of the first input, if it is a view of that."""
        if not step.op.view:
            return None
        if output.kind == "result":
            self.log.declined("view", "copied: its value is handed out", [step.node])
            return None
        base = self.values[step.inputs[0]]
        place = step.op.placed(base.place, base.type, output.type)
        if place is None:
            self.log.declined("view", "copied: its input is not contiguous", [step.node])
            return None
        applied = self.log.applied("view", f"{step.op.name} copies nothing", [step.node])
        return place if applied else None

    def overwritten(
        self, position: int, step: Step, output: int, taken: Collection[int]
    ) -> _Value | None:
        """The value that a step may write an output over, if there is one.

        taken: buffers that other outputs of the step are written to
        """
        made = self.values[step.outputs[output]]
        replaced = self.replaces.get(step.outputs[output])
        inputs = dict.fromkeys(
            step.inputs[place] for place in step.op.overwrites(output, len(step.inputs))
        )
        candidates = [*inputs] if replaced is None else [replaced]
        for number in candidates:
            value = self.values[number]
            buffer = self.buffers[value.buffer]
            fits = value.dense and value.type == made.type and value.buffer not in taken
            if not fits or buffer.last > position:
                continue
            if buffer.kind != "arena" and replaced is None:
                continue
            if made.kind == "result" and buffer.nbytes != made.type.nbytes:
                continue  # a piece of something larger, which is not to be handed out
            readers = [n for n in step.inputs if self.values[n].buffer == value.buffer]
            if any(n != number or n not in inputs for n in readers):
                # Another view of the same memory would be read after it was overwritten.
                continue
            what = f"{step.op.name} writes over " + ("its input" if readers else "the old value")
            return value if self.log.applied("in_place", what, [step.node]) else None
        return None

    def allocate(self, value: _Value, position: int) -> None:
        """A buffer of its own."""
        value.buffer = len(self.buffers)
        last = max(value.last, position)
        self.buffers.append(_Buffer(value.kind, value.type.nbytes, position, last))

    def share(self, value: _Value, buffer: int) -> None:
        """The buffer of another value."""
        value.buffer = buffer
        self.buffers[buffer].last = max(self.buffers[buffer].last, value.last)
