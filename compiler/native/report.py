"""What became of each step of a plan in native code, in words."""

from __future__ import annotations

from collections.abc import Iterator

from graphwright.compiler.native.generate import NativeCode, StepCode
from graphwright.compiler.plan import Plan, Step


def explain_native(plan: Plan, code: NativeCode) -> str:
    """For each step its kernels, and where their machine code was found or why it was compiled
    (+); or why it runs on NumPy (-). Views take no code, and are left out."""
    computing = [(s, c) for s, c in zip(plan.steps, code.steps, strict=True) if not s.view]
    native = sum(bool(step.kernels) for _, step in computing)
    kernels = sum(len(step.kernels) for _, step in computing)
    head = (
        f"native → {code.target.describe()}   {native} of {len(computing)} steps,"
        f" {kernels} kernels with {len(code.objects)} texts,"
        f" {code.writing * 1e3:.1f} ms to write them, {code.making * 1e3:.1f} ms to find or compile"
    )
    return "\n".join([head, *_lines(plan, code)])


def runs_on(plan: Plan, code: NativeCode) -> list[str]:
    """For each step of a plan, `native` or `NumPy`; a view is neither."""
    return [
        "" if step.view else "NumPy" if own.reason else "native"
        for step, own in zip(plan.steps, code.steps, strict=True)
    ]


def _lines(plan: Plan, code: NativeCode) -> Iterator[str]:
    for step, own in zip(plan.steps, code.steps, strict=True):
        if step.view:
            continue
        names = ", ".join(plan.values[number].name or f"_{number}" for number in step.outputs)
        where = f"   [{step.node.source}]" if step.node.source.lines else ""
        mark = "-" if own.reason else "+"
        what = f"on NumPy: {own.reason}" if own.reason else _kernels(step, own, code)
        yield f"  {mark} {names}: {what}{where}"


def _kernels(step: Step, own: StepCode, code: NativeCode) -> str:
    """`softmax rows 1.2 ms (disk), …`; where several are alike, each."""
    if not own.kernels:
        return f"{step.op.name}: nothing to compute"
    told = []
    for kernel in own.kernels:
        made = code.objects[kernel.text]
        seconds = f" in {made.seconds * 1e3:.1f} ms" if made.seconds else ""
        told.append(f"{kernel.name} ({made.found}{seconds})")
    return "; ".join(told)
