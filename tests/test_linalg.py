"""Linear algebra: what factors multiply to, what is refused, and where derivatives are hard."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.running import value, values

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import AttributeValueError, GradientError, InputError
from graphwright.graph.graph import Graph

RANDOM = np.random.default_rng(7)
SHAPES = [(3, 3), (5, 3), (3, 5), (1, 4), (4, 1), (2, 3, 4, 2), (0, 3), (3, 0), (0, 2, 2)]


def like_identity(*batch: int, size: int) -> np.ndarray:
    """Matrices that are far from singular."""
    return np.eye(size) * 3 + RANDOM.uniform(-1, 1, (*batch, size, size))


def positive_definite(*batch: int, size: int) -> np.ndarray:
    a = RANDOM.uniform(-1, 1, (*batch, size, size))
    return a @ a.swapaxes(-1, -2) + np.eye(size)


def close(actual, wanted, tolerance=1e-12) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


def transposed(x: np.ndarray) -> np.ndarray:
    return x.swapaxes(-1, -2)


# Factors.


@pytest.mark.parametrize("shape", SHAPES)
def test_factors_multiply_to_the_matrix(shape):
    a = RANDOM.uniform(-1, 1, shape)
    x = gw.input("x", shape, "float64")
    k = min(shape[-2:])
    q, r, u, s, vh = values([*gw.ops.qr(x), *gw.ops.svd(x)], {x: a})
    close(q @ r, a)
    close(transposed(q) @ q, np.broadcast_to(np.eye(k), (*shape[:-2], k, k)))
    close(np.tril(r, -1), 0)
    assert (np.diagonal(r, axis1=-2, axis2=-1) >= 0).all()
    close((u * s[..., None, :]) @ vh, a)
    close(transposed(u) @ u, np.broadcast_to(np.eye(k), (*shape[:-2], k, k)))
    close(vh @ transposed(vh), np.broadcast_to(np.eye(k), (*shape[:-2], k, k)))
    assert (np.diff(s) <= 0).all()
    close(s, value(gw.ops.svdvals(x), {x: a}))


@pytest.mark.parametrize("batch", [(), (3,), (2, 0), (2, 2)])
@pytest.mark.parametrize("size", [0, 1, 2, 6])
def test_factors_of_symmetric_matrices(batch, size):
    a = positive_definite(*batch, size=size)
    x = gw.input("x", a.shape, "float64")
    w, v = values(list(gw.ops.eigh(x)), {x: a})
    close((v * w[..., None, :]) @ transposed(v), a)
    assert (np.diff(w) >= 0).all()
    close(w, value(gw.ops.eigvalsh(x), {x: a}))
    lower, upper = values([gw.ops.cholesky(x), gw.ops.cholesky(x, upper=True)], {x: a})
    close(lower @ transposed(lower), a)
    close(np.triu(lower, 1), 0)
    np.testing.assert_array_equal(upper, transposed(lower))


def test_one_plan_is_for_matrices_of_any_size():
    x = gw.input("x", ("n", "n"), "float64")
    f = gw.compile(x, [gw.ops.inv(x), *gw.ops.svd(x), gw.ops.det(x), gw.ops.expm(x)])
    for size in (4, 1, 0):
        a = like_identity(size=size)
        inverse, u, s, vh, determinant, _ = f(a)
        close(inverse @ a, np.eye(size))
        close((u * s) @ vh, a)
        close(determinant, np.linalg.det(a))


def test_signs_do_not_depend_on_the_library():
    x = np.array([[2.0, 1.0], [1.0, 2.0]])
    _, vectors = gw.ops.eigh(x)
    # Elements of one magnitude, but for rounding: the first is positive.
    assert (np.sign(value(vectors)) == [[1, 1], [-1, 1]]).all()
    for size in range(2, 7):
        a = RANDOM.uniform(-1, 1, (size, size))
        for columns in (value(gw.ops.svd(a)[0]), value(gw.ops.eigh(a)[1])):
            rows = np.argmax(np.abs(columns) > 0.9 * np.abs(columns).max(0), 0)
            assert (columns[rows, range(size)] > 0).all()


@pytest.mark.parametrize("name", ["cholesky", "eigh", "eigvalsh"])
def test_matrices_that_are_not_symmetric_are_made_so(name):
    a = positive_definite(size=3) + np.triu(RANDOM.uniform(0, 0.1, (3, 3)), 1)
    half = (a + a.T) / 2
    one, other = getattr(gw.ops, name)(a), getattr(gw.ops, name)(half)
    if name == "eigh":
        close(value(one[1]), value(other[1]))
        one, other = one[0], other[0]
    close(value(one), value(other))


# Equations.


def test_vectors_and_matrices_are_solved_for():
    a, b = like_identity(2, 1, size=3), RANDOM.uniform(-1, 1, (4, 3, 2))
    close(a @ value(gw.ops.solve(a, b)), np.broadcast_to(b, (2, 4, 3, 2)))
    vector = value(gw.ops.solve(a, b[0, :, 0]))
    assert vector.shape == (2, 1, 3)
    close((a @ vector[..., None])[..., 0], np.broadcast_to(b[0, :, 0], (2, 1, 3)))
    assert value(gw.ops.solve([[2, 0], [0, 4]], [1, 1])).tolist() == [0.5, 0.25]
    single = gw.ops.solve(gw.input("a", (2, 2)), gw.input("b", (2,), "float64"))
    assert single.dtype == np.float64


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("unit_diagonal", [True, False])
@pytest.mark.parametrize("size", [3, 64, 150])
def test_triangles_are_solved_block_by_block(lower, transpose, unit_diagonal, size):
    a = RANDOM.uniform(-1, 1, (size, size)) / size + 2 * np.eye(size)
    b = RANDOM.uniform(-1, 1, (2, size, 2))
    part = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        np.fill_diagonal(part, 1)
    other = np.triu(np.full_like(a, np.nan), 1)
    a += other if lower else other.T  # never read
    out = value(
        gw.ops.triangular_solve(a, b, lower=lower, transpose=transpose, unit_diagonal=unit_diagonal)
    )
    close((part.T if transpose else part) @ out, b)


def test_a_shared_matrix_is_taken_apart_once_for_many_right_hand_sides():
    a, rows = gw.input("a", (3, 3), "float64"), gw.input("rows", ("n", 3), "float64")
    many = gw.vmap(lambda b: gw.ops.solve(a, b))(rows)
    (node,) = [n for n in Graph([a, rows], [many]).operations if n.op.name == "solve"]
    assert [str(x.type) for x in node.inputs] == ["f64[3,3]", "f64[3,n]"]
    matrix, b = like_identity(size=3), RANDOM.uniform(-1, 1, (5, 3))
    close(value(many, {a: matrix, rows: b}), np.linalg.solve(matrix, b.T).T)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)])
@pytest.mark.parametrize("rank", [1, 2])
def test_the_pseudo_inverse_is_that_of_moore_and_penrose(shape, rank):
    *batch, m, n = shape
    a = RANDOM.uniform(0.5, 1, (*batch, m, rank)) @ RANDOM.uniform(-1, 1, (*batch, rank, n))
    out = value(gw.ops.pinv(a))
    close(a @ out @ a, a)
    close(out @ a @ out, out, 1e-10)
    close(a @ out, transposed(a @ out))
    close(out @ a, transposed(out @ a))
    np.testing.assert_array_equal(value(gw.ops.matrix_rank(a)), np.linalg.matrix_rank(a))
    b = RANDOM.uniform(-1, 1, (m,))
    close(value(gw.ops.lstsq(a, b)), (out @ b), 1e-10)


def test_least_squares_fit_a_line():
    x, y = np.arange(5.0), np.array([1.0, 2.9, 5.1, 7.0, 9.1])
    line = value(gw.ops.lstsq(np.stack([x, np.ones(5)], 1), y))
    close(line, np.polyfit(x, y, 1))


# Functions of matrices.


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_norms_are_numpys(ord):
    a = RANDOM.uniform(-1, 1, (2, 4, 3))
    for keepdims in (False, True):
        wanted = np.linalg.norm(a, ord, (1, 2), keepdims)
        close(value(gw.ops.matrix_norm(a, ord, keepdims)), wanted)


@pytest.mark.parametrize("exponent", [-4, -1, 0, 1, 2, 3, 7, 12])
def test_powers_are_numpys(exponent):
    a = like_identity(2, size=3)
    result = gw.ops.matrix_power(a, exponent)
    close(value(result), np.linalg.matrix_power(a, exponent))
    nodes = result.node.op.decompose(*result.node.inputs)
    assert sum(n.op.name == "matmul" for n in Graph([], [nodes]).operations) <= 6
    with pytest.raises(AttributeValueError, match="exponent must be a whole number"):
        gw.ops.matrix_power(a, 2.5)


def test_exponentials():
    angle = 40.0
    turn = value(gw.ops.expm(np.array([[0.0, -angle], [angle, 0.0]])))
    close(turn, [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    spread = np.array([-300.0, 0.0, 5.0])
    close(value(gw.ops.expm(np.diag(spread))), np.diag(np.exp(spread)), 1e-11)
    shift = np.diag([1.0, 1.0, 1.0], 1)
    close(value(gw.ops.expm(shift))[0], [1, 1, 1 / 2, 1 / 6])
    # Each matrix is scaled by itself: a large one beside it changes nothing.
    pair = value(gw.ops.expm(np.stack([shift, 100 * shift])))
    np.testing.assert_array_equal(pair[0], value(gw.ops.expm(shift)))
    assert np.isnan(value(gw.ops.expm(np.array([[np.inf]])))).all()


def test_determinants():
    a = like_identity(2, size=4)
    a[1, [0, 1]] = a[1, [1, 0]]  # one of them negative
    wanted = np.linalg.det(a)
    sign, logarithm = (value(x) for x in gw.ops.slogdet(a))
    close(value(gw.ops.det(a)), wanted)
    close(sign * np.exp(logarithm), wanted)
    logarithms = value(gw.ops.logdet(a))
    close(logarithms[0], np.log(wanted[0]))
    assert np.isnan(logarithms[1])
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert value(gw.ops.det(singular)) == 0
    assert [value(x) for x in gw.ops.slogdet(singular)] == [0, -np.inf]
    assert value(gw.ops.logdet(singular)) == -np.inf


# What can't be done.


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("inv", [np.zeros((2, 2))], "inv: a matrix is singular"),
        ("inv", [np.stack([np.eye(2), np.ones((2, 2))])], "inv: a matrix is singular"),
        ("solve", [np.ones((2, 2)), np.ones(2)], "solve: a matrix is singular"),
        ("triangular_solve", [np.diag([1.0, 0.0]), np.ones(2)], "it has a zero on its diagonal"),
        ("cholesky", [np.diag([1.0, -1.0])], "cholesky: a matrix is not positive definite"),
        ("svd", [np.array([[np.nan]])], "svd: the iteration does not converge"),
        ("eigh", [np.array([[np.inf]])], "eigh: the iteration does not converge"),
        ("pinv", [np.array([[np.nan]])], "pinv: the iteration does not converge"),
    ],
)
def test_what_lapack_refuses_is_told_with_the_users_line(name, inputs, message):
    xs = [gw.input(f"x{i}", x.shape, x.dtype) for i, x in enumerate(inputs)]
    outputs = getattr(gw.ops, name)(*xs)  # here
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    with pytest.raises(InputError) as caught:
        value(first, dict(zip(xs, inputs, strict=True)))
    assert message in str(caught.value)
    assert "hint: " in str(caught.value)
    assert "# here" in str(caught.value)


# Derivatives where they are hard.


def test_the_gradient_of_a_singular_determinant_is_refused():
    x = gw.input("x", (2, 2), "float64")
    gradient = grad(gw.ops.det(x), x)
    with pytest.raises(InputError, match="a matrix is singular"):
        value(gradient, {x: np.ones((2, 2))})


def test_equal_values_do_no_harm_where_their_vectors_do_not_matter():
    x = gw.input("x", (3, 3), "float64")
    same = {x: 2 * np.eye(3)}
    close(value(grad(gw.ops.eigvalsh(x).sum(), x), same), np.eye(3))
    close(value(grad((gw.ops.eigh(x)[0] ** 2).sum(), x), same), 4 * np.eye(3))
    close(value(grad(gw.ops.matrix_norm(x, "nuc"), x), same), np.eye(3))
    assert np.isnan(value(grad(gw.ops.eigh(x)[1].sum(), x), same)).any()
    assert np.isnan(value(grad(gw.ops.svd(x)[0].sum(), x), same)).any()


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)])
def test_factors_put_together_have_the_gradient_of_the_matrix(shape):
    x = gw.input("x", shape, "float64")
    a, g = RANDOM.uniform(-1, 1, shape), RANDOM.uniform(-1, 1, shape)
    u, s, vh = gw.ops.svd(x)
    q, r = gw.ops.qr(x)
    for again in ((u * s) @ vh, q @ r):
        close(value(grad((again * g).sum(), x), {x: a}), g, 1e-9)


def test_a_singular_square_matrix_has_singular_vectors_with_derivatives():
    x = gw.input("x", (2, 2), "float64")
    u, s, _ = gw.ops.svd(x)
    gradient = value(grad((u * u[0]).sum() + s.sum(), x), {x: np.array([[1.0, 2.0], [0.0, 0.0]])})
    assert np.isfinite(gradient).all()


def test_the_gradient_of_qr_must_know_which_size_is_larger():
    x = gw.input("x", ("n", 3), "float64")
    q, r = gw.ops.qr(x)
    assert str(q.type).startswith("f64[n,")
    with pytest.raises(GradientError, match="must know which is larger, n or 3"):
        grad(r.sum(), x)


def test_the_gradient_of_a_norm_is_zero_at_zero():
    x = gw.input("x", (2, 2), "float64")
    close(value(grad(gw.ops.matrix_norm(x), x), {x: np.zeros((2, 2))}), 0)


def test_the_gradient_of_a_log_likelihood():
    """-½ yᵀ c⁻¹ y - ½ log|c|, by Cholesky factors, has ½ (c⁻¹ y yᵀ c⁻¹ - c⁻¹)."""
    c, y = gw.input("c", (4, 4), "float64"), gw.input("y", (4,), "float64")
    factor = gw.ops.cholesky(c)
    white = gw.ops.triangular_solve(factor, y)
    likelihood = -0.5 * (white @ white) - gw.ops.log(gw.ops.diagonal(factor)).sum()
    matrix, vector = positive_definite(size=4), RANDOM.uniform(-1, 1, 4)
    inverse = np.linalg.inv(matrix)
    pulled = inverse @ vector
    wanted = (np.outer(pulled, pulled) - inverse) / 2
    close(value(grad(likelihood, c), {c: matrix, y: vector}), wanted)


def test_the_exponential_moves_as_its_series_says():
    """d e^x along h is Σ Σ xⁱ h xᵏ/(i + k + 1)!."""
    x, h = gw.input("x", (3, 3), "float64"), gw.input("h", (3, 3), "float64")
    a, b = RANDOM.uniform(-1, 1, (3, 3)), RANDOM.uniform(-1, 1, (3, 3))
    powers = [np.linalg.matrix_power(a, k) for k in range(20)]
    wanted = sum(
        powers[i] @ b @ powers[k] / math.factorial(i + k + 1) for i in range(20) for k in range(20)
    )
    moved = gw.jvp(gw.ops.expm(x), x, h)
    close(value(moved, {x: a, h: b}), wanted)
    adjoint = gw.vjp(gw.ops.expm(x), x, h)
    pair = values([moved, adjoint], {x: a, h: b})
    close((pair[0] * b).sum(), (pair[1] * b).sum())
