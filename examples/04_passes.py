"""4. What the compiler does: the same small graph after each pass, and the reason for each step."""

import graphwright as gw

x = gw.input("x", ("batch", 10))
scale = gw.parameter("scale", 2.0)
probabilities = gw.ops.softmax(x * 1 * scale)
loss = -gw.ops.log(probabilities).mean()
unused = gw.ops.exp(x)
function = gw.compile(x, loss)

for stage, graph in function.stages.items():
    print(f"\n--- {stage}: {len(graph.operations)} operations")
    print(function.text(stage))


def names(stage):
    return [node.op.name for node in function.stages[stage].operations]


# What was built is what was written, but for what nothing needs.
assert "softmax" in names("built") and "log" in names("built") and "exp" not in names("built")
# The stable form replaces the logarithm of a softmax; multiplying by 1 is gone.
assert "log_softmax" in names("simplified_composites")
assert names("simplified_composites").count("multiply") == 1
# Composite operators become their parts.
assert "log_softmax" not in names("decomposed") and "exp" in names("decomposed")
# Operations that can share one loop over the rows become one kernel.
assert len(names("fused")) < len(names("simplified"))

# The plan: every step in order, with the memory it writes to.
print("\n--- planned")
print(function.text("planned"))
print("\n" + function.summary(batch=64))

# Why: every rewrite made, and every one declined with the reason.
print("\n" + function.explain())
assert "log_softmax" in function.explain()
