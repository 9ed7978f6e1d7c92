"""What torch has for movement, indices, order and reductions: see `test_torch`.

Deliberate differences: where an index is written to twice, torch leaves open which update stays;
where elements tie, its running and sorted extrema give the gradient to one of them.
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
    different,
    dtype_of,
    floating,
    padded,
    wrapped,
)

# Movement.


def expand_dims(x: Tensor, axes: Index) -> Tensor:
    for axis in sorted(axes):
        x = x.unsqueeze(axis)
    return x


def strided(starts: Index, sizes: Index, steps: Index) -> list[Tensor]:
    """The places along each axis that a slice names."""
    return [a + s * torch.arange(n) for a, n, s in zip(starts, sizes, steps, strict=True)]


def slice_(x: Tensor, starts: Index, sizes: Index, steps: Index) -> Tensor:
    """Torch's own slices have no negative steps."""
    for axis, places in enumerate(strided(starts, sizes, steps)):
        x = x.index_select(axis, places)
    return x


def unslice(x: Tensor, shape: Index, starts: Index, steps: Index) -> Tensor:
    if not shape:
        return x.clone()
    grid = torch.meshgrid(*strided(starts, tuple(x.shape), steps), indexing="ij")
    return x.new_zeros(shape).index_put(grid, x)


def extend(x: Tensor, widths: Pairs, mode: str) -> Tensor:
    floating(x)
    names = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}
    room = {"reflect": -1, "wrap": 0}.get(mode, math.inf)
    wide = any(max(pair) > n + room for pair, n in zip(widths, x.shape, strict=True))
    if mode not in names or wide or not 1 <= x.ndim <= 3:
        raise Unlike("torch pads so neither by mirrors nor by more than there is")
    flat = [width for pair in reversed(widths) for width in pair]
    return F.pad(x[None, None], flat, mode=names[mode])[0, 0]


def pad(x: Tensor, widths: Pairs, value: Any) -> Tensor:
    return padded(x, widths, value) if widths else x.clone()


def repeat_each(x: Tensor, counts: Tensor, axis: int, total: int) -> Tensor:
    """The rest is filled with the last element."""
    if not x.shape[axis]:
        raise Unlike("there is no last element")
    full = torch.repeat_interleave(x, counts.long(), axis).narrow
    found = min(int(counts.sum()), total)
    last = x.narrow(axis, x.shape[axis] - 1, 1)
    return torch.cat([full(axis, 0, found), last.repeat_interleave(total - found, axis)], axis)


def linspace(start: Tensor, stop: Tensor, size: int, endpoint: bool) -> Tensor:
    """Torch's takes numbers, without gradients."""
    start, stop = torch.broadcast_tensors(start, stop)
    parts = max(size - 1, 1) if endpoint else max(size, 1)
    steps = torch.arange(size, dtype=start.dtype) / parts
    return start + steps.reshape(-1, *[1] * start.ndim) * (stop - start)


def arange(start: Any, step: Any, size: int, dtype: Any) -> Tensor:
    return torch.arange(start, start + size * step, step, dtype=dtype_of(dtype))[:size]


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Torch has the channels outside of the pixels."""
    n, c, h, w = x.shape
    blocks = F.pixel_unshuffle(x, block).reshape(n, c, block**2, h // block, w // block)
    return blocks.transpose(1, 2).flatten(1, 2)


def depth_to_space(x: Tensor, block: int, mode: str) -> Tensor:
    if mode == "DCR":
        n, c, h, w = x.shape
        x = x.reshape(n, block**2, c // block**2, h, w).transpose(1, 2).flatten(1, 2)
    return F.pixel_shuffle(x, block)


def diagonal(x: Tensor, offset: int, axis1: int, axis2: int) -> Tensor:
    return torch.diagonal(x, offset, axis1, axis2)


# Indices.


def take(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    rows = x.index_select(axis, wrapped(indices, x.shape[axis]).flatten())
    return rows.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def scatter(x: Tensor, indices: Tensor, updates: Tensor, axis: int, mode: str = "add") -> Tensor:
    """The axes of the indices as one, and the indices repeated over all others."""
    places = wrapped(indices, x.shape[axis]).flatten()
    flat = updates.reshape(*x.shape[:axis], places.numel(), *x.shape[axis + 1 :])
    shape = [places.numel() if i == axis else 1 for i in range(x.ndim)]
    return written(x, places.reshape(shape).expand_as(flat), flat, axis, mode)


def written(x: Tensor, places: Tensor, updates: Tensor, axis: int, mode: str) -> Tensor:
    """Along an axis, as torch's scatter does."""
    if mode == "set":
        different(places, axis)
        return x.scatter(axis, places, updates)
    floating(x)
    names = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
    return x.scatter_reduce(axis, places, updates, names[mode])


def put_along_axis(x: Tensor, indices: Tensor, values: Tensor, axis: int, mode: str) -> Tensor:
    places = wrapped(indices, x.shape[axis]).expand_as(values)
    return written(x, places, values, axis, mode)


def take_along_axis(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    return torch.take_along_dim(x, wrapped(indices, x.shape[axis]), axis)


def rows_at(x: Tensor, indices: Tensor, batch_dims: int) -> tuple[Tensor, ...]:
    """For each axis in front the places that tuples of indices name, the axes of batch included."""
    lead, depth = indices.ndim - 1, indices.shape[-1]
    batch = [
        torch.arange(n).reshape([-1 if i == k else 1 for i in range(lead)])
        for k, n in enumerate(x.shape[:batch_dims])
    ]
    named = [wrapped(indices[..., k], x.shape[batch_dims + k]) for k in range(depth)]
    return torch.broadcast_tensors(*batch, *named) if batch or named else ()


def gather_nd(x: Tensor, indices: Tensor, batch_dims: int) -> Tensor:
    if not indices.shape[-1]:
        raise Unlike("torch's indices are of one axis at least")
    return x[rows_at(x, indices, batch_dims)]


def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, batch_dims: int, mode: str) -> Tensor:
    """By the rows of a matrix."""
    if not indices.shape[-1]:
        raise Unlike("torch's indices are of one axis at least")
    places = rows_at(x, indices, batch_dims)
    rank, row = len(places), torch.zeros_like(places[0])
    for place, size in zip(places, x.shape, strict=False):
        row = row * size + place
    rest = x.shape[rank:]
    matrix = x.reshape(math.prod(x.shape[:rank]), *rest)
    return scatter(matrix, row.flatten(), updates.reshape(-1, *rest), 0, mode).reshape(x.shape)


def one_hot(indices: Tensor, depth: int, dtype: Any) -> Tensor:
    if not depth or ((indices < 0) | (indices >= depth)).any():
        raise Unlike("torch refuses indices out of range")
    return F.one_hot(indices.long(), depth).to(dtype_of(dtype))


def nonzero(x: Tensor, size: int, fill: int) -> tuple[Tensor, ...]:
    return tuple(
        F.pad(places[:size], (0, max(size - len(places), 0)), value=fill)
        for places in torch.nonzero(x, as_tuple=True)
    )


def isin(x: Tensor, values: Tensor) -> Tensor:
    if x.dtype == torch.bool:
        raise Unlike("torch has it for numbers only")
    return torch.isin(x, values)


# Order.


def searchsorted(sequence: Tensor, values: Tensor, side: str) -> Tensor:
    return torch.searchsorted(sequence, values, side=side)


def topk(x: Tensor, k: int, axis: int, largest: bool) -> tuple[Tensor, ...]:
    return tuple(torch.topk(x, k, axis, largest))


def median(x: Tensor, axes: Index, keepdims: bool) -> Tensor:
    """Torch's median is the lower of the two in the middle, its quantile the mean of them."""
    floating(x)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    rows = torch.permute(x, (*kept, *axes)).reshape(*(x.shape[axis] for axis in kept), -1)
    out = torch.quantile(rows, 0.5, dim=-1)
    return expand_dims(out, axes) if keepdims else out


# Reductions and running ones.


def reduction(function: Any, *, floats: bool = False) -> Callable[..., Tensor]:
    def counterpart(x: Tensor, axes: Index, keepdims: bool, **attributes: Any) -> Tensor:
        if floats:
            floating(x)
        if not axes:
            raise Unlike("no axes are all axes for torch")
        return function(x, dim=axes, keepdim=keepdims, **attributes)

    return counterpart


def var(x: Tensor, axes: Index, keepdims: bool, correction: float) -> Tensor:
    if math.prod(x.shape[axis] for axis in axes) <= correction:
        raise Unlike("torch warns of it")
    return reduction(torch.var, floats=True)(x, axes, keepdims, correction=correction)


def one_by_one(function: Any) -> Callable[..., Tensor]:
    """Of what torch has for one axis only."""

    def counterpart(x: Tensor, axes: Index, keepdims: bool) -> Tensor:
        for axis in sorted(axes, reverse=True):
            x = function(x, dim=axis, keepdim=keepdims)
        return x

    return counterpart


def product_of_others(x: Tensor) -> Tensor:
    others = [torch.cat([x[..., :i], x[..., i + 1 :]], -1) for i in range(x.shape[-1])]
    return torch.stack([other.prod(-1) for other in others], -1)


def running(function: Any) -> Callable[..., Tensor]:
    def counterpart(x: Tensor, axis: int, reverse: bool) -> Tensor:
        found = function(x.flip(axis) if reverse else x, axis)
        values = found if isinstance(found, Tensor) else found.values
        return values.flip(axis) if reverse else values

    return counterpart


def linear_recurrence(factor: Tensor, x: Tensor, axis: int, reverse: bool) -> Tensor:
    """Step by step."""
    steps = list(zip(factor.unbind(axis), x.unbind(axis), strict=True))
    if not steps:
        return torch.zeros_like(x)
    state, states = torch.zeros_like(steps[0][1]), []
    for a, b in steps[::-1] if reverse else steps:
        state = a * state + b
        states.append(state)
    return torch.stack(states[::-1] if reverse else states, axis)


counterparts: Table = {
    "reshape": torch.reshape,
    "expand_dims": expand_dims,
    "squeeze": lambda x, axes: torch.squeeze(x, axes),
    "transpose": lambda x, axes: torch.permute(x, axes),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "concatenate": lambda *tensors, axis: torch.cat(tensors, axis),
    "split": lambda x, axis, sizes: torch.split(x, sizes, axis),
    "slice": slice_,
    "unslice": unslice,
    "roll": lambda x, shifts, axes: torch.roll(x, shifts, axes) if axes else x.clone(),
    "pad": pad,
    "extend": extend,
    "tile": lambda x, repeats: torch.tile(x, repeats),
    "repeat": lambda x, repeats, axis: torch.repeat_interleave(x, repeats, axis),
    "repeat_each": repeat_each,
    "linspace": linspace,
    "arange": arange,
    "space_to_depth": space_to_depth,
    "depth_to_space": depth_to_space,
    "tril": lambda x, k: torch.tril(x, k),
    "triu": lambda x, k: torch.triu(x, k),
    "diagonal": diagonal,
    "diag_embed": torch.diag_embed,
    "take": take,
    "scatter_add": scatter,
    "scatter": scatter,
    "put_along_axis": put_along_axis,
    "take_along_axis": take_along_axis,
    "gather_nd": gather_nd,
    "scatter_nd": scatter_nd,
    "one_hot": one_hot,
    "nonzero": nonzero,
    "isin": isin,
    "sort": lambda x, axis, descending: torch.sort(x, axis, descending).values,
    "argsort": lambda x, axis, descending: torch.argsort(
        x, stable=True, dim=axis, descending=descending
    ),
    "topk": topk,
    "searchsorted": searchsorted,
    "median": median,
    "sum": reduction(torch.sum),
    "mean": reduction(torch.mean, floats=True),
    "var": var,
    "logsumexp": reduction(torch.logsumexp),
    "max": reduction(torch.amax),
    "min": reduction(torch.amin),
    "all": reduction(torch.all),
    "any": reduction(torch.any),
    "prod": one_by_one(torch.prod),
    "argmax": one_by_one(torch.argmax),
    "argmin": one_by_one(torch.argmin),
    "product_of_others": product_of_others,
    "cumsum": running(torch.cumsum),
    "cumprod": running(torch.cumprod),
    "cummax": running(torch.cummax),
    "cummin": running(torch.cummin),
    "logcumsumexp": running(torch.logcumsumexp),
    "linear_recurrence": linear_recurrence,
}
