"""Sums of products: the whole notation against NumPy's, the plans and what they cost."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.running import value

import graphwright as gw
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.graph import Graph
from graphwright.ops.subscripts import explicit

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4}


@st.composite
def sums(draw) -> tuple[str, list[np.ndarray]]:
    """An equation and whole numbers for it, so that every order of adding gives the same."""
    terms, arrays = [], []
    unnamed = draw(st.lists(st.sampled_from([1, 2, 3]), max_size=2))
    for _ in range(draw(st.integers(1, 4))):
        letters = draw(st.lists(st.sampled_from("abcd"), max_size=3))
        # An axis of size 1 fits any; but on a diagonal all have one size.
        ones = {k for k in letters if letters.count(k) == 1 and draw(st.integers(0, 4)) == 0}
        shape = [1 if k in ones else SIZES[k] for k in letters]
        if draw(st.booleans()):
            place = draw(st.integers(0, len(letters)))
            under = unnamed[draw(st.integers(0, len(unnamed))) :]
            letters.insert(place, "...")
            shape[place:place] = [draw(st.sampled_from([1, n])) for n in under]
        terms.append("".join(letters))
        seed = draw(st.integers(0, 2**32))
        arrays.append(np.random.default_rng(seed).integers(-3, 4, shape))
    equation = ",".join(terms)
    if draw(st.booleans()):
        present = sorted(set(equation) & set("abcd"))
        kept = draw(st.permutations(present))[: draw(st.integers(0, len(present)))]
        if "." in equation or draw(st.booleans()):
            kept.insert(draw(st.integers(0, len(kept))), "...")
        equation += f"->{''.join(kept)}"
    return equation, arrays


@given(sums())
@settings(max_examples=400, deadline=None)
def test_any_equation_means_what_it_means_to_numpy(drawn):
    equation, arrays = drawn
    xs = [gw.input(f"x{i}", x.shape, x.dtype) for i, x in enumerate(arrays)]
    result = gw.ops.einsum(equation, *xs)
    wanted = np.einsum(equation, *arrays)
    assert result.shape == wanted.shape
    np.testing.assert_array_equal(value(result, dict(zip(xs, arrays, strict=True))), wanted)


@pytest.mark.parametrize(
    ("equation", "wanted"),
    [
        ("ij,jk", "ij,jk->ik"),
        ("ba", "ba->ab"),
        ("ii", "ii->"),
        (" i j , j -> i ", "ij,j->i"),
        ("...ij,...jk", "...ij,...jk->...ik"),
        ("bAa", "bAa->Aab"),
        ("", "->"),
    ],
)
def test_an_equation_is_written_out(equation, wanted):
    assert explicit(equation) == wanted
    assert explicit(wanted) == wanted


@pytest.mark.parametrize("equation", ["i->j->k", "i..->i", "i,j-", "i;j", "......", "é", 3, None])
def test_what_is_no_equation_is_refused(equation):
    with pytest.raises(AttributeValueError, match=r"is no equation|equation must be a string"):
        gw.ops.einsum(equation, gw.input("x", (2,)))


def test_einsum_needs_an_input_and_promotes_several():
    with pytest.raises(ShapeError, match="einsum: needs at least one input"):
        gw.ops.einsum("")
    x = gw.input("x", (2,), "float64")
    assert gw.ops.einsum("i,i", x, np.ones(2, np.float32)).dtype == np.float64
    with pytest.raises(DTypeError, match="needs number inputs, got bool"):
        gw.ops.einsum("i->", gw.input("x", (2,), "bool"))


# Plans.


def parts(tensor) -> list[str]:
    """The names of the operators that a composite is made of."""
    node = tensor.node
    return [n.op.name for n in Graph(node.inputs, [node.op.decompose(*node.inputs)]).operations]


@pytest.mark.parametrize(
    ("equation", "shapes", "wanted"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], ["matmul"]),
        ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)], ["matmul"]),
        ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)], ["reshape", "matmul", "reshape"]),
        ("ij,kj->ik", [(2, 3), (4, 3)], ["transpose", "matmul"]),
        ("ij,jk->ki", [(2, 3), (3, 4)], ["transpose", "transpose", "matmul"]),
        ("i,j->ij", [(2,), (3,)], ["expand_dims", "expand_dims", "multiply"]),
        ("ij->ji", [(2, 3)], ["transpose"]),
        ("ij->", [(2, 3)], ["sum"]),
        ("ij->ij", [(2, 3)], []),
        ("ni,ni->n", [(5, 3), (5, 3)], ["multiply", "sum"]),
    ],
)
def test_products_are_made_of_little(equation, shapes, wanted):
    xs = [gw.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    names = [name for name in parts(gw.ops.einsum(equation, *xs)) if name != "transpose"]
    assert names == [name for name in wanted if name != "transpose"]
    if wanted == ["matmul"]:
        assert parts(gw.ops.einsum(equation, *xs)) == wanted


def test_the_result_needs_no_transposition_where_the_inputs_can_be_transposed():
    x, y = gw.input("x", (2, 3)), gw.input("y", (3, 4))
    assert parts(gw.ops.einsum("ij,jk->ki", x, y)) == ["transpose", "transpose", "matmul"]


def test_whole_numbers_stay_exact():
    large = np.array([2**62, 1, 2**53 + 1])
    assert value(gw.ops.einsum("i->", large)) == large.sum()
    np.testing.assert_array_equal(
        value(gw.ops.einsum("i,i->i", large, [1, 3, 5])), large * [1, 3, 5]
    )
    rows = np.array([[2**53 + 1, 1]])
    np.testing.assert_array_equal(
        value(gw.ops.einsum("ni,ni->n", rows, rows[:, ::-1])), [2**54 + 2]
    )


def cheapest(terms: list[frozenset], output: frozenset, sizes: dict[str, int]) -> int:
    """The fewest operations of any order, by trying them all."""
    if len(terms) == 1:
        return 0
    best = None
    for i, j in combinations(range(len(terms)), 2):
        others = [term for k, term in enumerate(terms) if k not in (i, j)]
        every = terms[i] | terms[j]
        kept = every & output.union(*others)
        cost = math.prod(sizes[k] for k in every) * (1 + (kept != every))
        cost += cheapest([*others, kept], output, sizes)
        best = cost if best is None else min(best, cost)
    return best


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_is_the_cheapest(data):
    sizes = {k: data.draw(st.sampled_from([2, 3, 5, 8])) for k in "abcde"}
    letters = st.lists(st.sampled_from("abcde"), min_size=1, max_size=3, unique=True)
    terms = data.draw(st.lists(letters, min_size=2, max_size=5))
    known = sorted({k for term in terms for k in term})
    output = data.draw(st.permutations(known))[: data.draw(st.integers(0, 2))]
    equation = ",".join("".join(term) for term in terms) + "->" + "".join(output)
    xs = [gw.input(f"x{i}", [sizes[k] for k in term]) for i, term in enumerate(terms)]
    path = gw.ops.einsum_path(equation, *xs)
    # What only one operand has, and not the output, is summed before any product.
    left = [
        frozenset(
            k for k in term if k in output or any(k in t for j, t in enumerate(terms) if i != j)
        )
        for i, term in enumerate(terms)
    ]
    assert path.flops == cheapest(left, frozenset(output), sizes)
    assert len(path.steps) == len(terms) - 1


def test_a_path_is_printed():
    a, b, c = gw.input("a", ("n", 30)), gw.input("b", (30, 5)), gw.input("c", (5, 200))
    path = gw.ops.einsum_path("ij,jk,kl", a, b, c)
    assert path.pairs == [(0, 1), (0, 1)]
    assert str(path).splitlines() == [
        "ij,jk,kl->il: 2300*n operations, 90000*n in one loop",
        "  (0, 1)  ij,jk->ik  300*n",
        "  (0, 1)  kl,ik->il  2000*n",
    ]


def test_a_vector_at_the_end_of_a_chain_is_taken_first():
    a, b, v = gw.input("a", (50, 50)), gw.input("b", (50, 50)), gw.input("v", (50,))
    assert gw.ops.einsum_path("ij,jk,k->i", a, b, v).pairs == [(1, 2), (0, 1)]


def test_of_many_operands_a_good_order_is_found_soon():
    count = 24
    letters = "abcdefghijklmnopqrstuvwxyz"[: count + 1]
    equation = ",".join(letters[i : i + 2] for i in range(count)) + f"->{letters[0]}{letters[-1]}"
    sizes = [2 if i % 3 else 40 for i in range(count + 1)]
    xs = [gw.input(f"x{i}", (sizes[i], sizes[i + 1]), "float64") for i in range(count)]
    path = gw.ops.einsum_path(equation, *xs)
    in_turn = sum(2 * sizes[0] * sizes[i] * sizes[i + 1] for i in range(1, count))
    assert path.flops <= in_turn / 4
    random = np.random.default_rng(0)
    arrays = [random.uniform(-1, 1, x.shape) for x in xs]
    result = value(gw.ops.einsum(equation, *xs), dict(zip(xs, arrays, strict=True)))
    np.testing.assert_allclose(result, np.linalg.multi_dot(arrays), rtol=1e-10)


# Other products.


@pytest.mark.parametrize(
    ("first", "second", "axes"),
    [
        ((2, 3, 4), (3, 4, 5), 2),
        ((2, 3), (4,), 0),
        ((2, 3, 4), (4, 2), ([0, -1], [1, 0])),
        ((2, 3), (3, 2), (1, 0)),
        ((2, 3), (3, 2), ((-1,), (-2,))),
        ((), (2,), 0),
    ],
)
def test_tensordot_is_numpys(first, second, axes):
    random = np.random.default_rng(0)
    a, b = random.integers(-4, 5, first), random.integers(-4, 5, second)
    result = value(gw.ops.tensordot(a, b, axes))
    np.testing.assert_array_equal(result, np.tensordot(a, b, axes))


def test_tensordot_refuses_axes_that_do_not_go_together():
    x, y = gw.input("x", (2, 3)), gw.input("y", ("n", 3))
    with pytest.raises(ShapeError, match="sizes differ: 3 on axis 1 of x, n on axis 0 of y"):
        gw.ops.tensordot(x, y, 1)
    with pytest.raises(ShapeError, match="sizes differ: 1 on axis 0"):
        gw.ops.tensordot(gw.input("z", (1,)), x, (0, 1))
    for axes, message in [
        (3, r"3 axes can't be taken from f32\[2,3\]"),
        (([0], [0, 1]), "1 axes of x for 2 of y"),
        (([0, 0], [0, 1]), "an axis is named twice"),
        ([1], "the axes of x and those of y are wanted"),
        (([2], [0]), "axis 2 is out of range"),
    ]:
        with pytest.raises(AttributeValueError, match=message):
            gw.ops.tensordot(x, y, axes)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("inner", (2, 3), (4, 3)),
        ("inner", (3,), (3,)),
        ("inner", (), (2, 3)),
        ("vecdot", (2, 1, 3), (4, 3)),
        ("vecdot", (3,), (3,)),
        ("kron", (2, 3), (3,)),
        ("kron", (2,), (2, 2, 2)),
        ("cross", (2, 3), (3,)),
        ("outer", (2,), (3,)),
        ("matmul", (3,), (3,)),
        ("matmul", (3,), (3, 2)),
        ("matmul", (2, 3), (3,)),
        ("matmul", (3,), (4, 3, 2)),
        ("matmul", (5, 1, 2, 3), (3,)),
        ("matmul", (5, 1, 2, 3), (4, 3, 2)),
    ],
)
def test_products_are_numpys(name, first, second):
    random = np.random.default_rng(0)
    a, b = random.integers(-4, 5, first), random.integers(-4, 5, second)
    result = value(getattr(gw.ops, name)(a, b))
    wanted = getattr(np, name)(a, b)
    assert result.shape == wanted.shape
    np.testing.assert_array_equal(result, wanted)


def test_vectors_lie_along_any_axis():
    random = np.random.default_rng(0)
    a, b = random.integers(-4, 5, (2, 3, 4)), random.integers(-4, 5, (2, 3, 4))
    np.testing.assert_array_equal(value(gw.ops.vecdot(a, b, axis=1)), (a * b).sum(1))
    np.testing.assert_array_equal(value(gw.ops.cross(a, b, axis=-2)), np.cross(a, b, axis=1))
    with pytest.raises(ShapeError, match="sizes along axis -1 differ: 4 != 3"):
        gw.ops.vecdot(a, b[..., :3])


def test_symbolic_batches_multiply():
    x, y = gw.input("x", ("n", 1, 2, 3), "int64"), gw.input("y", ("m", 3, 2), "int64")
    product = x @ y
    assert str(product.type) == "i64[n,m,2,2]"
    a, b = np.arange(24).reshape(4, 1, 2, 3), np.arange(12).reshape(2, 3, 2)
    np.testing.assert_array_equal(value(product, {x: a, y: b}), a @ b)
