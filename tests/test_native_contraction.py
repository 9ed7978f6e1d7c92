"""Matrix products in native code: right for any sizes, strides, stacks and CPUs, bit for bit."""

import re

import ml_dtypes
import numpy as np
import pytest
from support.machines import check_objects_for_arm, runnable
from support.native_steps import in_halves, run_step, shuffled, together

from graphwright.compiler.native.contraction import driver
from graphwright.compiler.native.contraction.driver import contraction
from graphwright.compiler.native.contraction.matmul import matmul_product
from graphwright.compiler.native.contraction.orientation import oriented
from graphwright.compiler.native.contraction.panel import masked, panel
from graphwright.compiler.native.kernel import Context, Routine
from graphwright.compiler.native.operand import dense_operand
from graphwright.compiler.native.target import Target
from graphwright.graph.dim import dim
from graphwright.graph.dtype import float32
from graphwright.graph.types import TensorType
from graphwright.ops.linear import MatMul

EDGES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 50, 64, 65, 97, 130)
TOLERANCE = {"f4": 1e-5, "f8": 1e-13, "f2": 2e-3, "bfloat16": 2e-2}


def product(a, b, **options):
    [result] = run_step(MatMul(), [a, b], **options)
    return result


def check(a, b, **options):
    """The product agrees with NumPy's in float64; given back for more."""
    result = product(a, b, **options)
    if a.dtype.kind in "iu":
        np.testing.assert_array_equal(result, np.matmul(a, b))
        return result
    wide = a.astype("f8"), b.astype("f8")
    exact, scale = np.matmul(*wide), np.matmul(*map(np.abs, wide))
    bound = TOLERANCE[a.dtype.name if a.dtype.kind == "V" else a.dtype.str[1:]] * (scale + 1e-30)
    worst = np.abs(result.astype("f8") - exact) <= bound
    assert worst.all(), f"{a.shape} {a.strides} by {b.shape} {b.strides}"
    return result


def numbers(rng, shape, dtype="f4"):
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 100, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def laid(rng, array):
    """The same elements in memory in another way: transposed, with gaps, backward …"""
    way = rng.integers(6)
    if way == 1:
        return np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
    if way == 2:
        wide = _nonsense((*array.shape[:-1], array.shape[-1] + 3), array.dtype)
        wide[..., : array.shape[-1]] = array
        return wide[..., : array.shape[-1]]
    if way == 3:
        every = _nonsense((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        every[..., ::2] = array
        return every[..., ::2]
    if way == 4:
        return np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    if way == 5:
        return np.ascontiguousarray(array[..., ::-1, :])[..., ::-1, :]
    return array


def _nonsense(shape, dtype):
    return np.full(shape, 77 if dtype.kind in "iu" else np.nan, dtype)


def random_pair(rng, dtype="f4", stacks=((), (), (3,), (2, 3), (4, 1))):
    rows, depth, columns = (int(n) for n in rng.choice(EDGES, 3))
    batch = stacks[rng.integers(len(stacks))]
    left = tuple(1 if rng.random() < 0.2 else n for n in batch)
    right = tuple(1 if rng.random() < 0.2 else n for n in batch)
    right = right[rng.integers(len(right) + 1) :]
    a, b = numbers(rng, (*left, rows, depth), dtype), numbers(rng, (*right, depth, columns), dtype)
    return laid(rng, a), laid(rng, b)


@pytest.mark.parametrize("seed", range(8))
def test_any_sizes_strides_and_stacks(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        check(*random_pair(rng, rng.choice(["f4", "f8"])))


@pytest.mark.parametrize("rows", EDGES)
def test_every_remainder(rows):
    rng = np.random.default_rng(rows)
    for columns in EDGES:
        check(numbers(rng, (rows, 5)), numbers(rng, (5, columns)))
        check(numbers(rng, (rows, 5)), numbers(rng, (columns, 5)).T)


@pytest.mark.parametrize("target", runnable(), ids=lambda target: target.cpu)
def test_other_cpus(target):
    rng = np.random.default_rng(3)
    for _ in range(25):
        check(*random_pair(rng, rng.choice(["f4", "f8"])), target=target)


def test_objects_for_arm():
    target = Target.of("aarch64-unknown-linux-gnu", "cortex-a72")
    given = [dense_operand(i, TensorType(float32, (5, 7) if i else (3, 5))) for i in range(2)]
    out = dense_operand(2, TensorType(float32, (3, 7)))
    [kernel] = contraction(oriented(matmul_product(given, [out])), Context(target, {}))
    held = [argument.text for argument in kernel.arguments if isinstance(argument, Routine)]
    check_objects_for_arm(kernel.text, *held)


@pytest.mark.parametrize("dtype", ["f2", ml_dtypes.bfloat16, "i1", "u2", "i4", "i8"])
def test_other_dtypes(dtype):
    rng = np.random.default_rng(5)
    for _ in range(10):
        check(*random_pair(rng, dtype))


@pytest.mark.parametrize("shape", [(200, 64, 300), (70, 300, 130), (512, 100, 96)])
@pytest.mark.parametrize("transposed", ["", "left", "right"])
def test_the_same_bits_however_the_tiles_are_shared(shape, transposed):
    rows, depth, columns = shape
    rng = np.random.default_rng(7)
    a, b = numbers(rng, (rows, depth)), numbers(rng, (depth, columns))
    a = np.asfortranarray(a) if transposed == "left" else a
    b = np.asfortranarray(b) if transposed == "right" else b
    first = check(a, b, tile_order=together)
    for order in (shuffled, in_halves):
        np.testing.assert_array_equal(product(a, b, tile_order=order), first)


def test_the_same_bits_for_a_row_by_itself():
    rng = np.random.default_rng(8)
    a, b = numbers(rng, (77, 90)), numbers(rng, (90, 85))
    whole = check(a, b)
    for row in (0, 30, 76):
        np.testing.assert_array_equal(product(a[row : row + 1], b)[0], whole[row])


@pytest.mark.parametrize("batch", [0, 1, 2, 5, 33])
def test_symbolic_sizes(batch):
    rng = np.random.default_rng(batch)
    n, m = dim("n"), dim("m")
    sizes = {"n": batch, "m": 6}
    cases = [
        ((n, 20), (20, 50), (batch, 20), (20, 50)),
        ((20, n), (n, 50), (20, batch), (batch, 50)),
        ((20, 30), (30, n), (20, 30), (30, batch)),
        ((n, 20, m), (m, 10), (batch, 20, 6), (6, 10)),
        ((n, 20, m), (n, m, 10), (batch, 20, 6), (batch, 6, 10)),
        ((m, n), (n, m), (6, batch), (batch, 6)),
    ]
    for left, right, *shapes in cases:
        types = [TensorType(float32, left), TensorType(float32, right)]
        for way in range(4):
            a, b = (numbers(rng, shape) for shape in shapes)
            a = np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2) if way & 1 else a
            b = np.ascontiguousarray(b.swapaxes(-1, -2)).swapaxes(-1, -2) if way & 2 else b
            check(a, b, types=types, sizes=sizes)


@pytest.mark.parametrize("way", range(4))
@pytest.mark.parametrize("named", [False, True])
def test_what_large_products_pack(way, named):
    rng = np.random.default_rng(way)
    for rows, depth, columns, dtype in [
        (261, 270, 301, "f4"),
        (140, 1000, 520, "f4"),
        (300, 257, 290, "f8"),
    ]:
        a, b = numbers(rng, (rows, depth), dtype), numbers(rng, (depth, columns), dtype)
        a = np.asfortranarray(a) if way & 1 else a
        b = np.asfortranarray(b) if way & 2 else b
        n, m, k = dim("n"), dim("m"), dim("k")
        types = [TensorType(a.dtype, (n, k)), TensorType(a.dtype, (k, m))] if named else None
        check(a, b, types=types, sizes={"n": rows, "m": columns, "k": depth})
        if named:
            check(a[:5], b, types=types, sizes={"n": 5, "m": columns, "k": depth})
            check(a, b[:, :7], types=types, sizes={"n": rows, "m": 7, "k": depth})


@pytest.mark.parametrize("target", runnable(), ids=lambda target: target.cpu)
def test_few_rows_or_columns(target):
    rng = np.random.default_rng(11)
    for few in (1, 2, 3, 4, 5, 7, 8, 11):
        for depth, many, dtype in [(130, 37, "f4"), (97, 50, "f8"), (128, 1, "i4"), (200, 3, "f2")]:
            a, b = numbers(rng, (few, depth), dtype), numbers(rng, (depth, many), dtype)
            for x in (a, np.asfortranarray(a)):
                for y in (b, np.asfortranarray(b)):
                    check(x, y, target=target)
                    check(y.T, x.T, target=target)


def test_results_with_strides():
    rng = np.random.default_rng(9)
    for rows, columns in [(1, 1), (9, 33), (50, 20)]:
        a, b = numbers(rng, (rows, 12)), numbers(rng, (12, columns))
        for out in (
            np.zeros((columns, rows), "f4").T,
            np.zeros((rows, 2 * columns), "f4")[:, ::2],
            np.zeros((rows, columns + 5), "f4")[:, :columns],
        ):
            check(a, b, outputs=[out])


def test_stacks_that_share_the_right_factor_are_rows():
    left, right = (
        dense_operand(i, TensorType(float32, s)) for i, s in enumerate([(8, 4, 3), (3, 5)])
    )
    out = dense_operand(2, TensorType(float32, (8, 4, 5)))
    product = oriented(matmul_product([left, right], [out]))
    assert product.batch == () and product.rows == 32 and product.axes == ((0, 1), (2,))


def test_nan_and_infinity_stay_in_their_rows():
    a, b = np.ones((20, 9), "f4"), np.ones((9, 40), "f4")
    a[3, 4], a[5, 0] = np.nan, np.inf
    result = product(a, b)
    assert np.isnan(result[3]).all() and np.isposinf(result[5]).all()
    assert (np.delete(result, [3, 5], 0) == 9).all()


def test_texts_are_shared_among_sizes():
    texts = set()
    for rows, depth, columns in [(512, 784, 128), (1024, 256, 192), (640, 128, 100)]:
        shapes = [(rows, depth), (depth, columns), (rows, columns)]
        *given, out = (dense_operand(i, TensorType(float32, s)) for i, s in enumerate(shapes))
        [kernel] = contraction(oriented(matmul_product(given, [out])), Context(Target.host(), {}))
        texts |= {kernel.text, *(a.text for a in kernel.arguments if isinstance(a, Routine))}
    assert len(texts) == 2


def one_lane_too_many(text):
    return text.replace("icmp slt <", "icmp sle <")


def no_single_rows(text):
    return re.sub(r"br i1 \S+ label %rows1\.\w+, label (%\S+)", r"br label \1", text)


def one_step_less(text):
    return re.sub(r"(icmp slt i64 %\w+), %a5", r"\1, 16", text)


BUGS = [no_single_rows, one_step_less]
BUGS += [one_lane_too_many] if masked(np.dtype("f4"), Target.host()) else []


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_found(bug, monkeypatch):
    target = Target.host()
    right = panel(np.dtype("f4"), target)
    assert bug(right) != right
    a, b = np.ones((41, 17), "f4"), np.ones((17, 17), "f4")
    check(a, b, target=target)
    monkeypatch.setattr(driver, "panel", lambda *given: bug(panel(*given)))
    with pytest.raises(AssertionError):
        check(a, b, target=target)
