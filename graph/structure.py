"""Nested outputs: from a structure of tensors to a flat list, and back with arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def flatten(structure: Any) -> list[Any]:
    """The leaves of tuples, lists and dicts, in order; None holds none."""
    if structure is None:
        return []
    if isinstance(structure, dict):
        return [leaf for item in structure.values() for leaf in flatten(item)]
    if isinstance(structure, tuple | list):
        return [leaf for item in structure for leaf in flatten(item)]
    return [structure]


def unflatten(structure: Any, leaves: Iterable[Any]) -> Any:
    """The same structure with `leaves` in place of its own, in order."""
    return _rebuild(structure, iter(leaves))


def _rebuild(structure: Any, leaves: Iterator[Any]) -> Any:
    if structure is None:
        return None
    if isinstance(structure, dict):
        return {key: _rebuild(item, leaves) for key, item in structure.items()}
    if isinstance(structure, tuple):
        items = [_rebuild(item, leaves) for item in structure]
        # A named tuple is made from its fields, a plain one from a sequence.
        return type(structure)(*items) if hasattr(structure, "_fields") else tuple(items)
    if isinstance(structure, list):
        return [_rebuild(item, leaves) for item in structure]
    return next(leaves)


def ordered_like(structure: Any, other: Any) -> Any:
    """The same structure, its dicts in the order of those in `other` that have the same keys.

    Dicts are equal in any order, but their leaves are not the same list.
    """
    if isinstance(structure, dict) and isinstance(other, dict):
        if structure.keys() != other.keys():
            return structure
        return {key: ordered_like(structure[key], item) for key, item in other.items()}
    sequences = isinstance(structure, tuple | list) and isinstance(other, tuple | list)
    if not sequences or len(structure) != len(other):
        return structure
    items = [ordered_like(one, item) for one, item in zip(structure, other, strict=True)]
    return type(structure)(*items) if hasattr(structure, "_fields") else type(structure)(items)


def skeleton(structure: Any) -> Any:
    """The structure alone, to compare: each leaf is the same."""
    return unflatten(structure, [...] * len(flatten(structure)))


def form(structure: Any) -> str:
    """The structure alone, to be read: each leaf is a dot."""
    return str(skeleton(structure)).replace("Ellipsis", "·")


def paths(structure: Any, root: str) -> list[str]:
    """How each leaf is reached: `state`, `state[0]`, `state['h']`."""
    if structure is None:
        return []
    if isinstance(structure, dict):
        return [path for key, item in structure.items() for path in paths(item, f"{root}[{key!r}]")]
    if isinstance(structure, tuple | list):
        return [path for i, item in enumerate(structure) for path in paths(item, f"{root}[{i}]")]
    return [root]
