"""10. Branches and loops are nodes that hold graphs: a recurrent network, and Newton's method."""

from pathlib import Path

import numpy as np

import graphwright as gw

# A scan carries state along a sequence of any length. Its function sees one step: what is carried
# and a row of the sequence; it gives what is carried on, and what is written down for this row.
x = gw.input("x", ("time", 4), gw.float64)
with gw.scope("rnn"):
    w = gw.parameter("w", np.eye(3) / 2)
    u = gw.parameter("u", np.linspace(-1, 1, 12).reshape(4, 3))

    def cell(h, row):
        h = gw.ops.tanh(h @ w + row @ u)
        return h, h

    last, states = gw.scan(cell, gw.ops.zeros((3,), dtype=gw.float64), x)
assert str(states.type) == "f64[time,3]"
print(gw.Graph([x], [states]))

# Its gradient is a scan from the other end, in the same graph: back-propagation through time.
loss = gw.ops.square(states).mean()
dw = gw.grad(loss, w)
train = gw.compile(x, (loss, dw))
print(train.summary(time=100))
assert [node.op.name for node in train.stages["fused"].operations].count("scan") == 2

# One plan for every length; and the same loop, in NumPy and by hand.
for length in (1, 7, 50):
    rows = np.random.default_rng(0).normal(size=(length, 4))
    h, squares = np.zeros(3), 0.0
    for row in rows:
        h = np.tanh(h @ w.value + row @ u.value)
        squares += (h**2).sum()
    assert np.isclose(train(rows)[0], squares / (3 * length))

# A while loop runs as long as it needs to. Tensors from around it may be used inside it.
a = gw.input("a", (), gw.float64)
root = gw.while_loop(lambda r: abs(r * r - a) > 1e-12 * a, lambda r: (r + a / r) / 2, a, bound=50)
# With a bound on its steps it has a gradient too: d√a/da = 1/(2√a).
newton = gw.compile(a, (root, gw.grad(root, a)))
value, slope = newton(2.0)
print(f"√2 = {value:.12f}, and its slope there is {slope:.12f}")
assert np.isclose(value, np.sqrt(2)) and np.isclose(slope, 1 / (2 * np.sqrt(2)))

# A branch runs the one side that is chosen, so that the other may be one that would fail.
table = gw.constant([1.0, 2.0, 4.0])
i = gw.input("i", (), gw.int64)
found = gw.cond(i < 3, lambda: gw.ops.take(table, i, 0), lambda: gw.constant(-1.0))
look_up = gw.compile(i, found)
assert [float(look_up(place)) for place in (0, 2, 9)] == [1, 4, -1]

# Diagrams show what loops and branches hold, and what goes back to the next step.
folder = Path("diagrams")
folder.mkdir(exist_ok=True)
print(gw.draw(root, folder / "newton.txt").read_text(encoding="utf-8"))

# What is carried must come out of a step as it went in; the error shows both sides.
try:
    gw.scan(lambda h, row: (gw.ops.concatenate([h, row]), None), x[0], x)
except gw.ShapeError as error:
    print(error)
    assert "f64[4]" in str(error) and "f64[8]" in str(error)
else:
    raise AssertionError("sizes that do not fit were accepted")
