"""The moves of random graphs that hold graphs: branches, loops, checkpoints, rows at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import strategies as st

import graphwright as gw
from graphwright.graph.dtype import boolean, is_floating
from graphwright.graph.tensor import Tensor
from support.sketch import Draw, Sketch, broadcasts

Function = Callable[[Tensor], Tensor]


def branch(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """A choice between two functions of one tensor, by an exact comparison."""
    by = sketch.pick(draw, lambda t: t in sketch.exact)
    if by.dtype == boolean:
        condition = gw.ops.any(by)
    else:
        condition = by.sum() > 0 if by in sketch.inputs and not is_floating(by.dtype) else None
    if condition is None:
        condition = gw.constant(draw(st.booleans()))
    x = sketch.calm(sketch.pick_floating(draw))
    return [gw.cond(condition, function(sketch, draw, x), function(sketch, draw, x), x)]


def loop(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """A loop with a counter; it may be left before its bound."""
    x = sketch.calm(sketch.pick_floating(draw))
    step = function(sketch, draw, x)
    steps = draw(st.integers(0, 3))
    _, last = gw.while_loop(
        lambda state: state[0] < steps,
        lambda state: (state[0] + 1, gw.ops.tanh(step(state[1]))),
        (np.int64(0), x),
        bound=draw(st.integers(0, 4)),
    )
    return [last]


def scan(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """A recurrence over the first axis of a tensor, from either end."""
    x = sketch.calm(sketch.pick_floating(draw, 1))
    if not x.ndim:
        return []
    step = function(sketch, draw, x, rank=x.ndim - 1)
    weight = draw(st.sampled_from([0.5, -0.25, 1.0]))

    def body(state: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        state = gw.ops.tanh(state * weight + step(row))
        return state, state * row

    start = gw.ops.zeros(x.shape[1:], x.dtype)
    last, rows = gw.scan(body, start, x, reverse=draw(st.booleans()))
    return [last, rows][draw(st.integers(0, 1)) :]


def mapped(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """A function of the rows of a tensor, applied to all at once."""
    x = sketch.calm(sketch.pick_floating(draw, 1))
    if not x.ndim:
        return []
    return [gw.vmap(function(sketch, draw, x, rank=x.ndim - 1))(x)]


def recomputed(sketch: Sketch, draw: Draw) -> Sequence[Tensor]:
    """A function whose gradient computes it again."""
    x = sketch.calm(sketch.pick_floating(draw))
    return [gw.checkpoint(function(sketch, draw, x))(x)]


def function(sketch: Sketch, draw: Draw, x: Tensor, rank: int | None = None) -> Function:
    """A smooth function of a tensor like `x`, or of its rows, that may read what is around it."""
    fitting = [t for t in sketch.pool if t.dtype == x.dtype and t.ndim == 0]
    if rank is None:
        fitting += [t for t in sketch.pool if t.dtype == x.dtype and _broadcasts_to(t, x)]
    around = draw(st.sampled_from(fitting)) if fitting and draw(st.booleans()) else None
    around = None if around is None else sketch.calm(around)
    first, second = (draw(st.sampled_from(_SMOOTH)) for _ in range(2))

    def apply(a: Tensor) -> Tensor:
        inner = first(a)
        return second(inner if around is None else inner * around)

    return apply


_SMOOTH: list[Function] = [
    gw.ops.sin,
    gw.ops.tanh,
    gw.ops.sigmoid,
    lambda a: a * 0.5,
    lambda a: a - a.sum() * 0.125,
    lambda a: a * a,
]


def _broadcasts_to(t: Tensor, x: Tensor) -> bool:
    if t.ndim > x.ndim or not broadcasts(t, x):
        return False
    return all(a == b or a == 1 for a, b in zip(t.shape[::-1], x.shape[::-1], strict=False))


CONTROL_MOVES = [branch, loop, scan, mapped, recomputed]
