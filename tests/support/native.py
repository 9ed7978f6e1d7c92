"""Small kernels for tests of native programs, written by hand, and a process to run scripts in."""

import ctypes
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np

from graphwright.compiler.native.objects import compiled
from graphwright.compiler.native.runner import Pool
from graphwright.runtime.native_program import Base, KernelCall, NativeProgram, Stage
from graphwright.runtime.pool import pool

# Each loops over its tiles; {body} is one of them.
LOOP = """
define void @kernel(ptr %arguments, i64 %first, i64 %last, ptr %scratch) {{
entry:
  %a = load ptr, ptr %arguments
  %b.at = getelementptr ptr, ptr %arguments, i64 1
  %b = load ptr, ptr %b.at
  %c.at = getelementptr ptr, ptr %arguments, i64 2
  %number = load i64, ptr %c.at
  br label %look
look:
  %i = phi i64 [%first, %entry], [%next, %done]
  %more = icmp slt i64 %i, %last
  br i1 %more, label %tile, label %over
tile:
  %a.i = getelementptr i64, ptr %a, i64 %i
  %b.i = getelementptr i64, ptr %b, i64 %i
{body}
done:
  %next = add i64 %i, 1
  br label %look
over:
  ret void
}}
"""

BODIES = {
    # b[i] = a[i] * 3 + number
    "affine": """
  %x = load i64, ptr %a.i
  %y = mul i64 %x, 3
  %z = add i64 %y, %number
  store i64 %z, ptr %b.i
  br label %done""",
    # b[i] += 1: how often a tile has been run
    "count": """
  %x = load i64, ptr %b.i
  %y = add i64 %x, 1
  store i64 %y, ptr %b.i
  br label %done""",
    # b[i] = a[n - 1 - i] + 1: tiles read what other tiles wrote in the stage before
    "reverse": """
  %m = sub i64 %number, 1
  %j = sub i64 %m, %i
  %a.j = getelementptr i64, ptr %a, i64 %j
  %x = load i64, ptr %a.j
  %y = add i64 %x, 1
  store i64 %y, ptr %b.i
  br label %done""",
    # `number` turns of work in scratch memory, which nobody else may touch; b[i] = a[i] + number
    "scratch": """
  %x = load i64, ptr %a.i
  store volatile i64 %x, ptr %scratch
  br label %turn
turn:
  %t = phi i64 [0, %tile], [%t.next, %turn]
  %s = load volatile i64, ptr %scratch
  %s.next = add i64 %s, 1
  store volatile i64 %s.next, ptr %scratch
  %t.next = add i64 %t, 1
  %turns = icmp slt i64 %t.next, %number
  br i1 %turns, label %turn, label %end
end:
  %y = load volatile i64, ptr %scratch
  store i64 %y, ptr %b.i
  br label %done""",
    # waits until `number` tiles wait: b[i] = 1 if they meet within some seconds. The argument
    # after that is what lets others have the processor meanwhile.
    "meet": """
  %yield.at = getelementptr ptr, ptr %arguments, i64 3
  %yield = load ptr, ptr %yield.at
  %before = atomicrmw add ptr %a, i64 1 seq_cst
  br label %wait
wait:
  %turn = phi i64 [0, %tile], [%turn.next, %again]
  %there = load atomic i64, ptr %a seq_cst, align 8
  %met = icmp sge i64 %there, %number
  br i1 %met, label %store, label %again
again:
  %yielded = call i32 %yield()
  %turn.next = add i64 %turn, 1
  %patient = icmp slt i64 %turn.next, 20000000
  br i1 %patient, label %wait, label %done
store:
  store i64 1, ptr %b.i
  br label %done""",
    # stores number in a when tile 5 is run: a is the error slot
    "fail": """
  %is = icmp eq i64 %i, 5
  br i1 %is, label %store, label %done
store:
  store i64 %number, ptr %a
  br label %done""",
}


@cache
def kernel(name):
    """The address of one of the kernels above."""
    [record] = compiled([LOOP.format(body=BODIES[name])])
    _kept.append(record)
    return record.address


_kept = []


def counting(tiles, stages, chunk=1, calls=1, **options):
    """A program on one array of tiles * calls numbers: each stage adds 1 to all of them."""
    parts = [
        KernelCall(kernel("count"), [0, Base(0, 8 * tiles * number), 0], tiles)
        for number in range(calls)
    ]
    return NativeProgram([Stage(parts, chunk)] * stages, 1, **options)


def meeting(count, stages):
    """A program on two arrays: in each stage, `count` threads must be at work at the same time.

    The first array has a number for each stage, 0 at the start; the second one for each tile.
    """
    giving_way = int(pool().table[Pool.YIELD])
    made = []
    for stage in range(stages):
        slots = [Base(0, 8 * stage), Base(1, 8 * count * stage), count, giving_way]
        made.append(Stage([KernelCall(kernel("meet"), slots, count)], 1))
    return NativeProgram(made, 2, long=True)


def meet(program, count, stages):
    """Whether all meet in all stages."""
    there, met = zeros(stages), zeros(stages * count)
    return program.run([there, met]) == 0 and (met == 1).all()


def zeros(count):
    return np.zeros(count, np.int64)


def address(array):
    return array.ctypes.data_as(ctypes.c_void_p).value


def script(code, timeout=60, **environment):
    """Run Python code in a process of its own, which can import what tests import."""
    here = str(Path(__file__).parent.parent)
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": path, **environment},
        check=False,
    )
