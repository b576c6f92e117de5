"""Exceptions travel with type, words, attributes and origin, whatever their classes' constructors ask for."""

from __future__ import annotations

import asyncio
import errno
import inspect
import json
import pickle
import sqlite3
import subprocess
import traceback
import types
from typing import Any

import pytest

from cellyard.artifacts.pickler import Packer
from cellyard.artifacts.tracebacks import Absent
from cellyard.errors import StoreFull


class TwoWords(Exception):
    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code, self.why = code, why


class OfTheSystem(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(errno.EACCES, "no", path)
        self.own = path


class Several(ExceptionGroup):
    def __new__(cls, errors: list[Exception], code: int) -> Several:
        made = super().__new__(cls, "several", errors)
        made.code = code
        return made


class WithReduce(Exception):
    def __init__(self, *, only: int) -> None:
        super().__init__(only)

    def __reduce__(self):
        return _with_reduce, (self.args[0],)


def _with_reduce(only: int) -> WithReduce:
    return WithReduce(only=only)


def travelled(error: BaseException) -> BaseException:
    packer = Packer({})
    packer.dump(error)
    found: BaseException = pickle.loads(packer.file.getvalue(), buffers=packer.buffers)
    return found


def raised(code: str) -> BaseException:
    try:
        exec(code, {})
    except BaseException as error:  # noqa: BLE001 - any, to be looked at
        return error
    raise AssertionError(f"{code} raised nothing")


@pytest.mark.parametrize(
    "error",
    [
        TwoWords(1, "why"),
        OfTheSystem("file"),
        WithReduce(only=3),
        KeyError("k"),
        FileNotFoundError(errno.ENOENT, "no", "f"),
        ImportError("x", name="n", path="p"),
        raised("b'\\xff'.decode()"),
        raised("a b"),
        raised("{}.foo"),
        StopIteration(5),
        SystemExit(3),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        subprocess.CalledProcessError(1, "cmd", b"o"),
        json.JSONDecodeError("m", "doc", 1),
        sqlite3.OperationalError("locked"),
        StoreFull(path="p", needed="n"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_is_the_same_on_the_other_side(error: BaseException):
    found = travelled(error)
    assert type(found) is type(error)
    assert (str(found), found.args, vars(found)) == (str(error), error.args, vars(error))


def test_a_group_is_rebuilt_from_its_members():
    found = travelled(Several([ValueError(1), KeyError(2)], 7))
    assert isinstance(found, Several)
    assert (found.message, found.code, [type(e) for e in found.exceptions]) == ("several", 7, [ValueError, KeyError])


def test_what_it_came_from_goes_with_it():
    code = "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError(1) from e"
    found = travelled(raised(code))
    assert isinstance(found.__cause__, KeyError)
    assert found.__suppress_context__
    assert traceback.format_exception(found) == traceback.format_exception(raised(code))
    frames = [frame for frame, _ in traceback.walk_tb(found.__traceback__)]
    assert all(isinstance(value, Absent) for frame in frames for value in frame.f_locals.values())


def test_a_frame_tells_its_arguments_and_the_line_that_it_has_come_to():
    namespace: dict[str, Any] = {}
    source = (
        "def f(a, /, b, *c, d, **e):\n    try:\n        1 / 0\n    finally:\n        b = a\n\ntry:\n    f(1, 2, d=3)\n"
    )
    source += "except ZeroDivisionError as error:\n    found = error\n" + "more = 1\n" * 40
    exec(compile(source, "<cell>", "exec"), namespace)
    error, found = namespace["found"], travelled(namespace["found"])
    frames, there = (
        [
            (f.f_code.co_name, f.f_lineno, line, str(inspect.signature(_called(f))))
            for f, line in traceback.walk_tb(each)
        ]
        for each in (error.__traceback__, found.__traceback__)
    )
    assert there == frames
    assert [line for _, line, *_ in frames] == [50, 5]


def _called(frame: types.FrameType) -> Any:
    return types.FunctionType(frame.f_code.replace(co_freevars=()), {})


def test_notes_go_with_it_and_how_it_was_shown_does_not():
    error = ValueError(1)
    error.add_note("in step 'x'")
    error.__dict__["_render_traceback_"] = lambda: ["shown"]
    found = travelled(error)
    assert found.__notes__ == ["in step 'x'"]
    assert "_render_traceback_" not in vars(found)


def test_two_that_came_from_each_other_are_no_endless_matter():
    one, other = ValueError(1), KeyError(2)
    one.__context__, other.__cause__ = other, one
    found = travelled(one)
    assert found.__context__.__cause__ is found
