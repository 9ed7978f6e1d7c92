"""Every operator that torch has too, forward and gradient, against torch.

`support/torch_*.py` say what torch has for each operator: a function from tensors and attributes to
tensors. Both are run in float64 on random inputs, drawn as the operators' own cases say, and must
agree to a part in 10⁹ of the largest element; so must the gradients along random weights of the
outputs. Where values are given and have ties or kinks (`smooth=False`) gradients are left out.

Torch is large and nothing else here needs it: without it (extra `torch`) these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cases import checked, own_operators

from graphwright.compiler.differentiate import grad
from graphwright.graph.dtype import float64, is_floating
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input
from graphwright.graph.tensor import Tensor
from graphwright.testing.example import Example, Run, evaluated, seed
from graphwright.testing.example import run as results

torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")
torch.set_num_threads(1)
Unlike = import_module("support.torch_unlike").Unlike

# Relative to the largest element of a result; what cancels to less than SMALL counts as 0.
TOLERANCE = 1e-9
SMALL = 1e-14
# How often a case is drawn: until torch can do with so many draws what ours does, but no more.
DRAWS = 5
TRIES = 20
FEWEST = 150


def _collected() -> dict[str, Any]:
    """The tables of all families."""
    found: dict[str, Any] = {}
    for path in sorted((Path(__file__).parent / "support").glob("torch_*.py")):
        family = getattr(import_module(f"support.{path.stem}"), "counterparts", {})
        assert not found.keys() & family.keys(), f"{path.stem} has again what others have"
        found.update(family)
    return found


COUNTERPARTS = _collected()
OPERATORS = {operator.name: operator for operator in own_operators()}


def examples(name: str) -> list[Example]:
    """The cases of an operator in float64, each once, but those with infinities and nans."""
    found: dict[str, Example] = {}
    for example in checked(OPERATORS[name]).examples:
        double = example.converted(float64)
        finite = all(
            np.isfinite(operand).all()
            for operand in double.case.operands
            if isinstance(operand, np.ndarray)
        )
        if finite:
            found.setdefault(str(double), double)
    return list(found.values())


def arrays_for(at: Run, draw: int) -> list[np.ndarray]:
    """The elements of the inputs; given ones are moved a little at all draws but the first, unless
    they are where they must be: at ties, kinks and jumps."""
    arrays = at.arrays(draw)
    if not draw or at.example.case.smooth is not True or not at.example.operator.differentiable:
        return arrays
    random = np.random.default_rng(seed(f"{at.example}{draw}"))
    given = [isinstance(operand, np.ndarray) for operand in at.example.case.operands]
    return [
        array * random.uniform(0.99, 1, array.shape)
        if is_given and is_floating(array.dtype)
        else array
        for is_given, array in zip(given, arrays, strict=True)
    ]


def variables(example: Example) -> list[int]:
    """The positions of the inputs whose gradients are to be compared."""
    smooth: Any = example.case.smooth
    if not example.operator.differentiable:
        return []
    if not example.given:
        smooth = True
    floats = [i for i, kind in enumerate(example.types) if is_floating(kind.dtype)]
    return [i for i in floats if smooth is True or (smooth and i in smooth)]


class Gradient:
    """The gradient of ⟨weights, outputs⟩ of an example, as a graph."""

    def __init__(self, example: Example, by: Sequence[int]) -> None:
        self.by = by
        xs = example.inputs()
        outputs = example.op.apply(*xs)
        self.floating = [i for i, out in enumerate(outputs) if is_floating(out.dtype)]
        ws = [input(f"w{i}", outputs[i].shape, outputs[i].dtype) for i in self.floating]
        pairs = zip(ws, (outputs[i] for i in self.floating), strict=True)
        total: Tensor = sum(((w * out).sum() for w, out in pairs), start=xs[by[0]].sum() * 0)
        self.graph = Graph([*xs, *ws], grad(total, [xs[i] for i in by], disconnected="zero"))

    def ours(self, at: Run, arrays: Sequence[Any], weights: Sequence[Any]) -> list[np.ndarray]:
        return evaluated(self.graph, [*arrays, *weights], at.sizes)

    def theirs(self, outputs: Any, inputs: Any, weights: Sequence[Any]) -> list[np.ndarray]:
        chosen = [inputs[i] for i in self.by]
        total = sum(x.sum() * 0 for x in chosen)
        for i, w in zip(self.floating, weights, strict=True):
            total = total + (torch.from_numpy(w) * outputs[i]).sum()
        found = torch.autograd.grad(total, chosen, materialize_grads=True)
        return [gradient.numpy() for gradient in found]


def compare(at: Run, draw: int, gradient: Gradient | None) -> None:
    """Assert that both agree. Raises Unlike where torch has nothing to compare with."""
    arrays = arrays_for(at, draw)
    inputs = [torch.from_numpy(array) for array in arrays]
    for i in gradient.by if gradient else ():
        inputs[i].requires_grad_()
    answer = COUNTERPARTS[at.example.operator.name](*inputs, **at.op.attributes)
    theirs = answer if isinstance(answer, tuple | list) else (answer,)
    ours = results(at.op, arrays)
    check_near(ours, [out.detach().numpy() for out in theirs], "output")
    if gradient:
        random = np.random.default_rng(seed(str(at.example)))
        weights = [random.uniform(0.5, 1.5, ours[i].shape) for i in gradient.floating]
        theirs = gradient.theirs(theirs, inputs, weights)
        check_near(gradient.ours(at, arrays, weights), theirs, "gradient")


def check_near(ours: Sequence[Any], theirs: Sequence[Any], what: str) -> None:
    assert len(ours) == len(theirs)
    for i, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        assert own.shape == other.shape, f"{what} {i}"
        one, two = own.astype(float), other.astype(float)
        largest = np.max(np.abs(two), initial=0.0, where=np.isfinite(two))
        allowed = max(TOLERANCE * largest, SMALL)
        np.testing.assert_allclose(one, two, rtol=0, atol=allowed, err_msg=f"{what} {i}")


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_an_operator_agrees_with_torch(name: str) -> None:
    values = gradients = 0
    for example in examples(name):
        by = variables(example)
        gradient = Gradient(example, by) if by else None
        for sizes in example.sizes[:2]:
            with Run(example, sizes) as at:
                compared = compare_some(at, gradient)
            values += compared
            gradients += compared * bool(by)
    assert values, "in no case does torch have it"
    assert gradients or not any(map(variables, examples(name))), "no gradient is compared"


def compare_some(at: Run, gradient: Gradient | None) -> int:
    """Compare until that was possible at `DRAWS` draws of `TRIES`; how often it was."""
    compared = 0
    for draw in range(TRIES):
        try:
            compare(at, draw, gradient)
            compared += 1
        except Unlike:
            continue
        except AssertionError as error:
            error.add_note(f"{at.example}, draw {draw}")
            raise
        if compared == DRAWS:
            break
    return compared


def test_many_operators_are_compared() -> None:
    assert len(COUNTERPARTS) >= FEWEST
    assert COUNTERPARTS.keys() <= OPERATORS.keys()
