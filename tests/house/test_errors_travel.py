"""Every error in the tree: drawn, rooted in one base, and the same after a journey."""

from __future__ import annotations

import pickle
import re
from string import Formatter

import pytest

import cellyard.errors
from cellyard.errors import CellyardError, error_from_dict

DRAWN = re.compile(r"^    ([ │├└─]*)(\w+)", re.MULTILINE)


def tree(root: type[CellyardError]) -> list[type[CellyardError]]:
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]


ALL = [found for found in tree(CellyardError) if found.__module__ == "cellyard.errors"]


def filled(cls: type[CellyardError]) -> CellyardError:
    """The error with every field that its message is built from."""
    fields = [name for _, name, _, _ in Formatter().parse(cls.template) if name]
    return cls(**{name.partition(".")[0]: f"<{name}>" for name in fields})


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_an_error_survives_pickling(cls):
    error = filled(cls)
    error.add_note("step train on worker 1")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert again.fields == error.fields
    assert str(again) == str(error)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_an_error_survives_json(cls):
    error = filled(cls)
    again = error_from_dict(error.to_dict())
    assert type(again) is cls
    assert again.fields == error.fields
    assert str(again) == str(error)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_an_error_says_all_its_fields(cls):
    error = filled(cls)
    for name, value in error.fields.items():
        assert value in str(error)
        assert getattr(error, name) == value


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_an_error_has_a_sentence_and_is_offered(cls):
    assert cls.__doc__
    assert cls.__name__ in cellyard.errors.__all__


def test_the_tree_is_drawn_as_it_is():
    depths = [(len(bars) // 4, name) for bars, name in DRAWN.findall(cellyard.errors.__doc__ or "")]
    drawn, line = {}, []
    for depth, name in depths:
        line = [*line[:depth], name]
        drawn[name] = line[depth - 1] if depth else "Exception"
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in ALL}
