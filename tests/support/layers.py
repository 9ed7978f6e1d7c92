"""Graphs of what layers and optimizers build, run by the interpreter."""

from graphwright.graph.graph import Graph, ancestors
from graphwright.graph.leaf import Parameter
from graphwright.runtime.interpret import interpret


def graph_of(tensor, updates=None):
    """The graph of a tensor, its inputs found."""
    leaves = [node.outputs[0] for node in ancestors([tensor]) if node.op.leaf]
    return Graph([leaf for leaf in leaves if not isinstance(leaf, Parameter)], [tensor], updates)


def value(tensor, **arrays):
    """The value of one tensor."""
    graph = graph_of(tensor)
    return interpret(graph, *(arrays[leaf.name] for leaf in graph.inputs))[0][0]


def step(graph, **arrays):
    """Run a graph once, parameters updated; its outputs."""
    results, updates = interpret(graph, **arrays)
    for changed, array in updates.items():
        changed.value = array
    return results
