"""Fashion-MNIST: 70,000 small pictures of clothes, when the system has its four files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.errors import InputError
from graphwright.nn.data.idx import read_idx

Array: TypeAlias = NDArray[Any]
Pair: TypeAlias = tuple[Array, Array]

CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)

_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_HOW = (
    "on Debian and Ubuntu: apt-get install dataset-fashion-mnist; elsewhere, download the four "
    "files from https://github.com/zalandoresearch/fashion-mnist and give their folder as the path"
)


def load_fashion_mnist(path: str | os.PathLike[str] | None = None) -> tuple[Pair, Pair]:
    """((training images, labels), (test images, labels)) of Fashion-MNIST.

    images: uint8 [60000, 28, 28] and [10000, 28, 28], from 0 to 255
    labels: int64 [60000] and [10000], 0 to 9; `CLASSES` names them
    path:   the folder with the four IDX files, compressed or not; None for the place where
            Debian's package dataset-fashion-mnist puts them

    H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking
    Machine Learning Algorithms, 2017, arXiv:1708.07747.
    Raises InputError when a file is missing (and says how to get it) or is not what it should be.
    """
    folder = _DEBIAN if path is None else Path(path)
    return _pair(folder, "train"), _pair(folder, "t10k")


def _pair(folder: Path, part: str) -> Pair:
    images = read_idx(_file(folder, f"{part}-images-idx3-ubyte"))
    labels = read_idx(_file(folder, f"{part}-labels-idx1-ubyte"))
    if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype != np.uint8:
        raise InputError(
            f"{folder}: the {part} images should be bytes [any, 28, 28], "
            f"found {images.dtype} {list(images.shape)}"
        )
    if labels.ndim != 1 or labels.dtype != np.uint8 or len(labels) != len(images):
        raise InputError(
            f"{folder}: the {part} labels should be {len(images)} bytes, one for each image, "
            f"found {labels.dtype} {list(labels.shape)}"
        )
    if labels.size and labels.max() >= len(CLASSES):
        raise InputError(f"{folder}: a {part} label is {labels.max()}; they go from 0 to 9")
    return images, labels.astype(np.int64)


def _file(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise InputError(f"Fashion-MNIST is not in {folder}: no {name} or {name}.gz", hint=_HOW)
