"""Matrix products over a table of shapes: square, thin, tiny, batched, transposed.

Matrices are in the framework's own arrays; results are fresh. Names say the sizes, rows×inner×
columns, before them the number of products in a batch, behind them who is transposed: `aT` is one
that lies in memory as [inner, rows].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.subject import OURS, Definition, Step, Subject


@dataclass(frozen=True)
class Shape:
    """One product: [*batch, rows, inner] @ [*batch, inner, columns]."""

    rows: int
    inner: int
    columns: int
    batch: tuple[int, ...] = ()
    a_turned: bool = False
    b_turned: bool = False

    @property
    def name(self) -> str:
        """As in tables."""
        count = f"{prod(self.batch)}·" if self.batch else ""
        turned = " aT" * self.a_turned + " bT" * self.b_turned
        return f"{count}{self.rows}×{self.inner}×{self.columns}{turned}"

    @property
    def flops(self) -> int:
        """A multiplication and an addition for each term of each sum."""
        return 2 * prod(self.batch) * self.rows * self.inner * self.columns

    def operands(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Standard normal float32, as they lie in memory."""
        rng = np.random.default_rng(0)
        a = (self.inner, self.rows) if self.a_turned else (self.rows, self.inner)
        b = (self.columns, self.inner) if self.b_turned else (self.inner, self.columns)
        shapes = (*self.batch, *a), (*self.batch, *b)
        left, right = (rng.standard_normal(shape, np.float32) for shape in shapes)
        return left, right


SQUARE = [Shape(n, n, n) for n in (64, 128, 256, 512, 1024, 2048)]
THIN = [
    Shape(1, 1024, 1024),
    Shape(1024, 1024, 1),
    Shape(32, 784, 128),
    Shape(2048, 2048, 8),
    Shape(8, 2048, 2048),
    Shape(2048, 16, 2048),
    Shape(16, 16384, 16),
]
TINY = [Shape(1, 1, 1), Shape(2, 2, 2), Shape(4, 4, 4), Shape(3, 5, 7), Shape(8, 8, 8)]
TINY += [Shape(16, 16, 16), Shape(32, 64, 10), Shape(32, 32, 32)]
BATCHED = [
    Shape(8, 8, 8, batch=(512,)),
    Shape(128, 32, 128, batch=(64,)),
    Shape(128, 128, 32, batch=(64,)),
    Shape(256, 256, 256, batch=(16,)),
]
TURNED = [
    Shape(512, 512, 512, a_turned=True),
    Shape(512, 512, 512, b_turned=True),
    Shape(512, 512, 512, a_turned=True, b_turned=True),
    Shape(784, 512, 128, a_turned=True),
    Shape(512, 64, 128, b_turned=True),
    Shape(128, 32, 128, batch=(64,), b_turned=True),
]
SHAPES = [*SQUARE, *THIN, *TINY, *BATCHED, *TURNED]
QUICK_SHAPES = [Shape(3, 5, 7), Shape(4, 3, 2, batch=(2,), a_turned=True, b_turned=True)]


def graphwright_product(gw: Any, shape: Shape) -> Step:
    """All sizes are known, as to the other compilers."""
    arrays = shape.operands()
    a, b = (gw.input(name, array.shape) for name, array in zip("ab", arrays, strict=True))
    left = gw.ops.matrix_transpose(a) if shape.a_turned else a
    right = gw.ops.matrix_transpose(b) if shape.b_turned else b
    return partial(gw.compile([a, b], left @ right), *arrays)


def torch_product(torch: Any, shape: Shape) -> Step:
    a, b = (torch.from_numpy(array) for array in shape.operands())
    left = a.mT if shape.a_turned else a
    right = b.mT if shape.b_turned else b
    return torch.inference_mode()(lambda: left @ right)  # type: ignore[no-any-return]


def jax_product(jax: Any, shape: Shape) -> Step:
    a, b = (jax.numpy.asarray(array) for array in shape.operands())

    @jax.jit  # type: ignore[untyped-decorator]
    def product(a: Any, b: Any) -> Any:
        return (a.mT if shape.a_turned else a) @ (b.mT if shape.b_turned else b)

    return lambda: product(a, b).block_until_ready()


def numpy_product(np: Any, shape: Shape) -> Step:
    a, b = shape.operands()
    left = a.mT if shape.a_turned else a
    right = b.mT if shape.b_turned else b
    return lambda: left @ right


PRODUCT: dict[str, Definition] = {
    OURS: graphwright_product,
    "torch": torch_product,
    "jax": jax_product,
    "numpy": numpy_product,
}


def subjects(quick: bool) -> list[Subject]:
    """One for each shape."""
    return [
        Subject(
            f"matmul {shape.name}",
            "infer",
            "µs",
            partial(_itself, shape),
            PRODUCT,
            flops=shape.flops,
            seconds=0.5,
        )
        for shape in (QUICK_SHAPES if quick else SHAPES)
    ]


def _itself(shape: Shape) -> Shape:
    return shape
