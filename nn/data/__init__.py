"""Data sets: one that ships with the project, and one that the system may have."""

from graphwright.nn.data.digits import load_digits
from graphwright.nn.data.fashion_mnist import load_fashion_mnist
from graphwright.nn.data.idx import read_idx

__all__ = ["load_digits", "load_fashion_mnist", "read_idx"]
