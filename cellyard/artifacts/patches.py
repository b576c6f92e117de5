"""Attributes that the notebook has set in modules and classes of others: a method that it gives to frames of pandas, a
function or a limit of a library that it replaces.

No name of the notebook leads to them. They travel beside the names, each by its place, and are set again where they
arrive; where the module has not been imported, as soon as it is.
"""

from __future__ import annotations

import contextlib
import re
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import wrapt

from cellyard.artifacts.definitions import is_definition
from cellyard.artifacts.foreign import foreign_attributes
from cellyard.artifacts.kinds import package_of
from cellyard.artifacts.reference import HELD

__all__ = [
    "PATCH",
    "find_original",
    "know",
    "know_of_object",
    "may_have_places",
    "original_reduce",
    "own_patches",
    "own_secrets",
    "put_patch",
    "put_secrets",
]

PATCH = f"{HELD}patch "
"""Begins the names under which they travel."""

#: Each process has its own of these, or they are set otherwise.
_OF_PROCESSES = {
    "IPython", "__main__", "cellyard", "cloudpickle", "debugpy", "distributed", "importlib", "ipykernel",
    "jupyter_client", "kernel_magics", "matplotlib_inline", "tornado", "traitlets", "zmq",
}  # fmt: skip
_OF_SHELL = {("builtins", name) for name in ("_", "__import__", "display", "exit", "get_ipython", "input", "quit")}
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_MISSING = object()
_SECRET = re.compile(r"key|token|secret|passw|pwd|credential|auth", re.IGNORECASE)


#: Objects whose settings are a part of the process state.
_SET_OTHERWISE = {("plotly.io", "templates"), ("plotly.io", "renderers"), ("logging", "root")}


class Place(NamedTuple):
    """An attribute of a module, of its class of that qualified name, or of its object of that name."""

    module: str
    owner: str
    attribute: str


_known: dict[Place, None] = {}
_waiting: dict[Place, Any] = {}
"""What comes to a module as soon as it is imported here; ``_MISSING`` where it is to have none."""
_originals: dict[Place, Any] = {}


def know(owner: Any, attribute: str) -> None:
    """From now on that attribute of a module or class travels, if it is one of others; with no name, all that are
    functions and classes of the notebook."""
    at = _place_of(owner)
    if at is None:
        return
    for name in [attribute] if attribute else _set_by_notebook(owner):
        _note(Place(*at, name))


def know_of_object(module: types.ModuleType, name: str, attribute: str) -> None:
    """The same for an attribute of an object that a module has by that name: the defaults of a library, say."""
    at = _place_of(module)
    if at is not None and (at[0], name) not in _SET_OTHERWISE and attribute and at[0] not in {"sys", "os"}:
        _note(Place(at[0], name, attribute))


def _note(place: Place) -> None:
    if (place.module, place.attribute) not in _OF_SHELL:
        _known.setdefault(place)


def may_have_places(owner: Any) -> bool:
    """Whether it is a module or a class."""
    # By its type: who stands for a value that is elsewhere must not be asked.
    return issubclass(type(owner), types.ModuleType | type)


def _place_of(owner: Any) -> tuple[str, str] | None:
    """Module and qualified name by which every process finds it; None for the notebook's own."""
    if isinstance(owner, type):
        module, name = owner.__module__, owner.__qualname__
        is_found = not is_definition(owner) and _find(module, name) is owner
    else:
        module, name = owner.__name__, ""
        is_found = sys.modules.get(module) is owner
    return (module, name) if is_found and module.partition(".")[0] not in _OF_PROCESSES else None


def _find(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split(".") if name else ():
        found = vars(found).get(part) if may_have_places(found) else None
    return found


def _set_by_notebook(owner: Any) -> Iterator[str]:
    """Attributes that are functions or classes of the notebook."""
    return (name for name, value in list(vars(owner).items()) if getattr(value, "__module__", "") == "__main__")


def own_patches() -> dict[str, dict[str, Any]]:
    """All that this process has, by held names, as they travel."""
    for owner, attribute in foreign_attributes():
        know(owner, attribute)
    return {_name_of(place): _as_held(value) for place, value in _now().items() if not _may_be_secret(place, value)}


def own_secrets() -> dict[str, str]:
    """Those that no artifact may hold (``openai.api_key = …``), by held names."""
    return {_name_of(place): value for place, value in _now().items() if _may_be_secret(place, value)}


def put_secrets(value: Mapping[str, str]) -> None:
    """Have these."""
    for name, secret in value.items():
        put_patch(name, _as_held(secret))


def _may_be_secret(place: Place, value: Any) -> bool:
    return type(value) is str and _SECRET.search(place.attribute) is not None


def _now() -> dict[Place, Any]:
    now = {place: value for place in _known if (value := _value(place)) is not _MISSING or place in _originals}
    return {**now, **_waiting}


def _value(place: Place) -> Any:
    owner = _find(place.module, place.owner)
    if owner is None:
        return _MISSING
    held = getattr(owner, "__dict__", {})
    if place.attribute in held:
        value = held[place.attribute]
    elif isinstance(owner, type) or not hasattr(type(owner), place.attribute):
        return _MISSING
    else:  # of an object, or a module, whose class computes it
        value = getattr(owner, place.attribute, _MISSING)
    return _MISSING if place.module == "sys" and type(value) not in _PLAIN else value


def _name_of(place: Place) -> str:
    return PATCH + ":".join(place)


def _as_held(value: Any) -> dict[str, Any]:
    return {"set": {}, "removed": ["value"]} if value is _MISSING else {"set": {"value": value}, "removed": []}


def put_patch(name: str, changes: Mapping[str, Any]) -> None:
    """Have the attribute of that held name the value that came, or none."""
    place = Place(*name.removeprefix(PATCH).split(":"))
    _known.setdefault(place)
    value = changes["set"].get("value", _MISSING)
    if place.module in sys.modules:
        _put(place, value)
        return
    if place not in _waiting:
        wrapt.register_post_import_hook(lambda _: _put(place, _waiting.pop(place)), place.module)
    _waiting[place] = value


def _put(place: Place, value: Any) -> None:
    owner = _find(place.module, place.owner)
    if owner is None:  # another version of the library, which has no such class
        return
    before = _value(place)
    if before is value:
        return
    _originals.setdefault(place, before)
    with contextlib.suppress(AttributeError, TypeError, ValueError):  # what this version of the library does not allow
        if value is _MISSING:
            delattr(owner, place.attribute)
        else:
            setattr(owner, place.attribute, value)
            _list_accessor(owner, place.attribute, value)


def _list_accessor(owner: Any, name: str, value: Any) -> None:
    """pandas keeps the names of its accessors in a set."""
    listed = getattr(owner, "_accessors", None)
    if isinstance(listed, set) and package_of(type(value)) == "pandas":
        listed.add(name)


def original_reduce(function: Any) -> Any:
    """The reduction of a function of a library in whose place the notebook has put another; else NotImplemented."""
    if not _known:
        return NotImplemented
    name, _, attribute = function.__qualname__.rpartition(".")
    owner = _find(str(function.__module__), name)
    at = _place_of(owner) if may_have_places(owner) else None
    if at is None or (place := Place(*at, attribute)) not in _known:
        return NotImplemented
    if _originals.get(place) is not function:
        now = _value(place)
        if now is _MISSING or now is function:
            return NotImplemented
        _originals[place] = function
    return find_original, tuple(place)


def find_original(module: str, owner: str, attribute: str) -> Any:
    """What is at that place where nobody has put another thing there."""
    __import__(module)
    place = Place(module, owner, attribute)
    return _originals[place] if place in _originals else _value(place)
