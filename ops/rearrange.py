"""Blocks of pixels moved between depth and space."""

from __future__ import annotations

from typing import Literal

from graphwright.graph.dim import Size, dim, exact_quotient
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.movement import reshape, transpose


class _Blocks(Composite):
    """Both ways: images [batch, channels, height, width], and the side of a square block."""

    block: int

    def _check(self, x: TensorType) -> None:
        if isinstance(self.block, bool) or not isinstance(self.block, int) or self.block < 1:
            raise AttributeValueError(f"the block must be a positive number, got {self.block!r}")
        if x.rank != 4:
            raise ShapeError(
                f"needs images [batch, channels, height, width], got {x}",
                hint="add an axis with expand_dims, or move the channels with moveaxis",
            )

    def _divided(self, size: Size, what: str, by: int) -> Size:
        quotient = exact_quotient(size, by)
        if quotient is None:
            raise ShapeError(
                f"{what} {size} is no multiple of {by}",
                hint=f"pad it, or name a whole multiple: {by} * gw.dim(...)",
            )
        return quotient


@register
class SpaceToDepth(_Blocks):
    """Each block of pixels as the channels of one pixel.

    [n, c, h·b, w·b] → [n, b·b·c, h, w]; out[n, (i b + j) c + k, y, x] = x[n, k, y b + i, x b + j]
    (ONNX SpaceToDepth)
    The gradient is moved back.
    """

    name = "space_to_depth"

    def infer(self, x: TensorType) -> TensorType:
        self._check(x)
        batch, channels, height, width = x.shape
        rows = self._divided(height, "height", self.block)
        columns = self._divided(width, "width", self.block)
        return x.with_shape((batch, channels * self.block**2, rows, columns))

    def decompose(self, x: Tensor) -> Tensor:
        batch, channels, _, _ = x.shape
        shape = self.infer(x.type).shape
        side = self.block
        apart = reshape(x, (batch, channels, shape[2], side, shape[3], side))
        return reshape(transpose(apart, (0, 3, 5, 1, 2, 4)), shape)

    cases = (
        Case(f32["n", 2, 4, 2], block=2),
        Case(f64[1, 1, 3 * dim("n"), 3], block=3),
        Case(i32[2, 3, 1, 2], block=1),
        Case(bool_[1, 2, 0, 2], block=2),
    )
    rejects = (
        Reject(f32[2, 4, 4], block=2, message="needs images [batch, channels, height, width]"),
        Reject(f32[1, 2, 3, 4], block=2, message="height 3 is no multiple of 2"),
        Reject(f32[1, 2, 4, "n"], block=2, message="width n is no multiple of 2"),
        Reject(f32[1, 2, 4, 4], block=0, message="the block must be a positive number, got 0"),
    )


@register
class DepthToSpace(_Blocks):
    """The channels of each pixel as a block of pixels.

    [n, b·b·c, h, w] → [n, c, h·b, w·b]
    mode: "DCR" (depth, column, row), `space_to_depth` reversed:
              out[n, k, y b + i, x b + j] = x[n, (i b + j) c + k, y, x]
          "CRD" (column, row, depth), the pixel shuffle:
              out[n, k, y b + i, x b + j] = x[n, k b² + i b + j, y, x]

    Source: ONNX DepthToSpace; Shi et al., Real-time single image and video super-resolution, 2016,
    https://arxiv.org/abs/1609.05158.
    The gradient is moved back.
    """

    name = "depth_to_space"

    mode: Literal["DCR", "CRD"]

    def infer(self, x: TensorType) -> TensorType:
        self._check(x)
        if self.mode not in ("DCR", "CRD"):
            raise AttributeValueError(f'the mode must be "DCR" or "CRD", got {self.mode!r}')
        batch, depth, height, width = x.shape
        channels = self._divided(depth, "the number of channels", self.block**2)
        return x.with_shape((batch, channels, height * self.block, width * self.block))

    def decompose(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        shape, side = self.infer(x.type).shape, self.block
        channels = shape[1]
        depth = (side, side, channels) if self.mode == "DCR" else (channels, side, side)
        order = (0, 3, 4, 1, 5, 2) if self.mode == "DCR" else (0, 1, 4, 2, 5, 3)
        return reshape(transpose(reshape(x, (batch, *depth, height, width)), order), shape)

    cases = (
        Case(f32["n", 8, 2, 1], block=2, mode="DCR"),
        Case(f32["n", 8, 1, 2], block=2, mode="CRD"),
        Case(f64[1, 4 * dim("n"), 1, 2], block=2, mode="CRD"),
        Case(i32[2, 3, 1, 2], block=1, mode="DCR"),
    )
    rejects = (
        Reject(f32[2, 4, 4], block=2, mode="DCR", message="needs images [batch, channels, height"),
        Reject(f32[1, 6, 1, 1], block=2, mode="DCR", message="channels 6 is no multiple of 4"),
        Reject(
            f32[1, 4, 1, 1], block=-2, mode="DCR", message="the block must be a positive number"
        ),
        Reject(f32[1, 4, 1, 1], block=2, mode="CDR", message='the mode must be "DCR" or "CRD"'),
    )


@builder
def space_to_depth(x: TensorLike, block: int) -> Tensor:
    """Each block of pixels of the images `x` as the channels of one pixel; see `SpaceToDepth`."""
    return SpaceToDepth(block)(as_tensor(x))


@builder
def depth_to_space(x: TensorLike, block: int, mode: Literal["DCR", "CRD"] = "DCR") -> Tensor:
    """The channels of each pixel of the images `x` as a block of pixels; see `DepthToSpace`."""
    return DepthToSpace(block, mode)(as_tensor(x))
