"""What a cell does that cannot work in a step, which runs in a process of its own. Pure: text in, list out."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["NOBODY_TO_ASK", "Hazard", "hazards"]


class Hazard(NamedTuple):
    """One such place: its line, a short kind, and a sentence for the user."""

    line: int
    kind: str
    reason: str


NOBODY_TO_ASK = "asks a question, and a step has nobody to ask"
"""Of those alone for whose answer nobody waits: with ``--async``, elsewhere, in a run of the whole notebook."""

_REASONS = {
    "input": NOBODY_TO_ASK,
    "debugger": "starts a debugger, which needs a terminal of its own",
    "widgets": "makes a live widget, whose callbacks would have to run in the kernel",
    "kernel": "uses the kernel itself, and a step runs without one",
    "figures": "shows figures by a live connection to the kernel; `%matplotlib inline` works",
    "exit": "ends the process that runs it, which is the step's own and not the kernel's",
    "signals": "sets the handling of a signal for the step's process only, which ends with the step",
}

_CALLS = {
    "input": "input",
    "getpass.getpass": "input",
    "breakpoint": "debugger",
    "pdb.set_trace": "debugger",
    "ipdb.set_trace": "debugger",
    "IPython.core.debugger.set_trace": "debugger",
    "ipywidgets.interact": "widgets",
    "ipywidgets.interact_manual": "widgets",
    "ipywidgets.interactive": "widgets",
    "ipywidgets.interactive_output": "widgets",
    "widgets.interact": "widgets",
    "widgets.interact_manual": "widgets",
    "widgets.interactive": "widgets",
    "ipykernel.comm.Comm": "kernel",
    "comm.create_comm": "kernel",
    "os._exit": "exit",
    "exit": "exit",
    "quit": "exit",
    "signal.signal": "signals",
    "signal.alarm": "signals",
    "signal.setitimer": "signals",
}

_MAGICS = (
    (re.compile(r"%matplotlib\s+(widget|ipympl|notebook|nbagg|qt\w*|tk|gtk\w*|wx|osx)\b"), "figures"),
    (re.compile(r"%gui\s+\w"), "figures"),
    (re.compile(r"%(debug|pdb)\b"), "debugger"),
)
_NOT_PYTHON = re.compile(r"^(\s*)([%!].*)$", re.MULTILINE)


def hazards(source: str) -> tuple[Hazard, ...]:
    """Everything of that kind in a raw cell, in the order of its lines; an unparsable cell yields its magics only.

    Names count where the cell uses them as they are, or imports them from where they are known to come from.
    """
    found = list(_in_magics(source))
    text = _NOT_PYTHON.sub(r"\1pass", source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return tuple(found)
    found.extend(_in_python(tree))
    return tuple(sorted(found))


def _hazard(line: int, kind: str) -> Hazard:
    return Hazard(line, kind, _REASONS[kind])


def _in_magics(source: str) -> Iterator[Hazard]:
    for number, line in enumerate(source.splitlines(), 1):
        text = line.strip()
        for pattern, kind in _MAGICS:
            if pattern.match(text):
                yield _hazard(number, kind)


def _in_python(tree: ast.Module) -> Iterator[Hazard]:
    meanings = dict(_imported(tree))
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _dotted(node.func)
            head, _, rest = name.partition(".")
            if head in bound:
                continue
            full = meanings.get(head, head) + ("." + rest if rest else "")
            kind = _CALLS.get(full)
            if kind is not None:
                yield _hazard(node.lineno, kind)
        elif isinstance(node, ast.Attribute) and node.attr == "kernel" and _is_shell(node.value):
            yield _hazard(node.lineno, "kernel")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                head, _, rest = _dotted(called).partition(".")
                full = meanings.get(head, head) + ("." + rest if rest else "")
                if _CALLS.get(full) == "widgets" and called is decorator:
                    yield _hazard(decorator.lineno, "widgets")


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The dotted meaning of each imported name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    yield alias.asname, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _is_shell(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _dotted(node.func) == "get_ipython"
