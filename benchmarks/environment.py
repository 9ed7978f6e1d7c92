"""What a measuring process finds in its environment: threads, processors, caches."""

from __future__ import annotations

import os
from pathlib import Path

THREAD_VARIABLES = (
    "GRAPHWRIGHT_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)

# Each framework keeps compiled code in a folder of its own, below that of the measurement.
CACHE_VARIABLES = {
    "GRAPHWRIGHT_CACHE": "graphwright",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "NUMBA_CACHE_DIR": "numba",
    "JAX_COMPILATION_CACHE_DIR": "jax",
}


def processors() -> list[int]:
    """The numbers of those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def confine(threads: int) -> None:
    """Let this process use no more processors than threads.

    XLA takes as many threads as it sees processors and has no setting for it; what it is held to
    all are held to.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors()[:threads])


def environment(threads: int, caches: Path, *, cold: bool) -> dict[str, str]:
    """The environment of a measuring process.

    threads: for every library that has a variable for it
    caches:  a folder for whatever the frameworks keep from one process to the next
    cold:    jax keeps compiled code only when it is told to. It is not where the first call with
             nothing kept is measured, since to write it takes time
    """
    settings = dict(os.environ)
    settings |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    settings |= {name: str(caches / folder) for name, folder in CACHE_VARIABLES.items()}
    flags = [settings.get("PYTENSOR_FLAGS", ""), f"base_compiledir={caches / 'pytensor'}"]
    settings |= {
        "PYTENSOR_FLAGS": ",".join(filter(None, flags)),
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_COMPILATION_CACHE": "false" if cold else "true",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    settings.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode is compiled once, as in ordinary runs
    return settings
