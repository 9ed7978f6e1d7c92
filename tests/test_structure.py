"""What the functions of the vocabulary make of their arguments: NumPy's answers and clear errors.

The operators themselves are tested in test_operators.py; here it is the functions around them.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.drawn import floats
from support.running import value, values

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import AttributeValueError, DTypeError, GraphwrightError, ShapeError
from graphwright.ops.gather import ScatterAdd

ops = gw.ops


# Movement.


def test_axes_come_and_go():
    x, array = gw.input("x", ("n", 1, 3, 1)), floats(2, 1, 3, 1).astype(np.float32)
    cases = [
        (x.squeeze(), array.squeeze()),
        (x.squeeze(1), array.squeeze(1)),
        (x.squeeze((1, -1)), array.squeeze((1, -1))),
        (ops.expand_dims(x, 0), np.expand_dims(array, 0)),
        (ops.expand_dims(x, (0, -1)), np.expand_dims(array, (0, -1))),
        (x.T, array.T),
        (x.mT, array.swapaxes(-1, -2)),
        (x.transpose(), array.transpose()),
        (x.transpose(2, 0, -1, 1), array.transpose(2, 0, -1, 1)),
        (x.transpose((2, 0, 3, 1)), array.transpose(2, 0, 3, 1)),
        (ops.moveaxis(x, 0, -2), np.moveaxis(array, 0, -2)),
        (ops.moveaxis(x, -1, 0), np.moveaxis(array, -1, 0)),
        (ops.swapaxes(x, 0, 2), np.swapaxes(array, 0, 2)),
        (x.flatten(), array.ravel()),
        (x.reshape("n", -1), array.reshape(2, 3)),
        (ops.broadcast_to(x, (5, "n", 4, 3, 2)), np.broadcast_to(array, (5, 2, 4, 3, 2))),
    ]
    answers = values([tensor for tensor, _ in cases], {x: array})
    for answer, (_, wanted) in zip(answers, cases, strict=True):
        np.testing.assert_array_equal(answer, wanted)


def test_what_moves_nothing_makes_no_node():
    x = gw.input("x", ("n", 3))
    assert ops.expand_dims(x, ()) is x
    assert x.squeeze() is x
    assert x.transpose(0, 1) is x
    assert x.reshape("n", 3) is x
    assert ops.broadcast_to(x, x.shape) is x
    assert ops.pad(x, 0) is x
    assert ops.concatenate([x]) is x
    assert ops.moveaxis(x, 1, -1) is x


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda x: x.squeeze(0), ShapeError, "squeeze: axis 0 has size n: only axes of size 1"),
        (lambda x: x.squeeze(1), ShapeError, "squeeze: axis 1 has size 6: only axes of size 1"),
        (lambda x: x.reshape(4, -1), ShapeError, "reshape: 6*n elements don't divide into shape"),
        (lambda x: x.reshape(-1, -1), AttributeValueError, "reshape: only one size can be -1"),
        (lambda x: x.reshape("m", 6), ShapeError, "reshape: 6*n elements don't fit shape [m,6]"),
        (lambda x: x.reshape(2.5), ShapeError, "reshape: 2.5 is not a size"),
        (lambda x: x.reshape("2"), AttributeValueError, "'2' can't name a dimension"),
        (lambda x: x.transpose(0, 0), AttributeValueError, "axes (0, 0) are no order of 2 axes"),
        (lambda x: x[0].mT, ShapeError, "matrix_transpose: needs a rank of at least 2"),
        (lambda x: ops.moveaxis(x, 0, 2), AttributeValueError, "moveaxis: axis 2 is out of range"),
        (lambda x: ops.broadcast_to(x, (6,)), ShapeError, "[n,6] does not broadcast to [6]"),
        (lambda x: ops.split(x, 4, 1), ShapeError, "split: axis 1 of size 6 has no 4 equal pieces"),
        (lambda x: ops.split(x, 0, 1), ShapeError, "split: axis 1 of size 6 has no 0 equal pieces"),
        (lambda x: ops.split(x, 2), ShapeError, "split: axis 0 of size n has no 2 equal pieces"),
        (lambda x: ops.split(x, (1, 4), 1), ShapeError, "sizes [1,4] add up to 5, but axis 1"),
        (lambda x: ops.concatenate(x), AttributeValueError, "tensors must be a list of"),
        (lambda x: ops.concatenate([]), ShapeError, "concatenate: needs at least one tensor, in a"),
        (lambda x: ops.concatenate([x, x[0]]), ShapeError, "shapes [n,6] and [6] of tensors 0 and"),
        (lambda x: ops.stack([x, x[1:]]), ShapeError, "stack: shapes [n,6] and [max(n - 1, 0),6]"),
        (lambda x: ops.stack([]), ShapeError, "stack: needs at least one tensor, in a list"),
        (lambda x: ops.pad(x, ((1, 1),)), AttributeValueError, "pad: 1 pairs of widths for rank 2"),
        (
            lambda x: ops.pad(x, (1, 1, 1)),
            AttributeValueError,
            "pad: widths are pairs (before, after)",
        ),
        (lambda x: ops.pad(x, -1), AttributeValueError, "pad: a width can't be negative, got -1"),
        (lambda x: ops.take(x, [0.5], 0), DTypeError, "take: indices must be integers, got f32"),
        (lambda x: ops.take(x, x, 0), DTypeError, "take: indices must be integers, got f32"),
        (lambda x: ops.outer(x, x), ShapeError, "outer: needs two vectors, got f32[n,6] and"),
        (lambda x: x @ x, ShapeError, "matmul: inner sizes differ: 6 != n"),
        (lambda x: x @ x[0][:3], ShapeError, "matmul: inner sizes differ: 6 != 3"),
        (lambda x: x @ 2.0, ShapeError, "matmul: needs ranks of at least 1, got 2 and 0"),
        (lambda x: ops.arange(0, 4, 0), AttributeValueError, "arange: the step must be a number"),
        (lambda x: ops.arange(x.shape[0], 9.5), AttributeValueError, "arange: from n to 9.5 by 1"),
        (lambda x: ops.arange(x[0, 0]), AttributeValueError, "start must be a size or a number"),
        (lambda x: ops.arange(float("inf")), AttributeValueError, "arange: there is no end from 0"),
        (lambda x: ops.zeros((2, -1)), ShapeError, "a size can't be negative, got -1"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_users_line(build, error, message):
    x = gw.input("x", ("n", 6))
    with pytest.raises(error) as caught:
        build(x)
    assert message in caught.value.what  # the whole text shows this very line
    assert "test_structure.py" in str(caught.value)


# Joining.


def test_tensors_are_joined_and_taken_apart():
    x, y = gw.input("x", ("n", 2)), gw.input("y", (3, 2))
    a, b = floats(4, 2).astype(np.float32), floats(3, 2).astype(np.float32)
    joined = ops.concatenate([x, y, x], 0)
    assert str(joined.type) == "f32[2*n + 3,2]"
    first, rest = ops.split(joined, (x.shape[0], 3 + x.shape[0]))
    halves = ops.split(ops.concatenate([x, x], -1), 2, axis=1)
    stacked = ops.stack([x[:, 0], x[:, 1]], axis=-1)
    answers = values([joined, first, rest, *halves, stacked], {x: a, y: b})
    wanted = [np.concatenate([a, b, a]), a, np.concatenate([b, a]), a, a, a]
    for answer, expected in zip(answers, wanted, strict=True):
        np.testing.assert_array_equal(answer, expected)


def test_a_piece_that_nobody_reads_gets_zeros():
    x = gw.input("x", (5,), "float64")
    _, middle, _ = ops.split(x, (1, 3, 1))
    gradient = value(grad((middle * middle).sum(), x), {x: np.arange(5.0)})
    np.testing.assert_array_equal(gradient, [0, 2, 4, 6, 0])


def test_a_piece_that_turns_out_negative_is_refused_when_run():
    x = gw.input("x", ("n",))
    pieces = ops.split(x, (3, x.shape[0] - 3))
    assert [len(piece) for piece in values(pieces, {x: np.zeros(5, np.float32)})] == [3, 2]
    with pytest.raises(ShapeError, match="split: a size can't be negative, got -1"):
        values(pieces, {x: np.zeros(2, np.float32)})


def test_joining_promotes_like_arithmetic():
    x, y = gw.input("x", (2,), "int32"), gw.input("y", (2,), "float32")
    assert ops.concatenate([x, y]).dtype == np.float64
    assert ops.stack([x, np.array([1, 2], np.int8)]).dtype == np.int32
    assert ops.stack([y, 0 * y, y]).shape == (3, 2)


def test_sums_to_a_shape_undo_its_broadcasting():
    array = np.arange(24.0).reshape(2, 3, 4)
    assert value(ops.sum_to(array, (3, 1)), {}).tolist() == array.sum((0, 2))[:, None].tolist()
    x = gw.input("x", (2, "n"))
    assert ops.sum_to(x, x.shape) is x
    with pytest.raises(ShapeError, match=r"sum_to: shapes \[2,n\] and \[3\] differ: n != 3"):
        ops.sum_to(x, 3)
    with pytest.raises(ShapeError, match=r"sum_to: \[5,2,n\] does not broadcast to \[2,n\]"):
        ops.sum_to(x, (5, 2, "n"))


def test_pad_takes_one_width_or_pairs():
    x, array = gw.input("x", ("n", 2), "int32"), np.arange(6, dtype=np.int32).reshape(3, 2)
    one, pairs = values([ops.pad(x, 1), ops.pad(x, ((0, 2), (1, 0)), value=9)], {x: array})
    np.testing.assert_array_equal(one, np.pad(array, 1))
    (both,) = values([ops.pad(x, (1, 2))], {x: array})
    np.testing.assert_array_equal(both, np.pad(array, (1, 2)))
    np.testing.assert_array_equal(pairs, np.pad(array, ((0, 2), (1, 0)), constant_values=9))
    mask = gw.input("mask", (1,), "bool")
    assert value(ops.pad(mask, ((0, 1),)), {mask: np.array([True])}).tolist() == [True, False]


def test_scatter_add_accumulates_and_promotes():
    x, rows = gw.input("x", (3,), "int32"), gw.input("rows", ("k",), "int64")
    added = ops.scatter_add(x, rows, ops.ones(rows.shape), 0)
    assert added.dtype == np.float64
    array = value(added, {x: np.array([1, 2, 3], np.int32), rows: np.array([2, 0, 2, 2, -3])})
    np.testing.assert_array_equal(array, [3, 2, 6])


def test_scatter_add_writes_to_memory_of_any_strides():
    out = np.zeros((3, 4), np.int64)[:, ::2]
    x = np.arange(6).reshape(3, 2)
    ScatterAdd(0).kernel_into(out, x, np.array([2, 2]), np.ones((2, 2), np.int64))
    assert out.tolist() == [[0, 1], [2, 3], [6, 7]]


def test_unslice_is_the_reverse_of_slice():
    x, array = gw.input("x", ("n", 3)), floats(2, 3).astype(np.float32)
    wide = ops.unslice(x, ("n", 8), (0, 7), (1, -3))
    answers = values([wide, wide[:, 7::-3]], {x: array})
    np.testing.assert_array_equal(answers[1], array)
    assert (answers[0] == 0).sum() == 10


def test_what_is_no_array_of_numbers_is_no_tensor():
    x = gw.input("x", (2,))
    for wrong, message in (
        (object(), "object is neither a tensor nor an array"),
        ("text", "not an element type of tensors"),
        ([[1], [1, 2]], "the rows differ in length"),
        (np.array([1j]), "complex128"),
    ):
        with pytest.raises(gw.GraphwrightError, match=message):
            ops.concatenate([x, wrong])


# Matrix products.


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((4, 3), (3,)),
        ((3,), (5, 3, 2)),
        ((5, 4, 3), (3,)),
        ((2, 1, 4, 3), (5, 3, 2)),
        ((0, 3), (3, 2)),
        ((4, 0), (0, 2)),
        ((0,), (0,)),
    ],
)
def test_matmul_takes_ranks_as_numpy_does(left, right):
    x, y = gw.input("x", left, "float64"), gw.input("y", right, "float64")
    a, b = floats(*left), floats(*right)
    product = x @ y
    weights = floats(*product.shape)
    answers = values([product, *grad((product * weights).sum(), [x, y])], {x: a, y: b})
    np.testing.assert_allclose(answers[0], a @ b, rtol=1e-12)
    for moved, gradient, at in ((0, answers[1], a), (1, answers[2], b)):
        step = floats(*at.shape)
        ends = [(a + s * step) @ b if moved == 0 else a @ (b + s * step) for s in (1, -1)]
        np.testing.assert_allclose(
            (gradient * step).sum(), ((ends[0] - ends[1]) * weights).sum() / 2, rtol=1e-9
        )


def test_matmul_promotes_and_says_what_fits():
    x, w = gw.input("x", ("batch", 784)), gw.input("w", (512, 10))
    with pytest.raises(ShapeError) as caught:
        x @ w
    message = str(caught.value)
    assert "matmul: inner sizes differ: 784 != 512" in message
    assert "x: f32[batch,784]" in message and "w: f32[512,10]" in message
    assert "hint: the last size of lhs must equal the second-last of rhs" in message
    assert (gw.input("i", (2, 3), "int32") @ np.ones((3, 2), np.float32)).dtype == np.float64
    with pytest.raises(DTypeError, match="needs number inputs, got bool"):
        gw.input("b", (2, 2), "bool") @ gw.input("c", (2, 2), "bool")


def test_matmul_of_bfloat16_stays_bfloat16():
    x = gw.input("x", (2, 3), "bfloat16")
    result = value(x @ x.T, {x: np.ones((2, 3)).astype(x.dtype)})
    assert result.dtype == x.dtype and (result == 3).all()


def test_flops_of_a_product_count_multiplications_and_additions():
    product = gw.input("x", ("n", 3, 4)) @ gw.input("w", (4, 5))
    node = product.node
    assert node.op.flops(*(t.type for t in node.inputs)) == 2 * 3 * 4 * 5 * gw.dim("n")


def test_outer_multiplies_each_by_each():
    x, y = gw.input("x", ("n",)), gw.input("y", (3,))
    a, b = np.arange(2, dtype=np.float32), np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(value(ops.outer(x, y), {x: a, y: b}), np.outer(a, b))


# Creation.


@pytest.mark.parametrize(
    "numbers", [(5,), (2, 7), (7, 2), (2, 8, 3), (8, 2, -3), (0,), (0.5, 2, 0.25), (3, 0, -0.5)]
)
def test_ranges_are_numpys(numbers):
    result = value(ops.arange(*numbers))
    wanted = np.arange(*numbers)
    assert result.dtype == (np.int64 if wanted.dtype == np.int64 else np.float32)
    np.testing.assert_array_equal(result, wanted)


def test_ranges_of_symbolic_sizes():
    x = gw.input("x", ("n",))
    n = x.shape[0]
    assert ops.arange(n).shape == x.shape
    for size in (0, 1, 4, 7):
        answers = values(
            [ops.arange(n), ops.arange(2, n), ops.arange(n, 2, -2), ops.arange(n, 2 * n, 3)],
            {x: np.zeros(size, np.float32)},
        )
        wanted = [range(size), range(2, size), range(size, 2, -2), range(size, 2 * size, 3)]
        assert [answer.tolist() for answer in answers] == [list(numbers) for numbers in wanted]
    with pytest.raises(GraphwrightError, match="arange: a size can't be negative, got -1"):
        value(ops.arange(n - 1), {x: np.zeros(0, np.float32)})


def test_constants_of_any_shape():
    x = gw.input("x", ("n", 2), "float64")
    array = np.ones((3, 2))
    cases = [
        (ops.zeros((2, 3)), np.zeros((2, 3), np.float32)),
        (ops.ones(3, "int32"), np.ones(3, np.int32)),
        (ops.ones(("n", 1)), np.ones((3, 1), np.float32)),
        (ops.full((2, 2), 7), np.full((2, 2), 7)),
        (ops.full(2, 0.5), np.full(2, 0.5, np.float32)),
        (ops.full((2, 3), np.arange(3)), np.full((2, 3), np.arange(3))),
        (ops.zeros_like(x), np.zeros((3, 2))),
        (ops.ones_like(x, "bool"), np.ones((3, 2), bool)),
        (ops.full_like(x, 2), np.full((3, 2), 2.0)),
        (ops.eye(3), np.eye(3, dtype=np.float32)),
        (ops.eye(2, x.shape[0], dtype="int64"), np.eye(2, 3, dtype=np.int64)),
        (ops.size(x), np.array(6)),
        (ops.size(x, 0), np.array(3)),
        (x.sum() * 0 + ops.size(x, -1), np.array(2.0)),
    ]
    answers = values([tensor for tensor, _ in cases], {x: array})
    for answer, (_, wanted) in zip(answers, cases, strict=True):
        assert answer.dtype == wanted.dtype
        np.testing.assert_array_equal(answer, wanted)


# Composites.


def test_softmax_adds_up_to_one_and_does_not_overflow():
    x = gw.input("x", ("n", 4))
    array = np.array([[1e4, 1e4, -1e4, 0], [-1e4, -2e4, -1e4, -1e4]], np.float32)
    softmax, logarithm = values([ops.softmax(x), ops.log_softmax(x)], {x: array})
    np.testing.assert_allclose(softmax, [[0.5, 0.5, 0, 0], [1 / 3, 0, 1 / 3, 1 / 3]], rtol=1e-6)
    assert logarithm[0, 2] == -2e4 - np.float32(np.log(2))
    np.testing.assert_allclose(value(ops.softmax(x, 0), {x: array}).sum(0), 1, rtol=1e-6)


def test_layer_norm_brings_each_row_to_mean_0_and_variance_1():
    x = gw.input("x", ("n", 50), "float64")
    array = floats(3, 50) * 10 + 5
    rows = value(ops.layer_norm(x, np.ones(50), np.zeros(50)), {x: array})
    np.testing.assert_allclose(rows.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(rows.var(1), 1, rtol=1e-5)
    constant = value(ops.layer_norm(x, np.ones(50), np.full(50, 3.0)), {x: np.ones((1, 50))})
    np.testing.assert_array_equal(constant, np.full((1, 50), 3.0))


def test_the_loss_of_a_wrong_label_is_nan_and_not_small():
    logits, labels = gw.input("logits", ("n", 3)), gw.input("labels", ("n",), "int32")
    loss = ops.cross_entropy(logits, labels)
    rows = np.zeros((2, 3), np.float32)
    for wrong in (3, -1):
        assert np.isnan(value(loss, {logits: rows, labels: np.array([0, wrong], np.int32)}))
    right = value(loss, {logits: rows, labels: np.array([0, 2], np.int32)})
    np.testing.assert_allclose(right, np.log(3), rtol=1e-6)


def test_the_gradient_of_a_wrong_label_is_nan_in_its_row_alone():
    logits = gw.input("logits", ("n", 3), gw.float64)
    labels = gw.input("labels", ("n",), gw.int64)
    slope = gw.grad(ops.cross_entropy(logits, labels), logits)
    got = value(slope, {logits: np.zeros((4, 3)), labels: np.array([0, 3, -1, 2])})
    third = 1 / 3
    np.testing.assert_allclose(got[0], np.array([third - 1, third, third]) / 4)
    assert np.isnan(got[1:3]).all()
    np.testing.assert_allclose(got[3], np.array([third, third, third - 1]) / 4)


def test_float_labels_are_refused_with_what_to_do():
    logits = gw.input("logits", ("n", 3))
    with pytest.raises(DTypeError, match=r"labels must be integers, got f32(.|\n)*argmax"):
        ops.cross_entropy(logits, ops.softmax(logits))


def test_mean_squared_error_does_not_broadcast():
    prediction, target = gw.input("p", ("n", 1)), gw.input("t", ("n",))
    with pytest.raises(ShapeError, match=r"mse: shapes \[n,1\] and \[n\] differ"):
        ops.mse(prediction, target)
    pair = gw.input("pair", (2,), "int32")
    loss = ops.mse(pair, np.array([1, 5]))
    assert loss.dtype == np.float64
    assert value(loss, {pair: np.array([2, 2], np.int32)}) == 5


def test_one_hot_rows_have_a_symbolic_depth():
    x, labels = gw.input("x", (2, "k")), gw.input("labels", (3,), "uint8")
    rows = ops.one_hot(labels, x.shape[1])
    arrays = {x: np.zeros((2, 4), np.float32), labels: np.array([0, 3, 200], np.uint8)}
    np.testing.assert_array_equal(value(rows, arrays), [[1, 0, 0, 0], [0, 0, 0, 1], [0] * 4])
