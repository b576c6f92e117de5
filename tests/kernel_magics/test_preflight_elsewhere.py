"""What earlier steps on other machines tell before the next runs there."""

from __future__ import annotations

from typing import Any

from cellyard.environment.versions import Versions, as_table, compare
from cellyard.errors import VersionMismatch
from kernel_magics.preflight_elsewhere import told_by, versions_of

NEXT = {"options": {"backend": "cluster", "image": None}}
HAD = {"python": "3.11.7", "numpy": "2.1.0"}


def step(name: str, created: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "created": created, "worker": "pod-1", "packages": HAD, "error": None} | NEXT | more


def test_where_no_step_has_been_it_says_that_the_first_one_compares():
    elsewhere = step("one", 1.0, options={"backend": "cluster", "image": "other"})
    queued = step("two", 2.0, worker=None)
    [warning] = told_by([elsewhere, queued], NEXT, {"numpy": "2.1.0"}).warnings
    assert "the first one compares the versions" in warning


def test_versions_that_differed_are_named():
    here, there = Versions("3.11.7", {"dask": "2026.8.0"}), Versions("3.12.1", {"dask": "2026.7.1"})
    error = VersionMismatch(step="two", table=as_table(compare(here, there)), hint="").to_step_error()
    told = told_by([step("one", 1.0), step("two", 2.0, error=error)], NEXT, {"numpy": "2.1.0"})
    assert told.problems == [
        "when step 'two' came there, python was 3.12.1 there and 3.11.7 here; dask was 2026.7.1 there and 2026.8.0 here"
    ]
    assert told_by([step("one", 3.0), step("two", 2.0, error=error)], NEXT, {}).problems == []


def test_what_no_worker_there_has_had_is_named():
    told = told_by([step("one", 1.0)], NEXT, {"numpy": "2.2.0", "polars": "1.0"})
    assert told.problems == []
    assert told.warnings == [
        "new to such workers: numpy 2.2.0 (it was 2.1.0), polars 1.0; installed where the image lacks it"
    ]
    assert told_by([step("one", 1.0)], NEXT, {"numpy": "2.1.0"}).warnings == []


def test_versions_are_those_of_installed_distributions():
    assert list(versions_of(["json", "msgpack", "surely_not_there"])) == ["msgpack"]
