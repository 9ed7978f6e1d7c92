"""From the text of kernels to machine code in memory.

`compiled(texts, target)` is the way: it looks in memory, then on disk, compiles the rest on several
threads, loads the code, and says for each text where its code came from. `compile_module` and
`load` are its two halves.

How long it takes, on one core, the median of a few runs: 7.7 ms for 10 coefficients of a polynomial
on 16 floats four times in a row, with a masked tail; 8.9 ms for the 14×32 tile of a matrix product;
1 ms for an empty function. The passes take 2 ms of that and making the code 5 to 6, at each of
LLVM's levels alike. The default pipeline (`O1`, nothing vectorized) takes 7 ms for its passes, with
code no faster. Loading an object takes 0.1 ms. Two threads need 0.52 of the time of one.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import itertools
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self
from weakref import WeakValueDictionary

from graphwright.compiler.native.conversions import CONVERSIONS
from graphwright.compiler.native.disk_cache import DiskCache
from graphwright.compiler.native.target import Target, llvm
from graphwright.graph.errors import CompileError

# What text that is vectorized already needs, and no more: small functions become part of their
# callers, variables become registers, tests move to the end of loops. Nothing here changes what is
# computed in floating point; a product and a sum become an `fma` only where the text says so.
_PASSES = [
    "global_dead_code_eliminate",
    "sroa",
    "always_inliner",
    "sroa",
    "instruction_combine",
    "simplify_cfg",
    "loop_rotate",
]

# Functions of the C library that LLVM may call: for copies, for `frem`, and for `llvm.fma` where
# the CPU has no such instruction.
_LIBRARY = ["memcpy", "memmove", "memset", "bzero", "fma", "fmaf", "fmod", "fmodf"]


@dataclass(frozen=True, eq=False)
class Code:
    """Machine code in memory. It stays there as long as somebody holds this object.

    address: of the function `kernel`
    size:    bytes of the object
    """

    address: int
    size: int
    library: Any = field(repr=False)


@dataclass(frozen=True)
class Compiled:
    """How a text became code.

    code:    where it is; hold on to it as long as it may run
    found:   "memory", "disk", or "compiled: " and why: "compiled: not in the cache"
    seconds: to find it or to compile it, and to load it
    """

    code: Code
    found: str
    seconds: float

    @property
    def address(self) -> int:
        """The address of the function `kernel`."""
        return self.code.address


def compiled(
    texts: Sequence[str], target: Target | None = None, threads: int | None = None
) -> list[Compiled]:
    """The code of each text, one record for each, in order.

    Equal texts share their code, in the whole process and as long as it is held by somebody. What
    is neither in memory nor on disk is compiled on `threads` threads (as many as the process may
    use, if not given), and kept on disk.
    `target` is the host if not given, and must be one whose code the host runs.
    Raises CompileError if LLVM refuses a text.
    """
    target = target or Target.host()
    records: dict[str, Compiled] = {}
    for text in texts:
        code = _IN_MEMORY.get((text, target))
        if code is not None:
            records[text] = Compiled(code, "memory", 0.0)
    missing = [text for text in dict.fromkeys(texts) if text not in records]
    if missing:
        records |= _from_disk_or_compiled(missing, target, threads or _usable_cores())
    return [records[text] for text in texts]


_IN_MEMORY: WeakValueDictionary[tuple[str, Target], Code] = WeakValueDictionary()


def _from_disk_or_compiled(
    texts: Sequence[str], target: Target, threads: int
) -> dict[str, Compiled]:
    """What is not in memory, by text. Compiled objects are kept on disk."""
    cache = DiskCache.current()
    keys = {text: _key(text, target) for text in texts}
    records: dict[str, Compiled] = {}
    reasons: dict[str, str] = {}
    for text, key in keys.items():
        start = time.perf_counter()
        made, reason = cache.read(key)
        if made is None:
            reasons[text] = reason
        else:
            records[text] = _remembered(text, target, made, "disk", start)
    for text, (made, seconds) in _compile_all(list(reasons), target, threads).items():
        reason = reasons[text]
        trouble = cache.write(keys[text], made)
        if trouble and trouble != reason:
            reason += f", and could not be kept ({trouble})"
        start = time.perf_counter() - seconds
        records[text] = _remembered(text, target, made, f"compiled: {reason}", start)
    return records


def _remembered(text: str, target: Target, made: bytes, found: str, start: float) -> Compiled:
    """Load an object, for all who ask for this text as long as the code is held."""
    code = _IN_MEMORY[text, target] = load(made)
    return Compiled(code, found, time.perf_counter() - start)


def _key(text: str, target: Target) -> str:
    """A hash of all that an object depends on."""
    llvmlite = importlib.import_module("llvmlite").__version__
    version = ".".join(map(str, llvm().llvm_version_info))
    cpu = [target.triple, target.cpu, target.features]
    parts = ["objects 1", llvmlite, version, *_PASSES, *cpu, text]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def compile_module(text: str, target: Target) -> bytes:
    """An object with the machine code of a module, for any target.

    Raises CompileError, with the line of the text, if LLVM refuses it.
    """
    with _Compiler(target) as compiler:
        return compiler.compile(text)


def assembly(text: str, target: Target) -> str:
    """The assembly of the object that `compile_module` makes, to read. Raises as that does."""
    with _Compiler(target) as compiler, compiler.optimized(text) as module:
        result: str = compiler.machine.emit_assembly(module)
        return result


def load(made: bytes, imports: Mapping[str, int] | None = None) -> Code:
    """Load an object for the host and find its function `kernel`.

    imports: addresses of functions and data that the object uses and doesn't define, beside those
    that LLVM calls on its own (copies, `fma`, `fmod`, conversions of half and bfloat).
    Raises CompileError if a name stays unknown.
    """
    builder = llvm().JITLibraryBuilder().add_object_img(made).export_symbol("kernel")
    for name, address in {**_called_by_llvm(made), **(imports or {})}.items():
        builder.import_symbol(name, address)
    try:
        library = builder.link(_linker(), f"graphwright.{next(_NUMBERS)}")
    except RuntimeError as error:
        raise CompileError(f"native code could not be loaded: {error}") from error
    return Code(library["kernel"], len(made), library)


_NUMBERS = itertools.count()


def _called_by_llvm(made: bytes) -> dict[str, int]:
    """Addresses of the functions that LLVM may call on its own, if their names are in an object."""
    binding = llvm()
    found = {}
    for name in _LIBRARY:
        if name.encode() in made and (address := binding.address_of_symbol(name)):
            found[name] = address
    for name in CONVERSIONS:
        if name.encode() in made:
            found[name] = _conversion(name).address
    return found


@cache
def _conversion(name: str) -> Code:
    [record] = compiled([CONVERSIONS[name]])
    return record.code


@cache
def _linker() -> Any:
    """The process's LLJIT, which puts objects into memory."""
    return llvm().create_lljit_compiler(
        Target.host().machine(), use_jit_link=os.name != "nt", suppress_errors=True
    )


def _compile_all(
    texts: Sequence[str], target: Target, threads: int
) -> dict[str, tuple[bytes, float]]:
    """The objects of different texts and how many seconds each took, by text."""
    waiting = sorted(texts, key=len, reverse=True)  # the longest first: threads end together
    shared = iter(waiting)  # each thread takes the next one
    made: dict[str, tuple[bytes, float]] = {}
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with _Compiler(target) as compiler:
                for text in shared:
                    start = time.perf_counter()
                    made[text] = compiler.compile(text), time.perf_counter() - start
        except BaseException as error:  # Ctrl-C too: nothing more is begun
            waiting.clear()
            errors.append(error)

    if not texts:
        return made
    llvm(target.triple)  # set up once, before there are threads
    helpers = [threading.Thread(target=work) for _ in range(min(threads, len(texts)) - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
    return made


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Compiler:
    """Compiles one text after another for a target; each thread needs its own.

    What LLVM holds for it is given back in order at the end: left to the garbage collector, a
    context may go before the module in it, and LLVM crashes.
    """

    def __init__(self, target: Target) -> None:
        binding = llvm(target.triple)
        self.machine = target.machine()
        # In front of the first line, so that numbers of lines stay what they are.
        layout = self.machine.target_data
        self.heading = f'target datalayout = "{layout}" target triple = "{target.triple}" '
        self.tuning = binding.create_pipeline_tuning_options(speed_level=1)
        self.builder = binding.create_pass_builder(self.machine, self.tuning)
        self.passes = binding.create_new_module_pass_manager()
        for name in _PASSES:
            getattr(self.passes, f"add_{name}_pass")()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for held in (self.passes, self.builder, self.tuning, self.machine):
            held.close()

    def compile(self, text: str) -> bytes:
        """The object of a module."""
        ffi = importlib.import_module("llvmlite.binding.ffi")
        with self.optimized(text) as module, ffi.OutputString() as message:
            made = _free("LLVMPY_TargetMachineEmitToMemory")(self.machine, module, 1, message)
            if not made:
                raise CompileError(f"LLVM made no object of a kernel: {message}")
        try:
            start = ffi.lib.LLVMPY_GetBufferStart(made)
            return ctypes.string_at(start, ffi.lib.LLVMPY_GetBufferSize(made))
        finally:
            ffi.lib.LLVMPY_DisposeMemoryBuffer(made)

    @contextmanager
    def optimized(self, text: str) -> Iterator[Any]:
        """The module after all passes, in a context of its own, as long as the block runs."""
        binding = llvm()
        with binding.create_context() as context:
            try:
                module = binding.parse_assembly(self.heading + text, context)
            except RuntimeError as error:
                raise _refused(text, str(error)) from None
            with module:
                try:
                    module.verify()
                except RuntimeError as error:
                    raise _refused(text, str(error)) from None
                _free("LLVMPY_RunNewModulePassManager")(self.passes, module, self.builder)
                yield module


@cache
def _free(name: str) -> Callable[..., Any]:
    """A function of llvmlite's library, called without llvmlite's lock.

    llvmlite lets one thread at a time call LLVM. LLVM itself only asks that threads share no
    context and no target machine, and ours don't: each has its own. So the two calls that take
    nearly all the time go around the lock.
    """
    ffi = importlib.import_module("llvmlite.binding.ffi")
    locked: Callable[..., Any] = getattr(ffi.lib, name)
    try:
        library = ctypes.CDLL(ffi.lib._name)
    except (AttributeError, OSError):  # a llvmlite that is built otherwise: one thread at a time
        return locked
    free: Callable[..., Any] = library[name]
    free.argtypes, free.restype = locked.argtypes, locked.restype  # type: ignore[attr-defined]
    return free


def _refused(text: str, message: str) -> CompileError:
    """What LLVM said when it parsed or verified a text, with the line that it means."""
    lines = text.splitlines()
    place = re.search(r"<string>:(\d+):\d+: error: (.*)", message)
    if place:
        number, what = int(place[1]), place[2]
    else:
        what, *shown = message.strip().splitlines()
        number = _line_of(lines, shown)
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    details = [(f"line {number}", line)] if line else []
    return CompileError(f"LLVM refuses the text of a kernel: {what}", details=details)


def _line_of(lines: Sequence[str], shown: Sequence[str]) -> int:
    """The number of the line that defines or holds what the verifier shows; 0 if none does."""
    for text in shown:
        wanted = text.split("=")[0].strip() + " =" if "=" in text else text.strip()
        for number, line in enumerate(lines, 1):
            if wanted and line.strip().startswith(wanted):
                return number
    return 0
