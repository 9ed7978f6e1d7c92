"""8. How errors read: what is wrong, where, and what to do. Each is provoked and printed."""

import numpy as np

import graphwright as gw
from graphwright import nn

x = gw.input("x", ("batch", 784))
w = gw.parameter("w", np.zeros((512, 10), np.float32))
a = gw.input("a", ("n",))
b = gw.input("b", ("n",))
add = gw.compile([a, b], a + b)


def sizes_that_do_not_fit():
    return x @ w


def an_axis_that_is_not_there():
    return x.sum(axis=2)


def an_element_type_that_does_not_fit():
    return gw.ops.exp(a.astype(gw.int32))


def a_python_if_on_a_tensor():
    return x if x.sum() > 0 else -x


def a_gradient_of_many_numbers():
    return gw.grad(x * 2, x)


def a_gradient_of_what_does_not_matter():
    return gw.grad(a.sum(), b)


def an_input_that_is_not_listed():
    return gw.compile(a, a + b)


def two_inputs_of_one_name():
    other = gw.input("a", (3,))
    return gw.compile([a, other], a * 2)


def a_number_for_a_shape():
    return gw.random.bernoulli(gw.random.key(0), 0.25)


def a_state_that_changes():
    return gw.scan(lambda h, row: (gw.ops.concatenate([h, h]), None), a, a)


def a_word_misspelt():
    return nn.Dense(10, "rleu")


def a_layer_asked_too_early():
    return nn.Dense(10).parameters


def arrays_of_different_sizes():
    return add([1, 2], [1, 2, 3])


def an_array_that_would_lose_digits():
    return add(np.zeros(2), np.zeros(2))


def a_graph_cut_off():
    return gw.parse("graph(x: f32[3]) {\n  %0: f32[3] = exp(x")


def a_diagram_of_no_kind():
    return gw.draw(a + b, "diagram")


# What raises which error, and words that its message has.
GALLERY = {
    sizes_that_do_not_fit: (gw.ShapeError, "784 != 512"),
    an_axis_that_is_not_there: (gw.AttributeValueError, "axis 2"),
    an_element_type_that_does_not_fit: (gw.DTypeError, "i32[n]"),
    a_python_if_on_a_tensor: (gw.SymbolicValueError, "gw.ops.where"),
    a_gradient_of_many_numbers: (gw.GradientError, "of a scalar"),
    a_gradient_of_what_does_not_matter: (gw.GradientError, "does not depend on it"),
    an_input_that_is_not_listed: (gw.GraphError, "'b'"),
    two_inputs_of_one_name: (gw.GraphError, "are named 'a'"),
    a_number_for_a_shape: (gw.ShapeError, "0.25 is not a shape"),
    a_state_that_changes: (gw.ShapeError, "state starts as f32[n]"),
    a_word_misspelt: (gw.AttributeValueError, "did you mean 'relu'?"),
    a_layer_asked_too_early: (gw.GraphError, "call it first"),
    arrays_of_different_sizes: (gw.InputError, "n is 2 in a"),
    an_array_that_would_lose_digits: (gw.InputError, "float64"),
    a_graph_cut_off: (gw.ParseError, "line 2"),
    a_diagram_of_no_kind: (gw.AttributeValueError, ".svg"),
}

for provoke, (kind, words) in GALLERY.items():
    try:
        provoke()
    except kind as error:
        print(f"--- {provoke.__name__.replace('_', ' ')}\n{type(error).__name__}: {error}\n")
        assert words in str(error), (provoke.__name__, str(error))
    else:
        raise AssertionError(f"{provoke.__name__}: no error")
