"""The native meaning of operators: that of their kernels, for all dtypes and special values."""

from __future__ import annotations

import itertools
import math

import ml_dtypes
import numpy as np
import pytest
from support.cases import checked, own_operators
from support.lowered import Job, by_index, elementwise, natural_lanes, reduced, run

import graphwright as gw
from graphwright.graph.dim import evaluate
from graphwright.graph.dtype import as_dtype, is_boolean, is_floating, is_integer
from graphwright.graph.operator import Operator
from graphwright.graph.types import TensorType
from graphwright.ops.convert import Cast
from graphwright.testing.example import Example
from graphwright.testing.example import run as by_kernel

OPERATORS = own_operators()
ELEMENTWISE = [c for c in OPERATORS if c.elementwise and not c.composite]
FOLDS = [c for c in OPERATORS if getattr(c, "fold", False)]
AT_INDICES = [c for c in OPERATORS if c.name in ("arange", "size")]

WHOLE = ["i8", "u8", "i16", "i32", "u32", "i64", "u64"]
DTYPES = [as_dtype(name) for name in ["bool", *WHOLE, "f16", "bf16", "f32", "f64"]]

# By how many units in the last place results may differ from the exact ones, where they may:
# those of 16 bits are rounded once; how near functions of 32 and 64 bits come is tested elsewhere.
FUNCTIONS = """
arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt cos cosh erf erfc erfinv exp exp2 expm1
hypot log log10 log1p log2 logaddexp ndtri sigmoid sin sinh softplus tan tanh
"""
UNITS = {"float16": 0.51, "bfloat16": 0.51, "float32": 4, "float64": 8}


def named(operators):
    return pytest.mark.parametrize("operator", operators, ids=lambda operator: operator.name)


@named([*ELEMENTWISE, *FOLDS, *AT_INDICES])
def test_what_can_be_fused_has_a_native_meaning(operator):
    attributes = next(iter(checked(operator).cases)).attributes
    assert operator(**attributes).lowerable


def test_other_operators_need_none():
    class Softcap(Operator):
        name = "test_softcap"
        elementwise = True

    assert not Softcap().lowerable
    assert not gw.ops.reduction.ArgMax((0,), False).lowerable


# Elementwise operators.


def specials(dtype):
    """Numbers that are special in some way, among them those that other operands make special."""
    if is_boolean(dtype):
        return np.array([False, True])
    if is_integer(dtype):
        limits, bits = np.iinfo(dtype), 8 * dtype.itemsize
        numbers = [0, 1, 2, 3, 5, 7, bits - 1, bits, limits.max, limits.max - 1, limits.max // 3]
        if dtype.kind == "i":
            numbers += [-1, -2, -3, -7, -bits, limits.min, limits.min + 1]
        return np.array(numbers, dtype)
    limits = ml_dtypes.finfo(dtype)
    top, tiny = float(limits.max), float(limits.smallest_subnormal)
    numbers = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 0.1, 100.25, top, tiny, 3 * tiny]
    numbers += [float(limits.smallest_normal), 1 + float(limits.eps), math.inf, math.pi, 0.3]
    return np.array([*numbers, *(-v for v in numbers), math.nan], dtype)


def drawn(dtype, count, random):
    """Numbers of many sizes."""
    if not is_floating(dtype):
        return random.choice(specials(dtype), count)
    sizes = np.where(random.random(count) < 0.5, 1, 10 ** random.uniform(-6, 4, count))
    return (random.normal(size=count) * sizes).astype(dtype)


def operands(op, dtypes):
    """Inputs of these dtypes: all combinations of special values, those of the cases, others."""
    random = np.random.default_rng(0)
    columns = [specials(dtype) for dtype in dtypes]
    if len(columns) < 3:
        rows = [np.array(c) for c in zip(*itertools.product(*columns), strict=True)]
    else:
        rows = [random.choice(column, 500) for column in columns]
    groups = [rows, [drawn(dtype, 301, random) for dtype in dtypes]]
    floats = [dtype for dtype in dtypes if is_floating(dtype)]
    for case in type(op).cases:
        example = Example(type(op), case)
        example = example.converted(floats[0]) if floats else example
        if example.op == op and [kind.dtype for kind in example.types] == list(dtypes):
            groups += [r.arrays() for r in example.runs]
    flat = [[a.ravel() for a in np.broadcast_arrays(*group)] for group in groups]
    return [np.concatenate(parts) for parts in zip(*flat, strict=True)]


def signatures(op):
    """The dtypes of inputs that an operator takes."""
    count = len(type(op).cases[0].operands)
    for dtype in DTYPES:
        dtypes = (DTYPES[0], dtype, dtype) if op.name == "where" else (dtype,) * count
        try:
            op.infer(*(TensorType(d, (1,)) for d in dtypes))
        except gw.DTypeError:
            continue
        yield dtypes


def variants(operator):
    """Each operator, with the dtypes that it is tried with."""
    if operator is Cast:
        return [(Cast(to), (dtype,)) for to in DTYPES for dtype in DTYPES if dtype != to]
    return [(operator(), dtypes) for dtypes in signatures(operator())]


def in_range(op, x):
    """Of floats that become integers, those whose result is defined."""
    if not (isinstance(op, Cast) and is_floating(x.dtype) and is_integer(op.dtype)):
        return np.full(x.shape, True)
    limits = np.iinfo(op.dtype)
    whole = np.trunc(x.astype(np.float64))
    return (whole >= float(limits.min)) & (whole < float(limits.max) + (op.dtype.itemsize < 8))


@named(ELEMENTWISE)
def test_an_operator_runs_natively_as_its_kernel_does(operator):
    jobs, told = [], []
    for op, dtypes in variants(operator):
        given = operands(op, dtypes)
        given = [np.ascontiguousarray(x[in_range(op, given[0])]) for x in given]
        (wanted,) = by_kernel(op, given)
        lanes = natural_lanes([*dtypes, wanted.dtype])
        ways = [(1, ()), (lanes, ())]
        if len(dtypes) > 1 and dtypes[-1] in (np.float32, np.int32, bool):
            ways += [(lanes, scalars) for scalars in ((0,), (1,))]
        for lanes, scalars in ways:
            out = np.empty(wanted.shape, wanted.dtype)
            jobs.append(Job(elementwise(op, lanes, scalars), [*given, out], out.size))
            told.append((op, scalars))
    run(jobs)
    for job, (op, scalars) in zip(jobs, told, strict=True):
        *given, out = job.arrays
        given = [np.broadcast_to(x[0], x.shape) if i in scalars else x for i, x in enumerate(given)]
        assert_alike(op, given, out)


def assert_alike(op, given, out):
    function = op.name in FUNCTIONS.split() or (op.name == "power" and is_floating(out.dtype))
    if function:
        wide = [x.astype(np.float64) for x in given]
        (wanted,) = by_kernel(op, wide)
        scale = np.abs(wanted)
        if op.name == "logaddexp":  # whose terms may cancel
            scale = np.fmax(np.fmax(scale, np.abs(wide[0])), np.abs(wide[1]))
        with np.errstate(all="ignore"):
            near = np.abs(out - wanted) <= UNITS[out.dtype.name] * unit(scale, out.dtype)
            same = np.signbit(out.astype(np.float64)) == np.signbit(wanted)
            equal = near & same | (out == wanted.astype(out.dtype)) & same
    else:
        (wanted,) = by_kernel(op, given)
        equal = out == wanted
        if is_floating(out.dtype) and not any_zero(op, out.dtype):
            equal &= np.signbit(out.astype(np.float64)) == np.signbit(wanted.astype(np.float64))
    if is_floating(out.dtype):
        equal |= np.isnan(out) & np.isnan(wanted)
    wrong = np.flatnonzero(~equal)
    rows = [f"{[x[i] for x in given]} gives {out[i]!r}, not {wanted[i]!r}" for i in wrong[:8]]
    assert not rows, f"{op} of {given[0].dtype}: {len(wrong)} of {out.size}\n" + "\n".join(rows)


def any_zero(op, dtype):
    """Whether zero may have either sign: that of several, or since a kernel of 16 bits differs
    there from the others, and from the array standard."""
    standard = op.name in ("sign", "nextafter") and dtype.itemsize == 2
    return standard or op.name in ("maximum", "minimum")


def unit(x, dtype):
    """The distance of numbers of `dtype` near |x|, as float64."""
    limits = ml_dtypes.finfo(dtype)
    exponent = np.frexp(np.where(np.isfinite(x), x, 1.0))[1] - 1
    exponent = np.clip(exponent, limits.minexp, limits.maxexp - 1)
    return np.ldexp(1.0, exponent - limits.nmant)


OUT_OF_RANGE = [math.nan, math.inf, -math.inf, 1e30, -1.5, 2.0**31, 2.0**32 + 512, 70000.0]
LOW4, LOW8 = -(2**31), -(2**63)
CONVERTED = {
    "i8": [0, 0, 0, 0, -1, 0, 0, 112],
    "u8": [0, 0, 0, 0, 255, 0, 0, 112],
    "i16": [0, 0, 0, 0, -1, 0, 0, 4464],
    "i32": [LOW4, LOW4, LOW4, LOW4, -1, LOW4, LOW4, 70000],
    "u32": [-LOW4, 0, -LOW4, 0, 2**32 - 1, 2**31, 0, 70000],
    "i64": [LOW8, LOW8, LOW8, LOW8, -1, 2**31, 2**32 + 512, 70000],
    "u64": [-LOW8, 0, -LOW8, 0, 2**64 - 1, 2**31, 2**32 + 512, 70000],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
def test_floats_beyond_an_integers_range_become_what_cast_says(dtype):
    given, jobs = np.array(OUT_OF_RANGE * 3, dtype), []
    for name in CONVERTED:
        to = as_dtype(name)
        for lanes in (1, natural_lanes([given.dtype, to])):
            out = np.empty(given.shape, to)
            jobs.append(Job(elementwise(Cast(to), lanes), [given, out], out.size))
    run(jobs)
    found = {(gw.graph.dtype.short_name(j.arrays[1].dtype), i): j for i, j in enumerate(jobs)}
    for (name, _), job in found.items():
        assert job.arrays[1].tolist() == CONVERTED[name] * 3, name


# Reductions.


@named(FOLDS)
def test_a_reduction_folds_natively_as_its_kernel_does(operator):
    jobs = []
    op = operator((0,), False)
    for (dtype,) in signatures(op):
        for given in folded_arrays(op, dtype):
            for lanes in (1, natural_lanes([op.accumulates(dtype)])):
                out = np.empty((), op.infer(TensorType(dtype, given.shape)).dtype)
                jobs.append(Job(reduced(op, lanes), [given, out], given.size))
    run(jobs)
    for job in jobs:
        given, out = job.arrays
        wide = given.astype(np.float64) if is_floating(given.dtype) else given
        (wanted,) = by_kernel(op, [wide])
        wanted = wanted.astype(out.dtype)
        if is_floating(out.dtype):  # nan of bfloat16 is no nan to the comparison
            out, wanted = out.astype(np.float64), wanted.astype(np.float64)
        np.testing.assert_array_equal(out, wanted, f"{op.name} of {given}")


def folded_arrays(op, dtype):
    """Elements whose total is exact in any order; of 16-bit floats, where it is large too."""
    random = np.random.default_rng(1)
    if op.name not in ("max", "min"):
        yield np.empty(0, dtype)
    if is_boolean(dtype):
        yield from ([random.random(99) < share for share in (0.0, 0.5, 1.0)])
        return
    yield random.permutation(specials(dtype)[: -1 if is_floating(dtype) else None])
    if op.name == "prod":
        yield random.choice(np.array([1, 2, 1, 1, 1], dtype), 40)
    else:
        yield random.integers(0, 9, 100).astype(dtype)
    if is_floating(dtype):
        yield np.array([1.0, math.nan, 2.0] + [3.0] * 40, dtype)
        yield np.array([3.0] * 40 + [math.nan], dtype)
        if op.name == "sum" and dtype.name == "float16":
            yield np.ones(4099, dtype)


# What needs an index.


@named(AT_INDICES)
def test_values_at_indices_are_those_of_the_kernel(operator):
    jobs, told = [], []
    for case in operator.cases:
        for at in Example(operator, case).runs:
            (wanted,) = by_kernel(at.op, [])
            sizes = at.sizes
            number = lambda b, size, sizes=sizes: b.index(evaluate(size, sizes))  # noqa: E731
            for lanes in (1, natural_lanes([np.dtype(np.int64)])):
                out = np.empty_like(wanted)
                jobs.append(Job(by_index(at.example.op, lanes, number), [out], out.size))
                told.append(wanted)
    run(jobs)
    for job, wanted in zip(jobs, told, strict=True):
        np.testing.assert_array_equal(job.arrays[0], wanted)
