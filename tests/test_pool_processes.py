"""The pool of threads and the life of processes: forks, exits, systems without futexes."""

import pytest
from support.native import script


def ran_well(done):
    assert (done.stdout.split(), done.stderr, done.returncode) == (["well"], "", 0)


PROGRAM = """
import os, sys, threading, time, warnings
import graphwright as gw
from support.native import counting, kernel, meet, meeting, zeros
warnings.simplefilter("ignore", DeprecationWarning)
gw.threads(3)
program, runs = counting(30, 20, 1, long=True), zeros(30)
def check():
    for _ in range(20):
        runs[:] = 0
        assert program.run([runs]) == 0 and (runs == 20).all()
def all_take_part(count):
    together = meeting(count, 3)
    assert all(meet(together, count, 3) for _ in range(5))
def names():
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("graphwright-"))
"""


def test_a_forked_child_has_workers_of_its_own():
    code = """
check()
child = os.fork()
if child == 0:
    assert names() == []
    check()
    assert names() == ["graphwright-1", "graphwright-2"]
    all_take_part(3)
    grandchild = os.fork()
    if grandchild == 0:
        gw.threads(2)
        check()
        os._exit(7 if names() == ["graphwright-1"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 7
    check()
    sys.exit(5)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
check()
print("well")
"""
    ran_well(script(PROGRAM + code))


def test_children_forked_while_a_program_has_the_pool_find_it_free():
    code = """
stop = False
def busy():
    other, mine = counting(30, 2000, 1, long=True), zeros(30)
    while not stop:
        other.run([mine])
thread = threading.Thread(target=busy)
thread.start()
taken = 0
for _ in range(30):
    taken += int(pool().table[Pool.LOCK])
    child = os.fork()
    if child == 0:
        assert pool().table[Pool.LOCK] == 0
        check()
        assert names() == ["graphwright-1", "graphwright-2"]
        os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
stop = True
thread.join()
assert taken
check()
print("well")
"""
    imports = """
from graphwright.compiler.native.runner import Pool
from graphwright.runtime.pool import pool
"""
    ran_well(script(PROGRAM + imports + code))


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "time.sleep(0.1)", "os._exit(0)"])
def test_the_interpreter_exits_whatever_the_workers_do(ending):
    ran_well(script(PROGRAM + f"check(); print('well', flush=True)\n{ending}"))


def test_the_interpreter_exits_while_a_program_runs_in_a_daemon_thread():
    code = """
def busy():
    other, mine = counting(30, 100, 1, long=True), zeros(30)
    while True:
        other.run([mine])
for _ in range(2):
    threading.Thread(target=busy, daemon=True).start()
check()
print("well", flush=True)
"""
    for _ in range(3):
        ran_well(script(PROGRAM + code))


def test_programs_run_at_exit_run_with_workers_or_alone():
    code = """
import atexit
def before():
    check()
    assert names() == ["graphwright-1", "graphwright-2"]
def after():
    check()
    assert names() == []
    print("well")
atexit.register(after)
program, runs = counting(30, 20, 1, long=True), zeros(30)
atexit.register(before)
"""
    made = "program, runs = counting(30, 20, 1, long=True), zeros(30)\n"
    assert made in PROGRAM
    ran_well(script(PROGRAM.replace(made, "") + code))


def test_without_futexes_workers_nap():
    code = """
import time
import graphwright as gw
from support.native import counting, meet, meeting, zeros
from graphwright.runtime.pool import pool
from graphwright.compiler.native.runner import Pool
pool().table[Pool.FUTEX] = 0
gw.threads(3)
program, runs = counting(40, 10, 1, long=True), zeros(40)
together = meeting(3, 2)
for times in range(1, 500):
    assert program.run([runs]) == 0 and (runs == 10 * times).all()
    assert times % 50 or meet(together, 3, 2)
    if times % 50 == 0:
        time.sleep(0.01)
time.sleep(0.1)
before = time.process_time()
time.sleep(0.4)
used = time.process_time() - before
print("well" if used < 0.1 else used)
"""
    ran_well(script(code))
