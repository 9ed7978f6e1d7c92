"""11. Derivatives of every kind: of each example, of every element, of second order, one's own."""

import numpy as np

import graphwright as gw

ops = gw.ops
rng = np.random.default_rng(0)

# Per-example gradients: the gradient for one example, mapped over a batch. Nothing loops: each
# operator says how it handles many at once.
x, y = gw.input("x", ("batch", 3), gw.float64), gw.input("y", ("batch",), gw.float64)
w = gw.parameter("w", rng.normal(size=3))


def gradient(one, target):
    return gw.grad(ops.square(one @ w - target), w)


each = gw.vmap(gradient)(x, y)
assert str(each.type) == "f64[batch,3]"
per_example = gw.compile([x, y], each)
rows, targets = rng.normal(size=(5, 3)), rng.normal(size=5)
by_hand = 2 * (rows @ w.value - targets)[:, None] * rows
print("their lengths:", np.linalg.norm(per_example(rows, targets), axis=1).round(3))
assert np.allclose(per_example(rows, targets), by_hand)
assert "scan" not in {node.op.name for node in per_example.stages["fused"].operations}

# Rosenbrock's function: its gradient, its Hessian, and Newton's step to where it is least.
p = gw.input("p", (2,), gw.float64)
rosenbrock = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
slope, curvature = gw.grad(rosenbrock, p), gw.hessian(rosenbrock, p)
step = gw.compile(p, p - ops.solve(curvature, slope))
point = np.array([-1.2, 1.0])
for _ in range(8):
    point = step(point)
print("least at", point)
assert np.allclose(point, 1)

# Every derivative of every element; and along one direction only, at the cost of the function.
polar = ops.stack([p[0] * ops.cos(p[1]), p[0] * ops.sin(p[1])])
matrix, along = gw.jacobian(polar, p), gw.jvp(polar, p, np.array([0.0, 1.0]))
found, column = gw.compile(p, (matrix, along))([2.0, 0.5])
assert np.allclose(found, [[np.cos(0.5), -2 * np.sin(0.5)], [np.sin(0.5), 2 * np.cos(0.5)]])
assert np.allclose(column, found[:, 1])


# A gradient of one's own: round values on the way forward, and pretend on the way back that they
# were not rounded.
@gw.custom_gradient
def quantized(x):
    return ops.round(x), lambda g: g


slope = gw.grad(quantized(p * 3).sum(), p)
assert gw.compile(p, slope)([0.2, 0.7]).tolist() == [3, 3]


# A checkpoint keeps the inputs of a block alone, and computes the block again for its gradient.
turn = gw.constant(np.eye(4)[[1, 2, 3, 0]] * 1.1)


def peak(wrap):
    """The bytes that the gradient of eight blocks needs at once."""
    h = start = gw.input("h", ("n", 4), gw.float64)
    for _ in range(8):
        h = wrap(lambda v: ops.tanh(ops.tanh(ops.tanh(v @ turn) @ turn) @ turn))(h)
    compiled = gw.compile(start, gw.grad(h.sum(), start))
    rows = np.linspace(-1, 1, 4000).reshape(1000, 4)
    return compiled.plan.layout({"n": 1000}).peak, compiled(rows)


(kept, plain), (saved, again) = peak(lambda block: block), peak(gw.checkpoint)
print(f"memory: {kept} bytes, with checkpoints {saved}")
assert saved < 0.6 * kept
assert np.array_equal(plain, again)
