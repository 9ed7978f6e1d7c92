"""Handwritten digits, 8×8 pixels: small enough to ship, real enough to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_FILE = Path(__file__).with_name("digits.npz")


def load_digits() -> tuple[Array, Array]:
    """1,797 handwritten digits: (images, labels).

    images: uint8 [1797, 8, 8], from 0 (paper) to 16 (ink): how many of the 4×4 pixels of the
            original scan are ink
    labels: int64 [1797], 0 to 9

    The test part of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (1998),
    UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0; see `ATTRIBUTION.md`. Its 13
    writers are mixed in the rows.
    """
    with np.load(_FILE, allow_pickle=False) as stored:
        return stored["images"], stored["labels"].astype(np.int64)
