"""Vector functions: as accurate as their docstrings say, at every number, on several CPUs.

GRAPHWRIGHT_EXHAUSTIVE=1000000 in the environment tries so many points of each function and dtype
in place of the usual few, which takes some minutes.
"""

import os
import re

import numpy as np
import pytest
from support.native_math import VectorFunction
from support.vector_reference import REFERENCES, arguments, exact, extended, rounded, ulps

from graphwright.compiler.native.math import FUNCTIONS
from graphwright.compiler.native.target import Target
from graphwright.graph.dtype import as_dtype

EXHAUSTIVE = int(os.environ.get("GRAPHWRIGHT_EXHAUSTIVE", "0"))
NAMES = sorted(REFERENCES)
CPUS = ["x86-64-v2", "x86-64-v3"]


def stated(name, dtype):
    """The bound that a function's docstring gives."""
    text = " ".join(FUNCTIONS[name].__doc__.split())
    found = re.search(r"Within (\d\.\d) ulp in float32, (\d\.\d) in float64", text)
    assert found, f"{name} states no bound"
    return float(found[1 if dtype == "float32" else 2])


def vector_function(name, dtype, lanes=None, functions=FUNCTIONS):
    target = Target.host()
    lanes = lanes or target.lanes(np.dtype(dtype).itemsize)
    operands = 2 if name in REFERENCES and REFERENCES[name].pairs else 1
    return VectorFunction(name, dtype, lanes, operands, target, functions)


def worst(name, dtype, count, functions=FUNCTIONS):
    """The largest error among so many arguments, and what they were."""
    given = arguments(name, dtype, EXHAUSTIVE or count)
    found = vector_function(name, dtype, functions=functions)(*given)
    double = extended if EXHAUSTIVE else exact
    values = double(name, *given) if found.dtype == np.float64 else rounded(name, *given)
    errors = ulps(found, *values)
    i = int(np.argmax(errors))
    print(name, dtype, f"{errors[i]:.3f} ulp at", *(x[i] for x in given))
    return errors[i]


@pytest.mark.parametrize("name", NAMES)
def test_single_precision(name):
    assert worst(name, "float32", 50_000) <= stated(name, "float32") <= 2.0


@pytest.mark.parametrize("name", NAMES)
def test_double_precision(name):
    assert worst(name, "float64", 600) <= stated(name, "float64") <= 3.0


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", NAMES)
def test_other_processors(name, cpu, monkeypatch):
    monkeypatch.setenv("GRAPHWRIGHT_CPU", cpu)
    assert worst(name, "float32", 10_000) <= stated(name, "float32")
    assert worst(name, "float64", 150) <= stated(name, "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_lanes_changes_no_bit(name, dtype):
    given = arguments(name, dtype, 1000, seed=1)
    scalar = vector_function(name, dtype, lanes=1)(*given)
    for lanes in (4, 32):
        vector = vector_function(name, dtype, lanes)(*given)
        np.testing.assert_array_equal(vector, scalar)
        number = ~np.isnan(scalar)  # the sign of nan is nobody's promise
        np.testing.assert_array_equal(np.signbit(vector[number]), np.signbit(scalar[number]))


@pytest.mark.parametrize("cpu", ["", *CPUS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_exponentials(dtype, cpu, monkeypatch):
    """logaddexp, to the digits of the larger operand where the result is nearer to 0."""
    monkeypatch.setenv("GRAPHWRIGHT_CPU", cpu)
    draws, dtype = np.random.default_rng(0), np.dtype(dtype)
    special = np.array([0, -0.0, 1, -1, 1e4, -1e4, np.inf, -np.inf, np.nan], dtype)
    x, y = (axis.reshape(-1) for axis in np.meshgrid(special, special))
    x = np.concatenate([x, draws.uniform(-100, 100, 10_000).astype(dtype)])
    y = np.concatenate([y, draws.uniform(-100, 100, 10_000).astype(dtype)])
    y[5000:] = x[5000:] + draws.uniform(-3, 3, x.size - 5000).astype(dtype)
    found = VectorFunction("logaddexp", dtype, 8, 2, Target.host())(x, y)
    with np.errstate(invalid="ignore"):
        expected = np.logaddexp(x.astype(np.longdouble), y.astype(np.longdouble))
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        near = np.abs(found - expected) <= 2.0 * np.spacing(
            np.maximum(np.abs(expected), np.abs(np.maximum(x, y))).astype(dtype)
        )
    assert (same | near).all()


@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats_are_rounded_once(name, dtype):
    """All 65536 of them."""
    x = np.arange(2**16, dtype=np.uint16).view(as_dtype(dtype))
    found = vector_function(name, as_dtype(dtype), lanes=16)(x)
    wide = vector_function(name, "float32", lanes=16)(x.astype(np.float32))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(found.astype("f4"), wide.astype(x.dtype).astype("f4"))


def test_a_wrong_coefficient_is_noticed():
    def slightly_wrong(b, x):
        return FUNCTIONS["exp"](b, x) * (1 + 2.0**-21)

    assert worst("exp", "float32", 10_000, {"exp": slightly_wrong}) > 3.0


def test_a_wrong_sign_of_zero_and_a_missing_nan_are_noticed():
    def forgetful(b, x):
        return b.select(x > -np.inf, FUNCTIONS["expm1"](b, x) + 0.0, -1.0)

    x = np.array([-0.0, np.nan], np.float32)
    found = vector_function("expm1", "float32", functions={"expm1": forgetful})(x)
    assert np.isinf(ulps(found, *rounded("expm1", x))).all()
