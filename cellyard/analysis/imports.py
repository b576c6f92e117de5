"""Which modules code imports when it runs: read from code objects and from text, never by running anything."""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Iterable, Iterator
from dis import opmap

from cellyard.analysis.functions import parts_of

__all__ = ["bound_by_imports", "inner_modules", "modules_imported_by", "modules_imported_in"]

_IMPORT_NAME = opmap["IMPORT_NAME"]
_EXTENDED_ARG = opmap["EXTENDED_ARG"]
#: ``importlib.import_module("helper")`` and ``__import__("helper")``.
_BY_CALL = re.compile(r"""\b(?:import_module|__import__)\(\s*["'](\w+)""")


def modules_imported_by(value: object, home: object = "__main__") -> frozenset[str]:
    """Top-level modules that the functions in ``value`` (a function, a class, anything holding such) import when they
    are called, and those that its classes come from."""
    found: set[str] = set()
    for part in parts_of(value, home):
        if type(part) is types.FunctionType:
            found |= set(_imports(part.__code__))
        module = part.__module__ if isinstance(part, type) else type(part).__module__
        if isinstance(module, str) and module != home:
            found.add(module.partition(".")[0])
    return frozenset(found)


def _imports(code: types.CodeType) -> Iterator[str]:
    raw, extended = code.co_code, 0
    for position in range(0, len(raw), 2):
        argument = raw[position + 1] | extended
        extended = argument << 8 if raw[position] == _EXTENDED_ARG else 0
        if raw[position] == _IMPORT_NAME:
            yield code.co_names[argument].partition(".")[0]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _imports(constant)
        elif isinstance(constant, str) and constant.isidentifier() and "import_module" in code.co_names:
            yield constant


def modules_imported_in(source: str) -> frozenset[str]:
    """Top-level modules that a module's text imports anywhere; nothing for text that does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    found = set(_BY_CALL.findall(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return frozenset(found)


def bound_by_imports(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """What the import statements among these bind, by name: the module, or what of it, in full."""
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{'.' * node.level}{node.module or ''}.{alias.name}"
    return found


def inner_modules(tree: ast.AST) -> frozenset[str]:
    """The full names of modules inside packages in the code's ``import a.b`` statements."""
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
    return frozenset(alias.name for node in statements for alias in node.names if "." in alias.name)
