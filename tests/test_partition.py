"""Partitions of a graph into groups: no cycle, an order that holds, a search that ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from graphwright.compiler.partition import REACH, Blocked, Partition


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_groups_merge_exactly_when_no_cycle_comes_of_it(data):
    count = data.draw(st.integers(2, 12))
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    edges = data.draw(st.lists(st.sampled_from(pairs), max_size=25))
    partition = Partition(count, edges)
    group = list(range(count))  # the oracle's own grouping
    for one, other in data.draw(st.lists(st.sampled_from(pairs), max_size=12)):
        if group[one] == group[other]:
            continue
        trial = [group[one] if g == group[other] else g for g in group]
        allowed = acyclic(trial, edges)
        outcome = partition.merge(partition.group(one), partition.group(other))
        assert isinstance(outcome, int) == allowed
        if allowed:
            group = trial
        place = {number: i for i, number in enumerate(partition.order())}
        assert place.keys() == {partition.group(node) for node in range(count)}
        for a, b in edges:
            first, last = partition.group(a), partition.group(b)
            assert (first == last) == (group[a] == group[b])
            assert first == last or place[first] < place[last]
            assert first == last or last in partition.successors[first]
            assert partition.position(first) <= partition.position(last)


def acyclic(group: list[int], edges: list[tuple[int, int]]) -> bool:
    """By taking away groups that nothing enters, until none is left."""
    left, arcs = set(group), {(group[a], group[b]) for a, b in edges if group[a] != group[b]}
    while left:
        first = next((g for g in sorted(left) if not any(b == g for _, b in arcs)), None)
        if first is None:
            return False
        left.discard(first)
        arcs = {(a, b) for a, b in arcs if a != first}
    return True


def test_the_order_holds_after_any_number_of_moves_to_one_place():
    partition = Partition(6, [(0, n) for n in range(1, 6)])
    for i in range(1000):
        partition._move([1 + i % 5], 0)
        places = [partition.position(group) for group in partition.order()]
        assert places == sorted(set(places))
    assert partition.order() == [0, 5, 4, 3, 2, 1]


def test_a_search_that_takes_too_long_gives_up():
    # From 0 two fans of many nodes, one of which would have to be moved past the other.
    fan = range(1, 2 * REACH + 1)
    last = 2 * REACH + 1
    partition = Partition(last + 1, [(0, n) for n in fan[::2]] + [(n, last) for n in fan[1::2]])
    assert partition.merge(0, last) == Blocked(None)
