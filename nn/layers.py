"""The layers Dense and Flatten, and Sequential to chain them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from graphwright import ops
from graphwright.graph.dim import Dim, Size, product
from graphwright.graph.dtype import is_floating, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor
from graphwright.nn.activation import Function, activation
from graphwright.nn.init import Initializer, initializer
from graphwright.nn.module import Module


class Dense(Module):
    """activation(x @ kernel + bias), on the last axis.

    x: floating [..., features], features a number; the output is [..., units].
    Parameters: `kernel` [features, units] and `bias` [units], of x's dtype.

    units:              how many outputs
    activation:         a name ("relu"), a function of a tensor, or None for none
    kernel_initializer: a name from `gw.init`, or a function (shape, seed=, dtype=) -> array
    bias_initializer:   the same for the bias
    use_bias:           False leaves the bias out
    name, seed:         see `Module`

    Raises AttributeValueError for a bad argument; when called, ShapeError or DTypeError for an
    input that does not fit.
    """

    def __init__(
        self,
        units: int,
        activation: str | Function | None = None,
        *,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        use_bias: bool = True,
        name: str = "",
        seed: int | None = None,
    ) -> None:
        if isinstance(units, bool) or not isinstance(units, int) or units < 1:
            raise AttributeValueError(
                f"dense: units must be a whole number from 1, got {units!r}", source=here()
            )
        self.units = units
        self.activation = _activation(activation)
        self.kernel_initializer = initializer(kernel_initializer)
        self.bias_initializer = initializer(bias_initializer)
        self.use_bias = use_bias
        self.name = name
        self.seed = seed

    def forward(self, x: Tensor, training: bool) -> Tensor:
        shape = (self._features(x), self.units)
        kernel = self.parameter("kernel", shape, self.kernel_initializer, x.dtype)
        y = x @ kernel
        if self.use_bias:
            y = y + self.parameter("bias", (self.units,), self.bias_initializer, x.dtype)
        return self.activation(y)

    def _features(self, x: Tensor) -> int:
        details = [("x", x.describe())]
        name = self.name or self.default_name
        if not is_floating(x.dtype):
            raise DTypeError(
                f"{name}: needs a floating input, got {short_name(x.dtype)}",
                details=details,
                source=here(),
                hint="convert it first: x.astype(gw.float32)",
            )
        if not x.shape or isinstance(x.shape[-1], Dim):
            problem = f"it is {x.shape[-1]}" if x.shape else "the input has rank 0"
            raise ShapeError(
                f"{name}: the input's last size must be a number, because the kernel has it; "
                f"{problem}",
                details=details,
                source=here(),
                hint="only the sizes before the last one may be symbolic",
            )
        return x.shape[-1]


_activation = activation


class Flatten(Module):
    """All axes but the first made one: [batch, 8, 8] becomes [batch, 64]."""

    def __init__(self, *, name: str = "") -> None:
        self.name = name

    def forward(self, x: Tensor, training: bool) -> Tensor:
        if not x.shape:
            raise ShapeError(
                "flatten: the input has rank 0, so there is no first axis to keep",
                details=[("x", x.describe())],
                source=here(),
            )
        rest: Size = product(x.shape[1:])
        return ops.reshape(x, (x.shape[0], rest))


class Sequential(Module):
    """Layers one after the other.

    Layers without a name are named after their kind, and numbered where a kind comes several
    times: dense_1, relu, dense_2. The same layer may stand in several places, and then uses the
    same parameters in all.

    Raises AttributeValueError for what is no layer, and for two layers of one name.
    """

    def __init__(
        self, layers: Sequence[Module], *, name: str = "", seed: int | None = None
    ) -> None:
        self.layers = tuple(layers)
        self.name = name
        self.seed = seed
        for layer in self.layers:
            if not isinstance(layer, Module):
                raise AttributeValueError(
                    f"sequential: {layer!r} is not a layer",
                    source=here(),
                    hint="wrap a function of a tensor: nn.Activation(function)",
                )
        names = Counter(name for name, _ in self.children)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise AttributeValueError(
                f"sequential: two layers are named {twice[0]!r}",
                source=here(),
                hint="give one of them another name",
            )

    @property
    def children(self) -> Iterator[tuple[str, Module]]:
        layers = dict.fromkeys(self.layers)
        total = Counter(layer.default_name for layer in layers if not layer.name)
        number: Counter[str] = Counter()
        for layer in layers:
            kind = layer.default_name
            number[kind] += not layer.name
            yield layer.name or (f"{kind}_{number[kind]}" if total[kind] > 1 else kind), layer

    def forward(self, x: Tensor, training: bool) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x
