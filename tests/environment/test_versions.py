"""What must agree between kernel and worker."""

from __future__ import annotations

import pickle

import pytest

from cellyard.environment.versions import ALWAYS, Versions, check_versions, compare, series, versions_here
from cellyard.errors import VersionMismatch

SAME = dict.fromkeys(ALWAYS, "1.2.3")
KERNEL = Versions("3.11.7", SAME)


def differing(rows):
    return [row.name for row in rows if not row.agrees]


def test_facts_survive_the_journey():
    assert Versions.from_dict(versions_here().to_dict()) == versions_here()


def test_the_facts_of_this_process_name_all_that_must_agree():
    assert set(versions_here().packages) == set(ALWAYS)


@pytest.mark.parametrize("worker", ["3.11.7", "3.11.0", "3.11.12"])
def test_patches_of_python_agree(worker):
    check_versions(KERNEL, Versions(worker, SAME))


def test_a_minor_version_of_python_is_refused_with_the_image_that_would_do():
    with pytest.raises(VersionMismatch) as caught:
        check_versions(KERNEL, Versions("3.12.1", SAME), image="team/worker:7")
    text = str(caught.value)
    assert "python" in text
    assert "3.11.7" in text
    assert "3.12.1" in text
    assert "team/worker:7" in text
    assert "PYTHON=python:3.11-slim" in text
    assert str(pickle.loads(pickle.dumps(caught.value))) == text


@pytest.mark.parametrize("name", ALWAYS)
def test_each_of_the_packages_must_be_the_very_same(name):
    worker = Versions("3.11.7", {**SAME, name: "1.2.4"})
    assert differing(compare(KERNEL, worker)) == [name]
    with pytest.raises(VersionMismatch, match=rf"{name}==1\.2\.3.*or install {name}==1\.2\.4 where the kernel is"):
        check_versions(KERNEL, worker)


def test_a_package_that_the_worker_has_not_differs():
    worker = Versions("3.11.7", {name: "1.2.3" for name in ALWAYS if name != "dask"})
    with pytest.raises(VersionMismatch, match="not there"):
        check_versions(KERNEL, worker)


def test_other_packages_agree_by_their_series():
    kernel = Versions("3.11.7", {**SAME, "numpy": "2.3.1", "pandas": "2.2.3"})
    worker = Versions("3.11.7", {**SAME, "numpy": "2.3.4", "pandas": "3.0.0"})
    assert differing(compare(kernel, worker, also=["numpy", "pandas"])) == ["pandas"]


def test_a_series_knows_epochs_and_local_versions():
    assert series("2.6.0+cpu") == ("2", "6")
    assert series("1!4.2.1") == ("4", "2")
