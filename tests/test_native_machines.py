"""Native plans for other CPUs: run for lower levels of this one's, made for AArch64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from support.machines import check_objects_for_arm, runnable
from support.native import script
from support.random_graphs import graphs

import graphwright as gw
from graphwright.compiler.native.generate import texts_of, write
from graphwright.compiler.native.target import Target
from graphwright.compiler.pipeline import NATIVE_PIPELINE, compile_graph
from graphwright.graph.graph import Graph

HERE = Path(__file__).parent
HOST, *_BELOW = runnable()
LOWER = [target for target in _BELOW if target.vector_bytes < HOST.vector_bytes]
ARM = Target.of("aarch64-unknown-linux-gnu", "cortex-a72")
SUITE = """
import sys, pytest
files = [{files}]
sys.exit(pytest.main(["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=",
                      "--import-mode=importlib", "--rootdir", {root!r}, *files]))
"""


@pytest.mark.parametrize("target", LOWER, ids=lambda target: target.cpu)
def test_native_plans_are_right_on_lower_levels(target):
    files = [str(HERE / name) for name in ("test_native_plans.py", "test_native_random.py")]
    code = SUITE.format(files=", ".join(map(repr, files)), root=str(HERE.parent))
    done = script(code, timeout=300, GRAPHWRIGHT_CPU=target.cpu, PYTEST_ADDOPTS="")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def check_for_arm(graph: Graph) -> None:
    plan = compile_graph(graph, passes=NATIVE_PIPELINE).plan
    check_objects_for_arm(*texts_of(write(plan, ARM)))


@given(graphs(steps=6))
@settings(max_examples=8, deadline=None)
def test_kernels_of_random_graphs_can_be_made_for_arm(graph):
    check_for_arm(graph)


def test_a_training_step_can_be_made_for_arm():
    x, y = gw.input("x", ("n", 20)), gw.input("y", ("n",), np.int64)
    w, v = gw.parameter("w", np.ones((20, 30), "f4")), gw.parameter("v", np.ones((30, 5), "f4"))
    rows = gw.ops.log_softmax(gw.ops.gelu(gw.ops.layer_norm(x @ w, axis=-1)) @ v, 1)
    loss = -gw.ops.take_along_axis(rows, gw.ops.expand_dims(y, 1), 1).mean()
    check_for_arm(Graph([x, y], [loss], {p: p - 0.1 * gw.grad(loss, p) for p in (w, v)}))
