"""Random well-typed graphs over the whole vocabulary, for property tests with hypothesis.

    @given(graphs(), st.data())
    def test(graph, data):
        sizes = data.draw(draw_sizes(graph))
        arrays = data.draw(draw_arrays(graph, sizes))

A graph grows one operation at a time. Operators are found in the registry and used as their own
cases say: an operand is brought `Within` the bounds that a case gives it, attributes are a case's.
While it grows, the graph is run on sample arrays, and again on arrays moved by a millionth: an
operation that is not finite, large, or badly conditioned there is taken back. What jumps (floor,
a comparison, an argmax) is only ever applied to values that no rewrite can round differently. So
two runs of one graph in different orders of evaluation agree to about their dtype's precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import note
from hypothesis import strategies as st

from graphwright.graph.dim import names_of
from graphwright.graph.errors import GraphwrightError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from support.control_moves import CONTROL_MOVES
from support.moves import MOVES
from support.sketch import SAMPLE_SIZES, Array, Draw, Sketch, elements, tame


@st.composite
def graphs(
    draw: Draw,
    steps: int = 12,
    dtypes: Sequence[Any] = (np.float32, np.float64),
    symbolic: bool = True,
    gradients: bool = True,
) -> Graph:
    """A graph of about `steps` operations, its floats all of one dtype.

    symbolic:  sizes may be the names n and m
    gradients: some outputs may be gradients, of a sum of some tensor by some inputs
    """
    sketch = Sketch(np.dtype(draw(st.sampled_from(list(dtypes)))), symbolic)
    for _ in range(draw(st.integers(1, 3))):
        sketch.add_input(draw)
    for _ in range(draw(st.integers(0, 2))):
        sketch.add_parameter(draw)
    for _ in range(draw(st.integers(1, steps))):
        sketch.step(draw, draw(st.sampled_from([*MOVES, *CONTROL_MOVES])))
    outputs = [sketch.pool[-1], *(sketch.pick(draw) for _ in range(draw(st.integers(0, 2))))]
    if gradients and draw(st.booleans()):
        outputs += sketch.gradients(draw)
    updates = {p: sketch.update(draw, p) for p in sketch.parameters if draw(st.booleans())}
    graph = Graph(sketch.inputs, outputs, updates)
    note(str(graph))
    return graph


def draw_sizes(graph: Graph) -> st.SearchStrategy[dict[str, int]]:
    """Numbers for the named dimensions of `graph`, with which it runs: 0 and 1 among them."""
    names = sorted(names_of(size for tensor in graph.inputs for size in tensor.shape))
    drawn = st.fixed_dictionaries({name: st.integers(0, 6) for name in names})
    # Kernels may refuse sizes, as that of an empty maximum does.
    sure = {name: SAMPLE_SIZES[name] for name in names}
    return drawn.map(lambda sizes: sizes if _runs(graph, sizes) else sure)


def draw_arrays(graph: Graph, sizes: dict[str, int]) -> st.SearchStrategy[list[Array]]:
    """An array for each input: floats from -2 to 2, integers from -4 to 4."""
    return st.integers(0, 2**32 - 1).map(lambda seed: _arrays(graph, sizes, seed))


def _arrays(graph: Graph, sizes: dict[str, int], seed: int) -> list[Array]:
    random = np.random.default_rng(seed)
    return [elements(tensor.type.bind(sizes), random) for tensor in graph.inputs]


def _runs(graph: Graph, sizes: dict[str, int]) -> bool:
    values = dict(zip(graph.inputs, _arrays(graph, sizes, 0), strict=True))
    values.update({parameter: parameter.value for parameter in graph.parameters})
    try:
        results = evaluate_graph(graph, values, sizes)
    except (ValueError, IndexError, GraphwrightError):
        return False
    return all(tame(result) for result in results)
