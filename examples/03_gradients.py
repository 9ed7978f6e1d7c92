"""3. A gradient is a graph like any other: it is printed, compiled, and differentiated again."""

import numpy as np

import graphwright as gw

# y = x³, so dy/dx = 3x² and d²y/dx² = 6x.
x = gw.input("x", (), gw.float64)
y = x**3
first = gw.grad(y, x)
second = gw.grad(first, x)
function = gw.compile(x, (y, first, second))
assert [float(value) for value in function(2.0)] == [8, 12, 12]
print(gw.Graph([x], [first]))
print("simplified:", function.text("simplified"), sep="\n")

# The gradient of a loss with respect to parameters: one pass backward for all of them.
images = gw.input("images", ("batch", 4))
target = gw.input("target", ("batch",))
w = gw.parameter("w", gw.init.glorot_uniform((4,), seed=0))
b = gw.parameter("b", np.float32(0))
loss = gw.ops.square(images @ w + b - target).mean()
dw, db = gw.grad(loss, [w, b])
assert dw.type == w.type and db.type == b.type

# Against finite differences.
rng = np.random.default_rng(0)
data = rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=5).astype(np.float32)
both = gw.compile([images, target], (loss, db))
_, slope = both(*data)
b.value = 1e-2
above, _ = both(*data)
b.value = -1e-2
below, _ = both(*data)
print("gradient", slope, "finite differences", (above - below) / 2e-2)
assert np.allclose(slope, (above - below) / 2e-2, rtol=1e-3)

# A gradient inside a loss: the penalty on its length asks for second derivatives.
penalty = gw.ops.square(dw).sum()
assert gw.grad(loss + 0.1 * penalty, w).type == w.type

# What can't be differentiated says so, and why.
try:
    gw.grad(gw.ops.floor(w).sum(), w)
except gw.GradientError as error:
    print(error)
    assert "floor" in str(error)
else:
    raise AssertionError("floor has no derivative")
