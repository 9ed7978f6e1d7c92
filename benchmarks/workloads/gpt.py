"""A small GPT: 4 layers of width 256 with 8 heads, 128 tokens, batches of 8, a vocabulary of 256.

Learned positions; layer norms before attention and before the two-layer part, which is 4 times as
wide and has an exact GELU; causal attention; a last layer norm and an output matrix of its own;
biases everywhere but there. Cross-entropy over all tokens, Adam. `train` is a whole step with its
loss and all updates, `infer` the logits of a batch. Source: Radford et al., Language models are
unsupervised multitask learners, 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.subject import OURS, Batches, Definition, Step, Subject, unchanged
from benchmarks.workloads import adam


@dataclass(frozen=True)
class Sizes:
    """How large the model and its batches are."""

    layers: int = 4
    width: int = 256
    heads: int = 8
    tokens: int = 128
    batch: int = 8
    vocabulary: int = 256


QUICK_SIZES = Sizes(layers=2, width=8, heads=2, tokens=6, batch=2, vocabulary=11)
EPSILON = 1e-5


@dataclass(frozen=True)
class Language:
    """What all frameworks start with: weights by name, float32, matrices as [inputs, outputs];
    batches of tokens int64 [batch, tokens] and of those that follow."""

    sizes: Sizes
    weights: dict[str, NDArray[Any]]
    batches: Batches


def language(sizes: Sizes) -> Language:
    """Weights normal with 0.02, biases a tenth of that, scales 1; tokens at random."""
    rng = np.random.default_rng(0)
    width = sizes.width
    weights: dict[str, NDArray[Any]] = {}

    def normal(name: str, *shape: int) -> None:
        weights[name] = rng.standard_normal(shape, np.float32) * np.float32(0.02)

    def linear(name: str, inputs: int, outputs: int) -> None:
        normal(f"{name}.weight", inputs, outputs)
        weights[f"{name}.bias"] = rng.standard_normal(outputs, np.float32) * np.float32(0.002)

    def norm(name: str) -> None:
        weights[f"{name}.scale"] = np.ones(width, np.float32)
        weights[f"{name}.shift"] = np.zeros(width, np.float32)

    normal("embedding", sizes.vocabulary, width)
    normal("positions", sizes.tokens, width)
    for i in range(sizes.layers):
        norm(f"layer{i}.norm1")
        linear(f"layer{i}.queries_keys_values", width, 3 * width)
        linear(f"layer{i}.mix", width, width)
        norm(f"layer{i}.norm2")
        linear(f"layer{i}.up", width, 4 * width)
        linear(f"layer{i}.down", 4 * width, width)
    norm("norm")
    normal("output", width, sizes.vocabulary)

    def tokens() -> NDArray[Any]:
        return rng.integers(0, sizes.vocabulary, (sizes.batch, sizes.tokens))

    batches = Batches([tokens() for _ in range(4)], [tokens() for _ in range(5)])
    return Language(sizes, weights, batches)


def graphwright_logits(gw: Any, sizes: Sizes, w: dict[str, Any], tokens: Any) -> Any:
    ops, split = gw.ops, (-1, sizes.tokens, sizes.heads, sizes.width // sizes.heads)

    def norm(name: str, x: Any) -> Any:
        return ops.layer_norm(x, w[f"{name}.scale"], w[f"{name}.shift"], epsilon=EPSILON)

    def linear(name: str, x: Any) -> Any:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = ops.embedding(tokens, w["embedding"]) + w["positions"]
    for i in range(sizes.layers):
        rows = linear(f"layer{i}.queries_keys_values", norm(f"layer{i}.norm1", x))
        heads = [ops.swapaxes(ops.reshape(part, split), 1, 2) for part in ops.split(rows, 3, -1)]
        mixed = ops.scaled_dot_product_attention(*heads, causal=True)
        joined = ops.reshape(ops.swapaxes(mixed, 1, 2), (-1, sizes.tokens, sizes.width))
        x = x + linear(f"layer{i}.mix", joined)
        x = x + linear(
            f"layer{i}.down", ops.gelu(linear(f"layer{i}.up", norm(f"layer{i}.norm2", x)))
        )
    return norm("norm", x) @ w["output"]


def graphwright_model(gw: Any, data: Language) -> Any:
    """The tokens, the logits and the parameters."""
    parameters = {name: gw.parameter(name, array) for name, array in data.weights.items()}
    tokens = gw.input("tokens", ("batch", data.sizes.tokens), gw.int64)
    return tokens, graphwright_logits(gw, data.sizes, parameters, tokens), parameters


def graphwright_train(gw: Any, data: Language) -> Step:
    tokens, logits, parameters = graphwright_model(gw, data)
    targets = gw.input("targets", ("batch", data.sizes.tokens), gw.int64)
    loss = gw.ops.cross_entropy(logits, targets)
    updates = gw.nn.Adam(adam.RATE).updates(loss, parameters.values())
    train = gw.compile([tokens, targets], loss, updates)
    following = data.batches.turns(unchanged, unchanged)
    return lambda: train(*following())


def graphwright_infer(gw: Any, data: Language) -> Step:
    tokens, logits, _ = graphwright_model(gw, data)
    infer = gw.compile(tokens, logits)
    following = data.batches.turns(unchanged, unchanged)
    return lambda: infer(following()[0])


def torch_logits(torch: Any, sizes: Sizes, w: dict[str, Any], tokens: Any) -> Any:
    """Weights are [outputs, inputs], as torch has them."""
    functional, split = torch.nn.functional, (*tokens.shape, sizes.heads, -1)

    def norm(name: str, x: Any) -> Any:
        scale, shift = w[f"{name}.scale"], w[f"{name}.shift"]
        return functional.layer_norm(x, (sizes.width,), scale, shift, EPSILON)

    def linear(name: str, x: Any) -> Any:
        return functional.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    x = functional.embedding(tokens, w["embedding"]) + w["positions"]
    for i in range(sizes.layers):
        rows = linear(f"layer{i}.queries_keys_values", norm(f"layer{i}.norm1", x))
        heads = [part.view(split).transpose(1, 2) for part in rows.chunk(3, -1)]
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + linear(f"layer{i}.mix", mixed.transpose(1, 2).reshape(x.shape))
        x = x + linear(
            f"layer{i}.down", functional.gelu(linear(f"layer{i}.up", norm(f"layer{i}.norm2", x)))
        )
    return functional.linear(norm("norm", x), w["output"])


def torch_weights(torch: Any, data: Language) -> dict[str, Any]:
    """Matrices as [outputs, inputs], but for tables of rows."""

    def converted(name: str, array: NDArray[Any]) -> Any:
        turned = name.endswith(".weight") or name == "output"
        return torch.tensor(array.T.copy() if turned else array)

    return {name: converted(name, array) for name, array in data.weights.items()}


def torch_loss(torch: Any, sizes: Sizes) -> Callable[[Any, Any, Any], Any]:
    """The loss of (weights, tokens, targets)."""

    def loss(weights: Any, tokens: Any, targets: Any) -> Any:
        logits = torch_logits(torch, sizes, weights, tokens)
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return loss


def torch_train(torch: Any, data: Language) -> Step:
    """Fused Adam is the fastest of torch's three."""
    loss_of = torch_loss(torch, data.sizes)
    weights = {n: torch.nn.Parameter(w) for n, w in torch_weights(torch, data).items()}
    optimizer = torch.optim.Adam(weights.values(), adam.RATE, eps=adam.EPSILON, fused=True)
    following = data.batches.turns(torch.from_numpy, torch.from_numpy)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(weights, *following())
        loss.backward()
        optimizer.step()
        return loss

    return step


def torch_infer(torch: Any, data: Language) -> Step:
    weights = torch_weights(torch, data)
    following = data.batches.turns(torch.from_numpy, unchanged)

    def step() -> Any:
        return torch_logits(torch, data.sizes, weights, following()[0])

    return torch.inference_mode()(step)  # type: ignore[no-any-return]


def torch_compile_train(torch: Any, data: Language) -> Step:
    """The whole step as one function, its updates too."""
    loss_of = torch_loss(torch, data.sizes)
    weights = torch_weights(torch, data)
    means, squares = ([torch.zeros_like(w) for w in weights.values()] for _ in range(2))
    count = torch.zeros(())
    following = data.batches.turns(torch.from_numpy, torch.from_numpy)

    @torch.compile  # type: ignore[untyped-decorator]
    def train(tokens: Any, targets: Any) -> Any:
        gradients, loss = torch.func.grad_and_value(loss_of)(weights, tokens, targets)
        now = [*weights.values()], [*gradients.values()]
        adam.torch_update(*now, means, squares, count)
        return loss

    return lambda: train(*following())


def torch_compile_infer(torch: Any, data: Language) -> Step:
    weights = torch_weights(torch, data)
    following = data.batches.turns(torch.from_numpy, unchanged)
    infer = torch.compile(partial(torch_logits, torch, data.sizes))
    return torch.inference_mode()(lambda: infer(weights, following()[0]))  # type: ignore[no-any-return]


def jax_logits(jax: Any, sizes: Sizes, w: dict[str, Any], tokens: Any) -> Any:
    numpy, split = jax.numpy, (*tokens.shape, sizes.heads, -1)

    def norm(name: str, x: Any) -> Any:
        rows = jax.nn.standardize(x, epsilon=EPSILON)
        return rows * w[f"{name}.scale"] + w[f"{name}.shift"]

    def linear(name: str, x: Any) -> Any:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    def gelu(x: Any) -> Any:
        return jax.nn.gelu(x, approximate=False)

    x = w["embedding"][tokens] + w["positions"]
    for i in range(sizes.layers):
        rows = linear(f"layer{i}.queries_keys_values", norm(f"layer{i}.norm1", x))
        heads = [part.reshape(split) for part in numpy.split(rows, 3, -1)]
        mixed = jax.nn.dot_product_attention(*heads, is_causal=True)
        x = x + linear(f"layer{i}.mix", mixed.reshape(x.shape))
        x = x + linear(f"layer{i}.down", gelu(linear(f"layer{i}.up", norm(f"layer{i}.norm2", x))))
    return norm("norm", x) @ w["output"]


def jax_turns(jax: Any, data: Language) -> Callable[[], tuple[Any, Any]]:
    convert = partial(jax.numpy.asarray, dtype=jax.numpy.int32)
    return data.batches.turns(convert, convert)


def jax_train(jax: Any, data: Language) -> Step:
    """The state is donated: updated where it lies."""

    def loss_of(weights: Any, tokens: Any, targets: Any) -> Any:
        logarithms = jax.nn.log_softmax(jax_logits(jax, data.sizes, weights, tokens))
        return -jax.numpy.take_along_axis(logarithms, targets[..., None], -1).mean()

    def train(state: Any, tokens: Any, targets: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(state[0], tokens, targets)
        return adam.jax_update(jax, state, gradients), loss

    jitted = jax.jit(train, donate_argnums=0)
    state = adam.jax_state(jax, jax.tree.map(jax.numpy.array, data.weights))
    following = jax_turns(jax, data)

    def step() -> Any:
        nonlocal state
        state, loss = jax.block_until_ready(jitted(state, *following()))
        return loss

    return step


def jax_infer(jax: Any, data: Language) -> Step:
    infer = jax.jit(partial(jax_logits, jax, data.sizes))
    weights = jax.tree.map(jax.numpy.array, data.weights)
    following = jax_turns(jax, data)
    return lambda: infer(weights, following()[0]).block_until_ready()


TRAIN: dict[str, Definition] = {
    OURS: graphwright_train,
    "torch": torch_train,
    "torch.compile": torch_compile_train,
    "jax": jax_train,
}
INFER: dict[str, Definition] = {
    OURS: graphwright_infer,
    "torch": torch_infer,
    "torch.compile": torch_compile_infer,
    "jax": jax_infer,
}


def subjects(quick: bool) -> list[Subject]:
    """Training and inference."""
    data = partial(language, QUICK_SIZES if quick else Sizes())
    return [
        Subject("gpt", "train", "ms", data, TRAIN, first_call=True, seconds=6.0),
        Subject("gpt", "infer", "ms", data, INFER),
    ]
