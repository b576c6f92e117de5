"""What counts as a change of what is watched."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from cellyard.errors import UsageError
from cellyard.schedules.watching import fingerprint, parse_watched


def test_a_file_changes_when_it_comes_is_written_to_is_replaced_and_goes(tmp_path: Path):
    path = tmp_path / "data.csv"
    seen = [fingerprint(str(path))]
    for change in (
        lambda: path.write_text("one"),
        lambda: path.write_text("three"),
        lambda: os.utime(path, (1, 1)),
        lambda: (tmp_path / "new").write_text("three") and (tmp_path / "new").rename(path),
        path.unlink,
    ):
        change()
        assert fingerprint(str(path)) == fingerprint(str(path))
        seen.append(fingerprint(str(path)))
    assert all(before != after for before, after in pairwise(seen))
    assert seen[0] == seen[-1] == "absent"


def test_a_folder_changes_with_anything_in_it_and_a_pattern_with_what_it_meets(tmp_path: Path):
    (tmp_path / "deep/er").mkdir(parents=True)
    folder, pattern = str(tmp_path), str(tmp_path / "deep" / "*.csv")
    before = fingerprint(folder), fingerprint(pattern)
    (tmp_path / "deep/er/x.txt").write_text("x")
    between = fingerprint(folder), fingerprint(pattern)
    assert between[0] != before[0]
    assert between[1] == before[1] == "absent"
    (tmp_path / "deep/a.csv").write_text("x")
    assert fingerprint(pattern) != "absent"
    assert fingerprint(folder) != between[0]


def test_what_is_watched_is_a_path_or_a_value(tmp_path: Path):
    assert parse_watched("artifact:/n/orders.ipynb:sales").notebook == "/n/orders.ipynb"
    assert parse_watched("artifact:orders.ipynb:sales").name == "sales"
    assert parse_watched(str(tmp_path)).path == str(tmp_path)
    for wrong in ("artifact:sales", "artifact::x", "artifact:n.ipynb:not a name", "s3://bucket/key", ""):
        with pytest.raises(UsageError):
            parse_watched(wrong)
