"""Errors: one tree, drawn truly; messages that say what, where and what to do."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphwright as gw
from graphwright.graph import errors
from graphwright.graph.errors import GraphwrightError, ShapeError
from graphwright.graph.source import NOWHERE


def drawn_tree() -> dict[str, tuple[str, str]]:
    """Class → (parent, builtin) as the docstring draws them."""
    tree: dict[str, tuple[str, str]] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+)(?:\s{2,}|\s+(?=an )|$)(.*)", line)
        if match and match[2].endswith("Error") and ":" not in line:
            depth = len(match[1])
            while path and path[-1][0] >= depth:
                path.pop()
            builtin = re.search(r"\(also an? (\w+)\)", match[3])
            tree[match[2]] = (path[-1][1] if path else "Exception", builtin[1] if builtin else "")
            path.append((depth, match[2]))
    return tree


def test_the_tree_drawn_in_the_docstring_is_the_tree_of_classes() -> None:
    actual = {
        name: (
            found.__bases__[0].__name__,
            found.__bases__[1].__name__ if len(found.__bases__) > 1 else "",
        )
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, Exception)
    }
    assert drawn_tree() == actual


def test_every_error_is_caught_by_its_root_and_has_a_docstring() -> None:
    for name in drawn_tree():
        found = getattr(errors, name)
        assert issubclass(found, GraphwrightError)
        assert found.__doc__


def test_an_error_without_a_place_is_its_first_line() -> None:
    assert str(ShapeError("sizes differ")) == "sizes differ"
    assert str(ShapeError("sizes differ", source=NOWHERE)) == "sizes differ"
    assert str(ShapeError("sizes differ", hint="reshape")) == "sizes differ\n  hint: reshape"


def test_details_are_aligned_in_columns() -> None:
    error = ShapeError(
        "sizes differ",
        details=[
            ("x", "x: f32[2]    made at a.py:1"),
            ("other", "yy: f32[30,2]    made at b.py:2"),
        ],
        hint="reshape",
    )
    assert str(error) == (
        "sizes differ\n"
        "  x      x: f32[2]        made at a.py:1\n"
        "  other  yy: f32[30,2]    made at b.py:2\n"
        "  hint: reshape"
    )


def test_an_error_is_located_once() -> None:
    bare = ShapeError("sizes differ", details=[("a", "1")], hint="reshape")
    place, other = (gw.input(name, ()).node.source for name in "xy")
    located = bare.located(
        "matmul", [("a", "1"), ("b", "2")], place
    )  # what is known once is told once
    assert type(located) is ShapeError
    assert located.what == "matmul: sizes differ"
    assert located.details == (("a", "1"), ("b", "2"))
    assert located.hint == "reshape"
    assert located.located("outer", [], other) is located


def test_a_shape_error_reads_as_promised() -> None:
    x = gw.input("x", ("batch", 784))
    weights = gw.parameter("weights", np.zeros((512, 10), np.float32))
    with pytest.raises(ShapeError) as caught:
        x @ weights
    lines = [
        re.sub(r"test_errors\.py:\d+", "test_errors.py:N", s)
        for s in str(caught.value).splitlines()
    ]
    assert lines[0].startswith("matmul: ")
    assert "784" in lines[0] and "512" in lines[0]
    assert lines[1].endswith('x: f32[batch,784]       made at test_errors.py:N by input("x")')
    assert lines[2].endswith(
        'weights: f32[512,10]    made at test_errors.py:N by parameter("weights")'
    )
    assert lines[3].split() == [
        "at",
        "test_errors.py:N",
        "in",
        "test_a_shape_error_reads_as_promised:",
        "x",
        "@",
        "weights",
    ]


def test_the_line_an_error_names_is_the_users() -> None:
    x = gw.input("x", (2,))
    with pytest.raises(ShapeError) as caught:
        x + gw.input("y", (3,))
    source = caught.value.source
    assert source is not None
    assert source.lines[0].text == 'x + gw.input("y", (3,))'
    assert source.lines[0].file == __file__


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ShapeError", ValueError),
        ("DTypeError", TypeError),
        ("SymbolicValueError", TypeError),
        ("InputError", ValueError),
    ],
)
def test_errors_are_also_pythons_own_kind(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)
