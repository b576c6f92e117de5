"""Values travel: what a notebook made is the same elsewhere, in this process and in a new one."""

from __future__ import annotations

import gc
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellyard.artifacts import load
from cellyard.artifacts.artifact import read_previews
from cellyard.errors import ArtifactCorrupt, ArtifactMissing
from tests.artifacts.definitions import DEFINITIONS
from tests.artifacts.notebook import Notebook, in_new_process
from tests.artifacts.values import PYTHON, SCIENCE

ALL = PYTHON | DEFINITIONS | SCIENCE


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.mark.parametrize("what", ALL)
def test_values_come_back_in_the_same_process(store: Path, what: str) -> None:
    cell, names, holds = ALL[what]
    home = Notebook(store)
    home.run(cell)
    sent = home.send(*names.split())
    for name in names.split():
        del home.names[name]
    home.receive(sent)
    home.run(holds)


@pytest.mark.parametrize("table", [PYTHON, DEFINITIONS, SCIENCE], ids=["python", "definitions", "science"])
def test_values_are_the_same_in_a_new_process(store: Path, table: dict[str, tuple[str, str, str]]) -> None:
    sent, holds = [], ["names = globals()"]
    for cell, names, assertions in table.values():
        one = Notebook(store)
        one.run(cell)
        sent.append(one.send(*names.split()))
        holds.append(assertions)
    in_new_process(store, [], _received_one_by_one(store, sent, holds[1:]))


def _received_one_by_one(store: Path, sent: list[list[dict[str, Any]]], holds: list[str]) -> str:
    return f"""
        from tests.artifacts.notebook import Notebook
        for references, assertions in zip({sent!r}, {holds!r}):
            other = Notebook({str(store)!r})
            other.receive(references)
            try:
                other.run(assertions)
            except BaseException as error:
                raise AssertionError(assertions) from error
    """


def test_a_definition_that_comes_home_is_the_live_one(store: Path) -> None:
    home, away = Notebook(store), Notebook(store)
    home.run("class A:\n    def f(self): return 1\ndef g(): return A()\na = A()")
    away.receive(home.send("a", "A", "g"))
    away.run("b = [a, A()]")
    home.receive(away.send("b"))
    home.run("assert all(type(x) is A for x in b) and isinstance(g(), A)")


def test_instances_of_a_redefined_class_keep_their_own(store: Path) -> None:
    home = Notebook(store)
    home.run("class A:\n    def f(self): return 'old'\nold = A()")
    home.run("class A:\n    def f(self): return 'new'\nnew = A()")
    sent = home.send("old", "new", "A")
    holds = "assert (old.f(), new.f()) == ('old', 'new'); assert type(new) is A and type(old) is not A"
    home.run("del old, new")
    home.receive(sent)
    home.run(holds)
    in_new_process(store, sent, holds)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def f(x=1): return x", "def f(x=2): return x"),
        ("def f(*, x=[1]): return x", "def f(*, x=[2]): return x"),
        ("class f:\n    def __new__(cls, x=1): return x", "class f:\n    def __new__(cls, x=2): return x"),
        ("class f(int): pass", "class f(float): pass"),
        ("class f(tuple([int])):\n    a = [1]", "class f(tuple([int])[0]):\n    a = [2]"),
    ],
)
def test_what_was_stored_before_a_redefinition_keeps_the_old_one(store: Path, old: str, new: str) -> None:
    if "tuple" in old:
        old, new = old.replace("tuple([int])", "int"), new.replace("tuple([int])[0]", "int")
    home = Notebook(store)
    home.run(old + "\nv = [f]\nattribute = getattr(f, 'a', None)\nmade = f() if attribute is None else attribute")
    sent = home.send("v")
    home.run("del v, f")
    home.run(new)
    home.receive(sent)
    home.run(
        "got = getattr(v[0], 'a', None) or v[0]()\nassert got == made and type(got).__base__ is type(made).__base__"
    )


def test_a_step_that_redefines_a_class_means_another_than_the_kernels(store: Path) -> None:
    home = Notebook(store)
    home.run("class A:\n    def f(self): return 1\na = A()")
    in_new_process(
        store,
        home.send("A", "a"),
        f"""
        from tests.artifacts.notebook import Notebook
        from cellyard.artifacts.definitions import registry
        registry.origin = '@step'
        me = Notebook({str(store)!r}); me.names.update(A=A, a=a)
        me.run("class A:\\n    def f(self): return 2\\nb = A()")
        import json, pathlib
        pathlib.Path({str(store)!r}, 'sent.json').write_text(json.dumps(me.send('A', 'a', 'b')))
        """,
    )
    import json

    home.receive(json.loads((store / "sent.json").read_text()))
    home.run("assert a.f() == 1 and b.f() == 2 and type(b) is A")


REFUSED = {
    "a generator": ("v = (x for x in [1])", "v", "generator", "list"),
    "a generator in a dict": ("v = {'a': [1, (x for x in [])]}", "v['a'][1]", "generator", "list"),
    "a coroutine": ("async def c(): pass\nv = c()\nv.close()", "v", "generator", "step"),
    "an open file": ("v = open('/dev/null')", "v", "open file", "Open it in the step"),
    "a binary file in an object": (
        "class A: pass\nv = A(); v.log = {'f': open('/dev/null', 'rb')}",
        "v.log['f']",
        "open file",
        "Open it in the step",
    ),
    "a lock": ("import threading\nv = [threading.Lock()]; v[0].acquire()", "v[0]", "locks", "Create it in the step"),
    "a socket": ("import socket\nv = (1, socket.socket())", "v[1]", "connection", "Connect in the step"),
    "a database": ("import sqlite3\nv = {1: sqlite3.connect(':memory:')}", "v[1]", "connection", "Connect in the step"),
    "a lock in a closure": (
        "import threading as t\ndef make():\n    l = t.Lock()\n    l.acquire()\n    return lambda: l\nv = make()",
        "v.<closure l>",
        "locks",
        "Create it in the step",
    ),
    "a lock in slots": (
        "import threading as t\nclass S:\n    __slots__ = ('a', 'l')\nv = S(); v.a = 1; v.l = t.Lock(); v.l.acquire()",
        "v.l",
        "locks",
        "Create it in the step",
    ),
    "a reduction that fails": (
        "class A:\n    def __reduce__(self): raise RuntimeError('never me')\nv = [A()]",
        "v[0]",
        "never me",
        "Leave it out with --out",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_travel_is_refused_by_its_name(store: Path, what: str) -> None:
    cell, path, reason, hint = REFUSED[what]
    home = Notebook(store)
    home.run("fine = [1]\n" + cell)
    error = home.refusal("fine", "v")
    assert (error.name, error.path) == ("v", path)
    assert reason in str(error)
    assert hint in str(error)
    assert path in str(error)
    assert not list(store.rglob("*.*")), "nothing is written before all can travel"
    home.run("getattr(v, 'close', lambda: None)()")
    _close_all(home.names["v"])


def _close_all(value: Any) -> None:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in [*parts, *getattr(value, "log", {}).values()] if hasattr(value, "log") else parts:
        if hasattr(part, "close"):
            part.close()


def test_nothing_is_stored_when_one_of_several_cannot_travel(store: Path) -> None:
    home = Notebook(store)
    home.run("fine = 'x' * 100_000; v = (x for x in [])")
    home.refusal("fine", "v")
    assert not [each for each in store.rglob("*") if each.is_file()]


def test_loading_maps_large_buffers_and_never_changes_the_store(store: Path) -> None:
    home = Notebook(store)
    home.run("import numpy as np\nv = np.ones(100_000)")
    sent = home.send("v")
    for _ in range(2):
        home.receive(sent)
        home.run("assert v.sum() == 100_000; v[:] = 0")
    assert not any(error for _, error in home.store.verify())


def test_unchanged_arrays_are_not_written_again(store: Path) -> None:
    home, away = Notebook(store), Notebook(store)
    home.run("import numpy as np\nv = {'a': np.arange(1_000_000.0), 'n': 1}")
    away.receive(home.send("v"))
    before = {each: each.stat().st_ino for each in store.rglob("*") if each.is_file()}
    away.run("v['n'] = 2")
    away.send("v")
    after = {each: each.stat().st_ino for each in store.rglob("*") if each.is_file()}
    assert before.items() <= after.items()
    assert sum(each.stat().st_size for each in after.keys() - before.keys()) < 10_000


def test_a_reference_says_all_without_the_values(store: Path) -> None:
    home = Notebook(store)
    home.run("import numpy as np\nclass A: pass\nv = [np.ones(50_000), A()]; w = v")
    (sent,) = home.send("v", "w")
    assert sent["names"] == ["v", "w"]
    assert sent["modules"] == ["numpy"]
    assert math.isclose(sent["size"], 400_000, rel_tol=0.01)
    assert [token.partition(":")[0] for token in sent["tokens"]] == ["A"]
    assert read_previews(home.store, sent["id"]).to_dict() == sent


def test_a_damaged_artifact_is_corrupt_and_a_missing_one_missing(store: Path) -> None:
    home = Notebook(store)
    home.run("v = [1] * 100")
    (sent,) = home.send("v")
    path = store / "objects" / sent["id"][:2] / sent["id"][2:]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactCorrupt):
        load(home.store, sent)
    path.unlink()
    with pytest.raises(ArtifactMissing):
        load(home.store, sent)


def test_a_large_array_arrives_without_a_copy(store: Path) -> None:
    home = Notebook(store)
    home.names["v"] = np.zeros(4_000_000)
    home.receive(home.send("v"))
    with Path("/proc/self/maps").open() as maps:
        assert any(str(store) in line for line in maps)
    assert home.names["v"].flags.writeable


def test_what_was_packed_is_held_by_nobody_afterwards(store: Path) -> None:
    home = Notebook(store)
    home.run("import weakref, numpy as np\nclass K: pass\nk = K(); k.big = np.ones(100_000); left = weakref.ref(k)")
    gc.disable()
    try:
        home.send("k")
        home.run("del k\nassert left() is None, 'it is part of a cycle'")
    finally:
        gc.enable()


TEXTS = {
    "changed": "v = pd.Series(['a', 'b', 'c']).str.upper()",
    "mapped": "v = pd.Series(['a', 'b', 'c']).map({'a': 'x', 'b': 'y', 'c': 'z'})",
    "with a gap": "v = pd.Series(['a', None, 'c']).str.upper()",
    "none at all": "v = pd.Series(['a']).str.upper()[:0]",
}


@pytest.mark.parametrize("source", TEXTS.values(), ids=TEXTS.keys())
def test_texts_come_back_with_their_size(store: Path, source: str) -> None:
    home = Notebook(store)
    home.run(f"import pandas as pd\n{source}\nbefore, size = v.copy(), v.memory_usage(deep=True)")
    home.receive(home.send("v"))
    home.run("pd.testing.assert_series_equal(v, before); assert v.memory_usage(deep=True) == size")


def test_a_piece_of_texts_travels_without_the_rest(store: Path) -> None:
    home = Notebook(store)
    home.run("import pandas as pd\nv = pd.Series(['a' * 1000] * 900).str.upper()[3:7]; before = v.copy()")
    sent = home.send("v")
    home.receive(sent)
    home.run("pd.testing.assert_series_equal(v, before)")
    assert sum(each["size"] for each in sent) < 10_000
