"""Batch normalization: in training by the statistics of the batch, later by running ones."""

from __future__ import annotations

from functools import reduce
from operator import add

from graphwright.graph.dim import Size, product
from graphwright.graph.dim import maximum as largest
from graphwright.graph.dtype import float64
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32
from graphwright.ops.checks import check_epsilon, check_fits, check_floating
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.exponential import rsqrt
from graphwright.ops.movement import broadcast_to, reshape
from graphwright.ops.normalization import Standardized, across, weight
from graphwright.ops.reduction import sum
from graphwright.ops.selection import stop_gradient
from graphwright.ops.shapes import check_axis, normalize_axis
from graphwright.ops.statistics import wide_dtype, widened


class ByChannel(Composite):
    """Normalization with weights for each channel, a place on `axis` (counted from the front)."""

    axis: int
    epsilon: float

    def checked(self, x: TensorType, **vectors: TensorType) -> TensorType:
        """What `infer` answers for `x`, beside vectors of a number for each channel."""
        check_floating(x)
        check_axis(self.axis, x.rank)
        check_epsilon(self.epsilon)
        for label, kind in vectors.items():
            hint = f"it has a number for each channel, those of axis {self.axis} of x"
            check_fits(label, kind, x, (x.shape[self.axis],), hint)
        return x

    def across(self, vector: Tensor, x: Tensor) -> Tensor:
        """The vector along the channels of `x`, with axes of size 1 for the others."""
        return across(vector, x, (self.axis,))

    def others(self, x: Tensor) -> tuple[int, ...]:
        """The axes of `x` besides that of the channels."""
        return tuple(i for i in range(x.ndim) if i != self.axis)


@register
class BatchNorm(ByChannel):
    """Each channel brought to mean 0 and variance 1 over the batch, then scaled and shifted.

    out = scale · x̂ + shift, where x̂ = (x - mean) / √(variance + epsilon)
    Gives out, and the mean and the variance over all other axes than `axis`, for
    `running_statistics`; the variance is that of the elements themselves (divided by their count).
    d/dx = (h - mean(h) - x̂ · mean(h·x̂)) / √(variance + epsilon), where h = g · scale, and what
    comes back through mean and variance

    scale, shift:   a number for each channel
    mean, variance: the same; float32 for 16-bit floats, which are normalized as float32
    Source: Ioffe and Szegedy, Batch normalization, 2015, https://arxiv.org/abs/1502.03167.
    """

    name = "batch_norm"

    def infer(
        self, x: TensorType, scale: TensorType, shift: TensorType
    ) -> tuple[TensorType, TensorType, TensorType]:
        self.checked(x, scale=scale, shift=shift)
        statistic = scale.with_dtype(wide_dtype(x.dtype))
        return x, statistic, statistic

    def decompose(self, x: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        standard = Standardized.of(x, self.others(x), self.epsilon)
        out = standard.normal * self.across(scale, x) + self.across(shift, x)
        channels = x.shape[self.axis]
        return (
            cast(out, x.dtype),
            reshape(standard.mean, channels),
            reshape(standard.variance, channels),
        )

    def gradient(
        self,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        out: Tensor,
        mean: Tensor,
        variance: Tensor,
        g: Tensor | None,
        to_mean: Tensor | None,
        to_variance: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        standard = Standardized.of(x, self.others(x), self.epsilon)
        count = product(x.shape[i] for i in standard.axes)
        parts: list[Tensor] = []
        to_scale = to_shift = None
        if g is not None:
            wide = widened(g)
            parts.append(standard.gradient(wide * self.across(scale, x)))
            to_scale = cast(sum(wide * standard.normal, standard.axes), x.dtype)
            to_shift = cast(sum(wide, standard.axes), x.dtype)
        if to_mean is not None:
            parts.append(broadcast_to(self.across(to_mean, x) / count, x.shape))
        if to_variance is not None:
            centered = widened(x) - standard.mean
            parts.append(centered * (2 * self.across(to_variance, x) / count))
        return cast(reduce(add, parts), x.dtype), to_scale, to_shift

    cases = (
        Case(f32["n", 3], f32[3], f32[3], axis=1, epsilon=1e-5),
        Case(f64["n", "c", 2], f64["c"], f64["c"], axis=1, epsilon=1e-2),
        Case(f64[2, 2, 3], f64[3], f64[3], axis=2, epsilon=1e-3),
        Case(f64[3, 2], f64[3], f64[3], axis=0, epsilon=0.5),
        Case(f16[3, 2], f16[2], f16[2], axis=1, epsilon=1e-3),
        Case([[2.0], [2.0], [2.0]], [3.0], [0.5], axis=1, epsilon=1e-3),
    )
    rejects = (
        Reject(f32[4, 3], f32[4], f32[3], axis=1, epsilon=0.0, message="scale is f32[4], not f32"),
        Reject(f32[4, 3], f32[3], f32[1], axis=1, epsilon=0.0, message="shift is f32[1], not f32"),
        Reject(f32[4, 3], f64[3], f32[3], axis=1, epsilon=0.0, message="scale is f64[3], but x is"),
        Reject(f32[4, 3], f32[3], f32[3], axis=2, epsilon=0.0, message="axis 2 is out of range"),
        Reject(f32[4, 3], f32[3], f32[3], axis=-1, epsilon=0.0, message="counted from the front"),
        Reject(f32[4, 3], f32[3], f32[3], axis=1, epsilon=-1.0, message="can't be negative"),
        Reject(i32[4, 3], i32[3], i32[3], axis=1, epsilon=0.0, message="needs a floating input"),
    )


@register
class BatchNormInference(ByChannel):
    """Each channel brought to mean 0 and variance 1 by known statistics, then scaled and shifted.

    out = scale · (x - mean) / √(variance + epsilon) + shift

    scale, shift:   a number for each channel
    mean, variance: the same; float32 for 16-bit floats, which are normalized as float32
    Source: Ioffe and Szegedy, Batch normalization, 2015, https://arxiv.org/abs/1502.03167.
    """

    name = "batch_norm_inference"

    def infer(
        self,
        x: TensorType,
        scale: TensorType,
        shift: TensorType,
        mean: TensorType,
        variance: TensorType,
    ) -> TensorType:
        self.checked(x, scale=scale, shift=shift)
        self.checked(x.with_dtype(wide_dtype(x.dtype)), mean=mean, variance=variance)
        return x

    def decompose(
        self, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
    ) -> Tensor:
        factor = widened(scale) * rsqrt(variance + self.epsilon)
        centered = widened(x) - self.across(mean, x)
        return cast(centered * self.across(factor, x) + self.across(shift, x), x.dtype)

    cases = (
        Case(f32["n", 3], f32[3], f32[3], f32[3], Within(f32[3], 0.1, 2), axis=1, epsilon=1e-5),
        Case(
            f64["n", 2, "c"],
            f64["c"],
            f64["c"],
            f64["c"],
            Within(f64["c"], 0.1, 2),
            axis=2,
            epsilon=1e-3,
        ),
        Case(f16[2, 3], f16[2], f16[2], f32[2], Within(f32[2], 0.1, 2), axis=0, epsilon=1e-3),
    )
    rejects = (
        Reject(
            f32[4, 3],
            f32[3],
            f32[3],
            f32[4],
            f32[3],
            axis=1,
            epsilon=0.0,
            message="mean is f32[4], not f32[3]",
        ),
        Reject(
            f16[4, 3],
            f16[3],
            f16[3],
            f16[3],
            f16[3],
            axis=1,
            epsilon=0.0,
            message="mean is f16[3], but x is f32[4,3]",
        ),
        Reject(
            i32[4, 3],
            i32[3],
            i32[3],
            i32[3],
            i32[3],
            axis=1,
            epsilon=0.0,
            message="needs a floating input",
        ),
    )


@builder
def batch_norm(
    x: TensorLike,
    scale: TensorLike | None = None,
    shift: TensorLike | None = None,
    axis: int = 1,
    epsilon: float = 1e-5,
) -> tuple[Tensor, Tensor, Tensor]:
    """In training: each channel of `x` normalized over the batch; its mean; its variance.

    scale, shift: a number for each channel, those of `axis`; 1 and 0 unless given
    epsilon:      added to the variance

    Running statistics are kept by the caller, with `running_statistics`; `batch_norm_inference`
    takes them. See `BatchNorm` for the formula.
    """
    tensor = as_floating(x)
    channel = normalize_axis(axis, tensor.ndim)
    shape = (tensor.shape[channel],)
    weights = weight(scale, 1, tensor, shape), weight(shift, 0, tensor, shape)
    out, mean, variance = BatchNorm(channel, epsilon).apply(tensor, *weights)
    return out, mean, variance


@builder
def batch_norm_inference(
    x: TensorLike,
    scale: TensorLike | None,
    shift: TensorLike | None,
    mean: TensorLike,
    variance: TensorLike,
    axis: int = 1,
    epsilon: float = 1e-5,
) -> Tensor:
    """Each channel of `x` normalized by a known mean and variance; see `BatchNormInference`.

    scale, shift:   a number for each channel, those of `axis`; 1 and 0 for None
    mean, variance: the same
    """
    tensor = as_floating(x)
    channel = normalize_axis(axis, tensor.ndim)
    shape = (tensor.shape[channel],)
    weights = weight(scale, 1, tensor, shape), weight(shift, 0, tensor, shape)
    wide = wide_dtype(tensor.dtype)
    statistics = as_tensor(mean, wide), as_tensor(variance, wide)
    return BatchNormInference(channel, epsilon)(tensor, *weights, *statistics)


@builder
def running_statistics(
    running_mean: TensorLike,
    running_variance: TensorLike,
    mean: TensorLike,
    variance: TensorLike,
    count: Size,
    momentum: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """The running mean and variance after one more batch, to be stored by the caller.

    new mean     = (1 - momentum) · running mean + momentum · mean
    new variance = (1 - momentum) · running variance + momentum · variance · count / (count - 1)

    mean, variance: what `batch_norm` gives
    count:          how many elements each of them is of; `x.size // channels`
    momentum:       the weight of the batch, from 0 to 1, as in PyTorch; 1 minus that of Keras

    The variance of a batch is made that of the population (Bessel's correction); that of a single
    element is 0 and stays so. No gradient flows through either. Raises AttributeValueError for
    a momentum out of range.
    """
    if not 0 <= momentum <= 1:
        raise AttributeValueError(f"the momentum must be from 0 to 1, got {momentum}")
    if isinstance(count, int) and count < 1:
        raise AttributeValueError(f"the count must be at least 1, got {count}")
    bessel = as_tensor(count, float64) / as_tensor(largest(count - 1, 1), float64)
    unbiased = as_tensor(variance) * cast(bessel, as_tensor(variance).dtype)
    return (
        _averaged(as_tensor(running_mean), as_tensor(mean), momentum),
        _averaged(as_tensor(running_variance), unbiased, momentum),
    )


def _averaged(running: Tensor, latest: Tensor, momentum: float) -> Tensor:
    fresh = cast(stop_gradient(latest), running.dtype)
    return (1 - momentum) * stop_gradient(running) + momentum * fresh
