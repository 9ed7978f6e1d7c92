"""Leave garbage where it is for a while.

Python looks for cycles among all young objects each time that some hundreds more have been made.
Compiling a graph makes hundreds of thousands, nearly all of which stay: to look through them again
and again would take a tenth of its time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cycles inside, in any thread; afterwards as before."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
