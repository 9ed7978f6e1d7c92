"""Data: the digits that ship, the IDX reader on files made here, Fashion-MNIST, batches."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from graphwright.graph.errors import AttributeValueError, InputError
from graphwright.nn import batches, train_test_split
from graphwright.nn.data import load_digits, load_fashion_mnist, read_idx

# The digits. The figures are those of the data set's page at UCI and of scikit-learn's copy.


def test_digits_have_the_published_counts_and_sums():
    images, labels = load_digits()
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8
    assert labels.shape == (1797,) and labels.dtype == np.int64
    assert images.min() == 0 and images.max() == 16 and images.sum() == 561718
    histogram = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == histogram


def test_digits_are_bit_for_bit_what_was_published():
    images, labels = load_digits()
    content = images.tobytes() + labels.astype(np.uint8).tobytes()
    digest = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    assert hashlib.sha256(content).hexdigest() == digest
    assert images[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]  # the first row, a zero
    assert labels[:10].tolist() == list(range(10))


# The IDX reader.


def idx(array, code=8):
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


def written(path, content, compress=False):
    path.write_bytes(gzip.compress(content, mtime=0) if compress else content)
    return path


@pytest.mark.parametrize("compress", [False, True])
def test_idx_files_are_read_whether_compressed_or_not(tmp_path, compress):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    read = read_idx(written(tmp_path / "a", idx(array), compress))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_big_endian_elements_become_native(tmp_path):
    array = np.array([1, -2, 300], ">i4")
    read = read_idx(written(tmp_path / "a", idx(array, 12)))
    assert read.dtype == np.int32 and read.dtype.isnative and read.tolist() == [1, -2, 300]


def test_an_empty_idx_array_is_one(tmp_path):
    assert read_idx(written(tmp_path / "a", idx(np.zeros((0, 5), np.uint8)))).shape == (0, 5)


GOOD = idx(np.arange(6, dtype=np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut off: 4 bytes are missing"),
        (GOOD[:6], "cut off: 2 bytes are missing"),
        (GOOD[:-1], "cut off: 1 bytes are missing"),
        (GOOD + b"\0", "longer than its header says: (6,)"),
        (b"PK\3\4" + GOOD, "not an IDX file: it begins with 50 4b 03 04"),
        (b"\0\0\7\1" + GOOD[4:], "not an IDX file"),
        (b"\0\0\x08\x04" + b"\xff" * 16, "which is over 2 GiB"),
        (gzip.compress(GOOD, mtime=0)[:-3], "damaged gzip file"),
        (gzip.compress(GOOD, mtime=0)[:10] + b"\xff" * 8, "damaged gzip file"),
        (gzip.compress(GOOD, mtime=0) + b"more", "damaged gzip file"),
    ],
)
def test_damaged_idx_files_are_refused_by_name(tmp_path, content, message):
    with pytest.raises(InputError) as caught:
        read_idx(written(tmp_path / "broken-file", content))
    assert message in str(caught.value) and "broken-file" in str(caught.value)


# Fashion-MNIST.


def fashion(folder, rows=4, compress=True, **changes):
    """The four files, a few rows each; `changes` replace a file's content."""
    end = ".gz" if compress else ""
    parts = {
        f"{part}_{kind}": array
        for part in ("train", "t10k")
        for kind, array in (
            ("images", np.full((rows, 28, 28), 7, np.uint8)),
            ("labels", np.arange(rows, dtype=np.uint8) % 10),
        )
    }
    for name, array in (parts | changes).items():
        part, kind = name.split("_")
        rank = 3 if kind == "images" else 1
        written(folder / f"{part}-{kind}-idx{rank}-ubyte{end}", idx(array), compress)
    return folder


@pytest.mark.parametrize("compress", [False, True])
def test_fashion_mnist_is_read_from_its_four_files(tmp_path, compress):
    (images, labels), (test_images, test_labels) = load_fashion_mnist(
        fashion(tmp_path, compress=compress)
    )
    assert images.shape == test_images.shape == (4, 28, 28) and images.dtype == np.uint8
    assert labels.tolist() == test_labels.tolist() == [0, 1, 2, 3] and labels.dtype == np.int64


def test_missing_fashion_mnist_says_how_to_get_it(tmp_path):
    with pytest.raises(InputError) as caught:
        load_fashion_mnist(tmp_path)
    for words in (
        str(tmp_path),
        "train-images-idx3-ubyte",
        "apt-get install dataset-fashion-mnist",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((4, 8, 8), np.uint8)}, "should be bytes [any, 28, 28]"),
        ({"t10k_labels": np.zeros(3, np.uint8)}, "should be 4 bytes, one for each image"),
        ({"train_labels": np.full(4, 10, np.uint8)}, "a train label is 10"),
    ],
)
def test_wrong_fashion_mnist_files_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError) as caught:
        load_fashion_mnist(fashion(tmp_path, **changes))
    assert message in str(caught.value)


# Batches.


def test_batches_keep_rows_together_and_order():
    pairs = list(batches(np.arange(7), np.arange(7) * 10, size=3))
    assert [x.tolist() for x, _ in pairs] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [y.tolist() for _, y in pairs] == [[0, 10, 20], [30, 40, 50], [60]]


@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_have_a_length(drop_last):
    for rows in (0, 1, 6, 7):
        passing = batches(np.zeros(rows), size=3, drop_last=drop_last)
        assert len(passing) == len(list(passing))
    assert len(batches(np.zeros(7), size=3, drop_last=True)) == 2


def test_shuffled_batches_hold_every_row_once_and_change_from_pass_to_pass():
    rows = np.arange(50)
    passing = batches(rows, rows * 2, size=8, shuffle=True, seed=3)
    first, second = ([np.concatenate(parts) for parts in zip(*passing, strict=True)] for _ in "ab")
    for x, y in (first, second):
        assert sorted(x) == list(range(50))
        np.testing.assert_array_equal(y, x * 2)
    assert first[0].tolist() != second[0].tolist() != rows.tolist()
    again = batches(rows, size=50, shuffle=True, seed=3)
    assert next(iter(again))[0].tolist() == first[0].tolist()
    other = batches(rows, size=50, shuffle=True, seed=4)
    assert next(iter(other))[0].tolist() != first[0].tolist()


def test_a_split_parts_the_rows_and_keeps_them_together():
    rows = np.arange(103)
    a, a_test, b, b_test = train_test_split(rows, rows * 2, test_size=0.25, seed=1)
    assert len(a_test) == 26 and len(a) == 77
    assert sorted([*a, *a_test]) == rows.tolist()
    np.testing.assert_array_equal(b, a * 2)
    np.testing.assert_array_equal(b_test, a_test * 2)
    np.testing.assert_array_equal(train_test_split(rows, test_size=26, seed=1)[1], a_test)
    assert train_test_split(rows, test_size=26, seed=2)[1].tolist() != a_test.tolist()


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: batches(size=2), InputError, "at least one array"),
        (lambda: batches(np.zeros(3), np.zeros(4), size=2), InputError, "differ in length: 3, 4"),
        (lambda: batches(np.zeros(3), 5, size=2), InputError, "array 1 has rank 0"),
        (lambda: batches(np.zeros(3), size=0), AttributeValueError, "size must be a whole number"),
        (lambda: batches(np.zeros(3), size=2, seed=-1), AttributeValueError, "seed must be"),
        (lambda: train_test_split(np.zeros(3), test_size=1.0), AttributeValueError, "part empty"),
        (lambda: train_test_split(np.zeros(3), test_size=0), AttributeValueError, "part empty"),
        (lambda: train_test_split(np.zeros(3), np.zeros(2)), InputError, "differ in length: 3, 2"),
    ],
)
def test_bad_batches_are_refused(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
    assert "test_data.py" in str(caught.value)
