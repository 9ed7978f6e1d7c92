"""The IDX format of the MNIST family: big-endian arrays behind a short header.

::

    2 bytes   0 0
    1 byte    element type: 8 u8, 9 i8, 11 i16, 12 i32, 13 f32, 14 f64
    1 byte    rank
    4 bytes   each size, one after the other
    the rest  the elements, in C order

Described at the end of Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.errors import InputError

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_LARGEST = 2**31  # bytes of elements: far above any file of the family


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in an IDX file, gzip-compressed or not, in native byte order.

    Raises InputError, naming the file, when it is no IDX file, is cut off, is longer than its
    header says, or claims more than 2 GiB; OSError when it can't be read.
    """
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            if not compressed:
                return _parse(file, os.fspath(path))
            with gzip.GzipFile(fileobj=file) as content:
                return _parse(content, os.fspath(path))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{os.fspath(path)}: damaged gzip file: {error}") from None


def _parse(file: _Readable, name: str) -> NDArray[Any]:
    magic = _take(file, 4, name)
    dtype = _TYPES.get(magic[2])
    if magic[:2] != b"\0\0" or dtype is None:
        raise InputError(
            f"{name}: not an IDX file: it begins with {magic.hex(' ')}",
            hint="such a file begins with 00 00 08 for bytes",
        )
    shape = tuple(np.frombuffer(_take(file, 4 * magic[3], name), ">u4").tolist())
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > _LARGEST:
        raise InputError(f"{name}: its header says {shape}, which is over 2 GiB")
    elements = np.frombuffer(_take(file, size, name), dtype).reshape(shape)
    if file.read(1):
        raise InputError(f"{name}: longer than its header says: {shape}")
    return elements.astype(elements.dtype.newbyteorder("="))


def _take(file: _Readable, count: int, name: str) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise InputError(f"{name}: cut off: {count - len(content)} bytes are missing")
    return content
