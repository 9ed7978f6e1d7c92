"""Kinds of CPU whose native code this machine can run, and a way to call that code."""

from __future__ import annotations

import ctypes
import re

import numpy as np

from graphwright.compiler.native.objects import assembly, compile_module, compiled
from graphwright.compiler.native.target import Target

LEVELS = ["x86-64-v2", "x86-64-v3", "x86-64-v4"]


def runnable() -> list[Target]:
    """The host and the lower levels of its architecture, the host first."""
    host = Target.host()
    if host.architecture != "x86_64":
        return [host]
    below = [Target.of(host.triple, level) for level in LEVELS]
    lower = [target for target in below if target.vector_bytes <= host.vector_bytes]
    return list(dict.fromkeys([host, *lower]))


def call(text: str, *arrays: np.ndarray, target: Target | None = None) -> None:
    """Run the function `kernel` of a module, given a pointer to each array and a count.

    The count is the number of elements of the first array.
    """
    [record] = compiled([text], target)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    kinds = [ctypes.c_void_p] * len(arrays)
    ctypes.CFUNCTYPE(None, *kinds, ctypes.c_int64)(record.address)(*pointers, arrays[0].size)


def check_objects_for_arm(*texts: str) -> None:
    """Make AArch64 objects of modules; all that they call and have not must be in any C library."""
    target = Target.of("aarch64-unknown-linux-gnu", "cortex-a72")
    for text in texts:
        made = compile_module(text, target)
        assert made[:4] == b"\x7fELF" and made[18] == 183, "not an object for AArch64"
        called = set(re.findall(r"^\s+bl?\s+([A-Za-z_]\w*)$", assembly(text, target), re.MULTILINE))
        called -= set(re.findall(r"^define .*@([\w.]+)\(", text, re.MULTILINE))
        assert called <= {"memcpy", "memmove", "memset", "fmod", "fmodf"}, called


def map_text(expression: str, source: str, result: str, declarations: str = "") -> str:
    """A module that computes `%y` (of type `result`) from each `%x` (of type `source`)."""
    return f"""{declarations}
define void @kernel(ptr %input, ptr %output, i64 %count) {{
entry:
  br label %head
head:
  %i = phi i64 [0, %entry], [%next, %body]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %from = getelementptr {source}, ptr %input, i64 %i
  %to = getelementptr {result}, ptr %output, i64 %i
  %x = load {source}, ptr %from
  {expression}
  store {result} %y, ptr %to
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}}"""
