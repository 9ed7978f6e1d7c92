"""The benchmarks: that they compare equal things, in turns, and report what they found.

Nothing here depends on how long anything takes. Definitions are compared at tiny sizes: with NumPy
by hand, and with torch where it is installed.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import graphwright as gw
from benchmarks import rounds
from benchmarks.__main__ import main
from benchmarks.agreement import Disagreement, as_array, check_agreement, first_steps
from benchmarks.environment import CACHE_VARIABLES, environment
from benchmarks.runner import MODES, Failed, Measurement, Report, Row
from benchmarks.subject import MODULES, OURS, Batches, Subject, unchanged
from benchmarks.table import number, speeds, times
from benchmarks.worker import Request, status_bytes, steady
from benchmarks.workloads import adam, gpt, subjects

SUBJECTS = {subject.name: subject for subject in subjects(quick=True)}
INSTALLED = [name for name in ("numpy", "torch") if find_spec(name)]


def request(*frameworks):
    return Request("steady", [], [OURS, *frameworks], threads=1, quick=True)


@pytest.mark.parametrize("name", SUBJECTS)
def test_all_definitions_compute_the_same(name):
    found = steady(SUBJECTS[name], request(*INSTALLED))
    assert found["notes"] == {}
    assert set(found["times"]) == {OURS, *INSTALLED} & set(SUBJECTS[name].definitions)
    assert all(len(times) == rounds.QUICK.rounds for times in found["times"].values())


def test_full_sizes_are_those_that_the_names_say():
    full = {subject.name: subject for subject in subjects(quick=False)}
    assert {name.partition(" ")[0] for name in full} == {
        "mlp32", "mlp512", "gpt", "tiny_call", "chain10m", "softmax4096", "matmul",
    }  # fmt: skip
    images, labels = full["mlp512 train"].data().batches.turns(unchanged, unchanged)()
    assert images.shape == (512, 784) and labels.shape == (512,)
    weights = full["gpt train"].data().weights.values()
    per_layer = 12 * 256**2 + 13 * 256
    assert sum(w.size for w in weights) == 4 * per_layer + (256 + 128 + 256) * 256 + 2 * 256
    assert full["matmul 1024×1024×1024 infer"].flops == 2 * 1024**3


def test_the_language_model_does_not_look_ahead_and_learns():
    data = gpt.language(gpt.QUICK_SIZES)
    tokens, logits, _ = gpt.graphwright_model(gw, data)
    infer = gw.compile(tokens, logits)
    given = data.batches.inputs[0]
    changed = given.copy()
    changed[:, 3] = (given[:, 3] + 1) % data.sizes.vocabulary
    before, after = infer(given), infer(changed)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3:] - after[:, 3:]).max(-1).min() > 0
    # With one target for each input it can learn, from knowing nothing.
    alone = replace(data, batches=Batches(data.batches.inputs[:1], data.batches.targets[:1]))
    step = gpt.graphwright_train(gw, alone)
    losses = [float(step()) for _ in range(100)]
    assert abs(losses[0] - math.log(data.sizes.vocabulary)) < 0.05
    assert losses[-1] < losses[0] - 0.5


def test_every_input_meets_every_target():
    following = Batches([0, 1, 2, 3], [0, 1, 2, 3, 4]).turns(lambda x: x, lambda y: -y)
    pairs = [following() for _ in range(20)]
    assert set(pairs) == {(x, -y) for x in range(4) for y in range(5)}
    assert following() == pairs[0]


# Who disagrees.


def test_a_wrong_step_is_refused_and_named():
    subject = SUBJECTS["mlp32 train"]

    def wrong(module, data):
        step = subject.definitions["numpy"](module, data)
        return lambda: step() * 1.001

    planted = replace(subject, definitions={**subject.definitions, "numpy": wrong})
    with pytest.raises(Disagreement, match=r"mlp32 train, step 1: numpy is off graphwright by"):
        steady(planted, request("numpy"))


@pytest.mark.parametrize(
    ("name", "value"), [("BETA1", 0.8), ("BETA2", 0.99), ("EPSILON", 1e-4), ("RATE", 1.01e-3)]
)
def test_an_optimizer_that_differs_shows(name, value, monkeypatch):
    subject = next(s for s in subjects(quick=False) if s.name == "mlp32 train")
    data = subject.data()
    ours = first_steps(subject.definitions[OURS](gw, data))
    monkeypatch.setattr(adam, name, value)
    planted = first_steps(subject.definitions["numpy"](np, data))
    with pytest.raises(Disagreement, match="numpy is off graphwright"):
        check_agreement("mlp32 train", {OURS: ours, "numpy": planted})


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([[1.0, 2.001]], "off"),
        ([[math.nan, 2.0]], "off"),
        ([[1.0, math.inf]], "off"),
        ([[1.0]], r"gives \(1,\)"),
    ],
)
def test_agreement_is_to_a_part_in_ten_thousand(found, message):
    expected = [np.array([1.0, 2.0])]
    check_agreement("x", {"a": expected, "b": [np.array([1.0001, 2.0001])]})
    with pytest.raises(Disagreement, match=message):
        check_agreement("x", {"a": expected, "b": [np.array(row) for row in found]})


def test_results_are_kept_though_their_memory_is_used_again():
    memory = np.zeros(2)

    def step():
        memory[:] += 1
        return memory

    assert [list(value) for value in first_steps(step)] == [[n, n] for n in range(1, 6)]
    assert as_array(3).dtype == np.float64


# Turns.


class Workshop:
    """Steps that take the seconds they are told to, by a clock of their own."""

    def __init__(self):
        self.now = 0.0
        self.calls = ""

    def clock(self):
        return self.now

    def step(self, name, seconds):
        """The first of two calls takes twice as long as the second."""

        def call():
            self.calls += name
            self.now += seconds * (2 if self.calls.count(name) % 2 else 1)

        return call


PLAIN = rounds.Effort(
    seconds=30.0, rounds=3, fewest=2, warm_up=0.0, pause=0.0, settle=0.0, block=0.001
)


def test_steps_take_turns():
    shop = Workshop()
    steps = {"a": shop.step("a", 4.0), "b": shop.step("b", 2.0)}
    found = rounds.interleaved(steps, PLAIN, shop.clock)
    # One call each to warm up, then turns of ten seconds or somewhat more.
    warm_up, turns = shop.calls[:2], shop.calls[2:]
    assert warm_up == "ab"
    assert re.fullmatch("(a{2,3}b{3,5}){3}", turns)
    assert {name: len(values) for name, values in found.items()} == {"a": 3, "b": 3}


def test_a_slow_step_gets_fewer_turns_but_some():
    shop = Workshop()
    steps = {"slow": shop.step("s", 40.0), "quick": shop.step("q", 1.0)}
    found = rounds.interleaved(steps, PLAIN, shop.clock)
    assert len(found["slow"]) == PLAIN.fewest
    assert len(found["quick"]) == PLAIN.rounds


def test_short_calls_are_timed_in_blocks_and_medians_are_per_call():
    shop = Workshop()
    effort = replace(PLAIN, seconds=0.03, rounds=1)
    median, spent = rounds.turn(shop.step("a", 1e-5), 1e-5, effort, shop.clock)
    assert median == pytest.approx(1.5e-5)
    assert len(shop.calls) % 100 == 0
    assert spent == pytest.approx(len(shop.calls) * 1.5e-5) and spent >= 0.03


def test_what_a_step_does_to_settle_is_not_measured():
    shop = Workshop()
    effort = replace(PLAIN, settle=100.0)
    _, spent = rounds.turn(shop.step("a", 2.0), 2.0, effort, shop.clock)
    assert spent < 20 and shop.now > 100


def test_quartiles():
    assert rounds.quartiles([5.0, 1.0, 2.0, 3.0, 4.0]) == (2.0, 4.0)
    assert rounds.quartiles([7.0]) == (7.0, 7.0)


# Processes.


class Asked(Measurement):
    """Remembers what would be asked of processes, and whether the caches held something."""

    def _ask(self, task, subjects, frameworks, caches, *, cold=False):
        asked.append((task, frameworks, caches, cold, sorted(caches.iterdir())))
        Path(caches, f"{len(asked)}").touch()
        values = {name: [1.0] for name in frameworks}
        if task == "steady":
            return [{"times": values, "notes": {}} for _ in subjects]
        return [{"value": float(len(asked))}]


asked = []


def test_cold_calls_find_empty_caches_and_warm_ones_full():
    asked.clear()
    measurement = Asked(1, ["cold", "warm"], [OURS], quick=False)
    report = measurement.run([SUBJECTS["mlp32 train"]])
    cold = [entry for entry in asked if entry[3]]
    warm = [entry for entry in asked if not entry[3]]
    assert [entry[0] for entry in asked] == ["first"] * len(asked)
    assert len({entry[2] for entry in cold}) == len(cold) == 3  # of 1, 2 and 3 seconds
    assert all(entry[4] == [] for entry in cold)
    assert len({entry[2] for entry in warm}) == 1
    assert warm[0][4] == [] and all(entry[4] for entry in warm[1:])
    rows = {row.mode: row for row in report.rows}
    assert rows["cold"].ours == 2.0 and rows["cold"].unit == "s"
    assert rows["warm"].ours == 5.5  # of 5 and 6: what filled the caches, 4, does not count


def test_every_cache_lies_below_the_given_folder(tmp_path):
    settings = environment(3, tmp_path, cold=False)
    assert len({settings[name] for name in CACHE_VARIABLES}) == len(CACHE_VARIABLES)
    assert all(Path(settings[name]).parent == tmp_path for name in CACHE_VARIABLES)
    assert f"base_compiledir={tmp_path / 'pytensor'}" in settings["PYTENSOR_FLAGS"]
    assert settings["OMP_NUM_THREADS"] == settings["GRAPHWRIGHT_THREADS"] == "3"


def test_a_peer_that_fails_is_a_note_and_we_are_an_error():
    def broken(module, data):
        raise ValueError("no compiler")

    subject = SUBJECTS["mlp32 infer"]
    peer = replace(subject, definitions={**subject.definitions, "numpy": broken})
    found = steady(peer, request("numpy"))
    assert found["notes"] == {"numpy": "ValueError: no compiler"} and set(found["times"]) == {OURS}
    us = replace(subject, definitions={**subject.definitions, OURS: broken})
    with pytest.raises(ValueError, match="no compiler"):
        steady(us, request("numpy"))


def test_memory_is_read_in_bytes():
    held = np.ones(40_000_000, np.uint8)
    assert held.nbytes < status_bytes("VmRSS") <= status_bytes("VmHWM") < 2**45


# Reports.


def row(workload, **changes):
    values = {name: 123456.7 for name in MODULES if name != OURS}
    spread = dict.fromkeys(MODULES, (1.0, 3.0))
    return replace(Row(workload, "memory", 123456.7, "MB", values, spread), **changes)


def test_tables_fit_into_a_terminal():
    speed = dict.fromkeys(MODULES, 12345.6)
    longest = max((subject.workload for subject in subjects(quick=False)), key=len)
    report = Report([row(longest, gflops=speed)], [])
    lines = [*times(report), *speeds(report.rows, 500.0)]
    assert len(lines) == 4
    assert max(map(len, lines)) <= 100
    assert len({len(line) for line in lines[:2]}) == len({len(line) for line in lines[2:]}) == 1


def test_the_ratio_is_the_best_peer_over_ours():
    better = row("x", ours=2.0, peers={"torch": 5.0, "jax": 4.0}, beside={"numpy": 1.0})
    assert better.ratio == 2.0
    (_, line) = times(Report([better], []))
    assert " 2.00×" in line and "(1.00)" in line and "50%" in line
    assert row("x", peers={}).ratio is None


def test_numbers_have_three_digits():
    values = [0.0123, 0.99949, 0.9996, 9.994, 9.996, 99.94, 99.96, 1234.5]
    assert [number(v) for v in values] == [
        "0.012", "0.999", "1.00", "9.99", "10.0", "99.9", "100", "1234",
    ]  # fmt: skip


def test_the_command_reports_every_mode(tmp_path, capsys):
    path = tmp_path / "out.json"
    assert main(["mlp32", "tiny_call", "--quick", "--threads", "1", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["machine"]["threads"] == 1
    assert written["machine"]["versions"]["numpy"] == np.__version__
    rows = {(row["workload"], row["mode"]): row for row in written["rows"]}
    assert [*rows] == [("mlp32", mode) for mode in MODES if mode != "call"] + [
        ("tiny_call", "call")
    ]
    for row in rows.values():
        assert row["ours"] > 0
        expected = {"numpy"} if row["mode"] in ("train", "infer", "call") else set()
        assert set(row["peers"]) == expected
        if expected:
            assert row["ratio"] == row["peers"]["numpy"] / row["ours"]
        assert f"\n{row['workload']:<20}" in "\n" + printed
    assert rows["mlp32", "memory"]["beside"].keys() == {"numpy"}


def test_who_is_not_installed_is_left_out_with_a_note(monkeypatch):
    monkeypatch.setitem(MODULES, "torch", "no_such_package")
    asked.clear()
    report = Asked(1, ["infer"], [OURS, "torch", "numpy"]).run([SUBJECTS["mlp32 infer"]])
    assert report.notes == ["torch is not installed"]
    assert asked[0][1] == [OURS, "numpy"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["resnet"], "no workload resnet; there are mlp32"),
        (["--modes", "train,fly"], "unknown: fly"),
        (["--threads", "0"], "--threads must be from 1"),
    ],
)
def test_mistakes_on_the_command_line(given, message, capsys):
    with pytest.raises(SystemExit):
        main(given)
    assert message in capsys.readouterr().err


def test_a_failing_process_is_told_with_what_it_said():
    subject = Subject("nothing such", "infer", "ms", dict, {})
    measurement = Measurement(1, ["infer"], [OURS], quick=True)
    with pytest.raises(Failed, match=r"exit status 1\n(.|\n)*KeyError: 'nothing such infer'"):
        measurement.run([subject])
