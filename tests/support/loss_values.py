"""Losses of arrays and their gradients, and a test for each of several losses."""

from __future__ import annotations

import numpy as np
import pytest

import graphwright as gw
from support.running import value


def constants(*arrays):
    """Each array as a constant."""
    return [gw.constant(np.asarray(array)) for array in arrays]


def result(loss, *arrays, **options):
    """The loss of arrays."""
    return value(loss(*constants(*arrays), **options))


def slope(loss, *arrays, **options):
    """The gradient of the loss by the first of the arrays."""
    first = gw.input("first", arrays[0].shape, arrays[0].dtype)
    out = loss(first, *constants(*arrays[1:]), **options)
    return value(gw.grad(out.sum(), first), {first: arrays[0]})


def each(losses):
    """A test for each of the losses, under its name."""
    return pytest.mark.parametrize("loss", losses, ids=lambda loss: loss.__name__)
