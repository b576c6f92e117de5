"""Packages that an image lacks: installed once by a real uv from the registry that is configured, then from the store.

What they install is small and of Python alone.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cellyard.artifacts.store import open_store
from cellyard.environment.bundles import put_bundle, unpack
from cellyard.environment.filling import fill, folder_name, resolve_for_here, supply
from cellyard.environment.installer import Installer, Progress, Site
from cellyard.environment.inventory import Distribution, Inventory
from cellyard.environment.preparing import lacking
from cellyard.errors import ArtifactCorrupt, PackagesUnavailable, error_from_dict

TINY = ("inflection==0.5.1", "iniconfig==1.1.1")


@pytest.fixture
def without_uv(monkeypatch, tmp_path):
    """From the call on, uv cannot be found: whoever needs it fails."""
    return lambda: (
        monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
        or monkeypatch.setenv("PATH", str(tmp_path))
    )


def in_new_process(folder: Path, code: str) -> str:
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); {code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_packages_are_installed_once_and_then_come_from_the_store(store, tmp_path, without_uv):
    said: list[str] = []
    first = fill(TINY, store, tmp_path / "one", Progress(said.append))
    assert said[0] == "installing 2 packages that the image lacks: inflection 0.5.1, iniconfig 1.1.1"
    assert "kept in the store" in said[1]
    code = "import inflection, importlib.metadata as m; print(inflection.__file__, m.version('iniconfig'))"
    module = Path("inflection", "__init__.py")
    assert in_new_process(first, code) == f"{first / module} 1.1.1"
    assert (first / "inflection" / "__pycache__" / f"__init__.{sys.implementation.cache_tag}.pyc").is_file()
    without_uv()
    said.clear()
    second = fill(TINY, open_store(store.url), tmp_path / "two", Progress(said.append))
    assert [each.partition(" in ")[0] for each in said] == ["2 packages put"]
    assert (second / "inflection" / "__init__.py").read_bytes() == (first / "inflection" / "__init__.py").read_bytes()
    said.clear()
    assert fill(TINY, store, tmp_path / "two", Progress(said.append)) == second
    assert said == []


def test_another_environment_shares_what_is_installed_already(tmp_path):
    store, said = open_store(str(tmp_path / "store")), list[str]()
    fill(TINY[:1], store, tmp_path / "one", Progress(said.append))
    said.clear()
    fill(TINY, store, tmp_path / "one", Progress(said.append))
    assert said[0] == "installing 1 package that the image lacks: iniconfig 1.1.1"


def test_of_two_workers_one_installs_and_the_other_waits(store, tmp_path):
    said: list[str] = []
    together = threading.Barrier(2)

    def work(number: int) -> Path:
        together.wait()
        return fill(TINY, open_store(store.url), tmp_path / str(number), Progress(said.append))

    with ThreadPoolExecutor(2) as threads:
        folders = list(threads.map(work, range(2)))
    assert len([each for each in said if each.startswith("installing")]) == 1
    assert all((folder / "inflection" / "__init__.py").is_file() for folder in folders)


def test_what_cannot_be_installed_is_named_without_an_address(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_INDEX", "http://me:key@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    store = open_store(str(tmp_path / "store"))
    with pytest.raises(PackagesUnavailable) as caught:
        fill(("no-such-thing-at-all==9.9",), store, tmp_path / "one", Progress(lambda _: None))
    text = str(caught.value)
    assert "no-such-thing-at-all 9.9" in text
    assert "key" not in text
    assert "127.0.0.1" not in text
    assert "PACKAGES=" in text


def test_an_image_without_uv_says_so(tmp_path, without_uv):
    without_uv()
    with pytest.raises(PackagesUnavailable, match="there is no uv on the image"):
        fill(TINY, open_store(str(tmp_path / "store")), tmp_path / "one", Progress(lambda _: None))


def test_a_worker_that_stops_gives_up(tmp_path):
    progress = Progress(lambda _: None)
    progress.stop.set()
    with pytest.raises(PackagesUnavailable, match="the worker is stopping"):
        fill(TINY, open_store(str(tmp_path / "store")), tmp_path / "one", progress)
    assert progress.pids == set()


def test_a_lock_of_another_platform_is_resolved_for_this_one_once(tmp_path, without_uv):
    store = open_store(str(tmp_path / "store"))
    found = resolve_for_here(("tzlocal==5.2", "inflection==0.5.1"), store, Progress(lambda _: None))
    assert found == ("inflection==0.5.1", "tzlocal==5.2")
    without_uv()
    assert resolve_for_here(("tzlocal==5.2", "inflection==0.5.1"), store, Progress(lambda _: None)) == found


def test_names_of_folders_do_not_depend_on_order():
    assert folder_name(TINY) == folder_name(reversed(TINY))
    assert folder_name(TINY) != folder_name(TINY[:1])


def having(**versions: str) -> Inventory:
    return Inventory({name: Distribution(name, version, Path("/nowhere")) for name, version in versions.items()})


def test_lacking_is_what_is_not_there_in_the_very_version():
    lock = ("numpy==2.3.1", "pandas==2.2.3", "six==1.17.0", "thing @ https://example.com/thing.whl")
    here = having(numpy="2.3.1", pandas="2.3.0", thing="1.0")
    assert lacking(lock, here) == ("pandas==2.2.3", "six==1.17.0", "thing @ https://example.com/thing.whl")


def test_a_bundle_stays_below_its_folder(store, tmp_path):
    (tmp_path / "file").write_text("x")
    bundled = put_bundle(store, {"../escaped": tmp_path / "file"})
    with pytest.raises(ArtifactCorrupt):
        unpack(store.read(bundled.id), tmp_path / "folder")


def test_a_bundle_keeps_content_and_what_may_be_executed(store, tmp_path):
    (tmp_path / "plain").write_bytes(b"x" * 100_000)
    (tmp_path / "empty").touch()
    (tmp_path / "run").write_text("#!/bin/sh")
    (tmp_path / "run").chmod(0o755)
    files = {"a/plain": tmp_path / "plain", "b/c/run": tmp_path / "run", "empty": tmp_path / "empty"}
    bundled = put_bundle(store, files)
    assert put_bundle(store, dict(reversed(files.items()))) == bundled
    unpack(store.read(bundled.id), tmp_path / "out")
    assert (tmp_path / "out" / "a" / "plain").read_bytes() == b"x" * 100_000
    assert (tmp_path / "out" / "b" / "c" / "run").stat().st_mode & 0o111
    assert (tmp_path / "out" / "empty").read_bytes() == b""


@pytest.fixture
def cut_off(monkeypatch):
    """No registry can be reached until the function is called."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    return lambda: monkeypatch.delenv("UV_OFFLINE")


def test_what_a_worker_cannot_install_can_be_supplied_from_elsewhere(store, tmp_path, cut_off, without_uv):
    with pytest.raises(PackagesUnavailable) as caught:
        fill(TINY, store, tmp_path / "one", Progress(lambda _: None))
    error = error_from_dict(caught.value.to_dict())
    cut_off()
    supply(error.remedy, TINY, store, Progress(lambda _: None))
    without_uv()
    folder = fill(TINY, open_store(store.url), tmp_path / "one", Progress(lambda _: None))
    assert (folder / "inflection" / "__init__.py").is_file()


def test_a_remedy_holds_no_address(tmp_path, cut_off):
    lock = ("inflection @ https://example.com/secret/inflection-0.5.1-py2.py3-none-any.whl",)
    with pytest.raises(PackagesUnavailable) as caught:
        fill(lock, open_store(str(tmp_path / "store")), tmp_path / "one", Progress(lambda _: None))
    assert "secret" not in repr(caught.value.to_dict())
    assert caught.value.remedy["requirements"] == ["inflection"]


def test_packages_for_another_site_are_those_of_its_platform(tmp_path):
    other = Site("cpython-abroad", "aarch64-manylinux_2_36")
    Installer(other, Progress(lambda _: None)).install(["msgpack==1.1.1"], tmp_path)
    assert "aarch64" in (tmp_path / "msgpack-1.1.1.dist-info" / "WHEEL").read_text()
    assert Site.from_dict(other.to_dict()) == other
