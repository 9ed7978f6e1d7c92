"""What a rewrite rule is, and the three ways to write one down.

An equation between expressions, for what is elementwise::

    @equation(over="floating", claim="stable")
    def log_of_one_plus(x: Tensor) -> Sides:
        '''log(1 + x) → log1p(x): keeps the digits of a small x.'''
        return log(1 + x), log1p(x)

A chain of operators, each the first input of the one before; the function gets the operators, to
read their attributes, and the inputs of the last one::

    @chain(Reshape, Reshape, examples=[...])
    def reshape_of_reshape(outer: Reshape, inner: Reshape, x: Tensor) -> Outcome:
        '''reshape(reshape(x, a), b) → reshape(x, b).'''
        return reshape(x, outer.shape)

Anything else, at every node whose operator is of a class::

    @rule(Operator, examples=[...])
    def fold_constants(node: Node) -> Outcome:
        '''an operator on constants → the constant that it gives.'''

What a function returns replaces the node; None leaves it, and `Declined` leaves it and says why.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Literal, TypeAlias

from graphwright.compiler.rules.pattern import Call, find, pattern_of
from graphwright.graph.dtype import DType, is_boolean, is_floating, is_integer
from graphwright.graph.leaf import input
from graphwright.graph.node import Node, Origin, derived
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.case import TypeMaker, bool_, f64, i32, i64
from graphwright.ops.movement import broadcast_to, reshape

Domain: TypeAlias = Literal["any", "number", "floating", "integer", "boolean", "discrete"]
Claim: TypeAlias = Literal["exact", "rounded", "stable"]
"""What a rule promises of the values.

exact:   the same to the bit, for every input; only the sign of a zero may differ, and of a nan
rounded: the same up to rounding; infinities and nans stay where they were
stable:  as `rounded` where the old form was accurate; where that lost digits or overflowed on the
         way, the new one gives the right value
"""

Condition: TypeAlias = Tensor
"""The annotation of an equation's variables that are boolean, whatever the others are."""

Sides: TypeAlias = tuple[Tensor, Tensor]
"""The left side of an equation, which is looked for, and the right side, which replaces it."""


@dataclass(frozen=True)
class Declined:
    """A rewrite that was considered and not made, with the reason."""

    reason: str


Outcome: TypeAlias = Tensor | tuple[Tensor, ...] | Declined | None


class Example:
    """What a rule does: of `before(*inputs)` it makes `after(*inputs)`.

    operands: the inputs, given as the operators' own test cases give them: types, ranges, values
    """

    def __init__(
        self, before: Callable[..., Any], after: Callable[..., Any], *operands: Any
    ) -> None:
        self.before = before
        self.after = after
        self.operands = operands


class Kept:
    """What a rule leaves alone: `build(*inputs)`. It says `reason` when there is one."""

    def __init__(self, build: Callable[..., Any], *operands: Any, reason: str = "") -> None:
        self.build = build
        self.operands = operands
        self.reason = reason


@dataclass(frozen=True)
class Match:
    """The tensors that replace a node's outputs, and the nodes that they make needless."""

    replacement: tuple[Tensor, ...]
    nodes: tuple[Node, ...]


class Rule(ABC):
    """A named rewrite, written down as a function.

    name:     the function's
    text:     before → after: why; the first paragraph of the function's docstring
    claim:    what it promises of the values
    examples: what it does, and
    kept:     what it leaves alone
    """

    def __init__(
        self,
        function: Callable[..., Any],
        claim: Claim,
        examples: Sequence[Example],
        kept: Sequence[Kept],
    ) -> None:
        self.function = function
        self.name = function.__name__
        self.claim = claim
        self._examples = tuple(examples)
        self._kept = tuple(kept)

    @cached_property
    def text(self) -> str:
        first = (inspect.getdoc(self.function) or "").split("\n\n")[0]
        return " ".join(first.split())

    @property
    def examples(self) -> tuple[Example, ...]:
        return self._examples

    @property
    def kept(self) -> tuple[Kept, ...]:
        return self._kept

    @property
    @abstractmethod
    def weight(self) -> int:
        """Of several rules at a node, those that ask for more are tried first."""

    @abstractmethod
    def concerns(self, operator: type[Operator]) -> bool:
        """Whether it is tried at nodes of this operator."""

    @abstractmethod
    def attempt(self, node: Node) -> Match | Declined | None:
        """What it makes of a node; None when it does not apply."""


def rules_in(module: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Every rule of a module, given as its `globals()`, in the order in which they are written."""
    return tuple(value for value in module.values() if isinstance(value, Rule))


def equation(
    over: Domain = "floating",
    *,
    claim: Claim = "rounded",
    otherwise: str = "",
    examples: Sequence[Example] = (),
    kept: Sequence[Kept] = (),
) -> Callable[[Callable[..., Sides]], Rule]:
    """Decorator: a rule from a function of variables that returns the two sides.

    Operators of the left side match those of the same attributes, commutative ones in either
    order, and numbers match constants of that value. The right side is broadcast to the shape of
    the left.

    over:      the dtypes of the variables for which it holds
    otherwise: why it does not hold for others; where the left side is met with them, the reason
               is recorded
    """
    return lambda function: _Equation(function, over, otherwise, claim, examples, kept)


def chain(
    *operators: type[Operator],
    examples: Sequence[Example],
    kept: Sequence[Kept] = (),
    claim: Claim = "exact",
) -> Callable[[Callable[..., Outcome]], Rule]:
    """Decorator: a rule for operators each of which is the first input of the one before.

    The function is called with the operators and the inputs of the last.
    """
    return lambda function: _Chain(function, operators, claim, examples, kept)


def rule(
    root: type[Operator],
    *,
    declaring: str = "",
    examples: Sequence[Example],
    kept: Sequence[Kept] = (),
    claim: Claim = "exact",
    weight: int = 1,
) -> Callable[[Callable[[Node], Outcome]], Rule]:
    """Decorator: a rule at every node whose operator is a `root`.

    declaring: a trait, such as `commutative`, that the operator must have

    The nodes that the function makes get the node's provenance; where they replace more than this
    node, it makes them inside `with replacing(node, others)`.
    """
    return lambda function: _AtNodes(function, root, declaring, weight, claim, examples, kept)


def replacing(*nodes: Node) -> AbstractContextManager[None]:
    """Nodes made inside replace `nodes`: they get the first one's place and the lines of all."""
    return derived(reduce(Origin.__or__, (node.origin for node in nodes)))


def fitted(tensor: Tensor, type: TensorType) -> Tensor:
    """`tensor` broadcast to the shape of `type`; a reshape where that repeats nothing."""
    extra = type.rank - tensor.ndim
    if type.shape == (1,) * extra + tensor.shape:
        return reshape(tensor, type.shape)
    return broadcast_to(tensor, type.shape)


def in_domain(dtype: DType, domain: Domain) -> bool:
    """Whether a dtype is of the kind that `domain` names."""
    return {
        "any": True,
        "number": is_floating(dtype) or is_integer(dtype),
        "floating": is_floating(dtype),
        "integer": is_integer(dtype),
        "boolean": is_boolean(dtype),
        "discrete": is_integer(dtype) or is_boolean(dtype),
    }[domain]


class _Equation(Rule):
    """A rule whose left side is a pattern, read off when it is first needed."""

    def __init__(
        self,
        function: Callable[..., Sides],
        over: Domain,
        otherwise: str,
        claim: Claim,
        examples: Sequence[Example],
        kept: Sequence[Kept],
    ) -> None:
        super().__init__(function, claim, examples, kept)
        self.over = over
        self.otherwise = otherwise
        self.variables = list(inspect.signature(function).parameters)
        # Annotations are kept as they are written: `from __future__ import annotations`.
        self.conditions = [function.__annotations__[n] == "Condition" for n in self.variables]

    @cached_property
    def pattern(self) -> Call:
        dtype = next(dtype for dtype in (f64, i64, bool_) if in_domain(dtype.dtype, self.over))
        operands = zip(self.variables, self._types(dtype, ()), strict=True)
        with derived(Origin()):
            variables = [input(name, kind.shape, kind.dtype) for name, kind in operands]
            pattern = pattern_of(self._left(*variables), variables)
        assert isinstance(pattern, Call), f"{self.name}: the left side is no expression"
        return pattern

    @property
    def weight(self) -> int:
        return self.pattern.weight

    def concerns(self, operator: type[Operator]) -> bool:
        return issubclass(operator, type(self.pattern.op))

    def attempt(self, node: Node) -> Match | Declined | None:
        for found in find(self.pattern, node):
            tensors = [found.tensors[i] for i in range(len(self.variables))]
            if self._holds_for(tensors):
                with replacing(*found.nodes):
                    right = fitted(self.function(*tensors)[1], node.outputs[0].type)
                return Match((right,), found.nodes)
            if self.otherwise:
                return Declined(self.otherwise)
        return None

    @property
    def examples(self) -> tuple[Example, ...]:
        """The equation itself, in every kind of dtype, and where the variables broadcast."""
        dtypes = [dtype for dtype in (f64, i32, bool_) if in_domain(dtype.dtype, self.over)]
        operands = [self._types(dtype, ("n", 3)) for dtype in dtypes]
        if len(self.variables) > 1:
            first, *_ = self._types(dtypes[0], (3,))
            operands.append([first, *self._types(dtypes[0], (2, 3))[1:]])
        return (*(Example(self._left, self._right, *types) for types in operands), *self._examples)

    @property
    def kept(self) -> tuple[Kept, ...]:
        """With the equation in a dtype for which it does not hold."""
        if not self.otherwise:
            return self._kept
        dtype = next(dtype for dtype in (f64, bool_) if not in_domain(dtype.dtype, self.over))
        return (Kept(self._left, *self._types(dtype, (3,)), reason=self.otherwise), *self._kept)

    def _left(self, *tensors: Tensor) -> Tensor:
        left: Tensor = self.function(*tensors)[0]
        return left

    def _right(self, *tensors: Tensor) -> Tensor:
        left, right = self.function(*tensors)
        return fitted(right, left.type)

    def _types(self, dtype: TypeMaker, shape: tuple[int | str, ...]) -> list[TensorType]:
        return [(bool_ if condition else dtype)[shape] for condition in self.conditions]

    def _holds_for(self, tensors: Sequence[Tensor]) -> bool:
        return all(
            condition or in_domain(tensor.dtype, self.over)
            for tensor, condition in zip(tensors, self.conditions, strict=True)
        )


class _Chain(Rule):
    """A rule for operators each of which is the first input of the one before."""

    def __init__(
        self,
        function: Callable[..., Outcome],
        operators: tuple[type[Operator], ...],
        claim: Claim,
        examples: Sequence[Example],
        kept: Sequence[Kept],
    ) -> None:
        super().__init__(function, claim, examples, kept)
        self.operators = operators

    @property
    def weight(self) -> int:
        return len(self.operators)

    def concerns(self, operator: type[Operator]) -> bool:
        return issubclass(operator, self.operators[0])

    def attempt(self, node: Node) -> Match | Declined | None:
        nodes = [node]
        for operator in self.operators[1:]:
            if not nodes[-1].inputs:
                return None
            nodes.append(nodes[-1].inputs[0].node)
            if not isinstance(nodes[-1].op, operator):
                return None
        with replacing(*nodes):
            outcome = self.function(*(found.op for found in nodes), *nodes[-1].inputs)
        return _matched(outcome, nodes)


class _AtNodes(Rule):
    """A rule at every node of a class of operators."""

    def __init__(
        self,
        function: Callable[[Node], Outcome],
        root: type[Operator],
        declaring: str,
        weight: int,
        claim: Claim,
        examples: Sequence[Example],
        kept: Sequence[Kept],
    ) -> None:
        super().__init__(function, claim, examples, kept)
        self.root = root
        self.declaring = declaring
        self._weight = weight

    @property
    def weight(self) -> int:
        return self._weight

    def concerns(self, operator: type[Operator]) -> bool:
        if not issubclass(operator, self.root):
            return False
        if not self.declaring:
            return True
        # False may well be what is declared: it is the absorbing element of `and`.
        return getattr(operator, self.declaring) is not getattr(self.root, self.declaring)

    def attempt(self, node: Node) -> Match | Declined | None:
        with derived(node.origin):
            outcome = self.function(node)
        return _matched(outcome, [node])


def _matched(outcome: Outcome, nodes: Sequence[Node]) -> Match | Declined | None:
    if outcome is None or isinstance(outcome, Declined):
        return outcome
    tensors = outcome if isinstance(outcome, tuple) else (outcome,)
    return Match(tensors, tuple(nodes))
