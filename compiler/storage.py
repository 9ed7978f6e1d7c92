"""How much memory an order of operations needs, by what the memory plan will do with it.

Counted are the bytes of values from the step that computes them to the last that reads them, and
the most that is live at one step. As in the plan: a fused node is the steps of its body; a view
costs nothing and keeps what it views; an elementwise step writes over an input of its output's
type that nobody reads later; inputs, parameters, constants and results lie elsewhere, and so does
what a result is written over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from graphwright.compiler.arrangement import arrangement
from graphwright.graph.dim import Sizes, evaluate
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Constant
from graphwright.graph.node import Node
from graphwright.graph.placement import Placement, dense_placement
from graphwright.graph.tensor import Tensor


class Step(NamedTuple):
    """One kernel call. Memory goes by numbers; what lies elsewhere has none.

    over: what it may write over if that is its last use, and with what
    """

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    over: tuple[tuple[int, int], ...]


class _Value(NamedTuple):
    """Where a tensor lies: the number of its memory (None: elsewhere), and where in it."""

    memory: int | None
    place: Placement


def _elsewhere(tensor: Tensor) -> _Value:
    return _Value(None, dense_placement(tensor.shape))


class Storage:
    """The memory that the values of a graph take, for concrete sizes.

    nbytes:  for each memory, its bytes; 0 for a result's
    steps:   for each operation, the kernel calls that it is
    reads:   for each operation, the memory that it reads of what others made
    writes:  for each operation, the memory that it makes for others
    readers: for each memory, the operations that read it, but the one that makes it
    """

    def __init__(self, graph: Graph, sizes: Sizes) -> None:
        self.graph = graph
        self.sizes = sizes
        self.nbytes: list[int] = []
        self.readers: list[list[Node]] = []
        self.results: set[int] = set()
        self.steps: dict[Node, list[Step]] = {}
        self.reads: dict[Node, list[int]] = {}
        self.writes: dict[Node, list[int]] = {}
        self._values: dict[Tensor, _Value] = {}
        self._arrangement = arrangement(graph)
        handed_out = set(graph.results)
        for node in graph.operations:
            self._add(node, handed_out)

    def _add(self, node: Node, handed_out: set[Tensor]) -> None:
        first = len(self.nbytes)
        body = node.op.plan_body
        if body is None:
            steps = self._step(node, handed_out)
        else:
            for inner, outer in zip(body.inputs, node.inputs, strict=True):
                self._values[inner] = self._values.get(outer, _elsewhere(outer))
            pairs = list(zip(body.outputs, node.outputs, strict=True))
            given = {inner for inner, outer in pairs if outer in handed_out}
            steps = [step for n in body.operations for step in self._step(n, given)]
            self._values.update((outer, self._values[inner]) for inner, outer in pairs)
        self.steps[node] = steps
        read = dict.fromkeys(memory for step in steps for memory in step.reads if memory < first)
        self.reads[node] = list(read)
        for memory in read:
            self.readers[memory].append(node)
        made = dict.fromkeys(self._values[tensor].memory for tensor in node.outputs)
        self.writes[node] = [memory for memory in made if memory is not None and memory >= first]

    def _step(self, node: Node, handed_out: set[Tensor]) -> list[Step]:
        """The step of an operation that is not fused; none for views and constants."""
        values = [self._values.get(tensor, _elsewhere(tensor)) for tensor in node.inputs]
        if isinstance(node.op, Constant):
            self._values[node.outputs[0]] = _elsewhere(node.outputs[0])
            return []
        reads = tuple(dict.fromkeys(v.memory for v in values if v.memory is not None))
        if node.op.view and node.outputs[0] not in handed_out:
            types = node.inputs[0].type, node.outputs[0].type
            place = node.op.placed(values[0].place, *types)
            if place is not None:
                self._values[node.outputs[0]] = _Value(values[0].memory, place)
                return [Step(reads, (), ())]
        over: list[tuple[int, int]] = []
        for output, made in enumerate(node.outputs):
            for number in node.op.overwrites(output, len(node.inputs)):
                tensor, value = node.inputs[number], values[number]
                fits = value.place.dense(tensor.shape) and tensor.type == made.type
                others = (v for t, v in zip(node.inputs, values, strict=True) if t is not tensor)
                alone = all(other.memory != value.memory for other in others)
                if fits and alone and value.memory is not None:
                    over.append((value.memory, output))
        writes = tuple(self._memory(tensor, tensor in handed_out) for tensor in node.outputs)
        return [Step(reads, writes, tuple((memory, writes[i]) for memory, i in over))]

    def _memory(self, tensor: Tensor, result: bool) -> int:
        number = len(self.nbytes)
        place = self._arrangement.get(tensor) or dense_placement(tensor.shape)
        self._values[tensor] = _Value(number, place)
        # A size such as n - 100 may be negative at the typical size.
        self.nbytes.append(0 if result else max(0, evaluate(tensor.type.nbytes, self.sizes)))
        self.readers.append([])
        if result:
            self.results.add(number)
        return number

    def peak(self, order: Iterable[Node]) -> int:
        """The most bytes live at once when the operations run in this order."""
        return self._peak([step for node in order for step in self.steps[node]])

    def running(self, node: Node) -> int:
        """The most bytes live at once while one operation runs, without what others made."""
        own = {memory for memory in self.reads[node] if self.readers[memory] == [node]}
        return self._peak(self.steps[node], kept=self.writes[node], free=own)

    def _peak(
        self, steps: Sequence[Step], kept: Collection[int] = (), free: Collection[int] = ()
    ) -> int:
        """kept: the memory needed after the steps; free: that of others, which may be reused."""
        made = {memory for step in steps for memory in step.writes}
        last = {memory: i for i, step in enumerate(steps) for memory in step.reads + step.writes}
        heir: dict[int, int] = {}  # the memory whose value is written over another's
        for i, step in enumerate(steps):
            heirs: set[int] = set()
            for memory, out in step.over:
                usable = memory in free or (memory in made and memory not in self.results)
                usable = usable and memory not in heir and out not in heirs
                if usable and last[memory] == i and memory not in kept:
                    heir[memory] = out
                    heirs.add(out)
        # What is written over others' memory, or is written over by a result, takes none.
        elsewhere = set(self.results)
        for memory, out in heir.items():
            if memory in free or memory in elsewhere:
                elsewhere.add(out)
        for memory in reversed(heir):
            if heir[memory] in elsewhere:
                elsewhere.add(memory)
        taken = elsewhere.union(heir.values())
        live = most = 0
        for i, step in enumerate(steps):
            live += sum(self.nbytes[memory] for memory in step.writes if memory not in taken)
            most = max(most, live)
            for memory in dict.fromkeys(step.reads + step.writes):
                counted = memory in made and memory not in elsewhere
                if counted and last[memory] == i and memory not in kept and memory not in heir:
                    live -= self.nbytes[memory]
        return most
