"""Kinds of CPU: what is known of them, which are refused, and what LLVM makes for them."""

import os
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from support.machines import call, check_objects_for_arm, map_text, runnable

from graphwright.compiler.native.objects import assembly, compile_module
from graphwright.compiler.native.target import Target
from graphwright.graph.errors import AttributeValueError

LINUX = "x86_64-unknown-linux-gnu"
ARM = "aarch64-unknown-linux-gnu"

SQUARE = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define void @kernel(ptr %args, i64 %first, i64 %last, ptr %scratch) {
  %x = load <16 x float>, ptr %args
  %y = call <16 x float> @llvm.fma.v16f32(<16 x float> %x, <16 x float> %x, <16 x float> %x)
  store <16 x float> %y, ptr %args
  ret void
}"""


@pytest.mark.parametrize(
    ("triple", "cpu", "vector_bytes", "registers", "fma", "masked"),
    [
        (LINUX, "x86-64", 16, 16, False, False),
        (LINUX, "x86-64-v2", 16, 16, False, False),
        (LINUX, "x86-64-v3", 32, 16, True, False),
        (LINUX, "x86-64-v4", 64, 32, True, True),
        (LINUX, "pentium4", 16, 16, False, False),
        (LINUX, "nehalem", 16, 16, False, False),
        (LINUX, "sandybridge", 16, 16, False, False),  # AVX, but not for whole numbers
        (LINUX, "haswell", 32, 16, True, False),
        (LINUX, "znver2", 32, 16, True, False),
        (LINUX, "skylake-avx512", 64, 32, True, True),
        (LINUX, "sapphirerapids", 64, 32, True, True),
        (LINUX, "znver5", 64, 32, True, True),
        (ARM, "cortex-a72", 16, 32, True, False),
        (ARM, "generic", 16, 32, True, False),
        ("arm64-apple-darwin", "apple-m1", 16, 32, True, False),
        ("wasm32-unknown-unknown", "generic", 16, 16, False, False),
    ],
)
def test_what_generators_ask_of_a_cpu(triple, cpu, vector_bytes, registers, fma, masked):
    target = Target.of(triple, cpu)
    facts = (target.vector_bytes, target.registers, target.fma, target.masked)
    assert facts == (vector_bytes, registers, fma, masked)
    assert target.lanes(8) == vector_bytes // 8 and target.lanes(1) == vector_bytes
    assert str(8 * vector_bytes) in target.describe() and cpu in target.describe()


def test_names_that_llvm_does_not_know_are_refused_with_near_ones():
    with pytest.raises(AttributeValueError, match=r"(?s)'cortex-a72a' of aarch64.*cortex-a72"):
        Target.of(ARM, "cortex-a72a")
    with pytest.raises(AttributeValueError, match="'haswell' of aarch64"):
        Target.of(ARM, "haswell")
    with pytest.raises(AttributeValueError, match="'moon-rock': LLVM knows no such target"):
        Target.of("moon-rock", "generic")


@pytest.mark.parametrize("cpu", ["skylake-avx512", "icelake-server", "rocketlake", "x86-64-v4"])
def test_512_bits_stay_512_bits(cpu):
    code = assembly(SQUARE, Target.of(LINUX, cpu))
    assert "%zmm" in code and "%ymm" not in code


def test_512_bits_stay_512_bits_on_the_host():
    host = Target.host()
    assert ("%zmm" in assembly(SQUARE, host)) == (host.vector_bytes == 64)


@pytest.mark.parametrize(
    ("triple", "cpu", "magic"),
    [
        (ARM, "cortex-a72", b"\x7fELF"),
        ("arm64-apple-darwin", "apple-m1", b"\xcf\xfa\xed\xfe"),
        ("wasm32-unknown-unknown", "generic", b"\0asm"),
        (LINUX, "x86-64-v2", b"\x7fELF"),
    ],
)
def test_objects_for_other_machines(triple, cpu, magic):
    assert compile_module(SQUARE, Target.of(triple, cpu)).startswith(magic)


def test_objects_for_arm_call_nothing_unknown():
    halves = [map_text("%y = fpext half %x to float", "half", "float")]
    halves += [map_text("%y = fptrunc double %x to bfloat", "double", "bfloat")]
    check_objects_for_arm(SQUARE, *halves)
    sine = map_text(
        "%y = call double @llvm.sin.f64(double %x)",
        "double",
        "double",
        "declare double @llvm.sin.f64(double)",
    )
    with pytest.raises(AssertionError, match="sin"):
        check_objects_for_arm(sine)


def described(name):
    """What a process with GRAPHWRIGHT_CPU says of its target: description or error."""
    script = (
        "from graphwright.compiler.native.target import Target\n"
        "try: print(Target.host().describe())\n"
        "except ValueError as error: print(type(error).__name__, error)"
    )
    environment = {**os.environ, "GRAPHWRIGHT_CPU": name}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.strip()


def test_the_environment_chooses_a_lower_level():
    for target in runnable()[1:]:
        assert described(target.cpu) == target.describe()


def test_the_hosts_own_name_and_an_empty_one_are_the_host(monkeypatch):
    monkeypatch.setenv("GRAPHWRIGHT_CPU", "")
    host = Target.host()
    monkeypatch.setenv("GRAPHWRIGHT_CPU", host.cpu)
    assert Target.host() == host


def test_unknown_names_in_the_environment_are_refused_with_the_choices():
    message = described("x86-64-v9")
    assert message.startswith("AttributeValueError GRAPHWRIGHT_CPU=x86-64-v9: no such CPU")
    assert "choices" in message
    wrong = "haswell" if Target.host().architecture != "x86_64" else "cortex-a72"
    assert f"GRAPHWRIGHT_CPU={wrong}: no such CPU of this architecture" in described(wrong)


@pytest.mark.parametrize("name", ["x86-64-v4", "skylake-avx512"])
def test_what_this_machine_cannot_run_is_refused(name, monkeypatch):
    from graphwright.compiler.native import target as module

    if Target.host().architecture != "x86_64":
        name = "x86-64-v4"  # another architecture's: refused as well
    real = module.llvm()

    class Lesser:
        """LLVM on a machine without AVX-512."""

        def __getattr__(self, attribute):
            return getattr(real, attribute)

        def get_host_cpu_features(self):
            return {
                feature: on and not feature.startswith("avx512")
                for feature, on in real.get_host_cpu_features().items()
            }

    monkeypatch.setattr(module, "llvm", lambda triple="": Lesser())
    with pytest.raises(AttributeValueError, match=f"GRAPHWRIGHT_CPU={name}") as refused:
        module._host.__wrapped__(name)
    if Target.host().architecture == "x86_64":
        assert "this machine can't run such code" in str(refused.value)
        assert "avx512f" in str(refused.value)


def narrowed(values, narrow, nan):
    """`values` (float64 holds them exactly) rounded to 16 bits, by looking at all such numbers."""
    numbers = np.arange(0x8000, dtype=np.uint16).view(narrow).astype(np.float64)
    infinity = int(np.flatnonzero(np.isinf(numbers))[0])
    grid = numbers[: infinity + 1].copy()
    grid[infinity] = 2 * grid[infinity - 1] - grid[infinity - 2]  # where rounding ends
    middles = (grid[1:] + grid[:-1]) / 2
    size = np.abs(values)
    below = np.searchsorted(middles, size, side="left")
    tie = (below < len(middles)) & (middles[np.minimum(below, len(middles) - 1)] == size)
    chosen = np.where(tie & (below % 2 == 1), below + 1, below)
    result = chosen.astype(np.uint16) | (np.signbit(values).astype(np.uint16) << 15)
    return np.where(np.isnan(values), nan, result)


def samples(wide, narrow):
    """All 16-bit numbers, the middles between neighbors, what lies beside those, and many more."""
    every = np.arange(0x10000, dtype=np.uint16).view(narrow).astype(np.float64)
    finite = np.sort(every[np.isfinite(every)])
    middles = (finite[1:] + finite[:-1]) / 2
    random = np.random.default_rng(5)
    bits = random.integers(0, 2 ** (8 * wide.itemsize), 100_000, dtype=f"u{wide.itemsize}")
    with np.errstate(over="ignore", invalid="ignore"):
        exact = np.concatenate([every, middles, 2 * finite[-3:]]).astype(wide)
        beside = [np.nextafter(exact, wide.type(way)) for way in (-np.inf, np.inf)]
    return np.concatenate([exact, *beside, bits.view(wide)])


NARROW = {"half": np.dtype(np.float16), "bfloat": np.dtype(ml_dtypes.bfloat16)}
WIDE = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}


@pytest.mark.parametrize("target", runnable(), ids=lambda target: target.cpu)
@pytest.mark.parametrize("narrow", NARROW)
@pytest.mark.parametrize("wide", WIDE)
def test_narrowing_rounds_to_nearest_and_keeps_subnormal_numbers(target, wide, narrow):
    with np.errstate(invalid="ignore"):
        values = samples(WIDE[wide], NARROW[narrow])
        expected = narrowed(values.astype(np.float64), NARROW[narrow], 0)
    bits = np.empty(len(values), np.uint16)
    text = map_text(f"%y = fptrunc {wide} %x to {narrow}", wide, narrow)
    call(text, values, bits, target=target)
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(bits[numbers], expected[numbers])
    assert np.isnan(bits[~numbers].view(NARROW[narrow])).all()


@pytest.mark.parametrize("target", runnable(), ids=lambda target: target.cpu)
@pytest.mark.parametrize("narrow", NARROW)
@pytest.mark.parametrize("wide", WIDE)
def test_widening_is_exact(target, wide, narrow):
    every = np.arange(0x10000, dtype=np.uint16).view(NARROW[narrow])
    result = np.empty(len(every), WIDE[wide])
    call(map_text(f"%y = fpext {narrow} %x to {wide}", narrow, wide), every, result, target=target)
    with np.errstate(invalid="ignore"):
        expected = every.astype(WIDE[wide])
    np.testing.assert_array_equal(result, expected)
    assert (np.signbit(result) == np.signbit(every)).all()


@pytest.mark.parametrize("target", runnable(), ids=lambda target: target.cpu)
@pytest.mark.parametrize("wide", WIDE)
def test_a_product_and_a_sum_stay_two_roundings_unless_written_as_one(target, wide):
    dtype = WIDE[wide]
    random = np.random.default_rng(3)
    values = random.standard_normal(10_000).astype(dtype)
    apart = np.empty_like(values)
    text = map_text(f"%p = fmul {wide} %x, %x\n  %y = fadd {wide} %p, %x", wide, wide)
    call(text, values, apart, target=target)
    np.testing.assert_array_equal(apart, values * values + values)

    name = f"@llvm.fma.f{8 * dtype.itemsize}"
    declared = f"declare {wide} {name}({wide}, {wide}, {wide})"
    fused = np.empty_like(values)
    expression = f"%y = call {wide} {name}({wide} %x, {wide} %x, {wide} %x)"
    call(map_text(expression, wide, wide, declared), values, fused, target=target)
    exact = values.astype(np.longdouble) ** 2 + values
    assert (fused != apart).any()
    assert (np.abs(fused - exact) <= np.abs(apart - exact)).all()


@pytest.mark.parametrize("target", runnable(), ids=lambda target: target.cpu)
def test_copies_and_remainders_find_the_c_library(target):
    values = np.linspace(-9, 9, 77)
    result = np.empty_like(values)
    call(map_text("%y = frem double %x, 0.7", "double", "double"), values, result, target=target)
    np.testing.assert_array_equal(result, np.fmod(values, 0.7))

    copy = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define void @kernel(ptr %input, ptr %output, i64 %count) {
  %bytes = mul i64 %count, 8
  call void @llvm.memset.p0.i64(ptr %output, i8 0, i64 %bytes, i1 false)
  %less = sub i64 %bytes, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %output, ptr %input, i64 %less, i1 false)
  ret void
}"""
    call(copy, values, result, target=target)
    np.testing.assert_array_equal(result, [*values[:-1], 0])
