"""An operator's cases made concrete: symbolic sizes bound, elements drawn, kernels run."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Dim, Sizes, evaluate, names_of
from graphwright.graph.dtype import DType, is_floating, is_integer
from graphwright.graph.errors import CheckError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Within
from graphwright.testing.precision import converted

Array = NDArray[Any]
Definition = Callable[..., Any]


@dataclass(frozen=True)
class Example:
    """One case of one operator.

    definition: what it gives, said independently; see `check_operator`
    """

    operator: type[Operator]
    case: Case
    definition: Definition | None = None

    def __str__(self) -> str:
        return f"{self.operator.name}{self.case!r}".replace("\n", "")

    @cached_property
    def op(self) -> Operator:
        return self.operator(**self.case.attributes)

    @cached_property
    def types(self) -> tuple[TensorType, ...]:
        """The types of the inputs, with symbolic sizes."""
        return tuple(_type_of(operand) for operand in self.case.operands)

    @cached_property
    def inferred(self) -> tuple[TensorType, ...]:
        """The types of the outputs, with symbolic sizes."""
        answer = self.op.infer(*self.types)
        return answer if isinstance(answer, tuple) else (answer,)

    @cached_property
    def sizes(self) -> list[dict[str, int]]:
        """What the symbolic sizes stand for in turn: different numbers, then all 1, then all 0."""
        names = names_of(size for kind in self.types for size in kind.shape)
        names |= names_of(_dims(tuple(self.case.attributes.values())))
        ordered = sorted(names)
        if not ordered:
            return [{}]
        return [
            {name: 3 + 2 * i for i, name in enumerate(ordered)},
            dict.fromkeys(ordered, 1),
            dict.fromkeys(ordered, 0),
        ]

    @property
    def runs(self) -> Iterator[Run]:
        """At each of the sizes."""
        return (Run(self, sizes) for sizes in self.sizes)

    def inputs(self) -> tuple[Tensor, ...]:
        """Symbolic inputs of a graph, named x0, x1 and so on."""
        return tuple(input(f"x{i}", t.shape, t.dtype) for i, t in enumerate(self.types))

    def converted(self, dtype: DType) -> Example:
        """The same with every floating operand, and every floating attribute, of `dtype`."""
        attributes = {k: converted(v, dtype) for k, v in self.case.attributes.items()}
        operands = [_converted(operand, dtype) for operand in self.case.operands]
        case = Case(*operands, smooth=self.case.smooth, **attributes)
        return dataclasses.replace(self, case=case)

    @property
    def floating(self) -> bool:
        """True when an input is floating, so that there is something to differentiate by."""
        return any(is_floating(kind.dtype) for kind in self.types)

    @property
    def given(self) -> bool:
        """True when values, not types, are given for an input."""
        return any(isinstance(operand, np.ndarray) for operand in self.case.operands)


@dataclass(frozen=True)
class Run:
    """An example at one choice of sizes. As a context it notes the sizes on what is raised."""

    example: Example
    sizes: dict[str, int]

    @cached_property
    def op(self) -> Operator:
        return self.example.op.bind(self.sizes)

    def arrays(self, draw: int = 0) -> list[Array]:
        """Elements for every input: the same each time for the same example, sizes and draw."""
        random = np.random.default_rng(seed(f"{self.example}{self.sizes}{draw or ''}"))
        return [_draw(operand, self.sizes, random) for operand in self.example.case.operands]

    def results(self, draw: int = 0) -> tuple[Array, ...]:
        """The kernel's outputs on these arrays."""
        return run(self.op, self.arrays(draw))

    def defined(self) -> tuple[Array, ...]:
        """What the definition says that the outputs are."""
        assert self.example.definition is not None
        return defined(self.op, self.arrays(), self.example.definition)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None and self.sizes:
            error.add_note("sizes: " + ", ".join(f"{k} = {v}" for k, v in self.sizes.items()))


def seed(words: str) -> int:
    """The same for the same words, in every process."""
    return zlib.crc32(words.encode())


def run(op: Operator, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs of a kernel, as arrays."""
    with np.errstate(all="ignore"):
        result = op.kernel(*arrays)
    outputs = result if isinstance(result, tuple) else (result,)
    for output in outputs:
        if not isinstance(output, np.ndarray | np.generic):
            raise CheckError(
                f"the kernel gives {type(output).__name__}, which is no array",
                hint="give an array, or a tuple of arrays, of the dtype that infer says",
            )
    return tuple(np.asarray(output) for output in outputs)


def evaluated(graph: Graph, arrays: Sequence[Array], sizes: Sizes) -> list[Array]:
    """The outputs of `graph`. Raises GraphwrightError when one is not of the type it says."""
    values = dict(zip(graph.inputs, arrays, strict=True))
    return list(evaluate_graph(graph, values, sizes))


def defined(op: Operator, arrays: Sequence[Array], definition: Definition) -> tuple[Array, ...]:
    """What `definition` says that `op` gives; it is told floats in float64."""
    exact = [a.astype(np.float64) if is_floating(a.dtype) else a for a in arrays]
    if op.elementwise and op.body is None:
        return (_by_element(definition, exact, op.attributes),)
    answer = definition(*exact, **op.attributes)
    outputs = answer if isinstance(answer, tuple) else (answer,)
    return tuple(np.asarray(output) for output in outputs)


def _by_element(definition: Definition, arrays: list[Array], attributes: Any) -> Array:
    """A definition on Python scalars, at each index of the broadcast arrays."""
    broadcast = np.broadcast_arrays(*arrays)
    flat = [array.ravel().tolist() for array in broadcast]
    values = [definition(*scalars, **attributes) for scalars in zip(*flat, strict=True)]
    # Whole numbers of any size stay exact as objects.
    floating = any(isinstance(value, float | np.floating) for value in values)
    result = np.empty(len(values), np.float64 if floating else object)
    result[:] = values
    return result.reshape(broadcast[0].shape)


def _type_of(operand: Any) -> TensorType:
    if isinstance(operand, Within):
        return operand.type
    if isinstance(operand, TensorType):
        return operand
    return TensorType(operand.dtype, operand.shape)


def _draw(operand: Any, sizes: Sizes, random: np.random.Generator) -> Array:
    kind = _type_of(operand)
    if isinstance(operand, np.ndarray):
        return operand.copy()
    shape = evaluate(kind.shape, sizes)
    low: float
    high: float
    if isinstance(operand, Within):
        low, high = operand.low, operand.high
    elif is_integer(kind.dtype):
        low, high = (0 if kind.dtype.kind == "u" else -4), 5
    else:
        low, high = (-2, 2) if is_floating(kind.dtype) else (0, 2)
    if is_floating(kind.dtype):
        return random.uniform(low, high, shape).astype(kind.dtype)
    return random.integers(int(low), int(high), shape).astype(kind.dtype)


def _converted(operand: Any, dtype: DType) -> Any:
    kind = _type_of(operand)
    if not is_floating(kind.dtype):
        return operand
    if isinstance(operand, Within):
        return dataclasses.replace(operand, type=kind.with_dtype(dtype))
    if isinstance(operand, TensorType):
        return kind.with_dtype(dtype)
    with np.errstate(over="ignore"):
        return operand.astype(dtype)


def _dims(value: Any) -> Iterator[Dim]:
    """The symbolic sizes in an attribute."""
    if isinstance(value, Dim):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _dims(item)
