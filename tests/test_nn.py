"""Layers, modules, optimizers and metrics, against definitions written down here."""

import math
import re

import numpy as np
import pytest
from support.layers import graph_of, step, value

from graphwright import nn, ops
from graphwright.graph.dtype import float32, float64
from graphwright.graph.errors import (
    AttributeValueError,
    DTypeError,
    GradientError,
    GraphError,
    ShapeError,
    SymbolicValueError,
)
from graphwright.graph.graph import Graph, ancestors
from graphwright.graph.leaf import input, parameter
from graphwright.graph.node import scope
from graphwright.nn import init
from graphwright.nn.activation import BY_NAME

# Dense.


def test_dense_is_activation_of_x_times_kernel_plus_bias():
    x = input("x", ("batch", 3))
    layer = nn.Dense(2, "relu", bias_initializer="ones")
    y = layer(x)
    assert y.type == input("y", ("batch", 2)).type
    kernel, bias = (p.value for p in layer.parameters)
    given = 3 * np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = np.zeros((5, 2))
    for i in range(5):
        for j in range(2):
            total = sum(float(given[i, k]) * float(kernel[k, j]) for k in range(3)) + bias[j]
            expected[i, j] = max(total, 0)
    np.testing.assert_allclose(value(y, x=given), expected, rtol=1e-5, atol=1e-6)
    assert (expected == 0).any() and (expected > 0).any()


def test_dense_works_on_any_rank_and_takes_the_dtype_of_its_input():
    layer = nn.Dense(4, use_bias=False)
    y = layer(input("x", ("batch", "time", 3), float64))
    assert [str(size) for size in y.shape] == ["batch", "time", "4"] and y.dtype == float64
    assert [p.name for p in layer.parameters] == ["dense/kernel"]
    assert layer.parameters[0].dtype == float64


def test_a_layer_called_twice_keeps_its_parameters():
    layer = nn.Dense(4)
    first = layer(input("x", ("batch", 3)))
    made = layer.parameters
    second = layer(input("z", (7, 3)), training=True)
    assert all(a is b for a, b in zip(made, layer.parameters, strict=True))
    assert set(graph_of(first).parameters) == set(graph_of(second).parameters) == set(made)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.Dense(0), AttributeValueError, "units must be a whole number from 1, got 0"),
        (lambda: nn.Dense(2.5), AttributeValueError, "got 2.5"),
        (lambda: nn.Dense(2, "rellu"), AttributeValueError, "did you mean 'relu'?"),
        (lambda: nn.Dense(2, kernel_initializer=3), AttributeValueError, "3 is no initializer"),
        (lambda: nn.Dense(2)(input("x", (3, "n"))), ShapeError, "it is n"),
        (lambda: nn.Dense(2)(input("x", ())), ShapeError, "rank 0"),
        (lambda: nn.Dense(2)(input("x", (3, 4), "uint8")), DTypeError, "floating input, got u8"),
        (lambda: nn.Dense(2)("x"), DTypeError, "neither a tensor nor an array"),
        (lambda: nn.Dense(2).parameters, GraphError, "dense has no parameters yet"),
        (lambda: nn.Flatten()(input("x", ())), ShapeError, "rank 0"),
        (lambda: nn.Sequential([ops.relu]), AttributeValueError, "is not a layer"),
        (
            lambda: nn.Sequential([nn.Dense(2, name="a"), nn.Dense(3, name="a")]),
            AttributeValueError,
            "two layers are named 'a'",
        ),
        (lambda: nn.Module()(input("x", (2,))), GraphError, "Module has no forward"),
    ],
)
def test_bad_layers_are_refused_at_the_users_line(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
    assert "test_nn.py" in str(caught.value)


def test_an_input_of_another_size_on_the_second_call_is_refused():
    layer = nn.Dense(4, name="hidden")
    layer(input("x", ("batch", 3)))
    with pytest.raises(ShapeError) as caught:
        layer(input("x", ("batch", 5)))
    assert "hidden: kernel was made as f32[3,4] by an earlier call" in str(caught.value)
    assert "this input needs f32[5,4]" in str(caught.value)
    assert len(layer.parameters) == 2


# Modules.


def two_layers(**options):
    return nn.Sequential(
        [nn.Dense(6), nn.Activation("relu"), nn.Dense(6), nn.Activation("relu"), nn.Dense(2)],
        **options,
    )


def test_sequential_numbers_layers_of_a_kind():
    model = two_layers(name="model")
    y = model(input("x", ("batch", 6)))
    names = [p.name for p in model.parameters]
    assert names == [f"model/dense_{i}/{part}" for i in (1, 2, 3) for part in ("kernel", "bias")]
    scopes = {node.scope for node in ancestors([y])}
    assert {f"model/{kind}" for kind in ("dense_1", "relu_1", "dense_3")} <= scopes


def test_layers_of_one_model_start_differently_and_models_of_one_seed_alike():
    def kernels(seed):
        model = two_layers(seed=seed)
        model(input("x", ("batch", 6)))
        return [p.value for p in model.parameters if p.name.endswith("kernel")]

    first, second, third = kernels(0)
    assert not np.array_equal(first, second) and not np.array_equal(first[:, :2], third)
    for ours, theirs in zip(kernels(0), (first, second, third), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(kernels(1)[0], first)


def test_a_layer_placed_twice_shares_its_parameters():
    shared = nn.Dense(4)
    model = nn.Sequential([shared, nn.Activation(ops.tanh), shared])
    y = model(input("x", ("batch", 4)))
    assert [p.name for p in model.parameters] == [
        "sequential/dense/kernel",
        "sequential/dense/bias",
    ]
    assert sum(node.op.name == "matmul" for node in ancestors([y])) == 2


class Residual(nn.Module):
    def __init__(self):
        self.blocks = [nn.Dense(3), nn.Dense(3, name="named")]
        self.unused = nn.Dense(9)

    def forward(self, x, training):
        start = self.parameter("start", (3,), init.zeros, x.dtype)
        for block in self.blocks:
            x = x + block(x)
        return x + start


def test_a_module_of_ones_own_names_its_parts_after_its_attributes():
    module = Residual()
    with scope("outer"):
        y = module(input("x", ("batch", 3)))
    assert [p.name for p in module.parameters] == [
        "residual/start",
        "residual/blocks_0/kernel",
        "residual/blocks_0/bias",
        "residual/named/kernel",
        "residual/named/bias",
    ]
    assert "outer/residual/blocks_0" in {node.scope for node in ancestors([y])}


def test_a_module_that_failed_leaves_the_next_ones_names_alone():
    with pytest.raises(DTypeError):
        nn.Sequential([nn.Dense(2)], name="broken")(input("x", (2, 2), "int32"))
    layer = nn.Dense(2)
    layer(input("x", (2, 2)))
    assert layer.parameters[0].name == "dense/kernel"


class Inner(nn.Module):
    def __init__(self):
        self.always, self.never, self.drop = nn.Dropout(0.5), nn.Dropout(0.5), nn.Dropout(0.5)

    def forward(self, x, training):
        return self.drop(self.always(self.never(x, training=False), training=True))


def test_modules_inside_train_when_the_one_around_them_does_unless_told():
    names = {}
    for training in (True, False):
        module = Inner()
        module(input("x", (3,)), training=training)
        names[training] = sorted(counter.name for counter in module.updates)
    assert names == {
        True: ["inner/always/counter", "inner/drop/counter"],
        False: ["inner/always/counter"],
    }


def test_training_must_be_a_plain_truth():
    with pytest.raises(SymbolicValueError):
        nn.Dense(2)(input("x", (2, 2)), training=input("t", (), "bool"))


def test_flatten_keeps_the_first_axis():
    x = input("x", ("batch", 2, 3))
    y = nn.Flatten()(x)
    assert str(y.type) == "f32[batch,6]"
    given = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    assert value(y, x=given).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_activations_go_by_name_or_are_functions():
    x = input("x", (3,))
    given = np.array([-1.0, 0.0, 2.0], np.float32)
    assert value(nn.Activation("relu")(x), x=given).tolist() == [0, 0, 2]
    assert value(nn.Activation(lambda t: t * 2)(x), x=given).tolist() == [-2, 0, 4]
    assert nn.Activation("linear")(x) is x
    assert nn.activation(None)(x) is x
    soft = value(nn.Activation("softmax")(x), x=given)
    np.testing.assert_allclose(soft, np.exp(given) / np.exp(given).sum(), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {"linear"}))
def test_an_activations_name_is_its_operators(name):
    y = nn.Dense(2, name, name="layer")(input("x", (1, 2)))
    assert y.node.op.name == name
    assert y.node.scope == "layer"


# Optimizers. The loss Σ x·p has the gradient x, so that each step's gradient is what is fed.


def trained(optimizer, gradients, dtype=float64, start=(1.0, -2.0, 0.5)):
    """The parameter after each of the steps with these gradients, under its own state."""
    p = parameter("p", np.array(start), dtype)
    x = input("x", (len(start),), dtype)
    loss = (x * p).sum()
    graph = Graph([x], [loss], optimizer.updates(loss, [p]))
    course = []
    for gradient in gradients:
        step(graph, x=np.asarray(gradient, dtype))
        course.append(p.value.copy())
    return np.array(course)


GRADIENTS = np.random.default_rng(7).normal(size=(5, 3)) * [1, 10, 0.01]


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_takes_the_steps_of_its_definition(nesterov):
    optimizer = nn.SGD(0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    p, v, expected = np.array([1.0, -2.0, 0.5]), np.zeros(3), []
    for gradient in GRADIENTS:
        g = gradient + 0.01 * p
        v = 0.9 * v + g
        p = p - 0.1 * (g + 0.9 * v if nesterov else v)
        expected.append(p)
    np.testing.assert_allclose(trained(optimizer, GRADIENTS), expected, rtol=1e-12)


def test_sgd_by_hand():
    assert trained(nn.SGD(0.5), [[1, 2, 4]]).tolist() == [[0.5, -3.0, -1.5]]
    course = trained(nn.SGD(1.0, momentum=0.5), [[1, 0, 0]] * 3, start=(0.0, 0.0, 0.0))
    # Velocities 1, 1.5, 1.75.
    assert course[:, 0].tolist() == [-1.0, -2.5, -4.25]


def test_plain_sgd_keeps_no_state():
    p = parameter("p", np.ones(3))
    assert list(nn.SGD(0.1).updates((p * p).sum(), [p])) == [p]


@pytest.mark.parametrize(("dtype", "tolerance"), [(float64, 1e-12), (float32, 1e-6)])
def test_adam_takes_the_steps_of_algorithm_1(dtype, tolerance):
    p, m, v, expected = np.array([1.0, -2.0, 0.5]), np.zeros(3), np.zeros(3), []
    for t, g in enumerate(GRADIENTS, 1):
        m = 0.8 * m + (1 - 0.8) * g
        v = 0.95 * v + (1 - 0.95) * g * g
        p = p - 0.3 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-5)
        expected.append(p)
    ours = trained(nn.Adam(0.3, beta1=0.8, beta2=0.95, epsilon=1e-5), GRADIENTS, dtype)
    np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)


def test_adams_first_step_is_the_learning_rate_whatever_the_gradients_size():
    course = trained(nn.Adam(0.25), [[1e-3, -7.0, 1e4]], float32, start=(0.0, 0.0, 0.0))
    # Correcting in float32 would be off by 1e-5 here: 1 - float32(0.999) is not 0.001.
    np.testing.assert_allclose(course[0], [-0.25, 0.25, -0.25], rtol=1e-5 / 4, atol=2e-6)
    np.testing.assert_allclose(course[0, 1:], [0.25, -0.25], rtol=5e-7)


def test_adam_finds_the_least_of_a_badly_scaled_bowl():
    p = parameter("p", np.array([5.0, -3.0]))
    loss = (np.array([100.0, 0.1], np.float32) * ops.square(p - np.float32(1.0))).sum()
    graph = Graph([], [loss], nn.Adam(0.1).updates(loss, [p]))
    for _ in range(400):
        (last,) = step(graph)
    np.testing.assert_allclose(p.value, [1, 1], atol=1e-2)
    assert last < 1e-3


def test_a_learning_rate_that_is_a_parameter_can_change_between_steps():
    rate = parameter("rate", np.float32(0.5))
    p = parameter("p", np.zeros(2, np.float32))
    x = input("x", (2,))
    loss = (x * p).sum()
    for optimizer in (nn.SGD(rate), nn.Adam(rate)):
        p.value, rate.value = [0.0, 0.0], 0.5
        graph = Graph([x], [loss], optimizer.updates(loss, [p]))
        step(graph, x=np.ones(2, np.float32))
        np.testing.assert_allclose(p.value, [-0.5, -0.5], rtol=1e-5)
        rate.value = 2.0
        step(graph, x=np.ones(2, np.float32))
        np.testing.assert_allclose(p.value, [-2.5, -2.5], rtol=1e-5)


def test_numpy_scalars_as_settings_do_not_widen_parameters():
    for optimizer in (nn.SGD(np.float64(0.1), np.float64(0.9)), nn.Adam(np.float64(0.1))):
        p = parameter("p", np.ones(2, np.float32))
        updates = optimizer.updates((p * p).sum(), [p])
        assert all(updates[q].type == q.type for q in updates)
        Graph([], [], updates)


def test_state_is_made_once_named_after_its_parameter_and_shared_by_graphs():
    w = parameter("layer/w", np.ones((2, 3)))
    adam = nn.Adam()
    first = adam.updates((w * w).sum(), [w])
    second = adam.updates((w * 3).sum(), [w, w])
    assert set(first) == set(second)
    names = {p.name for p in first}
    assert names == {"adam/step", "layer/w", "adam/layer/w/mean", "adam/layer/w/square"}
    assert {t.node.scope for t in first.values()} == {"adam", "adam/layer/w"}


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda p: nn.SGD(0.0), AttributeValueError, "the learning rate must be above 0, got 0.0"),
        (lambda p: nn.SGD(math.nan), AttributeValueError, "above 0, got nan"),
        (lambda p: nn.SGD(parameter("r", np.ones(2))), AttributeValueError, "a floating number"),
        (
            lambda p: nn.SGD(0.1, momentum=1),
            AttributeValueError,
            "momentum must be from 0 to below 1",
        ),
        (lambda p: nn.SGD(0.1, nesterov=True), AttributeValueError, "nesterov needs a momentum"),
        (lambda p: nn.SGD(0.1, weight_decay=-1), AttributeValueError, "weight_decay must be 0 or"),
        (lambda p: nn.Adam(beta2=1.5), AttributeValueError, "beta2 must be from 0 to below 1"),
        (lambda p: nn.Adam(epsilon=0), AttributeValueError, "epsilon must be above 0"),
        (
            lambda p: nn.Adam().updates(p.sum().astype("float16"), [p]),
            AttributeValueError,
            "epsilon 1e-08 is 0 in f16, the type of parameter p",
        ),
        (lambda p: nn.SGD(1.0).updates(p.sum(), []), AttributeValueError, "needs parameters"),
        (lambda p: nn.SGD(1.0).updates(p.sum(), [p * 2]), AttributeValueError, "needs parameters"),
        (
            lambda p: nn.SGD(1.0).updates(p * 2, [p]),
            GradientError,
            "gradients are taken of a scalar",
        ),
        (
            lambda p: nn.SGD(1.0).updates(p.sum(), [p, parameter("q", 1.0)]),
            GradientError,
            "no gradient with respect to q",
        ),
    ],
)
def test_bad_optimizers_are_refused_at_the_users_line(call, kind, message):
    dtype = "float16" if "f16" in message else "float64"
    with pytest.raises(kind) as caught:
        call(parameter("p", np.ones(3, dtype)))
    assert message in str(caught.value)
    assert "test_nn.py" in str(caught.value)


# Accuracy.


def test_accuracy_is_the_share_of_rows_with_the_largest_logit_at_the_label():
    logits, labels = input("logits", ("n", 3)), input("labels", ("n",), "uint8")
    rows = np.array([[1, 2, 3], [9, 1, 1], [0, 5, 1], [4, 4, 4]], np.float32)
    result = nn.accuracy(logits, labels)
    assert str(result.type) == "f32[]"
    assert value(result, logits=rows, labels=np.array([2, 1, 1, 0], np.uint8)) == 0.75
    assert value(result, logits=rows, labels=np.array([2, 0, 1, 1], np.uint8)) == 0.75
    assert value(result, logits=rows, labels=np.array([0, 1, 2, 1], np.uint8)) == 0


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        (("n", "float32"), DTypeError, "labels must be integers, got f32[n]"),
        (("m", "int64"), ShapeError, "one label per row is needed: i64[m] for f32[n,3]"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, kind, message):
    name, dtype = labels
    with pytest.raises(kind, match=re.escape(message)):
        nn.accuracy(input("logits", ("n", 3)), input("labels", (name,), dtype))
