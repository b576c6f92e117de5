"""Steps whose kernel counts as on another machine: in a real pool, and from a real kernel through a real engine."""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import sysconfig
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cellyard.artifacts import load, open_store
from cellyard.environment import Environment, ModuleBundle, Versions, versions_here
from cellyard.environment.bundles import put_bundle
from cellyard.environment.filling import fill
from cellyard.environment.installer import Progress
from cellyard.worker.pool import StepPool
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home
from tests.worker.running import Ran, Stepper

TINY = "inflection==0.5.1"
OTHER = "iniconfig==1.1.1"
"""Of another version than where the tests run."""


@pytest_asyncio.fixture
async def away(tmp_path: Path) -> AsyncIterator[Stepper]:
    """Runs cells in a pool of the test's own."""
    pool = StepPool(store=str(tmp_path / "store"), runtime=tmp_path / "runtime")
    await pool.start()
    yield Stepper(pool, str(tmp_path / "store"))
    await pool.close()


def environment(*lock: str, modules: tuple[ModuleBundle, ...] = (), versions: Versions | None = None) -> dict[str, Any]:
    made = Environment(
        versions=versions or versions_here(), platform=sysconfig.get_platform(), lock=tuple(lock), modules=modules
    )
    return made.to_dict()


def bundle(steps: Stepper, name: str, text: str, folder: Path) -> ModuleBundle:
    (folder / f"{name}.py").write_text(text)
    return ModuleBundle(name, *put_bundle(steps.store, {f"{name}.py": folder / f"{name}.py"}))


def values(steps: Stepper, ran: Ran) -> dict[str, Any]:
    """What the step made, but modules, which are not here."""
    assert ran.finished["state"] == "succeeded", ran.finished["error"]
    found: dict[str, Any] = {}
    for reference in ran.finished["outputs"]:
        if all(each["type"] != "module" for each in reference["previews"].values()):
            found |= load(steps.store, reference)
    return found


def notes(ran: Ran) -> list[str]:
    return [each["text"] for each in ran.messages if each["kind"] == "note"]


def private(ran: Ran) -> Mapping[str, Any]:
    found: Mapping[str, Any] = pickle.loads(base64.b64decode(ran.finished["private"]))
    return found


async def test_a_local_module_is_imported_and_an_edit_counts_at_once(away, tmp_path):
    source = "import side\nx = side.x\nwhere = side.__file__"
    for value in (1, 2):
        made = bundle(away, "side", f"x = {value}", tmp_path)
        ran = await away.run(source, environment=environment(modules=(made,)))
        found = values(away, ran)
        assert found["x"] == value
        assert Path(found["where"]).parent.parent == tmp_path / "runtime" / "environment" / "modules"


async def test_a_folder_that_is_missing_is_replaced_by_an_empty_one_which_goes_with_the_step(away, tmp_path):
    state = {"folder": "/no/such/project", "environment": {"set": {"FROM_NOTEBOOK": "1"}, "unset": []}, "path": [""]}
    source = (
        "import os, sys\nbefore = os.listdir()\nopen('made.txt', 'w').close()\nhere = os.getcwd()\nos.mkdir('sub')\n"
    )
    source += "os.chdir('sub')\nos.environ['FROM_STEP'] = os.environ['FROM_NOTEBOOK']\nsys.path.append('later')"
    ran = await away.run(source, environment=environment(), private={"state": state})
    found = values(away, ran)
    assert found["before"] == []
    assert not Path(found["here"]).exists()
    changes = private(ran)
    assert changes["folder"] == "/no/such/project/sub"
    assert changes["environment"] == {"set": {"FROM_STEP": "1"}, "unset": []}
    assert changes["path"] == {"first": [], "last": ["later"], "gone": []}


async def test_packages_that_are_lacking_or_of_another_version_are_installed_once_for_all_workers(away, tmp_path):
    source = "import inflection, iniconfig, numpy, importlib.metadata as m, subprocess, sys\n"
    source += "found = inflection.underscore('CamelCase'), m.version('iniconfig'), iniconfig.__file__, numpy.__file__\n"
    source += "sub = subprocess.run([sys.executable, '-c', 'import inflection'], check=True).returncode"
    needed = environment(TINY, OTHER)
    ran = await away.run(source, environment=needed, packages=("inflection",))
    word, version, file, numpys = values(away, ran)["found"]
    assert (word, version) == ("camel_case", "1.1.1")
    assert file.startswith(str(tmp_path / "runtime" / "environment" / "packages"))
    assert not numpys.startswith(str(tmp_path))
    assert notes(ran)[0].startswith("installing 2 packages that the image lacks: inflection 0.5.1, iniconfig 1.1.1")
    assert notes(await away.run(source, environment=needed)) == []
    # The image's own version is there for a step that needs nothing else.
    ran = await away.run("import importlib.metadata as m\nv = m.version('iniconfig')", environment=environment())
    assert values(away, ran)["v"] != "1.1.1"
    second = StepPool(store=away.store.url, runtime=tmp_path / "second")
    await second.start()
    try:
        ran = await Stepper(second, away.store.url).run(source, environment=needed)
        assert values(away, ran)["found"][:2] == ("camel_case", "1.1.1")
        assert [each.partition(" in ")[0] for each in notes(ran)] == ["2 packages put"]
    finally:
        await second.close()


async def test_two_steps_at_once_share_one_installation(away):
    started = [away.start(f"import inflection\nx = {n}", environment=environment(TINY)) for n in range(2)]
    ran = [await each.end() for each in started]
    assert [each.finished["state"] for each in ran] == ["succeeded", "succeeded"]
    assert all(len([note for note in notes(each) if note.startswith("installing")]) == 1 for each in ran)


async def test_a_version_that_differs_is_refused_with_the_table(away):
    there = Versions("3.9.1", {**versions_here().packages, "dask": "2020.1.0"})
    ran = await away.run("x = 1", environment=environment(versions=there))
    error = ran.finished["error"]
    assert ran.finished["state"] == "failed"
    assert error["type"] == "VersionMismatch"
    assert "3.9.1" in error["message"]
    assert "2020.1.0" in error["message"]
    assert "PYTHON=python:3.9-slim" in error["message"]
    assert [each["kind"] for each in ran.messages] == ["finished"]


async def test_what_cannot_be_had_ends_the_step_before_its_cell(away):
    ran = await away.run("x = 1", environment=environment("no-such-thing-at-all==9.9"))
    assert ran.finished["error"]["type"] == "PackagesUnavailable"
    # A worker whose own version is of the same series goes on with that.
    ran = await away.run("import six\nx = 1", environment=environment("six==1.17.99"))
    assert ran.finished["state"] == "succeeded"
    assert "the image's own are used instead of six 1.17.99" in notes(ran)[-1]


@pytest.mark.parametrize("how", ["kill", "interrupt"])
async def test_a_step_can_be_stopped_while_it_waits_for_packages(away, tmp_path, how):
    from cellyard.artifacts.entries import entries_of
    from cellyard.environment.claims import Claim
    from cellyard.environment.filling import folder_name

    claim = Claim(entries_of(away.store), f"claims/{folder_name([TINY])}")
    assert claim.take()
    ran = away.start("x = 1", environment=environment(TINY))
    await ran.saw(lambda message: message["kind"] == "note")
    assert notes(ran) == ["another worker installs the packages that the image lacks: waiting for it"]
    assert getattr(away.pool, how)(ran.token)
    await ran.end()
    assert [each["kind"] for each in ran.messages] == ["note", "finished"]
    assert ran.finished["state"] == "cancelled"


# -- from a kernel


@contextlib.contextmanager
def engine_of_away(folder: Path, **env: str) -> Iterator[Home]:
    """An engine whose backend has a name of its own, and is on this machine, of which nobody knows that."""
    site = folder / "site-packages"
    info = site / "away-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: away\nVersion: 1.0\n")
    entry = "away = cellyard.backends.in_process:InProcessBackend"
    (info / "entry_points.txt").write_text(f"[cellyard.backends]\n{entry}\n")
    with engine_home(CELLYARD_BACKEND="away", PYTHONPATH=str(site)) as found:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"PYTHONPATH": str(site), **env}.items():
                patch.setenv(name, value)
            found.client().ensure()
        yield found


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Home]:
    with engine_of_away(tmp_path_factory.mktemp("away")) as found:
        yield found


@pytest.fixture(scope="module")
def project(home: Home, tmp_path_factory) -> Path:
    """The notebook's folder, beside a package that only the kernel has."""
    folder = tmp_path_factory.mktemp("project")
    store = open_store(str(folder / "other-store"))
    filled = fill((TINY,), store, folder / "filled", Progress(lambda _: None))
    filled.rename(folder / "site-packages")
    return folder


@contextlib.contextmanager
def kernel_of(home: Home, project: Path) -> Iterator[Kernel]:
    path = os.pathsep.join([str(project / "site-packages"), home.env["PYTHONPATH"]])
    env = {**home.env, "PYTHONPATH": path, "OF_THIS_MACHINE": "secret"}
    with kernel_at(env, folder=str(project)) as found:
        yield found


@pytest.fixture(scope="module")
def kernel(home: Home, project: Path) -> Iterator[Kernel]:
    with kernel_of(home, project) as found:
        yield found


def test_local_modules_go_with_a_step_and_are_used_as_they_are_on_disk(kernel, project):
    (project / "helper.py").write_text("from deeper import twice\ndef work(x):\n    return twice(x) + 1")
    (project / "deeper.py").write_text("class Thing:\n    n = 3\n\ndef twice(x):\n    return 2 * x")
    kernel.run(
        "import helper, deeper\nthing = deeper.Thing()\ndef by_name(x):\n    import helper\n    return helper.work(x)"
    )
    kernel.run("%%step one --on away\ny = helper.work(10), by_name(1), thing.n\nwhere = helper.__file__")
    assert kernel.look("y") == (21, 3, 3)
    assert "/environment/modules/" in kernel.look("where")
    (project / "deeper.py").write_text("class Thing:\n    n = 3\n\ndef twice(x):\n    return 200 * x")
    ran = kernel.run("%%step one --on away\ny = helper.work(10)")
    assert kernel.look("y") == 2001
    assert "deeper has changed since the kernel imported it" in ran.stderr
    assert kernel.look("helper.work(10)") == 21
    kernel.run("import importlib\nimportlib.reload(deeper)\nimportlib.reload(helper)")
    assert "has changed" not in kernel.run("%%step one --on away\ny = helper.work(10)").stderr


def test_a_package_of_the_kernel_is_installed_for_the_step(kernel):
    kernel.run("import inflection")
    ran = kernel.run("%%step names --on away\nword = inflection.underscore('CamelCase')\nfile = inflection.__file__")
    assert "note: installing 1 package that the image lacks: inflection 0.5.1" in ran.stderr
    assert kernel.look("word") == "camel_case"
    assert "/environment/packages/" in kernel.look("file")
    assert "inflection" not in kernel.run("%%step names --on away\nword = inflection.underscore('B')").stderr


def test_variables_of_the_notebook_go_and_come_back_and_those_of_the_machine_stay(kernel):
    kernel.run("import os, sys\nos.environ['SET_HERE'] = '1'")
    kernel.run(
        "%%step variables --on away\nimport os, sys\n"
        "seen = os.environ.get('SET_HERE'), os.environ.get('OF_THIS_MACHINE')\n"
        "os.environ['SET_THERE'] = '2'\ndel os.environ['SET_HERE']\nsys.path.append('/from/step')"
    )
    assert kernel.look("seen") == ("1", None)
    assert kernel.look("(os.environ.get('SET_THERE'), os.environ.get('SET_HERE'))") == ("2", None)
    assert kernel.look("os.environ['OF_THIS_MACHINE']") == "secret"
    assert kernel.look("sys.path[-1]") == "/from/step"
    assert kernel.look("[p for p in sys.path if '/environment/' in p]") == []


def test_a_module_that_is_too_large_is_refused_before_anything_runs(kernel, project):
    (project / "fat").mkdir()
    (project / "fat" / "__init__.py").write_text("")
    with (project / "fat" / "data.bin").open("wb") as file:
        file.truncate(70 << 20)
    kernel.run("import fat")
    ran = kernel.fail("%%step large --on away\nfat")
    assert "ModulesTooLarge" in ran.words or "the local module 'fat' holds 70.0 MiB" in ran.words
    kernel.run("%%step small --on away\ny = 1")


def test_where_workers_have_no_way_to_a_registry_the_kernel_installs_for_them(project, tmp_path):
    with engine_of_away(tmp_path, UV_OFFLINE="1") as cut_off, kernel_of(cut_off, project) as kernel:
        ran = kernel.run("%%step one --on away\nimport inflection\nword = inflection.underscore('CamelCase')")
        assert kernel.look("word") == "camel_case"
        assert "the worker could not install inflection 0.5.1: trying from here" in ran.stderr
        assert "1 package put in place" in ran.stderr
