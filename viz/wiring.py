"""How values get into and out of the graphs that an operator holds: its branches, its loop's body.

An operand is the same to a branch as to the graph around it. To the body of a loop it may be more:
`carried` from step to step, or a sequence of which each step reads a `slice`.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphwright.graph.node import Node
from graphwright.ops.cond import Cond
from graphwright.ops.scan import Scan
from graphwright.ops.while_loop import WhileLoop


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where the inputs of a node go, and what becomes of the outputs of its graphs.

    first:   the place of the operand that is the first input of each graph; the operator itself
             reads those before it
    carried: how many inputs of each graph are carried
    slices:  how many are slices, behind those
    step:    the graph whose first outputs are what is carried on; empty for none
    """

    first: int = 0
    carried: int = 0
    slices: int = 0
    step: str = ""

    def port(self, place: int) -> str:
        """What input `place` of a graph is to it; empty for what the operand itself is."""
        if place < self.carried:
            return "carried"
        return "slice" if place < self.carried + self.slices else ""


def wiring_of(node: Node) -> Wiring:
    """The wiring of a node that holds graphs."""
    op = node.op
    if isinstance(op, Scan):
        return Wiring(0, op.carried, op.slices, "step")
    if isinstance(op, WhileLoop):
        return Wiring(0, op.carried, 0, "step")
    return Wiring(1 if isinstance(op, Cond) else 0)
