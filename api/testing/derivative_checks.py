"""Checks of an operator's gradient and of its batching rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.differentiate import grad
from graphwright.graph.batch import batched
from graphwright.graph.dtype import float64, is_floating
from graphwright.graph.errors import CheckError, GradientError
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input
from graphwright.graph.operator import Operator
from graphwright.graph.pushforward import pushforward
from graphwright.ops.convert import cast
from graphwright.testing.check import Checked, on_cases, on_operators, require
from graphwright.testing.closeness import ULPS_ACCUMULATED, check_close, check_type, largest
from graphwright.testing.derivatives import (
    Derivatives,
    Slope,
    products,
    random_steps,
    random_weights,
)
from graphwright.testing.example import Example, Run, evaluated, run, seed

Arrays = list[NDArray[Any]]


def _differentiable(example: Example) -> bool:
    return example.floating and example.operator.differentiable


def _in_double(example: Example) -> list[Example]:
    return [example.converted(float64)]


@on_cases(when=_differentiable, of=_in_double)
def gradients_agree_with_finite_differences_in_both_orders(example: Example) -> None:
    """The gradient, and the gradient of it, are the slopes along a random direction; where that
    can't be measured (`smooth=False`) they can be built and run."""
    xs = example.inputs()
    derivatives = Derivatives.of(xs, example.op.apply(*xs))
    for at in example.runs:
        with at:
            _check_derivatives(derivatives, at)


def _check_derivatives(derivatives: Derivatives, at: Run) -> None:
    smooth, sizes = at.example.case.smooth, at.sizes
    random, xs = np.random.default_rng(seed(str(at.example))), at.arrays()
    ws = random_weights(derivatives.values, sizes, random)
    vs = random_weights(derivatives.first, sizes, random)
    if isinstance(smooth, tuple):
        vs = [v * (i in smooth) for i, v in zip(derivatives.variables, vs, strict=True)]
    first = evaluated(derivatives.first, [*xs, *ws], sizes)
    second = evaluated(derivatives.second, [*xs, *ws, *vs], sizes)
    if not _smooth_at(at, xs):
        return
    moving = [i for i in derivatives.variables if smooth is True or i in (smooth or ())]
    steps = random_steps(xs, moving, random)
    along = [steps[i] for i in derivatives.variables]

    def value(moved: Arrays) -> Arrays:
        return evaluated(derivatives.values, moved, sizes)

    def gradient(moved: Arrays) -> Arrays:
        return evaluated(derivatives.first, [*moved, *ws], sizes)

    Slope(value, xs, steps, ws).check("the gradient", products(first, along))
    Slope(gradient, xs, steps, vs).check("the gradient's gradient", products(second, along))


@on_cases(when=_differentiable, of=_in_double)
def tangents_agree_with_finite_differences(example: Example) -> None:
    """How the outputs move with the inputs (`gw.jvp`): by `tangent`, or from the gradient, which
    must be linear in the output's for that."""
    xs = example.inputs()
    outputs = example.op.apply(*xs)
    moving = [i for i, x in enumerate(xs) if is_floating(x.dtype) and _moves(example, i)]
    directions = [input(f"t{i}", xs[i].shape, xs[i].dtype) for i in moving]
    pairs = dict(zip((xs[i] for i in moving), directions, strict=True))
    found = pushforward([outputs[0].node], pairs)
    told = [(out, found[out]) for out in outputs if out in found]
    values = Graph(xs, [out for out, _ in told])
    tangents = Graph([*xs, *directions], [tangent for _, tangent in told])
    for at in example.runs:
        with at:
            arrays = at.arrays()
            if not (moving and _smooth_at(at, arrays)):
                continue
            _check_tangents(values, tangents, moving, at)


def _moves(example: Example, i: int) -> bool:
    smooth = example.case.smooth
    return i in smooth if isinstance(smooth, tuple) else True


def _check_tangents(values: Graph, tangents: Graph, moving: Sequence[int], at: Run) -> None:
    random, xs = np.random.default_rng(seed(str(at.example))), at.arrays()
    ws = random_weights(values, at.sizes, random)
    steps = random_steps(xs, moving, random)
    moved = evaluated(tangents, [*xs, *(steps[i] for i in moving)], at.sizes)

    def value(arrays: Arrays) -> Arrays:
        return evaluated(values, arrays, at.sizes)

    Slope(value, xs, steps, ws).check("the tangent", products(moved, ws))


def _smooth_at(at: Run, xs: Sequence[NDArray[Any]]) -> bool:
    """True where finite differences can say something: no kinks, nothing infinite."""
    if not at.example.case.smooth:
        return False
    floats = [array for array in [*xs, *run(at.op, xs)] if is_floating(array.dtype)]
    return all(np.isfinite(array).all() for array in floats)


@on_operators
def gradients_of_differentiable_operators_are_checked_somewhere(checked: Checked) -> None:
    """At least one case is smooth and finite."""
    mine = [example.converted(float64) for example in checked.examples if _differentiable(example)]
    firsts = [next(example.runs) for example in mine]
    require(
        not mine or any(_smooth_at(at, at.arrays()) for at in firsts),
        "its gradient is compared with finite differences in no case",
        "add a case that is smooth: one whose values are away from all kinks",
    )


@on_cases(when=lambda example: example.floating and not example.operator.differentiable)
def undifferentiable_operators_say_so(example: Example) -> None:
    """Their docstring says why, they have no `gradient`, and `grad` refuses to go through them."""
    operator = example.operator
    require(
        re.search("derivative|gradient", str(operator.__doc__)),
        "differentiable is False, and the docstring doesn't say why",
        "say in the docstring what its derivative is: zero everywhere, or none",
    )
    require(
        operator.gradient is Operator.gradient,
        "differentiable is False, and there is a gradient",
        "remove one of them",
    )
    xs = example.inputs()
    target = cast(example.op.apply(*xs)[0], float64).sum()
    try:
        grad(target, next(x for x in xs if is_floating(x.dtype)))
    except GradientError as error:
        words = f"without a derivative: .*{operator.name}"
        require(re.search(words, error.what), "grad refuses, and doesn't name it", "", got=error)
    else:
        raise CheckError("grad goes through it", hint="set differentiable = True")


@on_cases(when=lambda example: len(example.case.operands) > 0)
def many_applications_at_once_give_what_one_at_a_time_gives(example: Example) -> None:
    """`gw.vmap` over all inputs, and over each alone, gives rows that are the results one by
    one."""
    for mapped in _which_mapped(len(example.case.operands)):
        xs = example.inputs()
        rows = [
            input(f"rows{i}", ("rows", *x.shape), x.dtype) if has_axis else x
            for i, (x, has_axis) in enumerate(zip(xs, mapped, strict=True))
        ]
        new = {x: many for x, many in zip(xs, rows, strict=True) if many is not x}
        outputs: Any = batched(example.op.apply(*xs), new)  # each depends on a mapped input
        graph = Graph(rows, outputs)
        for at in list(example.runs)[:2]:
            with at:
                _check_rows(at, graph, mapped)


def _which_mapped(count: int) -> list[tuple[bool, ...]]:
    """All inputs, and each one alone."""
    alone = [tuple(i == j for j in range(count)) for i in range(count)]
    return alone if count == 1 else [(True,) * count, *alone]


def _check_rows(at: Run, graph: Graph, mapped: tuple[bool, ...]) -> None:
    count = 3
    rows = [at.arrays(row) for row in range(count)]
    arrays = [
        np.stack([row[i] for row in rows]) if has_axis else rows[0][i]
        for i, has_axis in enumerate(mapped)
    ]
    together = evaluated(graph, arrays, {**at.sizes, "rows": count})
    for i, row in enumerate(rows):
        one = [own if m else first for own, first, m in zip(row, rows[0], mapped, strict=True)]
        for many, wanted in zip(together, run(at.op, one), strict=True):
            what = f"row {i} of a batch over inputs {[k for k, m in enumerate(mapped) if m]}"
            check_type(many[i], wanted.dtype, wanted.shape, what)
            check_close(many[i], wanted, ULPS_ACCUMULATED, largest(wanted))
