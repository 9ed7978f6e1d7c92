"""2. One plan serves every batch size: named sizes are compiled once, and checked at each call."""

import numpy as np

import graphwright as gw

x = gw.input("x", ("batch", 8))
y = gw.ops.tanh(x).sum(axis=1) / 2
function = gw.compile(x, y)
print(function)

# The same compiled function, at three sizes. No size is special; 0 is one too.
for batch in (1, 32, 1000, 0):
    result = function(np.ones((batch, 8), np.float32))
    assert result.shape == (batch,)
    assert np.allclose(result, 4 * np.tanh(1))

# Sizes are symbols that one can reckon with: what follows for a shape is known while building.
batch = gw.dim("batch")
assert gw.ops.concatenate([x, x]).shape == (2 * batch, 8)
assert x.reshape(-1, 4).shape == (2 * batch, 4)
assert x[1:].shape[0] == gw.ops.exp(x[1:]).shape[0] != batch

# So is the memory of the plan: bytes as a function of the batch size.
for size in (1, 10, 100):
    print(f"batch {size:3}: arena of {function.plan.layout({'batch': size}).peak} bytes")

# Two inputs with the same name for a size must agree, whatever the size is.
a, b = gw.input("a", ("batch",)), gw.input("b", ("batch",))
add = gw.compile([a, b], a + b)
assert add([1, 2, 3], [10, 20, 30]).tolist() == [11, 22, 33]
try:
    add([1, 2, 3], [10, 20])
except gw.InputError as error:
    print(error)
    assert "batch is 3 in a" in str(error)
else:
    raise AssertionError("different sizes of one name were accepted")
