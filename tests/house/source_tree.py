"""The house as text: its modules, and what each of them imports. Reads files, imports nothing of cellyard."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "Import", "dotted", "imports", "modules", "parsed", "room_of", "text_files", "third_party"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cellyard", "kernel_magics", "jupyter_ext")
SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml", ".ipynb", ".cfg", ".txt", ".ts", ".tsx", ".css", ""}


@dataclass(frozen=True)
class Import:
    """One module that a file imports, in absolute form, and where."""

    module: str
    place: str
    """"path:line", for messages."""


def modules() -> list[Path]:
    """Every module of the product, in order."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def room_of(name: str) -> str:
    """The room of a dotted module name: "model" for cellyard.model.step, "errors" for cellyard.errors."""
    parts = name.split(".")
    if parts[0] != "cellyard":
        return parts[0]
    return parts[1] if len(parts) > 1 else "cellyard"


def dotted(path: Path) -> str:
    """The module's dotted name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Everything the module imports, also inside functions; what only the type checker sees is left out."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[Import]:
    unseen = {id(node) for block in _type_checking_blocks(parsed(path)) for node in ast.walk(block)}
    for node in ast.walk(parsed(path)):
        if id(node) in unseen or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        place = f"{path.relative_to(ROOT)}:{node.lineno}"
        for module in _imported(node, path):
            yield Import(module, place)


def third_party(path: Path) -> Iterator[Import]:
    """The imports that come from neither the standard library nor the house."""
    for found in imports(path):
        top = found.module.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in PACKAGES and top != "__main__":
            yield Import(top, found.place)


def text_files() -> Iterator[Path]:
    """Every text file that belongs to the repository: what tools and builds leave behind is not looked at."""
    for path in sorted(ROOT.iterdir()):
        if path.name in {".venv", ".git", "dist", "build", "demo"} or path.name.endswith("_cache"):
            continue
        for found in [path] if path.is_file() else sorted(path.rglob("*")):
            if found.is_file() and found.suffix in SUFFIXES and not _left_behind(found):
                yield found


def _left_behind(path: Path) -> bool:
    return any(
        part in {"__pycache__", ".ipynb_checkpoints", ".hypothesis", "node_modules", "labextension", "lib"}
        for part in path.parts
    )


def _imported(node: ast.Import | ast.ImportFrom, path: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        inside = dotted(path).split(".")
        up = node.level - (path.name == "__init__.py")
        base = ".".join([*inside[: len(inside) - up], *([base] if base else [])])
    if base == "cellyard":  # `from cellyard import settings` imports the room, not the package's glossary
        return [f"cellyard.{alias.name}" if _is_room(alias.name) else "cellyard" for alias in node.names]
    return [base]


def _is_room(name: str) -> bool:
    return (ROOT / "cellyard" / name).is_dir() or (ROOT / "cellyard" / f"{name}.py").is_file()


def _type_checking_blocks(tree: ast.Module) -> Iterator[ast.If]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield node
