"""Parameters: the assignments of the cell tagged ``parameters``, and values for them given as text. Pure."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from typing import Any

from cellyard.errors import UsageError
from cellyard.model.pipeline import Parameter

__all__ = ["TAG", "literal_constants", "parameter_values", "parameters_of", "parse_assignments"]

TAG = "parameters"
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def parameters_of(cell: int, body: Iterable[ast.stmt]) -> tuple[Parameter, ...]:
    """What the cell assigns at its top level, typed by the defaults."""
    found: dict[str, Parameter] = {}
    for node in body:
        for name, value in _assignments(node):
            found[name] = Parameter(name, _type_of(value), ast.unparse(value), cell)
    return tuple(found.values())


def literal_constants(body: Iterable[ast.stmt]) -> dict[str, Any]:
    """The names that the statements bind to literals, with their values."""
    found: dict[str, Any] = {}
    for node in body:
        for name, value in _assignments(node):
            found.pop(name, None)
            if _type_of(value) != "expression":
                found[name] = ast.literal_eval(value)
    return found


def _assignments(node: ast.stmt) -> list[tuple[str, ast.expr]]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        return [(node.target.id, node.value)]
    if isinstance(node, ast.Assign):
        return [(target.id, node.value) for target in node.targets if isinstance(target, ast.Name)]
    return []


def _type_of(value: ast.expr) -> str:
    try:
        found = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return "expression"
    return "None" if found is None else type(found).__name__


def parse_assignments(words: Iterable[Iterable[str]]) -> dict[str, str]:
    """``-p name value`` and ``-p name=value`` as names and texts. Raises UsageError."""
    found: dict[str, str] = {}
    for given in words:
        first, *rest = given
        name, equals, value = first.partition("=")
        if (len(rest), bool(equals)) not in {(1, False), (0, True)}:
            raise UsageError(f"-p {' '.join([first, *rest])}: write -p NAME VALUE or -p NAME=VALUE")
        found[name] = rest[0] if rest else value
    return found


def parameter_values(parameters: Iterable[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values, texts read as the type of each parameter's default asks; other values (from JSON) stay as they
    are where they fit. Raises UsageError for an unknown name and for a text that cannot be meant."""
    known = {each.name: each for each in parameters}
    unknown = [name for name in given if name not in known]
    if unknown:
        there = f"It has: {', '.join(known)}." if known else "It has none: tag the cell that sets them `parameters`."
        raise UsageError(f"the notebook has no parameter {unknown[0]!r}. {there}")
    return {name: _value(known[name], value) for name, value in given.items()}


def _value(parameter: Parameter, given: Any) -> Any:
    if isinstance(given, str):
        return _read(parameter, given)
    fits = parameter.type in {"None", "expression", type(given).__name__} or (
        parameter.type == "float" and type(given) is int
    )
    if not fits:
        raise UsageError(f"parameter {parameter.name}: {given!r} is not of type {parameter.type}")
    return float(given) if parameter.type == "float" else given


def _read(parameter: Parameter, text: str) -> Any:
    kind = parameter.type
    try:
        if kind == "str":
            return text
        if kind == "bool":
            return _boolean(text)
        if kind in {"int", "float", "complex"}:
            return {"int": int, "float": float, "complex": complex}[kind](text)
        found = _literal(text)
    except ValueError as error:
        raise UsageError(
            f"parameter {parameter.name}: {text!r} is not of type {kind}, as {parameter.default} is"
        ) from error
    if kind not in {"None", "expression", type(found).__name__}:
        raise UsageError(f"parameter {parameter.name}: {text!r} is not of type {kind}, as {parameter.default} is")
    return found


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError(text)


def _literal(text: str) -> Any:
    """A literal of Python or JSON, else the text itself."""
    for read in (ast.literal_eval, json.loads):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text
