"""Random bits from keys: the same key gives the same bits, always.

The generator is Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy
as 1, 2, 3, SC 2011, https://doi.org/10.1145/2063384.2063405). It keeps no state: a block of four
32-bit words is a function of a 64-bit key and a 128-bit counter. So no element depends on another,
on their order, or on what computes them.

A key here is two 64-bit words, `u64[..., 2]`: the seed, which is Philox's key, and the stream,
which is the upper half of its counter. The lower half counts blocks: those from 0 on are numbers,
and those from 2⁶³ on are further keys, so that a key's numbers and the keys made of it never share
a block. For one seed Philox is a bijection of counters: the keys made of one key all differ, and so
do those made of keys with the same seed; others coincide as 128 random bits do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, dim, product
from graphwright.graph.dtype import DType, short_name, uint32, uint64
from graphwright.graph.errors import DTypeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, Within, f32, i64, u64
from graphwright.ops.movement import reshape
from graphwright.ops.shapes import broadcast, check_sizes

Words = NDArray[np.uint64]

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)  # added to the key from round to round
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_KEYS = np.uint64(1 << 31)  # in the upper half of a block's number: the block is a key
_TOP = np.uint64(2**64 - 1)
_CHUNK = 16384  # blocks at a time, so that they stay in the cache


def philox(words: Words, key: Words) -> None:
    """Philox 4x32-10, in place: each column of counter words becomes a column of random words.

    words: four rows of 32-bit words, held as uint64; the least significant word first
    key:   two rows of 32-bit words, of one column for all or of one for each
    """
    a, b, c, d = words
    left, right = np.empty_like(words[:2])
    for _ in range(_ROUNDS):
        np.multiply(a, _MULTIPLIERS[0], out=left)
        np.multiply(c, _MULTIPLIERS[1], out=right)
        np.right_shift(right, _HALF, out=a)
        np.right_shift(left, _HALF, out=c)
        for word, other, part in ((a, b, key[0]), (c, d, key[1])):
            np.bitwise_xor(word, other, out=word)
            np.bitwise_xor(word, part, out=word)
        np.bitwise_and(right, _LOW, out=b)
        np.bitwise_and(left, _LOW, out=d)
        key = (key + _WEYL) & _LOW


def random_words(count: int, keys: Words) -> NDArray[np.uint32]:
    """For each row (seed, stream) of `keys`, the first `count` 32-bit words, four to a block."""
    blocks = -(-count // 4)
    total = len(keys) * blocks
    result = np.empty((total, 4), np.uint32)
    for start in range(0, total, _CHUNK):
        row, block = np.divmod(
            np.arange(start, min(start + _CHUNK, total), dtype=np.uint64), blocks
        )
        seeds, streams = keys[row if len(keys) > 1 else slice(1)].T
        words = np.empty((4, len(block)), np.uint64)
        words[:2] = block & _LOW, block >> _HALF
        words[2], words[3] = streams & _LOW, streams >> _HALF
        philox(words, np.stack([seeds & _LOW, seeds >> _HALF]))
        result[start : start + len(block)] = words.T
    return result.reshape(len(keys), blocks * 4)[:, :count]


def derived_keys(keys: Words, data: Words) -> Words:
    """For each row (seed, stream) of `keys`, the key that the number in `data` makes of it."""
    seeds, streams = keys.T
    words = np.stack([data & _LOW, data >> _HALF | _KEYS, streams & _LOW, streams >> _HALF])
    philox(words, np.stack([seeds & _LOW, seeds >> _HALF]))
    a, b, c, d = words
    return np.stack([a | b << _HALF, c | d << _HALF], axis=1)


def check_key(key: TensorType) -> None:
    """For `infer`: raise DTypeError unless `key` is the type of a key, or of an array of them."""
    if key.dtype != uint64 or not key.rank or key.shape[-1] != 2:
        raise DTypeError(f"a key is u64[...,2], got {key}", hint="make one: gw.random.key(seed)")


@register
class RandomBits(Operator):
    """Random bits: unsigned integers of 32 or 64 bits, each as likely as any other.

    key: u64[..., 2]; each key of an array of them gives numbers of its own
    out: [..., *shape]; element i of a key's numbers is word i mod 4 of block i // 4, and of 64
         bits words 2i, the upper half, and 2i + 1 (see `graphwright.ops.philox`)
    """

    name = "random_bits"
    differentiable = False

    shape: Shape
    dtype: DType

    def infer(self, key: TensorType) -> TensorType:
        check_key(key)
        if self.dtype not in (uint32, uint64):
            raise DTypeError(f"gives u32 or u64, not {short_name(self.dtype)}")
        check_sizes(self.shape)
        return TensorType(self.dtype, (*key.shape[:-1], *self.shape))

    def kernel(self, key: NDArray[Any]) -> Any:
        shape: Any = self.shape
        keys, each = key.reshape(-1, 2), self.dtype.itemsize // 4
        bits: NDArray[Any] = random_words(math.prod(shape) * each, keys)
        if each == 2:
            wide = bits.astype(np.uint64)
            bits = wide[:, 0::2] << _HALF | wide[:, 1::2]
        return bits.reshape((*key.shape[:-1], *shape))

    def batch(self, mapped: Any, key: Tensor) -> Tensor:
        return self(key)

    def flops(self, key: TensorType) -> Size:
        """Ten rounds of about eight operations for each four words."""
        return 20 * product(self.infer(key).shape) * (self.dtype.itemsize // 4)

    cases = (
        Case(Within(u64[2], 0, 2**63), shape=(5,), dtype=uint32),
        Case(Within(u64[2], 0, 2**63), shape=(dim("n"), 3), dtype=uint64),
        Case(Within(u64["n", 2, 2], 0, 2**63), shape=(3, 2), dtype=uint32),
        Case(Within(u64[3, 2], 0, 2**63), shape=(dim("n"),), dtype=uint64),
        Case(u64[2], shape=(), dtype=uint32),
        Case(u64[2], shape=(0, 2), dtype=uint64),
        Case([_TOP, _TOP], shape=(9,), dtype=uint32),
    )
    rejects = (
        Reject(i64[2], shape=(2,), dtype=uint32, message="a key is u64[...,2], got i64[2]"),
        Reject(u64[()], shape=(2,), dtype=uint32, message="a key is u64[...,2], got u64[]"),
        Reject(u64[2, 3], shape=(2,), dtype=uint32, message="a key is u64[...,2], got u64[2,3]"),
        Reject(u64[2], shape=(-2,), dtype=uint32, message="a size can't be negative, got -2"),
        Reject(u64[2], shape=(2,), dtype=np.dtype(np.int32), message="u32 or u64, not i32"),
    )


@register
class RandomFoldIn(Operator):
    """The key that a number makes of a key: another for every number.

    key:  u64[..., 2]
    data: u64[...], broadcast against the keys; its uppermost bit makes no difference
    out:  u64[..., 2]: block 2⁶³ + data of the key's blocks (see `graphwright.ops.philox`)
    """

    name = "random_fold_in"
    differentiable = False

    def infer(self, key: TensorType, data: TensorType) -> TensorType:
        check_key(key)
        if data.dtype != uint64:
            raise DTypeError(f"data must be u64, got {data}", hint="convert it with .astype")
        return key.with_shape((*broadcast(key.shape[:-1], data.shape), 2))

    def kernel(self, key: NDArray[Any], data: NDArray[Any]) -> Any:
        shape = np.broadcast_shapes(key.shape[:-1], data.shape)
        keys = np.broadcast_to(key, (*shape, 2)).reshape(-1, 2)
        return derived_keys(keys, np.broadcast_to(data, shape).reshape(-1)).reshape(*shape, 2)

    def batch(self, mapped: Any, key: Tensor, data: Tensor) -> Tensor:
        rank = max(key.ndim - 1 - mapped[0], data.ndim - mapped[1])
        if mapped[0]:
            key = _aligned(key, rank + 1)
        return self(key, _aligned(data, rank) if mapped[1] else data)

    def flops(self, key: TensorType, data: TensorType) -> Size:
        return 40 * self.infer(key, data).size

    cases = (
        Case(Within(u64[2], 0, 2**63), Within(u64[()], 0, 2**63)),
        Case(Within(u64[2], 0, 2**63), u64["n", 3]),
        Case(Within(u64["n", 2], 0, 2**63), u64[2, 1]),
        Case(Within(u64[3, 1, 2], 0, 2**63), u64["n"]),
        Case([np.uint64(7), _TOP], [np.uint64(0), np.uint64(2**63 - 1), np.uint64(2**63), _TOP]),
    )
    rejects = (
        Reject(u64[3], u64[()], message="a key is u64[...,2], got u64[3]"),
        Reject(u64[2], f32[()], message="data must be u64, got f32[]"),
        Reject(u64[3, 2], u64[4], message="shapes [3] and [4] differ: 3 != 4 on axis -1"),
    )


def _aligned(x: Tensor, rank: int) -> Tensor:
    """`x`, which has an axis in front, with so many others behind it: new ones of size 1 first."""
    return reshape(x, (x.shape[0], *(1,) * (rank + 1 - x.ndim), *x.shape[1:]))
