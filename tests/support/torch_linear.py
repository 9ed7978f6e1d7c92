"""What torch has for products, linear algebra and Fourier transforms: see `test_torch`.

Deliberate differences: of a matrix that is to be symmetric, cholesky, eigh and eigvalsh take the
symmetric part, torch one triangle; the signs of factors are chosen here, which torch leaves to
LAPACK; a length that is replaced by a least one has no gradient here, in torch it keeps its own, so
that the formula is written out then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from support.torch_unlike import Index, Table, Unlike

NORMS = {name: float(name) for name in ("1", "-1", "2", "-2", "inf", "-inf")}


def matmul(x: Tensor, y: Tensor) -> Tensor:
    return torch.matmul(x, y)


def solve(a: Tensor, b: Tensor) -> Tensor:
    """Torch takes some matrices for vectors if the axes in front are fewer."""
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return torch.linalg.solve(a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:]))


def triangular_solve(a: Tensor, b: Tensor, lower_triangle: bool, unit_diagonal: bool) -> Tensor:
    how = {"upper": not lower_triangle, "unitriangular": unit_diagonal}
    return torch.linalg.solve_triangular(a, b, **how)


def symmetric(function: Any) -> Callable[[Tensor], Any]:
    return lambda x: function((x + x.mT) / 2)


def signs(vectors: Tensor) -> Tensor:
    """The sign of each column's largest element, or of the first of several that are as large."""
    if not vectors.numel():
        return torch.ones(())
    sizes = vectors.detach().abs()
    first = (sizes > 0.9 * sizes.amax(-2, keepdim=True)).int().argmax(-2, keepdim=True)
    return vectors.detach().gather(-2, first).sign()


def qr(x: Tensor) -> tuple[Tensor, Tensor]:
    q, r = torch.linalg.qr(x)
    flip = torch.where(r.detach().diagonal(0, -2, -1) < 0, -1.0, 1.0)
    return q * flip.unsqueeze(-2), r * flip.unsqueeze(-1)


def eigh(x: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(x)
    return values, vectors * signs(vectors)


def svd(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    flip = signs(u)
    return u * flip, s, vh * (flip.mT if flip.ndim else flip)


def relative(x: Tensor, rtol: float | None) -> dict[str, float]:
    return {} if rtol is None else {"rtol": rtol}


def pinv(x: Tensor, rtol: float | None) -> Tensor:
    return torch.linalg.pinv(x, **relative(x, rtol))


def lstsq(a: Tensor, b: Tensor, rtol: float | None) -> Tensor:
    """The solution that is least, which torch's own gives without a gradient only."""
    return pinv(a, rtol) @ b


def matrix_norm(x: Tensor, ord: str, keepdims: bool) -> Tensor:
    return torch.linalg.matrix_norm(x, NORMS.get(ord, ord), keepdim=keepdims)


def vector_norm(x: Tensor, ord: float, axes: Index, keepdims: bool) -> Tensor:
    if not axes:
        raise Unlike("no axes are all axes for torch")
    return torch.linalg.vector_norm(x, ord, axes, keepdims)


def matrix_power(x: Tensor, exponent: int) -> Tensor:
    return torch.linalg.matrix_power(x, exponent)


def cross(x: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.cross(*torch.broadcast_tensors(x, y))


# Distances.


def pairwise_distance(x: Tensor, y: Tensor, p: float, epsilon: float, axis: int) -> Tensor:
    x, y = torch.broadcast_tensors(x, y)
    return F.pairwise_distance(x.movedim(axis, -1), y.movedim(axis, -1), p, epsilon)


def cdist(x: Tensor, y: Tensor, p: float) -> Tensor:
    return torch.cdist(x, y, p, compute_mode="donot_use_mm_for_euclid_dist")


def cosine_similarity(x: Tensor, y: Tensor, epsilon: float, axis: int) -> Tensor:
    x, y = torch.broadcast_tensors(x, y)
    lengths = [each.norm(dim=axis) for each in (x, y)]
    if all((length > epsilon).all() for length in lengths):
        return F.cosine_similarity(x, y, axis, epsilon)
    one, other = (length.clamp(min=epsilon) for length in lengths)
    return (x * y).sum(axis) / one / other


# Fourier transforms, of real and imaginary parts.


def parts(z: Tensor) -> tuple[Tensor, Tensor]:
    return z.real, z.imag


def of_complex(function: Any) -> Callable[..., Any]:
    def counterpart(real: Tensor, imag: Tensor, axis: int, norm: str) -> Any:
        return parts(function(_some(torch.complex(real, imag)), dim=axis, norm=norm))

    return counterpart


def _some(x: Tensor) -> Tensor:
    if not x.numel():
        raise Unlike("torch transforms nothing that is empty")
    return x


def rfft(x: Tensor, axis: int, norm: str) -> tuple[Tensor, Tensor]:
    return parts(torch.fft.rfft(_some(x), dim=axis, norm=norm))


def irfft(real: Tensor, imag: Tensor, size: int, axis: int, norm: str) -> Tensor:
    if not size:
        raise Unlike("torch transforms nothing to be empty")
    return torch.fft.irfft(torch.complex(real, imag), size, axis, norm)


def stft(x: Tensor, window: Tensor, hop: int) -> tuple[Tensor, Tensor]:
    """Torch has the axis of frames last, and one axis in front."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    how = {"center": False, "return_complex": True}
    found = torch.stft(rows, len(window), hop, window=window, **how)
    return parts(found.mT.reshape(*x.shape[:-1], found.shape[-1], found.shape[-2]))


def istft(real: Tensor, imag: Tensor, window: Tensor, hop: int) -> Tensor:
    """Torch refuses windows that leave elements unseen."""
    z = torch.complex(real, imag)
    frames = z.reshape(-1, *z.shape[-2:]).mT
    if hop > len(window) or not window.all():
        raise Unlike("torch refuses windows that leave elements unseen")
    found = torch.istft(frames, len(window), hop, window=window, center=False)
    return found.reshape(*z.shape[:-2], found.shape[-1])


counterparts: Table = {
    "matmul": matmul,
    "einsum": lambda *operands, equation: torch.einsum(equation, *operands),
    "kron": torch.kron,
    "cross": cross,
    "inv": torch.linalg.inv,
    "solve": solve,
    "triangular_solve": triangular_solve,
    "cholesky": symmetric(torch.linalg.cholesky),
    "qr": qr,
    "eigh": symmetric(eigh),
    "eigvalsh": symmetric(torch.linalg.eigvalsh),
    "svd": svd,
    "svdvals": torch.linalg.svdvals,
    "det": torch.linalg.det,
    "slogdet": lambda x: tuple(torch.linalg.slogdet(x)),
    "logdet": torch.logdet,
    "pinv": pinv,
    "lstsq": lstsq,
    "matrix_rank": lambda x, rtol: torch.linalg.matrix_rank(x, **relative(x, rtol)),
    "matrix_power": matrix_power,
    "matrix_norm": matrix_norm,
    "vector_norm": vector_norm,
    "expm": torch.linalg.matrix_exp,
    "pairwise_distance": pairwise_distance,
    "cdist": cdist,
    "cosine_similarity": cosine_similarity,
    "fft": of_complex(torch.fft.fft),
    "ifft": of_complex(torch.fft.ifft),
    "rfft": rfft,
    "irfft": irfft,
    "stft": stft,
    "istft": istft,
}
