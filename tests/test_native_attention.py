"""Attention in native code: right for any sizes, masks, strides and CPUs, bit for bit the same."""

import functools
import math

import numpy as np
import pytest
from support.machines import check_objects_for_arm, runnable
from support.native_steps import Step, in_halves, run_step, shuffled, together

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.compiler.native.attention import forward, gradient, scores, tiles
from graphwright.compiler.native.kernel import Context, Routine
from graphwright.compiler.native.math import FUNCTIONS
from graphwright.compiler.native.target import Target
from graphwright.compiler.pipeline import NATIVE_PIPELINE, compile_graph
from graphwright.graph.graph import Graph
from graphwright.graph.types import TensorType
from graphwright.ops.attention_forward import AttentionForward
from graphwright.ops.attention_gradient import AttentionGradient

PLAIN = {"causal": "no", "scale": None, "softcap": 0.0}
TOLERANCE = {"f4": 4e-6, "f8": 1e-14}


def meaning(arrays, g, causal="no", scale=None, softcap=0.0):
    """(out, logsumexp, d query, d key, d value) by NumPy in float64, with all scores at once."""
    q, k, v, *mask = (x if x.dtype == bool else x.astype("f8") for x in arrays)
    groups = q.shape[-3] // k.shape[-3] if q.ndim > 2 and k.shape[-3] else 1
    if groups > 1:
        k, v = (np.repeat(x, groups, -3) for x in (k, v))
    scale = scale if scale is not None else 1 / math.sqrt(q.shape[-1] or 1)
    s = scale * q @ k.swapaxes(-1, -2)
    slope = 1.0
    if softcap:
        slope = 1 - np.tanh(s / softcap) ** 2
        s = softcap * np.tanh(s / softcap)
    for m in mask:
        s = np.where(m, s, -np.inf) if m.dtype == bool else s + m
    queries, keys = s.shape[-2:]
    if causal != "no":
        offset = keys - queries if causal == "bottom_right" else 0
        s = np.where(np.tri(queries, keys, offset, dtype=bool), s, -np.inf)
    top = s.max(-1, keepdims=True, initial=-np.inf)
    p = np.exp(s - np.where(top > -np.inf, top, 0))
    total = p.sum(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        sums = (top + np.log(total))[..., 0]
    p = p / np.where(total == 0, 1, total)
    out, g = p @ v, g.astype("f8")
    ds = scale * slope * p * (g @ v.swapaxes(-1, -2) - (g * out).sum(-1, keepdims=True))
    to_k, to_v = ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ g
    if groups > 1:
        to_k, to_v = (
            x.reshape(*x.shape[:-3], -1, groups, *x.shape[-2:]).sum(-3) for x in (to_k, to_v)
        )
    return out, sums, ds @ k, to_k, to_v


def drawn(heads, queries, keys, features, width, *, shared=None, dtype="f4", seed=0):
    """Query, key, value, and a gradient for the result."""
    rng = np.random.default_rng([seed, queries, keys])
    own = heads if shared is None else shared
    shapes = (*heads, queries, features), (*own, keys, features), (*own, keys, width)
    made = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    return made, rng.standard_normal((*heads, queries, width)).astype(dtype)


def attended(arrays, g, options, **step):
    """What the native kernels give: out, logsumexp and the gradients."""
    step = {"functions": FUNCTIONS, **step}
    types, sizes = step.pop("types", None), step.get("sizes")
    result = run_step(AttentionForward(**options), arrays, types=types, **step)
    if types is not None:
        out, sums = AttentionForward(**options).infer(*types)
        types = [*types[:3], out, sums, out, *types[3:]]
    given = [*arrays[:3], *result, g, *arrays[3:]]
    gradients = run_step(AttentionGradient(**options), given, types=types, **step)
    assert sizes is None or isinstance(sizes, dict)
    return *result, *gradients


def check(arrays, g, **options):
    """The native kernels agree with the meaning; what they give is given back."""
    attributes = {name: options.pop(name, value) for name, value in PLAIN.items()}
    given = attended(arrays, g, attributes, **options)
    wanted = meaning(arrays, g, **attributes)
    for result, right in zip(given, wanted, strict=True):
        assert result.shape == right.shape and result.dtype == arrays[0].dtype
        tolerance = TOLERANCE[result.dtype.str[1:]]
        size = np.abs(right[np.isfinite(right)]).max(initial=1.0)
        np.testing.assert_allclose(result, right, rtol=0, atol=tolerance * size)
    return given


SIZES = [  # queries, keys, features, width
    (1, 1, 1, 1),
    (1, 300, 32, 32),
    (5, 3, 4, 2),
    (16, 64, 16, 48),
    (48, 129, 17, 33),
    (100, 65, 64, 1),
    (300, 1, 8, 8),
    (131, 257, 40, 128),
]


@pytest.mark.parametrize("causal", ["no", "top_left", "bottom_right"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_all_sizes(sizes, causal):
    arrays, g = drawn((2, 2), *sizes)
    check(arrays, g, causal=causal)
    if causal == "bottom_right":
        check(*drawn((), *sizes, dtype="f8"), causal=causal, scale=-0.3)


def test_nothing_to_do():
    for sizes in ((0, 3, 2, 2), (3, 4, 0, 2), (3, 4, 2, 0)):
        check(*drawn((2,), *sizes))
    check(*drawn((0, 3), 4, 4, 2, 2))


@pytest.mark.parametrize(
    "shape", [(90, 130), (1, 130), (90, 1), (1, 1), (4, 90, 130), (2, 1, 1, 1)]
)
@pytest.mark.parametrize("floating", [False, True])
def test_masks(shape, floating):
    arrays, g = drawn((2, 4), 90, 130, 16, 24)
    rng = np.random.default_rng(5)
    mask = rng.random(shape) < 0.7
    if shape == (90, 130):
        mask[7] = False
    if floating:
        mask = np.where(mask, rng.standard_normal(shape), -np.inf).astype("f4")
    plain = check([*arrays, mask], g)
    turned = np.ascontiguousarray(mask.swapaxes(-1, -2)).swapaxes(-1, -2) if mask.ndim > 1 else mask
    for one, other in zip(plain, attended([*arrays, turned], g, PLAIN), strict=True):
        np.testing.assert_array_equal(one, other)
    check([*arrays, mask], g, causal="top_left", softcap=1.5)


def test_a_query_without_keys_gets_zero_and_passes_no_gradient():
    arrays, g = drawn((3,), 60, 70, 8, 8)
    for x in arrays:
        x[..., 50:, :] = 1e30
    mask = np.ones((60, 70), bool)
    mask[10] = mask[:, 50:] = False
    mask[50:] = False
    out, sums, to_query, *_ = check([*arrays[:2], np.minimum(arrays[2], 1), mask], g)
    for x in (out, to_query):
        assert (x[:, 10] == 0).all() and (x[:, 50:] == 0).all()
    assert np.isneginf(sums[:, 10]).all()


def test_heads_that_share_keys():
    for heads, shared in (((6,), (2,)), ((2, 4), (2, 1)), ((1, 3), (1, 3))):
        check(*drawn(heads, 50, 70, 16, 8, shared=shared), causal="bottom_right")


def test_a_cap():
    arrays, g = drawn((2,), 60, 140, 16, 8)
    check([3 * x for x in arrays], g, softcap=2.0, causal="top_left")


def test_large_scores():
    arrays, g = drawn((2,), 60, 140, 16, 8, dtype="f8")
    arrays[0] *= 1e3
    given = attended(arrays, g, PLAIN)
    for result, right in zip(given, meaning(arrays, g), strict=True):
        np.testing.assert_allclose(result, right, rtol=1e-9, atol=1e-9)


def test_any_strides_give_the_same_bits():
    arrays, g = drawn((2, 3), 70, 90, 16, 20)
    plain = check(arrays, g)
    by_features = [np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) for x in arrays]
    by_heads = [np.ascontiguousarray(x.swapaxes(1, 2)).swapaxes(1, 2) for x in arrays]
    backward = [np.ascontiguousarray(x[..., ::-1, :])[..., ::-1, :] for x in arrays]
    for given in (by_features, by_heads, backward):
        for one, other in zip(
            plain, attended(given, given[0][..., :1] * 0 + g, PLAIN), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_results_with_strides():
    arrays, g = drawn((2, 3), 70, 90, 16, 16)
    plain = check(arrays, g)
    shapes = [(2, n, 3, 16) for n in (70, 90, 90)]
    places = [np.zeros(shape, "f4").swapaxes(1, 2) for shape in shapes]
    sums = np.zeros((2, 70, 3), "f4").swapaxes(1, 2)
    out = run_step(
        AttentionForward(**PLAIN), arrays, outputs=[places[0], sums], functions=FUNCTIONS
    )
    np.testing.assert_array_equal(out[0], plain[0])
    np.testing.assert_array_equal(out[1], plain[1])
    given = [*arrays, *plain[:2], g]
    run_step(AttentionGradient(**PLAIN), given, outputs=places, functions=FUNCTIONS)
    for one, other in zip(plain[2:], places, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("heads", [1, 40])
def test_tiles_in_any_order_give_the_same_bits(heads):
    """By parts of the keys too: where heads are few."""
    arrays, g = drawn((heads,), 200, 300, 16, 16)
    results = [
        check(arrays, g, causal="top_left", tile_order=order)
        for order in (shuffled, together, in_halves)
    ]
    for other in results[1:]:
        for x, y in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_symbolic_sizes():
    for sizes in ({"b": 2, "t": 70, "s": 150, "d": 12}, {"b": 40, "t": 3, "s": 5, "d": 7}):
        b, t, s, d = sizes.values()
        arrays, g = drawn((b, 2), t, s, d, d)
        kinds = [("b", 2, n, "d") for n in "tss"]
        types = [TensorType(np.dtype("f4"), tuple(map(_size, kind))) for kind in kinds]
        check(arrays, g, types=types, sizes=sizes, causal="bottom_right")


def _size(size):
    return gw.dim(size) if isinstance(size, str) else size


@pytest.mark.parametrize("target", runnable(), ids=lambda target: target.cpu)
def test_other_cpus(target):
    mask = np.random.default_rng(1).random((40, 70)) < 0.8
    for dtype in ("f4", "f8"):
        arrays, g = drawn((2,), 40, 70, 10, 7, dtype=dtype)
        check([*arrays, mask], g, causal="bottom_right", target=target)


def test_loads_and_stores_stay_within_bounds():
    mask = np.random.default_rng(1).random((40, 1)) < 0.8
    for heads in (1, 33):
        arrays, g = drawn((heads,), 40, 270, 10, 7)
        check([*arrays, mask], g, causal="top_left", softcap=3.0, checked=True)
        turned = [np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) for x in arrays]
        check(turned, g, checked=True)


def test_objects_for_arm():
    target = Target.of("aarch64-unknown-linux-gnu", "cortex-a72")
    arrays, g = drawn((2,), 40, 70, 10, 7)
    op = AttentionForward(**PLAIN)
    made = [(op, arrays), (AttentionGradient(**PLAIN), [*arrays, *op.kernel(*arrays), g])]
    for op, given in made:
        kernels = Step(op, given, None, {}, None).kernels(Context(target, FUNCTIONS))
        for kernel in kernels:
            held = [a.text for a in kernel.arguments if isinstance(a, Routine)]
            check_objects_for_arm(kernel.text, *held)


def test_sizes_share_texts():
    texts = set()
    for queries, keys, features in ((100, 130, 32), (256, 256, 64), (48, 700, 16)):
        arrays, _ = drawn((40,), queries, keys, features, features)
        step = Step(AttentionForward(**{**PLAIN, "scale": 0.5}), arrays, None, {}, None)
        [kernel] = step.kernels(Context(Target.host(), FUNCTIONS))
        texts |= {kernel.text}
    assert len(texts) == 1


# Planted bugs.


def _off_by_one(function):
    return lambda self, first, count: function(self, first, count) - 1


def _unchanged(*_):
    """Nothing is done."""


@pytest.mark.parametrize(
    ("owner", "name", "bug"),
    [
        (scores.Scores, "_cut", lambda f: _unchanged),
        (forward._Forward, "_scale", lambda f: _unchanged),
        (tiles.Tiles, "last_key", _off_by_one),
        (gradient._Gradient, "_take_sums", lambda f: _unchanged),
        (gradient, "_apart", lambda f: lambda frame, t, _, head: f(frame, t, t.b.index(0), head)),
        (tiles.Tiles, "clear", lambda f: _unchanged),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_planted_bugs_are_found(owner, name, bug, monkeypatch):
    run = functools.partial(check, *drawn((2,), 200, 200, 16, 16), causal="top_left")
    run()
    monkeypatch.setattr(owner, name, bug(getattr(owner, name)))
    with pytest.raises(AssertionError):
        run()


# Whole plans.


def compiled(backend, *, dtype="float32", mask=None, **options):
    """A loss of attention, and its gradients, for any batch and time."""
    inputs = [gw.input(n, ("b", "t", 3, 2, 8), dtype) for n in ("x", "g")]
    if mask is not None:
        inputs.append(gw.input("mask", ("t", "t"), mask))
    parts = [gw.ops.swapaxes(inputs[0][:, :, i], 1, 2) for i in range(3)]
    out = gw.ops.scaled_dot_product_attention(*parts, *inputs[2:], **options)
    loss = (gw.ops.swapaxes(out, 1, 2) * inputs[1][:, :, 0]).sum()
    return inputs, [loss, grad(loss, inputs[0])]


@pytest.mark.parametrize("mask", [None, "bool", "float32"])
def test_plans_agree_with_numpy(mask):
    inputs, results = compiled("native", mask=mask, causal=True)
    native, numpy = (gw.compile(inputs, results, backend=b) for b in ("native", "numpy"))
    rng = np.random.default_rng(0)
    for b, t in ((1, 1), (2, 70), (20, 33)):
        arrays = [rng.standard_normal((b, t, 3, 2, 8)).astype("f4") for _ in range(2)]
        if mask is not None:
            arrays.append(rng.standard_normal((t, t)).astype("f4") > 0)
            arrays[-1] = arrays[-1].astype(mask)
        for one, other in zip(native(*arrays), numpy(*arrays), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


def test_no_memory_for_all_queries_by_all_keys():
    def peak(passes, t):
        inputs, results = compiled("native", causal=True)
        plan = compile_graph(Graph(inputs, results), **passes).plan
        return plan.layout({"b": 1, "t": t}).peak

    native = {"passes": NATIVE_PIPELINE}
    assert peak(native, 4096) < 4.1 * peak(native, 1024)
    assert peak({}, 4096) > 12 * peak({}, 1024)


def test_a_mask_whose_gradient_is_wanted_gets_it():
    inputs, [loss, _] = compiled("native", mask="float32")
    mask = inputs[2]
    native, numpy = (
        gw.compile(inputs, grad(loss, mask), backend=backend) for backend in ("native", "numpy")
    )
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype("f4") for s in [(2, 20, 3, 2, 8)] * 2 + [(20, 20)]]
    np.testing.assert_allclose(native(*arrays), numpy(*arrays), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("shared", ["", "mask", "value", "query"])
def test_many_at_once_stay_whole(shared):
    """`gw.vmap` makes one more axis of heads; what all share is not copied."""
    kinds = {"query": (2, 9, 4), "key": (2, 9, 4), "value": (2, 9, 4), "mask": (9, 9)}
    inputs = {
        name: gw.input(name, shape if name == shared else (3, *shape), "float32")
        for name, shape in kinds.items()
    }

    def gradients(*given):
        loss = (gw.ops.scaled_dot_product_attention(*given) ** 2).sum()
        return tuple(grad(loss, given[:3]))

    axes = tuple(None if name == shared else 0 for name in kinds)
    results = list(gw.vmap(gradients, axes)(*inputs.values()))
    plan = compile_graph(Graph(list(inputs.values()), results), passes=NATIVE_PIPELINE).plan
    names = [step.op.name for step in plan.steps]
    assert names.count("attention_forward") == names.count("attention_gradient") == 1
    native, numpy = (
        gw.compile(list(inputs.values()), results, backend=b) for b in ("native", "numpy")
    )
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(x.shape).astype("f4") for x in inputs.values()]
    for one, other in zip(native(*arrays), numpy(*arrays), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


def test_second_derivatives():
    inputs, [_, first] = compiled("native", dtype="float64", causal=True)
    second = grad((first * first).sum(), inputs[0])
    native, numpy = (gw.compile(inputs, second, backend=b) for b in ("native", "numpy"))
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 9, 3, 2, 8)) for _ in range(2)]
    np.testing.assert_allclose(native(*arrays), numpy(*arrays), rtol=1e-11, atol=1e-11)


def test_the_log_says_what_stays_whole_and_what_does_not():
    for dtype, said in (
        ("float32", "attention_forward is computed as a whole"),
        ("float16", "computed in f32 or f64, not in f16"),
    ):
        inputs, results = compiled("native", dtype=dtype)
        made = compile_graph(Graph(inputs, results), passes=NATIVE_PIPELINE)
        [record] = [r for r in made.records if r.step.result == "decomposed"]
        assert any(said in event.what for event in record.log.events)
        names = {node.op.name for node in record.graph.operations}
        assert ("attention_gradient" in names) == (dtype == "float32")
