"""Put the operations in an order in which little memory is live at once.

before: a graph, in its own order, which is first all that the first result needs, and so on::

    graph(x: f32[n]) {
      %0: f32[n] = exp(x)
      %1: f32[10,n] = broadcast_to(x, shape=(10, n))
      %2: f32[10,n] = exp(%1)
      %3: f32[n] = sum(%2, axes=(0,), keepdims=False)
      %4: f32[n] = subtract(%0, %3)
      %5: f32[] = sum(%4, axes=(0,), keepdims=False)
      return %5
    }

after: the same graph with the order %1 %2 %3 %0 %4 %5, by which %0 and %2 are never live together.

Several orders are made, and the one of the lowest peak is taken, the graph's own among equals:

* the graph's own, and the same with the results taken from the last to the first;
* *costliest input first*: depth first, and of the inputs of an operation first the one that needs
  most memory beyond its result (Sethi and Ullman, "The Generation of Optimal Code for Arithmetic
  Expressions", 1970, exact on trees of equal sizes);
* *forward*: always the operation, of those that can run, that adds least to what is live;
* *backward*: the same from the results back to the inputs.

Sizes are symbolic: to compare orders, each named dimension counts as 64. What counts as live is
said in `storage.py`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from graphwright.compiler.log import Log
from graphwright.compiler.storage import Storage
from graphwright.graph.dim import Sizes, names_of
from graphwright.graph.graph import Graph, ancestors
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor

TYPICAL_SIZE = 64
"""What a named dimension counts as where a number is needed and none is given."""


@dataclass(frozen=True)
class Schedule:
    """Every operation of `graph` exactly once, each after those it needs."""

    graph: Graph
    order: tuple[Node, ...]


def schedule(graph: Graph, log: Log) -> Schedule:
    """An order of low peak memory. Logs what it saves over the graph's own order."""
    storage = Storage(graph, typical_sizes(graph))
    own = graph.operations
    orders: dict[str, Sequence[Node]] = {
        "last result first": _last_result_first(graph),
        "costliest input first": _costliest_input_first(storage),
        "forward": _forward(storage),
        "backward": _backward(storage),
    }
    before = storage.peak(own)
    peaks = {name: storage.peak(order) for name, order in orders.items()}
    best = min(peaks, key=peaks.__getitem__)
    sizes = ", ".join(f"{name}={size}" for name, size in storage.sizes.items())
    at = f" at {sizes}" if sizes else ""
    if peaks[best] >= before:
        log.declined("schedule", f"the graph's own order is best: peak {_text(before)}{at}", ())
        return Schedule(graph, _readers_first(graph, own, log))
    moved = [a for a, b in zip(own, orders[best], strict=True) if a is not b]
    what = f"{best}: peak {_text(before)} → {_text(peaks[best])}{at}"
    order = tuple(orders[best]) if log.applied("schedule", what, moved[:1]) else own
    return Schedule(graph, _readers_first(graph, order, log))


def _readers_first(graph: Graph, order: tuple[Node, ...], log: Log) -> tuple[Node, ...]:
    """The same order, but what gives a parameter its next value after what reads the present one.

    Then the next value can be written over the present one. Where that can't be, as when two
    parameters exchange their values, the order stays.
    """
    place = {node: i for i, node in enumerate(order)}
    waits: dict[Node, set[Node]] = {}
    for parameter, tensor in graph.updates.items():
        if tensor.node in place:
            readers = _readers(parameter, graph) & place.keys() - {tensor.node}
            waits.setdefault(tensor.node, set()).update(readers)
    late = [node for node, before in waits.items() if any(place[r] > place[node] for r in before)]
    what = f"{len(late)} updates of parameters wait for what reads them"
    if not late or not log.applied("readers_first", what, late[:1]):
        return order
    needed = {node: {t.node for t in node.inputs if t.node in place} for node in order}
    after: dict[Node, list[Node]] = {node: [] for node in order}
    for node in order:
        for other in needed[node] | waits.get(node, set()):
            after[other].append(node)
    done: dict[Node, None] = {}
    ready: list[int] = []
    early: list[int] = []  # what can run, but had better wait
    for node in order:
        if not needed[node]:
            heapq.heappush(early if waits.get(node) else ready, place[node])
    while ready or early:
        node = order[heapq.heappop(ready or early)]
        if node in done:
            continue
        done[node] = None
        for other in after[node]:
            if other not in done and needed[other] <= done.keys():
                waiting = not waits.get(other, set()) <= done.keys()
                heapq.heappush(early if waiting else ready, place[other])
    return tuple(done)


def _readers(tensor: Tensor, graph: Graph) -> set[Node]:
    """The operations that read a tensor's memory, by way of views too."""
    found: set[Node] = set()
    pending = [tensor]
    while pending:
        for node in graph.consumers.get(pending.pop(), ()):
            if node not in found:
                found.add(node)
                pending += node.outputs if node.op.view else ()
    return found


def typical_sizes(graph: Graph) -> dict[str, int]:
    """A number for every named dimension."""
    tensors = [*graph.inputs, *(t for node in graph.operations for t in node.outputs)]
    names = names_of(size for tensor in tensors for size in tensor.shape)
    return dict.fromkeys(sorted(names), TYPICAL_SIZE)


def peak(order: Sequence[Node], graph: Graph, sizes: Sizes) -> int:
    """The most bytes of computed values live at once when `graph` runs in this order."""
    return Storage(graph, sizes).peak(order)


# The orders.


def _last_result_first(graph: Graph) -> list[Node]:
    return [node for node in ancestors(reversed(graph.results)) if not node.op.leaf]


def _costliest_input_first(storage: Storage) -> list[Node]:
    """Depth first, the inputs in the order of what they need beyond their own size."""
    extra: dict[Node, int] = {}  # beyond its result's size
    ordered: dict[Node, list[Node]] = {}
    for node in storage.graph.operations:
        makers = dict.fromkeys(t.node for t in node.inputs if t.node in extra)
        ordered[node] = sorted(makers, key=extra.__getitem__, reverse=True)
        held = need = 0
        for maker in ordered[node]:
            size = sum(storage.nbytes[memory] for memory in storage.writes[maker])
            need = max(need, held + extra[maker] + size)
            held += size
        own = sum(storage.nbytes[memory] for memory in storage.writes[node])
        extra[node] = max(need, held + storage.running(node)) - own
    results = dict.fromkeys(t.node for t in storage.graph.results if t.node in extra)
    return _depth_first(sorted(results, key=extra.__getitem__, reverse=True), ordered)


def _depth_first(roots: Iterable[Node], needed: dict[Node, list[Node]]) -> list[Node]:
    order: list[Node] = []
    met: set[Node] = set()
    for root in roots:
        if root in met:
            continue
        met.add(root)
        stack = [(root, iter(needed[root]))]
        while stack:
            node, rest = stack[-1]
            for near in rest:
                if near not in met:
                    met.add(near)
                    stack.append((near, iter(needed[near])))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def _forward(storage: Storage) -> list[Node]:
    """List scheduling: next, of the operations that can run, the one that adds least."""
    number = {node: i for i, node in enumerate(storage.graph.operations)}
    remaining = [set(readers) for readers in storage.readers]

    def added(node: Node) -> int:
        new = sum(storage.nbytes[memory] for memory in storage.writes[node])
        last = (memory for memory in storage.reads[node] if len(remaining[memory]) == 1)
        return new - sum(storage.nbytes[memory] for memory in last)

    def run(node: Node) -> list[Node]:
        cheaper: list[Node] = []
        for memory in storage.reads[node]:
            remaining[memory].discard(node)
            if len(remaining[memory]) == 1:
                cheaper += remaining[memory]
        return cheaper

    needed = {node: [t.node for t in node.inputs if t.node in number] for node in number}
    return _listed(number, needed, added, run)


def _backward(storage: Storage) -> list[Node]:
    """The same in reverse: last, of the operations nobody waits for, the one that adds least."""
    number = {node: -i for i, node in enumerate(storage.graph.operations)}
    live: set[int] = set()

    def added(node: Node) -> int:
        new = sum(storage.nbytes[memory] for memory in storage.reads[node] if memory not in live)
        return new - sum(storage.nbytes[memory] for memory in storage.writes[node])

    def run(node: Node) -> list[Node]:
        born = [memory for memory in storage.reads[node] if memory not in live]
        live.update(born)
        return [reader for memory in born for reader in storage.readers[memory]]

    readers: dict[Node, list[Node]] = {node: [] for node in number}
    for node in number:
        for tensor in node.inputs:
            if tensor.node in number:
                readers[tensor.node].append(node)
    return _listed(number, readers, added, run)[::-1]


def _listed(
    number: dict[Node, int],
    needed: dict[Node, list[Node]],
    added: Callable[[Node], int],
    run: Callable[[Node], list[Node]],
) -> list[Node]:
    """All operations, each after those it needs; of those ready always the one that adds least.

    number: breaks ties
    run:    called with each in turn; answers those for which `added` may have become less
    """
    waiting = {node: len(set(others)) for node, others in needed.items()}
    released: dict[Node, list[Node]] = {node: [] for node in needed}
    for node, others in needed.items():
        for other in dict.fromkeys(others):
            released[other].append(node)
    by_number = {i: node for node, i in number.items()}
    ready = [(added(node), number[node]) for node, count in waiting.items() if not count]
    heapq.heapify(ready)
    done: set[Node] = set()
    order: list[Node] = []
    while ready:
        node = by_number[heapq.heappop(ready)[1]]
        if node in done:
            continue  # an entry from before it became cheaper
        done.add(node)
        order.append(node)
        for other in released[node]:
            waiting[other] -= 1
        for other in dict.fromkeys((*run(node), *released[node])):
            if not waiting[other] and other not in done:
                heapq.heappush(ready, (added(other), number[other]))
    return order


def _text(nbytes: int) -> str:
    """`1.8 MB`, in powers of 1000."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    power = min(max(len(str(nbytes)) - 1, 0) // 3, len(units) - 1)
    return f"{nbytes / 1000**power:.3g} {units[power]}"
