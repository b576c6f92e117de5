"""All else that is told of a cell: what it needs, calls, imports, awaits; and which cells are refused."""

from __future__ import annotations

import time

import pytest

from cellyard.analysis import Facts, analyze, only_deleted
from cellyard.errors import InvalidCell

REQUIRED = [
    ("x", "x"),
    ("x = y", "y"),
    ("if c: x\ny", "c y"),
    ("if c: raise E\ny", "c"),
    ("for i in xs: x\ny", "xs y"),
    ("try: x\nexcept NameError: pass\ny", "y"),
    ("try: x\nfinally: y", "x"),
    ("x and y", "x"),
    ("x if c else y", "c"),
    ("[x for v in y]", "y"),
    ("lambda: x", ""),
    ("def f(): return x\nf()", ""),
    ("for i in xs: pass\nprint(i)", "xs"),
    ("if c: x = 1\nx", "c"),
    ("from a import *\nx", ""),
    ("exec(code)\nx", ""),
    ("with a: x", "a"),
    ("with open(p) as f: x", "p x"),
    ("while c: x\ny", "c y"),
    ("while True:\n x\n break\ny", "y"),
    ("del x", "x"),
    ("x += 1", ""),
    ("class A:\n for x in xs: pass\n y = x", "xs"),
    ("assert x, y", "x"),
    ("match x:\n case 1: y", "x"),
    ("df.query('a > @low')", "df"),
]


@pytest.mark.parametrize(("code", "names"), REQUIRED)
def test_a_required_name_is_one_whose_lack_is_an_error(code, names):
    assert analyze(code).required == set(names.split())


@pytest.mark.parametrize(
    ("code", "names"),
    [("f(x)", "f"), ("x.f()", ""), ("g = f; g(x)", "f g"), ("print(x)", ""), ("@d\ndef f(): pass", "d"),
     ("a.b = f", "")],
)  # fmt: skip
def test_called_names_are_told(code, names):
    assert analyze(code).calls == set(names.split())


@pytest.mark.parametrize(
    ("code", "names", "modules", "stars"),
    [
        ("import a.b, c as d", "a d", "a c", ()),
        ("from a.b import c", "c", "a", ()),
        ("from a.b import *", "", "a", ("a.b",)),
        ("def f():\n import a", "", "a", ()),
        ("import importlib\nm = importlib.import_module('a.b')", "importlib", "importlib a", ()),
        ("from . import a", "a", "", ()),
        ("class A:\n import b", "", "b", ()),
    ],
)
def test_imports_are_told(code, names, modules, stars):
    facts = analyze(code)
    assert facts.imports == set(names.split())
    assert facts.imported_modules == set(modules.split())
    assert facts.star_imports == stars


@pytest.mark.parametrize(
    "code",
    ["eval('x')", "exec(x)", "globals()['x']", "locals()", "vars()", "dir()", "get_ipython().user_ns", "f(eval)",
     "get_ipython().run_line_magic('run', 'a.py')", "import __main__", "sys._getframe()", "df.query(text)",
     "timeit.timeit('f(3)', setup='from __main__ import f')", "cProfile.run('f(10)')", "unittest.main()"],
)  # fmt: skip
def test_dynamic_uses_are_told(code):
    assert analyze(code).uses_dynamic


@pytest.mark.parametrize(
    "code",
    ["vars(x)", "dir(x)", "model.eval()", "get_ipython().run_line_magic('matplotlib', 'inline')", "df.query('a > 1')",
     "get_ipython().system('ls')", "get_ipython().run_line_magic('time', 'f(x)')"],
)  # fmt: skip
def test_harmless_uses_are_not_dynamic(code):
    assert not analyze(code).uses_dynamic


@pytest.mark.parametrize(
    ("code", "quiet"),
    [("x;", True), ("x; ", True), ("x;  # c", True), ("x;\n\n# c;", True), ("x", False), ("x # ;", False),
     ("x; y", False),
     ("'''\n;\n'''", False), ("if x:\n    y;\n", True), ("", False)],
)  # fmt: skip
def test_a_trailing_semicolon_keeps_a_cell_quiet(code, quiet):
    assert analyze(code).ends_quiet is quiet


@pytest.mark.parametrize(
    ("code", "awaits"),
    [("await x", True), ("async for a in b: pass", True), ("async with a: pass", True), ("[a async for a in b]", True),
     ("async def f(): await x", False), ("x", False)],
)  # fmt: skip
def test_await_at_cell_level_is_told(code, awaits):
    assert analyze(code).has_top_level_await is awaits


def test_words_of_formulas_and_sql_are_mentioned():
    assert {"df", "total"} <= analyze("duckdb.sql('select total from df')").mentions
    assert {"center"} <= analyze("smf.ols('y ~ center(x)', data=d)").mentions
    assert not analyze("f('x')").mentions


def test_the_line_of_the_first_read_is_told():
    facts = analyze("a\n\nb = c\ndef f():\n    return d\nf(); a")
    assert facts.reads_at == {"a": 1, "c": 3, "d": 5}


def test_lines_inside_a_cell_magic_are_those_of_the_cell():
    from IPython.core.inputtransformer2 import TransformerManager

    facts = analyze("%%time\n\nx", transform=TransformerManager().transform_cell)
    assert facts.reads_at == {"x": 3}


def test_functions_classes_and_lambdas_of_the_cell_can_be_followed():
    facts = analyze(
        "def f(a): return a + x\nclass A:\n    def m(self): global n; n = y\ng = lambda: z.pop()\ndef h(): return f(1)"
    )
    assert facts.reads == set()
    assert facts.functions.keys() == {"f", "A", "g", "h"}
    assert facts.functions["f"].reads == {"x"}
    assert facts.functions["A"].reads == {"y"}
    assert facts.functions["A"].writes == {"n"}
    assert facts.functions["g"].mutates == {"z"}
    assert facts.functions["h"].reads == {"f"}


def test_builtins_are_told_apart_and_count_as_names_where_the_notebook_shadows_them():
    assert analyze("print(len(x))").builtins_read == {"print", "len"}
    facts = analyze("print(len(x))", shadowed=["len", "other"])
    assert facts.reads == {"len", "x"}
    assert facts.mutates == {"x"}
    assert facts.builtins_read == {"print"}


@pytest.mark.parametrize(
    ("code", "line", "column"),
    [("x = 1\ny = (", 2, 5), ("x = = 1", 1, 5), ("\n\nreturn 1", 3, 1), ("break", 1, 1), ("yield x", 1, 1),
     ("def f(a, a): pass", 1, 10), ("def f(): nonlocal x", 1, 10), ("if x:\ny", 2, 1), ("x\x00", 1, 1),
     ("def f(): await x", 1, 10), ("def f(): x = 1; global x", 1, 17), ("!ls", 1, 1),
     ("for i in x:\n  pass\ncontinue", 3, 1)],
)  # fmt: skip
def test_a_cell_that_does_not_compile_is_refused_with_its_place(code, line, column):
    with pytest.raises(InvalidCell) as caught:
        analyze(code)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.step == ""
    assert caught.value.reason


def test_what_compiles_at_cell_level_is_not_refused():
    assert analyze("await x\nasync with a as b: pass\n[c async for c in d]").has_top_level_await
    assert analyze("def f():\n    global x\n    x = 1\n    def g():\n        nonlocal_ = 1").writes == {"f"}


def test_an_invalid_escape_warns_once_when_it_runs_and_not_here():
    assert analyze("x = '\\d'").writes == {"x"}


def test_deep_code_is_still_read():
    terms = " + ".join(f"x{i}" for i in range(300))
    assert len(analyze(f"y = {terms}").reads) == 300
    chain = "\n".join(f"elif x == {i}: y{i} = 1" for i in range(100))
    facts = analyze(f"if x: pass\n{chain}\nelse: z")
    assert {"x", "z"} <= facts.reads
    assert len(facts.writes) == 100
    assert analyze("x" + ".f()" * 100).reads == {"x"}


def test_code_too_deep_to_be_followed_is_told_coarsely_and_as_dynamic():
    facts = analyze("def f(): z\nx" + ".f()" * 450 + "\ny = f(x)")
    assert facts.uses_dynamic
    assert {"x", "z"} <= facts.reads
    assert {"x"} <= facts.mutates
    assert facts.writes == {"f", "y"}


def test_facts_survive_the_way_through_json():
    facts = analyze("import a\ndef f(): return x\ny = f()\ndel z\nq.sort();")
    assert Facts.from_dict(facts.to_dict()) == facts


def test_a_cell_of_fifty_lines_is_read_in_milliseconds():
    lines = [f"df['c{i}'] = np.log(df['a{i}'] + {i}) if flag else other[{i}].mean(axis=0)" for i in range(50)]
    times = []
    for attempt in range(10):
        source = "\n".join([*lines, str(attempt)])
        start = time.perf_counter()
        analyze(source)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.01


@pytest.mark.parametrize(
    ("code", "names"),
    [("del a", "a"), ("del a, b\nb", "a"), ("if x:\n    del a", "a"), ("del a[0]", ""), ("a.close(); del a", ""),
     ("%time del a", ""), ("model = 1", "")],
)  # fmt: skip
def test_names_that_are_only_deleted_are_told(code, names):
    assert only_deleted(code) == set(names.split())
