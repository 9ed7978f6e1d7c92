"""What the measurements were taken on."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import processors

PACKAGES = ("graphwright", "numpy", "llvmlite", "torch", "jax", "jaxlib", "pytensor", "numba")


def describe(threads: int, limit: float | None) -> dict[str, Any]:
    """For the head of a report: processor, cores, threads, versions, how busy it was before.

    limit: the most that the threads can do together, in GFLOP/s of float32, where it is known
    """
    return {
        "cpu": processor(),
        "cores": len(processors()),
        "threads": threads,
        "limit_gflops": limit,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "openblas": openblas_kernel(),
        "versions": versions(),
    }


def processor() -> str:
    """Its name and, because virtual machines hide that, its family and vector instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in lines)
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    name = fields.get("model name", platform.machine())
    family = f"family {fields.get('cpu family', '?')} model {fields.get('model', '?')}"
    flags = fields.get("flags", "").split()
    vectors = [flag for flag in ("avx2", "fma", "avx512f", "amx_tile") if flag in flags]
    return ", ".join([name, family, *vectors])


def versions() -> dict[str, str]:
    """Of those packages that are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def openblas_kernel() -> str | None:
    """Which processor the OpenBLAS in NumPy's wheel takes this one for.

    Worth knowing: it may pick the code of an older one, at half the speed.
    """
    folder = Path(np.__file__).parent.parent / "numpy.libs"
    for path in sorted(folder.glob("libscipy_openblas64*")):
        name = getattr(ctypes.CDLL(str(path)), "scipy_openblas_get_corename64_", None)
        if name is not None:
            name.restype = ctypes.c_char_p
            return str(name().decode())
    return None
