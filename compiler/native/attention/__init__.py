"""Attention in native code, forward and backward, without a matrix of all queries by all keys.

problem   what there is to compute: sizes, and how operands lie
tiles     the machinery of both kernels: memory, products, panels of queries
scores    the scores of a block of keys for a panel of queries
forward   the kernel that attends
gradient  the kernels of the gradients

The scheme is that of Dao, FlashAttention-2, 2023, https://arxiv.org/abs/2307.08691, with scores
transposed: a panel of queries lies along the lanes of a few vectors, keys come row by row. So the
maximum and the sum over keys are elementwise, and keys and values are read where they lie.
"""
