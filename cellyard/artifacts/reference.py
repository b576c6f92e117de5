"""A reference: all that is known of an artifact without reading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["HELD", "Preview", "Reference", "earlier_name", "is_earlier", "is_held"]

#: Begins the name under which what a cell has changed in a class or function travels among the values.
HELD = "@"


def is_held(name: str) -> bool:
    """Whether a name of an artifact is not one of the notebook, but stands for changes of a definition."""
    return name.startswith(HELD)


def earlier_name(name: str, back: int) -> str:
    """How a value that a cell has shown travels, ``back`` values before its last, whose ``name`` is IPython's."""
    return f"-{back}{name}" if back else name


def is_earlier(name: str) -> bool:
    """Whether what the name is of was shown before the cell's last value."""
    return name.startswith("-")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a value looks like: its type, its shape or length in words, a text of a few lines, perhaps HTML.

    ``methods`` are those special methods of its type that Python asks a type for before it calls them: who stands
    for the value must have the same, no more and no fewer. ``schema``: a table's first columns, "name: type".
    """

    type: str
    shape: str = ""
    text: str = ""
    html: str = ""
    methods: tuple[str, ...] = ()
    schema: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "shape": self.shape,
            "text": self.text,
            "html": self.html,
            "methods": list(self.methods),
            **({"schema": list(self.schema)} if self.schema else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preview:
        shape, text, html = (data.get(key, "") for key in ("shape", "text", "html"))
        return cls(data["type"], shape, text, html, tuple(data.get("methods", ())), tuple(data.get("schema", ())))


@dataclass(frozen=True, slots=True)
class Reference:
    """An artifact: one alias group.

    ``names`` are all names of the group; ``size`` the bytes of its pickle and buffers together; ``modules`` the
    top-level modules that loading imports; ``tokens`` the definitions it needs; ``previews`` one per name;
    ``canonical`` the canonical digest of its values, where it was asked for; ``uses`` the names that
    functions without a name of their own, which are part of the values, use; ``files`` what the notebook's code in it
    says it comes from.
    """

    id: str
    names: tuple[str, ...]
    size: int
    modules: tuple[str, ...]
    previews: Mapping[str, Preview]
    tokens: tuple[str, ...] = ()
    canonical: str | None = None
    uses: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "names": list(self.names),
            "size": self.size,
            "modules": list(self.modules),
            "previews": {name: preview.to_dict() for name, preview in self.previews.items()},
            "tokens": list(self.tokens),
            **({"canonical": self.canonical} if self.canonical else {}),
            **({"uses": list(self.uses)} if self.uses else {}),
            **({"files": list(self.files)} if self.files else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reference:
        previews = {name: Preview.from_dict(p) for name, p in data["previews"].items()}
        tokens = tuple(data.get("tokens", ()))
        names, modules = tuple(data["names"]), tuple(data["modules"])
        return cls(
            data["id"],
            names,
            data["size"],
            modules,
            previews,
            tokens,
            data.get("canonical"),
            tuple(data.get("uses", ())),
            tuple(data.get("files", ())),
        )
