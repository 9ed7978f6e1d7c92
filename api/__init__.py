"""Graphwright: a static computation-graph compiler for NumPy.

>>> import graphwright as gw
>>> x = gw.input("x", ("batch", 3))
>>> y = (x * 2 + 1).sum(axis=1)
"""

from graphwright import ops
from graphwright.graph.dim import dim
from graphwright.graph.leaf import constant, input, parameter
from graphwright.graph.node import scope

__all__ = ["constant", "dim", "input", "ops", "parameter", "scope"]
