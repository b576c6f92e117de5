"""Variables of contexts: one that travels is the same wherever it has been, with the value that it has there."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from typing import Any

from cellyard.artifacts.definitions import registry

__all__ = ["ContextVar", "context_variable_reduce", "rebuild_context_variable", "value_in"]

#: Those that have travelled, by the token that each has for good, and the tokens. None is ever let go: contexts hold
#: what was set.
_by_token: dict[str, ContextVar[Any]] = {}
_tokens: dict[ContextVar[Any], str] = {}


def value_in(variable: ContextVar[Any]) -> tuple[Any, ...]:
    """Its value, where it was set."""
    return (variable.get(),) if variable in copy_context() else ()


def context_variable_reduce(variable: ContextVar[Any]) -> Any:
    """With its value as a state, which may lead back to it."""
    made = (_token_of(variable), variable.name, _default_of(variable))
    return rebuild_context_variable, made, value_in(variable) or None, None, None, _set


def _token_of(variable: ContextVar[Any]) -> str:
    token = _tokens.get(variable)
    if token is None:
        base = token = f"{variable.name}{registry.origin}"
        count = 1
        while token in _by_token:
            count += 1
            token = f"{base}~{count}"
        _keep(token, variable)
    return token


def _keep(token: str, variable: ContextVar[Any]) -> None:
    _by_token[token], _tokens[variable] = variable, token


def _default_of(variable: ContextVar[Any]) -> tuple[Any, ...]:
    try:
        return (Context().run(variable.get),)
    except LookupError:
        return ()


def rebuild_context_variable(token: str, name: str, default: tuple[Any, ...]) -> ContextVar[Any]:
    """The one of that token; a new one where it has not been."""
    if token not in _by_token:
        made: ContextVar[Any] = ContextVar(name, default=default[0]) if default else ContextVar(name)
        _keep(token, made)
    return _by_token[token]


def _set(variable: ContextVar[Any], value: tuple[Any, ...]) -> None:
    variable.set(value[0])
