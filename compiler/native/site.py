"""Where values are computed: a place in a loop nest, within other places.

A site knows the index of its own loops and asks the site around it for what does not depend on
them, so that everything is computed as far out as it can be, once. Sites write code when they are
asked for a value; what was computed before is not computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from graphwright.compiler.group import Group, Ref
from graphwright.compiler.iteration import Axes
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Arguments
from graphwright.compiler.native.nest import Loop, Walk, walk
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.values import Index, Pointer, Uniform, Value
from graphwright.graph.dim import Size, product
from graphwright.graph.leaf import Constant
from graphwright.graph.tensor import Tensor
from graphwright.ops.convert import SizeValue

LONG = 256
"""Elements that make a loop worth a few instructions before it."""


class Memory:
    """The operands of a group: their pointers, and how each is walked.

    inputs:  for each input of the group's graph, its operand
    outputs: for each of the group's outputs, in order
    """

    def __init__(
        self,
        b: Builder,
        arguments: Arguments,
        group: Group,
        inputs: Mapping[Tensor, Operand],
        outputs: list[Operand],
    ) -> None:
        self.b = b
        self.arguments = arguments
        self.group = group
        self.inputs = dict(inputs)
        self.outputs = outputs
        self._mark = b.mark()
        self._pointers: dict[int, Pointer] = {}
        self._numbers: dict[Size, Index] = {}
        self._values: dict[Size, Value] = {}

    def pointer(self, operand: Operand) -> Pointer:
        """The base of an operand."""
        key = id(operand)
        if key not in self._pointers:
            with self.b.at(self._mark):
                self._pointers[key] = operand.pointer(self.arguments)
        return self._pointers[key]

    def give(self, operand: Operand, pointer: Pointer) -> None:
        """Say where an operand lies that has no slot."""
        self._pointers[id(operand)] = pointer

    def number(self, size: Size) -> Index:
        """A size, read from its slot but once."""
        if size not in self._numbers:
            with self.b.at(self._mark):
                self._numbers[size] = self.arguments.number(size)
        return self._numbers[size]

    def value(self, size: Size) -> Value:
        """A size, read from its slot but once, even when it is known.

        So groups that lie in memory alike share their code, whatever their sizes.
        """
        if size not in self._values:
            with self.b.at(self._mark):
                self._values[size] = self.arguments.value(size)
        return self._values[size]

    def input_walk(self, ref: Ref) -> Walk:
        return walk(self.inputs[ref.tensor], ref.axes)

    def output_walk(self, position: int) -> Walk:
        return walk(self.outputs[position], self.group.outputs[position].axes)

    def walks(self) -> list[Walk]:
        """Of all that is read and written."""
        return walks_of(self.group, self.inputs, self.outputs)

    def input_refs(self) -> list[Ref]:
        return reads_of(self.group, self.inputs)


def reads_of(group: Group, inputs: Mapping[Tensor, Operand]) -> list[Ref]:
    """What a group reads from memory, each way of reading it once."""
    refs = (ref for refs in group.reads.values() for ref in refs)
    return list(dict.fromkeys(ref for ref in refs if ref.tensor in inputs))


def walks_of(
    group: Group, inputs: Mapping[Tensor, Operand], outputs: Sequence[Operand]
) -> list[Walk]:
    """How a group walks its operands."""
    reads = [walk(inputs[ref.tensor], ref.axes) for ref in reads_of(group, inputs)]
    pairs = zip(outputs, group.outputs, strict=True)
    return [*reads, *(walk(operand, ref.axes) for operand, ref in pairs)]


class Site:
    """A place in the nest.

    outer:   the site around it
    indices: for each loop that is this site's own, the index: of the first lane, where lanes lie
             along it
    lanes:   how many rounds of the loop `along` are computed at once, here and further in
    mask:    which of the lanes count; None when all do
    keeps:   what is not computed further out, though nothing of it may change here: what depends
             on a row's reductions, in the row
    """

    def __init__(
        self,
        memory: Memory,
        indices: Mapping[Loop, Index],
        outer: Site | None = None,
        *,
        along: Loop | None = None,
        lanes: int = 1,
        mask: Value | None = None,
        keeps: Collection[Tensor] = (),
    ) -> None:
        self.keeps = keeps
        self.memory = memory
        self.b = memory.b
        self.indices = indices
        self.outer = outer
        if outer is not None and along is None:
            along, lanes, mask = outer.along, outer.lanes, outer.mask
        self.along: Loop | None = along
        self.lanes: int = lanes
        self.mask: Value | None = mask
        self.known: dict[Ref, Value] = {}
        """What was computed here; whoever computes it otherwise puts it here."""
        self._bases: dict[Walk, Index] = {}
        self._first = self._mark = self.b.mark()

    def move_on(self) -> None:
        """From now on write values here, after what they may need."""
        self._mark = self.b.mark()

    def value(self, ref: Ref) -> Value:
        """The value of a tensor at the indices of this site, of `lanes` lanes or of one."""
        if ref in self.known:
            return self.known[ref]
        if self.outer is not None and not self._depends(ref):
            return self.outer.value(ref)
        with self.b.at(self._mark):
            self.known[ref] = self._computed(ref)
        return self.known[ref]

    def _depends(self, ref: Ref) -> bool:
        axes = set(ref.axes)
        if ref.tensor in self.keeps:
            return True
        return any(not axes.isdisjoint(loop.axes) for loop in self.indices)

    def _computed(self, ref: Ref) -> Value:
        if ref.tensor in self.memory.inputs:
            return self._loaded(ref)
        node = ref.tensor.node
        if isinstance(node.op, Constant):
            return self.b.constant(node.op.value.array.item(), ref.tensor.dtype)
        if isinstance(node.op, SizeValue):
            size = self.b.index(self.memory.number(node.op.value))
            return self.b.convert(size, ref.tensor.dtype)
        reads = self.memory.group.reads[node]
        lanes = max((self.value(read).lanes for read in reads), default=1)
        result: Value = node.op.lower(self.b, *(self._spread(read, lanes) for read in reads))
        assert result.dtype == ref.tensor.dtype, f"{node.op.name} gives {result.dtype}"
        return result

    def _spread(self, ref: Ref, lanes: int) -> Value:
        """A value in so many lanes."""
        value = self.value(ref)
        if value.lanes == lanes:
            return value
        wide = self.b.splat(value, lanes)
        site = self
        rounds: Size = 1
        while ref not in site.known and site.outer is not None:
            rounds = rounds * product(loop.size for loop in site.indices)
            site = site.outer
        if not isinstance(rounds, int) or rounds >= LONG:
            wide.uniform = Uniform(value, site._mark)
        return wide

    def _loaded(self, ref: Ref) -> Value:
        operand = self.memory.inputs[ref.tensor]
        moves = self.memory.input_walk(ref)
        base = self.memory.pointer(operand)
        stride = self._lane_stride(moves)
        if self.along is None or stride == 0:
            return self.b.load(base, self.place(moves))
        step = self.memory.number(stride)
        return self.b.load(base, self.place(moves), self.lanes, stride=step, mask=self.mask)

    def store(self, position: int, value: Value) -> None:
        """Write one of the group's outputs at the indices of this site."""
        self.write(self.memory.outputs[position], self.memory.group.outputs[position].axes, value)

    def write(self, operand: Operand, axes: Axes, value: Value) -> None:
        """Write a value of a tensor that lies along some axes of the space."""
        moves = walk(operand, axes)
        base = self.memory.pointer(operand)
        if self.along is None or self._lane_stride(moves) == 0:
            # All lanes have one place: they are equal, or only the first counts.
            one = value if value.lanes == 1 else self.b.lanes_of(value, 0, 1)
            self.b.store(base, self.place(moves), one)
            return
        step = self.memory.number(self._lane_stride(moves))
        wide = self.b.splat(value, self.lanes)
        self.b.store(base, self.place(moves), wide, stride=step, mask=self.mask)

    def _lane_stride(self, moves: Walk) -> Size:
        return self.along.stride(moves) if self.along is not None else 0

    def place(self, moves: Walk) -> Index:
        """The index, in elements from the base of an operand, of this site's first element."""
        if moves not in self._bases:
            place: Index = self.outer.place(moves) if self.outer is not None else 0
            with self.b.at(self._first):
                for loop, index in self.indices.items():
                    stride = loop.stride(moves)
                    if stride != 0:
                        step = 1 if stride == 1 else self.memory.value(stride)
                        place = self._plus(place, self._times(index, step))
            self._bases[moves] = place
        return self._bases[moves]

    def _times(self, x: Index, y: Index) -> Index:
        return self.b.index(x) * y if isinstance(x, Value) else y * x

    def _plus(self, x: Index, y: Index) -> Index:
        if isinstance(x, int) and x == 0:
            return y
        return self.b.index(x) + y
