"""How near numbers must be to those that are expected, and what is said when they are not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dtype import DType, bfloat16, float64, is_floating
from graphwright.graph.errors import CheckError
from graphwright.graph.structure import flatten, form, paths, skeleton

Array = NDArray[Any]

# Allowed distance from the definition, in units of the last place of the result. NumPy's own
# vector kernels are within 4 (float64, float32) of the real value, and definitions within 1.
ULPS = 8
# Sums and products of many elements, relative to the largest element of the result.
ULPS_ACCUMULATED = 64


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    check_dtype: bool = True,
) -> None:
    """Raise CheckError unless `actual` is `expected`, but for rounding.

    actual, expected: arrays, or whatever NumPy makes arrays of; or tuples, lists and dicts of them,
                      in the same structure (a list of numbers is an array)
    rtol: the distance allowed, relative to each expected element; by default 64 units in the last
          place of the dtype that is less precise
    atol: the distance allowed in addition; by default `rtol` times the largest expected element,
          since that is how the rounding of sums goes
    check_dtype: the dtypes must be the same too, where `expected` is made of arrays

    Shapes must be the same: nothing broadcasts. Whole numbers and booleans must be equal. nan is
    nan, and an infinity is itself alone.
    """
    actual, expected = _arrays(actual, check_dtype), _arrays(expected, check_dtype)
    if skeleton(actual) != skeleton(expected):
        raise CheckError(
            "the structures differ", details=[("expected", form(expected)), ("got", form(actual))]
        )
    pairs = zip(paths(actual, ""), flatten(actual), flatten(expected), strict=True)
    for path, (one, _), (other, typed) in pairs:
        check_type(one, other.dtype if typed else one.dtype, other.shape, path)
        if not (is_floating(one.dtype) or is_floating(other.dtype)):
            _check_all(one == other, one, other, path)
            continue
        relative = rtol
        if relative is None:
            kinds = [a.dtype for a in (one, other) if is_floating(a.dtype)]
            relative = ULPS_ACCUMULATED * max(precision(kind)[0] for kind in kinds)
        absolute = relative * largest(other) if atol is None else atol
        wanted = other.astype(float64)
        with np.errstate(invalid="ignore", over="ignore"):
            allowed = relative * np.abs(wanted) + absolute
        _check_all(_near(one.astype(float64), wanted, allowed), one, other, path)


def _arrays(structure: Any, check_dtype: bool) -> Any:
    """The structure with (array, whether its dtype was given) as leaves.

    A list with nothing but numbers in it is an array; other lists are structure.
    """
    if structure is None:
        return None
    if isinstance(structure, dict):
        return {key: _arrays(item, check_dtype) for key, item in structure.items()}
    if isinstance(structure, tuple | list) and any(
        isinstance(leaf, np.ndarray) for leaf in flatten(structure)
    ):
        return [_arrays(item, check_dtype) for item in structure]
    return _Leaf(np.asarray(structure), check_dtype and hasattr(structure, "dtype"))


class _Leaf:
    """An array, and whether its dtype counts."""

    def __init__(self, array: Array, typed: bool) -> None:
        self.array, self.typed = array, typed

    def __iter__(self) -> Any:
        return iter((self.array, self.typed))


def check_close(actual: Array, wanted: Array, ulps: int, scale: float = 0.0) -> None:
    """Whole numbers and booleans equal; floats within `ulps` of the value, or of `scale`.

    actual: what overflows in its dtype is infinite (floats) or wraps around (integers)
    wanted: of the same shape; of any precision
    """
    dtype = actual.dtype
    if not is_floating(dtype):
        wanted = _wrapped(wanted, dtype)
        _check_all(actual == wanted, actual, wanted)
        return
    with np.errstate(over="ignore"):
        wanted = wanted.astype(float64).astype(dtype).astype(float64)
    unit, smallest = precision(dtype)
    with np.errstate(over="ignore"):
        allowed = ulps * (unit * np.maximum(np.abs(wanted), scale) + smallest)
    _check_all(_near(actual.astype(float64), wanted, allowed), actual, wanted)


def check_equal(actual: Array, wanted: Array, what: str = "") -> None:
    """Raise CheckError unless all elements are equal; nan is nan."""
    check_type(actual, wanted.dtype, wanted.shape, what)
    same = (actual == wanted) | ((actual != actual) & (wanted != wanted))
    _check_all(same, actual, wanted, what)


def check_type(array: Array, dtype: DType, shape: tuple[Any, ...], what: str = "") -> None:
    """Raise CheckError unless the array has that dtype and shape."""
    pairs = ("dtype", dtype, array.dtype), ("shape", tuple(shape), array.shape)
    for name, expected, actual in pairs:
        if expected != actual:
            place = f" of {what}" if what else ""
            raise CheckError(
                f"another {name}{place}",
                details=[("expected", f"{expected}"), ("got", f"{actual}")],
            )


def largest(values: Array) -> float:
    """The largest finite magnitude; 0 of none."""
    magnitudes = np.abs(values.astype(float64))
    return float(np.max(magnitudes, where=np.isfinite(magnitudes), initial=0.0))


def precision(dtype: DType) -> tuple[float, float]:
    """The distance from 1 to the next number, and the smallest number."""
    if dtype == bfloat16():
        return 2.0**-7, 2.0**-133
    limits = np.finfo(dtype)
    return float(limits.eps), float(limits.smallest_subnormal)


def _near(actual: Array, wanted: Array, allowed: Array) -> Array:
    with np.errstate(invalid="ignore"):
        close = (actual == wanted) | (np.isnan(actual) & np.isnan(wanted))
        near: Array = close | (np.isfinite(wanted) & (np.abs(actual - wanted) <= allowed))
    return near


def _wrapped(wanted: Array, dtype: DType) -> Array:
    """Whole numbers of any size as `dtype` holds them, modulo a power of two."""
    if dtype.kind not in "iu":
        return wanted.astype(dtype)
    if any(value != int(value) for value in wanted.flat):
        raise CheckError(f"{dtype} can't hold what is expected: {wanted}")
    bits = 8 * dtype.itemsize
    numbers = np.array([int(value) % 2**bits for value in wanted.flat], np.uint64)
    return numbers.astype(f"u{dtype.itemsize}").view(dtype).reshape(wanted.shape)


def _check_all(close: Array, actual: Array, wanted: Array, what: str = "") -> None:
    if np.all(close):
        return
    wrong = np.argwhere(~np.atleast_1d(close))
    place = tuple(int(i) for i in wrong[0]) if np.ndim(close) else ()
    where = f"{what}[{', '.join(map(str, place))}]" if place else what
    count = f"{len(wrong)} of {close.size} elements are" if np.size(close) > 1 else "the value is"
    raise CheckError(
        f"{count} not what is expected",
        details=[
            ("expected", f"{wanted[place]!s}{f' at {where}' if where else ''}"),
            ("got", str(actual[place])),
        ],
    )
