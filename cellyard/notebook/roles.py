"""What each cell of a notebook is, and what its code does to names: everything that is told cell by cell. Pure.

Preamble is what makes no result: imports, definitions, constants, settings. It runs before all steps.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cellyard.analysis import Facts, analyze, token_names, wants_all_names
from cellyard.analysis.purity import words
from cellyard.errors import CellyardError, InvalidCell
from cellyard.model.pipeline import Problem
from cellyard.model.step_line import StepLine, expand, parse_step_line
from cellyard.notebook.effects import Effects, effects_of, imported_modules, surely_bound
from cellyard.notebook.parameters import TAG, literal_constants
from cellyard.notebook.reading import Cell, Notebook

__all__ = ["CellReading", "read_cells"]

_STEP = re.compile(r"\A\s*%%step(?![^\s])")
_SETUP_MAGIC = re.compile(
    r"^%(load_ext|reload_ext|matplotlib|config|autoreload|precision|xmode|colors)\b.*$", re.MULTILINE
)
_QUIET_CALLS = words(
    """
    dict list set tuple frozenset range slice int float str bytes bool object len min max sum round abs sorted
    pathlib.Path Path re.compile collections.namedtuple collections.defaultdict collections.Counter
    collections.OrderedDict collections.deque typing.TypeVar typing.NewType typing.NamedTuple logging.getLogger
    datetime.date datetime.datetime datetime.timedelta datetime.timezone zoneinfo.ZoneInfo decimal.Decimal
    fractions.Fraction dataclasses.field enum.Enum enum.auto os.path.join os.getenv os.environ.get
    pandas.Timestamp pandas.Timedelta numpy.random.default_rng random.Random numpy.array enum.IntEnum
    """
)


_DEFINING = (
    ast.Import,
    ast.ImportFrom,
    ast.Pass,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    *((ast.TypeAlias,) if hasattr(ast, "TypeAlias") else ()),
)


def _inner(node: ast.stmt) -> list[ast.stmt]:
    """The statements inside ``if`` and ``try``."""
    if isinstance(node, ast.If):
        return [*node.body, *node.orelse]
    if isinstance(node, ast.Try):
        return [*node.body, *node.orelse, *(each for handler in node.handlers for each in handler.body)]
    return []


@dataclass(frozen=True, slots=True)
class CellReading:
    """One cell of code, read. ``role``: "parameters", "preamble", "step" or "plain". ``body`` is its code as written
    (a step's without its first line, so that line 1 of it is line ``offset`` + 1 of the cell); ``tree`` that code as
    Python. ``used``: names that the cell may use beyond what its facts say. ``problem``: it cannot be understood."""

    cell: Cell
    role: str
    body: str
    offset: int = 0
    tree: tuple[ast.stmt, ...] = ()
    facts: Facts = field(default_factory=Facts)
    effects: Effects = field(default_factory=Effects)
    sure: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    uses_all: bool = False
    raw_line: str = ""
    line: str = ""
    options: StepLine = field(default_factory=StepLine)
    problem: Problem | None = None

    @property
    def definitions(self) -> dict[str, ast.stmt]:
        """Its functions and classes."""
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        return {node.name: node for node in self.tree if isinstance(node, kinds)}


class _Reader:
    """Reads the cells of one notebook in order, because what one means depends on those before it."""

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._given = dict(constants)
        self.modules: dict[str, str] = {}
        self._constants: dict[str, Any] = {}
        self._early: set[str] = set()
        self._bound: set[str] = set()

    def read(self, cell: Cell) -> CellReading:
        if _STEP.match(cell.source):
            return self._step(cell)
        try:
            text, tree = _parsed(cell.source)
            facts = self._facts(text)
        except InvalidCell as error:
            return CellReading(cell, "plain", cell.source, problem=_invalid(cell, error, 0))
        body = tuple(tree.body)
        self.modules |= imported_modules(body)
        effects = effects_of(body, self.modules)
        role = self._role(cell, body, facts)
        if role != "plain":
            self._early |= facts.writes
            self._constants |= literal_constants(body)
            if role == "parameters":
                self._constants |= {name: value for name, value in self._given.items() if name in facts.writes}
        else:
            self._forget(facts)
        return CellReading(
            cell, role, cell.source, 0, body, facts, effects, surely_bound(body),
            token_names(cell.source) if facts.uses_dynamic else frozenset(),
            wants_all_names(cell.source),
        )  # fmt: skip

    def _step(self, cell: Cell) -> CellReading:
        first, _, body = cell.source.lstrip().partition("\n")
        offset = 1 + cell.source[: len(cell.source) - len(cell.source.lstrip())].count("\n")
        raw = first.removeprefix("%%step").strip()
        try:
            line = expand(raw, self._constants)
            options = parse_step_line(line)
        except CellyardError as error:
            hint = "In a pipeline only constants and parameters can stand in braces." if "{" in raw else ""
            problem = Problem(cell.index, offset, str(error), hint)
            return CellReading(cell, "step", body, offset, raw_line=raw, problem=problem)
        try:
            text, tree = _parsed(options.code(body))
            facts = self._facts(text)
        except InvalidCell as error:
            problem = _invalid(cell, error, offset - 1 + options.above)
            return CellReading(cell, "step", body, offset, raw_line=raw, line=line, options=options, problem=problem)
        statements = tuple(tree.body)
        self.modules |= imported_modules(statements)
        self._forget(facts)
        item = frozenset({options.map[0]}) if options.map else frozenset()
        facts = replace(facts, writes=facts.writes - item)
        return CellReading(
            cell, "step", body, offset - 1 + options.above, statements, facts, effects_of(statements, self.modules),
            surely_bound(statements) - item, token_names(body) if facts.uses_dynamic else frozenset(),
            wants_all_names(body), raw, line, options,
        )  # fmt: skip

    def _facts(self, text: str) -> Facts:
        facts = analyze(text, shadowed=self._bound, lazy_annotations="annotations" in self._bound)
        self._bound |= facts.writes
        return facts

    def _forget(self, facts: Facts) -> None:
        """What a cell that runs later binds is no constant any more."""
        self._early -= facts.writes
        for name in facts.writes:
            self._constants.pop(name, None)

    def _role(self, cell: Cell, body: tuple[ast.stmt, ...], facts: Facts) -> str:
        if TAG in cell.tags:
            return "parameters"
        if facts.star_imports and all(isinstance(each, ast.ImportFrom | ast.Import) for each in body):
            return "preamble"
        known = self._early | facts.writes
        early = all(name in known for name in facts.required)
        quiet = early and not facts.uses_dynamic and all(self._is_quiet(each) for each in body)
        return "preamble" if quiet else "plain"

    def _is_quiet(self, node: ast.stmt) -> bool:
        """Whether a statement only imports, defines, sets a constant or a setting."""
        if isinstance(node, _DEFINING):
            return True
        if isinstance(node, ast.ClassDef):
            return all(map(self._is_constant, node.bases))
        if isinstance(node, ast.Expr):
            return isinstance(node.value, ast.Constant) or (
                isinstance(node.value, ast.Call)
                and self._is_setting(node)
                and all(map(self._is_constant, node.value.args))
            )
        if isinstance(node, ast.Assign):
            named = all(isinstance(each, ast.Name | ast.Tuple) for each in node.targets) or self._is_setting(node)
            return named and self._is_constant(node.value)
        if isinstance(node, ast.AnnAssign):
            return isinstance(node.target, ast.Name) and (node.value is None or self._is_constant(node.value))
        inner = _inner(node)
        return bool(inner) and all(map(self._is_quiet, inner))

    def _is_setting(self, node: ast.stmt) -> bool:
        effects = effects_of([node], self.modules)
        return effects.state or (effects.random and isinstance(node, ast.Expr))

    def _is_constant(self, node: ast.expr) -> bool:
        """Whether an expression only puts together what is there: no call but those known to be cheap."""
        pending: list[ast.AST] = [node]
        while pending:
            each = pending.pop()
            if isinstance(each, ast.Lambda):
                continue
            if isinstance(each, ast.Call) and not self._is_cheap(each.func):
                return False
            if isinstance(each, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr | ast.comprehension):
                return False
            pending.extend(ast.iter_child_nodes(each))
        return True

    def _is_cheap(self, function: ast.expr) -> bool:
        name = ast.unparse(function)
        head, dot, rest = name.partition(".")
        meaning = self.modules.get(head, head) + dot + rest
        own = isinstance(function, ast.Name) and head in self._early and head not in self.modules and head[:1].isupper()
        return meaning in _QUIET_CALLS or own


def read_cells(notebook: Notebook, values: Mapping[str, Any] | None = None) -> tuple[list[CellReading], dict[str, str]]:
    """All cells of code, read in order, and what the notebook's imports bind. ``values``: those of parameters."""
    reader = _Reader(values or {})
    return [reader.read(cell) for cell in notebook.code], reader.modules


def _parsed(source: str) -> tuple[str, ast.Module]:
    """The cell as Python, and its tree. Raises InvalidCell."""
    text = source
    for attempt in (0, 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return text, ast.parse(text)
        except (SyntaxError, ValueError) as error:
            if attempt:
                raise _not_python(source, error) from error
            quiet = _SETUP_MAGIC.sub("pass", source)
            text = quiet if quiet != source and _parses(quiet) else _transformed(source)
    raise AssertionError


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _transformed(source: str) -> str:
    """IPython's syntax as Python. Imported here, because most notebooks do not need it."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
    except SyntaxError as error:
        raise _not_python(source, error) from error


def _not_python(source: str, error: Exception) -> InvalidCell:
    line = getattr(error, "lineno", 1) or 1
    lines = source.splitlines() or [""]
    text = lines[min(line, len(lines)) - 1]
    return InvalidCell(step="", line=line, column=1, reason=getattr(error, "msg", str(error)), text=text)


def _invalid(cell: Cell, error: InvalidCell, offset: int) -> Problem:
    return Problem(cell.index, error.line + offset, f"this does not parse: {error.reason}")
