"""7. An operator of one's own: one class says its types, its meaning and its derivative."""

import numpy as np

import graphwright as gw


@gw.ops.register
class BentIdentity(gw.ops.Operator):
    """(√(x² + 1) - 1)/2 + x.

    d/dx = x / (2 √(x² + 1)) + 1
    """

    name = "bent_identity"
    # Each element of the output needs one of the input alone: the compiler may fuse it.
    elementwise = True

    def infer(self, x):
        """From input types to the output's: here the same."""
        if x.dtype.kind != "f":
            raise gw.DTypeError(f"needs a floating input, got {x}")
        return x

    def kernel(self, x):
        """From input arrays to the output's: the meaning, in NumPy."""
        return ((np.sqrt(x * x + 1) - 1) / 2 + x).astype(x.dtype)

    def gradient(self, x, out, g):
        """From the output's gradient to the input's: in tensors, so that it differentiates too."""
        return g * (x / (2 * gw.ops.sqrt(x * x + 1)) + 1)


bent_identity = BentIdentity()

x = gw.input("x", ("n",), gw.float64)
y = bent_identity(3 * x)
first = gw.grad(y.sum(), x)
second = gw.grad(first.sum(), x)
function = gw.compile(x, (y, first, second), check=True)
print(function.text("fused"))

# The derivatives agree with finite differences.
points, step = np.linspace(-2, 2, 9), 1e-5
value, slope, curvature = function(points)
above, slope_above, _ = function(points + step)
below, slope_below, _ = function(points - step)
assert np.allclose(slope, (above - below) / (2 * step))
assert np.allclose(curvature, (slope_above - slope_below) / (2 * step), atol=1e-6)

# It fuses with its neighbours, and prints and parses like any other.
assert any(node.op.name == "fused" for node in function.stages["fused"].operations)
graph = gw.Graph([x], [y])
assert gw.parse(gw.text(graph)) == graph

# It refuses what it does not take, at the line that asked for it.
try:
    bent_identity(gw.input("k", (3,), gw.int32))
except gw.DTypeError as error:
    print(error)
    assert "bent_identity: needs a floating input, got i32[3]" in str(error)
else:
    raise AssertionError("integers were accepted")
