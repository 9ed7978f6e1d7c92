"""Arrays in portions: batches for training, and a part held out for testing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphwright.graph.errors import AttributeValueError, InputError
from graphwright.graph.source import here

Array: TypeAlias = NDArray[Any]


class Batches:
    """The rows of several arrays, some at a time. Made by `batches`."""

    def __init__(
        self, arrays: tuple[Array, ...], size: int, shuffle: bool, seed: int, drop_last: bool
    ) -> None:
        self.arrays = arrays
        self.size = size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self._passes = 0

    def __len__(self) -> int:
        """How many batches one pass gives."""
        rows = len(self.arrays[0])
        return rows // self.size if self.drop_last else -(-rows // self.size)

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        """One pass over all rows; each pass is shuffled anew."""
        rows = len(self.arrays[0])
        order = None
        if self.shuffle:
            order = np.random.Generator(np.random.PCG64([self.seed, self._passes])).permutation(
                rows
            )
            self._passes += 1
        for start in range(0, len(self) * self.size, self.size):
            chosen = slice(start, start + self.size)
            rows_of_batch = chosen if order is None else order[chosen]
            yield tuple(array[rows_of_batch] for array in self.arrays)


def batches(
    *arrays: ArrayLike, size: int, shuffle: bool = False, seed: int = 0, drop_last: bool = False
) -> Batches:
    """The arrays' rows in batches of `size`: tuples with a part of each array.

    arrays:    one or more, of the same length
    shuffle:   another order in every pass, by the seed alone
    drop_last: leave out the last batch when it is smaller than `size`

    It can be passed over again and again, and has a length.

    >>> list(batches(np.arange(5), size=2))
    [(array([0, 1]),), (array([2, 3]),), (array([4]),)]

    Raises InputError for no arrays, rank 0 and different lengths, AttributeValueError for a bad
    size or seed.
    """
    _whole("size", size, 1)
    _whole("seed", seed, 0)
    return Batches(_rows("batches", arrays), int(size), shuffle, int(seed), drop_last)


def train_test_split(*arrays: ArrayLike, test_size: float = 0.2, seed: int = 0) -> list[Array]:
    """Each array's rows at random in two parts: `[a_train, a_test, b_train, b_test, …]`.

    arrays:    one or more, of the same length; rows stay together across arrays
    test_size: a share of the rows, between 0 and 1 (rounded up to whole rows), or a number of rows
    seed:      the same seed splits alike

    Raises InputError as `batches` does, AttributeValueError when a part would be empty.
    """
    _whole("seed", seed, 0)
    given = _rows("train_test_split", arrays)
    rows = len(given[0])
    share = isinstance(test_size, float | np.floating)
    count = int(np.ceil(test_size * rows)) if share else int(test_size)
    if not 0 < count < rows:
        raise AttributeValueError(
            f"train_test_split: test_size {test_size} of {rows} rows leaves a part empty",
            source=here(),
            hint="give a share between 0 and 1, such as 0.2, or a number of rows",
        )
    order = np.random.Generator(np.random.PCG64(seed)).permutation(rows)
    # The order of rows within a part is the data's own.
    test, train = np.sort(order[:count]), np.sort(order[count:])
    return [array[part] for array in given for part in (train, test)]


def _rows(what: str, arrays: tuple[ArrayLike, ...]) -> tuple[Array, ...]:
    given = tuple(np.asarray(array) for array in arrays)
    if not given:
        raise InputError(f"{what}: needs at least one array", source=here())
    for position, array in enumerate(given):
        if array.ndim == 0:
            raise InputError(
                f"{what}: array {position} has rank 0, so it has no rows", source=here()
            )
        if len(array) != len(given[0]):
            lengths = ", ".join(str(len(other)) if other.ndim else "none" for other in given)
            raise InputError(
                f"{what}: the arrays differ in length: {lengths}",
                source=here(),
                hint="rows belong together: give arrays of one length",
            )
    return given


def _whole(name: str, value: object, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
        raise AttributeValueError(
            f"{name} must be a whole number from {lowest}, got {value!r}", source=here()
        )
