"""Where in the user's code a node was made: captured cheaply, formatted only when shown."""

from __future__ import annotations

import linecache
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType

_PACKAGE = "graphwright."
_FACES = ("graphwright.demo", "graphwright.cli")  # programs of ours that are users themselves


@lru_cache(maxsize=4096)
def _is_user_module(name: str) -> bool:
    return name in _FACES or not (name.startswith(_PACKAGE) or name == "graphwright")


@dataclass(frozen=True, slots=True)
class Line:
    """One place in the user's code: the code object and the instruction within it."""

    code: CodeType
    instruction: int

    @property
    def file(self) -> str:
        return self.code.co_filename

    @property
    def number(self) -> int:
        """The 1-based line number, found from the code object's line table."""
        for start, end, line in self.code.co_lines():
            if line is not None and start <= self.instruction < end:
                return line
        return self.code.co_firstlineno

    @property
    def text(self) -> str:
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.number}"


@dataclass(frozen=True, slots=True)
class Source:
    """The lines a node comes from: one when the user made it, several when it replaces others."""

    lines: tuple[Line, ...] = ()

    def __or__(self, other: Source) -> Source:
        """Both sources together, without repeats, in order."""
        if self is other or not other.lines:
            return self
        if not self.lines:
            return other
        merged = tuple(dict.fromkeys(self.lines + other.lines))
        return self if merged == self.lines else Source(merged)

    def __str__(self) -> str:
        """`train.py:14`, or several lines: `train.py:14, 17, model.py:3`; empty when unknown."""
        files: dict[str, set[int]] = {}
        for line in self.lines:
            files.setdefault(os.path.basename(line.file), set()).add(line.number)
        return ", ".join(
            f"{file}:{', '.join(map(str, sorted(numbers)))}" for file, numbers in files.items()
        )

    def describe(self) -> str:
        """`train.py:14 in build: logits = x @ w`."""
        if not self.lines:
            return "an unknown line"
        line = self.lines[0]
        inside = "" if line.code.co_name == "<module>" else f" in {line.code.co_name}"
        code = f": {line.text}" if line.text else ""
        return f"{line}{inside}{code}"


NOWHERE = Source()


def here() -> Source:
    """The innermost line of the call stack that is the user's, not Graphwright's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_user_module(frame.f_globals.get("__name__", "")):
            return Source((Line(frame.f_code, frame.f_lasti),))
        frame = frame.f_back
    return NOWHERE
