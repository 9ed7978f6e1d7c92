"""The threads that run native code: one pool for the process, started when first needed.

The workers are Python threads that live in native code (`compiler/native/workers.py`) and hold
nothing of Python's there. Between programs they sleep. A forked child starts its own; at the
interpreter's exit they leave.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from graphwright.compiler.native.objects import compiled
from graphwright.compiler.native.runner import (
    DISMISS,
    ENTRIES,
    POOL_FIELDS,
    REST,
    RUN_PROGRAM,
    WORK,
    Pool,
    runner_text,
)
from graphwright.compiler.native.target import Target
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.source import here
from graphwright.runtime.boundary import HEAD, Table, aligned_table, builtin, set_addresses
from graphwright.runtime.processors import MOST_THREADS, processors, threads_asked_for

_SHORT_SPIN, _LONG_SPIN = 20e-6, 50e-6  # seconds that a worker waits before it sleeps


def threads(count: int | None = None) -> int:
    """How many threads run compiled functions; with `count`, so many from now on.

    Unless told, it is the environment's GRAPHWRIGHT_THREADS, else the number of processors that
    this process may use: by its affinity, and by its control group's quota, rounded up. Results
    have the same bits with any number. Safe at any time, from any thread.

    Raises AttributeValueError for what is not a whole number from 1 to 1024.
    """
    if count is not None:
        whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if not whole or not 1 <= count <= MOST_THREADS:
            raise AttributeValueError(
                f"threads can't be {count!r}",
                source=here(),
                hint=f"a whole number from 1 to {MOST_THREADS}",
            )
        _POOL.resize(int(count))
    return _POOL.threads


def pool() -> ThreadPool:
    """The process's pool, with its native code loaded; its threads start with the first program."""
    _POOL.load()
    return _POOL


def texts_to_load() -> list[str]:
    """What will be compiled when the pool is first needed; nothing once it has been."""
    return [] if _POOL.loaded else [_runner()]


class ThreadPool:
    """The workers, and the table by which native code knows them.

    table: see `compiler.native.runner.Pool`; it stays where it is as long as the process lives
    """

    def __init__(self) -> None:
        self.table = aligned_table(POOL_FIELDS)
        self.address = int(self.table.ctypes.data)
        self._threads: int | None = None
        self._team: list[threading.Thread] = []
        self._lock = threading.RLock()
        self._entries: dict[str, int] = {}
        self._held: list[object] = []  # what native code has the address of

    @property
    def threads(self) -> int:
        """How many threads run a program, the caller's among them."""
        if self._threads is None:
            self._threads = threads_asked_for() or processors()
        return self._threads

    def resize(self, count: int) -> None:
        """Have so many threads from the next program on."""
        with self._lock:
            if count != self._threads:
                self._threads = count
                self._dismiss()

    @property
    def loaded(self) -> bool:
        return bool(self._entries)

    def load(self) -> None:
        """Load the native code, the first time."""
        with self._lock:
            if self._entries:
                return
            code, entries = _load()
            start = self.start
            self._held += [code, start]
            # Threads may be in this code, and at this table, when Python's memory is freed.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
            set_addresses(self.table)
            self.table[Pool.START] = id(start)
            self._entries = entries
            pause = _seconds_of_a_pause(self._function(REST, None, ctypes.c_int64))
            self.table[Pool.SHORT_SPIN] = round(_SHORT_SPIN / pause)
            self.table[Pool.LONG_SPIN] = round(_LONG_SPIN / pause)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forget)
            atexit.register(self._close)

    def start(self) -> None:
        """Start the workers, if they have not been: as many as the system allows."""
        with self._lock:
            if self.table[Pool.STARTED]:
                return
            team: list[threading.Thread] = []
            self._team = team
            try:
                for index in range(1, self.threads):
                    name = f"graphwright-{index}"
                    worker = threading.Thread(
                        target=self._work, args=(team, index), name=name, daemon=True
                    )
                    team.append(worker)
                    try:
                        worker.start()
                    except RuntimeError:  # the system allows no more, or Python is about to exit
                        team.pop()
                        break
            except BaseException:  # Ctrl-C
                self._dismiss()
                raise
            self.table[Pool.WORKERS] = len(team)
            self.table[Pool.STARTED] = 1

    def builtin(self, name: str, header: Table) -> Callable[..., Any]:
        """An entry of the runner as a function of Python's, for the program with this header."""
        return builtin(name, self._entries[name], header)

    def run(self, header: Table) -> int:
        """The runner's `run_program`, which needs nothing of Python's objects."""
        if not self.table[Pool.STARTED]:
            self.start()
        run = self._function(RUN_PROGRAM, ctypes.c_int64, ctypes.c_void_p)
        return int(run(header.ctypes.data))

    def _work(self, team: list[threading.Thread], index: int) -> None:
        """The life of a worker, unless its team was sent away while it started."""
        if self._team is team:
            self._function(WORK, None, ctypes.c_void_p, ctypes.c_int64)(self.address, index)

    def _dismiss(self) -> None:
        """Let the workers end what they are at, and leave."""
        team, self._team = self._team, []
        self.table[Pool.STARTED] = self.table[Pool.WORKERS] = 0
        if team:
            self._function(DISMISS, None, ctypes.c_void_p)(self.address)
            for worker in team:
                if worker.ident is not None:
                    worker.join()
            self.table[Pool.STOP] = 0

    def _forget(self) -> None:
        """In a forked child, which has the calling thread alone: as if none had been started."""
        self._lock = threading.RLock()
        self._team = []
        self.table[[Pool.STARTED, Pool.WORKERS]] = 0
        self.table[Pool.LOCK :] = 0

    def _close(self) -> None:
        """At exit: no workers from here on."""
        with self._lock:
            self._threads = 1
            self._dismiss()

    def _function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        return ctypes.CFUNCTYPE(result, *arguments)(self._entries[name])


_POOL = ThreadPool()


def _seconds_of_a_pause(rest: Callable[[int], None]) -> float:
    """Measured; a billionth at least, so that spinning ends even if pauses take no time."""
    count, times = 500, []
    for _ in range(3):
        start = time.perf_counter()
        rest(count)
        times.append(time.perf_counter() - start)
    return max(min(times) / count, 1e-9)


def _runner() -> str:
    return runner_text(Target.host().architecture, HEAD)


def _load() -> tuple[object, dict[str, int]]:
    """The runner's code, in memory as long as it is held, and the addresses of its entries."""
    [record] = compiled([_runner()], Target.host())
    addresses = (ctypes.c_void_p * len(ENTRIES))()
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(record.address)(ctypes.addressof(addresses))
    entries = {name: int(at or 0) for name, at in zip(ENTRIES, addresses, strict=True)}
    return record.code, entries
