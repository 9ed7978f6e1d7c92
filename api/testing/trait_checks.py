"""Checks of an operator's traits, its parts, its errors, its text, and of its completeness."""

from __future__ import annotations

import re

import numpy as np

from graphwright.graph.dtype import DType, is_floating
from graphwright.graph.errors import CheckError, GraphwrightError
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input
from graphwright.graph.operator import Operator
from graphwright.graph.parse import parse
from graphwright.graph.source import here
from graphwright.graph.text import text
from graphwright.testing.check import (
    Checked,
    Refusal,
    on_cases,
    on_operators,
    on_rejects,
    on_sizes,
    require,
)
from graphwright.testing.closeness import (
    ULPS,
    ULPS_ACCUMULATED,
    check_close,
    check_equal,
    check_type,
    largest,
)
from graphwright.testing.example import Example, Run, evaluated, run


@on_cases(when=lambda example: example.operator.composite)
def composites_decompose_into_the_same_value(example: Example) -> None:
    """`decompose` gives the types that `infer` says and the values that the kernel gives."""
    xs = example.inputs()
    answer = example.op.decompose(*xs)
    graph = Graph(xs, answer if isinstance(answer, tuple) else (answer,))
    require(
        not any(node.op.name == example.operator.name for node in graph.nodes),
        "it decomposes into itself",
        "use other operators in decompose",
    )
    types = tuple(tensor.type for tensor in graph.outputs)
    require(
        types == example.inferred,
        "decompose gives other types than infer",
        "let them agree",
        infer=", ".join(map(str, example.inferred)),
        decompose=", ".join(map(str, types)),
    )
    for at in example.runs:
        with at:
            parts = evaluated(graph, at.arrays(), at.sizes)
            for actual, wanted in zip(parts, at.results(), strict=True):
                check_close(actual, wanted, ULPS_ACCUMULATED, largest(wanted))


@on_rejects
def bad_input_is_refused_at_the_users_line(refusal: Refusal) -> None:
    """What is in `rejects` raises a GraphwrightError with its message, which names the operator,
    the inputs and the line."""
    xs = [input(f"x{i}", t.shape, t.dtype) for i, t in enumerate(refusal.reject.operands)]
    name, message = refusal.operator.name, refusal.reject.message
    try:
        refusal.operator(**refusal.reject.attributes).apply(*xs)
    except GraphwrightError as error:
        told = str(error)
        wrong = "the message is another one" if message not in error.what else ""
        if not told.startswith(f"{name}: "):
            wrong = f"the message does not start with {name}"
        if error.source != here():
            wrong = "the error doesn't say the user's line"
        if not all(f"{x.name}: {x.type}" in told for x in xs):
            wrong = "the error doesn't name the inputs"
        hint = "let infer raise it with the bare message: place and inputs are then added"
        require(not wrong, wrong, hint, expected=message, got=error.what)
    else:
        raise CheckError(
            "it is accepted",
            details=[("expected", message)],
            hint="let infer raise a ShapeError, DTypeError or AttributeValueError",
        )


@on_cases()
def a_node_is_printed_and_read_back(example: Example) -> None:
    """`gw.parse(gw.text(graph))` is the graph."""
    xs = example.inputs()
    graph = Graph(xs, example.op.apply(*xs))
    printed = text(graph)
    again = parse(printed)
    require(
        again == graph and text(again) == printed,
        "its printed form reads back as something else",
        "keep to attributes that are numbers, strings, dtypes, sizes, or tuples of these",
        printed=printed,
        again=text(again),
    )


@on_sizes(when=lambda example: example.operator.elementwise)
def elementwise_operators_look_at_one_index_at_a_time(at: Run) -> None:
    """Each element of the output is the operator's of the elements at its index."""
    arrays = at.arrays()
    results = run(at.op, arrays)
    require(len(results) == 1, "elementwise operators have one output", "clear `elementwise`")
    broadcast = np.broadcast_arrays(*arrays)
    check_type(results[0], results[0].dtype, broadcast[0].shape, "the output, by broadcasting")
    for index in list(np.ndindex(results[0].shape))[:5]:
        (one,) = run(at.op, [array[index] for array in broadcast])
        check_close(one, np.asarray(results[0][index]), ULPS)


@on_cases(when=lambda example: example.operator.commutative)
def commutative_operators_commute(example: Example) -> None:
    """x ∘ y is y ∘ x, to the bit."""
    at = next(example.runs)
    first, second = at.arrays()
    (one,), (other,) = run(at.op, [first, second]), run(at.op, [second, first])
    check_equal(one, other, "y ∘ x")


@on_sizes(when=lambda example: bool(example.operator.view))
def views_move_no_bytes(at: Run) -> None:
    """What the kernel gives is a view of its first input; a dense one of a dense one, if it says
    so."""
    arrays = at.arrays()
    (result,) = run(at.op, arrays)
    require(
        not result.size or np.shares_memory(result, arrays[0]),
        "the kernel copies",
        'return a view, or set view = ""',
    )
    require(
        at.op.view == "strided" or result.flags.c_contiguous,
        "the view of a dense array is not dense",
        'set view = "strided"',
    )


@on_cases(when=lambda example: example.operator.idempotent or example.operator.involution)
def applying_an_operator_again_changes_nothing_or_undoes_it(example: Example) -> None:
    """`idempotent`: f(f(x)) is f(x), or x ∘ x is x. `involution`: f(f(x)) is x."""
    at = next(example.runs)
    arrays = at.arrays()
    if len(arrays) == 2:
        (result,) = run(at.op, [arrays[0], arrays[0]])
        check_equal(result, arrays[0], "x ∘ x")
    else:
        (once,) = run(at.op, arrays)
        (twice,) = run(at.op, [once])
        check_equal(twice, arrays[0] if example.operator.involution else once, "f(f(x))")


@on_cases(when=lambda example: example.operator.identity_element is not None)
def the_identity_element_changes_nothing(example: Example) -> None:
    """x ∘ e is x; and e ∘ x, if it commutes."""
    at, element = next(example.runs), example.operator.identity_element
    x = at.arrays()[0]
    if element is None or not _representable(element, x.dtype):
        return
    neutral = np.full_like(x, element)
    check_equal(run(at.op, [x, neutral])[0], x, "x ∘ e")
    if example.operator.commutative:
        check_equal(run(at.op, [neutral, x])[0], x, "e ∘ x")


@on_cases(when=lambda example: example.operator.absorbing_element is not None)
def the_absorbing_element_absorbs_what_is_finite(example: Example) -> None:
    """x ∘ e is e, and so is e ∘ x."""
    at = next(example.runs)
    x = at.arrays()[0]
    x = np.where(np.isfinite(x), x, 0).astype(x.dtype)
    element = np.full_like(x, example.operator.absorbing_element)
    check_equal(run(at.op, [x, element])[0], element, "x ∘ e")
    check_equal(run(at.op, [element, x])[0], element, "e ∘ x")


def _representable(value: float, dtype: DType) -> bool:
    return is_floating(dtype) or not np.isinf(value)


@on_operators
def an_operator_is_complete(checked: Checked) -> None:
    """It has a name, a docstring, a kernel or parts, cases, and rejects or nothing to reject."""
    operator = checked.operator
    _check_words(operator)
    parts = operator.decompose is not Operator.decompose
    require(
        operator.composite == parts,
        "it has parts and is no composite, or the other way round",
        "derive it from gw.ops.Composite and define decompose",
    )
    require(
        parts or operator.kernel is not Operator.kernel,
        "no kernel",
        "define kernel: input arrays to output array(s), in NumPy",
    )
    require(operator.infer is not Operator.infer, "no infer", "define infer: types to type(s)")
    require(checked.cases, "no cases", "give it some: cases = (gw.ops.Case(...), ...)")
    require(
        operator.rejects or re.search("takes any", str(operator.__doc__), re.IGNORECASE),
        "no rejects, and the docstring doesn't say that it takes anything",
        'say what it refuses: rejects = (gw.ops.Reject(..., message="..."),)',
    )
    require(
        not (operator.reduction and {"axes", "keepdims"} - set(operator.attribute_names)),
        "a reduction without the attributes axes and keepdims",
        "name them so, or clear `reduction`",
    )


def _check_words(operator: type[Operator]) -> None:
    """Its docstring and its name."""
    doc = vars(operator).get("__doc__") or ""
    require(
        len(doc.split()) > 2 and not doc.startswith(f"{operator.__name__}("),
        "no docstring",
        "say what it computes, with the formula, its derivative and its source",
    )
    require(
        doc.strip().splitlines()[0].endswith((".", ":", ",")),
        "the docstring's first line is no sentence",
        "end it with a full stop",
        got=doc.strip().splitlines()[0],
    )
    require(
        re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", operator.name),
        "the name is not written as names are",
        "lowercase letters and digits, words joined by _",
        got=operator.name,
    )
