"""What careless callers, broken operators and broken passes meet: errors that say where."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

import graphwright as gw
from graphwright.compiler.pipeline import Pass, compile_graph
from graphwright.compiler.plan_memory import _Planner
from graphwright.graph.operator import operators
from graphwright.graph.types import TensorType

ROWS = np.ones((4, 3), np.float32)


@pytest.fixture
def registry():
    """Operators that a test registers are gone afterwards."""
    known = dict(operators)
    yield gw.ops.register
    operators.clear()
    operators.update(known)


@pytest.fixture
def x():
    return gw.input("x", ("n", 3))


def same(kernel, **members):
    """A registered operator whose result is said to have its input's type."""
    body = {"name": "probe", "infer": lambda self, x: x, "kernel": kernel, **members}
    return gw.ops.register(type("Probe", (gw.ops.Operator,), body))()


# Kernels that do not do what `infer` says.


@pytest.mark.parametrize(
    ("kernel", "given"),
    [
        (lambda self, x: x[0], "float32[3]"),
        (lambda self, x: x.T, "float32[3,4]"),
        (lambda self, x: x.astype(np.float64), "float64[4,3]"),
        (lambda self, x: None, "object[]"),
        (lambda self, x: (x, x), "float32[4,3], float32[4,3]"),
    ],
)
def test_a_kernel_that_breaks_its_word_is_told_compiled_and_interpreted(registry, x, kernel, given):
    y = same(kernel)(x)
    told = rf"probe: the kernel gives {re.escape(given)}, where float32\[(4|n),3\] was inferred"
    with pytest.raises(gw.GraphwrightError, match=told) as caught:
        gw.compile(x, y)(ROWS)
    assert caught.value.source.lines[0].text == "y = same(kernel)(x)"
    with pytest.raises(gw.GraphwrightError, match=told):
        gw.interpret(gw.Graph([x], [y]), ROWS)


def test_whatever_a_kernel_raises_comes_with_its_operator_and_line(registry, x):
    def kernel(self, x):
        raise KeyError("its own")

    y = same(kernel)(x)
    for run in (
        lambda: gw.compile(x, y)(ROWS),
        lambda: gw.interpret(gw.Graph([x], [y]), ROWS),
    ):
        with pytest.raises(KeyError, match="its own") as caught:
            run()
        (note,) = caught.value.__notes__
        assert re.fullmatch(
            r"in the kernel of probe, made at test_robustness.py:\d+ in test_\w+: y = .*", note
        )


def test_a_view_that_copies_is_refused(registry, x):
    view = {"view": "strided", "placed": lambda self, place, x, out: place}
    y = same(lambda self, x: x.copy(), **view)(x * 2).sum()
    with pytest.raises(gw.GraphwrightError, match=r"probe: the kernel copies, where .*view"):
        gw.compile(x, y, backend="numpy")(ROWS)


def test_a_missing_kernel_is_named_once(registry, x):
    class Bare(gw.ops.Operator):
        name = "bare"

        def infer(self, x):
            return x

    y = gw.ops.register(Bare)()(x)
    with pytest.raises(gw.GraphwrightError) as caught:
        gw.compile(x, y)(ROWS)
    assert caught.value.what == "bare: no kernel is defined"


# Operators that are put together wrongly.


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "probe: infer gives None, which is no TensorType"),
        (gw.dim("n"), "probe: infer gives n, which is no TensorType"),
        (TensorType("float32", (3,)), "probe: infer gives a type with the dtype 'float32'"),
    ],
)
def test_infer_must_give_types(registry, x, answer, message):
    probe = same(None, infer=lambda self, x: answer)
    with pytest.raises(gw.GraphwrightError, match=message) as caught:
        probe(x)
    assert "test_robustness.py" in str(caught.value)


def test_operators_say_what_inputs_they_take(registry, x):
    probe = same(None)
    with pytest.raises(gw.ShapeError, match="probe: it takes the inputs: x; 2 are given"):
        probe(x, x)
    with pytest.raises(gw.ShapeError, match="probe: it takes the inputs: x; 0 are given"):
        probe()
    with pytest.raises(gw.DTypeError, match="probe: its inputs are tensors, got ndarray"):
        probe(ROWS)


def test_a_type_error_within_infer_is_not_mistaken_for_a_wrong_number_of_inputs(registry, x):
    with pytest.raises(TypeError, match="can only concatenate tuple"):
        same(None, infer=lambda self, x: x.shape + 1)(x)


def test_attributes_that_can_not_be_hashed_are_told(registry, x):
    class Listed(gw.ops.Operator):
        name = "listed"
        items: list

        def infer(self, x):
            return x

        def kernel(self, x):
            return x

    with pytest.raises(gw.AttributeValueError, match=r"listed\(items=\[1\]\): .* hashed"):
        gw.compile(x, gw.ops.register(Listed)([1])(x))


@pytest.mark.parametrize("wrong", [3, int, type("Z", (), {"name": "zz"})])
def test_only_operators_can_be_registered(wrong):
    with pytest.raises(gw.AttributeValueError, match="is no operator"):
        gw.ops.register(wrong)


@pytest.mark.parametrize("answer", [2.0, np.ones(3)])
def test_a_gradient_that_is_no_tensor_is_told(registry, x, answer):
    probe = same(lambda self, x: x, gradient=lambda self, x, out, g: answer)
    with pytest.raises(gw.GraphwrightError, match=f"gradient gives a {type(answer).__name__}"):
        gw.grad(probe(x).sum(), x)


# Calls.


def test_errors_of_calls_say_which_line_called(x):
    f = gw.compile(x, x * 2)
    for call in (lambda: f(ROWS[0]), lambda: f(ROWS.astype(np.float64)), lambda: f()):
        with pytest.raises(gw.InputError, match=r"at +test_robustness\.py:\d+ in .*: for call"):
            call()
    with pytest.raises(gw.InputError, match=r"hint: "):
        f(ROWS[:, :2])


def test_a_symbolic_tensor_is_no_argument(x):
    with pytest.raises(gw.InputError, match="x: a symbolic tensor is given where an array is"):
        gw.compile(x, x * 2)(x)


def test_a_size_that_an_axis_does_not_tell_is_not_called_a_wrong_one():
    half = gw.input("half", (gw.dim("n") // 2,))
    with pytest.raises(gw.InputError, match="half: no input tells the size of n"):
        gw.compile(half, half * 2)(np.ones(3, np.float32))


def test_only_graphs_are_interpreted(x):
    with pytest.raises(gw.GraphError, match="only graphs can be interpreted") as caught:
        gw.interpret(x, ROWS)
    assert caught.value.hint == "make one: gw.Graph([x], [y])"


@pytest.mark.parametrize(
    ("function", "name", "hint"),
    [
        (np.exp, "exp", "use gw.ops.exp"),
        (np.maximum, "maximum", "use gw.ops.maximum"),
        (np.heaviside, "heaviside", "use gw.ops in place of NumPy's functions"),
        (np.add.reduce, "add.reduce", "use gw.ops in place of NumPy's functions"),
        (np.sum, "sum", "use gw.ops.sum"),
    ],
)
def test_numpy_s_functions_name_the_operator_to_use(x, function, name, hint):
    operands = (x, x) if getattr(function, "nin", 1) == 2 else (x,)
    with pytest.raises(gw.SymbolicValueError, match=rf"np\.{name} needs values") as caught:
        function(*operands)
    assert caught.value.hint == hint


def test_arrays_on_the_left_make_the_same_graphs_as_on_the_right(x):
    a = np.array([2, 4, 8], np.float32)
    f = gw.compile(x, [a + x, a - x, a * x, a / x, a // x, a % x, a**x, a < x, a != x])
    r = np.array([[3, 5, 7]], np.float32)
    wanted = [a + r, a - r, a * r, a / r, a // r, a % r, a**r, a < r, a != r]
    for got, want in zip(f(r), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    b = gw.input("b", (2,), bool)
    flags, other = np.array([True, False]), np.array([True, True])
    both, either = gw.compile(b, (flags & b, flags ^ b))(other)
    np.testing.assert_array_equal([both, either], [flags & other, flags ^ other])


# What is compiled, and asked of it.


def test_inputs_are_a_sequence(x):
    with pytest.raises(gw.GraphError, match="the inputs are a tensor or a sequence of tensors"):
        gw.compile(None, x)


@pytest.mark.parametrize("check", ["inf", 3, None])
def test_check_is_true_false_or_arrays(x, check):
    with pytest.raises(gw.AttributeValueError, match="check is "):
        gw.compile(x, x * 2, check=check)


def test_a_dimension_used_as_a_number_must_be_an_input_s(x):
    assert gw.compile(x, x.sum() * gw.dim("n"))(ROWS) == 48
    with pytest.raises(gw.GraphError, match="no input tells the size of dimension m"):
        gw.compile(x, x.sum() * gw.dim("m"))


@pytest.mark.parametrize("size", [-3, 2.5, "a", True])
def test_summaries_are_of_whole_sizes(x, size):
    f = gw.compile(x, x * 2)
    assert f.summary(n=np.int64(0))
    with pytest.raises(gw.AttributeValueError, match=f"n can't be {size!r}"):
        f.summary(n=size)


# Passes that go wrong.


def test_a_pass_that_fails_is_named_with_its_last_rule(x):
    def stumble(graph, log):
        log.applied("first_rule", "it went well", graph.operations)
        raise IndexError("too far")

    with pytest.raises(gw.CompileError, match="the pass stumble failed: IndexError: too far") as e:
        compile_graph(gw.Graph([x], [x * 2]), passes=[Pass(stumble, "stumbled")])
    assert ("last rule", "first_rule: it went well") in e.value.details
    assert isinstance(e.value.__cause__, IndexError)


def test_a_rule_whose_result_can_not_run_is_named(x):
    def misplace(graph, log):
        if not log.applied("misplaced", "took the 99th", graph.operations):
            return graph
        beyond = gw.ops.take(x, gw.constant(np.array([99])), axis=1)
        return gw.Graph([x], [gw.ops.broadcast_to(beyond, x.shape)])

    with pytest.raises(gw.VerificationError, match="by its rule misplaced: it can't be run any"):
        compile_graph(gw.Graph([x], [x * 2]), passes=[Pass(misplace, "wrong")], check=True)


def test_a_check_on_values_that_the_graph_refuses_asks_for_others():
    rows = gw.input("rows", ("n",), gw.int64)
    y = gw.ops.take(gw.constant(np.ones((1, 3))), rows, axis=0)
    with pytest.raises(gw.InputError, match="check: the graph can't be run on these values: take"):
        gw.compile(rows, y, check=True)
    assert gw.compile(rows, y, check=[np.zeros(2, np.int64)])([0]).shape == (1, 3)


def test_a_check_on_given_arrays_takes_its_sizes_from_them(x):
    ramp = gw.ops.arange(x.shape[0]).astype(gw.float32)
    f = gw.compile(x, x.sum(1) * 1 + ramp, check=[np.ones((5, 3), np.float32)])
    np.testing.assert_array_equal(f(ROWS), [3, 4, 5, 6])


@pytest.mark.parametrize(("name", "dtype"), [("file", "float32"), ("x", "bfloat16")])
def test_a_repro_runs_whatever_its_inputs_are_called_and_made_of(
    name, dtype, tmp_path, monkeypatch
):
    monkeypatch.setenv("GRAPHWRIGHT_DUMP", str(tmp_path))
    source = gw.input(name, ("n",), dtype)

    def triple(graph, log):
        made = log.applied("tripled", "made it three times", graph.operations)
        return gw.Graph([source], [source * 3]) if made else graph

    with pytest.raises(gw.VerificationError) as caught:
        compile_graph(gw.Graph([source], [source * -9]), passes=[Pass(triple, "w")], check=True)
    script = dict(caught.value.details)["repro"] + "/repro.py"
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "before" in ran.stdout and "after" in ran.stdout


def test_a_plan_that_writes_over_what_is_still_read_is_refused():
    def first_input_over_all(self, position, step, output, taken):
        return next((v for n in step.inputs if (v := self.values[n]).kind == "arena"), None)

    square = gw.input("s", (4, 4))
    product = square @ square
    later = gw.ops.exp(product)
    for outputs, wrong in (
        ((later @ product), r"\(matmul\) reads a value that is not live"),
        ((product @ square), r"\(matmul\) writes over what it still reads"),
        ((product + product.T), r"\(add\) writes over what it still reads"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Planner, "overwritten", first_input_over_all)
            with pytest.raises(gw.VerificationError, match=wrong):
                gw.compile(square, outputs, backend="numpy")
        gw.compile(square, outputs, backend="numpy")


def test_an_elementwise_gradient_of_another_shape_is_refused_and_not_stretched(registry):
    class Wrong(gw.ops.Unary):
        name = "summed_gradient"
        ufunc = np.exp

        def gradient(self, x, out, g):
            return g.sum()

    x = gw.input("x", ("n", 3))
    with pytest.raises(gw.GraphwrightError, match="summed_gradient: the gradient of an input"):
        gw.grad(registry(Wrong)()(x).sum(), x)


def test_an_operator_that_fails_within_a_fused_group_is_named_itself(registry):
    def careful(self, x):
        raise gw.InputError("it does not like this array")

    x = gw.input("x", ("n", 3))
    y = gw.ops.exp(same(careful, elementwise=True)(gw.ops.exp(x))) + 1
    f = gw.compile(x, y)
    assert "fused" in f.text("fused")
    with pytest.raises(gw.InputError, match="probe: it does not like this array"):
        f(ROWS)
