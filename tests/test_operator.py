"""What every operator is: frozen, named once, compared by its attributes, bound to sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphwright as gw
from graphwright.graph.attribute_value import bind_attribute
from graphwright.graph.dtype import float32
from graphwright.graph.errors import AttributeValueError, GraphwrightError, ParseError
from graphwright.graph.operator import Operator, operators, register
from graphwright.graph.types import TensorType
from graphwright.ops.movement import Reshape
from graphwright.ops.reduction import Sum

n = gw.dim("n")


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    before = dict(operators)
    yield
    operators.clear()
    operators.update(before)


def make(op_name: str = "test_made") -> Any:
    @register
    class Made(Operator):
        """x, scaled."""

        name = op_name

        scale: float

        def infer(self, x: Any) -> Any:
            return x

        def kernel(self, x: Any) -> Any:
            return x * self.scale

    return Made


def test_a_registered_operator_is_found_by_its_name() -> None:
    made = make()
    assert operators["test_made"] is made
    assert made.attribute_names == ("scale",)
    assert made(2.0).attributes == {"scale": 2.0}
    assert repr(made(2.0)) == "test_made(scale=2.0)"


def test_the_same_class_again_replaces_the_earlier_one() -> None:
    first, second = make(), make()
    assert first is not second
    assert operators["test_made"] is second


def test_another_class_of_a_name_that_is_taken_is_refused() -> None:
    known = operators["exp"]
    with pytest.raises(
        AttributeValueError, match="an operator named 'exp' exists already"
    ) as caught:
        make("exp")
    assert "graphwright.ops.exponential" in str(caught.value)
    assert operators["exp"] is known


def test_what_is_no_operator_or_has_no_name_is_refused() -> None:
    class Nameless(Operator):
        pass

    class Numbered(Operator):
        name = 3  # type: ignore[assignment]

    for wrong in (Nameless, Numbered):
        with pytest.raises(AttributeValueError, match=f"operator {wrong.__name__} has no name"):
            register(wrong)
    with pytest.raises(AttributeValueError, match="is no operator"):
        register(int)  # type: ignore[type-var]


def test_an_attribute_named_as_a_method_is_refused() -> None:
    class Bounded(Operator):
        name = "test_bounded"

        lower: float  # type: ignore[assignment]

    with pytest.raises(AttributeValueError, match="test_bounded: 'lower' can't be an attribute"):
        register(Bounded)


METHODS = {"infer": 0, "kernel": 0, "gradient": 0, "decompose": 0, "batch": 1, "tangent": 3}
METHODS |= {"lower": 1, "lower_at": 3}


@pytest.mark.parametrize("method", METHODS)
def test_what_an_operator_does_not_define_is_told_when_asked_for(method: str) -> None:
    @register
    class Bare(Operator):
        """Nothing is defined."""

        name = "test_bare"

    with pytest.raises(GraphwrightError, match=f"test_bare: no {method} is defined") as caught:
        getattr(Bare(), method)(*[()] * METHODS[method])
    assert f"define {method} in class Bare" in str(caught.value)


def test_operators_are_equal_by_name_and_attributes() -> None:
    assert Sum((0,), False) == Sum((0,), False)
    assert len({Sum((0,), False), Sum((0,), False), Sum((0,), True), Sum((1,), False)}) == 3
    assert Sum((0,), False) != operators["prod"]((0,), False)
    assert make()(float("nan")) == make()(float("nan"))
    assert make()(0.0) != make()(-0.0)
    assert make()(1.0) != make()(1)
    assert Sum((0,), False) != "sum"


def test_attributes_that_can_not_be_hashed_are_refused() -> None:
    for value in ([1], {"a": 1}, np.ones(2)):
        with pytest.raises(AttributeValueError, match="an attribute can't be hashed"):
            hash(make()(value))


def test_binding_puts_numbers_for_sizes_in_attributes() -> None:
    op = Reshape((n * 2, 3))
    assert op.symbolic
    assert op.bind({"n": 4}) == Reshape((8, 3))
    static = Reshape((8, 3))
    assert not static.symbolic
    assert static.bind({"n": 4}) is static
    kind = TensorType(float32, (n,))
    assert bind_attribute(((n, "a"), kind, 1.5, None), {"n": 2}) == (
        (2, "a"),
        TensorType(float32, (2,)),
        1.5,
        None,
    )


def test_types_in_attributes_are_bound_too() -> None:
    made = make()
    op = made(TensorType(float32, (n,)))
    assert op.symbolic
    assert op.bind({"n": 3}).scale == TensorType(float32, (3,))


def test_the_names_of_inputs_are_those_of_infer() -> None:
    assert operators["where"].input_names(3) == ("condition", "x", "y")
    assert operators["where"].input_names(4) == ("condition", "x", "y", "input 3")
    concatenated = operators["concatenate"].input_names(3)
    assert [name.split("[")[1] for name in concatenated] == ["0]", "1]", "2]"]


def test_an_operator_without_a_count_of_its_own_costs_one_operation_per_element() -> None:
    x = TensorType(float32, (n, 3))
    assert make()(1.0).flops(x) == 3 * n


def test_the_default_of_writing_into_an_array_copies_what_the_kernel_gives() -> None:
    out = np.empty(2, np.float32)
    make()(3.0).kernel_into(out, np.ones(2, np.float32))
    assert out.tolist() == [3, 3]


def test_an_operator_with_types_known_only_where_it_was_defined_is_parsed_unchecked() -> None:
    class Local:
        pass

    @register
    class Annotated(Operator):
        """Its field's type is a name of a function's."""

        name = "test_annotated"

        value: Local

        def infer(self) -> Any:
            return TensorType(float32, ())

    graph = gw.parse("graph() { %0: f32[] = test_annotated(value=3) return %0 }")
    assert graph.nodes[0].op.attributes == {"value": 3}
    with pytest.raises(ParseError, match="takes the attributes: value; not: none"):
        gw.parse("graph() { %0: f32[] = test_annotated() return %0 }")


def test_attributes_are_given_by_position_or_by_name():
    op = gw.input("x", (4,))[1:3].node.op
    cls = type(op)
    assert cls(**op.attributes) == cls(*op.attributes.values()) == op
    for wrong, message in [
        (lambda: cls(), "missing a required argument: 'starts'"),
        (lambda: cls(**op.attributes, pace=2), "unexpected keyword argument 'pace'"),
        (lambda: cls(*op.attributes.values(), 2), "too many positional arguments"),
    ]:
        with pytest.raises(TypeError, match=message):
            wrong()


def test_an_attribute_may_have_a_default():
    class Scaled(Operator):
        name = "scaled_by_default"
        factor: float = 2.0

    assert Scaled().attributes == {"factor": 2.0} and Scaled(3.0) != Scaled()
