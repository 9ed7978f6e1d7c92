"""What was compiled, in words: the stages, the summary of the plan, and the why-log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from graphwright.compiler.fused import Fused
from graphwright.compiler.log import Event
from graphwright.compiler.plan import Plan, Step
from graphwright.compiler.schedule import Schedule
from graphwright.graph.dim import Sizes, evaluate
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator
from graphwright.graph.source import NOWHERE, Source
from graphwright.graph.tensor import Tensor
from graphwright.graph.text import (
    nested_names,
    operation_text,
    tensor_names,
    text,
    value_text,
)

if TYPE_CHECKING:
    from graphwright.compiler.pipeline import Compilation, Record, Stage

_SHOWN = 40  # lines of a pass in explain(), before the rest is counted
_NAMED = 4  # nodes that such a line names


def stage_text(stage: Stage, *, sources: bool = False, elide: bool = False) -> str:
    """A stage in words: a printed graph; a schedule in its order; a plan with its buffers."""
    if isinstance(stage, Graph):
        return text(stage, sources=sources, elide=elide)
    if isinstance(stage, Schedule):
        names = tensor_names(stage.graph)
        return _block("schedule", (_node_line(node, names) for node in stage.order), 2)
    # The graphs of branches and loops go on in the column of the operations' results.
    return _block("plan", _plan_lines(stage), 8)


def _block(name: str, lines: Iterable[str], indent: int) -> str:
    """Lines in braces; what goes on in further lines is indented."""
    inside = ("  " + line.replace("\n", "\n" + " " * indent) for line in lines)
    return "\n".join([f"{name} {{", *inside, "}"])


def _node_line(node: Node, names: dict[Tensor, str]) -> str:
    outputs = ", ".join(f"{names[tensor]}: {tensor.type}" for tensor in node.outputs)
    return f"{outputs} = {operation_text(node, names)}"


def _plan_lines(plan: Plan) -> list[str]:
    names = [value.name or f"_{number}" for number, value in enumerate(plan.values)]
    for number, frozen in plan.constants:
        names[number] = value_text(frozen, elide=True)
    places = _place_names(plan)
    lines: list[str] = []
    for position, step in enumerate(plan.steps):
        arguments = [names[number] for number in step.inputs]
        arguments += [f"{k}={value_text(v, True)}" for k, v in step.op.attributes.items()]
        outputs = ", ".join(f"{names[n]}: {plan.values[n].type}" for n in step.outputs)
        if step.view:
            where = f"view of {names[step.inputs[0]]}"
        else:
            where = ", ".join(places[plan.values[number].buffer] for number in step.outputs)
        lines.append(
            f"{position:>4}  {where:<12}  {outputs} = {step.op.name}({', '.join(arguments)})"
        )
    return lines


def _place_names(plan: Plan) -> dict[int, str]:
    """`arena 3` or `result 0` for each buffer that a step writes: numbered by first use."""
    names: dict[int, str] = {}
    count: Counter[str] = Counter()
    for step in plan.steps:
        for number in step.outputs:
            index = plan.values[number].buffer
            kind = plan.buffers[index].kind
            if index not in names and not step.view:
                names[index] = f"{kind} {count[kind]}"
                count[kind] += 1
    return names


def summary(compilation: Compilation, sizes: Sizes, runs: Sequence[str] | None = None) -> str:
    """The kernels with their FLOPs and bytes, the parameters, and the memory, for these sizes.

    runs: for each step of the plan, on what it runs: told in a column of its own
    Bytes are those of operands and results. Below a branch or a loop stand the kernels of its
    graphs, for one run of each; what the loop's own line says is for all its steps.
    """
    plan = compilation.plan
    rows: list[tuple[str, ...]] = [("kernel", "output", "FLOPs", "bytes", "scope", "source")]
    on: list[str] = ["runs on"]
    places = dict(zip(plan.steps, runs or (), strict=False))
    flops = moved = 0
    kernels = _kernels(plan)
    for node, steps in kernels:
        work = sum(step_flops(plan, step, sizes) for step in steps)
        bytes_ = _bytes(node, sizes)
        flops, moved = flops + work, moved + bytes_
        rows += [_row(node, work, bytes_), *_inner_rows(node, node.op.bind(sizes), sizes, 1)]
        on.append(", ".join(dict.fromkeys(places.get(step, "") for step in steps)))
        on += [""] * (len(rows) - len(on))
    at = ", ".join(f"{name}={size}" for name, size in sizes.items() if name in plan.names)
    if runs is not None:
        rows = [(*row[:4], place, *row[4:]) for row, place in zip(rows, on, strict=True)]
    return "\n".join(
        [
            *table(rows, right={2, 3}),
            "",
            f"kernels     {len(kernels)} ({len(plan.steps)} steps)" + (f", at {at}" if at else ""),
            f"work        {quantity(flops, 'FLOP')}, {quantity(moved, 'B')} read and written",
            *_footprint(compilation, sizes),
        ]
    )


def _footprint(compilation: Compilation, sizes: Sizes) -> Iterator[str]:
    parameters = compilation.built.parameters
    elements = sum(evaluate(parameter.size, {}) for parameter in parameters)
    nbytes = sum(evaluate(parameter.type.nbytes, {}) for parameter in parameters)
    yield f"parameters  {len(parameters)}: {elements:,} elements, {quantity(nbytes, 'B')}"
    layout = compilation.plan.layout(sizes)
    yield (
        f"memory      arena {quantity(layout.peak, 'B')}"
        f" (lower bound {quantity(layout.lower_bound, 'B')},"
        f" without reuse {quantity(layout.total, 'B')}),"
        f" results {quantity(layout.results, 'B')}"
    )
    if any(step.op.higher_order for step in compilation.plan.steps):
        yield "            and what the bodies of branches and loops take while they run"


def _row(node: Node, work: int, moved: int, depth: int = 0) -> tuple[str, ...]:
    return (
        "  " * depth + _kernel_name(node),
        ", ".join(str(tensor.type) for tensor in node.outputs),
        quantity(work),
        quantity(moved, "B"),
        node.scope,
        str(node.source),
    )


def _inner_rows(node: Node, bound: Operator, sizes: Sizes, depth: int) -> Iterator[tuple[str, ...]]:
    """A line for each graph that a node holds, and for each kernel in it.

    bound: the node's operator for these sizes. FLOPs are counted by it: as formulas of symbolic
           sizes, those of the costlier of many branches would be very long
    """
    for name, graph in node.op.graphs.items():
        same = bound.graphs[name]
        pairs = zip(graph.operations, same.operations, strict=True)
        kernels = [(inner, it) for inner, it in pairs if inner.inputs and not inner.op.view]
        moved = quantity(sum(_bytes(inner, sizes) for inner, _ in kernels), "B")
        yield "  " * depth + name, "", quantity(evaluate(same.flops, {})), moved, "", ""
        for inner, it in kernels:
            own = evaluate(it.op.flops(*(tensor.type for tensor in it.inputs)), {})
            yield _row(inner, own, _bytes(inner, sizes), depth + 1)
            yield from _inner_rows(inner, it.op, sizes, depth + 2)


def _bytes(node: Node, sizes: Sizes) -> int:
    return sum(evaluate(t.type.nbytes, sizes) for t in (*dict.fromkeys(node.inputs), *node.outputs))


def _kernels(plan: Plan) -> list[tuple[Node, list[Step]]]:
    """The steps by the scheduled node that they belong to; nodes that are only views are none."""
    groups: dict[Node, list[Step]] = {}
    for step in plan.steps:
        if not step.view:
            groups.setdefault(step.node, []).append(step)
    return list(groups.items())


def _kernel_name(node: Node) -> str:
    if not isinstance(node.op, Fused):
        return node.op.name
    operations = node.op.graph.operations
    product = next((inner.op.name for inner in operations if inner.op.contraction), None)
    return f"{product or node.op.name} ({len(operations)})"


def step_flops(plan: Plan, step: Step, sizes: Sizes) -> int:
    """The floating-point operations of a step."""
    types = [plan.values[number].type.bind(sizes) for number in step.inputs]
    return evaluate(step.op.bind(sizes).flops(*types), {})


def explain(compilation: Compilation, *, limit: int = _SHOWN) -> str:
    """What each pass did (+), and declined (-), and why, in at most `limit` lines a pass."""
    return "\n\n".join(_explained(record, limit) for record in compilation.records)


def _explained(record: Record, limit: int) -> str:
    events = record.log.events
    declined = len(events) - record.log.rewrites
    before, after = len(record.before.operations), len(record.graph.operations)
    head = (
        f"{record.step.name} → {record.step.result}   {before} → {after} operations,"
        f" {record.log.rewrites} made, {declined} declined, {record.seconds * 1e3:.1f} ms"
    )
    names = nested_names(record.before)
    alike: dict[tuple[str, str, bool], list[Event]] = {}
    for event in events:
        alike.setdefault((event.rule, event.what, event.applied), []).append(event)
    lines = [_event_line(group, names) for group in list(alike.values())[:limit]]
    if len(alike) > limit:
        lines.append(f"  … and {len(alike) - limit} more")
    return "\n".join([head, *lines])


def _event_line(events: list[Event], names: dict[Tensor, str]) -> str:
    """A line for events that differ only in the nodes concerned."""
    first = events[0]
    times = f" ×{len(events)}" if len(events) > 1 else ""
    nodes = list(dict.fromkeys(node for event in events for node in event.nodes))
    concerned = ", ".join(names.get(node.outputs[0], node.op.name) for node in nodes[:_NAMED])
    if len(nodes) > _NAMED:
        concerned += ", …"
    source = reduce(Source.__or__, (node.source for node in nodes[:_NAMED]), NOWHERE)
    words = [f"({concerned})"] if nodes else []
    words += [f"[{source}]"] if source.lines else []
    mark = "+" if first.applied else "-"
    return "   ".join([f"  {mark} {first.rule}{times}: {first.what}", *words])


def table(rows: list[tuple[str, ...]], right: set[int]) -> list[str]:
    """Lines of a table whose first row is its head; `right`: the columns set to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("─" * width for width in widths))
    return lines


def quantity(number: float, unit: str = "") -> str:
    """`1.25 MB`, `3.4 k`: three digits and a decimal prefix."""
    prefixes = ["", "k", "M", "G", "T"]
    while number >= 1000 and len(prefixes) > 1:
        number /= 1000
        prefixes.pop(0)
    digits = f"{number:.0f}" if prefixes[0] == "" or number >= 100 else f"{number:.3g}"
    return f"{digits} {prefixes[0]}{unit}".rstrip()
