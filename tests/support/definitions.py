"""What every operator gives, by definitions that share nothing with its kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from graphwright.graph.dim import evaluate
from graphwright.graph.graph import Graph
from graphwright.testing.example import defined


def fused(*arrays: np.ndarray, kind: str, graph: Graph) -> tuple[np.ndarray, ...]:
    return run(graph, arrays)


def native(*arrays: np.ndarray, kind: str, graph: Graph) -> tuple[np.ndarray, ...]:
    return run(graph, arrays)


def barrier(x: np.ndarray, *after: np.ndarray) -> np.ndarray:
    return x


def checkpoint(*arrays: np.ndarray, graph: Graph) -> tuple[np.ndarray, ...]:
    return run(graph, arrays)


def custom_gradient(*arrays: np.ndarray, forward: Graph, backward: Graph) -> tuple[np.ndarray, ...]:
    return run(forward, arrays)


def cond(
    condition: np.ndarray, *operands: np.ndarray, then: Graph, otherwise: Graph
) -> tuple[np.ndarray, ...]:
    return [run(otherwise, operands), run(then, operands)][int(condition)]


def while_loop(
    *x: np.ndarray, condition: Graph, step: Graph, carried: int, bound: int | None
) -> tuple[np.ndarray, ...]:
    (goes_on,) = run(condition, x)
    if not goes_on or bound == 0:
        return x[:carried]
    rest = None if bound is None else bound - 1
    again = (*run(step, x), *x[carried:])
    return while_loop(*again, condition=condition, step=step, carried=carried, bound=rest)


def scan(
    *x: np.ndarray, step: Graph, carried: int, slices: int, length: int, reverse: bool
) -> tuple[np.ndarray, ...]:
    state, operands = x[:carried], x[carried + slices :]
    rows = list(zip(*x[carried : carried + slices], strict=True)) if slices else [()] * length
    written: list[Any] = []
    for row in rows[::-1] if reverse else rows:
        results = run(step, [*state, *row, *operands])
        state = results[:carried]
        written.append(results[carried:])
    shapes = [evaluate(out.shape, {}) for out in step.outputs[carried:]]
    columns = zip(*(written[::-1] if reverse else written), strict=True) if written else shapes
    stacked = [
        np.reshape(c, (length, *s)) if written else np.empty((0, *c))
        for c, s in zip(columns, shapes, strict=True)
    ]
    return (*state, *stacked)


def run(graph: Graph, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Operation by operation, by the definition of each."""
    values = dict(zip(graph.inputs, arrays, strict=True))
    for node in graph.operations:
        given = [values[tensor] for tensor in node.inputs]
        results = defined(node.op, given, definitions[node.op.name])
        values.update(zip(node.outputs, results, strict=True))
    return tuple(values[tensor] for tensor in graph.outputs)


def _collected() -> dict[str, Callable[..., Any]]:
    """Those of every family: the files beside this one that are named `*_definitions.py`."""
    found: dict[str, Callable[..., Any]] = {
        function.__name__: function
        for function in (
            fused,
            native,
            barrier,
            checkpoint,
            custom_gradient,
            cond,
            scan,
            while_loop,
        )
    }
    for path in sorted(Path(__file__).parent.glob("*_definitions.py")):
        family = import_module(f"support.{path.stem}").definitions
        assert not found.keys() & family.keys(), f"{path.stem} defines again what others do"
        found.update(family)
    return found


definitions = _collected()
