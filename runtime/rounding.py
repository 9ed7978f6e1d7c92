"""How far rounding may take two computations of the same apart: for each element, a bound.

A bound goes along with every value, as in Wilkinson's running error analysis (N. J. Higham,
"Accuracy and Stability of Numerical Algorithms", 2nd ed., section 3.3): what an operation makes of
its operands moved by their bounds, and what it rounds itself. How the operation moves is found by
running its NumPy kernel on moved operands, so comparisons and roundings to integers, which jump,
are allowed to where, and only where, their operands' bounds let them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Sizes
from graphwright.graph.dtype import is_floating, short_name
from graphwright.graph.evaluate import run_kernel
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor

Array = NDArray[Any]

ROUNDINGS = 16
"""Half units in the last place that one operation may be off: two implementations of a function,
each right to within 4 units."""
_SWAYS = 3
_UNITS = {"f16": 2.0**-11, "bf16": 2.0**-8, "f32": 2.0**-24, "f64": 2.0**-53}
_TINY = {"f16": 2.0**-24, "bf16": 2.0**-133, "f32": 2.0**-149, "f64": 2.0**-1074}


class Bounded(NamedTuple):
    """A value, and how far from it each element may be: float64, of the same shape."""

    value: Array
    bound: Array


def exact(value: Array) -> Bounded:
    """A value that both computations are given."""
    return Bounded(value, np.zeros(value.shape))


def bounded_results(graph: Graph, inputs: Sequence[Array], sizes: Sizes) -> list[Bounded]:
    """The outputs of a graph by its NumPy kernels, and how far off others may be."""
    known = {t: exact(x) for t, x in zip(graph.inputs, inputs, strict=True)}
    with np.errstate(all="ignore"):
        for node in graph.operations:
            known.update(zip(node.outputs, _bounded(node, known, sizes), strict=True))
    return [known[tensor] for tensor in graph.outputs]


def _bounded(node: Node, known: dict[Tensor, Bounded], sizes: Sizes) -> list[Bounded]:
    given = [known[tensor] for tensor in node.inputs]
    values = [x.value for x in given]
    results = run_kernel(node, values, sizes)
    bounds = [_own_rounding(node, values, result, sizes) for result in results]
    if not (node.op.elementwise or node.op.reduction or node.op.contraction or _moves_only(node)):
        sway = _sway(node, values, results, sizes)
        bounds = [
            bound + sway if is_floating(r.dtype) else bound
            for bound, r in zip(bounds, results, strict=True)
        ]
    for position, x in enumerate(given):
        if not x.bound.any():
            continue
        places = [_moved(x, 1), _moved(x, -1)]
        if node.op.elementwise:  # equality jumps between the two
            others = [y for i, y in enumerate(given) if i != position]
            places += [_onto(x, y) for y in others if y.value.dtype == x.value.dtype]
        for place in places:
            moved = [*values]
            moved[position] = place
            for bound, now, then in zip(
                bounds, run_kernel(node, moved, sizes), results, strict=True
            ):
                bound += _distance(now, then)
    return [Bounded(r, b) for r, b in zip(results, bounds, strict=True)]


def _moved(x: Bounded, sign: int) -> Array:
    if x.value.dtype.kind == "b":
        return np.asarray(x.value ^ (x.bound > 0))
    return np.asarray(x.value.astype(np.float64) + sign * x.bound).astype(x.value.dtype)


def _onto(x: Bounded, y: Bounded) -> Array:
    """x, but y where that is as near as the two may be off."""
    return np.where(_distance(x.value, y.value) <= x.bound + y.bound, y.value, x.value)


def _distance(x: Array, y: Array) -> Array:
    """How far elements are apart; equal infinities, and nan and nan, not at all."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    return np.where(same, 0.0, np.nan_to_num(np.abs(x - y), nan=np.inf))


def _own_rounding(node: Node, values: Sequence[Array], result: Array, sizes: Sizes) -> Array:
    """What an operation adds of its own."""
    if not is_floating(result.dtype) or _moves_only(node):
        return np.zeros(result.shape)
    unit = _UNITS[short_name(result.dtype)]
    size = np.abs(result.astype(np.float64))
    own = ROUNDINGS * np.maximum(unit * size, _TINY[short_name(result.dtype)])
    if node.op.reduction or node.op.contraction:
        terms = max(values[0].size // max(result.size, 1), 1)
        if node.op.contraction:
            terms = values[0].shape[-1]
        summed = run_kernel(node, [np.abs(x) for x in values], sizes)[0].astype(np.float64)
        own = own + (ROUNDINGS + terms / 2) * _sum_unit(result) * np.abs(summed)
    elif not node.op.elementwise:
        largest = size[np.isfinite(size)].max(initial=1.0)
        own = np.full(result.shape, ROUNDINGS * unit * largest)
    return np.where(np.isfinite(own), own, 0.0)


def _sway(node: Node, values: Sequence[Array], results: Sequence[Array], sizes: Sizes) -> float:
    """How far the results of an operator that computes many things move when its operands do.

    By ROUNDINGS half units each, up or down at random: what its inner sums may be off, about.
    """
    random = np.random.default_rng(0)
    farthest = 0.0
    for _ in range(_SWAYS):
        moved = []
        for x in values:
            if is_floating(x.dtype):
                signs = random.choice([-1.0, 1.0], x.shape)
                wide = x.astype(np.float64)
                x = (wide + ROUNDINGS * _UNITS[short_name(x.dtype)] * signs * wide).astype(x.dtype)
            moved.append(x)
        for now, then in zip(run_kernel(node, moved, sizes), results, strict=True):
            apart = _distance(now, then)
            farthest = max(farthest, float(apart[np.isfinite(apart)].max(initial=0.0)))
    return farthest


def _sum_unit(result: Array) -> float:
    """Sums of 16-bit floats are taken in float32."""
    return _UNITS["f32" if result.dtype.itemsize == 2 else short_name(result.dtype)]


def _moves_only(node: Node) -> bool:
    return bool(node.op.view) or not node.inputs or node.op.broadcasting
