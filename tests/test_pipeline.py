"""The runner: it verifies after every pass, finds the guilty rewrite, and keeps a record."""

from __future__ import annotations

import runpy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_graphs import draw_arrays, draw_sizes, graphs
from support.running import assert_near

import graphwright as gw
from graphwright.compiler.log import Log
from graphwright.compiler.pipeline import PIPELINE, Pass, compile_graph, graph_of
from graphwright.compiler.plan import Plan, collisions
from graphwright.compiler.schedule import Schedule
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.parse import parse
from graphwright.graph.text import text
from graphwright.runtime.execute import Program


def small_graph() -> Graph:
    x = gw.input("x", ("n", 3))
    w = gw.parameter("w", np.ones(3, np.float32))
    y = gw.ops.exp(x * w) + 1
    return Graph([x], [y.sum(axis=1)], {w: w - 0.5})


def reworked(graph: Graph, log: Log, wrong: int) -> Graph:
    """A pass with three rewrites of the output, of which number `wrong` changes its value."""
    (output,) = graph.outputs
    for number in range(3):
        if log.applied("shady" if number == wrong else "honest", "reworked", [output.node]):
            output = output * 1.5 if number == wrong else output + 0.0
    return graph if not log.rewrites else Graph(graph.inputs, [output], graph.updates)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_wrong_rule_is_named_and_its_repro_is_written(wrong, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHWRIGHT_DUMP", str(tmp_path))

    def meddle(graph: Graph, log: Log) -> Graph:
        return reworked(graph, log, wrong)

    with pytest.raises(gw.VerificationError) as caught:
        compile_graph(small_graph(), passes=[PIPELINE[0], Pass(meddle, "meddled")], check=True)
    message = str(caught.value)
    assert "the pass meddle broke the graph, by its rule shady" in message
    assert "values differ by up to" in message
    assert "test_pipeline.py" in message
    (folder,) = tmp_path.glob("graphwright-repro-meddle-*")
    assert str(folder) in message
    names = {path.name for path in folder.iterdir()}
    assert names == {"before.txt", "after.txt", "values.npz", "repro.py", "README.txt"}
    before = parse((folder / "before.txt").read_text())
    after = parse((folder / "after.txt").read_text())
    # Only rewrites up to the guilty one are in the repro.
    assert text(after).count(" = ") - text(before).count(" = ") == 2 * (wrong + 1)


def test_a_repro_runs_and_shows_both_values(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRAPHWRIGHT_DUMP", str(tmp_path))

    def halve(graph: Graph, log: Log) -> Graph:
        log.applied("halve", "halved", [graph.outputs[0].node])
        return Graph(graph.inputs, [graph.outputs[0] / 2], graph.updates)

    with pytest.raises(gw.VerificationError):
        compile_graph(small_graph(), passes=[Pass(halve, "halved")], check=True)
    (script,) = tmp_path.glob("*/repro.py")
    runpy.run_path(str(script))
    shown = capsys.readouterr().out
    assert shown.index("before") < shown.index("after")


def test_the_log_says_what_a_check_could_not_compare():
    x = gw.input("x", (3,))
    results = [gw.ops.log(-gw.ops.exp(x)), gw.ops.log(x), x[:0]]
    compiled = gw.compile(x, results, check=True)
    told = [line for line in compiled.explain().splitlines() if "nothing was compared" in line]
    assert len(told) == 1 and "- check: result 0 is nowhere finite on the values drawn" in told[0]
    assert "nothing was compared" not in gw.compile(x, results).explain()


def test_structure_is_verified_even_without_check():
    def forget(graph: Graph, log: Log) -> Graph:
        return Graph(graph.inputs, graph.outputs)

    def retype(graph: Graph, log: Log) -> Graph:
        return Graph(graph.inputs, [graph.outputs[0].astype("float64")], graph.updates)

    def falsify(graph: Graph, log: Log) -> Graph:
        made = gw.ops.exp(graph.outputs[0])
        made.node.outputs[0].type = made.type.with_dtype(np.dtype("float64"))
        output = made.astype("float32")
        return Graph(graph.inputs, [output], graph.updates)

    for broken, message in [
        (forget, "the parameters that are updated changed"),
        (retype, "the number or the types of the outputs changed"),
        (falsify, "types that differ from the inferred ones"),
    ]:
        with pytest.raises(gw.VerificationError, match=message):
            compile_graph(small_graph(), passes=[Pass(broken, "broken")])


def test_a_schedule_out_of_order_and_a_plan_that_overlaps_are_refused():
    def backwards(graph: Graph, log: Log) -> Schedule:
        return Schedule(graph, tuple(reversed(graph.operations)))

    with pytest.raises(gw.VerificationError, match="before something it needs"):
        compile_graph(small_graph(), passes=[Pass(backwards, "scheduled")])

    x = gw.input("x", (8,))
    y = gw.ops.exp(x)
    chain = Graph([x], [y.sum() * gw.ops.log(y * y + 1).sum(), y[0]])

    def careless(schedule: Schedule, log: Log) -> Plan:
        import dataclasses

        plan = PIPELINE[-1].run(schedule, log)
        one_step = [dataclasses.replace(b, last=b.first) for b in plan.buffers]
        return dataclasses.replace(plan, buffers=tuple(one_step))

    with pytest.raises(gw.VerificationError, match="reads a value that is not live"):
        compile_graph(chain, passes=[*PIPELINE[:-1], Pass(careless, "planned")])


def test_trace_prints_a_line_per_pass_and_dump_writes_a_file_per_stage(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("GRAPHWRIGHT_TRACE", "1")
    monkeypatch.setenv("GRAPHWRIGHT_DUMP", str(tmp_path / "dump"))
    compile_graph(small_graph())
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == [step.name for step in PIPELINE]
    files = sorted(path.name for path in (tmp_path / "dump").iterdir())
    stages = ["built", *(step.result for step in PIPELINE)]
    assert files == [f"{number:02}_{stage}.txt" for number, stage in enumerate(stages)]
    assert parse((tmp_path / "dump" / "00_built.txt").read_text()) == small_graph()


def test_switches_are_off_when_empty_or_zero(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAPHWRIGHT_TRACE", "0")
    monkeypatch.setenv("GRAPHWRIGHT_DUMP", "")
    compile_graph(small_graph())
    assert capsys.readouterr().err == ""
    assert not list(tmp_path.iterdir())


def test_a_dump_that_can_not_be_written_names_the_switch(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("kept")
    monkeypatch.setenv("GRAPHWRIGHT_DUMP", str(tmp_path / "file"))
    with pytest.raises(gw.CompileError, match="GRAPHWRIGHT_DUMP: File exists"):
        compile_graph(small_graph())
    assert (tmp_path / "file").read_text() == "kept"


def test_stage_names_are_unique():
    results = [step.result for step in PIPELINE]
    assert len(set(results)) == len(results)


@given(graphs(), st.data())
@settings(max_examples=80, deadline=None)
def test_interpreted_equals_every_prefix_of_the_pipeline_equals_planned(graph, data):
    sizes = data.draw(draw_sizes(graph))
    arrays = data.draw(draw_arrays(graph, sizes))
    compilation = compile_graph(graph)
    bindings = dict(zip(graph.inputs, arrays, strict=True))
    bindings.update({parameter: parameter.value for parameter in graph.parameters})
    expected = evaluate_graph(graph, bindings, sizes)
    for record in compilation.records:
        assert_near(expected, evaluate_graph(graph_of(record.after), bindings, sizes))
        for node in record.graph.nodes:
            assert parse(text(record.graph)) == record.graph, node
            break
    plan = compilation.plan
    program = Program(plan, sizes)
    assert_near(expected, program.results(arrays))
    # Again in the same arena: nothing may depend on what an earlier run left there.
    program.arena[...] = 0xFF
    assert_near(expected, program.results(arrays))


@given(graphs(), st.data())
@settings(max_examples=80, deadline=None)
def test_live_buffers_never_overlap(graph, data):
    sizes = data.draw(draw_sizes(graph))
    plan = compile_graph(graph).plan
    layout = plan.layout(sizes)
    assert list(collisions(plan, layout)) == []
    assert layout.lower_bound <= layout.peak <= layout.total
    # By brute force over steps and bytes, from what each step reads and writes alone.
    owner: dict[int, int] = {}
    buffer_of = [value.buffer for value in plan.values]
    for step in plan.steps:
        for number in step.inputs:
            for byte in _bytes(layout, buffer_of[number]):
                assert owner[byte] == buffer_of[number], (step.op, number)
        if not step.view:
            for number in step.outputs:
                owner.update(dict.fromkeys(_bytes(layout, buffer_of[number]), buffer_of[number]))


def _bytes(layout, buffer):
    """The first byte of each aligned block of an arena buffer."""
    if buffer not in layout.offsets:
        return range(0)
    return range(layout.offsets[buffer], layout.offsets[buffer] + layout.sizes[buffer], 64)
