"""6. Train a network on real digits: model, optimizer and metric, all compiled as graphs."""

import graphwright as gw
from graphwright import nn

# 1,797 handwritten digits of 8×8 pixels, from 0 to 16; a fifth is held out.
images, labels = nn.data.load_digits()
train_images, test_images, train_labels, test_labels = nn.train_test_split(images, labels)

x = gw.input("images", ("batch", 8, 8), gw.uint8)
y = gw.input("labels", ("batch",), gw.int64)
pixels = nn.Flatten()(x.astype(gw.float32) / 16)

# A layer makes its parameters when it is first called, and uses them again in every later call:
# the training graph drops units out, the evaluation graph does not, and both share all weights.
model = nn.Sequential([nn.Dense(64, "relu"), nn.Dropout(0.1), nn.Dense(10)], name="model", seed=0)
loss = gw.ops.cross_entropy(model(pixels, training=True), y)
accuracy = nn.accuracy(model(pixels), y)

# An optimizer gives the next value of every parameter, as tensors; so do layers with state.
updates = nn.Adam(3e-3).updates(loss, model.parameters)
train = gw.compile([x, y], loss, updates={**updates, **model.updates})
evaluate = gw.compile([x, y], accuracy)

before = evaluate(test_images, test_labels)
batches = nn.batches(train_images, train_labels, size=32, shuffle=True, seed=0)
for epoch in range(1, 13):
    losses = [float(train(*batch)) for batch in batches]
    if epoch % 3 == 0:
        print(f"epoch {epoch:2}: loss {sum(losses) / len(losses):.4f}")
after = evaluate(test_images, test_labels)
print(f"held-out accuracy: {before:.1%} before, {after:.1%} after")
assert before < 0.3
assert after > 0.95

# Parameters are plain NumPy arrays, there to be read and set.
for parameter in model.parameters:
    print(f"{parameter.name:22} {parameter.type}  largest {abs(parameter.value).max():.2f}")
