"""Every operator, on every one of its cases: tests generated from what the operators say.

The definitions to compare with are in `support/*_definitions.py`, which say what form they have.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
import pytest
from support.cases import Example, cases_of, examples, outputs_of, own_operators, run
from support.closeness import ULPS, ULPS_ACCUMULATED, assert_close, largest
from support.definitions import defined, definitions
from support.gradients import Derivatives, directional, evaluated, weights

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.batch import batched
from graphwright.graph.dim import evaluate
from graphwright.graph.dtype import bfloat16, float16, float64, is_floating
from graphwright.graph.errors import GradientError, GraphwrightError
from graphwright.graph.graph import Graph
from graphwright.graph.operator import Operator
from graphwright.graph.parse import parse
from graphwright.graph.text import text
from graphwright.ops.case import Reject

# Relative tolerance of derivatives, by finite differences in float64.
DERIVATIVE = 1e-6

# Nothing can be wrong with their inputs or attributes.
NEVER_FAIL = {"cast", "constant", "size", "stop_gradient"}

OPERATORS = own_operators()
EXAMPLES = examples()
REJECTS = [(operator, reject) for operator in OPERATORS for reject in operator.rejects]


def each(values, name="example"):
    values = list(values)
    return pytest.mark.parametrize(name, values, ids=[_id(value) for value in values])


def _id(value) -> str:
    return value.name if isinstance(value, type) else str(value).replace("\n", "")


def seeded(example: Example) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(str(example).encode()))


# Types and values.


@each(EXAMPLES)
def test_infer_agrees_with_the_kernel_at_every_size(example):
    op, types = example.op, example.types
    inferred = outputs_of(op.infer(*types))
    for sizes in example.sizes:
        results = run(op.bind(sizes), example.arrays(sizes))
        for kind, array in zip(inferred, results, strict=True):
            assert array.dtype == kind.dtype
            assert array.shape == evaluate(kind.shape, sizes)
        assert evaluate(op.flops(*types), sizes) >= 0


@each(example for example in EXAMPLES if example.operator.name in definitions)
def test_the_kernel_agrees_with_an_independent_definition(example):
    for sizes in example.sizes:
        check_definition(example, sizes)


@each(
    example.converted(dtype)
    for example in EXAMPLES
    for dtype in (float16, bfloat16())
    if example.operator.elementwise
    and example.operator.name in definitions
    and example.floating
    and not any(isinstance(operand, np.ndarray) for operand in example.case.operands)
    and "dtype" not in example.operator.attribute_names
)
def test_elementwise_kernels_keep_half_precision(example):
    sizes = example.sizes[0]
    (inferred,) = outputs_of(example.op.infer(*example.types))
    (result,) = run(example.op, example.arrays(sizes))
    assert result.dtype == inferred.dtype
    check_definition(example, sizes)


def check_definition(example: Example, sizes: dict[str, int]) -> None:
    op, arrays = example.op.bind(sizes), example.arrays(sizes)
    for actual, wanted in zip(run(op, arrays), defined(op, arrays), strict=True):
        assert actual.shape == wanted.shape
        if op.elementwise:
            assert_close(actual, wanted, ULPS)
        else:
            assert_close(actual, wanted, ULPS_ACCUMULATED, largest(wanted))


# Memory.


@each(EXAMPLES)
def test_the_kernel_leaves_its_inputs_alone_and_takes_any_strides(example):
    for sizes in example.sizes:
        op, arrays = example.op.bind(sizes), example.arrays(sizes)
        before = [array.tobytes() for array in arrays]
        results = run(op, arrays)
        assert [array.tobytes() for array in arrays] == before
        strided = run(op, [unusual(array) for array in arrays])
        for actual, wanted in zip(strided, results, strict=True):
            assert_close(actual, wanted, ULPS_ACCUMULATED, 0.0 if op.elementwise else 1.0)


def unusual(array: np.ndarray) -> np.ndarray:
    """The same array, in memory the other way round and with gaps, and read-only."""
    memory = np.zeros((*array.shape[::-1], 2), array.dtype)
    view = memory[..., 0].T[(*(slice(None, None, -1) for _ in array.shape), ...)]
    view[...] = array
    view.flags.writeable = False
    return view


@each(EXAMPLES)
def test_kernel_into_writes_what_the_kernel_returns(example):
    for sizes in example.sizes:
        op, arrays = example.op.bind(sizes), example.arrays(sizes)
        for array in arrays:
            array.flags.writeable = False
        results = run(op, arrays)
        out = tuple(np.full(result.shape, 77).astype(result.dtype) for result in results)
        with np.errstate(all="ignore"):
            op.kernel_into(out if len(out) > 1 else out[0], *arrays)
        for actual, wanted in zip(out, results, strict=True):
            assert_close(actual, wanted, ULPS_ACCUMULATED, 0.0 if op.elementwise else 1.0)


@each(example for example in EXAMPLES if example.operator.elementwise)
def test_kernel_into_works_in_the_memory_of_any_input(example):
    for sizes in example.sizes:
        op = example.op.bind(sizes)
        arrays = example.arrays(sizes)
        (wanted,) = run(op, arrays)
        for i, array in enumerate(arrays):
            if (array.dtype, array.shape) == (wanted.dtype, wanted.shape):
                fresh = example.arrays(sizes)
                with np.errstate(all="ignore"):
                    op.kernel_into(fresh[i], *fresh)
                np.testing.assert_array_equal(fresh[i], wanted)
                others = [j for j in range(len(arrays)) if j != i]
                assert all(fresh[j].tobytes() == arrays[j].tobytes() for j in others)
                check_one_array_everywhere(op, arrays, i)


def check_one_array_everywhere(op: Operator, arrays: list[np.ndarray], i: int) -> None:
    """x op x into x: the same array as every input of its type, and as the output."""
    same = [(a.dtype, a.shape) == (arrays[i].dtype, arrays[i].shape) for a in arrays]
    (wanted,) = run(op, [arrays[i] if alike else a for a, alike in zip(arrays, same, strict=True)])
    shared = arrays[i].copy()
    with np.errstate(all="ignore"):
        op.kernel_into(shared, *[shared if s else a for a, s in zip(arrays, same, strict=True)])
    np.testing.assert_array_equal(shared, wanted)


# Derivatives.

DIFFERENTIABLE = [
    example.converted(float64)
    for example in EXAMPLES
    if example.floating and example.operator.differentiable
]


@each(DIFFERENTIABLE)
def test_gradients_agree_with_finite_differences_in_both_orders(example):
    derivatives = Derivatives.of(example)
    for sizes in example.sizes:
        random, xs = seeded(example), example.arrays(sizes)
        ws = weights(derivatives.values, sizes, random)
        vs = weights(derivatives.first, sizes, random)
        if isinstance(example.case.smooth, tuple):
            numbered = zip(derivatives.variables, vs, strict=True)
            vs = [v * (i in example.case.smooth) for i, v in numbered]
        first = evaluated(derivatives.first, [*xs, *ws], sizes)
        second = evaluated(derivatives.second, [*xs, *ws, *vs], sizes)
        if not smooth_at(example, example.op.bind(sizes), xs):
            continue
        steps = derivatives.direction(xs, example.case.smooth, random)
        along = [steps[i] for i in derivatives.variables]

        def value(moved, sizes=sizes):
            return evaluated(derivatives.values, moved, sizes)

        def gradient(moved, ws=ws, sizes=sizes):
            return evaluated(derivatives.first, [*moved, *ws], sizes)

        assert_same_slope(first, along, directional(value, xs, steps), ws)
        assert_same_slope(second, along, directional(gradient, xs, steps), vs)


def smooth_at(example: Example, op: Operator, xs: list[np.ndarray]) -> bool:
    """True where finite differences can say something: no kinks, nothing infinite."""
    if not example.case.smooth:
        return False
    floats = [array for array in [*xs, *run(op, xs)] if is_floating(array.dtype)]
    return all(np.isfinite(array).all() for array in floats)


def assert_same_slope(gradients, along, differences, weights) -> None:
    """⟨gradient, direction⟩ = ⟨weights, difference along the direction⟩."""
    symbolic = [g * d for g, d in zip(gradients, along, strict=True)]
    numeric = [w * d for w, d in zip(weights, differences, strict=True)]
    scale = sum(np.abs(terms).sum() for terms in [*symbolic, *numeric])
    error = sum(terms.sum() for terms in symbolic) - sum(terms.sum() for terms in numeric)
    assert abs(error) <= DERIVATIVE * scale + 1e-9


@each(OPERATORS, "operator")
def test_gradients_of_differentiable_operators_are_checked_somewhere(operator):
    mine = [example for example in DIFFERENTIABLE if example.operator is operator]
    assert not mine or any(
        smooth_at(example, example.op.bind(sizes), example.arrays(sizes))
        for example in mine
        for sizes in example.sizes[:1]
    )


@each(e for e in EXAMPLES if e.floating and not e.operator.differentiable)
def test_undifferentiable_operators_say_so(example):
    assert re.search("derivative|gradient", str(example.operator.__doc__))
    assert example.operator.gradient is Operator.gradient
    xs = example.inputs()
    target = gw.ops.cast(example.op.apply(*xs)[0], float64).sum()
    wanted = next(x for x in xs if is_floating(x.dtype))
    with pytest.raises(GradientError, match=f"without a derivative: .*{example.operator.name}"):
        grad(target, wanted)


# Batching.


@each(example for example in EXAMPLES if example.case.operands)
def test_many_applications_at_once_give_what_one_at_a_time_gives(example):
    for mapped in which_mapped(len(example.case.operands)):
        xs = example.inputs()
        rows = [
            gw.input(f"rows{i}", ("rows", *x.shape), x.dtype) if has_axis else x
            for i, (x, has_axis) in enumerate(zip(xs, mapped, strict=True))
        ]
        new = {x: many for x, many in zip(xs, rows, strict=True) if many is not x}
        outputs = batched(example.op.apply(*xs), new)
        graph = Graph(rows, outputs)
        for sizes in example.sizes[:2]:
            check_rows(example, graph, mapped, sizes)


def which_mapped(count: int) -> list[tuple[bool, ...]]:
    """All inputs, and each one alone."""
    alone = [tuple(i == j for j in range(count)) for i in range(count)]
    return alone if count == 1 else [(True,) * count, *alone]


def check_rows(example: Example, graph: Graph, mapped: tuple[bool, ...], sizes: dict) -> None:
    op, count = example.op.bind(sizes), 3
    rows = [example.arrays(sizes, row) for row in range(count)]
    arrays = [
        np.stack([row[i] for row in rows]) if has_axis else rows[0][i]
        for i, has_axis in enumerate(mapped)
    ]
    together = evaluated(graph, arrays, {**sizes, "rows": count})
    for i, row in enumerate(rows):
        one = [own if m else first for own, first, m in zip(row, rows[0], mapped, strict=True)]
        for many, wanted in zip(together, run(op, one), strict=True):
            assert_close(many[i], wanted, ULPS_ACCUMULATED, largest(wanted))


# Composites, errors, printing.


@each(example for example in EXAMPLES if example.operator.composite)
def test_composites_decompose_into_the_same_value(example):
    xs = example.inputs()
    answer = example.op.decompose(*xs)
    graph = Graph(xs, answer if isinstance(answer, tuple) else (answer,))
    assert not any(node.op.name == example.operator.name for node in graph.nodes)
    assert [tensor.type for tensor in graph.outputs] == list(
        outputs_of(example.op.infer(*example.types))
    )
    for sizes in example.sizes:
        arrays = example.arrays(sizes)
        results = run(example.op.bind(sizes), arrays)
        for actual, wanted in zip(evaluated(graph, arrays, sizes), results, strict=True):
            assert_close(actual, wanted, ULPS_ACCUMULATED, largest(wanted))


@pytest.mark.parametrize(
    ("operator", "reject"), REJECTS, ids=[f"{op.name}{reject!r}" for op, reject in REJECTS]
)
def test_bad_input_is_refused_at_the_users_line(operator: type[Operator], reject: Reject):
    xs = [gw.input(f"x{i}", t.shape, t.dtype) for i, t in enumerate(reject.operands)]
    with pytest.raises(GraphwrightError) as caught:
        operator(**reject.attributes).apply(*xs)  # the user's line
    message = str(caught.value)
    assert message.startswith(f"{operator.name}: ")
    assert reject.message in caught.value.what
    assert "test_operators.py" in message and "# the user's line" in message
    for x in xs:
        assert f"{x.name}: {x.type}" in message


@each(EXAMPLES)
def test_a_node_is_printed_and_read_back(example):
    xs = example.inputs()
    graph = Graph(xs, example.op.apply(*xs))
    printed = text(graph)
    again = parse(printed)
    assert again == graph
    assert text(again) == printed


# Traits.


@each(e for e in EXAMPLES if e.operator.elementwise)
def test_elementwise_operators_look_at_one_index_at_a_time(example):
    for sizes in example.sizes:
        op, arrays = example.op.bind(sizes), example.arrays(sizes)
        (whole,) = run(op, arrays)
        broadcast = np.broadcast_arrays(*arrays)
        assert whole.shape == broadcast[0].shape
        for index in list(np.ndindex(whole.shape))[:5]:
            (one,) = run(op, [array[index] for array in broadcast])
            assert_close(one, whole[index], ULPS)


@each(e for e in EXAMPLES if e.operator.commutative)
def test_commutative_operators_commute(example):
    first, second = example.arrays(example.sizes[0])
    (one,), (other,) = run(example.op, [first, second]), run(example.op, [second, first])
    np.testing.assert_array_equal(one, other)


@each(e for e in EXAMPLES if e.operator.view)
def test_views_move_no_bytes(example):
    for sizes in example.sizes:
        op, arrays = example.op.bind(sizes), example.arrays(sizes)
        (result,) = run(op, arrays)
        assert not result.size or np.shares_memory(result, arrays[0])
        assert op.view == "strided" or result.flags.c_contiguous


@each(e for e in EXAMPLES if e.operator.idempotent or e.operator.involution)
def test_applying_an_operator_again_changes_nothing_or_undoes_it(example):
    arrays = example.arrays(example.sizes[0])
    if len(arrays) == 2:
        arrays = [arrays[0], arrays[0]]
        (result,) = run(example.op, arrays)
        np.testing.assert_array_equal(result, arrays[0])
    else:
        (once,) = run(example.op, arrays)
        (twice,) = run(example.op, [once])
        np.testing.assert_array_equal(twice, arrays[0] if example.operator.involution else once)


@each(e for e in EXAMPLES if e.operator.identity_element is not None)
def test_the_identity_element_changes_nothing(example):
    x = example.arrays(example.sizes[0])[0]
    if not representable(example.operator.identity_element, x.dtype):
        return
    neutral = np.full_like(x, example.operator.identity_element)
    np.testing.assert_array_equal(run(example.op, [x, neutral])[0], x)
    if example.operator.commutative:
        np.testing.assert_array_equal(run(example.op, [neutral, x])[0], x)


@each(e for e in EXAMPLES if e.operator.absorbing_element is not None)
def test_the_absorbing_element_absorbs_what_is_finite(example):
    x = example.arrays(example.sizes[0])[0]
    x = np.where(np.isfinite(x), x, 0).astype(x.dtype)
    element = np.full_like(x, example.operator.absorbing_element)
    np.testing.assert_array_equal(run(example.op, [x, element])[0], element)
    np.testing.assert_array_equal(run(example.op, [element, x])[0], element)


def representable(value: float, dtype: np.dtype) -> bool:
    return is_floating(dtype) or not np.isinf(value)


# Completeness.


@each(OPERATORS, "operator")
def test_an_operator_is_complete(operator):
    doc = vars(operator)["__doc__"]
    assert doc and not doc.startswith(f"{operator.__name__}("), "no docstring"
    assert len(doc.split()) > 2 and doc.strip().splitlines()[0].endswith((".", ":", ","))
    assert cases_of(operator), "no cases"
    assert operator.rejects or operator.name in NEVER_FAIL, "no rejects"
    assert operator.name in definitions, "no independent definition"
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", operator.name)
    if not operator.composite or operator.decompose is Operator.decompose:
        assert operator.kernel is not Operator.kernel
    assert operator.composite == (operator.decompose is not Operator.decompose)
    assert not (operator.reduction and {"axes", "keepdims"} - set(operator.attribute_names))


@each((op for op in OPERATORS if op.__module__.startswith("graphwright.ops.")), "operator")
def test_an_operator_is_in_the_vocabulary_under_its_name(operator):
    assert callable(getattr(gw.ops, operator.name))
    assert operator.name in gw.ops.__all__


def test_the_vocabulary_is_documented():
    assert len(set(gw.ops.__all__)) == len(gw.ops.__all__)
    assert all(getattr(gw.ops, name).__doc__ for name in gw.ops.__all__)


def test_every_definition_is_of_an_operator():
    assert not definitions.keys() - {operator.name for operator in OPERATORS}
