"""A graph while it is drawn at random: what it holds, and its values on sample arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.dim import Dim, dim, names_of
from graphwright.graph.dtype import boolean, is_floating, is_integer
from graphwright.graph.errors import GraphwrightError
from graphwright.graph.evaluate import run_kernel
from graphwright.graph.graph import ancestors
from graphwright.graph.leaf import Parameter
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType

Draw = Callable[[st.SearchStrategy[Any]], Any]
Array = np.ndarray

SAMPLE_SIZES = {"n": 3, "m": 5}
LARGEST = 30.0  # magnitude of a float
LARGEST_INTEGER = 1000
NUDGE = 1e-6
SENSITIVITY = 100 * NUDGE


def elements(kind: TensorType, random: np.random.Generator) -> Array:
    shape = kind.shape
    if is_floating(kind.dtype):
        return random.uniform(-2, 2, shape).astype(kind.dtype)
    if is_integer(kind.dtype):
        return random.integers(0 if kind.dtype.kind == "u" else -4, 5, shape).astype(kind.dtype)
    return random.integers(0, 2, shape).astype(bool)


def tame(array: Array) -> bool:
    # Keys and bits of random numbers are of any size, and nothing rounds them.
    if array.dtype in (boolean, np.uint32, np.uint64) or array.size == 0:
        return True
    limit = LARGEST if is_floating(array.dtype) else LARGEST_INTEGER
    return bool(np.isfinite(array).all()) and bool((np.abs(array.astype(float)) <= limit).all())


def steady(base: Array, moved: Array) -> bool:
    """True when moving the inputs by a millionth did not move the result much more."""
    if not is_floating(base.dtype):
        return np.array_equal(base, moved)
    return bool((np.abs(base - moved) <= SENSITIVITY * (1 + np.abs(base))).all())


@dataclass
class Sketch:
    """A graph while it is drawn: its tensors, with their values on the sample arrays."""

    dtype: np.dtype[Any]
    symbolic: bool
    inputs: list[Tensor] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    pool: list[Tensor] = field(default_factory=list)
    values: dict[Tensor, tuple[Array, Array]] = field(default_factory=dict)
    exact: set[Tensor] = field(default_factory=set)
    """What no rewrite can change by rounding: leaves, constants, views of them, integers."""
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    # Leaves.

    def shape(self, draw: Draw) -> tuple[Any, ...]:
        """Axes are drawn per position from the back, so that most shapes broadcast."""
        choices: list[list[Any]] = [[4, 1], [3, 1], [2, 1]]
        if self.symbolic:
            choices = [[4, dim("m"), 1], [dim("n"), 3, 1], [2, dim("n"), 1]]
        rank = draw(st.integers(0, 3))
        return tuple(draw(st.sampled_from(choices[i])) for i in reversed(range(rank)))

    def add_input(self, draw: Draw) -> None:
        dtype = draw(st.sampled_from([self.dtype] * 4 + [np.dtype(np.int64), boolean]))
        self.new_input(TensorType(dtype, self.shape(draw)))

    def new_input(self, kind: TensorType) -> Tensor:
        tensor = gw.input(f"x{len(self.inputs)}", kind.shape, kind.dtype)
        self.inputs.append(tensor)
        self.admit_leaf(tensor, elements(kind.bind(SAMPLE_SIZES), self.random))
        return tensor

    def add_parameter(self, draw: Draw) -> None:
        shape = tuple(draw(st.sampled_from([1, 3, 4])) for _ in range(draw(st.integers(0, 2))))
        array = elements(TensorType(self.dtype, shape), self.random)
        parameter = gw.parameter(f"w{len(self.parameters)}", array)
        self.parameters.append(parameter)
        self.admit_leaf(parameter, array)

    def admit_leaf(self, tensor: Tensor, array: Array) -> None:
        moved = array
        if is_floating(array.dtype):
            change = 1 + NUDGE * self.random.uniform(-1, 1, array.shape)
            moved = np.asarray(array * change).astype(array.dtype)
        self.values[tensor] = (array, moved)
        self.exact.add(tensor)
        self.pool.append(tensor)

    # Growing.

    def step(self, draw: Draw, move: Callable[[Sketch, Draw], Sequence[Tensor]]) -> None:
        """Try an operation; what does not fit the types or the sample is taken back."""
        kept = len(self.inputs), len(self.pool)
        try:
            made = move(self, draw)
        except GraphwrightError:
            made = []
        if not (made and self.admit(made)):
            del self.inputs[kept[0] :]
            del self.pool[kept[1] :]

    def admit(self, tensors: Sequence[Tensor]) -> bool:
        """Enter tensors into the pool unless they are wild on the sample."""
        for node in ancestors(tensors, stop=set(self.values)):
            if not self.run(node):
                return False
        self.pool += tensors
        return True

    def run(self, node: Node) -> bool:
        """Run one node on the samples; False when it is to be taken back."""
        known = names_of(size for tensor in self.inputs for size in tensor.shape)
        if not names_of(_sizes_in(node.op.attributes.values())) <= known:
            return False  # no input would tell the size
        floating = [tensor.dtype for tensor in node.outputs if is_floating(tensor.dtype)]
        if any(dtype != self.dtype for dtype in floating):
            return False
        exact = all(tensor in self.exact for tensor in node.inputs)
        jumps = not node.op.differentiable or not floating
        if jumps and not exact and not node.op.view:
            return False
        results = []
        with np.errstate(all="ignore"):
            for which in (0, 1):
                arrays = [self.values[tensor][which] for tensor in node.inputs]
                try:
                    results.append(run_kernel(node, arrays, SAMPLE_SIZES))
                except (ValueError, IndexError, GraphwrightError):
                    return False
        for tensor, base, moved in zip(node.outputs, *results, strict=True):
            if jumps and exact:
                moved = base
            if not (tame(base) and steady(base, moved)):
                return False
            self.values[tensor] = (base, moved)
            if exact and (node.op.view or not node.inputs or not is_floating(tensor.dtype)):
                self.exact.add(tensor)
        return True

    # Choosing.

    def pick(self, draw: Draw, fits: Callable[[Tensor], bool] = lambda _: True) -> Tensor:
        """Any tensor of the pool that fits, or a new input when none does."""
        fitting = [tensor for tensor in self.pool if fits(tensor)]
        return late(draw, fitting) if fitting else self.new_input(self.default)

    @property
    def default(self) -> TensorType:
        return TensorType(self.dtype, (dim("n") if self.symbolic else 3, 4))

    def pick_floating(self, draw: Draw, rank: int = 0) -> Tensor:
        return self.pick(draw, lambda t: is_floating(t.dtype) and t.ndim >= rank)

    def partner(self, draw: Draw, first: Tensor, dtype: np.dtype[Any]) -> Any:
        """Something of `dtype` that broadcasts against `first`: of the pool, or a constant."""
        fitting = [t for t in self.pool if t.dtype == dtype and broadcasts(t, first)]
        if fitting and draw(st.integers(0, 4)):
            return late(draw, fitting)
        value = draw(st.sampled_from([0, 1, 2, -1, 3, 0.5, -1.5]))
        return gw.constant(np.asarray(value).astype(dtype))

    def within(self, tensor: Tensor, low: float, high: float) -> Tensor:
        """The tensor moved smoothly (integers: clipped) to lie from `low` to `high`."""
        if is_floating(tensor.dtype):
            return low + (high - low) * gw.ops.sigmoid(tensor)
        return gw.ops.minimum(gw.ops.maximum(tensor, int(low)), int(high) - 1)

    def calm(self, tensor: Tensor) -> Tensor:
        """The tensor brought to where inputs are, if it is beyond."""
        if tensor.dtype != boolean and tensor in self.values:
            array = np.abs(self.values[tensor][0].astype(float))
            if array.max(initial=0) > 4:
                return self.within(tensor, -2, 2)
        return tensor

    # Results.

    def gradients(self, draw: Draw) -> list[Tensor]:
        """Gradients of some sum by some leaves; none where there is no derivative."""
        targets = [t for t in self.pool if is_floating(t.dtype) and not t.leaf]
        leaves = [t for t in (*self.inputs, *self.parameters) if is_floating(t.dtype)]
        if not targets or not leaves:
            return []
        target = draw(st.sampled_from(targets[-3:]))
        wrt = draw(st.lists(st.sampled_from(range(len(leaves))), min_size=1, max_size=2))
        try:
            found = grad(target.sum(), [leaves[i] for i in wrt], disconnected="zero")
        except GraphwrightError:
            return []
        return found if self.admit_gradients(found) else []

    def admit_gradients(self, tensors: Sequence[Tensor]) -> bool:
        """Like `admit`, but the comparisons that derivatives of kinks are made of are allowed."""
        for node in ancestors(tensors, stop=set(self.values)):
            exact = [t for t in node.inputs if t not in self.exact]
            self.exact.update(exact)
            fine = self.run(node)
            self.exact.difference_update([*exact, *node.outputs])
            if not fine:
                return False
        return True

    def update(self, draw: Draw, parameter: Parameter) -> Tensor:
        same = [t for t in self.pool if t.type == parameter.type]
        if same and draw(st.booleans()):
            return draw(st.sampled_from(same))
        step = self.calm(self.pick_floating(draw)).mean()
        return parameter - 0.5 * step * parameter


def late(draw: Draw, tensors: Sequence[Tensor]) -> Tensor:
    """One of `tensors`, mostly one of the last: graphs grow deep that way."""
    back = draw(st.sampled_from([1, 1, 1, 2, 2, 3, 4, 6, 9]))
    return tensors[-min(back, len(tensors))]


def _sizes_in(values: Iterable[Any]) -> Iterator[Dim]:
    for value in values:
        if isinstance(value, tuple):
            yield from _sizes_in(value)
        elif isinstance(value, Dim):
            yield value


def broadcasts(left: Tensor, right: Tensor) -> bool:
    sizes = zip(reversed(left.shape), reversed(right.shape), strict=False)
    return all(a == b or a == 1 or b == 1 for a, b in sizes)
