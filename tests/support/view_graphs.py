"""What graphs to be drawn are made of."""

import numpy as np

import graphwright as gw
from graphwright import ops
from graphwright.graph.graph import Graph
from graphwright.graph.node import Origin, derived


def ones(*shape):
    """Ones in single precision."""
    return np.ones(shape, np.float32)


def blocks(count, size, *, scoped=True):
    """`count` blocks of `size` operations each, with a gradient and an update for each block."""
    x = gw.input("x", (4,))
    updates, y = {}, x
    for i in range(count):
        with gw.scope(f"block_{i}") if scoped else gw.scope("all"), gw.scope("inner"):
            w = gw.parameter(f"w{i}", ones(4))
            y = y * w
            for _ in range(size):
                y = ops.exp(y)
            with derived(Origin(f"block_{i}/inner" if scoped else "", phase="backward")):
                gradient = y * y
        updates[w] = w - gradient
    return Graph([x], [y], updates)
