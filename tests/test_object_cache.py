"""Compiling and loading native code: what is compiled, what is found again, what is refused."""

import ctypes
import importlib
import threading

import pytest

from graphwright.compiler.native import objects
from graphwright.compiler.native.objects import compile_module, compiled, load
from graphwright.compiler.native.target import Target
from graphwright.graph.errors import CompileError


def module(number):
    """A module whose function returns `number`."""
    return f"define i64 @kernel() {{\n  ret i64 {number}\n}}"


def run(address):
    return ctypes.CFUNCTYPE(ctypes.c_int64)(address)()


def test_equal_texts_are_compiled_once_and_records_come_in_order():
    records = compiled([module(7), module(8), module(7)])
    assert [run(record.address) for record in records] == [7, 8, 7]
    assert records[0] is records[2] and records[0].seconds > 0
    again = compiled([module(8)])
    assert again[0].found == "memory" and again[0].code is records[1].code


def test_code_lives_as_long_as_it_is_held():
    [first] = compiled([module(9)])
    assert first.found.startswith("compiled: ")
    [second] = compiled([module(9)])
    del first
    assert compiled([module(9)])[0].found == "memory" and run(second.address) == 9
    del second
    assert compiled([module(9)])[0].found != "memory"


def test_threads_share_the_work_and_one_thread_does_it_all():
    for threads in (1, 2, 5):
        numbers = range(100 * threads, 100 * threads + 30)
        records = compiled([module(number) for number in numbers], threads=threads)
        assert [run(record.address) for record in records] == list(numbers)


def test_threads_compile_while_another_is_in_llvm():
    """llvmlite's lock is held here, and code is made nonetheless."""
    ffi = importlib.import_module("llvmlite.binding.ffi")
    emit = objects._free("LLVMPY_TargetMachineEmitToMemory")
    made = []
    with (
        objects._Compiler(Target.host()) as compiler,
        compiler.optimized(module(12)) as optimized,
        ffi.OutputString() as message,
    ):
        thread = threading.Thread(
            target=lambda: made.append(emit(compiler.machine, optimized, 1, message))
        )
        with ffi.lib._lock:
            thread.start()
            thread.join(timeout=60)
            assert made
        ffi.lib.LLVMPY_DisposeMemoryBuffer(made[0])


def test_without_a_way_around_the_lock_code_is_made_too(monkeypatch):
    ffi = importlib.import_module("llvmlite.binding.ffi")
    monkeypatch.setattr(type(ffi.lib), "_name", property(lambda self: "no such library"))
    objects._free.cache_clear()
    try:
        records = compiled([module(number) for number in range(30, 40)], threads=2)
        assert [run(record.address) for record in records] == list(range(30, 40))
    finally:
        objects._free.cache_clear()


def test_functions_can_be_imported():
    text = "declare i64 @given()\ndefine i64 @kernel() {\n  %x = call i64 @given()\n  ret i64 %x\n}"
    [given] = compiled([module(11)])
    code = load(compile_module(text, Target.host()), {"given": given.address})
    assert run(code.address) == 11
    with pytest.raises(CompileError, match="could not be loaded"):
        load(compile_module(text, Target.host()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "define void @kernel() {\n  %a = add i32 1, 2.0\n  ret void\n}",
            "constant invalid for type\n  line 2  %a = add i32 1, 2.0",
        ),
        ("define void @kernel() {\n  ret i32 0\n}", "line 2  ret i32 0"),
        ("nonsense", "line 1  nonsense"),
        (
            "define i32 @kernel(i32 %c) {\n  br label %end\nend:\n"
            "  %a = add i32 %b, 2\n  %b = add i32 %c, 1\n  ret i32 %a\n}",
            "does not dominate all uses!\n  line 5  %b = add i32 %c, 1",
        ),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_texts_that_llvm_refuses_are_shown_at_their_line(text, message, threads):
    with pytest.raises(CompileError) as refused:
        compiled([module(21), text, module(22)], threads=threads)
    assert "LLVM refuses the text of a kernel: " in str(refused.value)
    assert message in str(refused.value)
    assert run(compiled([module(21)])[0].address) == 21
