"""The engine: one sweep over a graph, applying named rules to each node until none applies.

before, with the rules `1 × x → x` and `exp(x) - 1 → expm1(x)`::

    graph(x: f32[n]) {
      %0: f32[] = constant(value=f32[]{1.0})
      %1: f32[n] = exp(x)
      %2: f32[n] = subtract(%1, %0)
      %3: f32[n] = multiply(%0, %2)
      return %3
    }

after::

    graph(x: f32[n]) {
      %0: f32[n] = expm1(x)
      return %0
    }

The sweep goes from the inputs to the results, so each node is looked at when its operands are in
their final form, and nodes that a rule makes are looked at in turn. A rule looks at a node and at
what the node is computed from, never at who reads it; therefore nothing that is settled can become
rewritable later, and one sweep reaches the fixpoint. Nodes of the same operator and operands are
merged as they settle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

from graphwright.compiler.log import Log
from graphwright.compiler.rules.rule import Declined, Match, Rule
from graphwright.graph.errors import CompileError
from graphwright.graph.graph import Graph, ancestors, copy_node
from graphwright.graph.node import Node, derived
from graphwright.graph.operator import Operator
from graphwright.graph.source import Source
from graphwright.graph.tensor import Tensor

MOST_REWRITES = 100
"""At one node of the given graph, those of the nodes made in its place included."""


class RuleSet:
    """Rules, found by the class of a node's operator; the ones that ask for most come first."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._found: dict[type[Operator], tuple[Rule, ...]] = {}

    def of(self, operator: type[Operator]) -> tuple[Rule, ...]:
        """The rules to try at a node of this operator."""
        if operator not in self._found:
            rules = [rule for rule in self.rules if rule.concerns(operator)]
            self._found[operator] = tuple(sorted(rules, key=lambda rule: -rule.weight))
        return self._found[operator]


def rewrite(graph: Graph, rules: RuleSet, log: Log, *, composites: bool = True) -> Graph:
    """`graph` with the rules applied until none applies, and with equal nodes merged.

    composites: whether rules may put composite operators in; not once they have been decomposed
    Raises CompileError when rules undo each other, or change a type.
    """
    sweep = _Sweep(graph, rules, log, composites)
    for node in graph.nodes:
        sweep.visit(node)
    result = graph.replaced(sweep.final)
    if result is not graph:
        sweep.log_dead_code(graph, result)
    return _with_joined_sources(result, sweep.merged)


class _Sweep:
    """The state of one sweep.

    final:     the settled form of every tensor seen, those of the given graph included
    settled:   the tensors in their final form
    known:     the nodes seen, by operator and operands, to merge equal ones
    original:  for each node, the one of the given graph in whose place it stands
    merged:    for a settled node, the nodes that were merged into it
    rewritten: the nodes of the given graph that were merged or rewritten
    place:     the node of the given graph that is being settled
    trail:     the rules applied in its place
    """

    def __init__(self, graph: Graph, rules: RuleSet, log: Log, composites: bool) -> None:
        self.rules = rules
        self.log = log
        self.composites = composites
        self.final: dict[Tensor, Tensor] = {}
        self.settled: set[Tensor] = set(graph.inputs)
        self.known: dict[tuple[Any, ...], Node] = {}
        self.original: dict[Node, Node] = {}
        self.merged: dict[Node, list[Node]] = {}
        self.rewritten: set[Node] = set()
        self.place: Node
        self.trail: list[str] = []

    def visit(self, node: Node) -> None:
        """Settle a node of the given graph; the nodes that it needs are settled already."""
        self.place = node
        self.trail = []
        self._settle(node)

    def log_dead_code(self, before: Graph, after: Graph) -> None:
        """Report what was neither rewritten nor is needed any more."""
        needed = set(after.operations)
        dead = [
            node
            for node in before.operations
            if node not in self.rewritten
            and not any(self.final[tensor].node in needed for tensor in node.outputs)
        ]
        if dead:
            names = ", ".join(dict.fromkeys(node.op.name for node in dead))
            count = "1 node is" if len(dead) == 1 else f"{len(dead)} nodes are"
            self.log.applied("dead_code", f"{count} no longer needed: {names}", dead)

    def _settle(self, node: Node) -> None:
        """Enter the final form of the node's outputs in `final`.

        Calls itself for the nodes that rules make; the depth is bounded by MOST_REWRITES.
        """
        fresh = copy_node(node, self.final)
        self.original.setdefault(fresh, self.place)
        outputs = None if fresh.op.leaf else self._merge(fresh) or self._rewrite(fresh)
        if outputs is None:
            outputs = fresh.outputs
            self.settled.update(outputs)
        for tensors in (node.outputs, fresh.outputs):
            self.final.update(zip(tensors, outputs, strict=True))

    def _merge(self, node: Node) -> Sequence[Tensor] | None:
        """The final outputs of an earlier node that computes the same, if there is one."""
        operands = [id(tensor) for tensor in node.inputs]  # alive as long as the node is known
        key = (node.op, *(sorted(operands) if node.op.commutative else operands))
        twin = self.known.setdefault(key, node)
        if twin is node:
            return None
        if twin.outputs[0] not in self.final:  # it is being rewritten, and has led back to itself
            raise self._endless()
        same = "of the same operands is computed" if node.inputs else "of the same value is kept"
        what = f"{node.op.name} {same} once"
        if not self.log.applied("common_subexpression", what, self._originals([twin, node])):
            return None
        outputs = [self.final[tensor] for tensor in twin.outputs]
        kept = outputs[0].node
        if kept.inputs and self.original.get(kept) is self.original[twin]:
            self.merged.setdefault(kept, []).append(node)
        self.rewritten.add(self.place)
        return outputs

    def _rewrite(self, node: Node) -> Sequence[Tensor] | None:
        """The final form of what the first rule that applies makes of the node, if one does."""
        declined: list[tuple[Rule, Declined]] = []
        for rule in self.rules.of(type(node.op)):
            outcome = rule.attempt(node)
            if isinstance(outcome, Declined):
                declined.append((rule, outcome))
            elif outcome is not None and self._allowed(rule, node, outcome):
                nodes = self._originals(outcome.nodes)
                if self.log.applied(rule.name, rule.text, nodes):
                    return self._settle_made(rule, outcome.replacement)
        for rule, refusal in declined:
            self.log.declined(rule.name, refusal.reason, self._originals([node]))
        return None

    def _allowed(self, rule: Rule, node: Node, match: Match) -> bool:
        before = [tensor.type for tensor in node.outputs]
        after = [tensor.type for tensor in match.replacement]
        if before != after:
            raise CompileError(
                f"the rule {rule.name} makes {after} of {before}",
                source=node.source,
                hint="a rewrite must keep the types",
            )
        made = ancestors(match.replacement, stop=self.settled)
        return self.composites or not any(node.op.composite for node in made)

    def _settle_made(self, rule: Rule, replacement: Sequence[Tensor]) -> list[Tensor]:
        self.rewritten.add(self.place)
        self.trail.append(rule.name)
        if len(self.trail) > MOST_REWRITES:
            raise self._endless()
        for made in list(ancestors(replacement, stop=self.settled)):
            self._settle(made)
        return [self.final.get(tensor, tensor) for tensor in replacement]

    def _originals(self, nodes: Sequence[Node]) -> list[Node]:
        return list(dict.fromkeys(self.original.get(node, node) for node in nodes))

    def _endless(self) -> CompileError:
        rules = ", ".join(dict.fromkeys(self.trail[-6:]))
        return CompileError(
            f"the rewriting of {self.place!r} does not end; the last rules were {rules}",
            source=self.place.source,
            hint="these rules undo each other: change the one that makes what the other rewrites",
        )


def _with_joined_sources(graph: Graph, merged: dict[Node, list[Node]]) -> Graph:
    """The graph where each node also carries the lines of the nodes that were merged into it."""
    new: dict[Tensor, Tensor] = {}
    for node in graph.nodes:
        source = reduce(Source.__or__, (n.source for n in merged.get(node, ())), node.source)
        if source is not node.source:
            with derived(node.origin._replace(source=source)):
                outputs = node.op.apply(*(new.get(tensor, tensor) for tensor in node.inputs))
            new.update(zip(node.outputs, outputs, strict=True))
        else:
            copy_node(node, new)
    return graph.replaced(new)
