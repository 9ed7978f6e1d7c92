"""The CPU that code is made for: its name, its features, and what generators ask about it.

`Target.host()` is the machine at hand. The environment variable GRAPHWRIGHT_CPU chooses another
kind of CPU of the same architecture: `x86-64-v2`, `x86-64-v3` or `x86-64-v4` (the levels of the
x86-64 psABI), or any name that LLVM knows. `Target.of` is any CPU, to make objects for it.

512-bit vectors: for some CPUs LLVM prefers 256 bits, since loops that it vectorizes on its own gain
little there from more. It may then split vectors that are written with 512 bits. It doesn't where
a function has no attribute `min-legal-vector-width` (ours have none), and `-prefer-256-bit` among
the features says so once more.

The features of the host leave out conversions to bfloat16 in hardware (`avx512bf16`,
`avxneconvert`): they flush subnormal numbers to zero, so the same program would give other bits.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphwright.compiler.settings import settings
from graphwright.graph.errors import AttributeValueError

# What each level of the x86-64 psABI adds to the one before, in LLVM's names.
_LEVELS = {
    "x86-64": ["sse2"],
    "x86-64-v2": ["cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"],
    "x86-64-v3": ["avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"],
    "x86-64-v4": ["avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"],
}
_WIDE = ["avx512bw", "avx512dq", "avx512f", "avx512vl"]
_FLUSHING = ["avx512bf16", "avxneconvert"]  # their conversions make zeros of subnormal numbers


@dataclass(frozen=True)
class Target:
    """A kind of CPU.

    triple:       LLVM's name of architecture, vendor, system and object format
    cpu:          LLVM's name of the CPU
    features:     what is set (+) and unset (-) beyond that, comma-separated
    vector_bytes: bytes of the widest vector that one instruction computes with: 64, 32 or 16
    registers:    how many vector registers there are
    fma:          whether `llvm.fma` is an instruction; if not, a call, correct but slow
    masked:       whether masked loads and stores of all element sizes are instructions; if not,
                  LLVM makes branches of them
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    fma: bool
    masked: bool

    @classmethod
    def host(cls) -> Target:
        """The machine at hand, or what GRAPHWRIGHT_CPU asks for.

        Raises AttributeValueError for a name that LLVM doesn't know, and for a CPU whose code
        this machine can't run.
        """
        return _host(settings().cpu)

    @classmethod
    def of(cls, triple: str, cpu: str = "generic") -> Target:
        """A CPU of any architecture: ("aarch64-unknown-linux-gnu", "cortex-a72").

        Objects for it can be made here but not loaded. Raises AttributeValueError for an
        architecture or a name that LLVM doesn't know.
        """
        architecture = triple.partition("-")[0]
        known = _known_cpus(triple)
        if cpu not in known:
            raise _unknown(f"cpu {cpu!r} of {architecture}", cpu, known, ())
        features = "-prefer-256-bit" if architecture == "x86_64" else ""
        features = "+simd128" if architecture.startswith("wasm") else features
        has = _cumulated(cpu) if cpu in _LEVELS else _probed(triple, cpu, features)
        return cls(triple, cpu, features, *_facts(architecture, has))

    @property
    def architecture(self) -> str:
        """The first part of the triple: x86_64, aarch64 …"""
        return self.triple.partition("-")[0]

    def lanes(self, itemsize: int) -> int:
        """How many elements of so many bytes fill the widest vector."""
        return self.vector_bytes // itemsize

    def describe(self) -> str:
        """The CPU in words: `x86-64-v3 (256-bit vectors, 16 registers, fused multiply-add)`."""
        fused = ", fused multiply-add" if self.fma else ""
        width = 8 * self.vector_bytes
        return f"{self.cpu} ({width}-bit vectors, {self.registers} registers{fused})"

    def machine(self) -> Any:
        """A new `llvmlite.binding.TargetMachine`; one must not be used by two threads at once.

        The small code model, position independent: constants are near the code that loads them.
        Levels of optimization 1, 2 and 3 took the same time and made equally fast code.
        """
        target = llvm(self.triple).Target.from_triple(self.triple)
        return target.create_target_machine(
            cpu=self.cpu, features=self.features, opt=2, reloc="pic", codemodel="small"
        )


def llvm(triple: str = "") -> Any:
    """The module `llvmlite.binding`, with what code for `triple` (the host's) needs set up."""
    return _loaded(native=not triple or triple == _loaded(native=True).get_process_triple())


@cache
def _loaded(native: bool) -> Any:
    binding = importlib.import_module("llvmlite.binding")  # slow to load, so loaded when used
    if native:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
    else:
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
    return binding


@cache
def _host(name: str) -> Target:
    """The host, or the CPU `name` of the host's architecture."""
    binding = llvm()
    triple = binding.get_process_triple()
    # llvmlite loads objects on Windows in ELF format.
    triple += "-elf" if os.name == "nt" else ""
    architecture = triple.partition("-")[0]
    own = binding.get_host_cpu_name()
    host = dict(binding.get_host_cpu_features())
    if architecture == "x86_64":
        host.update(dict.fromkeys([*_FLUSHING, "prefer-256-bit"], False))
    has = {feature for feature, on in host.items() if on}
    flags = [f"{'+' if on else '-'}{feature}" for feature, on in sorted(host.items())]
    if name in ("", own):
        return Target(triple, own, ",".join(flags), *_facts(architecture, has))
    if architecture == "x86_64" and name in _LEVELS:
        _must_run(name, own, _cumulated(name), has)
        return Target(triple, name, "-prefer-256-bit", *_facts(architecture, _cumulated(name)))
    known = _known_cpus(triple)
    if name not in known:
        choices = [*(_LEVELS if architecture == "x86_64" else ()), own]
        raise _unknown(f"GRAPHWRIGHT_CPU={name}", name, known, choices)
    _must_run(name, own, _probed(triple, name, "-prefer-256-bit"), has)
    # Whatever the CPU has beyond that and this machine has not: left unused.
    lacking = ",".join(flag for flag in flags if flag.startswith("-"))
    return Target(triple, name, lacking, *_facts(architecture, _probed(triple, name, lacking)))


def _must_run(name: str, own: str, needed: Collection[str], has: Collection[str]) -> None:
    missing = sorted(set(needed) - set(has))
    if missing:
        raise AttributeValueError(
            f"GRAPHWRIGHT_CPU={name}: this machine can't run such code",
            details=[("has not", ", ".join(missing)), ("is a", own)],
            hint="unset GRAPHWRIGHT_CPU to have code made for this machine",
        )


def _unknown(
    what: str, name: str, known: Collection[str], choices: Sequence[str]
) -> AttributeValueError:
    near = difflib.get_close_matches(name, known, 4)
    listed = [*dict.fromkeys([*choices, *near])] or sorted(known)
    return AttributeValueError(
        f"{what}: no such CPU of this architecture is known",
        details=[("choices", f"{', '.join(listed)} and all others that LLVM knows")],
    )


def _cumulated(level: str) -> set[str]:
    """All features that a level of x86-64 promises."""
    names = list(_LEVELS)
    return {name for each in names[: names.index(level) + 1] for name in _LEVELS[each]}


def _facts(architecture: str, has: Collection[str]) -> tuple[int, int, bool, bool]:
    """`vector_bytes`, `registers`, `fma` and `masked` of a CPU with these features."""
    if architecture == "x86_64":
        wide = all(feature in has for feature in _WIDE)
        width = 64 if wide else 32 if "avx2" in has else 16
        return width, 32 if wide else 16, "fma" in has, wide
    if architecture in ("aarch64", "arm64"):
        return 16, 32, True, False
    return 16, 16, False, False


# Functions whose code shows what a CPU of x86-64 can do, under the name of the feature. All CPUs
# with the byte instructions of AVX-512 have its other parts that we ask for.
_PROBE = """
declare float @llvm.fma.f32(float, float, float)
define float @fma(float %x) {
  %result = call float @llvm.fma.f32(float %x, float %x, float %x)
  ret float %result
}
define void @avx2(ptr %p) {
  %x = load <32 x i8>, ptr %p
  %result = add <32 x i8> %x, %x
  store <32 x i8> %result, ptr %p
  ret void
}
define void @avx512(ptr %p) {
  %x = load <64 x i8>, ptr %p
  %result = add <64 x i8> %x, %x
  store <64 x i8> %result, ptr %p
  ret void
}
"""


@cache
def _probed(triple: str, cpu: str, features: str) -> frozenset[str]:
    """What a CPU has of the features that matter to us, read off code that LLVM makes for it."""
    if not triple.startswith("x86_64"):
        return frozenset()
    binding = llvm(triple)
    # Without 64bit, LLVM ends the process for a CPU of 32 bits.
    machine = binding.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=f"+64bit,{features}"
    )
    code = machine.emit_assembly(binding.parse_assembly(_PROBE, binding.create_context()))
    pieces = re.split(r"^_?(fma|avx2|avx512):", code, flags=re.MULTILINE)
    bodies = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    has = set(_LEVELS["x86-64"])
    has |= {"fma"} if "vfmadd" in bodies["fma"] else set()
    has |= {"avx2"} if "ymm" in bodies["avx2"] and "xmm" not in bodies["avx2"] else set()
    has |= set(_WIDE) if "zmm" in bodies["avx512"] else set()
    return frozenset(has)


@cache
def _known_cpus(triple: str) -> frozenset[str]:
    """The names of CPUs that LLVM knows for a triple, `generic` always among them.

    LLVM prints them on its way, and ends the process over some that it doesn't know: hence a
    process of its own. AttributeValueError for an architecture that LLVM doesn't know.
    """
    script = (
        "import sys, llvmlite.binding as llvm\n"
        "llvm.initialize_all_targets()\n"
        "llvm.Target.from_triple(sys.argv[1]).create_target_machine(cpu='help')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess = importlib.import_module("subprocess")  # for rare names only, and slow to load
    listing = subprocess.run(
        [sys.executable, "-c", script, triple],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    if listing.returncode != 0:
        raise AttributeValueError(
            f"triple {triple!r}: LLVM knows no such target",
            details=[("it says", (listing.stderr.strip().splitlines() or ["nothing"])[-1])],
        )
    return frozenset(re.findall(r"^\s+(\S+)\s+- Select the", listing.stderr, re.M)) | {"generic"}
