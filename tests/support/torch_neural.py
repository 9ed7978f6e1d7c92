"""What torch has for convolutions, pools, images, normalization, attention and cells.

See `test_torch`. Torch pads alike on both sides: other padding is put around before. Deliberate
differences: torch's `lp_pool` takes no magnitudes (they are taken before), and divides by less than
it multiplies with where windows reach over the end; its local response norm sees one more neighbour
before than after, where ours, as in ONNX, sees one more after.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from support.torch_unlike import (
    Index,
    Pairs,
    Table,
    Unlike,
    alike,
    by_rank,
    different,
    floating,
    padded,
)

# Convolutions and windows.


def conv(
    x: Tensor, w: Tensor, strides: Index, padding: Pairs, dilations: Index, groups: int
) -> Tensor:
    floating(x)
    if not x.shape[1]:
        raise Unlike("torch makes no channels of none")
    function = by_rank("conv", w.ndim - 2)
    return function(padded(x, padding), w, None, strides, 0, dilations, groups)


def conv_transpose(
    x: Tensor,
    w: Tensor,
    strides: Index,
    padding: Pairs,
    dilations: Index,
    groups: int,
    sizes: Index,
) -> Tensor:
    """All that the weights reach, cut or filled up to what is wanted."""
    floating(x)
    function = by_rank("conv_transpose", w.ndim - 2)
    whole = function(x, w, None, strides, 0, 0, groups, dilations)
    found = zip(padding, sizes, whole.shape[2:], strict=True)
    return padded(whole, tuple((-before, before + n - have) for (before, _), n, have in found))


def conv_weight_gradient(x: Tensor, y: Tensor, window: Index, groups: int, **how: Any) -> Tensor:
    floating(x)
    w = x.new_zeros(y.shape[1], x.shape[1] // groups, *window, requires_grad=True)
    out = conv(x, w, groups=groups, **how)
    return torch.autograd.grad(out, w, y, create_graph=True)[0]


def as_images(x: Tensor, *numbers: Index) -> tuple[Tensor, list[Index]]:
    """Signals as images of height 1, (n,) as (1, n): torch folds and unfolds images only."""
    if len(numbers[0]) == 2:
        return x, list(numbers)
    return x.unsqueeze(-2), [(1, *each) for each in numbers]


def unfold(x: Tensor, window: Index, strides: Index, padding: Pairs, dilations: Index) -> Tensor:
    floating(x)
    images, numbers = as_images(padded(x, padding), window, strides, dilations)
    return F.unfold(images, numbers[0], numbers[2], 0, numbers[1])


def fold(
    x: Tensor, sizes: Index, window: Index, strides: Index, padding: Pairs, dilations: Index
) -> Tensor:
    """Into the padded images, which are cut to size."""
    wide = tuple(n + sum(pair) for n, pair in zip(sizes, padding, strict=True))
    _, (whole, *numbers) = as_images(x, wide, window, strides, dilations)
    images = F.fold(x, whole, numbers[0], numbers[2], 0, numbers[1])
    cut = padded(images, tuple((-before, -after) for before, after in padding))
    return cut if len(sizes) == 2 else cut.squeeze(-2)


def windows(x: Tensor, window: Index, strides: Index, dilations: Index) -> Tensor:
    first = x.ndim - len(window)
    for axis, (n, stride, step) in enumerate(zip(window, strides, dilations, strict=True), first):
        x = x.unfold(axis, step * (n - 1) + 1, stride)[..., ::step]
    return x


def overlap_add(x: Tensor, sizes: Index, strides: Index, dilations: Index) -> Tensor:
    floating(x)
    k = len(sizes)
    if k not in (1, 2) or not x.numel():
        raise Unlike("torch folds images only")
    lead, counts, window = x.shape[: x.ndim - 2 * k], x.shape[-2 * k : -k], x.shape[-k:]
    columns = x.reshape(-1, math.prod(counts), math.prod(window)).mT
    how = {"window": tuple(window), "strides": strides, "dilations": dilations}
    return fold(columns, sizes, padding=((0, 0),) * k, **how).reshape(*lead, *sizes)


# Pools.


def around(x: Tensor, window: Index, padding: Pairs, ceil_mode: bool, value: float) -> Any:
    """The tensor and the padding that is left to torch: all if it can, else none."""
    widths = alike(padding)
    if widths is not None and all(2 * a <= n for a, n in zip(widths, window, strict=True)):
        return x, widths
    if ceil_mode:
        raise Unlike("what is behind the end depends on who pads")
    return padded(x, padding, value), 0


def max_pool_with_indices(
    x: Tensor,
    window: Index,
    strides: Index,
    padding: Pairs,
    dilations: Index,
    ceil_mode: bool,
) -> tuple[Tensor, Tensor]:
    floating(x)
    inner, widths = around(x, window, padding, ceil_mode, -math.inf)
    function = by_rank("max_pool", len(window))
    out, flat = function(inner, window, strides, widths, dilations, ceil_mode, return_indices=True)
    if inner is not x:
        places = torch.unravel_index(flat, inner.shape[2:])
        flat = torch.zeros_like(flat)
        for place, (before, _), n in zip(places, padding, x.shape[2:], strict=True):
            flat = flat * n + place - before
    return out, flat


def average_pool(
    x: Tensor,
    window: Index,
    strides: Index,
    padding: Pairs,
    dilations: Index,
    ceil_mode: bool,
    count_include_pad: bool,
) -> Tensor:
    floating(x)
    if any(step != 1 for step in dilations):
        raise Unlike("torch averages neighbours only")
    function = by_rank("avg_pool", len(window))
    inner, widths = around(x, window, padding, ceil_mode, 0.0)
    out = function(inner, window, strides, widths, ceil_mode, count_include_pad)
    if inner is x or count_include_pad:
        return out
    return out / function(padded(torch.ones_like(x), padding), window, strides)


def lp_pool(
    x: Tensor,
    window: Index,
    strides: Index,
    padding: Pairs,
    dilations: Index,
    ceil_mode: bool,
    p: float,
) -> Tensor:
    if ceil_mode or any(step != 1 for step in dilations):
        raise Unlike("torch divides by what is there and multiplies by the whole window")
    inner = padded(x.abs(), padding)
    if len(window) == 1:
        return F.lp_pool1d(inner, p, *window, *strides)
    return by_rank("lp_pool", len(window))(inner, p, window, strides)


def max_unpool(x: Tensor, indices: Tensor, sizes: Index) -> Tensor:
    floating(x)
    different(indices.flatten(2), -1)
    # Windows of the width that makes the sizes those that torch expects.
    window = tuple(n - have + 1 for n, have in zip(sizes, x.shape[2:], strict=True))
    return by_rank("max_unpool", len(sizes))(x, indices.long(), window, 1, output_size=sizes)


def adaptive(name: str) -> Callable[..., Tensor]:
    def counterpart(x: Tensor, sizes: Index) -> Tensor:
        floating(x)
        return by_rank(f"adaptive_{name}_pool", len(sizes))(x, sizes)

    return counterpart


# Images of another size.

NEAREST = {
    ("asymmetric", "floor"): "nearest",
    ("half_pixel", "round_prefer_ceil"): "nearest-exact",
}
SMOOTH = {
    ("linear", 1): "linear",
    ("linear", 2): "bilinear",
    ("linear", 3): "trilinear",
    ("cubic", 2): "bicubic",
}


def resize(x: Tensor, axes: Index, sizes: Index, scales: tuple[float, ...], **how: Any) -> Tensor:
    """The axes last, one of a cubic with one of size 1 beside it."""
    floating(x)
    count = len(axes)
    if how["mode"] == "cubic" and count == 1:
        image, one = x.unsqueeze(-1), (*axes, x.ndim)
        return resize(image, one, (*sizes, 1), scales * 2, **how).squeeze(-1)
    named = interpolation(count, **how)
    if len(set(scales)) > 1:
        raise Unlike("compared for one scale of all axes only")
    last = tuple(range(x.ndim - count, x.ndim))
    moved = x.movedim(axes, last)
    rows = moved.reshape(1, -1, *moved.shape[-count:])
    if scales:
        out = F.interpolate(rows, None, scales, recompute_scale_factor=False, **named)
    else:
        out = F.interpolate(rows, sizes, **named)
    if tuple(out.shape[2:]) != tuple(sizes):
        raise Unlike("torch makes other sizes of these scales")
    return out.reshape(*moved.shape[:-count], *sizes).movedim(last, axes)


def interpolation(
    count: int, mode: str, coordinates: str, rounding: str, cubic_coefficient: float
) -> dict[str, Any]:
    """Torch's names for these attributes, for so many axes."""
    if mode == "nearest":
        name, corners = NEAREST.get((coordinates, rounding)), None
    else:
        name, corners = SMOOTH.get((mode, count)), coordinates == "align_corners"
    known = mode == "nearest" or coordinates != "asymmetric"
    if name is None or not known or not 1 <= count <= 3 or cubic_coefficient != -0.75:
        raise Unlike("torch has no such coordinates")
    return {"mode": name, "align_corners": corners}


def grid_sample(
    x: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool
) -> Tensor:
    """Signals as images of height 1, whose middle is at 0."""
    names = {"linear": "bilinear", "nearest": "nearest"}
    if x.ndim == 3:
        images, places = x.unsqueeze(-2), F.pad(grid, (0, 1)).unsqueeze(1)
        return grid_sample(images, places, mode, padding_mode, align_corners).squeeze(-2)
    return F.grid_sample(x, grid, names[mode], padding_mode, align_corners)


def affine_grid(theta: Tensor, sizes: Index, align_corners: bool) -> Tensor:
    if len(sizes) not in (2, 3):
        raise Unlike("torch has it for images and volumes")
    return F.affine_grid(theta, [theta.shape[0], 1, *sizes], align_corners)


# Normalization.


def softmax(function: Any) -> Callable[[Tensor, Index], Tensor]:
    """Torch has one axis: several are made one."""

    def counterpart(x: Tensor, axes: Index) -> Tensor:
        last = tuple(range(x.ndim - len(axes), x.ndim))
        moved = x.movedim(axes, last)
        rows = moved.reshape(
            *moved.shape[: x.ndim - len(axes)], math.prod(x.shape[i] for i in axes)
        )
        return function(rows, -1).reshape(moved.shape).movedim(last, axes)

    return counterpart


def layer_norm(x: Tensor, scale: Tensor, shift: Tensor, axes: Index, epsilon: float) -> Tensor:
    last = tuple(range(x.ndim - len(axes), x.ndim))
    out = F.layer_norm(x.movedim(axes, last), scale.shape, scale, shift, epsilon)
    return out.movedim(last, axes)


def rms_norm(x: Tensor, scale: Tensor, axes: Index, epsilon: float) -> Tensor:
    if not axes:
        raise Unlike("no axes are all axes for torch")
    last = tuple(range(x.ndim - len(axes), x.ndim))
    return F.rms_norm(x.movedim(axes, last), scale.shape, scale, epsilon).movedim(last, axes)


def l2_normalize(x: Tensor, axes: Index, epsilon: float) -> Tensor:
    if not axes:
        raise Unlike("no axes are all axes for torch")
    return F.normalize(x, dim=axes, eps=epsilon)


def batch_norm(
    x: Tensor, scale: Tensor, shift: Tensor, axis: int, epsilon: float
) -> tuple[Tensor, ...]:
    rest = [i for i in range(x.ndim) if i != axis]
    if math.prod(x.shape[i] for i in rest) < 2:
        raise Unlike("torch refuses a single value for each channel")
    moved = x.movedim(axis, 1)
    out = F.batch_norm(moved, None, None, scale, shift, training=True, eps=epsilon)
    variance, mean = torch.var_mean(x, rest, correction=0)
    return out.movedim(1, axis), mean, variance


def batch_norm_inference(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    variance: Tensor,
    axis: int,
    epsilon: float,
) -> Tensor:
    """By the formula: torch's own function has no gradient by the statistics."""
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    scale, shift, mean, variance = (each.reshape(shape) for each in (scale, shift, mean, variance))
    return (x - mean) * torch.rsqrt(variance + epsilon) * scale + shift


def instance_norm(x: Tensor, scale: Tensor, shift: Tensor, axis: int, epsilon: float) -> Tensor:
    moved = x.movedim(axis, 1)
    if math.prod(moved.shape[2:]) < 2:
        raise Unlike("torch refuses a single value for each channel")
    out = F.instance_norm(moved, weight=scale, bias=shift, eps=epsilon)
    return out.movedim(1, axis)


def group_norm(
    x: Tensor, scale: Tensor, shift: Tensor, axis: int, epsilon: float, groups: int
) -> Tensor:
    out = F.group_norm(x.movedim(axis, 1), groups, scale, shift, epsilon)
    return out.movedim(1, axis)


def local_response_norm(
    x: Tensor, axis: int, size: int, alpha: float, beta: float, bias: float
) -> Tensor:
    if size % 2 == 0:
        raise Unlike("torch has the odd neighbour on the other side")
    moved = x.movedim(axis, 0)
    rows = moved.reshape(1, moved.shape[0], -1)
    out = F.local_response_norm(rows, size, alpha, beta, bias)
    return out.reshape(moved.shape).movedim(0, axis)


counterparts: Table = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "conv_weight_gradient": conv_weight_gradient,
    "unfold": unfold,
    "fold": fold,
    "windows": windows,
    "overlap_add": overlap_add,
    "max_pool": lambda x, **how: max_pool_with_indices(x, **how)[0],
    "max_pool_with_indices": max_pool_with_indices,
    "max_unpool": max_unpool,
    "average_pool": average_pool,
    "lp_pool": lp_pool,
    "adaptive_average_pool": adaptive("avg"),
    "adaptive_max_pool": adaptive("max"),
    "resize": resize,
    "grid_sample": grid_sample,
    "affine_grid": affine_grid,
    "softmax": softmax(F.softmax),
    "log_softmax": softmax(F.log_softmax),
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "l2_normalize": l2_normalize,
    "batch_norm": batch_norm,
    "batch_norm_inference": batch_norm_inference,
    "instance_norm": instance_norm,
    "group_norm": group_norm,
    "local_response_norm": local_response_norm,
}
