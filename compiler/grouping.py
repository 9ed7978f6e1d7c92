"""Which operations share a loop: how `fuse` finds its groups. See there for the rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphwright.compiler.iteration import Axes, Loop, Read, look, loop_of, reads_through
from graphwright.compiler.log import Log
from graphwright.compiler.partition import Blocked, Partition
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.text import tensor_names
from graphwright.ops.shapes import shape_text

MOST_OPERATIONS = 100
"""In one group: bounds the size of a kernel and the time to compile it."""
MOST_OUTPUTS = 8
"""Values as large as the space that leave a group which could be two."""
MOST_COPIED = 8
"""Scalar operations on constants and sizes that are copied into each group that reads them."""


class Dataflow:
    """What each operation reads, looked at through broadcasts, unit reshapes and free scalars.

    units:      the operations that are none of these, in order
    number:     the place of each unit
    reads:      what a unit reads of units and leaves
    readers:    the units that read a unit, once per read
    handed_out: the units with a value that is a result of the graph, perhaps reshaped
    loops:      what each unit loops over, or why it can't share a loop
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._through = reads_through(graph.operations)
        free = self._free()
        self.units = [
            node
            for node in graph.operations
            if node.outputs[0] not in self._through and node.outputs[0] not in free
        ]
        self.number = {node: i for i, node in enumerate(self.units)}
        self.reads: dict[Node, list[Read]] = {}
        self.readers: dict[Node, list[Node]] = {node: [] for node in self.units}
        for node in self.units:
            onto = node.outputs[0].shape if node.op.elementwise else None
            reads = [look(self._through, tensor, onto) for tensor in node.inputs]
            self.reads[node] = [read for read in reads if read.tensor not in free]
            for read in self.reads[node]:
                if read.tensor.node in self.readers:
                    self.readers[read.tensor.node].append(node)
        results = [look(self._through, tensor, None).tensor for tensor in graph.results]
        self.handed_out = {tensor.node for tensor in results}
        self.loops = {node: loop_of(node) for node in self.units}

    def _free(self) -> dict[Tensor, int]:
        """Scalars that are made of constants and sizes alone, with how many operations it takes."""
        free: dict[Tensor, int] = {}
        for node in self.graph.operations:
            output = node.outputs[0]
            if len(node.outputs) != 1 or output.size != 1 or output in self._through:
                continue
            sources = [look(self._through, tensor, None).tensor for tensor in node.inputs]
            known = all(tensor in free for tensor in sources)
            if not sources:
                free[output] = 0
            elif node.op.elementwise and known:
                cost = 1 + sum(free[tensor] for tensor in sources)
                if cost <= MOST_COPIED:
                    free[output] = cost
        return free


@dataclass(eq=False)
class Group:
    """Operations that share a loop.

    loop: with the axes that its reductions fold, or will when those join that it waits for
    rows: the members whose value has the size of the rows: reductions, and those that work on rows
    """

    loop: Loop
    members: list[Node]
    rows: set[Node]

    def made_along(self, node: Node) -> Axes:
        """The axes of the space along which the value of a member lies."""
        return self.loop.rows if node in self.rows else self.loop.full

    def read_along(self, node: Node) -> Axes:
        """The axes of the space that a member loops over."""
        return self.loop.full if node.op.reduction else self.made_along(node)


class Grouping:
    """The groups of a graph. `grow` finds them; `explain` says why they are no larger."""

    def __init__(self, graph: Graph) -> None:
        self.flow = flow = Dataflow(graph)
        edges = ((flow.number[n], flow.number[r]) for n in flow.units for r in flow.readers[n])
        self.partition = Partition(len(flow.units), edges)
        self.groups: dict[int, Group] = {}
        expected = _expected_folds(flow)
        for number, node in enumerate(flow.units):
            loop = expected.get(node, flow.loops[node])
            if isinstance(loop, Loop):
                self.groups[number] = Group(loop, [node], {node} if node.op.reduction else set())
        self._reasons: dict[tuple[int, int], str | Blocked] = {}

    def grow(self) -> None:
        """Merge groups by the three rules until none applies."""
        for node in reversed(self.flow.units):
            self._into_the_readers(node)
        self._grow_on()
        for group in self.groups.values():
            if not group.rows:  # the reductions that it expected are elsewhere
                group.loop = Loop(group.loop.space, None)
        self._grow_on()

    def _grow_on(self) -> None:
        growing = True
        while growing:
            self._reasons.clear()
            growing = self._along_edges()
            growing = self._along_shared_reads() or growing

    def group_of(self, node: Node) -> int:
        return self.partition.group(self.flow.number[node])

    # The three rules.

    def _into_the_readers(self, node: Node) -> None:
        own = self.group_of(node)
        readers = {self.group_of(reader) for reader in self.flow.readers[node]}
        if own in self.groups and len(readers) == 1:
            (reader,) = readers
            if reader in self.groups:
                self._merge(own, reader)

    def _along_edges(self) -> bool:
        grown = False
        for number in reversed(self.partition.order()):
            if number not in self.groups:
                continue
            pending = self._makers(number)
            tried = set(pending)
            for maker in pending:
                merged = self._merge(maker, number, limited=True)
                if merged is not None:
                    grown, number = True, merged
                    more = [near for near in self._makers(number) if near not in tried]
                    tried.update(more)
                    pending += more
        return grown

    def _makers(self, number: int) -> list[int]:
        """The groups that make what a group reads, the latest first."""
        place = self.partition.position
        near = [g for g in self.partition.predecessors[number] if g in self.groups]
        return sorted(near, key=place, reverse=True)

    def _along_shared_reads(self) -> bool:
        grown = False
        for readers in self._shared_reads().values():
            latest: dict[Loop, int] = {}
            for original in readers:
                number = self.partition.group(original)
                loop = self.groups[number].loop
                other = self.partition.group(latest.get(loop, number))
                if other != number and self._nothing_kept(other, number):
                    merged = self._merge(other, number, limited=True)
                    grown, number = (True, merged) if merged is not None else (grown, number)
                latest[loop] = number
        return grown

    def _shared_reads(self) -> dict[Tensor, dict[int, None]]:
        """For each value, the groups that read it along all axes of their space."""
        shared: dict[Tensor, dict[int, None]] = {}
        for number in self.partition.order():
            for tensor in self._large_reads(number) if number in self.groups else ():
                shared.setdefault(tensor, {})[number] = None
        return shared

    def _large_reads(self, number: int) -> dict[Tensor, None]:
        """What a group reads from outside along all axes of its space."""
        group = self.groups[number]
        whole = group.loop.full
        reads = (
            read.tensor
            for node in group.members
            if group.read_along(node) == whole
            for read in self.flow.reads[node]
            if read.axes == whole
        )
        made = set(group.members)
        return {tensor: None for tensor in reads if tensor.node not in made}

    def _nothing_kept(self, one: int, other: int) -> bool:
        """True when merging groups that read the same keeps nothing alive that was not."""
        if self._large_outputs({one}) and self._large_outputs({other}):
            return False
        left, right = (
            {tensor for tensor in self._large_reads(number) if not tensor.leaf}
            for number in (one, other)
        )
        return left <= right or right <= left

    def _large_outputs(self, numbers: set[int]) -> int:
        """How many values as large as the space leave these groups, results aside."""
        count = 0
        for number in sorted(numbers):
            rows = self.groups[number].rows
            for node in self.groups[number].members:
                if node not in rows and node not in self.flow.handed_out:
                    readers = self.flow.readers[node]
                    count += any(self.group_of(reader) not in numbers for reader in readers)
        return count

    # Merging.

    def _merge(self, one: int, other: int, limited: bool = False) -> int | None:
        """Merge two groups if they fit; the number of the new one. Notes the reason if not."""
        early, late = sorted((one, other), key=self.partition.position)
        first, last = self.groups[early], self.groups[late]
        joined = self._joined(first, last)
        fits = isinstance(joined, Group)
        if fits and limited and self._large_outputs({one, other}) > MOST_OUTPUTS:
            joined = f"more than {MOST_OUTPUTS} large values would leave the group"
        if isinstance(joined, str):
            self._reasons[early, late] = joined
            return None
        merged = self.partition.merge(one, other)
        if isinstance(merged, Blocked):
            self._reasons[early, late] = merged
            return None
        del self.groups[early], self.groups[late]
        self.groups[merged] = joined
        return merged

    def _joined(self, first: Group, last: Group) -> Group | str:
        """The group of both, or why they can't share a loop."""
        if len(first.members) + len(last.members) > MOST_OPERATIONS:
            return f"the group would have more than {MOST_OPERATIONS} operations"
        a, b = first.loop, last.loop
        rows = first.rows | last.rows
        if a.space == b.space:
            if a.folded is not None and b.folded is not None and a.folded != b.folded:
                return f"folds axes {_folded(first)}, the group {_folded(last)}"
            loop = a if b.folded is None else b
        elif a.folded is None and last.rows and b.row_space == a.space:
            loop, rows = b, rows.union(first.members)
        elif b.folded is None and first.rows and a.row_space == b.space:
            loop, rows = a, rows.union(last.members)
        else:
            return f"loops over {shape_text(a.space)}, the group over {shape_text(b.space)}"
        joined = Group(loop, [*first.members, *last.members], rows)
        for node, read in self._reads_between(first, last):
            along = joined.read_along(node)
            if joined.made_along(read.tensor.node) != tuple(along[axis] for axis in read.axes):
                return "is read along other axes than it is made along"
        return joined

    def _reads_between(self, first: Group, last: Group) -> Iterator[tuple[Node, Read]]:
        """What members of `last` read of members of `first`."""
        makers = set(first.members)
        for node in last.members:
            for read in self.flow.reads[node]:
                if read.tensor.node in makers:
                    yield node, read

    # The why-log.

    def explain(self, log: Log) -> None:
        """Say why neighbouring groups stayed apart, once for each pair and each other operator."""
        names = tensor_names(self.flow.graph)
        for (first, last), reason in self._reasons.items():
            between = self._reads_between(self.groups[first], self.groups[last])
            reader, read = next(between, (None, None))
            if reader is None or read is None:
                continue
            if isinstance(reason, Blocked):
                reason = self._blocked_text(reason, names)
            what = f"not fused: {names[read.tensor]} {reason}"
            log.declined("fuse", what, (read.tensor.node, reader))
        for node in self.flow.units:
            loop = self.flow.loops[node]
            if isinstance(loop, str) and node.inputs:
                makers = [read.tensor.node for read in self.flow.reads[node]]
                near = [*makers, *self.flow.readers[node]]
                if any(isinstance(self.flow.loops.get(other), Loop) for other in near):
                    log.declined("fuse", f"not fused: {loop}", (node,))

    def _blocked_text(self, blocked: Blocked, names: dict[Tensor, str]) -> str:
        if blocked.through is None:
            return "has too many other operations between it and its reader to look for a cycle"
        between = self.flow.units[blocked.through]
        name = names[between.outputs[0]]
        return f"reaches its reader by way of {name} = {between.op.name}, outside the group, too"


def _expected_folds(flow: Dataflow) -> dict[Node, Loop]:
    """The elementwise operations that read what was folded along the other axes of their space.

    They belong with that reduction, as the division of a softmax does with the sum: expecting
    its axes from the start keeps a later reduction over other axes from taking them away.
    """
    expected: dict[Node, Loop] = {}
    folded_by: dict[Node, Loop] = {}  # for values the size of rows
    for node in flow.units:
        loop = flow.loops[node]
        if not isinstance(loop, Loop):
            continue
        if loop.folded is not None:
            folded_by[node] = loop
            continue
        for read in flow.reads[node]:
            source = folded_by.get(read.tensor.node)
            if source is None:
                continue
            if source.space == loop.space and source.rows == read.axes:
                expected.setdefault(node, source)
            elif source.row_space == loop.space and loop.full == read.axes:
                folded_by.setdefault(node, source)
    return expected


def _folded(group: Group) -> object:
    """The axes that a group folds, as one of its reductions names them."""
    axes = (node.op.attributes["axes"] for node in group.members if node.op.reduction)
    return next(axes, group.loop.folded)
