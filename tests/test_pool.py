"""The pool of threads and the runner of native programs, on kernels written by hand."""

import ctypes
import os
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest
from support.native import counting, kernel, meet, meeting, script, zeros

import graphwright as gw
from graphwright.compiler.native.objects import compile_module
from graphwright.compiler.native.runner import REST, Pool, runner_text
from graphwright.compiler.native.target import Target
from graphwright.runtime.native_program import Base, KernelCall, NativeProgram, Stage
from graphwright.runtime.pool import pool


@pytest.fixture(autouse=True)
def as_before():
    before = gw.threads()
    yield
    gw.threads(before)


def workers():
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("graphwright-"))


# The number of threads.


def test_threads_says_and_sets_how_many():
    for count in (3, 1, np.int64(2)):
        assert gw.threads(count) == gw.threads() == count
        assert type(gw.threads()) is int


@pytest.mark.parametrize("count", [0, -1, 1025, 2.0, "2", True, np.float32(2)])
def test_threads_refuses_what_is_no_number_of_threads(count):
    before = gw.threads()
    with pytest.raises(gw.AttributeValueError) as caught:
        gw.threads(count)
    assert str(caught.value).startswith(f"threads can't be {count!r}\n  at  test_pool.py:")
    assert "hint: a whole number from 1 to 1024" in str(caught.value)
    assert gw.threads() == before


def test_workers_start_with_the_first_program_that_has_use_for_them():
    gw.threads(1)
    gw.threads(4)
    assert workers() == []
    counting(9, 1, 0).run([zeros(9)])
    assert workers() == []
    counting(9, 1, 1).run([zeros(9)])
    assert workers() == ["graphwright-1", "graphwright-2", "graphwright-3"]
    assert all(t.daemon for t in threading.enumerate() if t.name in workers())
    gw.threads(2)
    assert workers() == []
    counting(9, 1, 1).run([zeros(9)])
    assert workers() == ["graphwright-1"]


def test_a_system_that_allows_no_more_threads_has_fewer(monkeypatch):
    start, started = threading.Thread.start, []

    def limited(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    gw.threads(1)
    gw.threads(8)
    monkeypatch.setattr(threading.Thread, "start", limited)
    runs = zeros(100)
    assert counting(100, 3, 1).run([runs]) == 0
    assert (runs == 3).all() and len(workers()) == 2


def test_what_starting_workers_gives_back_is_let_go():
    gw.threads(2)
    program, runs, table, result = counting(9, 1), zeros(9), pool().table, object()

    def start():
        table[Pool.STARTED] = 1
        return result

    before = int(table[Pool.START])
    table[Pool.START] = id(start)
    try:
        count = sys.getrefcount(result)
        for _ in range(10):
            table[Pool.STARTED] = 0
            assert program.run([runs]) == 0
        assert sys.getrefcount(result) == count
    finally:
        table[Pool.START] = before
        table[Pool.STARTED] = 0


def test_an_interrupt_while_workers_start_leaves_none_behind(monkeypatch):
    start, started = threading.Thread.start, []

    def interrupted(thread):
        start(thread)
        started.append(thread)
        if len(started) == 2:
            raise KeyboardInterrupt

    gw.threads(1)
    gw.threads(4)
    program, runs = counting(100, 3, 1), zeros(100)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            program.run([runs])
    assert workers() == [] and (runs == 0).all()
    assert program.run([runs]) == 0 and (runs == 3).all() and len(workers()) == 3


@pytest.mark.parametrize(
    ("text", "printed"), [("5", "5"), ("many", "GRAPHWRIGHT_THREADS=many: no number of threads")]
)
def test_the_environment_is_read_at_first_use(text, printed):
    code = """
import graphwright as gw
print("imported")
try:
    print(gw.threads())
except gw.AttributeValueError as error:
    print(error.what)
"""
    done = script(code, GRAPHWRIGHT_THREADS=text)
    assert done.stdout == f"imported\n{printed}\n"


# Several callers, sleep and wake.


def test_several_python_threads_run_programs_at_once():
    gw.threads(4)
    wrong, done = [], []

    def caller(seed):
        tiles = 50 + seed
        program, runs = counting(tiles, 10, 1 + seed, long=True), zeros(tiles)
        for _ in range(200):
            runs[:] = 0
            if program.run([runs]) or not (runs == 10).all():
                wrong.append(runs.copy())
        done.append(seed)

    callers = [threading.Thread(target=caller, args=(seed,)) for seed in range(6)]
    for each in callers:
        each.start()
    for count in (2, 5, 1, 3, 4):
        time.sleep(0.01)
        gw.threads(count)
    for each in callers:
        each.join(60)
    assert wrong == [] and sorted(done) == list(range(6))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_all_threads_take_part_after_any_time_of_idleness(count):
    gw.threads(count)
    draw = random.Random(count)
    program = meeting(count, 2)
    rest = pool()._function(REST, None, ctypes.c_int64)
    for _ in range(300):
        assert meet(program, count, 2)
        gap = draw.random()
        if gap < 0.2:
            time.sleep(gap / 100)
        elif gap < 0.8:
            rest(int(gap * 2 * pool().table[Pool.SHORT_SPIN]))  # about when workers fall asleep


def test_those_left_asleep_by_a_small_stage_are_woken_by_a_larger_one():
    gw.threads(4)
    small, large, runs = counting(2, 1, 1), meeting(4, 1), zeros(2)
    assert meet(large, 4, 1)
    for _ in range(5):
        time.sleep(0.02)  # all fall asleep; then one is woken
        small.run([runs])
        assert meet(large, 4, 1)


def test_thousands_of_short_programs_with_gaps_run_every_tile():
    gw.threads(2)
    draw = random.Random(0)
    program, runs = counting(16, 3, 1), zeros(16)
    rest = pool()._function(REST, None, ctypes.c_int64)
    for times in range(1, 4001):
        assert program.run([runs]) == 0
        assert (runs == 3 * times).all()
        rest(draw.randrange(2 * int(pool().table[Pool.SHORT_SPIN])))


def test_a_sleeping_caller_is_woken_by_the_last_worker():
    gw.threads(2)
    source, target = zeros(2), zeros(2)
    call = KernelCall(kernel("scratch"), [Base(0), Base(1), 2_000_000], 2)
    program = NativeProgram([Stage([call], 1)], 2, scratch=8, long=True)
    for _ in range(20):
        target[:] = 0
        assert program.run([source, target]) == 0
        assert (target == 2_000_000).all()


def test_idle_workers_use_no_processor():
    gw.threads(4)
    program, runs = counting(100, 20, 1), zeros(100)
    program.run([runs])
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.4)
    assert time.process_time() - before < 0.04


# Signals.


def test_ctrl_c_is_answered_after_the_program_and_the_pool_goes_on():
    gw.threads(2)
    source, target = zeros(40), zeros(40)
    call = KernelCall(kernel("scratch"), [Base(0), Base(1), 100_000], 40)
    program = NativeProgram([Stage([call], 1)] * 10, 2, scratch=8, long=True)
    timer = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        while True:
            target[:] = 0
            program.run([source, target])
    timer.join()
    assert (target == 100_000).all() or (target == 0).all()
    target[:] = 0
    assert program.run([source, target]) == 0
    assert (target == 100_000).all() and len(workers()) == 1


# Other machines.


@pytest.mark.parametrize(
    "triple",
    ["aarch64-unknown-linux-gnu", "arm64-apple-darwin", "x86_64-pc-windows-msvc", "riscv64-linux"],
)
@pytest.mark.parametrize("head", [16, 32])
def test_the_runner_compiles_for_other_machines(triple, head):
    target = Target.of(triple)
    assert len(compile_module(runner_text(target.architecture, head), target)) > 1000
