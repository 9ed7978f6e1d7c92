"""A loop of a known number of steps, which carries state and reads and writes sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.batch import batch_size, repeated
from graphwright.graph.closure import Closure, inline, trace
from graphwright.graph.dim import Size, dim
from graphwright.graph.errors import AttributeValueError, GraphError, ShapeError
from graphwright.graph.graph import Graph
from graphwright.graph.operator import Pruned, one_or_several, register
from graphwright.graph.structure import flatten, unflatten
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import add, multiply, square
from graphwright.ops.case import Case, Reject, f64
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.higher_order import (
    HigherOrder,
    batched_graph,
    carried_along,
    check_inputs,
    check_state,
    example_graph,
    or_zeros,
    pushed_graph,
    rearranged,
    settled,
    settled_start,
    types_of,
    with_directions,
)
from graphwright.ops.movement import moveaxis
from graphwright.ops.scan_gradient import gradients
from graphwright.ops.shapes import as_size

_STEP = example_graph(
    [f64[3], f64[3], f64[3]], lambda h, x, w: (add(multiply(h, w), square(x)), multiply(h, x))
)
_POWERS = example_graph([f64[2], f64[2]], lambda h, w: (multiply(h, w),))
_SQUARES = example_graph([f64[2]], lambda x: (square(x), x))


@register
class Scan(HigherOrder):
    """Runs the graph `step` once for each place along the first axis of its sequences.

    step:    takes what is carried, one slice of each sequence, and operands that stay the same;
             gives what is carried on, and one slice of each sequence that it writes
    carried: how many values are carried; the first inputs and outputs of `step`
    slices:  how many sequences are read; they follow what is carried
    length:  the number of steps, the size of the first axis of all sequences
    reverse: the last place comes first

    The outputs are what is carried after the last step, then the sequences written. The gradient
    is a scan from the other end, over what the steps computed (Werbos, "Backpropagation through
    time: what it does and how to do it", Proc. IEEE 78, 1990).
    """

    name = "scan"

    step: Graph
    carried: int
    slices: int
    length: Size
    reverse: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        inputs, outputs = self.step.inputs, self.step.outputs
        if min(self.carried, self.slices) < 0 or self.carried + self.slices > len(inputs):
            raise AttributeValueError(
                f"scan: step has {len(inputs)} inputs, not {self.carried} that are carried "
                f"and {self.slices} slices"
            )
        before, after = types_of(inputs[: self.carried]), types_of(outputs[: self.carried])
        if before != after:
            raise AttributeValueError(f"scan: step makes {after} of {before}, which is carried")
        if isinstance(self.length, int) and self.length < 0:
            raise AttributeValueError(f"scan: the length is {self.length}: it can't be negative")

    def split(self, items: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """What belongs to what is carried, to the sequences, and to the operands."""
        first, second = self.carried, self.carried + self.slices
        return list(items[:first]), list(items[first:second]), list(items[second:])

    def infer(self, *x: TensorType) -> tuple[TensorType, ...] | TensorType:
        state, sequences, operands = self.split(x)
        for i, kind in enumerate(sequences):
            if not kind.rank or kind.shape[0] != self.length:
                raise ShapeError(
                    f"sequence {i} is {kind}: its first axis must have the size {self.length}"
                )
        slices = [kind.with_shape(kind.shape[1:]) for kind in sequences]
        check_inputs("step", [*state, *slices, *operands], self.step)
        kinds = types_of(self.step.outputs)
        written = [kind.with_shape((self.length, *kind.shape)) for kind in kinds[self.carried :]]
        return one_or_several([*kinds[: self.carried], *written])

    def kernel(self, *x: NDArray[Any]) -> Any:
        state, sequences, operands = self.split(x)
        kinds = types_of(self.step.outputs[self.carried :])
        length: Any = self.length
        written = [np.empty((length, *kind.bind({}).shape), kind.dtype) for kind in kinds]
        run = self.prepared["step"]
        for i in reversed(range(length)) if self.reverse else range(length):
            results = run([*state, *(s[i] for s in sequences), *operands])
            state = list(results[: self.carried])
            for sequence, array in zip(written, results[self.carried :], strict=True):
                sequence[i] = array
        return one_or_several([*state, *written])

    def flops(self, *x: TensorType) -> Size:
        return self.length * self.step.flops

    def gradient(self, *x: Any) -> tuple[Tensor | None, ...]:
        count = len(self.step.inputs)
        return tuple(gradients(self, x[:count], x[count + len(self.step.outputs) :]))

    def tangent(
        self,
        tangents: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> list[Tensor | None]:
        """A scan that carries the tangents of what is carried along with it."""
        flags = [tangent is not None for tangent in tangents]
        step, have = settled(pushed_graph, self.step, flags, self.carried)
        start = zip(inputs, tangents, flags, strict=True)
        given = [*inputs, *(or_zeros(t, x) for x, t, moves in start if moves)]
        state, slices, operands = with_directions(self.split(range(len(inputs))), flags)
        halves = [range(self.carried), range(self.carried, len(outputs))]
        carried, written = with_directions(halves, have)
        order = [*state, *slices, *operands]
        scan = replace(
            self,
            step=rearranged(step, order, [*carried, *written]),
            carried=len(state),
            slices=len(slices),
        )
        answers = scan.apply(*(given[i] for i in order))
        by_place = dict(zip([*carried, *written], answers, strict=True))
        directions = iter(range(len(outputs), len(by_place)))
        return [by_place[next(directions)] if moves else None for moves in have]

    def batch(self, mapped: Sequence[bool], *x: Tensor) -> tuple[Tensor, ...]:
        size = batch_size(mapped, x)
        flags = list(mapped)
        step, have = settled(partial(batched_graph, size=size), self.step, flags, self.carried)
        state, sequences, operands = self.split(x)
        many, in_sequence, _ = self.split(flags)
        state = [
            repeated(value, size) if has_axis and not given else value
            for value, has_axis, given in zip(state, many, mapped, strict=False)
        ]
        sequences = [
            moveaxis(value, 0, 1) if has_axis else value
            for value, has_axis in zip(sequences, in_sequence, strict=True)
        ]
        outputs = replace(self, step=step).apply(*state, *sequences, *operands)
        return tuple(
            repeated(value, size)
            if not has_axis
            else value
            if i < self.carried
            else moveaxis(value, 1, 0)
            for i, (value, has_axis) in enumerate(zip(outputs, have, strict=True))
        )

    def pruned(self, used: Sequence[bool]) -> Pruned | None:
        wanted = [i for i, is_used in enumerate(used) if is_used]
        needed, inputs = carried_along(self.step, self.carried, wanted)
        kept = sorted(inputs | {i for i in needed if i < self.carried})
        if len(kept) == len(self.step.inputs) and len(needed) == len(self.step.outputs):
            return None
        state, slices, _ = self.split([i in kept for i in range(len(self.step.inputs))])
        outputs = sorted(needed)
        step = rearranged(self.step, kept, outputs)
        op = replace(self, step=step, carried=sum(state), slices=sum(slices))
        return Pruned(op, kept, outputs)

    @property
    def join_key(self) -> Any:
        """Scans whose state evolves alike, and that read the same, are one that writes more."""
        state = Graph(self.step.inputs, self.step.outputs[: self.carried])
        return self.name, state, self.carried, self.slices, self.length, self.reverse

    def joined(self, others: Sequence[Scan]) -> tuple[Scan, list[list[int]]]:
        outputs = list(self.step.outputs)
        places = [list(range(len(outputs)))]
        for other in others:
            place = {tensor: i for i, tensor in enumerate(outputs) if i >= self.carried}
            written = inline(other.step, self.step.inputs)[self.carried :]
            for tensor in written:
                if place.setdefault(tensor, len(outputs)) == len(outputs):
                    outputs.append(tensor)
            places.append([*range(self.carried), *(place[tensor] for tensor in written)])
        return replace(self, step=Graph(self.step.inputs, outputs)), places

    cases = (
        Case(
            f64[3],
            f64["n", 3],
            f64[3],
            step=_STEP,
            carried=1,
            slices=1,
            length=dim("n"),
            reverse=False,
        ),
        Case(f64[3], f64[2, 3], f64[3], step=_STEP, carried=1, slices=1, length=2, reverse=True),
        Case(f64[2], f64[2], step=_POWERS, carried=1, slices=0, length=dim("n"), reverse=False),
        Case(f64["n", 2], step=_SQUARES, carried=0, slices=1, length=dim("n"), reverse=True),
    )
    rejects = (
        Reject(
            f64[3],
            f64["m", 3],
            f64[3],
            step=_STEP,
            carried=1,
            slices=1,
            length=dim("n"),
            reverse=False,
            message="sequence 0 is f64[m,3]: its first axis must have the size n",
        ),
        Reject(
            f64[4],
            f64[2, 3],
            f64[3],
            step=_STEP,
            carried=1,
            slices=1,
            length=2,
            reverse=False,
            message="step takes f64[3] as operand 0, f64[4] is given",
        ),
        Reject(
            f64[3],
            f64[2, 3],
            step=_STEP,
            carried=1,
            slices=1,
            length=2,
            reverse=False,
            message="step takes 3 operands, 2 are given",
        ),
    )


@builder
def scan(
    function: Callable[[Any, Any], tuple[Any, Any]],
    start: Any,
    sequences: Any = None,
    length: Size | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Carry state along sequences: `state, written = function(state, slice)`, step by step.

    function:  takes the state and one slice of each sequence; gives the next state, of the same
               structure and types, and what to write: tensors in any structure, or None
    start:     the first state: a tensor, or a tuple, list or dict of them; Python numbers get the
               dtype that a step makes of them
    sequences: what is read: tensors of the same first size, in any structure; None for nothing
    length:    the number of steps where there are no sequences; may be symbolic
    reverse:   run from the last place to the first; what is written keeps its place

    Gives the last state, and what was written: each with one axis more, in front. Tensors from
    around `function` may be used in it.

    >>> def step(h, x):
    ...     h = gw.ops.tanh(x @ w + h @ u)
    ...     return h, h
    >>> last, all_of_them = gw.scan(step, gw.ops.zeros((10,)), sequence)

    Raises ShapeError or DTypeError, with both sides, when a step changes the type of the state;
    GraphError when it changes its structure; ShapeError when sequences differ in length.
    """
    read = [as_tensor(leaf) for leaf in flatten(sequences)]
    steps = _length(read, length)
    slices = [x.type.with_shape(x.shape[1:]) for x in read]

    def step(state: list[Tensor]) -> tuple[Closure, Any]:
        types = [*types_of(state), *slices]
        made = trace(function, (start, sequences), types, hoist=True, like=(start, None))
        _check_pair(made.structure)
        return made, made.structure[0]

    state, closure = settled_start(start, step)
    carried, written = closure.structure
    check_state("a step", start, state, carried, closure.outputs)
    op = Scan(closure.graph, len(state), len(read), steps, bool(reverse))
    outputs = op.apply(*state, *read, *closure.captured) if closure.outputs else ()
    count = len(state)
    return unflatten(start, outputs[:count]), unflatten(written, outputs[count:])


def _check_pair(answer: Any) -> None:
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise GraphError(
            f"the function gives {type(answer).__name__}, not a pair",
            hint="let it give (state, written); written may be None",
        )


def _length(read: Sequence[Tensor], length: Size | None) -> Size:
    for i, tensor in enumerate(read):
        if not tensor.ndim:
            raise ShapeError(
                f"sequence {i} has rank 0: there is nothing to go along",
                details=[("sequence", tensor.describe())],
                hint="what stays the same in every step is used in the function directly",
            )
    sizes: list[Size] = [tensor.shape[0] for tensor in read]
    if length is None and not sizes:
        raise AttributeValueError("there are no sequences", hint="say how many steps: length=10")
    steps = sizes[0] if length is None else as_size(length)
    for i, size in enumerate(sizes):
        if size != steps:
            raise ShapeError(
                f"sequence {i} has {size} places, where {steps} are expected",
                details=[(f"sequence {k}", x.describe()) for k, x in enumerate(read)],
                hint="all sequences have the same size along their first axis",
            )
    return steps
