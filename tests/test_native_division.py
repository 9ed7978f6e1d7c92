"""Quotients of many numbers by one in native code: to the last bit those of NumPy."""

import numpy as np
import pytest
from support.machines import runnable
from support.native_steps import run_step

import graphwright as gw
from graphwright.compiler.native import division
from graphwright.compiler.native.generate import generate
from graphwright.compiler.native.target import Target
from graphwright.ops.arithmetic import Divide

# Where code is made for a CPU without multiply-add, quotients are divided one by one; one that has
# it is needed to try what they are otherwise.
HOST = next(t for t in (Target.host(), Target.of(Target.host().triple, "x86-64-v3")) if t.fma)
COLUMNS = 300  # a long loop, and no multiple of any number of lanes


def quotients(x, y, target=HOST):
    """x / y in native code; y: one for each row, however short in `x`."""
    rows, columns = x.shape
    padded = np.zeros((rows, max(columns, COLUMNS)), x.dtype)
    padded[:, :columns] = x
    (found,) = run_step(Divide(), [padded, y[:, None]], target=target)
    return found[:, :columns]


def check(x, y, **options):
    with np.errstate(all="ignore"):
        wanted = x / y[:, None]
    found = quotients(x, y, **options)
    number = ~np.isnan(wanted)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found[number]), np.signbit(wanted[number]))


def any_bits(generator, dtype, shape):
    """Numbers of all exponents alike: subnormal ones, infinities and nans are among them."""
    integer = np.uint32 if dtype == np.float32 else np.uint64
    return generator.integers(0, np.iinfo(integer).max, shape, integer, endpoint=True).view(dtype)


def hard_numerators(divisor, digits):
    """All X whose X / divisor lies as near to the middle of two neighbours as quotients can.

    Both are whole numbers of so many binary digits. 2^s X - (2M + 1) divisor = c, for small c
    """
    first = 1 << digits - 1
    shift = (divisor & -divisor).bit_length() - 1
    odd = divisor >> shift
    found = []
    for low, high, scale in ((divisor, 2 * first, digits), (first, divisor, digits + 1)):
        inverse = pow(1 << scale - shift, -1, odd) if odd > 1 else 0
        for c in (1, -1, 3, -3, 5, -5, 7, -7):
            start = low + (c * inverse - low) % odd
            found += range(start, min(high, start + 3 * odd), odd)
    return found


def hard(generator, dtype, rows):
    """Rows of hard numerators and their divisors."""
    layout = np.finfo(dtype)
    digits = layout.nmant + 1
    y = generator.integers(1 << digits - 1, 1 << digits, rows)
    y[: rows // 8] = (1 << digits) - 1 - np.arange(rows // 8)  # reciprocals err the most
    x = [hard_numerators(int(divisor), digits) for divisor in y]
    width = max(map(len, x))
    numerators = np.array([[*row, *[1] * (width - len(row))] for row in x], dtype)
    return numerators, y.astype(dtype)


@pytest.mark.parametrize("target", runnable(), ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quotients_of_any_bits(dtype, target):
    """Most of these quotients are divided, since so many exponents are extreme."""
    generator = np.random.default_rng(0)
    x, y = any_bits(generator, dtype, (1500, COLUMNS)), any_bits(generator, dtype, 1500)
    check(x, y, target=target)


@pytest.mark.parametrize("target", runnable(), ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quotients_of_common_numbers(dtype, target):
    generator = np.random.default_rng(1)
    x = generator.standard_normal((1500, COLUMNS)).astype(dtype)
    y = (generator.standard_normal(1500) * 2.0 ** generator.integers(-30, 30, 1500)).astype(dtype)
    x[::7, ::3] *= 0  # of both signs
    check(x, y, target=target)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", ["ordinary", "subnormal", "overflowing", "small", "large"])
def test_quotients_next_to_a_tie(dtype, place):
    """At the ends of the exponents, too, where some quotients are subnormal or overflow."""
    layout = np.finfo(dtype)
    digits, least, most = layout.nmant + 1, layout.minexp, layout.maxexp - layout.nmant - 1
    of_x, of_y = {
        "ordinary": (0, 0),
        "subnormal": (least + 3, 0),
        "overflowing": (most, -digits),
        "small": (least + 3, least + 3),
        "large": (most - 4, most - 4),
    }[place]
    x, y = hard(np.random.default_rng(2), dtype, 500)
    y = np.ldexp(y, of_y).astype(dtype)
    for by in range(-4, 5):
        with np.errstate(over="ignore"):
            moved = np.ldexp(x, of_x + by).astype(dtype)
        check(moved, -y if by % 2 else y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_border(dtype):
    """Numbers at and next to each limit of what is computed without a division."""
    layout = np.finfo(dtype)
    powers = [layout.minexp + layout.nmant + 2, layout.minexp + 1, layout.minexp, layout.maxexp - 2]
    at = np.ldexp(dtype(1), [*powers, layout.maxexp - 1, layout.minexp - layout.nmant, 0])
    at = np.concatenate([at, np.nextafter(at, dtype(0)), np.nextafter(at, dtype(np.inf))])
    at = np.concatenate([at, at * dtype(1.5), [0, np.inf, np.nan, layout.max]]).astype(dtype)
    at = np.concatenate([at, -at])
    check(np.broadcast_to(at, (at.size, at.size)), at)
    lonely = np.zeros((at.size, at.size, 5), dtype)  # each among zeros
    lonely[:, :, 2] = at
    check(lonely.reshape(-1, 5), np.repeat(at, at.size))


def test_a_wrong_reciprocal_is_noticed(monkeypatch):
    right = division.Divisor.of

    def one_more(b, y):
        found = right(b, y)
        larger = b.bits(b.bits(found.reciprocal, np.dtype(np.int32)) + 1, y.dtype)
        return division.Divisor(y, larger, found.least, found.zero)

    monkeypatch.setattr(division.Divisor, "of", one_more)
    x, y = hard(np.random.default_rng(3), np.float32, 300)
    assert (quotients(x, y) != x / y[:, None]).any()


@pytest.mark.parametrize("missing", ["least", "zero"])
def test_a_missing_limit_is_noticed(monkeypatch, missing):
    right = division.Divisor.of

    def without(b, y):
        found = right(b, y)
        least = y.like(0.0) if missing == "least" else found.least
        zero = y.like(0.0) if missing == "zero" else found.zero
        return division.Divisor(y, found.reciprocal, least, zero)

    monkeypatch.setattr(division.Divisor, "of", without)
    with pytest.raises(AssertionError):
        test_every_border(np.float32)


def test_compiled_graphs():
    generator = np.random.default_rng(4)
    x, c = gw.input("x", ("n", 333)), gw.input("c", ())
    by_sum = x / gw.ops.sum(x, 1, keepdims=True)
    f = gw.compile([x, c], [x / c, by_sum, x / 7.0], backend="native")
    given = any_bits(generator, np.float32, (40, 333))
    common = generator.standard_normal((40, 333)).astype(np.float32)
    for divisor in (0.1, -3e38, 1e-40, 0.0, np.nan, np.inf, 1e-30):
        c = np.array(divisor, np.float32)
        for numbers in (given, common, np.zeros_like(common)):
            with np.errstate(all="ignore"):
                quotient, _, seventh = f(numbers, c)
                np.testing.assert_array_equal(quotient, numbers / c)
                np.testing.assert_array_equal(seventh, numbers / np.float32(7))
    np.testing.assert_allclose(f(common, c)[1], common / common.sum(1, keepdims=True), rtol=1e-3)


def test_the_reciprocal_is_computed_before_the_loop_over_a_row():
    x = gw.input("x", ("n", 333))
    f = gw.compile(x, x / gw.ops.max(x, 1, keepdims=True))
    [kernel] = generate(f.plan, HOST).steps[-1].kernels
    before, within = kernel.text.rsplit("\nvector", 1)[0].rsplit("\nvector", 1)
    assert "fdiv" in before and "@divided" in within and "fdiv" not in within
