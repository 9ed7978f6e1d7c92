"""Every error that Graphwright raises.

::

    GraphwrightError
    ├── ShapeError          sizes or ranks that do not fit             (also a ValueError)
    ├── DTypeError          element types that do not fit              (also a TypeError)
    ├── AttributeValueError an axis, a rate, a name … out of its range (also a ValueError)
    ├── SymbolicValueError  a symbol used where a value is needed      (also a TypeError)
    ├── GradientError       a derivative that does not exist           (also a ValueError)
    ├── GraphError          a graph that is not well formed            (also a ValueError)
    ├── ParseError          text that is not a graph                   (also a ValueError)
    ├── InputError          arrays that do not fit a compiled function (also a ValueError)
    ├── CompileError        a pass that failed
    │   └── VerificationError   a pass that changed what the graph means
    ├── CheckError          what `gw.testing` found wrong              (also an AssertionError)
    └── RenderError         a diagram that can't be drawn              (also a RuntimeError)

A message says what, where and what to do::

    ShapeError: matmul: inner sizes differ: 784 != 512
      lhs  x: f32[batch,784]    made at train.py:12 by input("x")
      rhs  w: f32[512,10]       made at train.py:9 by parameter("w")
      at   train.py:14 in build: logits = x @ w
      hint: the last size of lhs must equal the second-last of rhs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphwright.graph.source import Source


_GAP = " " * 4


class GraphwrightError(Exception):
    """The root of all errors raised on purpose.

    what:    the first line
    details: (label, text) lines below it; what follows four spaces in the texts is aligned
    source:  the user's line at which it happened
    hint:    what to do
    """

    def __init__(
        self,
        what: str,
        *,
        details: Sequence[tuple[str, str]] = (),
        source: Source | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.details = tuple(details)
        self.source = source
        self.hint = hint

    def located(
        self, subject: str, details: Sequence[tuple[str, str]], source: Source | None
    ) -> GraphwrightError:
        """The same error, told by `subject` and with its place, unless it already has one."""
        if self.source is not None:
            return self
        told = self.what.startswith(f"{subject}: ")
        return type(self)(
            self.what if told else f"{subject}: {self.what}",
            details=(*self.details, *(pair for pair in details if pair not in self.details)),
            source=source,
            hint=self.hint,
        )

    def __str__(self) -> str:
        lines = [self.what]
        rows = [(label, *text.partition(_GAP)) for label, text in self.details]
        if self.source is not None and self.source.lines:
            rows.append(("at", self.source.describe(), "", ""))
        label_width = max((len(label) for label, *_ in rows), default=0)
        width = max((len(text) for _, text, gap, _ in rows if gap), default=0)
        for label, text, gap, rest in rows:
            cell = f"{text:<{width}}" if gap else text
            lines.append(f"  {label:<{label_width}}  {cell}{gap}{rest}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class ShapeError(GraphwrightError, ValueError):
    """Sizes or ranks that do not fit together."""


class DTypeError(GraphwrightError, TypeError):
    """Element types that do not fit together, or that an operator does not take."""


class AttributeValueError(GraphwrightError, ValueError):
    """An attribute (an axis, a rate, a name …) outside its range."""


class SymbolicValueError(GraphwrightError, TypeError):
    """A symbolic tensor or dimension used where Python needs a concrete value."""


class GradientError(GraphwrightError, ValueError):
    """A derivative that was asked for and does not exist."""


class GraphError(GraphwrightError, ValueError):
    """A graph that is not well formed: a free input, a name used twice, a wrong update."""


class ParseError(GraphwrightError, ValueError):
    """Text that is not a graph in the printed language; says the line and column."""


class InputError(GraphwrightError, ValueError):
    """Arrays that do not fit what a compiled function or a parameter takes."""


class CompileError(GraphwrightError):
    """A pass that could not do its work."""


class VerificationError(CompileError):
    """A pass that changed the meaning of the graph. Names the pass, the rule and the repro."""


class CheckError(GraphwrightError, AssertionError):
    """Something that was checked and does not hold, such as an operator's gradient.

    failures: of a report, what it is made of
    """

    failures: tuple[CheckError, ...] = ()


class RenderError(GraphwrightError, RuntimeError):
    """A diagram that can't be drawn, most often because a program is missing."""
