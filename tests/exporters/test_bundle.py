"""A bundle: what is written, that it runs without notebook and Jupyter, and that changing it counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cellyard.cli import main
from cellyard.errors import UsageError
from cellyard.exporters.bundle_needs import without_credentials
from cellyard.exporters.bundle_reading import is_bundle, read_bundle
from cellyard.exporters.bundling import make_bundle
from cellyard.history import History
from tests.exporters.notebooks import PLAIN, write_notebook
from tests.service.engines import Home, engine_home, until


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with engine_home() as found:
        yield found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebook as a bundle, without its lock."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = write_notebook(folder, *PLAIN)
    (folder / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    (folder / "data.txt").write_text("data")
    output = folder / "bundle"
    words = ["export", str(notebook), "--to", "bundle", "--output", str(output), "--no-lock"]
    assert main([*words, "--include", str(folder / "data.txt")]) == 0
    return output


def run(home: Home, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """``cellyard run`` in a process in which nothing of Jupyter can be imported."""
    program = (
        "import sys\n"
        "for name in ('nbformat', 'nbclient', 'jupyter_client', 'jupyter_core', 'ipykernel', 'zmq', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "from cellyard.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, "run", *map(str, words)]
    env = home.process_env | {"IPYTHONDIR": str(home.folder / "ipython")}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)


def test_it_is_readable(bundle: Path):
    found = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert found == {
        "README.md",
        "pipeline.yaml",
        "preamble.py",
        "parameters.py",
        "preamble-2.py",
        "steps/01-make.py",
        "steps/02-c7.py",
        "steps/03-move.py",
        "files/helper.py",
        "files/data.txt",
    }
    content = yaml.safe_load((bundle / "pipeline.yaml").read_text())
    assert content["setup"] == ["preamble.py", "parameters.py", "preamble-2.py"]
    assert [each["name"] for each in content["parameters"]] == ["scale", "label"]
    assert content["steps"][2]["needs"] == {"make": ["points"], "c7": ["plain"]}
    assert (bundle / "steps/01-make.py").read_text() == (
        "# Step make of work.ipynb, cell 6.\n"
        "# makes: points\n"
        "# %%step make --cpu 0.5 --memory 300MiB\n"
        "points = [Point(i) for i in range(size)]\n"
        "print('made', label)\n"
    )
    for path in bundle.rglob("*.py"):
        compile(path.read_text(), path, "exec")


def test_it_is_read_as_it_was_written(bundle: Path):
    assert is_bundle(bundle)
    assert not is_bundle(bundle / "steps")
    found = read_bundle(bundle)
    cells = [cell for cell in PLAIN if cell.startswith("%%step")]
    assert [found.steps[0].cell, found.steps[2].cell] == cells
    assert [block.source for block in found.setup] == list(PLAIN[1:5])
    assert [each.place for each in found.ordered()] == [2, 3, 4, 5, 6, 8, 9]


def test_it_runs_without_notebook_and_jupyter(home: Home, bundle: Path):
    done = run(home, bundle, "-p", "scale=3", "--tag", "nightly")
    assert done.returncode == 0, done.stderr
    assert "made a" in done.stdout
    history = History(home.settings)
    [found] = history.runs(tag="nightly")
    assert (found.state, found.name, found.parameters["scale"]) == ("succeeded", "work", 3)
    assert [point.x for point in found["move"]["moved"]] == [0, 6, 12]
    assert (found["move"]["last"].x, found["move"]["text"]) == (12, "data")
    history.close()


def test_a_changed_step_counts_and_a_failing_one_ends_the_run(home: Home, bundle: Path, tmp_path: Path):
    changed = tmp_path / "changed"
    subprocess.run(["cp", "-r", bundle, changed], check=True)
    step = changed / "steps/02-c7.py"
    step.write_text(step.read_text() + "raise RuntimeError('changed')\n")
    done = run(home, changed)
    assert done.returncode == 1
    assert "RuntimeError" in done.stdout + done.stderr
    history = History(home.settings)
    found = history.runs(limit=1)[0]
    assert found.state == "failed"
    assert found.error is not None
    assert found.error["type"] == "RuntimeError"
    assert [each.name for each in found.steps] == ["make", "c7"]
    history.close()


def test_what_was_typed_wrong_is_told(home: Home, bundle: Path):
    done = run(home, bundle, "-p", "scala=3")
    assert done.returncode == 2
    assert "no parameter 'scala'" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "no table"),
        ("bundle: 1", "'name'"),
        ("bundle: 99\nname: a\nnotebook: b\nsteps: []", "newer cellyard"),
        ("bundle: 1\nname: a\nnotebook: b\nsteps: [{name: x, file: ../../x.py, cell: 1}]", "outside of the bundle"),
        ("bundle: 1\nname: a\nnotebook: b\nsteps: [{name: x, file: steps/x.py, cell: 1}]", "cannot be read"),
        ("a: [", "is no bundle"),
    ],
)
def test_a_damaged_bundle_is_refused(tmp_path: Path, text: str, words: str):
    (tmp_path / "pipeline.yaml").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_bundle(tmp_path)


def test_a_notebook_that_is_no_pipeline_is_refused_with_cell_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    notebook = write_notebook(tmp_path, "%%step a\nx = missing")
    words = ["export", str(notebook), "--to", "bundle", "--output", str(tmp_path / "b"), "--no-lock"]
    assert main(words) == 2
    assert "cell 1, line 2" in capsys.readouterr().err
    assert main([*words, "--schedule", "0 6 * * *"]) == 2
    assert not (tmp_path / "b").exists()


def test_no_credentials_are_in_a_lock():
    text = (
        'index = "https://user:secret@packages.example.org/simple"\n'
        'name = "a"\n'
        'wheels = [{ url = "https://user:secret@packages.example.org/a.whl", hashes = {} }]\n'
        'index = "https://pypi.org/simple"\n'
    )
    assert without_credentials(text) == (
        'name = "a"\n'
        'wheels = [{ url = "https://packages.example.org/a.whl", hashes = {} }]\n'
        'index = "https://pypi.org/simple"\n'
    )


def test_importing_what_runs_a_bundle_needs_no_environment_of_a_notebook(tmp_path: Path):
    program = (
        "import cellyard.exporters.bundle_reading, sys; print([n for n in ('nbformat', 'kr8s') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


def test_what_a_job_in_a_cluster_has_with_it_runs_as_its_command_says(home: Home, bundle: Path, tmp_path: Path):
    """The volume as Kubernetes makes it, of links, and the job's own command; only the place of steps is another."""
    with pytest.MonkeyPatch.context() as env:
        env.setenv("CELLYARD_STORE", "s3://some-bucket/p")
        env.setenv("CELLYARD_KUBERNETES_NAMESPACE", "team")
        assert (
            main(["export", str(bundle), "--to", "kubernetes", "--output", str(tmp_path / "out"), "--name", "job"]) == 0
        )
    [config] = yaml.safe_load_all((tmp_path / "out/1-bundle.yaml").read_text())
    [job] = yaml.safe_load_all((tmp_path / "out/3-cronjob.yaml").read_text())
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [volume] = [each for each in pod["volumes"] if each["name"] == "notebook"]
    mounted = tmp_path / "mounted"
    for each in volume["configMap"]["items"]:
        path = mounted / "..data" / each["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(config["data"][each["key"]])
    for path in (mounted / "..data").iterdir():
        (mounted / path.name).symlink_to(Path("..data") / path.name)
    command = pod["containers"][0]["command"][-1].replace("/tmp/run", str(tmp_path / "run"))
    for theirs, ours in (
        ("--on kubernetes --stop-engine ", ""),
        ("/notebook", str(mounted)),
        ("s3://some-bucket/p", str(tmp_path)),
    ):
        assert theirs in command
        command = command.replace(theirs, ours)
    (tmp_path / "executed/job").mkdir(parents=True)
    path_here = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = home.process_env | {"POD_NAME": "pod-1", "PATH": path_here}
    done = subprocess.run(
        ["sh", "-c", command], env=variables, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "made a" in (tmp_path / "executed/job/pod-1.html").read_text()


def test_the_engine_of_a_run_is_gone_when_that_was_asked_for(home: Home, bundle: Path):
    done = run(home, bundle, "--stop-engine")
    assert done.returncode == 0, done.stderr
    time.sleep(1.0)  # something that was still to be told would have started the next one by now
    assert home.client().info() is None


def test_modules_are_found_beside_magics_and_in_steps(tmp_path: Path):
    for name in ("first", "second", "third"):
        (tmp_path / f"{name}.py").write_text("x = 1")
    cells = ("import first\n%precision 3", "%%step one\nfrom second import x", "!true\ndef late():\n    import third")
    made = make_bundle(write_notebook(tmp_path, *cells), {}, lock=False)
    assert {"files/first.py", "files/second.py", "files/third.py"} <= made.data.keys()


def test_steps_run_side_by_side_and_ctrl_c_stops_them(home: Home, tmp_path: Path):
    wait = (
        "%%step {0} --cpu 0.5 --memory 300MiB\nimport pathlib, time\nfolder = pathlib.Path({2!r})\n"
        "(folder / '{0}').touch()\nwhile not (folder / '{1}').exists(): time.sleep(0.01)\n{0} = 1"
    )
    cells = [wait.format("one", "two", str(tmp_path)), wait.format("two", "one", str(tmp_path))]
    late = wait.format("late", "never", str(tmp_path)).replace("folder =", "one, two\nfolder =")
    notebook = write_notebook(tmp_path, *cells, late)
    assert main(["export", str(notebook), "--to", "bundle", "--output", str(tmp_path / "b"), "--no-lock"]) == 0
    command = [sys.executable, "-m", "cellyard", "run", str(tmp_path / "b")]
    process = subprocess.Popen(command, env=home.process_env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until((tmp_path / "late").exists, "the last step has begun")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    history = History(home.settings)
    found = history.runs(limit=1)[0]
    assert (found.state, {each.name: each.state for each in found.steps}) == (
        "cancelled",
        {"one": "succeeded", "two": "succeeded", "late": "cancelled"},
    )
    history.close()
