"""Plain: values that are JSON field by field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

__all__ = ["Plain"]


class Plain:
    """A frozen dataclass whose fields are JSON as they are. One some of whose fields are not writes those itself, and
    has the rest from here."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Itself as JSON."""
        return self._fields()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What :meth:`to_dict` wrote. What is missing has its default, unknown keys are ignored."""
        return cls(**cls._known(data))

    def _fields(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.__dataclass_fields__}  # type: ignore[attr-defined]

    @classmethod
    def _known(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        return {key: data[key] for key in cls.__dataclass_fields__ if key in data}  # type: ignore[attr-defined]
