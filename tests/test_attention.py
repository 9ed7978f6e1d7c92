"""Attention: what must hold beyond its cases."""

from __future__ import annotations

import numpy as np
import pytest
from support.running import value, values

import graphwright as gw
from graphwright.compiler.differentiate import grad

attend = gw.ops.scaled_dot_product_attention


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def attended(q, k, v, mask=None, **options) -> np.ndarray:
    return value(attend(q, k, v, mask, **options))


def close(actual, wanted, tolerance=1e-12) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


# Attention.


def test_attention_to_one_key_is_its_value():
    out = attended(drawn(2, 5, 4), drawn(2, 1, 4), v := drawn(2, 1, 3))
    close(out, np.broadcast_to(v, (2, 5, 3)))


def test_attention_to_equal_keys_is_the_mean_of_their_values():
    keys = np.broadcast_to(drawn(1, 4), (6, 4))
    close(attended(drawn(3, 4), keys, v := drawn(6, 2)), np.tile(v.mean(0), (3, 1)))


def test_the_order_of_the_keys_does_not_matter():
    q, k, v = drawn(2, 3, 4), drawn(2, 5, 4, seed=1), drawn(2, 5, 2, seed=2)
    order = [3, 0, 4, 1, 2]
    close(attended(q, k[:, order], v[:, order]), attended(q, k, v))


@pytest.mark.parametrize("causal", [True, "top_left", "bottom_right"])
def test_no_query_looks_at_later_keys(causal):
    queries, keys = 3, 5
    offset = keys - queries if causal == "bottom_right" else 0
    q, k, v = (gw.input(n, (t, 4), "float64") for n, t in (("q", 3), ("k", 5), ("v", 5)))
    out = attend(q, k, v, causal=causal)
    arrays = {q: drawn(3, 4), k: drawn(5, 4), v: drawn(5, 4, seed=1)}
    for i in range(queries):
        for gradient in values(grad(out[i].sum(), [k, v]), arrays):
            used = np.abs(gradient).sum(-1) > 0
            assert used.tolist() == [j <= i + offset for j in range(keys)] or i + offset == 0
            assert not used[i + offset + 1 :].any()


def test_each_causal_query_attends_as_if_later_keys_were_not_there():
    q, k, v = drawn(4, 3), drawn(4, 3, seed=1), drawn(4, 2, seed=2)
    out = attended(q, k, v, causal=True)
    for i in range(4):
        close(out[i : i + 1], attended(q[i : i + 1], k[: i + 1], v[: i + 1]))


def test_bottom_right_continues_a_sequence_where_it_was_left():
    q, k, v = drawn(6, 3), drawn(6, 3, seed=1), drawn(6, 2, seed=2)
    whole = attended(q, k, v, causal=True)
    close(attended(q[4:], k, v, causal="bottom_right"), whole[4:])
    close(attended(q[5:], k, v, causal="bottom_right"), attended(q[5:], k, v))


@pytest.mark.parametrize("mask", ["boolean", "infinite"])
def test_what_a_mask_forbids_might_as_well_not_be_there(mask):
    q, k, v = drawn(2, 3, 4), drawn(2, 6, 4, seed=1), drawn(2, 6, 2, seed=2)
    kept = np.array([True, False, True, True, False, False])
    given = kept if mask == "boolean" else np.where(kept, 0.0, -np.inf)
    close(attended(q, k, v, given), attended(q, k[:, kept], v[:, kept]))


def test_a_mask_of_floats_is_added_to_the_scores():
    q, k, v, mask = drawn(3, 4), drawn(5, 4, seed=1), drawn(5, 2, seed=2), drawn(3, 5, seed=3)
    scores = q @ k.T / 2 + mask
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    close(attended(q, k, v, mask), weights @ v)


def test_shared_heads_are_repeated_heads():
    q, k, v = drawn(2, 6, 3, 4), drawn(2, 2, 5, 4, seed=1), drawn(2, 2, 5, 3, seed=2)
    each = [np.repeat(x, 3, axis=1) for x in (k, v)]
    for options in ({}, {"causal": True}, {"mask": drawn(6, 1, 5) > 0}):
        close(attended(q, k, v, **options), attended(q, *each, **options))


def test_shared_heads_get_the_gradients_of_all_who_share_them():
    shapes = (4, 3, 2), (2, 5, 2), (2, 5, 2)
    q, k, v = (gw.input(n, s, "float64") for n, s in zip("qkv", shapes, strict=True))
    arrays = {x: drawn(*x.shape, seed=i) for i, x in enumerate((q, k, v))}
    shared = grad((attend(q, k, v) ** 2).sum(), [q, k, v])
    repeated = [gw.ops.reshape(gw.ops.stack([x, x], 1), (4, 5, 2)) for x in (k, v)]
    apart = grad((attend(q, *repeated) ** 2).sum(), [q, k, v])
    for one, other in zip(values(shared, arrays), values(apart, arrays), strict=True):
        close(one, other)


LONELY = {
    "boolean": {"mask": np.array([[True, True], [False, False], [False, True]])},
    "infinite": {"mask": np.array([[0.5, 1.0], [-np.inf, -np.inf], [-np.inf, 0.0]])},
    "none": {"mask": np.zeros((3, 2), bool)},
    "a_single_no": {"mask": np.array(False)},
    "causal": {"causal": "bottom_right"},
    "both": {"mask": np.array([False, True]), "causal": True},
}


@pytest.mark.parametrize("options", LONELY.values(), ids=LONELY)
def test_a_query_without_keys_gets_zero_and_passes_no_gradient(options):
    q, k, v = (gw.input(n, (t, 2), "float64") for n, t in (("q", 3), ("k", 2), ("v", 2)))
    mask = options.get("mask")
    allowed = np.ones((3, 2), bool)
    if mask is not None:
        allowed &= mask if mask.dtype == bool else mask > -np.inf
    if "causal" in options:
        allowed &= np.tri(3, 2, -1 if options["causal"] == "bottom_right" else 0, dtype=bool)
    lonely = ~allowed.any(-1)
    assert lonely.any()
    out = attend(q, k, v, **options)
    first = grad((out * out + out).sum(), [q, k, v])
    second = grad(sum((g * g).sum() for g in first), [q, k, v])
    arrays = {q: drawn(3, 2), k: drawn(2, 2), v: drawn(2, 2, seed=1)}
    with np.errstate(all="raise", under="ignore"):
        result, *gradients = values([out, *first, *second], arrays)
    assert all(np.isfinite(g).all() for g in gradients)
    assert (result[lonely] == 0).all() and (result[~lonely] != 0).all()
    assert (gradients[0][lonely] == 0).all() and (gradients[3][lonely] == 0).all()
    for g in gradients[1:3]:
        assert ((np.abs(g).sum(-1) > 0) <= allowed.any(0)).all()


def test_the_gradient_of_a_mask_is_zero_where_it_forbids():
    mask = gw.input("mask", (2, 3), "float64")
    out = attend(drawn(2, 4), drawn(3, 4), drawn(3, 2), mask)
    given = np.array([[0.0, -np.inf, 1.0], [-np.inf] * 3])
    result = value(grad((out**2).sum(), mask), {mask: given})
    assert np.isfinite(result).all()
    assert (result != 0).tolist() == np.isfinite(given).tolist()


def test_every_size_may_be_symbolic():
    q = gw.input("q", ("b", 4 * gw.dim("h"), "t", "d"), "float64")
    k, v = (gw.input(n, ("b", "h", "s", "d"), "float64") for n in "kv")
    f = gw.compile([q, k, v], attend(q, k, v, causal="bottom_right"), check=True)
    for b, h, t, s, d in ((2, 1, 3, 5, 4), (1, 2, 4, 2, 3), (3, 1, 1, 1, 1)):
        arrays = drawn(b, 4 * h, t, d), drawn(b, h, s, d, seed=1), drawn(b, h, s, d, seed=2)
        close(f(*arrays), attended(*arrays, causal="bottom_right"))


def test_half_precision_attends_over_many_keys():
    q, k, v = (x.astype(np.float16) for x in (drawn(2, 8), drawn(500, 8), drawn(500, 3)))
    out = attended(q, k, v)
    assert out.dtype == np.float16
    np.testing.assert_allclose(out, attended(*(x.astype(float) for x in (q, k, v))), atol=2e-3)


def test_large_scores_do_not_overflow():
    q, k, v = 1e4 * drawn(3, 4), 1e4 * drawn(5, 4, seed=1), drawn(5, 2)
    close(attended(q, k, v), v[(q @ k.T).argmax(-1)])
    with np.errstate(all="raise", under="ignore"):
        capped = attended(q, k, v, softcap=2.0)
    scores = 2 * np.sign(q @ k.T)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    close(capped, weights @ v)


def test_several_heads_attend_each_for_itself():
    q, k, v = drawn(2, 3, 6), drawn(2, 5, 6, seed=1), drawn(2, 5, 3, seed=2)
    mask = drawn(3, 3, 5) > -1
    out = value(gw.ops.multi_head_attention(q, k, v, 3, mask, causal="bottom_right"))
    for head in range(3):
        two, one = slice(2 * head, 2 * head + 2), slice(head, head + 1)
        alone = q[..., two], k[..., two], v[..., one]
        close(out[..., one], attended(*alone, mask[head], causal="bottom_right"))


def test_a_head_of_keys_may_serve_several_of_queries():
    q, k, v = drawn(3, 8), drawn(5, 4, seed=1), drawn(5, 2, seed=2)
    out = value(gw.ops.multi_head_attention(q, k, v, heads=4, shared=2))
    k, v = np.repeat(k.reshape(5, 2, 2), 2, axis=1), np.repeat(v.reshape(5, 2, 1), 2, axis=1)
    close(out, value(gw.ops.multi_head_attention(q, k.reshape(5, 8), v.reshape(5, 4), heads=4)))
