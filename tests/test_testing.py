"""`gw.testing`: it passes what is right, and each check notices what it is there to notice."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from support.sound_operators import Bent, Centred, bent, centred

import graphwright as gw
from graphwright.graph.operator import operators
from graphwright.testing import Case, Reject, bool_, check_gradient, check_operator, f32, f64


@pytest.fixture(autouse=True)
def registry():
    before = dict(operators)
    yield
    operators.clear()
    operators.update(before)


# Two operators with nothing wrong, and what makes each wrong in one way.


def made(base, doc="Something made for a test: its derivative is that of its base.", **members):
    """A registered operator: the base with other members."""
    given = {"__doc__": doc, "__module__": __name__, "name": f"{base.name}_too", **members}
    return gw.ops.register(type("Made", (base,), given))


def report(operator, *arguments, **named):
    with pytest.raises(gw.CheckError) as caught:
        check_operator(operator, *arguments, **named)
    return str(caught.value)


def test_operators_with_nothing_wrong_pass():
    check_operator(gw.ops.register(Bent), bent)
    check_operator(gw.ops.register(Centred), centred)


def slightly_off(self, x):
    return np.sqrt(x * x + 1) * x.dtype.type(1 + 1e-5)


def writes(self, x):
    x[...] = np.sqrt(x * x + 1)
    return x


def of_memory(self, x):
    flat = x.ravel(order="K")
    return np.sqrt(flat * flat + 1).reshape(x.shape).astype(x.dtype)


def in_half(self, x):
    large = x.dtype.type(1000)
    return np.sqrt(x * x + 1) if x.dtype.itemsize > 2 else np.sqrt(x * x + large - (large - 1))


def twice_read(self, out, x):
    np.multiply(x, x, out=out)
    np.add(out, x * 0 + 1, out=out)
    np.sqrt(out, out=out)
    out *= np.where(x > 4, 2, 1).astype(x.dtype)


def half_the_rows(self, out, x):
    out[0][...], out[1][...] = self.kernel(x)
    out[1][len(out[1]) // 2 :] = 5


def forgetful(self, x, out, g):
    return g * gw.ops.stop_gradient(x / out)


def backwards(self, mapped, x):
    out, mean = self.apply(x.reshape(x.shape[0] * x.shape[1], x.shape[2]))
    return out.reshape(x.shape)[::-1], mean.reshape(x.shape[:2])


def with_list(self, x):
    return [1.0]


BROKEN = [
    ("infer agrees", Bent, {"kernel": lambda self, x: np.sqrt(x * x + 1.0).astype(np.float64)}),
    ("infer agrees", Bent, {"kernel": with_list}),
    ("infer agrees", Centred, {"kernel": lambda self, x: x}),
    ("infer agrees", Centred, {"infer": lambda self, x: (x, x)}),
    ("independent definition", Bent, {"kernel": slightly_off}),
    ("keep half precision", Bent, {"kernel": in_half}),
    ("leaves its inputs alone", Bent, {"kernel": writes}),
    ("takes any strides", Bent, {"kernel": of_memory}),
    ("kernel into writes", Centred, {"kernel_into": half_the_rows}),
    ("memory of any input", Bent, {"kernel_into": twice_read, "cases": (Case([5.0, 1.0]),)}),
    ("gradients agree", Bent, {"gradient": lambda self, x, out, g: g * x}),
    ("gradients agree", Bent, {"gradient": forgetful}),
    ("gradients agree", Bent, {"gradient": lambda self, x, out, g: None}),
    ("gradients agree", Bent, {"gradient": gw.ops.Operator.gradient}),
    ("tangents", Bent, {"gradient": lambda self, x, out, g: g * g * x / out / g}),
    ("tangents", Bent, {"tangent": lambda self, tangents, inputs, outputs: tangents}),
    ("checked somewhere", Bent, {"cases": (Case(f32["n"], smooth=False),)}),
    ("undifferentiable", Bent, {"differentiable": False, "doc": "Nothing is said here."}),
    ("undifferentiable", Bent, {"differentiable": False}),
    ("many applications", Centred, {"batch": backwards}),
    ("refused", Bent, {"rejects": (Reject(f32[2], message="no"),)}),
    ("refused", Bent, {"rejects": (Reject(bool_[2], message="another message"),)}),
    ("look at one index", Bent, {"kernel": lambda self, x: np.sqrt(x * x + 1) * 0 + x.size}),
    ("complete", Bent, {"doc": ""}),
    ("complete", Bent, {"doc": "no sentence at all"}),
    ("complete", Bent, {"name": "BentToo"}),
    ("complete", Bent, {"cases": ()}),
    ("complete", Bent, {"rejects": ()}),
    ("complete", Bent, {"composite": True}),
    ("complete", Centred, {"reduction": True}),
    ("view", Centred, {"view": "dense"}),
    ("again", Bent, {"idempotent": True}),
    ("again", Bent, {"involution": True}),
]  # fmt: skip


@pytest.mark.parametrize(("check", "base", "members"), BROKEN)
def test_what_is_wrong_is_noticed(check, base, members):
    definition = bent if base is Bent else centred
    told = report(made(base, **members), definition)
    headings = [line for line in told.splitlines() if re.match(r"  \w", line)]
    assert any(check in heading for heading in headings), told


class Less(gw.ops.Binary):
    """x less y; d/dx = 1, d/dy = -1."""

    name = "less_of"

    def kernel(self, x, y):
        return x - y

    def gradient(self, x, y, out, g):
        return g, -g

    cases = (Case(f32["n"], f32["n"]),)


@pytest.mark.parametrize(
    ("check", "members"),
    [
        ("commute", {"commutative": True}),
        ("identity element", {"identity_element": 1}),
        ("absorbing element", {"absorbing_element": 0}),
        ("again", {"idempotent": True}),
    ],
)
def test_traits_that_do_not_hold_are_noticed(check, members):
    check_operator(gw.ops.register(Less), lambda x, y: x - y)
    assert check in report(made(Less, **members))


class Softplus(gw.ops.Composite):
    """log(1 + exp(x)); d/dx = the sigmoid."""

    name = "softplus_too"

    def decompose(self, x):
        return gw.ops.log(gw.ops.exp(x) + 1)

    cases = (Case(f64["n"]),)
    rejects = (Reject(bool_[2], message="needs a"),)


def test_composites_whose_parts_are_another_thing_are_noticed():
    check_operator(gw.ops.register(Softplus))
    wrong = made(Softplus, name="wrong", kernel=lambda self, x: np.exp(x))
    assert "composites decompose into the same value" in report(wrong)
    other = made(Softplus, name="other", infer=lambda self, x: x.with_shape(()))
    told = report(other)
    assert "decompose gives other types than infer" in told
    assert re.search(r"infer +f64\[\]\n +decompose +f64\[n\]", told)


# The report.


def test_the_report_says_check_case_sizes_and_what_to_do():
    told = report(made(Bent, kernel=writes), bent)
    assert told.startswith("bent_too: ")
    block = re.search(r"the kernel leaves its inputs alone.*?\n\n", told + "\n\n", re.DOTALL)[0]
    assert "bent_too(f32[n,3])" in block
    assert "sizes: n = 3" in block
    assert "the kernel writes to its input x" in block
    assert "hint: compute into a new array" in block
    assert "and bent_too([ 0.5 -2. ])" in block


def test_what_an_operator_raises_is_told_with_its_line():
    def kernel(self, x):
        return x.no_such_method()

    told = report(made(Bent, kernel=kernel))
    assert "raised AttributeError" in told
    assert "no_such_method" in told
    assert re.search(r"in +test_testing\.py:\d+ in kernel: return x\.no_such_method\(\)", told)


def test_all_failures_are_there_to_look_at():
    with pytest.raises(AssertionError) as caught:
        check_operator(made(Bent, gradient=lambda self, x, out, g: g, doc=""), bent)
    names = {error.what.split(":")[0] for error in caught.value.failures}
    assert "an operator is complete" in names
    assert "gradients agree with finite differences in both orders" in names
    assert all(isinstance(error, gw.CheckError) for error in caught.value.failures)


def test_an_instance_is_checked_on_the_cases_with_its_attributes():
    @gw.ops.register
    class Power(gw.ops.Unary):
        """x to the power of the attribute: d/dx = power out / x."""

        name = "to_the_power"

        power: int

        def kernel(self, x):
            return x**self.power if self.power != 5 else x

        def gradient(self, x, out, g):
            return g * self.power * type(self)(self.power - 1)(x)

        cases = Case(f64[3], power=2), Case(f64[3], power=5)
        rejects = (Reject(bool_[2], power=2, message="needs a number input"),)

    def definition(x, power):
        return x**power

    check_operator(Power(2), definition)
    check_operator(Power(3), definition, cases=[Case(f64["n"])])
    assert "to_the_power(f64[3], power=5)" in report(Power(5), definition)
    assert "no cases" in report(Power(3), definition)
    assert "power=5" in report(Power, definition)


@pytest.mark.parametrize("wrong", [np.sin, 3, "tanh", gw.ops.Operator, int])
def test_what_is_no_registered_operator_is_refused(wrong):
    with pytest.raises(gw.AttributeValueError, match="is no registered operator"):
        check_operator(wrong)


def test_every_check_says_what_it_checks_and_can_fail():
    names = [check.name for check in gw.testing.CHECKS]
    assert len(set(names)) == len(names)
    tried = [check for check, _, _ in BROKEN]
    tried += ["commute", "identity", "absorbing", "composites"]
    never = [c.words for c in gw.testing.CHECKS if not any(word in c.words for word in tried)]
    assert never == ["a node is printed and read back"]


def test_attributes_that_do_not_print_are_noticed():
    @gw.ops.register
    class Keyed(gw.ops.Unary):
        """x times what is written in the attribute, an object: d/dx = that."""

        name = "keyed"

        by: object

        def kernel(self, x):
            return x * x.dtype.type(self.by["by"])

        def gradient(self, x, out, g):
            return g * self.by["by"]

        cases = (Case(f64[2], by=frozenset()),)

    assert "a node is printed and read back" in report(Keyed)


# Gradients of graphs.


def test_gradients_of_functions_are_checked():
    x, w = np.ones((2, 3)), np.linspace(-1, 1, 6).reshape(3, 2)
    check_gradient(lambda x, w: gw.ops.tanh(x @ w), [x, w])
    check_gradient(lambda x, k: (gw.ops.exp(x), gw.ops.take(x, k, axis=1)), [x, np.array([0, 2])])
    check_gradient(lambda x: x * gw.constant(np.float32(0.1)), [x.astype(np.float32)])


def test_gradients_of_graphs_in_single_precision_are_checked_in_double():
    x = gw.input("x", ("batch", 3))
    labels = gw.input("labels", ("batch",), gw.int64)
    weights = gw.parameter("weights", np.linspace(-1, 1, 12).reshape(3, 4), gw.float32)
    loss = gw.ops.cross_entropy(gw.ops.tanh(x @ weights), labels).astype(gw.float32)
    values = {"x": np.linspace(-1, 2, 6).reshape(2, 3), labels: [1, 3]}
    check_gradient(loss, weights, values)
    check_gradient(loss, [x, weights], values)
    check_gradient(loss, {"kernel": weights}, values, order=1)


@pytest.mark.parametrize("wrong", ["first", "second"])
def test_wrong_gradients_of_graphs_are_noticed(wrong):
    class Wrong(Bent):
        """Its gradient is wrong in one order."""

        name = "wrong_bent"
        gradient = forgetful if wrong == "second" else lambda self, x, out, g: g

    op = gw.ops.register(Wrong)()
    with pytest.raises(gw.CheckError) as caught:
        check_gradient(lambda x, y: op(x) * y, [np.array([0.5, 1.5]), np.ones(2)])
    what = "the gradient" if wrong == "first" else "the gradient's gradient"
    assert f"{what} with respect to argument_0 is not the slope" in str(caught.value)
    assert "test_testing.py" in str(caught.value)
    if wrong == "second":
        check_gradient(lambda x, y: op(x) * y, [np.array([0.5, 1.5]), np.ones(2)], order=1)


def test_what_can_not_be_checked_is_refused():
    x, k = gw.input("x", ("n",)), gw.input("k", (), gw.int64)
    y = (x * 2).sum()
    for arguments, error, words in [
        ((y, x), gw.InputError, "no values for: x"),
        ((y, x, {"x": [1.0], "z": 1}), gw.InputError, "values for what is no input: z"),
        ((y, k, {"x": [1.0]}), gw.GradientError, "no input or parameter of the target"),
        ((k * 2, k, {"k": 1}), gw.GradientError, "the target is not floating"),
        ((y * k, k, {"k": 1, "x": [1.0]}), gw.GradientError, "which is not floating"),
        ((y, 3, {"x": [1.0]}), gw.GradientError, "wrt must be tensors"),
        ((lambda k: k * 2.0, [np.array(1)]), gw.GradientError, "no array is floating"),
    ]:
        with pytest.raises(error, match=words):
            check_gradient(*arguments)
    with pytest.raises(gw.AttributeValueError, match="order is 3"):
        check_gradient(y, x, {"x": [1.0]}, order=3)


# Loading.


def test_it_is_loaded_when_it_is_asked_for():
    code = (
        "import sys, graphwright as gw\n"
        "assert 'graphwright.testing' not in sys.modules\n"
        "gw.testing.assert_close\n"
        "assert 'pytest' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
