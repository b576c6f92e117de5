"""Variables of a module that its code may change."""

from __future__ import annotations

import ast

import pytest

from cellyard.analysis.module_variables import ModuleVariables, changed_through, variables_of
from cellyard.analysis.patches import Patch

CONFIG = Patch(("helpers",), "CONFIG", is_module=True)


def test_functions_and_methods_rebind_and_change_variables():
    found = variables_of(
        """
import other
LIMIT, seen, table, fixed = 1, [], {}, (1, 2)
def raise_limit():
    global LIMIT
    LIMIT += len(fixed)
class Table:
    def add(self, key):
        table[key] = seen.append(key)
        other.count = len(table)
""",
    )
    assert found.rebound == {"LIMIT"}
    assert {"seen", "table"} <= found.changed
    assert "fixed" not in found.changed
    assert found.set == {Patch(("other",), "count", is_module=True)}


@pytest.mark.parametrize(
    "method",
    [
        "@classmethod\n    def enable(cls): cls.debug = True",
        "@classmethod\n    def note(cls, x): cls.seen.append(x)",
        "def __init__(self): type(self).made += 1",
        "def note(self): self.__class__.seen['a'] = 1",
        "def __new__(cls): cls.one = super().__new__(cls); return cls.one",
    ],
)
def test_methods_change_their_class_and_those_that_descend_from_it(method):
    found = variables_of(
        f"class Plain:\n    def f(self): self.x = 1\nclass A(Plain):\n    {method}\nclass B(A): pass\n"
    )
    assert found.changed == {"A", "B"}


def test_what_runs_only_on_import_changes_nothing_later():
    assert variables_of("table = {}\ntable['a'] = 1\ndef f(): return 1\n") == ModuleVariables()


def test_a_text_that_is_no_python_tells_nothing():
    assert variables_of("def f(:\n") == ModuleVariables()


@pytest.mark.parametrize(
    "line",
    [
        "helpers.CONFIG['a'] = 1",
        "helpers.CONFIG['a']['b'] += 1",
        "del helpers.CONFIG['a']",
        "helpers.CONFIG.update(a=1)",
    ],
)
def test_code_changes_a_value_through_the_name_of_its_module(line):
    assert changed_through(ast.parse(f"import helpers\n{line}")) == {CONFIG}


@pytest.mark.parametrize("line", ["helpers.f(1)", "helpers.CONFIG['a']", "helpers.x = 1"])
def test_what_is_read_or_set_is_not_changed_so(line):
    assert changed_through(ast.parse(f"import helpers\n{line}")) == frozenset()
