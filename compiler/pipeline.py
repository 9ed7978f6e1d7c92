"""The passes in their order, and the runner that verifies, times and keeps what each one did."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from graphwright.compiler.decompose import decompose
from graphwright.compiler.fuse import fuse
from graphwright.compiler.fuse_contractions import fuse_contractions
from graphwright.compiler.join import join
from graphwright.compiler.layout import layout
from graphwright.compiler.log import Log
from graphwright.compiler.native.whole import decompose_for_native
from graphwright.compiler.nested import everywhere
from graphwright.compiler.plan import Plan
from graphwright.compiler.plan_memory import plan_memory
from graphwright.compiler.prune import prune
from graphwright.compiler.recompute import recompute
from graphwright.compiler.report import stage_text
from graphwright.compiler.repro import write_repro
from graphwright.compiler.schedule import Schedule, schedule
from graphwright.compiler.select import select
from graphwright.compiler.settings import settings
from graphwright.compiler.simplify import simplify, simplify_primitives
from graphwright.compiler.split_to_slices import split_to_slices
from graphwright.compiler.stack_products import stack_products
from graphwright.compiler.verify import Arrays, check_structure, differs, incomparable, sample
from graphwright.graph.errors import CompileError, GraphwrightError, VerificationError
from graphwright.graph.graph import Graph

Stage: TypeAlias = Graph | Schedule | Plan


@dataclass(frozen=True)
class Pass:
    """One step of the pipeline.

    result: the name of the stage that it makes: what `text(stage)` is asked for
    within: whether it runs on the graphs of branches and loops too
    """

    run: Callable[[Any, Log], Stage]
    result: str
    within: bool = True

    @property
    def name(self) -> str:
        return self.run.__name__

    def __call__(self, stage: Stage, log: Log) -> Stage:
        """What it makes of a stage, and of the graphs within a graph."""
        if not isinstance(stage, Graph) or not self.within:
            return self.run(stage, log)
        result: Stage = everywhere(self.run, stage, log)
        return result


# While composites still have names: log(softmax(x)) can't be seen among primitives.
_ON_COMPOSITES = Pass(simplify, "simplified_composites")

_ON_PRIMITIVES = (
    Pass(join, "joined"),
    Pass(prune, "pruned"),
    # Again, on the primitives that decomposition brought, and without making composites of them.
    Pass(simplify_primitives, "simplified"),
    Pass(layout, "laid_out"),
    Pass(split_to_slices, "sliced"),
)

_FUSE = Pass(fuse, "fused")

_TO_A_PLAN = (
    Pass(schedule, "scheduled"),
    Pass(plan_memory, "planned"),
)

PIPELINE: tuple[Pass, ...] = (
    _ON_COMPOSITES,
    Pass(decompose, "decomposed"),
    *_ON_PRIMITIVES,
    _FUSE,
    *_TO_A_PLAN,
)
"""For plans whose every operation is a NumPy kernel."""

NATIVE_PIPELINE: tuple[Pass, ...] = (
    _ON_COMPOSITES,
    Pass(decompose_for_native, "decomposed"),
    *_ON_PRIMITIVES,
    # The bodies of branches and loops are interpreted, operation by operation: not `within` them.
    Pass(stack_products, "stacked", within=False),
    Pass(recompute, "recomputed", within=False),
    _FUSE,
    Pass(fuse_contractions, "fused_contractions", within=False),
    Pass(select, "selected", within=False),
    *_TO_A_PLAN,
)
"""For plans whose fused groups are native kernels."""


@dataclass(frozen=True)
class Record:
    """What one pass did: what it got, what it made of it, why, and how long it took (seconds)."""

    step: Pass
    before: Graph
    after: Stage
    log: Log
    seconds: float

    @property
    def graph(self) -> Graph:
        """The graph after the pass; schedules and plans hold the one that they order."""
        return graph_of(self.after)


@dataclass(frozen=True)
class Compilation:
    """A graph, and what every pass made of it."""

    built: Graph
    records: tuple[Record, ...]

    @property
    def plan(self) -> Plan:
        """The last stage. Raises TypeError when the pipeline that ran did not end in a plan."""
        last = self.records[-1].after
        if not isinstance(last, Plan):
            raise TypeError(f"the pipeline ended in a {type(last).__name__}, not in a Plan")
        return last

    @property
    def stages(self) -> dict[str, Graph]:
        """The graph after each pass that makes graphs, by the name of the stage."""
        graphs = {r.step.result: r.after for r in self.records if isinstance(r.after, Graph)}
        return {"built": self.built, **graphs}


def graph_of(stage: Stage) -> Graph:
    """The graph of a stage."""
    return stage if isinstance(stage, Graph) else stage.graph


def compile_graph(
    graph: Graph,
    *,
    passes: Sequence[Pass] = PIPELINE,
    check: bool = False,
    samples: Arrays | None = None,
) -> Compilation:
    """Run the passes over a graph and verify after each one.

    check:   also interpret the graph before and after each pass, and compare the values
    samples: arrays for the inputs to compare on; drawn when None

    Raises VerificationError, which names the pass, the rule and a folder with a repro, when a pass
    broke the graph or changed its meaning; CompileError, which names the pass, when it failed;
    InputError when the graph can't be run on the samples.
    """
    switches = settings()
    _dump(switches.dump, 0, "built", graph)
    records: list[Record] = []
    stage: Stage = graph
    for number, step in enumerate(passes, 1):
        record = _run(step, stage, check, samples)
        stage = record.after
        records.append(record)
        if switches.trace:
            print(_trace(record), file=sys.stderr)
        _dump(switches.dump, number, record.step.result, stage)
    compared = [r for r in records if isinstance(r.after, Graph) and r.after is not r.before]
    if check and compared:
        _tell_incomparable(compared[0], samples)
    return Compilation(graph, tuple(records))


def _tell_incomparable(record: Record, samples: Arrays | None) -> None:
    """Say in the log which results no check has compared."""
    graph = record.before
    for position in incomparable(graph, sample(graph, samples)):
        what = f"result {position} is nowhere finite on the values drawn: nothing was compared"
        record.log.declined("check", what, [graph.results[position].node])


def _run(step: Pass, before: Stage, check: bool, samples: Arrays | None) -> Record:
    log = Log()
    start = time.perf_counter()
    try:
        after = step(before, log)
    except GraphwrightError:
        raise
    except Exception as error:
        raise _failed(step, log, error) from error
    seconds = time.perf_counter() - start
    record = Record(step, graph_of(before), after, log, seconds)
    wrong = _wrong(record.before, after, check, samples)
    if wrong is not None:
        raise _broken(step, before, log, wrong, check, samples)
    return record


def _wrong(before: Graph, after: Stage, check: bool, samples: Arrays | None) -> str | None:
    """What is wrong with the result of a pass, or None."""
    if after is before:
        return None
    wrong = check_structure(before, after)
    if wrong is None and check and isinstance(after, Graph):
        wrong = differs(before, after, sample(before, samples))
    return wrong


def _failed(step: Pass, log: Log, error: Exception) -> CompileError:
    """The error for a pass, or an operator that it asked, that tripped over its own feet."""
    applied = [event for event in log.events if event.applied]
    return CompileError(
        f"the pass {step.name} failed: {type(error).__name__}: {error}",
        details=[("last rule", f"{event.rule}: {event.what}") for event in applied[-1:]],
        hint="this is a defect of the pass or of an operator; the error above has its place",
    )


def _broken(
    step: Pass, before: Stage, log: Log, wrong: str, check: bool, samples: Arrays | None
) -> VerificationError:
    """The error for a pass that went wrong: the guilty rewrite found by bisection, and a repro."""
    graph = graph_of(before)

    def fails(limit: int) -> str | None:
        return _wrong(graph, step(before, Log(limit)), check, samples)

    low, high = 0, log.rewrites  # the result is right after `low` rewrites and wrong after `high`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(middle) else (middle, high)
    rewrites = [event for event in log.events if event.applied]
    details: list[tuple[str, str]] = []
    if rewrites:
        guilty = rewrites[high - 1]
        wrong = fails(high) or wrong
        sources = ", ".join(str(node.source) for node in guilty.nodes if node.source.lines)
        details.append(("rule", f"{guilty.rule}: {guilty.what}"))
        if sources:
            details.append(("nodes", f"made at {sources}"))
    rule = rewrites[high - 1].rule if rewrites else None
    folder = write_repro(
        step.name, graph, graph_of(step(before, Log(high))), sample(graph, samples), wrong, rule
    )
    details.append(("repro", str(folder)))
    by = f", by its rule {rule}" if rule else ""
    return VerificationError(
        f"the pass {step.name} broke the graph{by}: {wrong}",
        details=details,
        hint="this is a defect of the pass or of an operator it relies on; the repro folder has "
        "the graph before and after, and the values",
    )


def _trace(record: Record) -> str:
    before, after = len(record.before.operations), len(record.graph.operations)
    return (
        f"graphwright: {record.step.name:<12} {record.seconds * 1e3:8.2f} ms"
        f"  {before:>5} → {after:<5} operations, {record.log.rewrites} rewrites"
    )


def _dump(folder: Path | None, number: int, name: str, stage: Stage) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:02}_{name}.txt"
        path.write_text(stage_text(stage) + "\n", encoding="utf-8")
    except OSError as error:
        raise CompileError(
            f"GRAPHWRIGHT_DUMP: {error.strerror}: {error.filename}",
            hint="name a folder that can be written to, or unset the variable",
        ) from None
