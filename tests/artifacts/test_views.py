"""What shows another object goes on showing it; iterators and pictures keep their type and their place."""

from __future__ import annotations

import array
import io
import itertools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cellyard.artifacts.artifact import load, pack
from cellyard.artifacts.store import LocalStore

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass")
RECORDS = [("a", "i8"), ("b", "f8")]


def travelled(value: Any, folder: Path) -> Any:
    store = LocalStore(folder)
    [reference] = pack({"value": value}, {}, store)
    return load(store, reference.to_dict())["value"]


OWNERS = {
    "a matrix": lambda: np.matrix(np.zeros((200, 200))),
    "one that owns its memory": lambda: np.matrix([[1.0, 2.0], [3.0, 4.0]]) * 2,
    "records": lambda: np.rec.array([(1, 2.0), (3, 4.0)], dtype=RECORDS),
    "records that own theirs": lambda: np.zeros(3, dtype=RECORDS).view(np.recarray).copy(),
    "texts": lambda: np.char.array(["abc", "def"]),
    "objects": lambda: np.array([[1, "a"], [None, np.nan]], dtype=object, order="F"),
}


@pytest.mark.parametrize("what", OWNERS)
def test_views_of_arrays_of_every_class_show_one_memory(what: str, tmp_path: Path):
    owner = OWNERS[what]()
    whole, part, turned, plain = travelled([owner, owner[:1], owner.T, np.asarray(owner)], tmp_path)
    assert [type(each) for each in (whole, part, turned)] == [type(owner)] * 3
    assert type(plain) is np.ndarray
    assert all(np.shares_memory(whole, each) for each in (part, turned, plain))
    assert whole.dtype == owner.dtype
    assert [str(each) for each in (whole, part, turned)] == [str(each) for each in (owner, owner[:1], owner.T)]


def test_arrays_and_memoryviews_show_the_bytes_of_another(tmp_path: Path):
    data, numbers, values = bytearray(range(16)), array.array("d", [1, 2, 3]), np.arange(4.0)
    value = [data, np.frombuffer(data, "u2", offset=2), memoryview(data)[4:8].toreadonly(), numbers]
    value += [np.frombuffer(numbers)[::-1], memoryview(numbers)[1:], values, memoryview(values)]
    data, shown, part, numbers, backwards, rest, values, seen = travelled(value, tmp_path)
    data[4:6] = b"\xff\xff"
    numbers[1] = 7
    seen[3] = 9.0
    assert shown.tolist()[:2] == [0x0302, 0xFFFF]
    assert (bytes(part), part.readonly) == (b"\xff\xff\x06\x07", True)
    assert (backwards.tolist(), rest.tolist(), rest.format) == ([3, 7, 1], [7, 3], "d")
    assert values.tolist() == [0, 1, 2, 9]


def test_views_of_dictionaries_show_what_comes_later(tmp_path: Path):
    for kind in (dict, OrderedDict):
        mapping = kind(a=1)
        there, *views = travelled([mapping, mapping.keys(), mapping.values(), mapping.items()], tmp_path)
        there["b"] = 2
        assert [list(each) for each in views] == [["a", "b"], [1, 2], [("a", 1), ("b", 2)]]
        assert [type(each) for each in views] == [type(each) for each in (there.keys(), there.values(), there.items())]


def test_iterators_keep_their_type_and_place(tmp_path: Path):
    mapping = {"a": 1, "b": 2, "c": 3}
    made = [
        *(iter(each) for each in (mapping, mapping.values(), mapping.items())),
        *(reversed(each) for each in (mapping, mapping.values(), mapping.items())),
        itertools.pairwise("abcd"),
    ]
    for each in made:
        next(each)
    there, *found = travelled([mapping, *made], tmp_path)
    there["b"] = 20
    assert [type(each) for each in found] == [type(each) for each in made]
    values = [["b", "c"], [20, 3], [("b", 20), ("c", 3)], ["b", "a"], [20, 1], [("b", 20), ("a", 1)]]
    assert [list(each) for each in found] == [*values, [("b", "c"), ("c", "d")]]
    used = iter({}.values())
    list(used)
    assert list(travelled([used, itertools.pairwise("ab")], tmp_path)[1]) == [("a", "b")]


def test_a_picture_of_several_frames_stays_at_its_own(tmp_path: Path):
    frames = [Image.new("RGB", (4, 4), (shade, 9, 200 - shade)) for shade in (50, 100, 150)]
    for kind in ("gif", "tiff"):
        path, held = tmp_path / f"frames.{kind}", io.BytesIO()
        for target in (path, held):
            frames[0].save(target, kind, save_all=True, append_images=frames[1:])
        for source, at in ((path, 0), (path, 1), (held, 1)):
            with Image.open(source) as image:
                image.seek(at)
                image.putpixel((0, 0), (1, 2, 3))
                painted = image.getpixel((0, 0))
                there = travelled(image, tmp_path / "store")
                assert image.getpixel((0, 0)) == painted, "the picture itself was changed"
            with there:
                assert (there.getpixel((0, 0)), there.tell(), type(there)) == (painted, at, type(image))
                assert there.convert("RGB").getpixel((1, 1)) == frames[at].getpixel((1, 1))
                there.seek(2)
                assert (there.convert("RGB").getpixel((0, 0)), there.n_frames) == (frames[2].getpixel((0, 0)), 3)
