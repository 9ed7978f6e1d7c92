"""Random numbers from counters: the same seed and counter give the same bits, always.

The generator is Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
as 1, 2, 3", SC 2011). It keeps no state: block number `b` of a stream is a function of the key,
which is the `seed`, and of a 128-bit counter whose upper half is the tensor `counter` and whose
lower half is `b`. So no element depends on another, on their order, or on what computes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graphwright.graph.dim import Size, dim, evaluate, product
from graphwright.graph.dtype import DType, as_dtype, float32, is_floating, short_name, uint64
from graphwright.graph.errors import AttributeValueError, DTypeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, Within, f32, f64, i32, i64, u64
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder
from graphwright.ops.exponential import log, sqrt
from graphwright.ops.selection import where
from graphwright.ops.shapes import ShapeLike, as_shape, check_sizes
from graphwright.ops.trigonometric import cos

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85  # added to the key from round to round
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_CHUNK = 16384  # blocks at a time, so that they stay in the cache

# dtype to the bits of its fraction, implicit one included.
_PRECISION = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def philox(words: NDArray[np.uint64], key: tuple[int, int]) -> None:
    """Philox 4x32-10, in place: each column of counter words becomes a column of random words.

    words: four rows of 32-bit words, held as uint64; the least significant word first
    key:   two 32-bit words
    """
    a, b, c, d = words
    left, right = np.empty_like(words[:2])
    first, second = key
    for _ in range(_ROUNDS):
        np.multiply(a, _MULTIPLIERS[0], out=left)
        np.multiply(c, _MULTIPLIERS[1], out=right)
        np.right_shift(right, _HALF, out=a)
        np.right_shift(left, _HALF, out=c)
        for word, other, part in ((a, b, first), (c, d, second)):
            np.bitwise_xor(word, other, out=word)
            np.bitwise_xor(word, np.uint64(part), out=word)
        np.bitwise_and(right, _LOW, out=b)
        np.bitwise_and(left, _LOW, out=d)
        first = (first + _WEYL[0]) & 0xFFFFFFFF
        second = (second + _WEYL[1]) & 0xFFFFFFFF


def random_words(count: int, counter: int, seed: int) -> NDArray[np.uint32]:
    """The first `count` 32-bit words of the stream (seed, counter), four to a block."""
    key = seed & 0xFFFFFFFF, seed >> 32
    blocks = -(-count // 4)
    result = np.empty((blocks, 4), np.uint32)
    for start in range(0, blocks, _CHUNK):
        block = np.arange(start, min(start + _CHUNK, blocks), dtype=np.uint64)
        words = np.empty((4, len(block)), np.uint64)
        words[:2] = block & _LOW, block >> _HALF
        words[2:] = np.array([[counter & 0xFFFFFFFF], [counter >> 32]], np.uint64)
        philox(words, key)
        result[start : start + len(block)] = words.T
    return result.reshape(-1)[:count]


@register
class RandomUniform(Operator):
    """Numbers spread evenly over [0, 1): multiples of 2⁻²⁴ (float32) or 2⁻⁵³ (float64).

    seed:    the generator's key, from 0 to 2⁶³ - 1
    counter: a uint64 scalar, to be different at each step of a computation

    Element i is the upper bits of word i mod 4 of block i // 4 (float64 takes two words: 2i, the
    upper half, and 2i + 1).
    """

    name = "random_uniform"
    differentiable = False

    seed: int
    shape: Shape
    dtype: DType

    def infer(self, counter: TensorType) -> TensorType:
        check_seed(self.seed)
        if counter.dtype != uint64 or counter.rank:
            raise DTypeError(f"the counter must be u64[], got {counter}")
        if not is_floating(self.dtype):
            raise DTypeError(f"gives floating numbers, not {short_name(self.dtype)}")
        check_sizes(self.shape)
        return TensorType(self.dtype, self.shape)

    def kernel(self, counter: NDArray[Any]) -> NDArray[Any]:
        out = np.empty(evaluate(self.shape, {}), self.dtype)
        self.kernel_into(out, counter)
        return out

    def kernel_into(self, out: NDArray[Any], counter: NDArray[Any]) -> None:
        precision = _PRECISION[self.dtype.name]
        words = random_words(out.size * (2 if precision > 32 else 1), int(counter), self.seed)
        if precision > 32:
            wide = words.astype(np.uint64)
            bits = (wide[0::2] << _HALF | wide[1::2]) >> np.uint64(64 - precision)
        else:
            bits = words >> np.uint32(32 - precision)
        out[...] = bits.reshape(out.shape)  # exact, and so is the scaling
        np.multiply(out, self.dtype.type(2.0**-precision), out=out)

    def flops(self, counter: TensorType) -> Size:
        """Ten rounds of about eight operations for each word."""
        return 20 * product(self.shape)

    cases = (
        Case(Within(u64[()], 0, 1), seed=0, shape=(5,), dtype=float32),
        Case(Within(u64[()], 2**40, 2**40 + 1), seed=2**63 - 1, shape=(dim("n"), 3), dtype=float32),
        Case(Within(u64[()], 7, 8), seed=1, shape=(2, 3), dtype=np.dtype(np.float64)),
        Case(Within(u64[()], 7, 8), seed=1, shape=(9,), dtype=np.dtype(np.float16)),
        Case(Within(u64[()], 7, 8), seed=1, shape=(), dtype=float32),
        Case(Within(u64[()], 1, 2), seed=5, shape=(0, 2), dtype=float32),
    )
    rejects = (
        Reject(u64[()], seed=-1, shape=(2,), dtype=float32, message="the seed must be a whole"),
        Reject(u64[()], seed=2**63, shape=(2,), dtype=float32, message="the seed must be a whole"),
        Reject(i64[()], seed=0, shape=(2,), dtype=float32, message="must be u64[], got i64[]"),
        Reject(u64[1], seed=0, shape=(2,), dtype=float32, message="must be u64[], got u64[1]"),
        Reject(u64[()], seed=0, shape=(-2,), dtype=float32, message="a size can't be negative"),
        Reject(
            u64[()],
            seed=0,
            shape=(2,),
            dtype=np.dtype(np.int32),
            message="gives floating numbers, not i32",
        ),
    )


def check_seed(seed: object) -> None:
    """Raise AttributeValueError unless `seed` can key the generator."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise AttributeValueError(
            f"the seed must be a whole number from 0 to 2⁶³ - 1, got {seed!r}"
        )


@builder
def random_uniform(
    counter: TensorLike,
    seed: int,
    shape: ShapeLike,
    dtype: DTypeLike = float32,
) -> Tensor:
    """Random numbers in [0, 1), a function of the seed and the counter; see `RandomUniform`.

    counter: a scalar, cast to uint64: a tensor that differs at each step, or a number
    """
    return RandomUniform(seed, as_shape(shape), as_dtype(dtype))(as_tensor(counter, uint64))


@builder
def random_normal(
    counter: TensorLike,
    seed: int,
    shape: ShapeLike,
    dtype: DTypeLike = float32,
) -> Tensor:
    """Random numbers of mean 0 and variance 1, a function of the seed and the counter.

    √(-2 log u) cos(2πv) of two uniform numbers, u in (0, 1] and v in [0, 1) (Box and Muller, "A
    note on the generation of random normal deviates", Ann. Math. Stat. 29, 1958).
    """
    uniform = random_uniform(counter, seed, (2, *as_shape(shape)), dtype)
    u, v = 1 - uniform[0], uniform[1]
    return sqrt(-2 * log(u)) * cos(2 * np.pi * v)


@register
class Dropout(Composite):
    """Each element set to 0 with probability `rate`, the others scaled by 1 / (1 - rate).

    So the mean stays (Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", JMLR 2014). What is dropped is a function of the seed and the counter.
    d/dx = 1 / (1 - rate) where x was kept, else 0
    """

    name = "dropout"

    rate: float
    seed: int

    def infer(self, x: TensorType, counter: TensorType) -> TensorType:
        check_seed(self.seed)
        if not 0 <= self.rate < 1:
            raise AttributeValueError(f"the rate must be at least 0 and below 1, got {self.rate}")
        if not is_floating(x.dtype):
            raise DTypeError(f"needs a floating input, got {x}", hint="convert it with .astype")
        if counter.dtype != uint64 or counter.rank:
            raise DTypeError(f"the counter must be u64[], got {counter}")
        return x

    def decompose(self, x: Tensor, counter: Tensor) -> Tensor:
        kept = RandomUniform(self.seed, x.shape, float32)(counter) >= self.rate
        return where(kept, x * (1 / (1 - self.rate)), 0)

    cases = (
        Case(f32["n", 3], Within(u64[()], 0, 1), rate=0.5, seed=0),
        Case(f64[4, 5], Within(u64[()], 9, 10), rate=0.25, seed=7),
        Case(f64[3], Within(u64[()], 9, 10), rate=0.0, seed=7),
        Case(f64[()], Within(u64[()], 2, 3), rate=0.9, seed=7),
    )
    rejects = (
        Reject(f32[2], u64[()], rate=1.0, seed=0, message="at least 0 and below 1, got 1.0"),
        Reject(f32[2], u64[()], rate=-0.1, seed=0, message="at least 0 and below 1, got -0.1"),
        Reject(f32[2], u64[()], rate=float("nan"), seed=0, message="below 1, got nan"),
        Reject(i32[2], u64[()], rate=0.5, seed=0, message="needs a floating input, got i32[2]"),
        Reject(f32[2], i64[()], rate=0.5, seed=0, message="must be u64[], got i64[]"),
        Reject(f32[2], u64[()], rate=0.5, seed=-1, message="the seed must be a whole number"),
    )


@builder
def dropout(x: TensorLike, rate: float, counter: TensorLike, seed: int) -> Tensor:
    """`x` with a random share `rate` of its elements set to 0, the others scaled; see `Dropout`.

    counter: a scalar, cast to uint64, that differs at each step
    """
    return Dropout(rate, seed)(as_floating(x), as_tensor(counter, uint64))
