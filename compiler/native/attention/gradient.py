"""The kernels of attention's gradients.

A tile is a part of the keys of one head. It goes over the panels of queries, and for each over the
blocks of its keys: the weights are made again, of the scores and the known logarithms of their
sums, and so are the gradients of the scores. Both are multiplied with what lies at hand, which
gives a share of each gradient:

    d value += weightsᵀ gradient        d key += d scoresᵀ query        d query += d scores key

Where there are heads enough to share, a part is all keys, and the gradient of a panel's queries is
complete when it has gone over them. Otherwise each part keeps what it found apart, and a second
kernel adds up what the parts found, in order. How many parts there are depends on sizes alone.
"""

from __future__ import annotations

import math

from graphwright.compiler.native.attention.forward import PICOSECONDS, work_of
from graphwright.compiler.native.attention.problem import Problem, Rows
from graphwright.compiler.native.attention.scores import LOG2_E, Scores
from graphwright.compiler.native.attention.tiles import Sizes, Tiles
from graphwright.compiler.native.contraction.grid import share
from graphwright.compiler.native.contraction.packing import vector_loop
from graphwright.compiler.native.contraction.product import Place
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.kernel import (
    Context,
    Frame,
    Kernel,
    Shared,
    kernel_function,
)
from graphwright.compiler.native.values import Value
from graphwright.graph.dim import Size, ceildiv, maximum, minimum, product
from graphwright.ops.attention_gradient import AttentionGradient

BLOCK = 64
"""Keys whose scores, and their gradients, are there at once."""
_TILES = 16  # as many as there should be, if there are keys enough
_LEAST_KEYS = 128  # fewer do not make a part
_ROWS = 64  # queries of a tile of the second kernel


@generates(AttentionGradient)
def attention_gradient(
    op: AttentionGradient, inputs: Operands, outputs: Operands, context: Context
) -> Kernels:
    """One kernel, and one that adds up."""
    query, key, value, out, sums, gradient, *mask = inputs
    problem = Problem.of(op, query, key, value)
    rows = {
        "query": problem.of_queries(query),
        "key": problem.of_keys(key),
        "value": problem.of_keys(value),
        "out": problem.of_queries(out),
        "sums": problem.of_numbers(sums),
        "gradient": problem.of_queries(gradient),
        "to_query": problem.of_queries(outputs[0]),
        "to_key": problem.of_keys(outputs[1]),
        "to_value": problem.of_keys(outputs[2]),
    }
    if mask:
        rows["mask"] = problem.of_mask(mask[0])
    heads = product(problem.heads)
    parts = _parts(problem)
    shared: Size = 0
    if parts != 1:
        shared = parts * heads * problem.groups * problem.queries * problem.features
    nbytes = shared * problem.dtype.itemsize
    module = context.module()
    with kernel_function(module) as frame:
        tiles = Tiles(frame, problem, rows)
        _Gradient(frame, tiles, parts).write()
    kernel = Kernel(
        name="attention gradient",
        text=module.text,
        arguments=frame.arguments.slots,
        tiles=heads * parts,
        work=work_of(problem, 3 * problem.features + 2 * problem.width),
        scratch=tiles.scratch * problem.dtype.itemsize,
        shared=nbytes,
    )
    if parts == 1:
        return [kernel]
    return [kernel, _adding_up(problem, rows["to_query"], parts, nbytes, context)]


def _parts(problem: Problem) -> Size:
    """Into how many parts the keys of a head are cut."""
    wanted = ceildiv(_TILES, maximum(product(problem.heads), 1))
    return maximum(minimum(wanted, ceildiv(problem.keys, _LEAST_KEYS)), 1)


class _Gradient:
    """Writes the first kernel.

    upward, out:   the gradient and the result of a panel, with a lane for each query
    weights:       of a block of keys; `Scores.tile` becomes them
    slopes:        the gradient of a block's weights, then of its scores
    inner:         for each query, the product of its result and the gradient of that
    sums:          for each, the logarithm of the sum of its weights
    to_query …:    the gradients in the making
    """

    def __init__(self, frame: Frame, tiles: Tiles, parts: Size) -> None:
        self.frame = frame
        self.b = frame.b
        self.t = t = tiles
        self.parts = parts
        problem = t.problem
        self.part_count = frame.arguments.value(parts)
        self.scores = Scores(tiles, BLOCK, with_slopes=True)
        self.upward = t.take_tile(t.padded(problem.width))
        self.out = t.take_tile(t.padded(problem.width))
        self.slopes = t.take_tile(BLOCK)
        self.inner, self.sums = t.take(t.line), t.take(t.line)
        self.to_query = t.take_rows(t.line, problem.features)
        self.copies = {
            name: t.take_rows(count, length)
            for name, count, length in (
                ("query", t.line, problem.features),
                ("gradient", t.line, problem.width),
                ("key", BLOCK, problem.features),
            )
            if not t.readable(name, length)
        }
        longest = problem.keys if parts == 1 else BLOCK + ceildiv(problem.keys, parts)
        self.to_key = t.take_rows(longest, problem.features)
        self.to_value = t.take_rows(longest, problem.width)

    def write(self) -> None:
        b, t = self.b, self.t
        blocks = (t.keys + (BLOCK - 1)) / BLOCK
        with b.loop(self.frame.first, self.frame.last, name="tile") as tile:
            b.comment("the head of the keys, and which of these")
            head, part = tile / self.part_count, b.remainder(tile, self.part_count)
            first, stop = (x * BLOCK for x in share(part, self.part_count, blocks))
            last = b.intrinsic("smin", stop, t.keys)
            t.clear(self.to_key, last - first)
            t.clear(self.to_value, last - first)
            with b.loop(0, t.groups, name="group") as group:
                at = t.head(head, group)
                with b.loop(0, t.panels.count, name="panel") as number:
                    query, queries = t.panels.bounds(number)
                    t.clear(self.to_query, queries)
                    end = b.intrinsic("smin", t.last_key(query, queries), last)
                    with b.when(end > first, "some"):
                        self._panel(at, query, queries, first, end)
                    own = head * t.groups + group
                    self._write_to_query(at["to_query"], own, part, query, queries)
            at = t.head(head, 0)
            keys = last - first
            self._write(self.to_key, at["to_key"].at(b, first, 0), keys, t.features, True)
            self._write(self.to_value, at["to_value"].at(b, first, 0), keys, t.width, False)

    def _panel(
        self, at: dict[str, Place], query: Value, queries: Value, first: Value, end: Value
    ) -> None:
        """The gradients of a panel's queries, by the keys from `first` to `end`."""
        b, t = self.b, self.t
        own = {name: at[name].at(b, query, 0) for name in ("query", "gradient", "out", "sums")}
        self.scores.take_queries(own["query"], queries)
        t.transpose(own["gradient"], self.upward, t.width, queries)
        t.transpose(own["out"], self.out, t.width, queries)
        self._multiply_out()
        self._take_sums(own["sums"], queries)
        for name, length in (("query", t.features), ("gradient", t.width)):
            if name in self.copies:
                own[name] = t.copy(own[name], self.copies[name], queries, length)
        with b.loop(first, end, BLOCK, name="block") as key:
            keys = b.intrinsic("smin", end - key, BLOCK)
            mask = at["mask"].at(b, query, key) if "mask" in at else None
            rows = at["key"].at(b, key, 0)
            self.scores.compute(rows, mask, key, keys, query, queries)
            b.comment("the gradient of the weights")
            value, upward = at["value"].at(b, key, 0), Sizes(keys, queries, t.width)
            t.multiply(value, self.upward, self.slopes, upward, adds=False)
            self._weigh(keys)
            if "key" in self.copies:
                rows = t.copy(rows, self.copies["key"], keys, t.features)
            self._add(own, rows, key - first, keys, queries)

    def _add(
        self, own: dict[str, Place], rows: Place, key: Value, keys: Value, queries: Value
    ) -> None:
        """Add a block's share to all gradients."""
        b, t = self.b, self.t
        weights, slopes = self.scores.tile, self.slopes
        b.comment("shares of the gradients of value, key and query")
        to_value, to_key = self.to_value.at(b, key, 0), self.to_key.at(b, key, 0)
        t.multiply(weights, own["gradient"], to_value, Sizes(keys, t.width, queries), adds=True)
        t.multiply(slopes, own["query"], to_key, Sizes(keys, t.features, queries), adds=True)
        by_query = Place(slopes.pointer, b.index(1), slopes.row)
        t.multiply(by_query, rows, self.to_query, Sizes(queries, t.features, keys), adds=True)

    def _multiply_out(self) -> None:
        b, t = self.b, self.t
        b.comment("of each query, the product of its result and the gradient of that")
        totals = [b.variable(b.constant(0, t.dtype, t.lanes)) for _ in range(t.vectors)]
        with t.each_vector(t.width) as (_, places):
            for place, total in zip(places, totals, strict=True):
                x = b.load(self.upward.pointer, place, t.lanes)
                y = b.load(self.out.pointer, place, t.lanes)
                total.value = b.multiply_add(x, y, total.value)
        t.store(self.inner, [total.value for total in totals])

    def _take_sums(self, sums: Place, queries: Value) -> None:
        b = self.b
        b.comment("logarithms of the sums; inf for a query without keys, so that its weights are 0")
        with b.loop(0, queries, name="query") as query:
            known = b.load(sums.at(b, query, 0).pointer, 0) * LOG2_E
            b.store(self.sums, query, b.select(known > -math.inf, known, math.inf))

    def _weigh(self, keys: Value) -> None:
        """Make weights of the scores, and gradients of the scores of those of the weights."""
        b, t = self.b, self.t
        inner, sums = t.load(self.inner), t.load(self.sums)
        slope_of_cap = self.scores.slopes
        with t.each_vector(keys) as (_, places):
            for v, place in enumerate(places):
                score = b.load(self.scores.tile.pointer, place, t.lanes)
                weight = b.call("exp2", score - sums[v])
                b.store(self.scores.tile.pointer, place, weight)
                slope = b.load(self.slopes.pointer, place, t.lanes)
                slope = (slope - inner[v]) * weight
                if slope_of_cap is not None:
                    slope = slope * b.load(slope_of_cap.pointer, place, t.lanes)
                b.store(self.slopes.pointer, place, slope)

    def _write_to_query(
        self, place: Place, head: Value, part: Value, query: Value, queries: Value
    ) -> None:
        """Write the gradient of a panel's queries to its place, or to the part's own memory.

        head: its number among those of the query
        """
        b, t = self.b, self.t
        with b.when(self.part_count.equals(1), "whole"):
            self._write(self.to_query, place.at(b, query, 0), queries, t.features, True)
        if self.parts == 1:
            return
        with b.when(self.part_count > 1, "part"):
            apart = _apart(self.frame, t, part, head)
            self._write(self.to_query, apart.at(b, query, 0), queries, t.features, True)

    def _write(self, rows: Place, goal: Place, count: Value, length: Value, scaled: bool) -> None:
        """Write rows to their place, `scaled` if they are to be."""
        b, t = self.b, self.t
        scale = self.scores.scale() if scaled else None
        with b.loop(0, count, name="row") as row:
            line, to = rows.at(b, row, 0), goal.at(b, row, 0)
            for i, lanes, mask in vector_loop(b, length, t.lanes, t.dtype):
                x = b.load(line.pointer, i, lanes, mask=mask)
                x = x if scale is None else x * scale
                b.store(to.pointer, i * to.column, x, stride=to.column, mask=mask)


def _apart(frame: Frame, t: Tiles, part: Value, head: Value) -> Place:
    """Where a part keeps the gradient of the queries of a head: rows that follow one another."""
    heads = frame.arguments.value(product(t.problem.heads) * t.problem.groups)
    memory = frame.arguments.pointer(Shared(), t.dtype)
    start = (part * heads + head) * t.queries * t.features
    return Place(t.b.shifted(memory, start), t.features, 1)


def _adding_up(problem: Problem, goal: Rows, parts: Size, shared: Size, context: Context) -> Kernel:
    """The second kernel: none of its tiles is left where there is one part."""
    module = context.module()
    with kernel_function(module) as frame:
        tiles = Tiles(frame, problem, {"to_query": goal})
        _add_up(frame, tiles, parts)
    blocks = product(problem.heads) * problem.groups * ceildiv(problem.queries, _ROWS)
    return Kernel(
        name="attention gradient: parts added up",
        text=module.text,
        arguments=frame.arguments.slots,
        tiles=minimum(parts - 1, 1) * blocks,
        work=blocks * _ROWS * problem.features * parts * PICOSECONDS,
        shared=shared,
    )


def _add_up(frame: Frame, t: Tiles, parts: Size) -> None:
    b, blocks = frame.b, (t.queries + (_ROWS - 1)) / _ROWS
    count = frame.arguments.value(parts)
    with b.loop(frame.first, frame.last, name="tile") as tile:
        own, first = tile / blocks, b.remainder(tile, blocks) * _ROWS
        at = t.head(own / t.groups, b.remainder(own, t.groups))
        start = _apart(frame, t, b.index(0), own)
        step = frame.arguments.value(
            product(t.problem.heads) * t.problem.groups * t.problem.queries * t.problem.features
        )
        stop = b.intrinsic("smin", first + _ROWS, t.queries)
        with b.loop(first, stop, name="query") as query:
            source, goal = start.at(b, query, 0).pointer, at["to_query"].at(b, query, 0)
            for i, lanes, mask in vector_loop(b, t.features, t.lanes, t.dtype):
                total = b.variable(b.load(source, i, lanes, mask=mask))
                with b.loop(1, count, name="part") as part:
                    total.value = total.value + b.load(source, part * step + i, lanes, mask=mask)
                b.store(goal.pointer, i * goal.column, total.value, stride=goal.column, mask=mask)
