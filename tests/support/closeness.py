"""How near a kernel's result must be to the value that a definition says."""

from __future__ import annotations

import numpy as np

from graphwright.graph.dtype import bfloat16, float64, is_floating

# Allowed distance from the definition, in units of the last place of the result. NumPy's own
# vector kernels are within 4 (float64, float32) of the real value, and definitions within 1.
ULPS = 8
# Sums and products of many elements, relative to the largest element of the result.
ULPS_ACCUMULATED = 64


def largest(values: np.ndarray) -> float:
    magnitudes = np.abs(values.astype(float64))
    return float(np.max(magnitudes, where=np.isfinite(magnitudes), initial=0.0))


def assert_close(actual: np.ndarray, wanted: np.ndarray, ulps: int, scale: float = 0.0) -> None:
    """Whole numbers and booleans equal; floats within `ulps` of the value, or of `scale`.

    What overflows in the dtype of `actual` is infinite (floats) or wraps around (integers).
    """
    dtype = actual.dtype
    if not is_floating(dtype):
        if dtype.kind in "iu":
            bits = 8 * dtype.itemsize
            assert all(v == int(v) for v in wanted.flat)
            wanted = np.array([int(v) % 2**bits for v in wanted.flat], np.uint64)
            wanted = wanted.astype(f"u{dtype.itemsize}").view(dtype).reshape(actual.shape)
        np.testing.assert_array_equal(actual, wanted.astype(dtype))
        return
    with np.errstate(over="ignore"):
        wanted = wanted.astype(float64).astype(dtype).astype(float64)
    unit, smallest = precision(dtype)
    allowed = ulps * (unit * np.maximum(np.abs(wanted), scale) + smallest)
    actual = actual.astype(float64)
    with np.errstate(invalid="ignore"):
        close = (actual == wanted) | (np.isnan(actual) & np.isnan(wanted))
        close |= np.isfinite(wanted) & (np.abs(actual - wanted) <= allowed)
    assert close.all(), f"{actual[~close]} is not {wanted[~close]}"


def precision(dtype: np.dtype) -> tuple[float, float]:
    """The distance from 1 to the next number, and the smallest number."""
    if dtype == bfloat16():
        return 2.0**-7, 2.0**-133
    limits = np.finfo(dtype)
    return float(limits.eps), float(limits.smallest_subnormal)
