"""What a check is: a function that raises, and the subjects of an operator that it is called with.

Decorators make one of a function of an example (`on_cases`), of an example at one choice of sizes
(`on_sizes`), of something to refuse (`on_rejects`), or of an operator as a whole (`on_operators`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from graphwright.graph.errors import CheckError
from graphwright.graph.operator import Operator
from graphwright.ops.case import Case, Reject
from graphwright.testing.example import Definition, Example, Run


@dataclass(frozen=True)
class Checked:
    """An operator to be checked, with its cases."""

    operator: type[Operator]
    cases: tuple[Case, ...]
    definition: Definition | None = None

    @property
    def examples(self) -> list[Example]:
        return [Example(self.operator, case, self.definition) for case in self.cases]

    @property
    def refusals(self) -> list[Refusal]:
        return [Refusal(self.operator, reject) for reject in self.operator.rejects]

    def __str__(self) -> str:
        return self.operator.name


@dataclass(frozen=True)
class Refusal:
    """Something that an operator must refuse."""

    operator: type[Operator]
    reject: Reject

    def __str__(self) -> str:
        return f"{self.operator.name}{self.reject!r}"


@dataclass(frozen=True)
class Check:
    """Something that must hold of an operator. Called with one of its subjects, it raises if not.

    name:     what must hold, in words joined by _
    subjects: of an operator, what it is called with: examples, refusals, or the operator itself
    function: raises CheckError; whatever else it raises is a failure too
    """

    name: str
    subjects: Callable[[Checked], Sequence[Any]]
    function: Callable[[Any], None]

    def __call__(self, subject: Any) -> None:
        self.function(subject)

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")


def on_cases(
    when: Callable[[Example], bool] = lambda example: True,
    of: Callable[[Example], Iterable[Example]] = lambda example: [example],
) -> Callable[[Callable[[Example], None]], Check]:
    """A check of each example for which `when` holds, or of those that `of` makes of it."""

    def subjects(checked: Checked) -> list[Example]:
        return [made for example in checked.examples if when(example) for made in of(example)]

    return lambda function: Check(function.__name__, subjects, function)


def on_sizes(
    when: Callable[[Example], bool] = lambda example: True,
) -> Callable[[Callable[[Run], None]], Check]:
    """A check of each example for which `when` holds, at each choice of sizes."""

    def decorator(function: Callable[[Run], None]) -> Check:
        def at_each(example: Example) -> None:
            for run in example.runs:
                with run:
                    function(run)

        return Check(
            function.__name__,
            lambda checked: [example for example in checked.examples if when(example)],
            at_each,
        )

    return decorator


def on_rejects(function: Callable[[Refusal], None]) -> Check:
    """A check of each thing to refuse."""
    return Check(function.__name__, lambda checked: checked.refusals, function)


def on_operators(function: Callable[[Checked], None]) -> Check:
    """A check of the operator as a whole."""
    return Check(function.__name__, lambda checked: [checked], function)


def require(holds: object, what: str, hint: str, **details: object) -> None:
    """Raise CheckError unless `holds`; `details` are formatted only then."""
    if not holds:
        lines = [(label, str(value).replace("\n", "")) for label, value in details.items()]
        raise CheckError(what, details=lines, hint=hint)
