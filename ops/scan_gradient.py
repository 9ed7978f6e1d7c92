"""Reverse mode through `Scan`: a scan from the other end.

The gradient of one step is a graph that reads what the step computed. What it reads is written
down by the forward scan, as further sequences; but what depends on the operands alone is computed
once, outside, and views are taken again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from graphwright.graph.backpropagate import between, pulled_back
from graphwright.graph.closure import boundary, close, inline
from graphwright.graph.dtype import is_floating
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Input
from graphwright.graph.tensor import Tensor
from graphwright.ops.creation import zeros_like
from graphwright.ops.higher_order import or_zeros

if TYPE_CHECKING:
    from graphwright.ops.scan import Scan

Maybe: TypeAlias = "Tensor | None"


def gradients(op: Scan, inputs: Sequence[Tensor], received: Sequence[Maybe]) -> list[Maybe]:
    """The gradients of the inputs of a scan, for those of its outputs."""
    own, seeds = op.step.inputs, _seeds(op, received)
    found = pulled_back(op.step.outputs, seeds, own)
    state, slices, operands = op.split(range(len(own)))
    # Carried back are the gradients of what is carried, and sums of those of the operands.
    carried = {i: seed for i in state if (seed := seeds[i]) is not None}
    sums = {i: Input(f"sum{i}", own[i].type)() for i in operands if found[i] is not None}
    sliced = [i for i in slices if found[i] is not None]
    outputs = [
        *(or_zeros(found[i], own[i]) for i in carried),
        *(total + found[i] for i, total in sums.items()),
        *(gradient for i in sliced if (gradient := found[i]) is not None),
    ]
    order = [*carried, *sums, *sliced]
    if not order:
        return [None] * len(own)
    start = [
        *(or_zeros(received[i], inputs[i]) for i in carried),
        *(zeros_like(inputs[i]) for i in sums),
    ]
    given = {i: seed for i, seed in enumerate(seeds) if i >= op.carried and seed is not None}
    read = _read(op, outputs)
    closure = close([*carried.values(), *sums.values(), *given.values(), *read], outputs)
    backward = replace(
        op,
        step=closure.graph,
        carried=len(start),
        slices=len(given) + len(read),
        reverse=not op.reverse,
    )
    arrived = [gradient for gradient in received[op.carried :] if gradient is not None]
    sequences = [*arrived, *_written(op, inputs, read)]
    answers = backward.apply(*start, *sequences, *_outside(op, inputs, closure.captured))
    by_place = dict(zip(order, answers, strict=True))
    return [by_place.get(i) for i in range(len(own))]


def _seeds(op: Scan, received: Sequence[Maybe]) -> list[Maybe]:
    """Placeholders for the gradients of one step's outputs: all that is carried, and whatever
    sequences have one."""
    wanted = [
        is_floating(output.dtype) and (i < op.carried or received[i] is not None)
        for i, output in enumerate(op.step.outputs)
    ]
    return [
        Input(f"g{i}", output.type)() if has_one else None
        for i, (output, has_one) in enumerate(zip(op.step.outputs, wanted, strict=True))
    ]


def _read(op: Scan, outputs: Sequence[Tensor]) -> list[Tensor]:
    """What `outputs` read of what differs from step to step."""
    state, slices, _ = op.split(op.step.inputs)
    _, varying = between(op.step.operations, [*state, *slices])
    kept = {tensor for tensor in varying if tensor.leaf or not tensor.node.op.view}
    return boundary(outputs, kept)


def _written(op: Scan, inputs: Sequence[Tensor], read: Sequence[Tensor]) -> list[Tensor]:
    """Sequences of these values, one of each step: a scan that also writes them down."""
    _, slices, _ = op.split(list(zip(op.step.inputs, inputs, strict=True)))
    known = dict(slices)
    missing = [tensor for tensor in read if tensor not in known]
    if missing:
        step = Graph(op.step.inputs, [*op.step.outputs, *missing])
        outputs = replace(op, step=step).apply(*inputs)
        known.update(zip(missing, outputs[len(op.step.outputs) :], strict=True))
    return [known[tensor] for tensor in read]


def _outside(op: Scan, inputs: Sequence[Tensor], captured: Sequence[Tensor]) -> list[Tensor]:
    """What is computed from the operands alone, computed around the loop."""
    return inline(Graph(op.step.inputs, captured), inputs)
