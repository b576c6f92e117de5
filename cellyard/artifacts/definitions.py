"""Functions and classes of the notebook: packed by value, known by token.

A *definition* is a class of ``__main__``, or a function of it that is not nested in another. Values refer to a
definition by its token; the definition itself is an object of its own in the store. A process that has the live
definition of a token uses it, so ``isinstance`` and ``is`` hold across processes; a redefined class has another token,
and its old instances keep their old class.
"""

from __future__ import annotations

import contextlib
import contextvars
import enum
import importlib
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import cloudpickle.cloudpickle
from blake3 import blake3

__all__ = [
    "Context",
    "Registry",
    "class_reduce",
    "files_of",
    "fingerprint",
    "function_reduce",
    "is_definition",
    "is_empty_cell",
    "is_nameless",
    "loading",
    "namespace_here",
    "registry",
    "resolve",
]


cp: Any = cloudpickle.cloudpickle  # it has no annotations of its own


class Registry:
    """The definitions that are live in this process, both ways; definitions that nobody holds drop out.

    ``origin`` marks tokens first given here, so that two processes never mean different classes by one token.
    """

    def __init__(self) -> None:
        self.origin = ""
        self._by_token: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._tokens: dict[int, tuple[weakref.ref[Any], str]] = {}

    def token(self, definition: Any) -> str:
        """The token of a live definition, given now if it has none."""
        known = self._tokens.get(id(definition))
        if known is not None and known[0]() is definition:
            return known[1]
        base = f"{definition.__qualname__}:{fingerprint(definition)}{self.origin}"
        token, count = base, 1
        while token in self._by_token:
            count += 1
            token = f"{base}~{count}"
        self.register(token, definition)
        return token

    def register(self, token: str, definition: Any) -> None:
        key = id(definition)
        reference = weakref.ref(definition, lambda _: self._tokens.pop(key, None))
        self._tokens[key] = (reference, token)
        self._by_token[token] = definition

    def find(self, token: str) -> Any | None:
        return self._by_token.get(token)


registry = Registry()


@dataclass
class Context:
    """Where unpickled definitions find their globals, and where unknown ones are read from."""

    namespace: dict[str, Any]
    definitions: Mapping[str, str]
    read: Callable[[str], bytes]
    loads: Callable[[bytes], Any]
    is_new: list[bool] = field(default_factory=list)
    """Of classes whose bodies are still to come, innermost last: whether they were made for that."""


#: Where definitions come from, of the innermost unpickling on this thread.
_CONTEXT: contextvars.ContextVar[Context] = contextvars.ContextVar("cellyard_definitions")


@contextlib.contextmanager
def loading(context: Context) -> Iterator[None]:
    """Unpickling inside this block resolves definitions through ``context``."""
    token = _CONTEXT.set(context)
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def namespace_here() -> dict[str, Any]:
    """The namespace that is being loaded into."""
    return _CONTEXT.get().namespace


def is_definition(obj: Any) -> bool:
    """True for classes of ``__main__``, and for functions of it that are neither nested nor methods."""
    if getattr(obj, "__module__", None) != "__main__":
        return False
    if isinstance(obj, type):
        return True
    return type(obj) is types.FunctionType and "<" not in obj.__qualname__ and "." not in obj.__qualname__


def is_nameless(function: Any) -> bool:
    """Whether a function of the notebook travels by value each time: lambdas, and functions made in functions."""
    return bool(function.__module__ == "__main__" and "<" in function.__qualname__)


def files_of(definition: Any) -> Iterator[str]:
    """The files that a definition's code says it comes from."""
    if not isinstance(definition, type):
        yield definition.__code__.co_filename
        return
    for member in vars(definition).values():
        for inner in _functions_of(member) or (member,):
            if type(inner) is types.FunctionType:
                yield inner.__code__.co_filename


def resolve(token: str) -> Any:
    """The definition of a token: the live one, else read through the current context."""
    found = registry.find(token)
    if found is not None:
        return found
    context = _CONTEXT.get()
    return context.loads(context.read(context.definitions[token]))


def make_function(token: str | None, code: types.CodeType, name: str, closure: Any, module: str | None = None) -> Any:
    """A function whose globals are the namespace that is being loaded into, or those of ``module``."""
    home = _CONTEXT.get().namespace if module is None else vars(importlib.import_module(module))
    made = types.FunctionType(code, home, name, None, closure)
    if token is not None:
        registry.register(token, made)
    return made


def set_function_state(function: Any, state: Mapping[str, Any]) -> None:
    """Fill what can refer back to the function: cell contents, defaults, attributes."""
    for cell, contents in state["cells"]:
        cell.cell_contents = contents
    function.__dict__.update(state["dict"])
    for name, value in state["slots"].items():
        setattr(function, name, value)


def make_class(token: str, bases: tuple[Any, ...], constructor: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """An empty class, known by its token before its body is filled, because a body may refer to it.

    Its bases, which came first, may hold it: then it is there already, with its body.
    """
    found = registry.find(token)
    _CONTEXT.get().is_new.append(found is None)
    if found is not None:
        return found
    with _quiet_bases(bases):
        made = constructor(*arguments)
    registry.register(token, made)
    return made


def set_class_state(cls: type, state: Any) -> None:
    """Fill the body of a class that :func:`make_class` has just made."""
    if _CONTEXT.get().is_new.pop():
        cp._class_setstate(cls, state)


@contextlib.contextmanager
def _quiet_bases(bases: tuple[Any, ...]) -> Iterator[None]:
    """Without ``__init_subclass__`` of the notebook's classes: it ran where the class was defined, with arguments
    that nobody keeps, and what it did there travels by itself."""
    hook = "__init_subclass__"
    every = {kind for base in types.resolve_bases(bases) for kind in base.__mro__ if is_definition(kind)}
    own = {kind: vars(kind)[hook] for kind in every if hook in vars(kind)}
    for kind in own:
        setattr(kind, hook, classmethod(_ignore))
    try:
        yield
    finally:
        for kind, method in own.items():
            setattr(kind, hook, method)


def _ignore(cls: type, /, **_: Any) -> None:
    """Takes the place of a hook that is not to run."""


_SLOTS = (
    "__module__",
    "__qualname__",
    "__doc__",
    "__defaults__",
    "__kwdefaults__",
    "__annotations__",
    "__type_params__",
)


def function_reduce(
    function: Any, token: str | None, filled: set[int], *, module: str | None = None
) -> tuple[Any, ...]:
    """How a function travels by value; ``filled`` holds the ids of cells whose contents were already sent, ``module``
    names the installed module whose globals it uses (a library's decorator around a function of the notebook)."""
    fresh = [cell for cell in function.__closure__ or () if id(cell) not in filled]
    filled.update(map(id, fresh))
    state = {
        "cells": [(cell, cell.cell_contents) for cell in fresh if not is_empty_cell(cell)],
        "dict": function.__dict__,
        "slots": {name: value for name in _SLOTS if (value := getattr(function, name, None))},
    }
    made = (token, function.__code__, function.__name__, function.__closure__, module)
    return make_function, made, state, None, None, set_function_state


def class_reduce(cls: type, token: str) -> tuple[Any, ...]:
    """How a class travels by value: cloudpickle's skeleton and state, registered under our token."""
    constructor, arguments, state, *_ = cp._dynamic_class_reduce(cls)
    # None: cloudpickle's own tracking would reset the live class on every load.
    if isinstance(cls, enum.EnumMeta):
        return _enum_reduce(cls, token, arguments, state[0])
    state = ({**_same_as_inherited(cls), **state[0]}, state[1])
    kind, name, bases, body = arguments[:4]
    # Slots must be there from the start on, and cloudpickle loses the qualified name.
    slots = {"__slots__": vars(cls)["__slots__"]} if "__slots__" in vars(cls) and not _gets_slots(cls) else {}
    body = {**body, **slots, "__qualname__": cls.__qualname__}
    if is_definition(kind):
        made = (token, bases, _class_of_own_kind, (kind, name, bases, body))
        return make_class, made, state, None, None, set_class_state
    return (
        make_class,
        (token, bases, constructor, (kind, name, bases, body, None, None)),
        state,
        None,
        None,
        set_class_state,
    )


def _gets_slots(cls: type) -> bool:
    """Whether ``typing.NamedTuple`` gives it its slots, and lets nobody else do so."""
    return any(getattr(each, "__name__", "") == "NamedTuple" for each in vars(cls).get("__orig_bases__", ()))


def _same_as_inherited(cls: type) -> dict[str, Any]:
    """Attributes that are the very objects that a base has, too: cloudpickle leaves them to the base."""
    own = {name: value for name, value in vars(cls).items() if name not in _OF_PYTHON and not name.startswith("_abc_")}
    bases = [vars(base) for base in cls.__mro__[1:]]
    found = {}
    for name, value in own.items():
        inherited = next((base[name] for base in bases if name in base), _NOTHING)
        if inherited is value:
            found[name] = value
    return found


_NOTHING = object()
_OF_PYTHON = {"__dict__", "__weakref__", "__slots__", "__module__", "__qualname__"}


def _class_of_own_kind(kind: Any, name: str, bases: tuple[Any, ...], body: dict[str, Any]) -> Any:
    """A class whose metaclass is the notebook's, past what that does when a class is made: it has been done."""
    native: Any = next(each for each in kind.__mro__ if not is_definition(each))
    resolved = types.resolve_bases(bases)
    origin = {} if resolved is bases else {"__orig_bases__": bases}
    return native.__new__(kind, name, resolved, {**body, **origin})


def _enum_reduce(cls: enum.EnumMeta, token: str, arguments: tuple[Any, ...], body: dict[str, Any]) -> tuple[Any, ...]:
    """With aliases, and with what the members' constructors gave them: cloudpickle leaves out both."""
    members: Mapping[str, Any] = cls.__members__
    bases, name, qualname, _, module = arguments[:5]
    values = {each: member.value for each, member in members.items()}
    distinct: list[Any] = list(cls)
    attributes = {
        member.name: {key: value for key, value in vars(member).items() if not key.startswith("_")}
        for member in distinct
    }
    state = {key: value for key, value in body.items() if key not in members}
    made = (token, bases, cp._make_skeleton_enum, (bases, name, qualname, values, module, None, None))
    return make_class, made, (state, attributes), None, None, set_enum_state


def set_enum_state(cls: Any, state: tuple[Any, Mapping[str, Any]]) -> None:
    """Fill an enum's body and the attributes of its members."""
    if not _CONTEXT.get().is_new.pop():
        return
    cp._class_setstate(cls, (state[0], {}))
    for name, attributes in state[1].items():
        vars(cls.__members__[name]).update(attributes)


def is_empty_cell(cell: types.CellType) -> bool:
    """True for a variable of a closure that has no value yet."""
    try:
        _ = cell.cell_contents
    except ValueError:
        return True
    return False


def fingerprint(definition: Any) -> str:
    """A short hash of the code of a definition, equal for equal sources."""
    hasher = blake3(definition.__qualname__.encode())
    for part in _code_of(definition):
        hasher.update(part)
    return str(hasher.hexdigest(8))


def _code_of(definition: Any) -> Iterator[bytes]:
    if isinstance(definition, type):
        for base in definition.__bases__:
            yield f"{base.__module__}.{base.__qualname__}{fingerprint(base) if is_definition(base) else ''}".encode()
        for name, member in sorted(vars(definition).items()):
            if name.startswith("__pydantic_"):  # made from the rest, with places in memory
                continue
            yield name.encode()
            for inner in _functions_of(member) or (member,):
                yield from _parts_of(inner)
    else:
        yield from _parts_of(definition)


def _functions_of(member: Any) -> list[Any]:
    """What a class method, static method or property is made of."""
    names = ("__func__", "fget", "fset", "fdel", "func")
    return [inner for name in names if (inner := getattr(member, name, None)) is not None]


def _parts_of(value: Any) -> Iterator[bytes]:
    if type(value) is types.FunctionType:
        yield from _code_parts(value.__code__)
        yield _constant_text((value.__defaults__, value.__kwdefaults__), _DEPTH).encode()
    else:
        yield _constant_text(value, _DEPTH).encode()


_DEPTH = 4
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def _constant_text(value: Any, depth: int) -> str:
    """A text that tells constants apart, in any process the same; of other values, their type."""
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if kind in {list, tuple, dict} and depth and len(value) < 1000:
        parts = [part for item in value.items() for part in item] if kind is dict else value
        return f"{kind.__name__}({','.join(_constant_text(part, depth - 1) for part in parts)})"
    return f"{kind.__module__}.{kind.__qualname__}"


def _code_parts(code: types.CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars)).encode()
    for constant in code.co_consts:
        if type(constant) is types.CodeType:
            yield from _code_parts(constant)
        elif type(constant) is frozenset:
            yield repr(sorted(map(repr, constant))).encode()
        else:
            yield repr(constant).encode()
