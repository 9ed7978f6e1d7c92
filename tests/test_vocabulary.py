"""What holds for many operators at once, and no check of one operator alone says."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from support.cases import checked, own_operators
from support.running import value, values

import graphwright as gw
from graphwright.graph.dtype import float64, is_floating
from graphwright.graph.operator import Operator

# Gradients of batches.

OWN_GRADIENTS = [
    operator
    for operator in own_operators()
    if operator.composite and operator.gradient is not Operator.gradient and operator.cases
]


@pytest.mark.parametrize("operator", OWN_GRADIENTS, ids=lambda operator: operator.name)
def test_composites_keep_a_gradient_of_their_own_in_batches(operator):
    """Not that of their parts, which differs at kinks, and in what it is meant to hold back."""
    for example in checked(operator).examples:
        example = example.converted(float64)
        if example.floating and not example.op.symbolic:
            _check_gradients_of_rows(example)


def _check_gradients_of_rows(example):
    def energy(*inputs):
        return sum((out * out).sum() for out in example.op.apply(*inputs))

    xs = example.inputs()
    floating = [i for i, x in enumerate(xs) if is_floating(x.dtype)]
    alone = gw.grad(energy(*xs), [xs[i] for i in floating], disconnected="zero")
    rows = [gw.input(f"rows{i}", (2, *x.shape), x.dtype) for i, x in enumerate(xs)]
    total = gw.vmap(energy)(*rows).sum()
    together = gw.grad(total, [rows[i] for i in floating], disconnected="zero")
    at = next(example.runs)
    drawn = [at.arrays(row) for row in range(2)]
    stacked = [np.stack(arrays) for arrays in zip(*drawn, strict=True)]
    found = values(together, dict(zip(rows, stacked, strict=True)))
    for row, arrays in enumerate(drawn):
        wanted = values(alone, dict(zip(xs, arrays, strict=True)))
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one[row], other, rtol=1e-9, atol=1e-12)


def test_each_of_many_tables_has_a_row_that_learns_nothing():
    tables = gw.input("tables", (2, 3, 2), "float64")
    rows = gw.vmap(lambda table: gw.ops.embedding([0, 2, -1, 1], table, padding_index=2))(tables)
    found = value(gw.grad(rows.sum(), tables), {tables: np.ones((2, 3, 2))})
    np.testing.assert_array_equal(found, [[[1, 1], [1, 1], [0, 0]]] * 2)


# Numbers that are large, and those of few bits.


def test_the_gradient_of_logsumexp_does_not_see_how_its_value_is_rounded():
    x = gw.input("x", (2,), "float32")
    found = value(gw.grad(gw.ops.logsumexp(x), x), {x: np.float32([3e7, 3e7])})
    np.testing.assert_array_equal(found, [0.5, 0.5])


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_gradient_of_an_angle_knows_no_scale(scale):
    y, x = gw.input("y", (), "float32"), gw.input("x", (), "float32")
    slopes = values(
        gw.grad(gw.ops.arctan2(y, x), [y, x]), {y: np.float32(scale), x: np.float32(scale)}
    )
    np.testing.assert_allclose(slopes, [0.5 / scale, -0.5 / scale], rtol=1e-5)


def test_deviations_of_equal_elements_have_a_gradient():
    x = gw.input("x", (2, 3), "float64")
    spread = gw.ops.std(x, axis=1)
    slope = value(gw.grad(spread.sum(), x), {x: np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])})
    np.testing.assert_allclose(slope, [[0, 0, 0], [-(6**-0.5), 0, 6**-0.5]], atol=1e-12)
    odd = np.array([[np.nan, 1, 2], [np.inf, 1, 2]])
    assert np.isnan(value(spread, {x: odd})).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_half_precision_holds_more_elements_than_its_largest_number(name):
    x = gw.input("x", ("n",), "float16")
    ones, wanted = np.ones(70_000), {"softmax": 1 / 7e4, "log_softmax": -np.log(7e4)}
    y = getattr(gw.ops, name)(x)
    got, slope = values([y, gw.grad(y.sum(), x)], {x: ones.astype(np.float16)})
    np.testing.assert_allclose(got, np.full_like(got, wanted.get(name, 1 + np.log(7e4))), rtol=2e-2)
    np.testing.assert_allclose(slope, 1 / 7e4 if name == "logsumexp" else 0, atol=1e-6)


# What is no argument.


WRONG = {
    "int": (1.5, True, "one", [2], object(), math.nan, np.float32(1)),
    "float": (math.nan, np.float32(math.nan), True, "one", 10**400, (1.0,)),
    "bool": (1, 0.0, "yes", None, np.ones(2)),
}
WRONG["Size"] = WRONG["int"]
ARGUMENTS = [
    pytest.param(build, name, id=f"{build.__name__}-{name}")
    for build in (getattr(gw.ops, name) for name in gw.ops.__all__)
    if inspect.isfunction(build)
    for name, parameter in inspect.signature(build).parameters.items()
    if parameter.annotation.removesuffix(" | None") in WRONG
]


@pytest.mark.parametrize(("build", "name"), ARGUMENTS)
def test_what_is_not_as_declared_is_refused_before_anything_else(build, name):
    parameters = inspect.signature(build).parameters
    required = [p for p in parameters.values() if p.default is p.empty]
    others = {p.name: [1] if p.annotation.startswith("Sequence[") else 1 for p in required}
    for wrong in WRONG[parameters[name].annotation.removesuffix(" | None")]:
        told = rf"^\w+: {name} must be .*, got"
        with pytest.raises(gw.AttributeValueError, match=told) as caught:
            build(**{**others, name: wrong})
        assert caught.value.source.lines[0].text.startswith("build(")
        assert f'declared as "{name}: ' in caught.value.hint


def test_numbers_of_numpy_are_pythons():
    x = gw.input("x", (2, 6))
    y = gw.ops.topk(x, np.int64(2), axis=np.int8(-1), largest=np.bool_(False))[0]
    assert y.node.op.attributes == {"axis": 1, "k": 2, "largest": False}
    assert [type(value) for value in y.node.op.attributes.values()] == [int, int, bool]
    assert gw.ops.permute_dims(x, np.array([1, 0])).shape == (6, 2)


def test_what_is_wrong_is_shown_in_a_few_words():
    x = gw.input("x", (2,))
    with pytest.raises(gw.AttributeValueError, match=r"alpha must be a number, got a number of"):
        gw.ops.elu(x, 10**400)
    with pytest.raises(gw.AttributeValueError, match=r"axes must be .* or None, got '0{59}…"):
        gw.ops.permute_dims(x, "0" * 1000)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda x: gw.ops.pad(x, 1.5), "pad: widths are pairs .*, got 1.5"),
        (lambda x: gw.ops.pad(x, "ab"), "pad: widths are pairs .*, got 'ab'"),
        (lambda x: gw.ops.pad(x, [(1, 1.5)] * 2), "pad: 1.5 is not a size"),
        (lambda x: gw.ops.pad(x, True), "pad: True is not a size"),
        (lambda x: gw.ops.repeat(x, 1.5), "repeat: repeats must be a size, or .*, got 1.5"),
        (lambda x: gw.ops.repeat(x, [1, "a"], 0), "repeat: repeats must be .*, got"),
        (lambda x: gw.ops.repeat(x, True, 0), "repeat: repeats must be a size, or .*, got True"),
        (lambda x: gw.ops.tensordot(x, x, 1.5), "tensordot: axes 1.5: the axes of x and those"),
        (lambda x: gw.ops.tensordot(x, x, (0.5, 0)), "tensordot: an axis is a whole number"),
        (lambda x: gw.ops.fft(x, x[0]), r"fft: the real part is f32\[2,3\]"),
        (lambda x: gw.ops.concatenate([x, 1.0]), "of tensors 0 and 1 differ in rank"),
        (lambda x: gw.ops.diff(x, append=1.0), "of tensors 0 and 1 differ in rank"),
        (lambda x: gw.ops.eye(3, -1), "eye: a size can't be negative, got -1"),
        (lambda x: gw.ops.tri(-2), "tri: a size can't be negative, got -2"),
        (lambda x: gw.ops.logspace(0, 1, 3, base=-2.0), "logspace: the base must be more than 0"),
        (lambda x: gw.ops.layer_norm(x, epsilon=math.inf), "layer_norm: epsilon must be finite"),
        (lambda x: gw.ops.local_response_norm(x, 3, beta=math.inf), "alpha, beta and bias must be"),
        (lambda x: gw.ops.running_statistics(0.0, 1.0, x, x, 0), "the count must be at least 1"),
        (lambda x: gw.ops.zeros(b"ab"), "zeros: b'ab' is not a shape"),
        (
            lambda x: gw.ops.conv(x[None], x[None], stride=b"a"),
            "conv: stride is a whole number, or",
        ),
    ],
)
def test_nonsense_is_refused(build, told):
    with pytest.raises(gw.GraphwrightError, match=told) as caught:
        build(gw.input("x", (2, 3)))
    assert "lambda x: gw.ops." in caught.value.source.lines[0].text


def test_what_is_far_larger_than_the_tensor_takes_no_time():
    x = gw.input("x", (2, 4), "float64")
    flat = np.arange(8.0).reshape(2, 4)
    wide = gw.ops.local_response_norm(x, 10**9, alpha=1e9, bias=0.0, beta=1.0)
    wanted = flat / (flat**2).sum(1, keepdims=True)
    np.testing.assert_allclose(value(wide, {x: flat}), wanted)
    assert gw.ops.diff(x, 10**9).shape == (2, 0)
