"""The oracle: run any graph, before or after any pass, by its operators' NumPy kernels."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from graphwright.graph.errors import GraphError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Parameter
from graphwright.graph.source import here
from graphwright.runtime.arguments import bind


def interpret(
    graph: Graph, *arrays: object, **named: object
) -> tuple[tuple[NDArray[Any], ...], dict[Parameter, NDArray[Any]]]:
    """The outputs of a graph, and the next values of the parameters it updates.

    Arrays are given in the order of the graph's inputs, or by name. Parameters are read, and not
    written; results are the caller's own. Raises GraphError for what is no graph, InputError for
    arrays that do not fit, and what kernels raise, located.
    """
    if not isinstance(graph, Graph):
        raise GraphError(
            f"only graphs can be interpreted, got {graph!r}",
            source=here(),
            hint="make one: gw.Graph([x], [y])",
        )
    values, sizes = bind(graph.inputs, arrays, named)
    bindings = dict(zip(graph.inputs, values, strict=True))
    bindings.update({parameter: parameter.value for parameter in graph.parameters})
    # Kernels may have given views of the inputs, and of one another.
    results = tuple(array.copy() for array in evaluate_graph(graph, bindings, sizes))
    count = len(graph.outputs)
    return results[:count], dict(zip(graph.updates, results[count:], strict=True))
