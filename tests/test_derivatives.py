"""vjp, jvp, Jacobians, Hessians, vmap, custom gradients and checkpoints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.random_graphs import draw_arrays, graphs

import graphwright as gw
from graphwright.compiler.plan import Plan
from graphwright.graph.dtype import is_floating
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph

RANDOM = np.random.default_rng(3)
A = RANDOM.normal(size=(4, 3))


def value(outputs, feed):
    """Interpreted and compiled, which must agree: the compiled value."""
    inputs, arrays = list(feed), [np.asarray(array) for array in feed.values()]
    structure = outputs if isinstance(outputs, list) else [outputs]
    plain, _ = gw.interpret(Graph(inputs, structure), *arrays)
    compiled = gw.compile(inputs, structure, check=True)(*arrays)
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    return compiled if isinstance(outputs, list) else compiled[0]


def vector(name="x", size=3):
    return gw.input(name, (size,), "float64")


# vjp and jvp.


def test_vjp_and_jvp_are_the_jacobian_times_a_vector_on_either_side():
    x, v, w = vector(), vector("v"), vector("w", 4)
    y = gw.ops.sin(gw.constant(A) @ x)
    at, direction, weights = RANDOM.normal(size=3), RANDOM.normal(size=3), RANDOM.normal(size=4)
    by_hand = np.cos(A @ at)[:, None] * A
    found = value([gw.vjp(y, x, w), gw.jvp(y, x, v)], {x: at, v: direction, w: weights})
    np.testing.assert_allclose(found[0], weights @ by_hand)
    np.testing.assert_allclose(found[1], by_hand @ direction)


def test_structures_go_in_and_come_out():
    x, y = vector(), vector("y")
    outputs = {"sum": x + y, "both": (x * y, x.sum())}
    weights = {"sum": np.ones(3), "both": (np.ones(3), np.float64(2))}
    dx, dy = gw.vjp(outputs, (x, y), weights)
    moved = gw.jvp(outputs, [x], [np.ones(3)])
    assert moved.keys() == {"sum", "both"}
    a, b = RANDOM.normal(size=3), RANDOM.normal(size=3)
    found = value([dx, dy, moved["both"][0], moved["both"][1]], {x: a, y: b})
    for one, other in zip(found, [1 + b + 2, 1 + a, b, 3], strict=True):
        np.testing.assert_allclose(one, other)


def test_what_does_not_depend_does_not_move():
    x, y = vector(), vector("y")
    assert not value(gw.vjp(x * 2, y, np.ones(3)), {x: np.ones(3), y: np.ones(3)}).any()
    assert not value(gw.jvp(x * 2, y, np.ones(3)), {x: np.ones(3), y: np.ones(3)}).any()


def test_an_output_given_twice_counts_twice():
    x = vector()
    y = x * x
    assert value(gw.vjp([y, y], x, [np.ones(3)] * 2), {x: [1.0, 2.0, 3.0]}).tolist() == [4, 8, 12]


def test_forward_mode_goes_through_intermediate_tensors():
    x = vector()
    middle = gw.ops.exp(x)
    y = middle * x  # x is held, middle moves
    moved = gw.jvp(y, middle, np.ones(3))
    np.testing.assert_array_equal(value(moved, {x: [1.0, 2.0, 3.0]}), [1, 2, 3])


def test_derivatives_refuse_what_has_none():
    x, i = vector(), gw.input("i", (3,), "int64")
    with pytest.raises(gw.GradientError, match="i64 has no derivatives") as caught:
        gw.vjp(x, i, np.ones(3))
    assert "i: i64[3]    made at test_derivatives.py" in str(caught.value)
    with pytest.raises(gw.ShapeError, match=r"a weight is f64\[2\], its tensor f64\[3\]"):
        gw.vjp(x * 2, x, np.ones(2))
    with pytest.raises(gw.ShapeError, match="2 directions are given for 1 tensors"):
        gw.jvp(x * 2, x, [np.ones(3)] * 2)
    with pytest.raises(gw.GradientError, match="wrt must be tensors, got 3"):
        gw.jacobian(x, 3)
    with pytest.raises(gw.AttributeValueError, match="mode is 'backward'"):
        gw.jacobian(x, x, mode="backward")
    with pytest.raises(gw.GradientError, match="gradients are taken of a scalar"):
        gw.hessian(x, x)


# Jacobians and Hessians.


@pytest.mark.parametrize("mode", ["auto", "reverse", "forward"])
def test_a_jacobian_has_every_derivative_of_every_element(mode):
    x = gw.input("x", (2, 3), "float64")
    y = (x[:, :, None] * x[:, None, :]).sum(0)  # the Gram matrix: y[j,k] = Σ x[i,j] x[i,k]
    at = RANDOM.normal(size=(2, 3))
    found = value(gw.jacobian(y, x, mode=mode), {x: at})
    wanted = np.zeros((3, 3, 2, 3))
    for j, k, i in np.ndindex(3, 3, 2):
        wanted[j, k, i, j] += at[i, k]
        wanted[j, k, i, k] += at[i, j]
    np.testing.assert_allclose(found, wanted)


def test_jacobians_of_symbolic_sizes():
    x = gw.input("x", ("n",), "float64")
    j = gw.jacobian(gw.ops.cumsum(x) * x, x)
    assert str(j.type) == "f64[n,n]"
    at = np.array([1.0, 2.0, 3.0])
    wanted = np.tril(np.ones((3, 3))) * at[:, None] + np.diag(np.cumsum(at))
    np.testing.assert_allclose(value(j, {x: at}), wanted)


def test_a_hessian_of_several_has_blocks():
    x, y = vector(), vector("y", 2)
    target = (x**3).sum() * y[0] + y.prod()
    blocks = gw.hessian(target, [x, y])
    at, b = RANDOM.normal(size=3), np.array([2.0, 5.0])
    (xx, xy), (yx, yy) = [value(row, {x: at, y: b}) for row in blocks]
    np.testing.assert_allclose(xx, np.diag(6 * at * 2))
    np.testing.assert_allclose(xy, np.stack([3 * at**2, 0 * at], 1))
    np.testing.assert_allclose(yx, xy.T)
    np.testing.assert_allclose(yy, [[0, 1], [1, 0]])


# vmap.


def test_per_example_gradients():
    w, x = gw.parameter("w", A), gw.input("x", ("batch", 3), "float64")
    loss = lambda row: (gw.ops.tanh(w @ row) ** 2).sum()  # noqa: E731
    gradients = gw.vmap(lambda row: gw.grad(loss(row), w))(x)
    assert str(gradients.type) == "f64[batch,4,3]"
    rows = RANDOM.normal(size=(5, 3))
    for one, row in zip(value(gradients, {x: rows}), rows, strict=True):
        t = np.tanh(A @ row)
        np.testing.assert_allclose(one, np.outer(2 * t * (1 - t**2), row))


def test_axes_in_and_out():
    x, y = gw.input("x", (2, 3, 4)), gw.input("y", (4, 5))
    both = gw.vmap(lambda a, b: a @ b, in_axes=(1, None), out_axes=-1)(x, y)
    assert both.shape == (2, 5, 3)
    a, b = np.ones((2, 3, 4), np.float32), RANDOM.normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_allclose(value(both, {x: a, y: b})[:, :, 1], a[:, 1] @ b, rtol=1e-5)
    parts = gw.vmap(lambda p: p["a"] * p["b"], in_axes=({"a": 0, "b": None},))({"a": x, "b": 2.0})
    assert parts.shape == (2, 3, 4)


def test_an_output_that_is_the_same_for_all_is_repeated_unless_told():
    x, c = vector(), vector("c", 2)
    assert gw.vmap(lambda v: c)(x).shape == (3, 2)
    kept = gw.vmap(lambda v: (v, c), out_axes=(0, None))(x)[1]
    assert kept is c
    with pytest.raises(gw.AttributeValueError, match="differs from input to input"):
        gw.vmap(lambda v: v * 2, out_axes=None)(x)


def test_vmap_within_vmap():
    x, y = vector(), vector("y", 4)
    table = gw.vmap(lambda a: gw.vmap(lambda b: gw.ops.exp(a) * b)(y))(x)
    a, b = RANDOM.normal(size=3), RANDOM.normal(size=4)
    np.testing.assert_allclose(value(table, {x: a, y: b}), np.exp(a)[:, None] * b)


def test_gradients_of_single_examples_choose_their_branches():
    x = gw.input("x", ("n",), "float64")
    root = lambda a: gw.cond(a > 0, lambda: gw.ops.sqrt(a), lambda: a * 3)  # noqa: E731
    each = gw.vmap(lambda a: gw.grad(root(a), a))(x)
    assert value(each, {x: [-1.0, 0.0, 4.0]}).tolist() == [3, 3, 0.25]


def test_vmap_refuses_what_does_not_fit():
    x, y = vector(), vector("y", 4)
    with pytest.raises(gw.ShapeError, match="sizes differ along the mapped axes: 3 != 4"):
        gw.vmap(lambda a, b: a * b)(x, y)
    with pytest.raises(gw.AttributeValueError, match="no input has an axis to map over"):
        gw.vmap(lambda a: a, in_axes=None)(x)
    with pytest.raises(gw.AttributeValueError, match=r"in_axes is \(0, 1\), which does not fit"):
        gw.vmap(lambda a: a, in_axes=(0, 1))(x)
    with pytest.raises(gw.GraphwrightError, match="axis 1 is out of range for rank 1"):
        gw.vmap(lambda a: a, in_axes=1)(x)


@settings(max_examples=60, deadline=None)
@given(graphs(steps=6, dtypes=[np.float64], symbolic=False, gradients=False), st.data())
def test_the_jacobian_of_vmap_is_the_vmap_of_the_jacobian(graph, data):
    floats = [x for x in graph.inputs if is_floating(x.dtype)]
    outputs = [y for y in graph.outputs if is_floating(y.dtype) and not y.leaf]
    assume(floats and outputs)
    x, y = floats[0], outputs[0]
    assume(x.size * y.size <= 300)
    rows = gw.input("rows", (2, *x.shape), "float64")
    others = [t for t in graph.inputs if t is not x]
    f = lambda a: substituted(y, x, a)  # noqa: E731
    inner = gw.vmap(lambda row: gw.jacobian(f(row), row, mode="forward"))(rows)
    outer = gw.jacobian(gw.vmap(f)(rows), rows, mode="reverse")
    arrays = data.draw(draw_arrays(Graph([rows, *others], [inner]), {}))
    feed = {**dict(zip([rows, *others], arrays, strict=True))}
    feed.update({parameter: parameter.value for parameter in graph.parameters})
    one, other = evaluate_graph(Graph([rows, *others], [inner, outer]), feed, {})
    assume(np.isfinite(one).all())
    # outer has the axes (row, *y, row, *x), and is 0 where the rows differ.
    place = y.ndim + 1
    for i in range(2):
        for k in range(2):
            block = np.take(other[i], k, axis=place - 1)
            scale = np.abs(one).max(initial=1)
            np.testing.assert_allclose(block, one[i] * (i == k), rtol=1e-7, atol=1e-7 * scale)


def substituted(output, x, other):
    """`output` with `other` in place of x."""
    new = {x: other}
    for node in gw.graph.graph.ancestors([output], stop={x}):
        gw.graph.graph.copy_node(node, new)
    return new.get(output, output)


# Custom gradients.


def test_a_gradient_of_ones_own_is_used_in_every_mode():
    @gw.custom_gradient
    def clipped(x):
        return x * 1, lambda g: gw.ops.clip(g, -1, 1)

    x = vector()
    y = (clipped(x) * gw.constant([0.5, 3.0, -7.0])).sum()
    at = {x: np.ones(3)}
    assert value(gw.grad(y, x), at).tolist() == [0.5, 1, -1]
    rows = gw.input("rows", (2, 3), "float64")
    each = gw.vmap(lambda r: gw.grad((clipped(r) * np.float64(3)).sum(), r))(rows)
    assert value(each, {rows: np.ones((2, 3))}).tolist() == [[1] * 3] * 2


def test_what_all_share_gets_the_sum_of_its_own_gradients():
    @gw.custom_gradient
    def product(a, b):
        return a * b, lambda g: (g * b, gw.ops.clip(g * a, -1, 1))

    x, rows = vector(), gw.input("rows", (2, 3), "float64")
    total = gw.vmap(product, in_axes=(0, None))(rows, x).sum()
    found = value(gw.grad(total, [rows, x]), {rows: [[5.0, 0.5, -3.0]] * 2, x: [1.0, 2.0, 3.0]})
    assert found[0].tolist() == [[1, 2, 3]] * 2
    assert found[1].tolist() == [2, 1, -2]  # each row's is clipped, and then they are summed


def test_a_gradient_of_ones_own_may_use_what_was_computed():
    @gw.custom_gradient
    def log1pexp(x):
        e = gw.ops.exp(x)
        return gw.ops.log(1 + e), lambda g: g * (1 - 1 / (1 + e))

    x = vector()
    y = log1pexp(x)
    at = RANDOM.normal(size=3)
    first, second = gw.grad(y.sum(), x), gw.grad(gw.grad(y.sum(), x).sum(), x)
    s = 1 / (1 + np.exp(-at))
    found = value([y, first, second], {x: at})
    for one, other in zip(found, [np.logaddexp(0, at), s, s * (1 - s)], strict=True):
        np.testing.assert_allclose(one, other)
    assert [node.op.name for node in Graph([x], [y]).operations] == ["custom_gradient"]


def test_custom_gradients_come_in_the_structure_of_the_inputs():
    @gw.custom_gradient
    def product(both, scale):
        (x, y) = both["x"], both["y"]
        return x * y * scale, lambda g: ({"y": g * x * 10, "x": g * y}, None)

    x, y = gw.input("x", (), "float64"), gw.input("y", (), "float64")
    found = gw.grad(product({"x": x, "y": y}, 2.0), [x, y])
    assert [float(each) for each in value(found, {x: 3.0, y: 5.0})] == [5, 30]


def test_custom_gradients_refuse_what_would_be_lost():
    x, w = vector(), gw.parameter("w", np.ones(3))
    with pytest.raises(gw.GradientError, match="uses w from around it, whose gradient would be l"):
        gw.custom_gradient(lambda x: (x * w, lambda g: g))(x)
    with pytest.raises(gw.GraphError, match="must give a pair"):
        gw.custom_gradient(lambda x: x)(x)
    with pytest.raises(gw.ShapeError, match=r"the gradient of input 0 is f64\[\], the input is f6"):
        gw.custom_gradient(lambda x: (x * 1, lambda g: g.sum()))(x)
    with pytest.raises(gw.GradientError, match="2 gradients are given for 1 inputs"):
        gw.custom_gradient(lambda x: (x * 1, lambda g: (g, g)))(x)


def test_weights_and_directions_find_their_tensors_by_key():
    x, y = gw.input("x", (), "float64"), gw.input("y", (), "float64")
    outputs = {"a": x * 2 + y, "b": x * 3 + y * 5}
    weighted = gw.vjp(outputs, {"x": x, "y": y}, {"b": 1.0, "a": 0.0})
    moved = gw.jvp(outputs, {"x": x, "y": y}, {"y": 1.0, "x": 0.0})
    for found, wanted in ((weighted, {"x": 3, "y": 5}), (moved, {"a": 1, "b": 5})):
        assert {key: value(tensor, {x: 1.0, y: 1.0}) for key, tensor in found.items()} == wanted


def test_weights_in_another_structure_are_refused():
    x, y = vector(), vector("y")
    with pytest.raises(gw.GraphError, match=r"weights are given as \{'b': ·\}, for .*\{'a': ·\}"):
        gw.vjp({"a": x * 2}, x, {"b": np.ones(3)})
    with pytest.raises(gw.GraphError, match=r"directions are given as \[·, ·\], for .*\{'x': ·, "):
        gw.jvp(x * y, {"x": x, "y": y}, [np.ones(3)] * 2)


# Checkpoints.


def chain(x, wrap, depth=6):
    for i in range(depth):
        w = gw.parameter(f"w{i}", np.eye(16) * 0.9)
        # Each block has three values that its gradient needs.
        x = wrap(lambda a, w=w: gw.ops.tanh(gw.ops.sin(gw.ops.exp(a @ w) @ w)))(x)
    return x


def test_checkpoints_change_nothing_but_what_is_kept():
    x = gw.input("x", ("batch", 16), "float64")
    plain, saving = ((chain(x, wrap) ** 2).sum() for wrap in (lambda f: f, gw.checkpoint))
    compiled = [gw.compile(x, gw.grad(loss, x)) for loss in (plain, saving)]
    at = RANDOM.normal(size=(32, 16))
    np.testing.assert_allclose(compiled[0](at), compiled[1](at), rtol=1e-12)
    plans = [f.plan for f in compiled]
    assert all(isinstance(plan, Plan) for plan in plans)
    peaks = [plan.layout({"batch": 256}).peak for plan in plans]
    assert peaks[1] < 0.7 * peaks[0]


def test_checkpoints_differentiate_again():
    x = vector()
    y = gw.checkpoint(lambda a: (gw.ops.sin(a) * a).sum())(x)
    at = RANDOM.normal(size=3)
    second = value(gw.grad(gw.grad(y, x).sum(), x), {x: at})
    np.testing.assert_allclose(second, 2 * np.cos(at) - at * np.sin(at))
