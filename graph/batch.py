"""Apply a graph to many inputs at once, node by node: what `gw.vmap` is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphwright.graph import tensor as language
from graphwright.graph.dim import Size
from graphwright.graph.errors import GraphwrightError
from graphwright.graph.graph import ancestors
from graphwright.graph.node import Node, derived
from graphwright.graph.operator import Operator, as_tuple
from graphwright.graph.tensor import Tensor


def batched(outputs: Sequence[Tensor], mapped: Mapping[Tensor, Tensor]) -> list[Tensor | None]:
    """The outputs with an axis in front, when each tensor in `mapped` is replaced by many of it.

    mapped: for a tensor, the one with an axis more in front; that axis has the same size in all
    Gives None for an output that depends on none of them.
    """
    new = dict(mapped)
    for node in ancestors(outputs, stop=set(mapped)):
        if any(tensor in new for tensor in node.inputs):
            new.update(zip(node.outputs, _batched_node(node, new), strict=True))
    return [new.get(tensor) for tensor in outputs]


def _batched_node(node: Node, new: Mapping[Tensor, Tensor]) -> Sequence[Tensor]:
    mapped = [tensor in new for tensor in node.inputs]
    inputs = [new.get(tensor, tensor) for tensor in node.inputs]
    size = batch_size(mapped, inputs)
    with derived(node.origin):
        outputs = _applied(node, mapped, inputs)
    if len(outputs) != len(node.outputs):
        raise GraphwrightError(
            f"{node.op.name}: batch gives {len(outputs)} tensors for {len(node.outputs)} outputs",
            source=node.source,
        )
    for before, after in zip(node.outputs, outputs, strict=True):
        expected = before.type.with_shape((size, *before.shape))
        if after.type != expected:
            raise GraphwrightError(
                f"{node.op.name}: batch gives {after.type}, where {expected} is meant",
                source=node.source,
            )
    return outputs


def _applied(node: Node, mapped: Sequence[bool], inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    op = node.op
    if type(op).batch is not Operator.batch:
        answer = op.batch(mapped, *inputs)
        return as_tuple(answer)
    if op.elementwise and op.body is None:
        return _elementwise(node, mapped, inputs)
    if op.composite:
        return _through_decomposition(node, inputs)
    return _one_by_one(op, mapped, inputs)


def _elementwise(node: Node, mapped: Sequence[bool], inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """By broadcasting: behind the axis in front, all mapped inputs get the rank of the output."""
    rank = node.outputs[0].ndim
    aligned = [
        x.reshape(x.shape[0], *(1,) * (rank + 1 - x.ndim), *x.shape[1:]) if has_axis else x
        for x, has_axis in zip(inputs, mapped, strict=True)
    ]
    return node.op.apply(*aligned)


def _one_by_one(op: Operator, mapped: Sequence[bool], inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """By a loop along the axis in front: what is left to an operator without a batching rule."""
    rows = [x for x, has_axis in zip(inputs, mapped, strict=True) if has_axis]

    def step(_: None, slices: list[Tensor]) -> tuple[None, tuple[Tensor, ...]]:
        own = iter(slices)
        pairs = zip(inputs, mapped, strict=True)
        return None, op.apply(*(next(own) if has_axis else x for x, has_axis in pairs))

    _, written = language.vocabulary.scan(step, None, rows)
    outputs: tuple[Tensor, ...] = written
    return outputs


def _through_decomposition(node: Node, inputs: Sequence[Tensor]) -> list[Tensor]:
    answer = node.op.decompose(*node.inputs)
    outputs = as_tuple(answer)
    new = {old: x for old, x in zip(node.inputs, inputs, strict=True) if old is not x}
    size: Size = next(iter(new.values())).shape[0]
    return [
        repeated(output, size) if tensor is None else tensor
        for output, tensor in zip(outputs, batched(outputs, new), strict=True)
    ]


def batch_size(mapped: Sequence[bool], inputs: Sequence[Tensor]) -> Size:
    """The size of the axis that the mapped inputs have in front."""
    return next(x.shape[0] for x, has_axis in zip(inputs, mapped, strict=True) if has_axis)


def repeated(tensor: Tensor, size: Size) -> Tensor:
    """`tensor` with an axis of `size` in front, along which it is the same."""
    answer: Tensor = language.vocabulary.broadcast_to(tensor, (size, *tensor.shape))
    return answer
