"""Parts: slices, pieces and paddings that undo each other or can be had at once.

before::

    graph(x: f32[n,3], y: f32[n,1]) {
      %0: f32[n,4] = concatenate(x, y, axis=1)
      %1: f32[n,3], %2: f32[n,1] = split(%0, axis=1, sizes=(3, 1))
      %3: f32[n,3] = multiply(%1, %2)
      return %3
    }

after::

    graph(x: f32[n,3], y: f32[n,1]) {
      %0: f32[n,3] = multiply(x, y)
      return %0
    }
"""

from __future__ import annotations

import struct

from graphwright.compiler.rules.rule import (
    Example,
    Kept,
    Outcome,
    chain,
    replacing,
    rule,
    rules_in,
)
from graphwright.graph.dim import Size
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.ops.case import f32, f64, i32
from graphwright.ops.joining import Concatenate, Split, concatenate, split
from graphwright.ops.padding import Pad, pad
from graphwright.ops.slicing import Slice


@chain(
    Slice,
    examples=[
        Example(lambda x: Slice((0, 0), x.shape, (1, 1))(x), lambda x: x, f32["n", 3]),
    ],
    kept=[
        Kept(lambda x: x[::-1, ::-1], f32["n", 3]),
        Kept(lambda x: x[:, :2], f32["n", 3]),
    ],
)
def slice_of_everything(op: Slice, x: Tensor) -> Outcome:
    """x[:] → x."""
    at_start = all(start == 0 for start in op.starts)
    whole = at_start and op.sizes == x.shape and set(op.steps) <= {1}
    return x if whole else None


@chain(
    Slice,
    Slice,
    examples=[
        Example(lambda x: x[1:7:2][1:], lambda x: Slice((3,), (2,), (2,))(x), f32[8]),
        Example(lambda x: x[::-1][1:], lambda x: x[-2::-1], f32[5]),
        Example(lambda x: x[:, 1:][:, 0:1], lambda x: x[:, 1:2], f32["n", 3]),
    ],
)
def slice_of_slice(outer: Slice, inner: Slice, x: Tensor) -> Outcome:
    """x[a][b] → x[c]."""
    pairs = list(zip(outer.starts, inner.starts, inner.steps, strict=True))
    starts = tuple(first + start * step for start, first, step in pairs)
    steps = tuple(a * b for a, b in zip(outer.steps, inner.steps, strict=True))
    return Slice(starts, outer.sizes, steps)(x)


@chain(
    Slice,
    Pad,
    examples=[
        Example(lambda x: pad(x, [(1, 2), (0, 1)])[1:-2, :-1], lambda x: x, f32[4, 3]),
    ],
    kept=[Kept(lambda x: pad(x, 1)[1:], f32[4])],
)
def slice_of_pad(outer: Slice, inner: Pad, x: Tensor) -> Outcome:
    """the middle of pad(x) → x."""
    befores = tuple(before for before, _ in inner.widths)
    middle = outer.starts == befores and outer.sizes == x.shape and set(outer.steps) <= {1}
    return x if middle else None


@chain(
    Pad,
    examples=[Example(lambda x: Pad(((0, 0),), 0.0)(x), lambda x: x, f32["n"])],
    kept=[Kept(lambda x: pad(x, [(0, 1)]), f32["n"])],
)
def pad_with_nothing(op: Pad, x: Tensor) -> Outcome:
    """pad(x) by no elements → x."""
    return None if any(before != 0 or after != 0 for before, after in op.widths) else x


@chain(
    Pad,
    Pad,
    examples=[
        Example(lambda x: pad(pad(x, 1), [(0, 2)]), lambda x: pad(x, [(1, 3)]), f64["n"]),
    ],
    kept=[
        Kept(lambda x: pad(pad(x, 1, value=1.0), 1, value=2.0), f64["n"]),
        Kept(lambda x: pad(pad(x, 1, value=0.0), 1, value=-0.0), f64["n"]),
    ],
)
def pad_of_pad(outer: Pad, inner: Pad, x: Tensor) -> Outcome:
    """pad(pad(x)) with the same value → pad(x)."""
    if struct.pack("d", outer.value) != struct.pack("d", inner.value):
        return None
    pairs = zip(outer.widths, inner.widths, strict=True)
    widths = tuple((a + c, b + d) for (a, b), (c, d) in pairs)
    return Pad(widths, inner.value)(x)


@rule(
    Concatenate,
    examples=[
        Example(lambda x: Concatenate(0)(x), lambda x: x, f32["n"]),
        Example(lambda x: concatenate(split(x, (1, 2), axis=1), axis=1), lambda x: x, f32["n", 3]),
        Example(
            lambda x, y: concatenate([concatenate([x, y]), x]),
            lambda x, y: concatenate([x, y, x]),
            f32["n"],
            f32[3],
        ),
    ],
    kept=[
        Kept(lambda x: concatenate(split(x, 2)[::-1]), f32[4]),
        Kept(lambda x: concatenate(split(x, 2, axis=0), axis=1), f32[4, 3]),
        Kept(lambda x: concatenate([concatenate([x, x], 1), concatenate([x, x], 1)]), f32[2, 2]),
    ],
)
def concatenate_pieces(node: Node) -> Outcome:
    """concatenate(split(x)) → x; concatenate(concatenate(x, y), z) → concatenate(x, y, z)."""
    if len(node.inputs) == 1:
        return node.inputs[0]
    first = node.inputs[0].node
    same_axis = isinstance(first.op, Split) and first.op.axis == node.op.attributes["axis"]
    if same_axis and list(map(id, first.outputs)) == list(map(id, node.inputs)):
        return first.inputs[0]
    inner = [tensor.node for tensor in node.inputs if tensor.node.op == node.op]
    if not inner:
        return None
    with replacing(node, *inner):
        parts = [t.node.inputs if t.node.op == node.op else (t,) for t in node.inputs]
        return node.op.apply(*(tensor for part in parts for tensor in part))


@rule(
    Split,
    examples=[
        Example(lambda x: Split(0, x.shape).apply(x), lambda x: x, f32["n"]),
        Example(
            lambda x, y: split(concatenate([x, y], axis=1), (3, 2), axis=1)[::-1],
            lambda x, y: (y, x),
            i32["n", 3],
            i32["n", 2],
        ),
    ],
    kept=[
        Kept(lambda x, y: split(concatenate([x, y]), (3, 2)), f32[2], f32[3]),
        Kept(lambda x: split(x, 2), f32[4]),
    ],
)
def split_whole_parts(node: Node) -> Outcome:
    """split(concatenate(x, y)) where they were joined → x, y; split(x) into one piece → x."""
    if len(node.outputs) == 1:
        return node.inputs[0]
    inner, axis = node.inputs[0].node, node.op.attributes["axis"]
    if not isinstance(inner.op, Concatenate) or inner.op.axis != axis:
        return None
    fits = [t.shape for t in inner.inputs] == [t.shape for t in node.outputs]
    return inner.inputs if fits else None


@rule(
    Slice,
    weight=2,
    examples=[
        Example(
            lambda x, y: concatenate([x, y], axis=1)[:, 3:],
            lambda x, y: Slice((0, 0), y.shape, (1, 1))(y),
            f32["n", 3],
            f32["n", 2],
        ),
        Example(
            lambda x, y: concatenate([x, y])[1:3],
            lambda x, y: x[1:3],
            f32[3],
            f32[2],
        ),
        Example(
            lambda x: split(x, (2, 3))[1][::2],
            lambda x: Slice((2,), (2,), (2,))(x),
            f32[5],
        ),
    ],
    kept=[Kept(lambda x, y: concatenate([x, y])[1:4], f32[3], f32[2])],
)
def slice_of_pieces(node: Node) -> Outcome:
    """a slice of concatenate(x, y) that lies in one of them → a slice of that one; a slice of a
    piece of x → a slice of x."""
    op, inner = node.op, node.inputs[0].node
    assert isinstance(op, Slice)
    if isinstance(inner.op, Split):
        offset: Size = 0
        for size in inner.op.sizes[: node.inputs[0].index]:
            offset = offset + size
        with replacing(node, inner):
            return _moved(op, inner.op.axis, offset)(inner.inputs[0])
    if not isinstance(inner.op, Concatenate):
        return None
    axis, offset = inner.op.axis, 0
    for tensor in inner.inputs:
        size, start, count = tensor.shape[axis], op.starts[axis], op.sizes[axis]
        if not (isinstance(size, int) and isinstance(start, int) and isinstance(count, int)):
            return None
        ends = (start - offset, start - offset + (count - 1) * op.steps[axis])
        if count and min(ends) >= 0 and max(ends) < size:
            with replacing(node, inner):
                return _moved(op, axis, -offset)(tensor)
        offset = offset + size
    return None


def _moved(op: Slice, axis: int, offset: Size) -> Slice:
    """The same slice, `offset` further along an axis."""
    starts = (*op.starts[:axis], op.starts[axis] + offset, *op.starts[axis + 1 :])
    return Slice(starts, op.sizes, op.steps)


RULES = rules_in(globals())
