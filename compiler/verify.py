"""What the runner checks after every pass: types, structure, and on request the values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.plan import Plan, collisions
from graphwright.compiler.schedule import Schedule
from graphwright.graph.dim import names_of, solve
from graphwright.graph.dtype import is_boolean, is_floating
from graphwright.graph.errors import GraphwrightError, InputError, ShapeError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType

Arrays = Sequence[NDArray[Any]]
Sample = tuple[dict[Tensor, NDArray[Any]], dict[str, int]]

_TOLERANCE = {"float16": 2e-2, "bfloat16": 2e-1, "float32": 1e-4, "float64": 1e-8}
SAMPLE_SIZES = (3, 2, 5, 4, 7)
"""What the named dimensions stand for in samples, in turn."""


def check_structure(before: Graph, after: Graph | Schedule | Plan) -> str | None:
    """What is wrong with the result of a pass on `before`, or None.

    Types are inferred anew and compared; inputs, outputs and updates must have stayed; a schedule
    must hold every operation once and in order; a plan must not touch a value before it is made.
    """
    if isinstance(after, Plan):
        return _check_plan(after)
    if isinstance(after, Schedule):
        return _check_schedule(before, after)
    if [t.node for t in after.inputs] != [t.node for t in before.inputs]:
        return "the inputs changed"
    if [t.type for t in after.outputs] != [t.type for t in before.outputs]:
        return "the number or the types of the outputs changed"
    if list(map(id, after.updates)) != list(map(id, before.updates)):
        return "the parameters that are updated changed"
    known = {_typing(node) for node in _nodes(before)}
    return next((wrong for node in after.nodes if (wrong := _check_node(node, known))), None)


def _nodes(graph: Graph) -> Iterator[Node]:
    """The nodes of a graph, and of those that its fused operators stand for."""
    for node in graph.nodes:
        yield node
        if node.op.body is not None:
            yield from _nodes(node.op.body)


def _typing(node: Node) -> tuple[int, ...]:
    """Which operator makes which types of which, as objects."""
    tensors = (*node.inputs, *node.outputs)
    return id(node.op), *(id(tensor.type) for tensor in tensors)


def _check_node(node: Node, known: Set[tuple[int, ...]]) -> str | None:
    """known: typings that need no check, since they were there before"""
    if _typing(node) in known:
        return None
    try:
        types = node.op.infer(*(tensor.type for tensor in node.inputs))
    except GraphwrightError as error:
        return f"{node!r} is not well typed: {error.what}"
    inferred = types if isinstance(types, tuple) else (types,)
    if inferred != tuple(tensor.type for tensor in node.outputs):
        return f"{node!r} has types that differ from the inferred ones, {inferred}"
    body = node.op.body
    return (
        next((w for inner in body.nodes if (w := _check_node(inner, known))), None)
        if body
        else None
    )


def _check_schedule(before: Graph, schedule: Schedule) -> str | None:
    if len(schedule.order) != len(before.operations) or set(schedule.order) != set(
        before.operations
    ):
        return "the schedule does not hold every operation once"
    done = {tensor.node for tensor in (*before.inputs, *before.parameters)}
    for node in schedule.order:
        if any(tensor.node not in done for tensor in node.inputs):
            return f"{node!r} is scheduled before something it needs"
        done.add(node)
    return None


def _check_plan(plan: Plan) -> str | None:
    wrong = _check_contents(plan)
    if wrong is not None:
        return wrong
    sizes = dict(zip(plan.names, SAMPLE_SIZES * len(plan.names), strict=False))
    if next(iter(collisions(plan, plan.layout(sizes))), None) is not None:
        return "two live buffers share memory"
    return None


def _check_contents(plan: Plan) -> str | None:
    """Follow what each buffer holds, step by step: every value is read before it is overwritten."""
    place = [value.buffer for value in plan.values]
    content = list(range(len(plan.values)))  # of each value: what its buffer must hold; views share
    outside = (*plan.inputs, *plan.parameters, *(number for number, _ in plan.constants))
    held = {place[number]: number for number in outside}
    for position, step in enumerate(plan.steps):
        what = f"step {position} ({step.op.name})"
        for number in step.inputs:
            buffer = plan.buffers[place[number]]
            live = buffer.first <= position <= buffer.last
            if not live or held.get(place[number]) != content[number]:
                return f"{what} reads a value that is not live"
        if step.view:
            content[step.outputs[0]] = content[step.inputs[0]]
            continue
        for output, number in enumerate(step.outputs):
            over = {other for other in step.inputs if place[other] == place[number]}
            may = {step.inputs[i] for i in step.op.overwrites(output, len(step.inputs))}
            if len(over) > 1 or not over <= may:
                return f"{what} writes over what it still reads"
            held[place[number]] = number
    if any(held.get(place[number]) != content[number] for number in plan.results):
        return "a result is never computed, or is overwritten"
    return None


def sample(graph: Graph, arrays: Arrays | None = None) -> Sample:
    """Values for the inputs and parameters of a graph, to compare before and after on.

    arrays: the inputs, when the caller has some; otherwise they are drawn: small whole numbers
            for integers, a normal distribution for floats
    """
    values: dict[Tensor, NDArray[Any]] = {}
    sizes: dict[str, int] = {}
    if arrays is None:
        names = sorted(names_of(size for tensor in graph.inputs for size in tensor.shape))
        sizes.update(zip(names, SAMPLE_SIZES * len(names), strict=False))
    else:
        for tensor, array in zip(graph.inputs, arrays, strict=True):
            found = (
                solve(size, n, sizes) for size, n in zip(tensor.shape, array.shape, strict=True)
            )
            sizes.update(pair for pair in found if pair is not None)
    generator = np.random.default_rng(0)
    for position, tensor in enumerate(graph.inputs):
        given = arrays[position] if arrays is not None else None
        values[tensor] = drawn(tensor.type.bind(sizes), generator) if given is None else given
    for parameter in graph.parameters:
        known = parameter.has_value
        values[parameter] = parameter.value if known else drawn(parameter.type, generator)
    return values, sizes


def drawn(kind: TensorType, generator: np.random.Generator) -> NDArray[Any]:
    """A random array of a static type."""
    shape: Any = kind.shape
    floating = is_floating(kind.dtype)
    values = generator.standard_normal(shape) if floating else generator.integers(0, 2, shape)
    return np.asarray(values).astype(kind.dtype)


def differs(before: Graph, after: Graph, values: Sample) -> str | None:
    """Where two graphs disagree on a sample, or None.

    Rounding may differ, by a tolerance relative to the largest element; and a result that was
    not finite may have become finite, which is what numerically stable rewrites are for.
    Raises InputError when the graph before can't be run on the sample.
    """
    bindings, sizes = values
    try:
        old = evaluate_graph(before, bindings, sizes)
    except (InputError, ShapeError) as error:
        raise InputError(
            f"check: the graph can't be run on these values: {error.what}",
            details=[
                (str(tensor.name), f"shape {bindings[tensor].shape}") for tensor in before.inputs
            ],
            source=error.source,
            hint="give it values that fit: check=[an array for each input]",
        ) from error
    try:
        new = evaluate_graph(after, bindings, sizes)
    except Exception as error:
        return f"it can't be run any more: {type(error).__name__}: {error.args[0]}"
    for position, (left, right) in enumerate(zip(old, new, strict=True)):
        if left.shape != right.shape or left.dtype != right.dtype:
            return f"result {position}: {left.dtype}{left.shape} became {right.dtype}{right.shape}"
        wrong = _disagreement(left, right)
        if wrong is not None:
            return f"result {position}: {wrong}"
    return None


def incomparable(graph: Graph, values: Sample) -> list[int]:
    """The results of which a sample tells nothing: nowhere finite, though there are elements."""
    results = evaluate_graph(graph, *values)
    return [
        position
        for position, array in enumerate(results)
        if is_floating(array.dtype) and array.size and not np.isfinite(array).any()
    ]


def _disagreement(left: NDArray[Any], right: NDArray[Any]) -> str | None:
    if not is_floating(left.dtype):
        if np.array_equal(left, right):
            return None
        count = int((left != right).sum())
        return (
            f"{count} of {left.size} {'booleans' if is_boolean(left.dtype) else 'integers'} differ"
        )
    wide, other = left.astype(np.float64), right.astype(np.float64)
    finite = np.isfinite(wide)
    if not finite.any():
        return None
    scale = max(float(np.abs(wide[finite]).max()), 1.0)
    with np.errstate(all="ignore"):
        error = np.where(finite, np.abs(wide - other), 0.0)
    worst = float(np.nan_to_num(error, nan=np.inf).max())
    tolerance = _TOLERANCE[left.dtype.name] * scale
    if worst <= tolerance:
        return None
    return f"values differ by up to {worst:.3g}, more than {tolerance:.3g}"
