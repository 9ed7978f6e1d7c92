"""What operators are before they mean anything: attributes, set once and never again."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any, ClassVar, cast, dataclass_transform


@dataclass_transform(frozen_default=True, eq_default=False)
class Attributes:
    """What a subclass annotates is an attribute of its instances: set when they are made, by
    position or by name, and never after.

    They are dataclasses, but for what `dataclass` would write code for: that takes more time than
    all else in the import of a large vocabulary.
    """

    attribute_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if inspect.get_annotations(cls):
            dataclasses.dataclass(init=False, eq=False, repr=False)(cls)
            cls.attribute_names = tuple(field.name for field in dataclasses.fields(cast(Any, cls)))

    def __init__(self, *values: Any, **named: Any) -> None:
        fits = not named and len(values) == len(self.attribute_names)
        given = values if fits else self._ordered(values, named)
        self.__dict__.update(zip(self.attribute_names, given, strict=True))
        self.__post_init__()

    def __post_init__(self) -> None:
        """For checks of the attributes."""

    def _ordered(self, values: Sequence[Any], named: dict[str, Any]) -> list[Any]:
        """One value for each attribute. Raises TypeError as Python does for wrong arguments."""
        fields = dataclasses.fields(cast(Any, self))
        parameters = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=inspect.Parameter.empty
                if field.default is dataclasses.MISSING
                else field.default,
            )
            for field in fields
        ]
        bound = inspect.Signature(parameters).bind(*values, **named)
        bound.apply_defaults()
        return list(bound.arguments.values())

    def __setattr__(self, name: str, value: object) -> None:
        raise dataclasses.FrozenInstanceError(f"operators are frozen: {name} can't be set")

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"operators are frozen: {name} can't be deleted")
