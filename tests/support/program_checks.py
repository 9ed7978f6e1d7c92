"""What programs as tests share: compiled with every check, compared, differentiated by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphwright as gw
from graphwright.compiler.verify import sample
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.structure import flatten
from graphwright.graph.tensor import Tensor

STEP = 1e-30


def compiled(inputs: Sequence[Tensor], outputs: Any, check: Any = True) -> gw.CompiledFunction:
    """The program, every pass of it checked; its text is the same graph when it is read again.

    check: True, or arrays to check on, where the drawn ones give no numbers to compare
    """
    graph = Graph(inputs, flatten(outputs))
    assert gw.parse(gw.text(graph)) == graph
    drawn = evaluate_graph(graph, *sample(graph, None if check is True else check))
    assert all(np.isfinite(array).any() for array in drawn)
    return gw.compile(inputs, outputs, check=check)


def assert_close(found: Any, wanted: Any, tolerance: float = 1e-9) -> None:
    """Equal structures of arrays, to a part of the largest number in each array."""
    ours, theirs = flatten(found), flatten(wanted)
    assert len(ours) == len(theirs)
    for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        other = np.asarray(other)
        assert one.shape == other.shape, i
        scale = np.abs(other[np.isfinite(other)]).max(initial=0)
        np.testing.assert_allclose(one, other, tolerance, tolerance * scale, err_msg=f"output {i}")


def slope(
    function: Callable[..., Any], arrays: Sequence[np.ndarray], place: int, along: np.ndarray
) -> float:
    """How a scalar function moves when the array at `place` moves in a direction, to rounding.

    The imaginary part of a tiny imaginary step has no difference in it, so that nothing cancels;
    the function must be analytic, and branch on real parts.
    Source: Squire and Trapp, Using complex variables to estimate derivatives of real functions,
    1998.
    """
    moved = [array.astype(complex) if i == place else array for i, array in enumerate(arrays)]
    moved[place] = moved[place] + 1j * STEP * along
    return float(np.imag(function(*moved)) / STEP)


def assert_gradients(
    function: Callable[..., Any],
    arrays: Sequence[np.ndarray],
    gradients: Sequence[np.ndarray],
    tolerance: float = 1e-9,
) -> None:
    """The gradients of a scalar NumPy function by its first arrays: each along a direction that
    no other array moves in."""
    random = np.random.default_rng(5)
    for place, gradient in enumerate(gradients):
        assert gradient.shape == arrays[place].shape, place
        along = random.normal(size=gradient.shape)
        wanted = slope(function, arrays, place, along)
        scale = float(np.abs(gradient * along).sum())
        found = float((gradient * along).sum())
        assert abs(found - wanted) <= tolerance * max(scale, 1e-4), (place, found, wanted)
