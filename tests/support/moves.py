"""The operations that random graphs are made of: each move draws one and gives its outputs.

What a move draws need not fit: the sketch takes back what is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

import graphwright as gw
from graphwright.graph.dim import Dim, evaluate, names_of, product
from graphwright.graph.dtype import boolean, is_floating, is_integer
from graphwright.graph.operator import Operator, operators
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.attention_gradient import AttentionGradient, AttentionMaskGradient
from graphwright.ops.case import Case, Within
from support.sketch import SAMPLE_SIZES, Draw, Sketch, broadcasts, elements

Catalogue = dict[type[Operator], list[Case]]

_RELATED = (AttentionGradient, AttentionMaskGradient)
"""Operators that ask of some operands to follow from others; gradients are made of them."""


def _catalogue(fits: Callable[[type[Operator], Case], bool]) -> Catalogue:
    """The operators of the vocabulary with those of their cases that fit."""
    found: Catalogue = {}
    for operator in operators.values():
        if operator.__module__.startswith("graphwright.ops.") and not operator.leaf:
            cases = [case for case in operator.cases if fits(operator, case)]
            if cases:
                found[operator] = cases
    return found


@cache
def _elementwise() -> Catalogue:
    return _catalogue(lambda operator, case: operator.elementwise and _open(case))


@cache
def _reductions() -> Catalogue:
    return _catalogue(lambda operator, _: operator.reduction)


@cache
def _others() -> Catalogue:
    return _catalogue(
        lambda operator, _: not (operator.elementwise or operator.reduction or operator in _RELATED)
    )


def _open(case: Case) -> bool:
    """True when the case gives types, not values."""
    return bool(case.operands) and all(isinstance(o, TensorType | Within) for o in case.operands)


def _drawn_case(draw: Draw, catalogue: Catalogue) -> tuple[type[Operator], Case]:
    operator = draw(st.sampled_from(list(catalogue)))
    return operator, draw(st.sampled_from(catalogue[operator]))


def _operand_type(operand: Any) -> TensorType:
    if isinstance(operand, TensorType):
        return operand
    if isinstance(operand, Within):
        return operand.type
    return TensorType(operand.dtype, operand.shape)


def _adapted(value: Any, dtype: np.dtype[Any]) -> Any:
    """A dtype attribute in the graph's floating dtype."""
    return dtype if isinstance(value, np.dtype) and is_floating(value) else value


def _make(operator: type[Operator], attributes: dict[str, Any], dtype: Any) -> Operator:
    return operator(**{name: _adapted(value, dtype) for name, value in attributes.items()})


# Moves: each draws one operation and gives its outputs.


def elementwise(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """One elementwise operator on tensors that broadcast, as one of its cases has it."""
    operator, case = _drawn_case(draw, _elementwise())
    kinds = [_operand_type(operand) for operand in case.operands]
    wanted = [_drawn_dtype(sketch, kind.dtype) for kind in kinds]
    first = sketch.pick(draw, lambda t: t.dtype == wanted[0])
    operands = [first, *(sketch.partner(draw, first, dtype) for dtype in wanted[1:])]
    placed = [
        sketch.within(tensor, operand.low, operand.high)
        if isinstance(operand, Within)
        else sketch.calm(tensor)
        for tensor, operand in zip(operands, case.operands, strict=True)
    ]
    return _make(operator, case.attributes, sketch.dtype).apply(*placed)


def _drawn_dtype(sketch: Sketch, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What the graph has in place of a dtype: one of floats, one of integers, booleans."""
    if is_floating(dtype):
        return sketch.dtype
    return np.dtype(np.int64) if is_integer(dtype) else dtype


def arithmetic(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """What graphs are mostly made of, by Tensor's own operators."""
    x = sketch.pick(draw, lambda t: t.dtype != boolean)
    y = sketch.partner(draw, x, x.dtype)
    form = draw(st.integers(0, 5))
    if form == 0:
        return [x + y]
    if form == 1:
        return [x * y]
    if form == 2:
        return [x - y]
    if form == 3:
        return [gw.ops.maximum(x, y)]
    return [-x] if form == 4 else [x * x]


def reduction(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """One reduction over any axes."""
    operator, case = _drawn_case(draw, _reductions())
    floating = is_floating(_operand_type(case.operands[0]).dtype)
    x = sketch.pick(draw, lambda t: is_floating(t.dtype) == floating)
    flags = [draw(st.booleans()) for _ in x.shape]
    axes = tuple(axis for axis, chosen in enumerate(flags) if chosen)
    attributes = {**case.attributes, "axes": axes, "keepdims": draw(st.booleans())}
    return _make(operator, attributes, sketch.dtype).apply(sketch.calm(x))


def movement(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """The same elements elsewhere."""
    x = sketch.pick(draw)
    form = draw(st.integers(0, 6))
    if form == 0:
        return [x.transpose(tuple(draw(st.permutations(range(x.ndim)))))] if x.ndim > 1 else []
    if form == 1 and x.ndim:
        return [x.reshape(_merged(draw, x.shape))]
    if form == 2:
        return [gw.ops.expand_dims(x, draw(st.integers(0, x.ndim)))]
    if form == 3:
        return [x.squeeze()] if any(size == 1 for size in x.shape) else []
    if form == 4:
        wide = [t.shape for t in sketch.pool if _broadcasts_to(x, t.shape)]
        shape = draw(st.sampled_from([*wide, (2, *x.shape)]))
        return [gw.ops.broadcast_to(x, shape)]
    if form == 5 and x.ndim:
        return [gw.ops.flip(x, draw(st.integers(0, x.ndim - 1)))]
    return [x[tuple(draw(st.sampled_from(_SLICES)) for _ in range(draw(st.integers(0, x.ndim))))]]


_SLICES = [
    slice(None),
    slice(None),
    slice(0, 1),
    slice(1, None),
    slice(None, -1),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(-2, None),
    None,
    0,
    -1,
]


def _merged(draw: Draw, shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """A shape of as many elements: neighbours multiplied, or an axis split."""
    if len(shape) > 1 and draw(st.booleans()):
        at = draw(st.integers(0, len(shape) - 2))
        return (*shape[:at], product(shape[at : at + 2]), *shape[at + 2 :])
    if shape[-1] == 4:
        return (*shape[:-1], 2, 2)
    return (product(shape),)


def _broadcasts_to(x: Tensor, shape: tuple[Any, ...]) -> bool:
    if x.ndim > len(shape):
        return False
    extra = len(shape) - x.ndim
    return all(a in (b, 1) for a, b in zip(x.shape, shape[extra:], strict=True))


def joining(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """Tensors laid side by side, padded, or cut."""
    x = sketch.pick(draw, lambda t: t.ndim > 0)
    if not x.ndim:
        return []
    axis = draw(st.integers(0, x.ndim - 1))
    form = draw(st.integers(0, 3))
    if form == 0:
        others = [t for t in sketch.pool if t.dtype == x.dtype and _differ_only(t, x, axis)]
        return [
            gw.ops.concatenate(
                [x, draw(st.sampled_from(others)), x][: draw(st.integers(2, 3))], axis
            )
        ]
    if form == 1:
        return [gw.ops.stack([x, x], axis)]
    if form == 2:
        widths = [draw(st.sampled_from([(0, 0), (1, 0), (0, 2), (1, 1)])) for _ in x.shape]
        return [gw.ops.pad(x, widths)]
    if isinstance(x.shape[axis], Dim) or x.shape[axis] < 2:
        return []
    return list(gw.ops.split(x, [1, x.shape[axis] - 1], axis))


def _differ_only(left: Tensor, right: Tensor, axis: int) -> bool:
    return left.ndim == right.ndim and all(
        i == axis or a == b for i, (a, b) in enumerate(zip(left.shape, right.shape, strict=True))
    )


def matmul(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """A product of matrices, of batches of them or of vectors; weights are made when none fits."""
    x = sketch.pick_floating(draw, 1)
    inner = x.shape[-1]
    fitting = [
        t
        for t in sketch.pool
        if t.dtype == x.dtype and t.ndim and t.shape[-2 if t.ndim > 1 else -1] == inner
    ]
    if fitting and draw(st.booleans()):
        return [sketch.calm(x) @ sketch.calm(draw(st.sampled_from(fitting)))]
    if draw(st.booleans()):
        return [sketch.calm(x) @ gw.ops.matrix_transpose(sketch.calm(x))] if x.ndim > 1 else []
    if isinstance(inner, Dim):
        return []
    shape = (inner, draw(st.integers(1, 4)))
    return [sketch.calm(x) @ gw.constant(elements(TensorType(x.dtype, shape), sketch.random))]


def rows(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """Reductions with elementwise work between them, by name or by hand."""
    x = sketch.calm(sketch.pick_floating(draw, 1))
    if not x.ndim:
        return []
    axis = draw(st.integers(0, x.ndim - 1))
    form = draw(st.integers(0, 4))
    if form == 0:
        return [gw.ops.softmax(x, axis)]
    if form == 1:
        return [gw.ops.log_softmax(x, axis)]
    if form == 2:
        e = gw.ops.exp(x - x.max(axis, keepdims=True))
        return [e / e.sum(axis, keepdims=True)]
    centred = x - x.mean(axis, keepdims=True)
    if form == 3:
        return [centred / gw.ops.sqrt((centred * centred).mean(axis, keepdims=True) + 0.5)]
    return [gw.ops.log(gw.ops.exp(x).sum(axis))]


def selection(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """A choice between tensors by a comparison of exact ones."""
    left = sketch.pick(draw, lambda t: t in sketch.exact)
    right = sketch.partner(draw, left, left.dtype)
    condition = (
        left if left.dtype == boolean else [left < right, left >= right][draw(st.integers(0, 1))]
    )
    x = sketch.pick(draw, lambda t: broadcasts(t, left) and t.dtype != boolean)
    return [gw.ops.where(condition, x, sketch.partner(draw, x, x.dtype))]


def conversion(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """A cast: any to the graph's floats, exact ones to integers and booleans."""
    x = sketch.pick(draw)
    return [x.astype(draw(st.sampled_from([sketch.dtype, np.dtype(np.int32), boolean])))]


def repetition(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """The same operation on the same inputs once more, for common subexpressions."""
    node = sketch.pick(draw).node
    return [] if node.op.leaf else node.op.apply(*node.inputs)


def case(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """One case of any operator that no other move knows, on tensors of its types."""
    operator, chosen = _drawn_case(draw, _others())
    operands = []
    for operand in chosen.operands:
        kind = _operand_type(operand)
        floating = is_floating(kind.dtype)
        kind = kind.with_dtype(sketch.dtype) if floating else kind
        if not isinstance(operand, TensorType | Within):
            with np.errstate(over="ignore"):
                operands.append(gw.constant(operand.astype(kind.dtype)))
            continue
        if not names_of(kind.shape) <= SAMPLE_SIZES.keys() or (
            names_of(kind.shape) and not sketch.symbolic
        ):
            kind = kind.with_shape(evaluate(kind.shape, dict.fromkeys(names_of(kind.shape), 2)))
        same = [t for t in sketch.pool if t.type == kind]
        tensor = draw(st.sampled_from(same)) if same else sketch.new_input(kind)
        bounds = (operand.low, operand.high) if isinstance(operand, Within) else None
        operands.append(sketch.within(tensor, *bounds) if bounds else sketch.calm(tensor))
    return _make(operator, chosen.attributes, sketch.dtype).apply(*operands)


MOVES = [
    *[elementwise] * 5,
    *[arithmetic] * 4,
    *[reduction] * 2,
    *[movement] * 3,
    joining,
    *[matmul] * 2,
    *[rows] * 2,
    selection,
    conversion,
    repetition,
    *[case] * 6,
]
