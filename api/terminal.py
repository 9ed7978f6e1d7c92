"""Printing to any terminal, also one that does not know the characters."""

from __future__ import annotations

import sys
from typing import TextIO

_PLAIN = str.maketrans(
    {
        "×": "x",
        "→": ">",
        "…": "...",
        "−": "-",
        "─": "-",
        "│": "|",
        "≤": "<=",
        "≥": ">=",
        "–": "-",
        "·": ".",
        "²": "2",
        "µ": "u",
    }
)


def say(text: str = "", file: TextIO | None = None) -> None:
    """Print `text`; in an encoding that lacks a character, with the nearest plain ones."""
    stream = sys.stdout if file is None else file
    print(readable(text, stream.encoding or "ascii"), file=stream, flush=True)


def readable(text: str, encoding: str) -> str:
    """`text` in characters that `encoding` has.

    >>> readable("8×8 → 10", "ascii")
    '8x8 > 10'
    """
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return text.translate(_PLAIN).encode("ascii", "replace").decode("ascii")
    return text
