"""Timing several steps in turns, A B A B, so that a busy spell of the machine falls on all."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.subject import Step

CLOCK = time.perf_counter


@dataclass(frozen=True)
class Effort:
    """How long to measure; times in seconds.

    rounds:  how many turns each step gets, of `seconds` in all: no more than that is spent on a
             slow step, as long as it has had `fewest` turns
    warm_up: how long each step runs before the first round
    pause:   idleness before each turn. A framework's threads may wait for more work without
             sleeping, OpenBLAS's for some 25 ms, and would disturb who comes next
    settle:  how long a step runs unmeasured at the start of its turn, to get its data back into
             the caches and its threads out of their sleep; none where a call takes longer
    block:   calls are timed together in blocks that take about so long, one by one if longer
    """

    seconds: float = 3.0
    rounds: int = 30
    fewest: int = 5
    warm_up: float = 0.3
    pause: float = 0.05
    settle: float = 0.005
    block: float = 0.0002


QUICK = Effort(seconds=0.004, rounds=2, fewest=2, warm_up=0.0, pause=0.0, settle=0.0)


def interleaved(
    steps: Mapping[str, Step], effort: Effort, clock: Callable[[], float] = CLOCK
) -> dict[str, list[float]]:
    """The seconds that a call of each step takes: the median of each of its turns."""
    lengths = {name: warmed_up(step, effort, clock) for name, step in steps.items()}
    medians: dict[str, list[float]] = {name: [] for name in steps}
    spent = dict.fromkeys(steps, 0.0)
    for played in range(effort.rounds):
        for name, step in steps.items():
            if played >= effort.fewest and spent[name] >= effort.seconds:
                continue
            median, seconds = turn(step, lengths[name], effort, clock)
            medians[name].append(median)
            spent[name] += seconds
    return medians


def warmed_up(step: Step, effort: Effort, clock: Callable[[], float] = CLOCK) -> float:
    """Run a step for a while; the seconds that its fastest call took."""
    start = clock()
    fastest = float("inf")
    while True:
        before = clock()
        step()
        now = clock()
        fastest = min(fastest, now - before)
        if now - start >= effort.warm_up:
            return fastest


def turn(
    step: Step, length: float, effort: Effort, clock: Callable[[], float] = CLOCK
) -> tuple[float, float]:
    """The median seconds per call in one turn, and the seconds that were measured.

    length: what a call takes, roughly
    """
    count = max(1, round(effort.block / max(length, 1e-9)))
    calls = range(count)
    time.sleep(effort.pause)
    start = clock()
    while length < effort.settle and clock() - start < effort.settle:
        step()
    share = effort.seconds / effort.rounds
    times: list[float] = []
    spent = 0.0
    collecting = gc.isenabled()
    gc.disable()
    try:
        while not times or spent < share:
            before = clock()
            for _ in calls:
                step()
            seconds = clock() - before
            times.append(seconds / count)
            spent += seconds
    finally:
        if collecting:
            gc.enable()
    return statistics.median(times), spent


def middle(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)


def quartiles(values: list[float]) -> tuple[float, float]:
    """Half of the values lie between these."""
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third
