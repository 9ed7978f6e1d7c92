"""Native code: LLVM IR for the steps of a plan, compiled for the CPU at hand.

Reading order: `target`, `ir`, `kernel`, then a generator such as `elementwise`.
"""
