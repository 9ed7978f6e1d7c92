"""Models: layers, initial values, optimizers, metrics, batches and data.

Reading order: `module`, `layers`, `init`, `optimizers`, `metrics`, `batching`, `data`.
"""

from graphwright.nn import data, init
from graphwright.nn.activation import Activation, activation
from graphwright.nn.batching import batches, train_test_split
from graphwright.nn.dropout import Dropout
from graphwright.nn.layers import Dense, Flatten, Sequential
from graphwright.nn.metrics import accuracy
from graphwright.nn.module import Module
from graphwright.nn.optimizers import SGD, Adam, Optimizer

__all__ = [
    "SGD",
    "Activation",
    "Adam",
    "Dense",
    "Dropout",
    "Flatten",
    "Module",
    "Optimizer",
    "Sequential",
    "accuracy",
    "activation",
    "batches",
    "data",
    "init",
    "train_test_split",
]
