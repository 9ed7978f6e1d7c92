"""`gw.testing.check_operator`: a user's operator, held to what Graphwright's own are held to."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphwright.graph.errors import AttributeValueError, CheckError
from graphwright.graph.operator import Operator, operators
from graphwright.ops.case import Case
from graphwright.testing.check import Check, Checked, Refusal
from graphwright.testing.checks import CHECKS
from graphwright.testing.example import Definition, Example

# Of one check, so many failures are told in full, and so many more by their case alone.
_IN_FULL, _BY_NAME = 1, 3


def check_operator(
    operator: type[Operator] | Operator,
    definition: Definition | None = None,
    cases: Sequence[Case] = (),
) -> None:
    """Run every check that Graphwright's own operators pass on `operator`.

    operator:   a class made by `gw.ops.register`, which is checked on all its cases; or an
                instance, which is checked on those that have its attributes
    definition: what it gives, said independently: a function of arrays (floats come as float64)
                with the attributes as keywords, which gives an array or a tuple of them; of an
                elementwise operator, a function of Python numbers
    cases:      further ones; with an instance they need not repeat its attributes

    Checked are, on each case, at several sizes of the named dimensions: that `infer` and `kernel`
    agree; that the kernel agrees with the definition, never writes to its inputs, takes any strides
    and writes into given memory; by finite differences in float64 the gradient, the gradient's
    gradient and the tangent (`gw.jvp`); batching (`gw.vmap`); decomposition; printing and parsing;
    every trait; that `rejects` are refused with their message; and that nothing is missing.
    `gw.testing.CHECKS` lists them.

    Raises CheckError with a report of all that failed, which are in its `failures`;
    AttributeValueError for what is no registered operator.
    """
    checked = _checked(operator, definition, tuple(cases))
    failed: dict[str, list[_Failure]] = {}
    count = 0
    for check in CHECKS:
        for subject in check.subjects(checked):
            count += 1
            failure = _attempt(check, subject)
            if failure is not None:
                failed.setdefault(check.words, []).append(failure)
    if failed:
        raise _report(checked, failed, count)


@dataclass(frozen=True)
class _Failure:
    """A check that failed on a subject."""

    subject: str
    error: CheckError


def _checked(
    operator: type[Operator] | Operator, definition: Definition | None, extra: tuple[Case, ...]
) -> Checked:
    cls = operator if isinstance(operator, type) else type(operator)
    if not issubclass(cls, Operator) or operators.get(getattr(cls, "name", "")) is not cls:
        raise AttributeValueError(
            f"{operator!r} is no registered operator",
            hint="derive a class from gw.ops.Operator and decorate it with @gw.ops.register",
        )
    if isinstance(operator, type):
        return Checked(cls, (*cls.cases, *extra), definition)
    own = [case for case in cls.cases if _same(cls, case, operator)]
    return Checked(cls, (*own, *(_completed(case, operator) for case in extra)), definition)


def _completed(case: Case, operator: Operator) -> Case:
    """The case with the operator's attributes, where it doesn't say its own."""
    operands: Any = case.operands
    attributes = {**operator.attributes, **case.attributes}
    return Case(*operands, smooth=case.smooth, **attributes)


def _same(cls: type[Operator], case: Case, operator: Operator) -> bool:
    return cls(**case.attributes) == operator


def _attempt(check: Check, subject: object) -> _Failure | None:
    try:
        check(subject)
    except CheckError as error:
        return _Failure(_named(subject), error)
    except Exception as error:  # a user's operator may raise anything
        return _Failure(_named(subject), _told(error, check, subject))
    return None


def _named(subject: object) -> str:
    return "" if isinstance(subject, Checked) else str(subject)


def _told(error: Exception, check: Check, subject: object) -> CheckError:
    """What was raised on the way, with the line of the operator's own code."""
    operator = subject.operator if isinstance(subject, Example | Refusal | Checked) else None
    file = inspect.getsourcefile(operator) if operator is not None else None
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if frame.filename == file] or frames[-1:]
    frame = mine[-1]
    place = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} in {frame.name}: {frame.line}"
    told = CheckError(
        f"raised {type(error).__name__}",
        details=[*(("", line.strip()) for line in str(error).splitlines()), ("in", place)],
        hint="everything a case asks for must run: the operator, its gradients, its batches",
    )
    for note in getattr(error, "__notes__", ()):
        told.add_note(note)
    return told


def _report(checked: Checked, failed: dict[str, list[_Failure]], count: int) -> CheckError:
    name, total = checked.operator.name, sum(map(len, failed.values()))
    lines = [f"{name}: {len(failed)} of {len(CHECKS)} checks failed ({total} of {count} runs)"]
    for check, failures in failed.items():
        lines += ["", f"  {check}"]
        for failure in failures[:_IN_FULL]:
            lines += [f"    {failure.subject}"] * bool(failure.subject)
            notes = getattr(failure.error, "__notes__", [])
            lines += [f"      {line}" for line in (*notes, *str(failure.error).splitlines())]
        rest = failures[_IN_FULL:]
        lines += [f"    and {failure.subject}" for failure in rest[:_BY_NAME]]
        lines += [f"    and {len(rest) - _BY_NAME} more"] * (len(rest) > _BY_NAME)
    report = CheckError("\n".join(lines))
    report.failures = tuple(
        CheckError(
            f"{check}: {failure.error.what}",
            details=[("case", failure.subject), *failure.error.details],
            hint=failure.error.hint,
        )
        for check, failures in failed.items()
        for failure in failures
    )
    return report
