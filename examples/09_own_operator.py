"""9. Operators of one's own, checked as Graphwright's own are: gradients, batches, refusals."""

import math

import numpy as np

import graphwright as gw
from graphwright.testing import Case, Reject, f32, f64, i32

n = gw.dim("n")


@gw.ops.register
class PolynomialProduct(gw.ops.Operator):
    """The product of two polynomials, given by their coefficients: outₖ = Σ pᵢ qₖ₋ᵢ.

    d/dpᵢ = Σ qⱼ gᵢ₊ⱼ, the middle of the product of g and q read backwards
    """

    name = "polynomial_product"

    def infer(self, p, q):
        """From input types to the output's. What it refuses, it says with a hint."""
        if p.dtype.kind != "f" or p.dtype != q.dtype:
            raise gw.DTypeError(f"needs two inputs of one floating dtype, got {p} and {q}")
        if p.rank != 1 or q.rank != 1:
            raise gw.ShapeError(f"needs rows of coefficients, got {p} and {q}", hint="use gw.vmap")
        return p.with_shape((p.shape[0] + q.shape[0] - 1,))

    def kernel(self, p, q):
        """From input arrays to the output's: the meaning, in NumPy."""
        return np.convolve(p, q)

    def gradient(self, p, q, out, g):
        """From the output's gradient to the inputs', in tensors: it differentiates in turn."""
        return self.middle(g, q, p), self.middle(g, p, q)

    def middle(self, g, other, mine):
        start = other.shape[0] - 1
        return self(g, other[::-1])[start : start + mine.shape[0]]

    # On these every check runs, at several numbers for "n", 0 and 1 among them.
    cases = (
        Case(f64[n + 1], f64[3]),
        Case([1.0, -2.0], [0.5]),
        Case(f32[2], f32[4]),
    )
    rejects = (
        Reject(f64[2, 3], f64[3], message="needs rows of coefficients, got f64[2,3] and f64[3]"),
        Reject(i32[2], i32[2], message="needs two inputs of one floating dtype"),
    )


def term_by_term(p, q):
    """The same, said independently: to compare with."""
    out = np.zeros(len(p) + len(q) - 1)
    for i, j in np.ndindex(len(p), len(q)):
        out[i + j] += p[i] * q[j]
    return out


gw.testing.check_operator(PolynomialProduct, term_by_term)

# It has no `batch`, so that `gw.vmap` runs it row by row; a rule could be faster, no different.
many = gw.input("many", ("batch", 3), gw.float64)
one = gw.input("one", (2,), gw.float64)
products = gw.vmap(PolynomialProduct(), in_axes=(0, None))(many, one)
run = gw.compile([many, one], products)
rows = np.array([[1.0, 0.0, 2.0], [3.0, 1.0, 0.0]])
gw.testing.assert_close(run(rows, [1.0, -1.0]), np.array([np.convolve(r, [1, -1]) for r in rows]))


# A composite says what it is made of: types, gradients and batching follow from the parts.
@gw.ops.register
class Gaussian(gw.ops.Composite):
    """The density of the normal distribution: exp(-((x - mean)/std)²/2) / (std √(2π))."""

    name = "gaussian"

    mean: float
    std: float

    def decompose(self, x):
        if self.std <= 0:
            raise gw.AttributeValueError(f"std must be above 0, got {self.std}")
        z = (x - self.mean) / self.std
        return gw.ops.exp(z * z * -0.5) / (self.std * math.sqrt(2 * math.pi))

    cases = (Case(f64["n", 3], mean=1.0, std=2.0), Case(f32[4], mean=0.0, std=0.5))
    rejects = (Reject(f32[2], mean=0.0, std=-1.0, message="std must be above 0, got -1.0"),)


def density(x, mean, std):
    return np.exp(-(((x - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))


gw.testing.check_operator(Gaussian, density)


# What is wrong is told: which check, on which case, what was expected, what to do.
@gw.ops.register
class Hasty(Gaussian):
    """The same with a gradient by hand, which forgets a factor: d/dx = -(x - mean)/std² out."""

    name = "hasty_gaussian"

    def gradient(self, x, out, g):
        return g * out * (self.mean - x) / self.std


try:
    gw.testing.check_operator(Hasty, density)
except gw.CheckError as error:
    print(error)
    assert "gradients agree with finite differences in both orders" in str(error)
else:
    raise AssertionError("a wrong gradient was not noticed")
