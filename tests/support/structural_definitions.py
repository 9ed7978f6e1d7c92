"""What operators that look at more than one index mean, by naive loops and published values.

Each definition takes the input arrays (floating ones in float64, whatever the dtype of the case)
and the operator's attributes by name, with numbers for symbolic sizes; it gives the output (an
array or anything NumPy makes one of), or a tuple of them. It is rounded to the dtype afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

definitions: dict[str, Callable[..., Any]] = {}
