"""Which generator writes the kernels of an operator: a registry by the operator's class.

A generator is told the operator, its operands and the context, and gives kernels that run one
after the other, each when the one before has finished; or, in a sentence, why it has none, and
then the step runs on NumPy::

    @generates(Take)
    def take(op: Take, inputs: Operands, outputs: Operands, context: Context) -> Kernels: ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from graphwright.compiler.native.kernel import Context, Kernel
from graphwright.compiler.native.operand import Operand
from graphwright.graph.operator import Operator

Operands: TypeAlias = Sequence[Operand]
Kernels: TypeAlias = Sequence[Kernel] | str
Generator: TypeAlias = Callable[[Any, Operands, Operands, Context], Kernels]
Decorated = TypeVar("Decorated", bound=Generator)

_generators: dict[type[Operator], Generator] = {}


def generates(*classes: type[Operator]) -> Callable[[Decorated], Decorated]:
    """Decorator: enter a function as the generator of these operators."""

    def enter(generator: Decorated) -> Decorated:
        _generators.update(dict.fromkeys(classes, generator))
        return generator

    return enter


def generator_of(op: Operator) -> Generator | None:
    """The generator of an operator, or of the nearest class that it derives from."""
    return next((_generators[c] for c in type(op).__mro__ if c in _generators), None)
