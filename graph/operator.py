"""What an operator is: its attributes, and its methods that say what it means.

An operator is a frozen dataclass, made complete by `@register`. Its fields are its attributes,
and everything the rest of the house asks about it is a method or a class attribute here; nothing
outside an operator's own class keeps a list of operator names. `graphwright.ops` holds them all,
and user code adds its own in the same way.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    TypeVar,
    cast,
)

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.attribute_value import bind_attribute, frozen, is_symbolic
from graphwright.graph.attributes import Attributes
from graphwright.graph.dim import Size, Sizes, evaluate, names_of
from graphwright.graph.errors import (
    AttributeValueError,
    DTypeError,
    GraphwrightError,
    ShapeError,
)
from graphwright.graph.node import Node
from graphwright.graph.placement import Placement, reshaped
from graphwright.graph.source import here
from graphwright.graph.types import TensorType

if TYPE_CHECKING:
    from graphwright.graph.graph import Graph
    from graphwright.graph.tensor import Tensor

Class = TypeVar("Class", bound="type[Operator]")
Item = TypeVar("Item")

operators: dict[str, type[Operator]] = {}
"""Every registered operator by name: what the parser reads names with."""


class Pruned(NamedTuple):
    """What is left of an operator, and which of its inputs and outputs."""

    op: Operator
    inputs: Sequence[int]
    outputs: Sequence[int]


class Operator(Attributes):
    """One operator. Subclasses are decorated with `@register` and define the methods below.

    The positional arguments of `infer`, `kernel` and `gradient` are the operator's inputs, under
    the names by which errors speak of them.
    """

    name: ClassVar[str]

    elementwise: ClassVar[bool] = False
    """Each output element depends on the (broadcast) input elements at its own index alone."""
    reduction: ClassVar[bool] = False
    """Folds the axes in the attribute `axes` away, or keeps them with size 1 (`keepdims`)."""
    view: ClassVar[Literal["", "dense", "strided"]] = ""
    """Non-empty when the kernel can return a NumPy view of its first input, so that no bytes move.
    `dense`: of a dense (C-contiguous) input, and the view is dense again (reshape).
    `strided`: of any input; the view is not dense in general (transpose, slice, broadcast_to)."""
    contraction: ClassVar[bool] = False
    """Sums products of its inputs over shared axes, by matrices in the last two axes of each; reads
    a transposed matrix as fast as any other."""
    broadcasting: ClassVar[bool] = False
    """Repeats its first input as NumPy's broadcasting does, and nothing else."""
    arranges: ClassVar[bool] = False
    """Writes its outputs with their axes in any order in memory, as long as elements along the last
    one follow one another: plans may choose."""
    commutative: ClassVar[bool] = False
    identity_element: ClassVar[bool | float | None] = None
    """The value e for which x ∘ e is x (and, of a commutative operator, e ∘ x too)."""
    absorbing_element: ClassVar[bool | float | None] = None
    """The value e for which x ∘ e and e ∘ x are e, for all x but inf and nan."""
    idempotent: ClassVar[bool] = False
    """f(f(x)) is f(x); of two inputs: x ∘ x is x."""
    involution: ClassVar[bool] = False
    """f(f(x)) is x, to the bit."""
    composite: ClassVar[bool] = False
    """Defined by `decompose` into other operators."""
    higher_order: ClassVar[bool] = False
    """Holds graphs among its attributes and runs them: see `graphs`."""
    leaf: ClassVar[bool] = False
    """An input or a parameter: has no kernel; its value comes from outside the graph."""
    differentiable: ClassVar[bool] = True
    """False: the derivative is zero or undefined everywhere; the docstring says which."""

    cases: ClassVar[tuple[Any, ...]] = ()
    rejects: ClassVar[tuple[Any, ...]] = ()

    # What an operator defines. (`**_` lets subclasses name their inputs under strict types.)

    def infer(self, *types: Any, **_: Any) -> TensorType | tuple[TensorType, ...]:
        """Input types to output type(s); raises ShapeError, DTypeError or AttributeValueError."""
        raise self._incomplete("infer")

    def kernel(self, *arrays: Any, **_: Any) -> Any:
        """Input arrays to output array(s): the meaning of the operator, on NumPy.

        Called with concrete attributes only (`bind`). Never writes to its inputs.
        """
        raise self._incomplete("kernel")

    def gradient(self, *args: Any, **_: Any) -> Tensor | tuple[Tensor | None, ...] | None:
        """Inputs, outputs, then the gradient of each output, to the gradient of each input.

        The output gradients are Tensors (or None for an output of several that has none).
        None stands for an input without a gradient.
        """
        raise self._incomplete("gradient")

    def tangent(
        self,
        tangents: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> Sequence[Tensor | None]:
        """How each output moves when the inputs move: its directional derivative.

        tangents: for each input how it moves, or None where it doesn't; at least one does
        Only for operators that have no gradient, or a poor one: otherwise this follows from it.
        """
        raise self._incomplete("tangent")

    def decompose(self, *inputs: Any, **_: Any) -> Tensor | tuple[Tensor, ...]:
        """For composites: the same value by other operators."""
        raise self._incomplete("decompose")

    def batch(self, mapped: Sequence[bool], *inputs: Any) -> Tensor | tuple[Tensor, ...]:
        """Many applications at once, for `gw.vmap`: each output with an axis in front.

        mapped: for each input, whether it has that axis in front; at least one has
        Elementwise operators need none, nor do composites; others without one run one by one.
        """
        raise self._incomplete("batch")

    def pruned(self, used: Sequence[bool]) -> Pruned | None:
        """Of a higher-order operator: itself without the outputs that nobody uses, and what only
        they need; None where nothing can go."""
        return None

    @property
    def join_key(self) -> Any:
        """Of a higher-order operator: those of equal keys and the same inputs can be `joined`."""
        return None

    def joined(self, others: Sequence[Any]) -> tuple[Operator, list[list[int]]]:
        """One operator for itself and `others`, and for each the places of its outputs."""
        raise self._incomplete("joined")

    def kernel_into(self, out: Any, *arrays: Any, **_: Any) -> None:
        """The kernel, writing to `out` (an array, or a tuple of arrays for several outputs).

        `out` may be the memory of an input that it `overwrites`, and no other.
        """
        targets = out if isinstance(out, tuple) else (out,)
        results = checked_results(self.kernel(*arrays), targets, {})
        for target, value in zip(targets, results, strict=True):
            target[...] = value

    def overwrites(self, output: int, inputs: int) -> Sequence[int]:
        """Those of so many inputs in whose memory an output of the same type may be computed."""
        return range(inputs) if self.elementwise else ()

    def placed(self, place: Placement, x: TensorType, out: TensorType) -> Placement | None:
        """Of a view: where its elements lie in the memory of `x`, which lie at `place`.

        None when that can't be said: then they are copied.
        """
        return reshaped(place, x.shape, out.shape) if self.view == "dense" else None

    def placed_back(self, place: Placement, x: TensorType, out: TensorType) -> Placement | None:
        """The reverse, of a view of all elements with the last axis as it was: where `x` must lie
        for the view of it to lie at `place`. None for all others."""
        return None

    def lower(self, b: Any, *x: Any, **_: Any) -> Any:
        """The native meaning, for one kernel of what many operators do to an element.

        b: what writes instructions, the `Builder` of `graphwright.compiler.native.ir`
        x: values in generated code, of any number of lanes, all of the same
        Elementwise operators are given a value of each input, and give that of the output, for
        all dtypes that they take. Reductions: see `graphwright.ops.reduction.Reduction`.
        Without it, an operator is a step of its own, and runs by its kernel on NumPy.
        """
        raise self._incomplete("lower")

    def lower_at(self, b: Any, indices: Sequence[Any], number: Callable[[Size], Any]) -> Any:
        """Of an operator without inputs: the value of its output at an index.

        indices: int64 values, one for each axis, of any number of lanes
        number:  gives the value of a size, an int64 of one lane
        """
        raise self._incomplete("lower_at")

    def flops(self, *types: Any, **_: Any) -> Size:
        """Floating-point operations on inputs of these types; by default one per output element."""
        outputs = self.infer(*types)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        return first.size

    # What every operator can do.

    def __call__(self, *inputs: Any, **nothing: Any) -> Tensor:
        """Make a node of this operator; its only output. Raises what `infer` raises, located."""
        return self.apply(*inputs, **nothing)[0]

    def apply(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Make a node of this operator; all its outputs."""
        try:
            types = self._inferred(inputs)
        except GraphwrightError as error:
            details = [
                (label, tensor.describe())
                for label, tensor in zip(self.input_names(len(inputs)), inputs, strict=True)
                if hasattr(tensor, "describe")
            ]
            raise error.located(self.name, details, here()) from None
        return Node(self, inputs, types).outputs

    def _inferred(self, inputs: Sequence[Tensor]) -> tuple[TensorType, ...]:
        """The types that `infer` gives, checked, since operators may be a user's."""
        for value in inputs:
            if not hasattr(value, "type"):
                raise DTypeError(
                    f"its inputs are tensors, got {type(value).__name__}",
                    hint="wrap arrays with gw.constant",
                )
        try:
            answer = self.infer(*(tensor.type for tensor in inputs))
        except TypeError as error:
            self._check_count(len(inputs), error)
            raise
        types = as_tuple(answer)
        for kind in types:
            if not isinstance(kind, TensorType):
                raise GraphwrightError(
                    f"infer gives {kind!r}, which is no TensorType",
                    hint="return a gw.TensorType(dtype, shape), or a tuple of them",
                )
            if not isinstance(kind.dtype, np.dtype):
                raise GraphwrightError(
                    f"infer gives a type with the dtype {kind.dtype!r}",
                    hint="give one such as gw.float32, or an input's own",
                )
        return types

    def _check_count(self, count: int, error: TypeError) -> None:
        """Raise ShapeError if `infer` does not take that many inputs."""
        if isinstance(error, GraphwrightError):
            return
        signature = inspect.signature(self.infer)
        try:
            signature.bind(*range(count))
        except TypeError:
            takes = ", ".join(signature.parameters) or "none"
            raise ShapeError(f"it takes the inputs: {takes}; {count} are given") from None

    @classmethod
    def input_names(cls, count: int) -> tuple[str, ...]:
        """The names of `count` inputs, read off the signature of `infer`."""
        names: list[str] = []
        for parameter in list(inspect.signature(cls.infer).parameters.values())[1:]:
            if parameter.kind is parameter.VAR_POSITIONAL:
                names += [f"{parameter.name}[{i}]" for i in range(count - len(names))]
            else:
                names.append(parameter.name)
        return tuple(names[:count]) + tuple(f"input {i}" for i in range(len(names), count))

    @property
    def lowerable(self) -> bool:
        """True when it has a native meaning: `lower`, or `lower_at` if it has no inputs."""
        cls = type(self)
        return cls.lower is not Operator.lower or cls.lower_at is not Operator.lower_at

    @property
    def body(self) -> Graph | None:
        """The graph that a fused operator stands for, with the same inputs and outputs in order."""
        return None

    @property
    def plan_body(self) -> Graph | None:
        """The graph whose operations are steps of their own in a plan: the body, if it is not one
        kernel."""
        return self.body

    @property
    def graphs(self) -> dict[str, Graph]:
        """Of a higher-order operator, the attributes that are graphs."""
        if not self.higher_order:
            return {}
        return {k: v for k, v in self.attributes.items() if hasattr(v, "operations")}

    @property
    def endless(self) -> bool:
        """True when there may be inputs on which it never ends."""
        held = (node for graph in self.graphs.values() for node in graph.operations)
        return any(node.op.endless for node in held)

    @property
    def attributes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.attribute_names}

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What the operator is, hashable; floats by their bits, but that nan equals nan."""
        return self.name, *(frozen(value) for value in self.attributes.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operator) and (self is other or self.key == other.key)

    def __hash__(self) -> int:
        try:
            return hash(self.key)
        except TypeError:
            raise AttributeValueError(
                f"{self!r}: an attribute can't be hashed",
                hint="use numbers, strings, tuples and dtypes",
            ) from None

    @cached_property
    def symbolic(self) -> bool:
        """True when an attribute holds a symbolic size, which `bind` must replace before a run."""
        return any(is_symbolic(value) for value in self.attributes.values())

    def bind(self, sizes: Sizes) -> Operator:
        """The same operator with concrete sizes in its attributes."""
        if not self.symbolic:
            return self
        changes = {name: bind_attribute(value, sizes) for name, value in self.attributes.items()}
        return dataclasses.replace(cast(Any, self), **changes)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        attributes = ", ".join(f"{name}={value}" for name, value in self.attributes.items())
        return f"{self.name}({attributes})"

    def _incomplete(self, method: str) -> GraphwrightError:
        return GraphwrightError(
            f"{self.name}: no {method} is defined",
            hint=f"define {method} in class {type(self).__name__}",
        )


def register(cls: Class) -> Class:
    """Class decorator: enter an operator by its name.

    Raises AttributeValueError when it is no operator or has no name, or when another class already
    has the name. The same class defined again (a notebook cell run twice) replaces the earlier one.
    """
    if not isinstance(cls, type) or not issubclass(cls, Operator):
        raise AttributeValueError(f"{cls!r} is no operator", hint="derive it from gw.ops.Operator")
    if not isinstance(getattr(cls, "name", None), str):
        raise AttributeValueError(
            f"operator {cls.__name__} has no name", hint='give it one: name = "softplus"'
        )
    taken = [name for name in cls.attribute_names if hasattr(Operator, name)]
    if taken:
        raise AttributeValueError(
            f"operator {cls.name}: {taken[0]!r} can't be an attribute",
            hint="every operator has a method or a trait of that name: choose another one",
        )
    known = operators.get(cls.name)
    same = known is not None and known.__qualname__ == cls.__qualname__
    if known is not None and not (same and known.__module__ == cls.__module__):
        raise AttributeValueError(
            f"an operator named {cls.name!r} exists already, in {known.__module__}",
            hint="choose another name",
        )
    operators[cls.name] = cls
    return cls


def as_tuple(answer: Item | tuple[Item, ...]) -> tuple[Item, ...]:
    """What a method of an operator gives, for one output or several, as a tuple."""
    return answer if isinstance(answer, tuple) else (answer,)


def one_or_several(items: Sequence[Item]) -> Item | tuple[Item, ...]:
    """The reverse: what a method gives for these outputs: of one, the thing itself."""
    return items[0] if len(items) == 1 else tuple(items)


def checked_results(
    result: object, expected: Sequence[NDArray[Any] | TensorType], sizes: Sizes
) -> tuple[NDArray[Any], ...]:
    """What a kernel gave, as arrays: NumPy's scalars become arrays of rank 0.

    expected: the types that were inferred, or arrays of them
    sizes:    numbers for the named dimensions, as far as they are known
    Raises GraphwrightError when their number, dtypes or shapes differ.
    """
    results = tuple(map(np.asarray, as_tuple(result)))
    fits = len(results) == len(expected) and all(map(partial(_fits, sizes), results, expected))
    if not fits:
        given, wanted = (
            ", ".join(f"{each.dtype}[{','.join(map(str, each.shape))}]" for each in several)
            for several in (results, expected)
        )
        raise GraphwrightError(
            f"the kernel gives {given}, where {wanted} was inferred",
            hint="let kernel and infer agree",
        )
    return results


def _fits(sizes: Sizes, array: NDArray[Any], expected: NDArray[Any] | TensorType) -> bool:
    return (
        array.dtype == expected.dtype
        and len(array.shape) == len(expected.shape)
        and (
            array.shape == expected.shape
            or all(
                have == (evaluate(size, sizes) if names_of([size]) <= sizes.keys() else have)
                for have, size in zip(array.shape, expected.shape, strict=True)
            )
        )
    )
