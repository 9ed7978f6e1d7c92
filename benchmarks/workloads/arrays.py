"""Single computations on arrays: a tiny call, a long chain of elementwise operations, a softmax.

All return fresh results, as our compiled functions do. By hand, NumPy works in place where it can.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.subject import OURS, Definition, Step, Subject

Inputs = list[NDArray[Any]]
"""The arguments of a computation, float32."""


def inputs(count: int, *shape: int) -> Inputs:
    """Standard normal numbers."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, np.float32) for _ in range(count)]


# tiny_call: a * b + a for 16 numbers. The work is nothing, so that the call is what is measured:
# NumPy's arrays in and out, for everyone.


def graphwright_tiny(gw: Any, arrays: Inputs) -> Step:
    a, b = gw.input("a", ("n",)), gw.input("b", ("n",))
    return partial(gw.compile([a, b], a * b + a), *arrays)


def torch_tiny(torch: Any, arrays: Inputs, compiled: bool = False) -> Step:
    def function(a: Any, b: Any) -> Any:
        return a * b + a

    called = torch.compile(function) if compiled else function

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(a: Any, b: Any) -> Any:
        return called(torch.from_numpy(a), torch.from_numpy(b)).numpy()

    return partial(step, *arrays)


def jax_tiny(jax: Any, arrays: Inputs) -> Step:
    function = jax.jit(lambda a, b: a * b + a)
    return lambda: np.asarray(function(*arrays))


def pytensor_tiny(pytensor: Any, arrays: Inputs) -> Step:
    """It trusts its input, which spares it a microsecond and its user the checks."""
    a, b = pytensor.tensor.fvectors("a", "b")
    return partial(pytensor.function([a, b], a * b + a, trust_input=True), *arrays)


def numpy_tiny(np: Any, arrays: Inputs) -> Step:
    """Two calls."""
    a, b = arrays
    return lambda: a * b + a


TINY: dict[str, Definition] = {
    OURS: graphwright_tiny,
    "torch": torch_tiny,
    "torch.compile": partial(torch_tiny, compiled=True),
    "jax": jax_tiny,
    "pytensor": pytensor_tiny,
    "numpy": numpy_tiny,
}


# chain10m: tanh(exp(-a·a)·sin(a) + a/2) for ten million numbers; softmax4096: softmax over the
# rows of a 4096×1024 matrix.


def chain(functions: Any, a: Any) -> Any:
    """In the words that all frameworks share."""
    return functions.tanh(functions.exp(-a * a) * functions.sin(a) + a / 2)


def graphwright_chain(gw: Any, arrays: Inputs) -> Step:
    a = gw.input("a", ("n",))
    return partial(gw.compile(a, chain(gw.ops, a)), *arrays)


def graphwright_softmax(gw: Any, arrays: Inputs) -> Step:
    a = gw.input("a", ("rows", arrays[0].shape[1]))
    return partial(gw.compile(a, gw.ops.softmax(a)), *arrays)


def torch_step(torch: Any, function: Callable[[Any], Any], arrays: Inputs, compiled: bool) -> Step:
    called = torch.compile(function) if compiled else function
    a = torch.from_numpy(arrays[0])
    return torch.inference_mode()(lambda: called(a))  # type: ignore[no-any-return]


def torch_chain(torch: Any, arrays: Inputs, compiled: bool = False) -> Step:
    return torch_step(torch, partial(chain, torch), arrays, compiled)


def torch_softmax(torch: Any, arrays: Inputs, compiled: bool = False) -> Step:
    return torch_step(torch, partial(torch.softmax, dim=1), arrays, compiled)


def jax_step(jax: Any, function: Callable[[Any], Any], arrays: Inputs) -> Step:
    called = jax.jit(function)
    a = jax.numpy.asarray(arrays[0])
    return lambda: called(a).block_until_ready()


def jax_chain(jax: Any, arrays: Inputs) -> Step:
    return jax_step(jax, partial(chain, jax.numpy), arrays)


def jax_softmax(jax: Any, arrays: Inputs) -> Step:
    return jax_step(jax, jax.nn.softmax, arrays)


def pytensor_chain(pytensor: Any, arrays: Inputs) -> Step:
    a = pytensor.tensor.fvector("a")
    half = np.float32(2)  # a Python number would make it float64
    tensor = pytensor.tensor
    result = tensor.tanh(tensor.exp(-a * a) * tensor.sin(a) + a / half)
    return partial(pytensor.function([a], result, trust_input=True), *arrays)


def pytensor_softmax(pytensor: Any, arrays: Inputs) -> Step:
    a = pytensor.tensor.fmatrix("a")
    result = pytensor.tensor.special.softmax(a, axis=1)
    return partial(pytensor.function([a], result, trust_input=True), *arrays)


def numpy_chain(np: Any, arrays: Inputs) -> Step:
    (a,) = arrays
    spare = np.empty_like(a)

    def step() -> Any:
        result = a * a
        np.negative(result, out=result)
        np.exp(result, out=result)
        np.sin(a, out=spare)
        np.multiply(result, spare, out=result)
        np.divide(a, 2, out=spare)
        np.add(result, spare, out=result)
        return np.tanh(result, out=result)

    return step


def numpy_softmax(np: Any, arrays: Inputs) -> Step:
    (a,) = arrays

    def step() -> Any:
        result = a - a.max(1, keepdims=True)
        np.exp(result, out=result)
        result /= result.sum(1, keepdims=True)
        return result

    return step


CHAIN: dict[str, Definition] = {
    OURS: graphwright_chain,
    "torch": torch_chain,
    "torch.compile": partial(torch_chain, compiled=True),
    "jax": jax_chain,
    "pytensor": pytensor_chain,
    "numpy": numpy_chain,
}
SOFTMAX: dict[str, Definition] = {
    OURS: graphwright_softmax,
    "torch": torch_softmax,
    "torch.compile": partial(torch_softmax, compiled=True),
    "jax": jax_softmax,
    "pytensor": pytensor_softmax,
    "numpy": numpy_softmax,
}


def subjects(quick: bool) -> list[Subject]:
    """One for each of the three."""
    numbers, matrix = ((100,), (5, 7)) if quick else ((10_000_000,), (4096, 1024))
    return [
        Subject("tiny_call", "call", "µs", partial(inputs, 2, 16), TINY),
        Subject("chain10m", "infer", "ms", partial(inputs, 1, *numbers), CHAIN),
        Subject("softmax4096", "infer", "ms", partial(inputs, 1, *matrix), SOFTMAX),
    ]
