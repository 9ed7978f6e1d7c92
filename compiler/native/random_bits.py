"""Random bits, and keys made of keys, by Philox 4x32-10 (see `graphwright.ops.philox`).

Each lane is a block: four words in four vectors, which are interleaved on their way to memory. The
words are held in 64 bits, as products of two are needed; what is above the lower 32 is left there
and not looked at. All is whole numbers: the bits are those of the NumPy kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Context, Frame, Kernel, kernel_function
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.transpose import interleaved
from graphwright.compiler.native.traversal import (
    TILE_BYTES,
    Space,
    Strides,
    Tiling,
    along,
    merged,
    rows_of,
)
from graphwright.compiler.native.types import register_type
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dim import product
from graphwright.graph.dtype import DType, uint32, uint64
from graphwright.graph.placement import dense_placement
from graphwright.graph.types import Shape
from graphwright.ops.philox import RandomBits, RandomFoldIn

Words: TypeAlias = Sequence[Value]

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85  # added to the key from round to round
_ROUNDS = 10
_LOW = 0xFFFFFFFF
_KEYS = 1 << 31  # in the upper half of a block's number: the block is a key
_PICOSECONDS = 400  # for each word


@generates(RandomBits)
def random_bits(op: RandomBits, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """Blocks from 0 on, for each key."""
    (key,), (out,) = inputs, outputs
    if not out.dense:
        return "the output is not dense"
    count = product(op.shape)
    shape = (*key.shape[:-1], count)
    space = Space(shape, (dense_placement(shape).strides, (*key.strides[:-1], 0)))
    tiling = Tiling.of(space, TILE_BYTES // op.dtype.itemsize)
    module = context.module()
    with kernel_function(module) as frame:
        b, numbers = frame.b, out.pointer(frame.arguments)
        keys = _Keys(frame, key)
        lanes = 2 * b.module.target.vector_bytes // op.dtype.itemsize
        with rows_of(frame, tiling) as row:
            seed, stream = keys.at(row.offsets[1])
            rounds = _rounds(seed)
            start = b.shifted(numbers, row.offsets[0])

            def write(i: Index, lanes: int, mask: Value | None) -> None:
                place = b.typed(b.index(row.start) + i, uint64)
                numbers = _numbers(b, op.dtype, place, stream, rounds, lanes)
                b.store(start, i, numbers, mask=mask)

            along(b, row.length, lanes, write)
    work = out.type.size * (out.type.dtype.itemsize // 4) * _PICOSECONDS
    return [Kernel(op.name, module.text, frame.arguments.slots, tiling.tiles, work)]


@generates(RandomFoldIn)
def random_fold_in(
    op: RandomFoldIn, inputs: Operands, outputs: Operands, context: Context
) -> Kernels:
    """One block for each pair of a key and a number."""
    (key, data), (out,) = inputs, outputs
    shape = out.shape[:-1]
    space = merged(
        shape,
        out.strides[:-1],
        _broadcast(key.shape[:-1], key.strides[:-1], len(shape)),
        _broadcast(data.shape, data.strides, len(shape)),
    )
    tiling = Tiling.of(space, TILE_BYTES // 16)
    module = context.module()
    with kernel_function(module) as frame:
        b, number = frame.b, frame.arguments.number
        keys, goal = _Keys(frame, key), out.pointer(frame.arguments)
        values, second = data.pointer(frame.arguments), number(out.strides[-1])
        steps = [number(step) for step in space.steps]
        with rows_of(frame, tiling) as row, b.loop(0, row.length) as i:
            places = [o + i * step for o, step in zip(row.offsets, steps, strict=True)]
            seed, stream = keys.at(places[1])
            block = b.load(values, places[2])
            words = [block & _LOW, block >> 32 | _KEYS, stream & _LOW, stream >> 32]
            low, high = _pairs(_philox(words, _rounds(seed)))
            b.store(goal, places[0], low)
            b.store(goal, places[0] + second, high)
    work = 2 * out.type.size * _PICOSECONDS
    return [Kernel(op.name, module.text, frame.arguments.slots, tiling.tiles, work)]


def _broadcast(shape: Shape, strides: Strides, rank: int) -> Strides:
    """Strides in a shape of that rank: 0 along new axes and those of size 1."""
    kept = (0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True))
    return (*(0,) * (rank - len(shape)), *kept)


class _Keys:
    """Reads keys: two words each, the seed and the stream."""

    def __init__(self, frame: Frame, key: Operand) -> None:
        self._b = frame.b
        self._pointer: Pointer = key.pointer(frame.arguments)
        self._second = frame.arguments.number(key.strides[-1])

    def at(self, place: Index) -> tuple[Value, Value]:
        """The key whose first word is there."""
        second = self._b.index(place) + self._second
        return self._b.load(self._pointer, place), self._b.load(self._pointer, second)


def _rounds(seed: Value) -> list[tuple[Value, Value]]:
    """The key of each round."""
    low, high = seed & _LOW, seed >> 32
    return [((low + i * _WEYL[0]) & _LOW, (high + i * _WEYL[1]) & _LOW) for i in range(_ROUNDS)]


def _philox(words: Words, rounds: Sequence[tuple[Value, Value]]) -> list[Value]:
    """Four random words, least significant first, with nonsense above their lower 32 bits."""
    a, b, c, d = words
    for low, high in rounds:
        left, right = (a & _LOW) * _MULTIPLIERS[0], (c & _LOW) * _MULTIPLIERS[1]
        a, c = right >> 32 ^ b ^ low, left >> 32 ^ d ^ high
        b, d = right, left
    return [a, b, c, d]


def _pairs(words: Words) -> tuple[Value, Value]:
    """Two words in 64 bits, the first below the second, twice."""
    a, b, c, d = words
    return (a & _LOW) | b << 32, (c & _LOW) | d << 32


def _numbers(
    b: Builder,
    dtype: DType,
    place: Value,
    stream: Value,
    rounds: Sequence[tuple[Value, Value]],
    lanes: int,
) -> Value:
    """So many numbers of a key, from the one at a place (a whole block's first, if several) on."""
    each = 16 // dtype.itemsize
    blocks = max(lanes // each, 1)
    block = place / each + b.lane_numbers(blocks, uint64)
    words = [block, block >> 32, stream & _LOW, stream >> 32]
    found = _philox([b.splat(word, blocks) for word in words], rounds)
    if dtype == uint64:
        found = [found[1], found[0], found[3], found[2]]  # the upper half first
    low, high = _pairs(found)
    if lanes > 1:
        wide = interleaved(b, low, high)
        text = b.emit(f"bitcast {wide.type} {wide.text} to {register_type(dtype, lanes)}")
        return Value(b, text, dtype, lanes)
    within = b.remainder(place, each)
    if dtype == uint64:
        return b.select(within.equals(0), low, high)
    pair = b.select(within < 2, low, high)
    return b.convert(b.select(b.remainder(within, 2).equals(0), pair, pair >> 32), uint32)
