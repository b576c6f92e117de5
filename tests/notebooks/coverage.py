"""What a cell may do, as a list of nouns; and which written cells try each of them, as the table beside them.

``python -m tests.notebooks.coverage`` writes the table anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.notebooks.refused import REFUSED
from tests.notebooks.written import FOLDER, read

__all__ = ["LEAST", "NOUNS", "TABLE", "cells_by_noun", "table"]

#: Cells that each noun has, at least.
LEAST = 3
TABLE = FOLDER / "coverage.md"
NOUNS: dict[str, tuple[str, ...]] = {
    "reads": (
        "functions", "methods", "lambdas", "comprehensions", "decorators", "default arguments", "closures",
        "class bodies", "f-strings", "global", "nonlocal", "walrus", "match", "except … as", "augmented assignment",
        "del", "star imports", "import a.b as c", "import a.b.c",
        "from __future__", "annotations", "top-level await", "!cmd", "%magic",
        "%%time", "get_ipython()", "display", "_", "__", "Out[n]", "In", "a final ;",
        "names in texts", "classes in pickles", "what looks through the notebook",
    ),
    "writes": (
        "assignment in every form", "in-place change of a list", "in-place change of a dict",
        "in-place change of a set", "in-place change of a DataFrame", "in-place change of an array",
        "an object attribute", "through a function", "through a method", "an alias", "a view", "deletion",
        "rebinding a function", "rebinding a class", "a name that becomes a module", "a DataFrame and its view",
        "an object in two containers", "a figure and its axes", "a name that the step never read",
    ),
    "classes": (
        "isinstance before and after", "enums", "dataclasses", "namedtuples", "abc", "metaclasses", "properties",
        "class attributes as counters", "slots", "generics", "pydantic models", "attrs models", "exceptions",
        "redefinition while instances live", "mutual recursion", "memoising decorators", "partial", "singledispatch",
        "bound methods", "generators", "open handles", "proxies", "subclasses of built-in types",
        "constructors of their own", "shared attributes", "type variables", "weak references",
    ),
    "process_state": (
        "seeded here and used there", "styles and options set in one cell and used later",
        "files beside the notebook", "the working directory", "local modules", "local modules edited between runs",
        "sys.path", "environment variables", "warning filters", "logging", "the decimal context",
        "variables of contexts", "printers of types", "arguments of the program", "attributes set in libraries",
        "what calls set in libraries",
    ),
    "libraries": (
        "numpy", "pandas", "pandas on Arrow", "polars", "pyarrow", "scipy sparse", "scikit-learn", "statsmodels",
        "lightgbm", "networkx", "sympy", "matplotlib", "seaborn", "plotly", "PIL", "torch",
    ),
    "outputs": (
        "stdout", "stderr", "display", "rich reprs", "several figures", "plt.show",
        "inline figure formats and sizes", "update_display", "clear_output", "DisplayHandle", "tqdm",
        "tqdm in a notebook", "rich", "logging", "warnings", "subprocesses", "C-level writes", "ipywidgets", "input()",
        "getpass",
    ),
    "projects": (),  # cells as they follow one another in people's notebooks
}  # fmt: skip


def cells_by_noun() -> Counter[tuple[str, str]]:
    """How many cells try each noun, by the name of its file and its own."""
    found: Counter[tuple[str, str]] = Counter()
    for part in NOUNS:
        for notebook in read(part):
            for noun in notebook.nouns:
                found[part, noun] += len(notebook.cells)
    for case in REFUSED:
        found["classes", case.noun] += 1
    return found


def table() -> str:
    """The table as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Which cells try what"
    yield ""
    yield "Written by `python -m tests.notebooks.coverage`; a test compares it with the cells."
    found = cells_by_noun()
    for part, nouns in NOUNS.items():
        yield from ("", f"## {part}.ipy", "", "| what a cell does | cells |", "| --- | --- |")
        more = sorted(noun for at, noun in found if at == part and noun not in nouns)
        yield from (f"| {noun} | {found[part, noun]} |" for noun in (*nouns, *more))


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
