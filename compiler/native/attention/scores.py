"""The scores of a block of keys for a panel of queries, a row for each key.

They are in units of log 2, as powers of 2 are what is quick to compute. What does not count is
-inf. They come as a product, and are adjusted then: capped, masked, cut off at the diagonal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphwright.compiler.native.attention.tiles import Sizes, Tiles
from graphwright.compiler.native.contraction.packing import Packing, pack_lines, pack_transposed
from graphwright.compiler.native.contraction.product import Place
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.values import Value
from graphwright.graph.dtype import int32

LOG2_E = 1 / math.log(2)


class Scores:
    """Makes them.

    tile:   where the last ones are
    slopes: with a cap, by how much each score grows with the product; None without
    """

    def __init__(self, tiles: Tiles, block: int, with_slopes: bool) -> None:
        self.t = tiles
        self.b = tiles.b
        problem = tiles.problem
        self.softcap = problem.op.softcap
        self.causal = problem.op.causal != "no"
        self.queries = tiles.take_tile(tiles.padded(problem.features))
        self.tile = tiles.take_tile(block)
        self.slopes = tiles.take_tile(block) if with_slopes and self.softcap else None
        self.mask = tiles.take_tile(block) if "mask" in tiles.rows else None

    def scale(self) -> Value:
        """What products of queries and keys are multiplied by."""
        b, problem = self.b, self.t.problem
        if problem.scale is not None:
            return b.constant(problem.scale, problem.dtype)
        features = b.convert(b.intrinsic("smax", self.t.features, 1), problem.dtype)
        return b.constant(1, problem.dtype) / b.intrinsic("sqrt", features)

    def take_queries(self, query: Place, count: Value) -> None:
        """Have the queries of a panel ready, scaled."""
        t = self.t
        t.transpose(query, self.queries, t.features, count)
        scale = self.scale() * (1 / self.softcap if self.softcap else LOG2_E)
        with t.each_vector(t.features) as (_, places):
            for place in places:
                x = self.b.load(self.queries.pointer, place, t.lanes)
                self.b.store(self.queries.pointer, place, x * scale)

    def compute(
        self,
        key: Place,
        mask: Place | None,
        first: Value,
        keys: Value,
        query: Value,
        queries: Value,
    ) -> None:
        """Make the tile.

        key:     the first of so many keys, whose number is `first`
        mask:    that of these keys for the panel's first query
        query:   the number of that, of so many
        """
        t, b = self.t, self.b
        b.comment("scores: keys by queries")
        t.multiply(key, self.queries, self.tile, Sizes(keys, queries, t.features), adds=False)
        if self.softcap:
            self._cap(keys)
        if mask is not None:
            self._add_mask(mask, keys, queries)
        if self.causal:
            last = first + keys - 1
            with b.when(last > query + t.reach, "diagonal"):
                self._cut(keys, first, query)

    def _cap(self, keys: Value) -> None:
        """softcap · tanh(score / softcap)"""
        b, t = self.b, self.t
        with t.each_vector(keys) as (_, places):
            for place in places:
                share = b.call("tanh", b.load(self.tile.pointer, place, t.lanes))
                b.store(self.tile.pointer, place, share * (self.softcap * LOG2_E))
                if self.slopes is not None:
                    b.store(self.slopes.pointer, place, 1.0 - share * share)

    def _add_mask(self, mask: Place, keys: Value, queries: Value) -> None:
        """Add the mask; where it forbids, -inf, whatever the score is."""
        b, t, goal = self.b, self.t, self.mask
        assert goal is not None
        b.comment("the mask: keys by queries")
        step = 0 if t.rows["mask"].row == 0 else mask.row
        turned = Place(mask.pointer, b.index(mask.column), step)
        packing = Packing((turned,), self._added, goal, keys, queries)
        if isinstance(mask.column, int) and mask.column == 1 and isinstance(step, Value):
            pack_transposed(b, packing)
        else:
            pack_lines(b, packing)
        with t.each_vector(keys) as (_, places):
            for place in places:
                more = b.load(goal.pointer, place, t.lanes)
                score = b.load(self.tile.pointer, place, t.lanes) + more
                b.store(self.tile.pointer, place, b.select(more > -math.inf, score, more))

    def _added(self, b: Builder, values: Sequence[Value]) -> Value:
        """What an element of the mask adds to a score."""
        [mask] = values
        if mask.floating:
            return mask * LOG2_E
        nothing = b.constant(0, self.t.dtype, mask.lanes)
        return b.select(mask, nothing, nothing.like(-math.inf))

    def _cut(self, keys: Value, first: Value, query: Value) -> None:
        """What lies after the last key that a query attends to is -inf."""
        b, t = self.b, self.t
        reach = b.convert(query + t.reach, int32)
        limits = [b.lane_numbers(t.lanes, int32) + (reach + v * t.lanes) for v in range(t.vectors)]
        with t.each_vector(keys) as (row, places):
            key = b.convert(first + row, int32)
            for place, limit in zip(places, limits, strict=True):
                score = b.load(self.tile.pointer, place, t.lanes)
                kept = b.select(limit >= key, score, -math.inf)
                b.store(self.tile.pointer, place, kept)
