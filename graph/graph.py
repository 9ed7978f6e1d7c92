"""The graph: inputs, outputs and updates, frozen, with its nodes in a deterministic order."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from graphwright.graph.dim import Size, Sizes
from graphwright.graph.display import Displayed
from graphwright.graph.errors import GraphError
from graphwright.graph.leaf import Parameter, ParameterLeaf
from graphwright.graph.node import Node, derived
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor
from graphwright.graph.text import tensor_names, text

if TYPE_CHECKING:
    import networkx


class Graph(Displayed):
    """What to compute: `outputs` from `inputs`, and the next values of parameters.

    Frozen. Two graphs are equal when they have the same structure: the same operators in the same
    places, the same types, and inputs and parameters of the same names; scopes, sources and
    parameter values don't count.

    Raises GraphError for an output that depends on an input not listed, for a name used twice, for
    an update of what is no parameter or of the wrong type.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        updates: Mapping[Parameter, Tensor] | None = None,
    ) -> None:
        self.inputs = _tensors(inputs, "inputs")
        self.outputs = _tensors(outputs, "outputs")
        if not isinstance(updates, Mapping | None):
            raise GraphError(f"updates map parameters to tensors, got {updates!r}", source=here())
        self.updates: dict[Parameter, Tensor] = dict(updates or {})
        _tensors(list(self.updates.values()), "values of the updates")
        self._check()

    @cached_property
    def results(self) -> tuple[Tensor, ...]:
        """Everything it computes: the outputs, then the updates' new values."""
        return (*self.outputs, *self.updates.values())

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node but the inputs', each after those it needs; the order follows structure."""
        listed = {tensor.node for tensor in self.inputs}
        return tuple(node for node in ancestors(self.results) if node not in listed)

    @cached_property
    def operations(self) -> tuple[Node, ...]:
        """The nodes that compute something: `nodes` without the parameters."""
        return tuple(node for node in self.nodes if not node.op.leaf)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters it reads or updates, by first use."""
        used = [cast(Parameter, n.outputs[0]) for n in self.nodes if n.op.leaf]
        return tuple(dict.fromkeys([*used, *self.updates]))

    @cached_property
    def consumers(self) -> dict[Tensor, tuple[Node, ...]]:
        """For each tensor, the nodes that read it, once per read; results are not reads."""
        readers: dict[Tensor, list[Node]] = {}
        for node in self.nodes:
            for tensor in node.inputs:
                readers.setdefault(tensor, []).append(node)
        return {tensor: tuple(nodes) for tensor, nodes in readers.items()}

    @cached_property
    def flops(self) -> Size:
        """The floating-point operations of all its nodes."""
        total: Size = 0
        for node in self.operations:
            total = total + node.op.flops(*(tensor.type for tensor in node.inputs))
        return total

    @cached_property
    def depth(self) -> int:
        """How deep graphs lie within graphs: 1 when its operators hold none."""
        inner = (graph.depth for node in self.operations for graph in node.op.graphs.values())
        return 1 + max(inner, default=0)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """The structure, hashable: what equality compares."""
        number: dict[Tensor, int] = {}
        for tensor in self.inputs:
            number[tensor] = len(number)
        rows = []
        for node in self.nodes:
            rows.append((node.op, tuple(number[tensor] for tensor in node.inputs)))
            for tensor in node.outputs:
                number[tensor] = len(number)
        return (
            tuple((tensor.name, tensor.type) for tensor in self.inputs),
            tuple(rows),
            tuple(number[tensor] for tensor in self.outputs),
            tuple((p.name, p.type, number[tensor]) for p, tensor in self.updates.items()),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and (self is other or self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def symbolic(self) -> bool:
        """True when a type or an attribute holds a symbolic size."""
        return any(not tensor.type.static for tensor in self.inputs) or any(
            node.op.symbolic for node in self.nodes
        )

    def bind(self, sizes: Sizes) -> Graph:
        """The same graph for concrete sizes of the named dimensions."""
        if not self.symbolic:
            return self
        new: dict[Tensor, Tensor] = {}
        for tensor in self.inputs:
            with derived(tensor.node.origin):
                new[tensor] = tensor.node.op.bind(sizes)()
        for node in self.nodes:
            copy_node(node, new, node.op.bind(sizes))
        return self.replaced(new, inputs=[new[tensor] for tensor in self.inputs])

    def replaced(
        self, new: Mapping[Tensor, Tensor], inputs: Sequence[Tensor] | None = None
    ) -> Graph:
        """The graph whose results are looked up in `new`; itself when nothing changed."""
        outputs = [new.get(tensor, tensor) for tensor in self.outputs]
        updates = {p: new.get(tensor, tensor) for p, tensor in self.updates.items()}
        same = inputs is None and all(
            old is now for old, now in zip(self.results, [*outputs, *updates.values()], strict=True)
        )
        return self if same else Graph(self.inputs if inputs is None else inputs, outputs, updates)

    def to_networkx(self) -> networkx.MultiDiGraph:
        """The graph for analysis with networkx.

        Nodes are numbered, inputs first, then as in `nodes`, and have `op`, `tensors` (as printed),
        `types`, `scope`, `phase`, `source`. Edges run from producer to consumer and have `type`,
        `output` (the position at the producer) and `input` (the position at the consumer).
        """
        # Loaded when used: it costs 0.4 s, and few need it.
        result: networkx.MultiDiGraph = importlib.import_module("networkx").MultiDiGraph()
        number = {node: i for i, node in enumerate([*(t.node for t in self.inputs), *self.nodes])}
        names = tensor_names(self)
        for node, i in number.items():
            result.add_node(
                i,
                op=node.op.name,
                tensors=[names[tensor] for tensor in node.outputs],
                types=[str(tensor.type) for tensor in node.outputs],
                scope=node.scope,
                phase=node.phase,
                source=str(node.source),
            )
        for node, i in number.items():
            for position, tensor in enumerate(node.inputs):
                result.add_edge(
                    number[tensor.node],
                    i,
                    type=str(tensor.type),
                    output=tensor.index,
                    input=position,
                )
        return result

    def __str__(self) -> str:
        return text(self, elide=True)

    def __repr__(self) -> str:
        return f"<Graph: {len(self.inputs)} inputs, {len(self.nodes)} nodes>"

    def _check(self) -> None:
        for tensor in self.inputs:
            if not tensor.leaf or isinstance(tensor, Parameter):
                raise GraphError(
                    f"{tensor!r} can't be an input of a graph",
                    source=tensor.node.source,
                    hint="inputs are made by gw.input; parameters need not be listed",
                )
        listed = {tensor.node for tensor in self.inputs}
        for parameter, value in self.updates.items():
            if not isinstance(parameter, Parameter):
                raise GraphError(
                    f"only parameters can be updated, got {parameter!r}",
                    source=here(),
                    hint="updates map gw.parameter(...) to its next value",
                )
            if parameter.type != value.type:
                raise GraphError(
                    f"the update of parameter {parameter.name!r} has another type: "
                    f"{value.type}, not {parameter.type}",
                    details=[("value", value.describe()), ("parameter", parameter.describe())],
                    source=value.node.source,
                )
        for node in self.nodes:
            if node.op.leaf and not isinstance(node.outputs[0], Parameter) and node not in listed:
                within = "arguments of functions for loops and branches mean nothing outside them"
                raise GraphError(
                    f"the result depends on input {node.outputs[0].name!r}, which is not listed",
                    details=[("input", node.outputs[0].describe())],
                    source=node.source,
                    hint="add it to the inputs" if node.source.lines else within,
                )
        names: dict[str | None, Tensor] = {}
        for tensor in (*self.inputs, *self.parameters):
            if tensor.name in names:
                raise GraphError(
                    f"two inputs or parameters are named {tensor.name!r}",
                    details=[
                        ("first", names[tensor.name].describe()),
                        ("second", tensor.describe()),
                    ],
                    source=tensor.node.source,
                    hint="give one of them another name",
                )
            names[tensor.name] = tensor


def _tensors(given: Sequence[Tensor], what: str) -> tuple[Tensor, ...]:
    if isinstance(given, Tensor) or not isinstance(given, Iterable):
        raise GraphError(
            f"the {what} of a graph are a sequence of tensors, got {given!r}", source=here()
        )
    tensors = tuple(given)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise GraphError(
                f"the {what} of a graph must be tensors, got {tensor!r}",
                source=here(),
                hint="wrap arrays with gw.constant",
            )
    return tensors


def ancestors(
    tensors: Iterable[Tensor], stop: frozenset[Tensor] | set[Tensor] = frozenset()
) -> Iterator[Node]:
    """The nodes that `tensors` need, their own included, each after those it needs.

    Nothing beyond the tensors in `stop` is visited.
    """
    done: set[Node] = set()
    for tensor in tensors:
        if tensor in stop or tensor.node in done:
            continue
        stack = [(tensor.node, iter(tensor.node.inputs))]
        done.add(tensor.node)
        while stack:
            node, rest = stack[-1]
            for needed in rest:
                if needed not in stop and needed.node not in done:
                    done.add(needed.node)
                    stack.append((needed.node, iter(needed.node.inputs)))
                    break
            else:
                stack.pop()
                yield node


def copy_node(node: Node, new: dict[Tensor, Tensor], op: Any = None) -> Node:
    """`node` on the new tensors of its inputs (and, if given, with another operator).

    The same node when nothing changed; enters the outputs in `new`.
    """
    inputs = [new.get(tensor, tensor) for tensor in node.inputs]
    pairs = list(zip(node.inputs, inputs, strict=True))
    same = op is None or op is node.op
    if (same and all(old is now for old, now in pairs)) or isinstance(node.op, ParameterLeaf):
        return node
    if same and all(old.type is now.type or old.type == now.type for old, now in pairs):
        # An operator's types follow from those of its inputs: no need to infer them again.
        types = [tensor.type for tensor in node.outputs]
        copy = Node(node.op, inputs, types, origin=node.origin)
    else:
        with derived(node.origin):
            copy = (node.op if op is None else op).apply(*inputs)[0].node
    new.update(zip(node.outputs, copy.outputs, strict=True))
    return copy
