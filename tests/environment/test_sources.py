"""Which modules are local, what belongs to them, and what a step of the kernel then takes along."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from cellyard.artifacts.store import LocalStore
from cellyard.environment import sources as sources_module
from cellyard.environment.bundles import unpack
from cellyard.environment.gathering import Gatherer
from cellyard.environment.inventory import inventory_here
from cellyard.environment.sources import Sources
from cellyard.errors import ModulesTooLarge


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder on the path, as a notebook's is. What was imported from it is forgotten afterwards."""
    place = tmp_path / "project"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    before = set(sys.modules)
    yield place
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def find(*names):
    return Sources().find(names, inventory_here())


def local(*names):
    return [each.name for each in find(*names)[0]]


def test_a_file_beside_the_notebook_is_local_and_others_are_not(folder):
    write(folder, {"beside_me.py": "x = 1"})
    sources, others = find("beside_me", "numpy", "json", "cellyard", "never_heard_of")
    assert [list(each.files) for each in sources] == [["beside_me.py"]]
    assert others == {"numpy", "never_heard_of"}


def test_what_a_local_module_imports_comes_along(folder):
    write(
        folder,
        {
            "top_mod.py": "import middle_mod\nfrom pkg_mod.deep import y",
            "middle_mod.py": "def f():\n    import bottom_mod, pandas",
            "bottom_mod.py": "import importlib\nimportlib.import_module('dynamic_mod')",
            "dynamic_mod.py": "",
            "pkg_mod/__init__.py": "",
            "pkg_mod/deep.py": "from . import other\ny = 1",
            "pkg_mod/other.py": "import broken_mod",
            "broken_mod.py": "this is no Python",
            "unused_mod.py": "",
        },
    )
    sources, others = find("top_mod")
    names = ["bottom_mod", "broken_mod", "dynamic_mod", "middle_mod", "pkg_mod", "top_mod"]
    assert [each.name for each in sources] == names
    assert others == {"pandas"}


def test_modules_that_import_each_other_are_found_once(folder):
    write(folder, {"one_mod.py": "import two_mod", "two_mod.py": "import one_mod"})
    assert local("one_mod") == ["one_mod", "two_mod"]


def test_a_package_comes_whole_with_its_data(folder):
    write(
        folder,
        {
            "whole_pkg/__init__.py": "",
            "whole_pkg/data/table.csv": "a,b",
            "whole_pkg/__pycache__/x.pyc": "no",
            "whole_pkg/.git/HEAD": "no",
            "whole_pkg/tests/test_it.py": "import pytest",
        },
    )
    [source], others = find("whole_pkg")
    assert sorted(source.files) == ["whole_pkg/__init__.py", "whole_pkg/data/table.csv", "whole_pkg/tests/test_it.py"]
    assert others == set()


def test_a_namespace_without_init_is_local(folder):
    write(folder, {"space_pkg/inner/thing.py": "x = 1"})
    [source], _ = find("space_pkg")
    assert list(source.files) == ["space_pkg/inner/thing.py"]


def test_a_module_made_after_the_first_look_is_found(folder):
    finder = Sources()
    assert finder.find(["late_mod"], inventory_here())[0] == []
    write(folder, {"late_mod.py": ""})
    assert [each.name for each in finder.find(["late_mod"], inventory_here())[0]] == ["late_mod"]


def test_too_much_is_refused_and_the_largest_files_are_named(folder, monkeypatch):
    monkeypatch.setattr(sources_module, "LIMIT", 3 << 20)
    write(folder, {"big_pkg/__init__.py": "", "big_pkg/weights.bin": "x" * (4 << 20), "big_pkg/small.txt": "x"})
    with pytest.raises(ModulesTooLarge, match=r"'big_pkg' holds 4\.0 MiB in 3 files.*Largest: big_pkg/weights\.bin"):
        find("big_pkg")


def install(site: Path, name: str, files: dict[str, str], *, direct_url: dict[str, object] | None = None) -> None:
    """A distribution as an installer leaves it."""
    info = f"{name}-1.0.dist-info"
    write(site, files)
    write(site, {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: six\n"})
    write(site, {f"{info}/RECORD": "".join(f"{each},,\n" for each in [*files, f"{info}/METADATA"])})
    if direct_url is not None:
        write(site, {f"{info}/direct_url.json": json.dumps(direct_url)})


@pytest.fixture
def site(tmp_path, monkeypatch):
    place = tmp_path / "site-packages"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    return place


def gather(tmp_path, *names, **options):
    return Gatherer(LocalStore(tmp_path / "store")).gather(names, **options).environment


def test_an_installed_package_goes_by_its_version_with_what_it_needs(site, tmp_path):
    install(site, "fromindex", {"fromindex/__init__.py": ""})
    environment = gather(tmp_path, "fromindex")
    assert environment.modules == ()
    [six] = [each for each in environment.lock if each.startswith("six==")]
    assert environment.lock == ("fromindex==1.0", six)


def test_a_package_installed_from_a_repository_goes_by_its_files(site, tmp_path):
    url = {"url": "https://example.com/repo.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    install(site, "fromgit", {"fromgit/__init__.py": ""}, direct_url=url)
    install(site, "fromfile", {"fromfile.py": ""}, direct_url={"url": "file:///wheels/x.whl", "archive_info": {}})
    environment = gather(tmp_path, "fromgit", "fromfile")
    assert [each.name for each in environment.modules] == ["fromfile", "fromgit"]
    assert [each.partition("==")[0] for each in environment.lock] == ["six"]


def test_a_package_from_an_address_goes_by_that(site, tmp_path):
    url = {"url": "https://example.com/thing-1.0-py3-none-any.whl", "archive_info": {}}
    install(site, "fromweb", {"fromweb.py": ""}, direct_url=url)
    environment = gather(tmp_path, "fromweb")
    assert environment.lock[0] == "fromweb @ https://example.com/thing-1.0-py3-none-any.whl"


def test_a_package_in_development_goes_by_its_files_and_says_its_version(site, folder, tmp_path):
    write(folder, {"developed/__init__.py": ""})
    install(site, "developed", {}, direct_url={"url": folder.as_uri(), "dir_info": {"editable": True}})
    environment = gather(tmp_path, "developed")
    assert [each.name for each in environment.modules] == ["developed"]
    unpack(LocalStore(tmp_path / "store").read(environment.modules[0].id), tmp_path / "there")
    assert (tmp_path / "there" / "developed-1.0.dist-info" / "METADATA").is_file()
    assert [each.partition("==")[0] for each in environment.lock] == ["six"]


def test_optional_needs_go_when_the_kernel_has_loaded_them(tmp_path):
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401

    names = {each.partition("==")[0] for each in gather(tmp_path, "pandas").lock}
    assert {"pandas", "numpy", "python-dateutil", "six", "pyarrow"} <= names
    assert "hypothesis" not in gather(tmp_path, "numpy").lock


def test_what_is_loaded_into_every_process_is_no_reason_to_take_an_optional_package_along(site, tmp_path, monkeypatch):
    install(site, "building", {"building.py": "", "_building_hack/__init__.py": ""})
    install(site, "using", {"using.py": ""})
    with (site / "using-1.0.dist-info/METADATA").open("a") as metadata:
        metadata.write('Provides-Extra: build\nRequires-Dist: building; extra == "build"\n')
    monkeypatch.setitem(sys.modules, "_building_hack", ModuleType("_building_hack"))
    assert "building==1.0" not in gather(tmp_path, "using").lock
    monkeypatch.setitem(sys.modules, "building", ModuleType("building"))
    assert "building==1.0" in gather(tmp_path, "using").lock


def test_an_edit_changes_the_bundle_and_nothing_else_does(folder, tmp_path):
    write(folder, {"edited_mod.py": "x = 1", "still_mod.py": ""})
    gatherer = Gatherer(LocalStore(tmp_path / "store"))
    first = gatherer.gather(["edited_mod", "still_mod"]).environment
    os.utime(folder / "still_mod.py", (1, 1))
    assert gatherer.gather(["edited_mod", "still_mod"]).environment.id == first.id
    write(folder, {"edited_mod.py": "x = 22"})
    second = gatherer.gather(["edited_mod", "still_mod"]).environment
    assert first.modules[0].id != second.modules[0].id
    assert first.modules[1] == second.modules[1]


def test_a_note_tells_when_the_kernel_has_an_older_form(folder, tmp_path):
    import importlib

    write(folder, {"noted_mod.py": "x = 1"})
    module = importlib.import_module("noted_mod")
    gatherer = Gatherer(LocalStore(tmp_path / "store"))
    assert gatherer.gather(["noted_mod"]).notes == ()
    write(folder, {"noted_mod.py": "x = 22"})
    [note] = gatherer.gather(["noted_mod"]).notes
    assert "noted_mod has changed since the kernel imported it" in note
    importlib.reload(module)
    assert gatherer.gather(["noted_mod"]).notes == ()


def test_gathering_costs_next_to_nothing_when_nothing_has_changed(folder, tmp_path):
    write(folder, {"quick_mod.py": "import numpy", "quick_too.py": ""})
    gatherer = Gatherer(LocalStore(tmp_path / "store"))
    names = ["quick_mod", "quick_too", "pandas", "sklearn", "json"]
    gatherer.gather(names)
    times = []
    for _ in range(50):
        began = time.perf_counter()
        gatherer.gather(names, also_installed=["numpy", "pandas"])
        times.append(time.perf_counter() - began)
    assert min(times) < 0.001  # a third of it, where nobody else uses the processor
