"""What is told of native code: which steps have some, and where it came from."""

from __future__ import annotations

import re

import numpy as np
from support.fusion import mixing

import graphwright as gw


def compiled(backend="native"):
    x = gw.input("x", ("n", 37))
    w = gw.parameter("w", np.ones((37, 4), np.float32))
    return gw.compile(x, gw.ops.log_softmax(mixing(x) @ w, 1).T, backend=backend)


def test_explain_tells_kernels_and_reasons():
    told = compiled().explain().split("\n\n")[-1].splitlines()
    assert re.match(
        r"native → \S+ \(.*\)   \d of \d steps, \d kernels with \d texts, .* ms to write", told[0]
    )
    assert any(
        re.match(r"  - .*: on NumPy: mixing has no native code   \[test_nat", x) for x in told
    )
    assert any(re.match(r"  \+ .*: .*max, subtract, exp, sum, log.* \(", x) for x in told)
    assert all("test_native_report.py" in line for line in told[1:])


def test_explain_tells_where_code_was_found(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHWRIGHT_CACHE", str(tmp_path))
    x = gw.input("x", (11, 13, 17))
    y = gw.ops.exp(x.sum(2) * 4.25) + 19.5
    for found in ("compiled: not in the cache", "disk"):
        run = gw.compile(x, y, backend="native")
        assert f"({found} in " in run.explain()
        again = gw.compile(x, y, backend="native")
        assert "(memory)" in again.explain()
        del run, again
    monkeypatch.setenv("GRAPHWRIGHT_CACHE", "off")
    assert "(compiled: the cache is off" in gw.compile(x, y, backend="native").explain()


def test_summary_tells_what_runs_natively():
    table = compiled().summary(n=5).split("\n\n")[0].splitlines()
    assert re.search(r"bytes +runs on +scope", table[0])
    on = {line.split()[0]: re.search(r" k?B +(native|NumPy) ", line)[1] for line in table[2:]}
    assert on.pop("mixing") == "NumPy"
    assert on.keys() >= {"matmul", "native"} and set(on.values()) == {"native"}
    plain = compiled("numpy").summary(n=5)
    assert "runs on" not in plain and "native →" not in compiled("numpy").explain()
