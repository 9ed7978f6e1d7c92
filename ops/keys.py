"""Keys, from which random numbers follow: made of seeds, and of other keys."""

from __future__ import annotations

import threading

import numpy as np

from graphwright.graph.dim import Dim, Size
from graphwright.graph.dtype import is_integer, short_name, uint64
from graphwright.graph.errors import AttributeValueError, DTypeError
from graphwright.graph.operator import register
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, f32, u64
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.creation import arange
from graphwright.ops.joining import stack
from graphwright.ops.movement import broadcast_to, expand_dims
from graphwright.ops.philox import RandomFoldIn, Words, check_key, derived_keys
from graphwright.ops.shapes import broadcast


@register
class RandomSplit(Composite):
    """Keys made of one key, all different: what `random_fold_in` makes of it and 0, 1, 2 and on.

    key: u64[..., 2]
    out: u64[..., count, 2]
    """

    name = "random_split"
    differentiable = False

    count: Size

    def infer(self, key: TensorType) -> TensorType:
        check_key(key)
        if isinstance(self.count, int) and self.count < 0:
            raise AttributeValueError(f"the count can't be negative, got {self.count}")
        return key.with_shape((*key.shape[:-1], self.count, 2))

    def decompose(self, key: Tensor) -> Tensor:
        return RandomFoldIn()(expand_dims(key, -2), arange(self.count, dtype=uint64))

    cases = (
        Case(Within(u64[2], 0, 2**63), count=3),
        Case(Within(u64["n", 2], 0, 2**63), count=2),
        Case(u64[2, 3, 2], count=1),
        Case(u64[2], count=0),
    )
    rejects = (
        Reject(u64[2], count=-1, message="the count can't be negative, got -1"),
        Reject(f32[2], count=2, message="a key is u64[...,2], got f32[2]"),
    )


@builder
def random_key(seed: TensorLike | None = None, stream: TensorLike = 0) -> Tensor:
    """A key: u64[..., 2], the words `seed` and `stream`.

    seed:   a whole number from 0 to 2⁶⁴ - 1, or an integer tensor; None takes the next key of the
            process, a different one each time (see `gw.random.seed`)
    stream: the same; keys of one seed and different streams give unrelated numbers

    Raises AttributeValueError for another number, DTypeError for a tensor of others.
    """
    if seed is None:
        return as_tensor(next_key())
    words = _word(seed, "seed"), _word(stream, "stream")
    if not any(isinstance(word, Tensor) for word in words):
        return as_tensor(np.array(words, uint64))
    columns = [as_tensor(word, uint64) for word in words]
    shape = broadcast(*(column.shape for column in columns))
    return stack([broadcast_to(column, shape) for column in columns], -1)


@builder
def random_fold_in(key: TensorLike, data: TensorLike) -> Tensor:
    """The key that the whole number `data` makes of `key`; see `RandomFoldIn`.

    key:  u64[..., 2]
    data: a number or an integer tensor, taken modulo 2⁶³; it broadcasts against an array of keys

    A key is used once: for numbers, to be split, or to fold numbers in, since split(key, n)[i] is
    fold_in(key, i).
    """
    if isinstance(data, int) and not isinstance(data, bool):
        data = np.uint64(data % 2**63)
    return RandomFoldIn()(as_tensor(key), as_tensor(_whole(data, "data"), uint64))


@builder
def random_split(key: TensorLike, count: Size = 2) -> Tensor:
    """`count` keys made of `key`: u64[..., count, 2], to be indexed for each; see `RandomSplit`."""
    return RandomSplit(count)(as_tensor(key))


def _word(value: TensorLike, what: str) -> TensorLike:
    """A seed or stream: a checked number, or an integer tensor."""
    if isinstance(value, Tensor | np.ndarray | Dim | list):
        return _whole(value, what)
    return np.uint64(check_seed(value, what))


def _whole(value: TensorLike, what: str) -> Tensor:
    tensor = as_tensor(value)
    if not is_integer(tensor.dtype):
        raise DTypeError(
            f"the {what} must be a whole number, got {short_name(tensor.dtype)}",
            hint="convert it with .astype(gw.uint64)",
        )
    return tensor


def check_seed(seed: object, what: str = "seed") -> int:
    """`seed` as an int. Raises AttributeValueError unless it is one from 0 to 2⁶⁴ - 1."""
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        number = int(seed)
        if 0 <= number < 2**64:
            return number
    raise AttributeValueError(f"the {what} must be a whole number from 0 to 2⁶⁴ - 1, got {seed!r}")


class Source:
    """Keys in a row, all made of one seed: safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.restart(0)

    def restart(self, seed: int) -> None:
        """Begin again, from `seed`."""
        with self._lock:
            self.seed, self._count = seed, 0

    def next(self) -> Words:
        """The next key: two words."""
        with self._lock:
            seed, count = self.seed, self._count
            self._count += 1
        keys = derived_keys(np.array([[seed, 0]], np.uint64), np.array([count], np.uint64))
        return keys.reshape(2)


_source = Source()


def seed(value: int) -> None:
    """Begin again the process's row of keys, from which everything without a seed is drawn.

    These are keys and initial values, in the order in which they are asked for, so that a program
    that starts with `gw.random.seed(n)` gives the same bits each time; modules without a seed take
    `n` itself. Until it is called, `n` is 0.

    Raises AttributeValueError unless `value` is a whole number from 0 to 2⁶⁴ - 1.
    """
    try:
        _source.restart(check_seed(value))
    except AttributeValueError as error:
        error.source = here()
        raise


def process_seed() -> int:
    """What `seed` was last called with; 0 before."""
    return _source.seed


def next_key() -> Words:
    """The next key of the process, as an array of two words."""
    return _source.next()


def next_seed() -> int:
    """The next seed of the process: 63 random bits."""
    return int(next_key()[0]) >> 1
