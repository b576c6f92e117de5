"""Attributes that code sets from outside."""

from __future__ import annotations

import ast

import pytest

from cellyard.analysis.imports import inner_modules
from cellyard.analysis.patches import ANY, Patch, patches_of

PLACES = {
    "np.load = load": Patch(("np",), "load"),
    "pd.DataFrame.hello = lambda self: 1": Patch(("pd", "DataFrame"), "hello"),
    "Image.MAX_PIXELS, x = None, 1": Patch(("Image",), "MAX_PIXELS"),
    "counting.LIMIT += 1": Patch(("counting",), "LIMIT"),
    "counting.LIMIT: int = 1": Patch(("counting",), "LIMIT"),
    "for counting.LIMIT in range(3): pass": Patch(("counting",), "LIMIT"),
    "del pd.DataFrame.hello": Patch(("pd", "DataFrame"), "hello"),
    "setattr(pd.Series, 'hello', hello)": Patch(("pd", "Series"), "hello"),
    "delattr(pd.Series, 'hello')": Patch(("pd", "Series"), "hello"),
    "setattr(kind, name, hello)": Patch(("kind",), ANY),
    "import ssl\nssl.make = other": Patch(("ssl",), "make", is_module=True),
    "import a.b as c\nc.d = 1": Patch(("a", "b"), "d", is_module=True),
    "import a.b\na.b.d = 1": Patch(("a", "b"), "d", is_module=True),
    "from a import b\nb.d = 1": Patch(("a", "b"), "d", is_module=True),
    "def f():\n    import json\n    json.x = 1": Patch(("json",), "x", is_module=True),
    "def f():\n    pd.options = 1": Patch(("pd",), "options"),
    "def f():\n    global pd\n    pd = g()\n    pd.x = 1": Patch(("pd",), "x"),
    "class A:\n    np.load = 1": Patch(("np",), "load"),
    "f = lambda: setattr(np, 'load', 1)": Patch(("np",), "load"),
}


@pytest.mark.parametrize("source", PLACES)
def test_what_is_set_or_deleted_is_found(source):
    assert patches_of(ast.parse(source)) == {PLACES[source]}


@pytest.mark.parametrize(
    "source",
    [
        "frame['a'] = 1",
        "x = np.load",
        "np.load(file)",
        "def f(self):\n    self.x = 1",
        "def f():\n    frame = g()\n    frame.x = 1",
        "g().x = 1",
        "def f(*given, **named):\n    named.x = given.y = 1",
    ],
)
def test_what_is_not_of_a_global_is_not(source):
    assert patches_of(ast.parse(source)) == frozenset()


def test_modules_inside_packages_are_found_by_the_statements_that_import_them():
    tree = ast.parse("import a.b\nimport c, d.e as f\ndef g():\n    import h.i.j\nfrom k.l import m")
    assert inner_modules(tree) == {"a.b", "d.e", "h.i.j"}
