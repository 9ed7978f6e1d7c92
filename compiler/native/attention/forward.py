"""The kernel that attends: a tile is a panel of queries of one head.

It goes over the keys block by block. Of each query it keeps the largest score so far, the sum of
the weights, which are powers of the distances from it, and the sum of the values by weight; where
a larger score comes, both sums are scaled down. Blocks that no query of the panel attends to are
left out.
"""

from __future__ import annotations

import math

from graphwright.compiler.native.attention.problem import Problem
from graphwright.compiler.native.attention.scores import LOG2_E, Scores
from graphwright.compiler.native.attention.tiles import Sizes, Tiles
from graphwright.compiler.native.contraction.packing import vector_loop
from graphwright.compiler.native.contraction.product import Place
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.kernel import Context, Frame, Kernel, kernel_function
from graphwright.compiler.native.values import Pointer, Value
from graphwright.graph.dim import Size, ceildiv, product
from graphwright.ops.attention_forward import AttentionForward

BLOCK = 128
"""Keys whose scores are there at once: with a panel of queries, about the first-level cache."""
PICOSECONDS = 14
"""What a multiplication and an addition take on one core, about."""
POWER = 500
"""What a score takes on top, for adjusting it and for its power."""


@generates(AttentionForward)
def attention_forward(
    op: AttentionForward, inputs: Operands, outputs: Operands, context: Context
) -> Kernels:
    """One kernel."""
    query, key, value, *mask = inputs
    problem = Problem.of(op, query, key, value)
    rows = {
        "query": problem.of_queries(query),
        "key": problem.of_keys(key),
        "value": problem.of_keys(value),
        "out": problem.of_queries(outputs[0]),
        "sums": problem.of_numbers(outputs[1]),
    }
    if mask:
        rows["mask"] = problem.of_mask(mask[0])
    module = context.module()
    with kernel_function(module) as frame:
        work = _Forward(frame, Tiles(frame, problem, rows))
        work.write()
    return [
        Kernel(
            name="attention",
            text=module.text,
            arguments=frame.arguments.slots,
            tiles=product(problem.heads) * problem.groups * work.t.panel_count,
            work=work_of(problem, problem.features + problem.width),
            scratch=work.t.scratch * problem.dtype.itemsize,
        )
    ]


def work_of(problem: Problem, depth: Size) -> Size:
    """Picoseconds, for products of so many features for each score."""
    scores = product(problem.heads) * problem.groups * problem.queries * problem.keys
    each = depth * PICOSECONDS + POWER
    return scores * each if problem.op.causal == "no" else ceildiv(scores * each, 2)


class _Forward:
    """Writes the kernel.

    largest, sums: for each query of a panel, as yet
    shrink:        for each, by how much what was summed before the block is scaled down
    means:         a row for each query, times its sum
    """

    def __init__(self, frame: Frame, tiles: Tiles) -> None:
        self.frame = frame
        self.b = frame.b
        self.t = t = tiles
        self.scores = Scores(tiles, BLOCK, with_slopes=False)
        self.largest, self.sums, self.shrink = (t.take(t.line) for _ in range(3))
        self.means = t.take_rows(t.line, t.problem.width)
        self.in_place = t.readable("value", t.problem.width)
        self.values = self.means if self.in_place else t.take_rows(BLOCK, t.problem.width)

    def write(self) -> None:
        b, t = self.b, self.t
        with b.loop(self.frame.first, self.frame.last, name="tile") as tile:
            b.comment("the panel of queries, the head of the query among those that share keys")
            head = tile / t.panels.count
            first, queries = t.panels.bounds(b.remainder(tile, t.panels.count))
            at = t.head(head / t.groups, b.remainder(head, t.groups))
            self.scores.take_queries(at["query"].at(b, first, 0), queries)
            last = t.last_key(first, queries)
            self._start(last, queries)
            with b.loop(0, last, BLOCK, name="block") as key:
                keys = b.intrinsic("smin", last - key, BLOCK)
                self._block(at, key, keys, first, queries)
            self._finish(at["out"].at(b, first, 0), at["sums"].at(b, first, 0), queries)

    def _start(self, last: Value, queries: Value) -> None:
        b, t = self.b, self.t
        nothing = b.constant(0, t.dtype, t.lanes)
        t.store(self.sums, [nothing] * t.vectors)
        t.store(self.largest, [nothing.like(-math.inf)] * t.vectors)
        with b.when(last.equals(0), "nothing"):
            t.clear(self.means, queries)

    def _block(
        self, at: dict[str, Place], key: Value, keys: Value, first: Value, queries: Value
    ) -> None:
        b, t = self.b, self.t
        mask = at["mask"].at(b, first, key) if "mask" in at else None
        self.scores.compute(at["key"].at(b, key, 0), mask, key, keys, first, queries)
        self._weigh(keys)
        value = at["value"].at(b, key, 0)
        if not self.in_place:
            value = t.copy(value, self.values, keys, t.width)
        tile = self.scores.tile
        weights, sizes = Place(tile.pointer, b.index(1), tile.row), Sizes(queries, t.width, keys)
        b.comment("add the values by weight to what was summed before, scaled down")
        with b.when(key.equals(0), "first"):
            t.multiply(weights, value, self.means, sizes, adds=False)
        with b.when(key > 0, "later"):
            self._scale(self.means, self.shrink, queries)
            t.multiply(weights, value, self.means, sizes, adds=True)

    def _scale(self, rows: Place, factors: Pointer, queries: Value) -> None:
        """Multiply each query's row by a number."""
        b, t = self.b, self.t
        with b.loop(0, queries, name="query") as query:
            factor = b.splat(b.load(factors, query), t.lanes)
            line = rows.at(b, query, 0)
            with b.loop(0, rows.row, t.lanes, name="vector") as i:
                b.store(line.pointer, i, b.load(line.pointer, i, t.lanes) * factor)

    def _weigh(self, keys: Value) -> None:
        """Make weights of the scores; bring the sums of them up to date."""
        b, t = self.b, self.t
        tile = self.scores.tile.pointer
        b.comment("the largest score of each query")
        before = t.load(self.largest)
        largest = [b.variable(x) for x in before]
        with t.each_vector(keys) as (_, places):
            for place, most in zip(places, largest, strict=True):
                score = b.load(tile, place, t.lanes)
                most.value = b.select(score > most.value, score, most.value)
        t.store(self.largest, [most.value for most in largest])
        # Without any key yet, the distance from -inf would be nan.
        origins = [b.select(x.value > -math.inf, x.value, 0.0) for x in largest]
        shrink = [b.call("exp2", x - y) for x, y in zip(before, origins, strict=True)]
        t.store(self.shrink, shrink)
        b.comment("weights, and their sums")
        known = zip(t.load(self.sums), shrink, strict=True)
        sums = [b.variable(x * factor) for x, factor in known]
        with t.each_vector(keys) as (_, places):
            for place, origin, total in zip(places, origins, sums, strict=True):
                weight = b.call("exp2", b.load(tile, place, t.lanes) - origin)
                b.store(tile, place, weight)
                total.value = total.value + weight
        t.store(self.sums, [total.value for total in sums])

    def _finish(self, out: Place, sums: Place, queries: Value) -> None:
        """Write the means, and the logarithms of the sums."""
        b, t = self.b, self.t
        totals, largest = t.load(self.sums), t.load(self.largest)
        b.comment("the means: 0 for a query without keys")
        t.store(self.shrink, [b.select(x.equals(0.0), 0.0, 1.0 / x) for x in totals])
        with b.loop(0, queries, name="query") as query:
            factor = b.load(self.shrink, query)
            line, goal = self.means.at(b, query, 0), out.at(b, query, 0)
            for i, lanes, mask in vector_loop(b, t.width, t.lanes, t.dtype):
                mean = b.load(line.pointer, i, lanes, mask=mask) * factor
                b.store(goal.pointer, i * goal.column, mean, stride=goal.column, mask=mask)
        logarithms = [
            (most + b.call("log2", total)) * (1 / LOG2_E)
            for most, total in zip(largest, totals, strict=True)
        ]
        t.store(self.sums, logarithms)
        self._write_numbers(self.sums, sums, queries)

    def _write_numbers(self, numbers: Pointer, goal: Place, queries: Value) -> None:
        b = self.b
        with b.loop(0, queries, name="query") as query:
            b.store(goal.at(b, query, 0).pointer, 0, b.load(numbers, query))
