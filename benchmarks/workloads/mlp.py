"""A perceptron, 784-128-64-10: ReLU, softmax cross-entropy, Adam; batches of 32 and of 512.

Batches are in the framework's own arrays. `train` is a whole step with its loss and all updates,
`infer` the logits of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.subject import OURS, Batches, Definition, Step, Subject, unchanged
from benchmarks.workloads import adam

SIZES = (784, 128, 64, 10)
QUICK_SIZES = (12, 8, 6, 4)


@dataclass(frozen=True)
class Perceptron:
    """What all frameworks start with: weights [inputs, outputs] and biases, float32; batches of
    images float32 [batch, pixels] and labels int64 [batch]."""

    layers: list[tuple[NDArray[Any], NDArray[Any]]]
    batches: Batches


def perceptron(sizes: Sequence[int], batch: int) -> Perceptron:
    """Weights by He's rule, standard normal images, labels at random."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> NDArray[Any]:
        return rng.standard_normal(shape, np.float32)

    layers = [
        (normal(n, m) * np.float32((2 / n) ** 0.5), normal(m) * np.float32(0.1))
        for n, m in pairwise(sizes)
    ]
    images = [normal(batch, sizes[0]) for _ in range(4)]
    labels = [rng.integers(0, sizes[-1], batch) for _ in range(5)]
    return Perceptron(layers, Batches(images, labels))


def graphwright_model(gw: Any, data: Perceptron) -> Any:
    """The images, the logits and the parameters."""
    images = gw.input("images", ("batch", len(data.layers[0][0])))
    x, parameters = images, []
    for i, (weight, bias) in enumerate(data.layers):
        w, b = gw.parameter(f"weight{i}", weight), gw.parameter(f"bias{i}", bias)
        parameters += [w, b]
        x = x @ w + b
        if i < len(data.layers) - 1:
            x = gw.ops.relu(x)
    return images, x, parameters


def graphwright_train(gw: Any, data: Perceptron) -> Step:
    images, logits, parameters = graphwright_model(gw, data)
    labels = gw.input("labels", ("batch",), gw.int64)
    loss = gw.ops.cross_entropy(logits, labels)
    updates = gw.nn.Adam(adam.RATE).updates(loss, parameters)
    train = gw.compile([images, labels], loss, updates)
    following = data.batches.turns(unchanged, unchanged)
    return lambda: train(*following())


def graphwright_infer(gw: Any, data: Perceptron) -> Step:
    images, logits, _ = graphwright_model(gw, data)
    infer = gw.compile(images, logits)
    following = data.batches.turns(unchanged, unchanged)
    return lambda: infer(following()[0])


def torch_model(torch: Any, data: Perceptron) -> Any:
    """A module; torch keeps a weight as [outputs, inputs]."""
    layers = []
    for weight, bias in data.layers:
        linear = torch.nn.Linear(*weight.shape)
        linear.load_state_dict({"weight": torch.tensor(weight.T), "bias": torch.tensor(bias)})
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def torch_train(torch: Any, data: Perceptron) -> Step:
    """Fused Adam is the fastest of torch's three."""
    model = torch_model(torch, data)
    optimizer = torch.optim.Adam(model.parameters(), adam.RATE, eps=adam.EPSILON, fused=True)
    following = data.batches.turns(torch.from_numpy, torch.from_numpy)

    def step() -> Any:
        images, labels = following()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def torch_infer(torch: Any, data: Perceptron) -> Step:
    model = torch_model(torch, data)
    following = data.batches.turns(torch.from_numpy, torch.from_numpy)
    return torch.inference_mode()(lambda: model(following()[0]))  # type: ignore[no-any-return]


def torch_compile_train(torch: Any, data: Perceptron) -> Step:
    """The whole step as one function, which is twice as fast as to compile the model and the
    optimizer as they are."""
    functional = torch.nn.functional
    model = torch_model(torch, data)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    means, squares = ([torch.zeros_like(p) for p in parameters.values()] for _ in range(2))
    count = torch.zeros(())
    following = data.batches.turns(torch.from_numpy, torch.from_numpy)

    def loss_of(parameters: Any, images: Any, labels: Any) -> Any:
        logits = torch.func.functional_call(model, parameters, (images,))
        return functional.cross_entropy(logits, labels)

    @torch.compile  # type: ignore[untyped-decorator]
    def train(images: Any, labels: Any) -> Any:
        gradients, loss = torch.func.grad_and_value(loss_of)(parameters, images, labels)
        now = [*parameters.values()], [*gradients.values()]
        adam.torch_update(*now, means, squares, count)
        return loss

    return lambda: train(*following())


def torch_compile_infer(torch: Any, data: Perceptron) -> Step:
    model = torch.compile(torch_model(torch, data))
    following = data.batches.turns(torch.from_numpy, torch.from_numpy)
    return torch.inference_mode()(lambda: model(following()[0]))  # type: ignore[no-any-return]


def jax_logits(jax: Any, layers: Any, x: Any) -> Any:
    for i, (weight, bias) in enumerate(layers):
        x = x @ weight + bias
        if i < len(layers) - 1:
            x = jax.numpy.maximum(x, 0)
    return x


def jax_train(jax: Any, data: Perceptron) -> Step:
    """The state is donated: updated where it lies."""

    def loss_of(layers: Any, images: Any, labels: Any) -> Any:
        logarithms = jax.nn.log_softmax(jax_logits(jax, layers, images))
        return -jax.numpy.take_along_axis(logarithms, labels[:, None], 1).mean()

    def train(state: Any, images: Any, labels: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(state[0], images, labels)
        return adam.jax_update(jax, state, gradients), loss

    jitted = jax.jit(train, donate_argnums=0)
    state = adam.jax_state(jax, jax.tree.map(jax.numpy.array, data.layers))
    following = data.batches.turns(
        jax.numpy.asarray, partial(jax.numpy.asarray, dtype=jax.numpy.int32)
    )

    def step() -> Any:
        nonlocal state
        state, loss = jax.block_until_ready(jitted(state, *following()))
        return loss

    return step


def jax_infer(jax: Any, data: Perceptron) -> Step:
    infer = jax.jit(lambda layers, images: jax_logits(jax, layers, images))
    layers = jax.tree.map(jax.numpy.array, data.layers)
    following = data.batches.turns(jax.numpy.asarray, unchanged)
    return lambda: infer(layers, following()[0]).block_until_ready()


def pytensor_model(pytensor: Any, data: Perceptron) -> Any:
    images = x = pytensor.tensor.fmatrix("images")
    parameters = []
    for i, (weight, bias) in enumerate(data.layers):
        w, b = pytensor.shared(weight), pytensor.shared(bias)
        parameters += [w, b]
        x = x @ w + b
        if i < len(data.layers) - 1:
            x = pytensor.tensor.maximum(x, np.float32(0))
    return images, x, parameters


def pytensor_train(pytensor: Any, data: Perceptron) -> Step:
    """Compiled by numba, the default where it is installed and the faster choice; the function
    trusts its input, which spares pytensor a microsecond."""
    tensor = pytensor.tensor
    images, logits, parameters = pytensor_model(pytensor, data)
    labels = tensor.lvector("labels")
    rows = tensor.arange(labels.shape[0])
    loss = -tensor.special.log_softmax(logits, axis=1)[rows, labels].mean()
    gradients = pytensor.grad(loss, parameters)
    updates = adam.pytensor_updates(pytensor, parameters, gradients)
    train = pytensor.function([images, labels], loss, updates=updates, trust_input=True)
    following = data.batches.turns(unchanged, unchanged)
    return lambda: train(*following())


def pytensor_infer(pytensor: Any, data: Perceptron) -> Step:
    images, logits, _ = pytensor_model(pytensor, data)
    infer = pytensor.function([images], logits, trust_input=True)
    following = data.batches.turns(unchanged, unchanged)
    return lambda: infer(following()[0])


def numpy_train(np: Any, data: Perceptron) -> Step:
    layers = [(weight.copy(), bias.copy()) for weight, bias in data.layers]
    optimizer = adam.NumpyAdam([array for layer in layers for array in layer])
    following = data.batches.turns(unchanged, unchanged)

    def step() -> Any:
        images, labels = following()
        inputs = [images]
        for weight, bias in layers[:-1]:
            inputs.append(np.maximum(inputs[-1] @ weight + bias, 0))
        logits = inputs[-1] @ layers[-1][0] + layers[-1][1]
        exponentials = np.exp(logits - logits.max(1, keepdims=True))
        g = exponentials / exponentials.sum(1, keepdims=True)
        rows = np.arange(len(labels))
        loss = -np.log(g[rows, labels]).mean()
        g[rows, labels] -= 1
        g /= len(labels)
        gradients: list[NDArray[Any]] = []
        for i in reversed(range(len(layers))):
            gradients = [inputs[i].T @ g, g.sum(0), *gradients]
            if i:
                g = g @ layers[i][0].T * (inputs[i] > 0)
        optimizer.update(gradients)
        return loss

    return step


def numpy_infer(np: Any, data: Perceptron) -> Step:
    following = data.batches.turns(unchanged, unchanged)

    def step() -> Any:
        x = following()[0]
        for i, (weight, bias) in enumerate(data.layers):
            x = x @ weight
            x += bias
            if i < len(data.layers) - 1:
                np.maximum(x, 0, out=x)
        return x

    return step


TRAIN: dict[str, Definition] = {
    OURS: graphwright_train,
    "torch": torch_train,
    "torch.compile": torch_compile_train,
    "jax": jax_train,
    "pytensor": pytensor_train,
    "numpy": numpy_train,
}
INFER: dict[str, Definition] = {
    OURS: graphwright_infer,
    "torch": torch_infer,
    "torch.compile": torch_compile_infer,
    "jax": jax_infer,
    "pytensor": pytensor_infer,
    "numpy": numpy_infer,
}


def subjects(quick: bool) -> list[Subject]:
    """Training and inference for each size of batch."""
    sizes = QUICK_SIZES if quick else SIZES
    made = []
    for batch in (32, 512):
        data = partial(perceptron, sizes, 8 if quick else batch)
        name = f"mlp{batch}"
        made.append(Subject(name, "train", "ms", data, TRAIN, first_call=True))
        made.append(Subject(name, "infer", "ms", data, INFER))
    return made
