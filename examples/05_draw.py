"""5. A diagram of anything, a tensor, a graph or a compiled function, in many formats."""

from pathlib import Path

import graphwright as gw

x = gw.input("x", ("batch", 4))
with gw.scope("layer"):
    w = gw.parameter("w", gw.init.he_normal((4, 3), seed=0))
    y = gw.ops.relu(x @ w)
with gw.scope("loss"):
    loss = gw.ops.square(y).mean()

folder = Path("diagrams")
folder.mkdir(exist_ok=True)

# Text and Mermaid need no other program. Mermaid is drawn by GitHub, GitLab and many editors.
gw.draw(loss, folder / "forward.txt")
gw.draw(loss, folder / "forward.mmd")
print((folder / "forward.txt").read_text(encoding="utf-8"))
print((folder / "forward.mmd").read_text(encoding="utf-8"))
assert "layer" in (folder / "forward.mmd").read_text(encoding="utf-8")

# A training step: forward, backward and update are told apart by colour and line style.
step = gw.compile(x, loss, updates={w: w - 0.1 * gw.grad(loss, w)})
gw.draw(step, folder / "training.mmd")
gw.draw(step, folder / "training.dot")
assert (folder / "training.dot").read_text(encoding="utf-8").startswith("digraph")

# SVG, PNG and PDF are drawn by the program `dot` of Graphviz; without it, the error says how to
# get it.
try:
    gw.draw(step, folder / "training.svg")
except gw.RenderError as error:
    print(error)
    assert "graphviz" in str(error)
else:
    assert "<svg" in (folder / "training.svg").read_text(encoding="utf-8")
