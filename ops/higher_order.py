"""What operators share that hold graphs and run them: branches and the bodies of loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from graphwright.graph.backpropagate import pulled_back
from graphwright.graph.batch import batched, repeated
from graphwright.graph.closure import DEEPEST, Closure, close, inline, too_deep
from graphwright.graph.dim import Size
from graphwright.graph.errors import AttributeValueError, DTypeError, GraphError, ShapeError
from graphwright.graph.evaluate import Prepared, evaluate_graph
from graphwright.graph.graph import Graph, ancestors
from graphwright.graph.leaf import Input
from graphwright.graph.node import Origin, derived
from graphwright.graph.operator import Operator
from graphwright.graph.pushforward import pushforward
from graphwright.graph.structure import flatten, form, paths, skeleton
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.convert import as_tensor, common_dtype
from graphwright.ops.creation import zeros_like

Arrays = Sequence[NDArray[Any]]


class HigherOrder(Operator):
    """An operator with graphs among its attributes. They have no parameters and no updates: what
    they need from around them is among the operator's inputs."""

    higher_order = True

    def __post_init__(self) -> None:
        for name, graph in self.graphs.items():
            if not isinstance(graph, Graph) or graph.parameters or graph.updates:
                raise AttributeValueError(
                    f"{self.name}: {name} must be a graph without parameters",
                    hint="make parameters inputs of the inner graph",
                )
            if graph.depth > DEEPEST:
                raise too_deep()

    @cached_property
    def prepared(self) -> dict[str, Prepared]:
        """The graphs by name, ready to run many times: for the kernels of loops."""
        return {name: Prepared(graph) for name, graph in self.graphs.items()}


def check_inputs(what: str, given: Sequence[TensorType], graph: Graph) -> None:
    """Raise ShapeError unless `given` are the types of the inputs of `graph`."""
    expected = [tensor.type for tensor in graph.inputs]
    if len(given) != len(expected):
        raise ShapeError(f"{what} takes {len(expected)} operands, {_are(len(given))} given")
    for i, (mine, its) in enumerate(zip(given, expected, strict=True)):
        if mine != its:
            raise ShapeError(f"{what} takes {its} as operand {i}, {mine} is given")


def _are(count: int) -> str:
    return f"{count} is" if count == 1 else f"{count} are"


def types_of(tensors: Sequence[Tensor]) -> list[TensorType]:
    """The type of each."""
    return [tensor.type for tensor in tensors]


def run(graph: Graph, arrays: Arrays) -> tuple[NDArray[Any], ...]:
    """The outputs of a graph of concrete sizes."""
    return evaluate_graph(graph, dict(zip(graph.inputs, arrays, strict=True)), {})


def placeholders(types: Sequence[TensorType]) -> list[Tensor]:
    """Inputs for a new graph, named in order."""
    with derived(Origin()):
        return [Input(f"x{i}", kind)() for i, kind in enumerate(types)]


def example_graph(types: Sequence[TensorType], outputs: Callable[..., Sequence[Tensor]]) -> Graph:
    """A graph for an operator's own test cases."""
    inputs = placeholders(types)
    with derived(Origin()):
        return Graph(inputs, outputs(*inputs))


def arranged(closure: Closure, arguments: int, captured: Sequence[Tensor]) -> Graph:
    """The graph of a closure, with an input for each of `captured` behind its arguments."""
    inputs = placeholders([*types_of(closure.graph.inputs[:arguments]), *types_of(captured)])
    place = dict(zip(captured, inputs[arguments:], strict=True))
    own = [*inputs[:arguments], *(place[tensor] for tensor in closure.captured)]
    return Graph(inputs, inline(closure.graph, own))


def batched_graph(
    graph: Graph, mapped: Sequence[bool], wanted: Sequence[bool], size: Size
) -> tuple[Graph, list[bool]]:
    """`graph` on many inputs at once, and which of its outputs have an axis for it, in front.

    mapped: the inputs that have the axis
    wanted: the outputs that are to have it in any case
    """
    new: dict[Tensor, Tensor] = {}
    for tensor, has_axis in zip(graph.inputs, mapped, strict=True):
        if has_axis:
            kind = tensor.type.with_shape((size, *tensor.shape))
            with derived(tensor.node.origin):
                new[tensor] = Input(str(tensor.name), kind)()
    found = batched(graph.outputs, new)
    have = [many is not None or needed for many, needed in zip(found, wanted, strict=True)]
    outputs: list[Tensor] = []
    for plain, many, has_axis in zip(graph.outputs, found, have, strict=True):
        with derived(plain.node.origin):
            other = repeated(plain, size) if has_axis and many is None else plain
        outputs.append(other if many is None else many)
    return Graph([new.get(tensor, tensor) for tensor in graph.inputs], outputs), have


def settled_start(
    start: Any, step: Callable[[list[Tensor]], tuple[Closure, Any]]
) -> tuple[list[Tensor], Closure]:
    """The first state, and a step from it. Python numbers get the dtype that a step makes of them,
    as they get that of the other side in arithmetic.

    step: from the first state to the closure of a step, and what it makes of the state
    """
    leaves = flatten(start)
    state = [as_tensor(leaf) for leaf in leaves]
    closure, end = step(state)
    for _ in leaves:  # one that becomes floating may make another so
        made = zip(leaves, state, closure.outputs, strict=False)
        turned = [as_tensor(x, new.dtype) if _takes(x, new) else old for x, old, new in made]
        if skeleton(start) != skeleton(end) or types_of(turned) == types_of(state):
            break
        state = turned
        closure, end = step(state)
    return state, closure


def _takes(leaf: Any, new: Tensor) -> bool:
    """True for a Python number that the dtype leaves what it is."""
    return type(leaf) in (int, float) and common_dtype(leaf, new) == new.dtype


def check_state(
    what: str, start: Any, before: Sequence[Tensor], end: Any, after: Sequence[Tensor]
) -> None:
    """Raise unless what is carried comes out as it goes in: in structure, shape and dtype.

    start, before: the structure, and the tensors in it
    end, after:    those that come out; there may be more tensors
    """
    if skeleton(start) != skeleton(end):
        raise GraphError(
            f"the state starts as {form(start)}, and {what} makes {form(end)} of it",
            hint="what is carried keeps its structure from step to step",
        )
    for name, old, new in zip(paths(start, "state"), before, after, strict=False):
        if old.type == new.type:
            continue
        differs = ShapeError if old.dtype == new.dtype else DTypeError
        raise differs(
            f"{name} starts as {old.type}, and {what} makes {new.type} of it",
            details=[("start", old.describe()), ("after", new.describe())],
            hint="what is carried keeps its shape from step to step"
            if old.dtype == new.dtype
            else _conversion(what, old, new),
        )


def _conversion(what: str, old: Tensor, new: Tensor) -> str:
    """The hint for a state of two dtypes: to convert to the one that can hold both."""
    wider = old if common_dtype(old, new) == old.dtype else new
    side = "the start" if wider is new else f"what {what} makes"
    return f'convert one of them, e.g. {side} with .astype("{wider.dtype.name}")'


def rearranged(graph: Graph, inputs: Sequence[int], outputs: Sequence[int]) -> Graph:
    """`graph` with its inputs and outputs in another order."""
    given = [graph.inputs[i] for i in inputs]
    return close(given, [graph.outputs[i] for i in outputs], lambda node: False).graph


def or_zeros(tensor: Tensor | None, like: Tensor) -> Tensor:
    """A gradient or a tangent; zeros where there is none."""
    return zeros_like(like) if tensor is None else tensor


def pulled_back_graphs(
    graphs: Sequence[Graph], received: Sequence[TensorType | None]
) -> tuple[list[Graph], list[bool]]:
    """The gradients of graphs of the same inputs and outputs, and which of the inputs have one.

    received: the types of the outputs' gradients; None for those that have none
    Each graph takes the inputs and then these gradients, computes its outputs once more, and gives
    the gradients of the inputs that have one in any of the graphs.
    """
    seeds = [None if kind is None else Input(f"g{i}", kind)() for i, kind in enumerate(received)]
    given = [seed for seed in seeds if seed is not None]
    found = [pulled_back(graph.outputs, seeds, graph.inputs) for graph in graphs]
    have = [any(g is not None for g in gradients) for gradients in zip(*found, strict=True)]
    results = []
    for graph, gradients in zip(graphs, found, strict=True):
        pairs = zip(graph.inputs, gradients, have, strict=True)
        outputs = [or_zeros(g, x) for x, g, wanted in pairs if wanted]
        results.append(close([*graph.inputs, *given], outputs, lambda node: False).graph)
    return results, have


def pushed_graph(
    graph: Graph, moves: Sequence[bool], wanted: Sequence[bool]
) -> tuple[Graph, list[bool]]:
    """`graph` with directional derivatives, and which of its outputs have one.

    moves:  the inputs that move; their directions are inputs behind the graph's own
    wanted: the outputs whose tangent is to be there in any case
    The tangents are outputs behind the graph's own.
    """
    pairs = zip(graph.inputs, moves, strict=True)
    directions = {x: Input(f"t{i}", x.type)() for i, (x, m) in enumerate(pairs) if m}
    moving = pushforward(graph.operations, directions)
    tangents: list[Tensor] = []
    have: list[bool] = []
    for output, needed in zip(graph.outputs, wanted, strict=True):
        tangent = moving.get(output)
        have.append(tangent is not None or needed)
        if have[-1]:
            tangents.append(or_zeros(tangent, output))
    inputs = [*graph.inputs, *directions.values()]
    return close(inputs, [*graph.outputs, *tangents], lambda node: False).graph, have


def settled(
    transformed: Callable[..., tuple[Graph, list[bool]]],
    graph: Graph,
    flags: list[bool],
    carried: int,
) -> tuple[Graph, list[bool]]:
    """The body of a loop transformed for inputs with `flags`, and the flags of its outputs.

    transformed: takes the graph, the flags of its inputs, and of its outputs those to be set
    What is carried must come out as it goes in: its flags are set until it does.
    """
    while True:
        wanted = [*flags[:carried], *[False] * (len(graph.outputs) - carried)]
        result, have = transformed(graph, flags, wanted)
        if have[:carried] == flags[:carried]:
            return result, have
        flags[:carried] = have[:carried]


def with_directions(groups: Sequence[Sequence[int]], flags: Sequence[bool]) -> list[list[int]]:
    """Places in groups, each group followed by those of its directions, which lie behind all."""
    moving = [i for i, moves in enumerate(flags) if moves]
    place = {i: len(flags) + k for k, i in enumerate(moving)}
    return [[*group, *(place[i] for i in group if i in place)] for group in groups]


def reached(graph: Graph, outputs: Iterable[int]) -> set[int]:
    """The places of the inputs that these outputs depend on."""
    place = {tensor: i for i, tensor in enumerate(graph.inputs)}
    tensors = [graph.outputs[i] for i in outputs]
    nodes = ancestors(tensors, stop=set(place))
    read = {tensor for node in nodes for tensor in node.inputs}.union(tensors)
    return {i for tensor, i in place.items() if tensor in read}


def carried_along(step: Graph, carried: int, outputs: Iterable[int]) -> tuple[set[int], set[int]]:
    """The outputs of a loop's step that these outputs need, of earlier steps too, and the inputs
    that they depend on."""
    needed = set(outputs)
    while True:
        inputs = reached(step, needed)
        state = {i for i in inputs if i < carried}
        if state <= needed:
            return needed, inputs
        needed |= state
