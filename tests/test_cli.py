"""The command line, as processes with exit codes."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.service.engines import Home, engine_home, run_step, step, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with engine_home() as found:
        yield found


def cellyard(home: Home, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cellyard", *map(str, arguments)],
        env=home.process_env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def notes_interrupts(file: Path) -> str:
    """A cell after which the kernel makes that file when it is interrupted."""
    return (
        "import pathlib, signal\nkernel = get_ipython().kernel\n"
        "kernel.pre_handler_hook = kernel.post_handler_hook = lambda: None\n"
        f"signal.signal(signal.SIGINT, lambda *_: pathlib.Path({str(file)!r}).touch())\n"
        f"pathlib.Path({str(file.with_suffix('.ready'))!r}).touch()"
    )


def write_notebook(path: Path, *cells: str) -> Path:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell("# a title"), *map(nbformat.v4.new_code_cell, cells)]
    nbformat.write(notebook, path)
    return path


def outputs(path: Path) -> str:
    notebook = nbformat.read(path, as_version=4)
    found = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(each.get("text", "") or str(each.get("data", "")) or each.get("ename", "") for each in found)


LOAD = "%load_ext kernel_magics"
MAKE = "%%step make --memory 1GiB\nprint('made')\nparts = [1, 2, 3]"
USE = "%%step use --cpu 2\ntotal = sum(parts)"
SLOW = "%%step slow\nimport time\nprint('slowly', flush=True)\ntime.sleep(60)"


@pytest.fixture(scope="module")
def good(home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A notebook that ran well."""
    path = write_notebook(tmp_path_factory.mktemp("nb") / "good.ipynb", LOAD, MAKE, USE, "total")
    return path, cellyard(home, "run", path)


def test_a_notebook_runs_from_top_to_bottom(good):
    path, done = good
    assert done.returncode == 0, done.stderr
    executed = path.with_name("good.executed.ipynb")
    assert outputs(executed) == "made\n{'text/plain': '6'}"
    assert path.read_text() != executed.read_text(), "the notebook itself stays as it was"


def test_it_shows_progress_and_a_table_of_steps(good):
    _, done = good
    assert "step make: running on 1 CPU, 1 GiB" in done.stdout
    assert re.search(r"step make: succeeded after \d+", done.stdout)
    assert re.search(r"^make +succeeded +1 CPU, 1 GiB +\d+\.\d\d .*parts", done.stdout, re.MULTILINE)
    assert re.search(r"^use +succeeded +2 CPU +\d+\.\d\d .*total", done.stdout, re.MULTILINE)
    assert "good.executed.ipynb" in done.stdout
    assert re.search(r"cellyard show \d+", done.stdout)


def test_it_is_one_run_with_all_its_steps(home: Home, good):
    [run] = home.client().runs(notebook=str(good[0]))
    assert (run["kind"], run["state"]) == ("notebook", "succeeded")
    assert [each["name"] for each in home.client().steps(run["id"])] == ["make", "use"]


def test_where_steps_run_can_be_said_for_the_whole_run(home: Home, tmp_path):
    local = "%%step here --on local\nprint('here')"
    path = write_notebook(tmp_path / "placed.ipynb", LOAD, local, "%%step there\nprint('there')")
    done = cellyard(home, "run", path, "--on", "nowhere")
    assert done.returncode == 1
    assert "step here: succeeded" in done.stdout
    assert re.search(r"'nowhere'.*known are: .*local", done.stdout, re.DOTALL)


def test_it_can_stop_the_engine_afterwards(tmp_path):
    with engine_home() as own:
        path = write_notebook(tmp_path / "once.ipynb", LOAD, notes_interrupts(tmp_path / "interrupted"), MAKE)
        assert cellyard(own, "run", path, "--stop-engine").returncode == 0
        assert (tmp_path / "interrupted.ready").exists()
        assert not (tmp_path / "interrupted").exists()
        assert cellyard(own, "engine", "status").returncode == 3


def test_a_failed_step_ends_it_with_1_and_the_notebook_is_written(home: Home, tmp_path):
    path = write_notebook(tmp_path / "bad.ipynb", LOAD, MAKE, "%%step broken\n1 / 0", "print('never')")
    output = tmp_path / "deep" / "out.ipynb"
    done = cellyard(home, "run", path, "--output", output)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout
    assert re.search(r"^broken +failed", done.stdout, re.MULTILINE)
    assert "made" in outputs(output)
    assert "ZeroDivisionError" in outputs(output)
    assert "never" not in outputs(output)
    [run] = home.client().runs(notebook=str(path))
    assert (run["state"], run["error"]["type"]) == ("failed", "ZeroDivisionError")


def test_a_kernel_that_dies_ends_it_with_1(home: Home, tmp_path):
    path = write_notebook(tmp_path / "dies.ipynb", "import os; os._exit(3)", "1")
    done = cellyard(home, "run", path)
    assert done.returncode == 1
    assert "the kernel died in cell 2" in done.stdout
    assert (tmp_path / "dies.executed.ipynb").exists()


def start(home: Home, path: Path) -> subprocess.Popen[str]:
    """A run of the notebook, whose step is running when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cellyard", "run", str(path)], env=home.process_env, stdout=subprocess.PIPE, text=True
    )
    client = home.client()

    def runs() -> bool:
        found = client.runs(notebook=str(path))
        return bool(found) and [each["state"] for each in client.steps(found[0]["id"])] == ["running"]

    until(runs, "the step runs", seconds=60)
    return process


def test_ctrl_c_stops_the_step_and_writes_the_notebook(home: Home, tmp_path):
    path = write_notebook(tmp_path / "stopped.ipynb", LOAD, SLOW, "print('never')")
    process = start(home, path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert "KeyboardInterrupt" in outputs(tmp_path / "stopped.executed.ipynb")
    [run] = home.client().runs(notebook=str(path))
    assert run["state"] == "cancelled"
    [found] = home.client().steps(run["id"])
    assert found["state"] in ("failed", "cancelled")


def test_it_can_be_cancelled_from_elsewhere(home: Home, tmp_path):
    path = write_notebook(tmp_path / "elsewhere.ipynb", LOAD, SLOW, "print('never')")
    process = start(home, path)
    [run] = home.client().runs(notebook=str(path))
    assert cellyard(home, "cancel", str(run["id"])).returncode == 0
    process.communicate(timeout=30)
    assert process.returncode == 1
    assert "never" not in outputs(tmp_path / "elsewhere.executed.ipynb")
    assert home.client().run(run["id"])["state"] == "cancelled"


def test_killed_it_leaves_a_lost_run_and_no_kernel(home: Home, tmp_path):
    short = "%%step short\nimport time; time.sleep(2); x = 1"
    path = write_notebook(tmp_path / "killed.ipynb", LOAD, short, SLOW + "\nx")
    process = start(home, path)
    process.kill()
    process.communicate()
    [run] = home.client().runs(notebook=str(path))
    until(lambda: home.client().run(run["id"])["state"] == "lost", "the run is lost", seconds=30)
    assert home.client().steps(run["id"])[0]["state"] == "succeeded", "the step that ran came to its end"


def test_on_a_terminal_it_draws_a_table_in_place(home: Home, tmp_path):
    path = write_notebook(tmp_path / "terminal.ipynb", LOAD, MAKE + "\nnew = 1")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cellyard", "run", str(path)],
        env=home.process_env | {"TERM": "xterm", "COLUMNS": "100"},
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    drawn = read_terminal(master)
    assert process.wait(timeout=30) == 0
    assert "cells" in drawn
    assert "succeeded" in drawn
    assert "\x1b[" in drawn


def read_terminal(master: int) -> str:
    """All that is written to a terminal, until nobody has it any more."""
    data, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        data += piece
    os.close(master)
    return data.decode("utf-8", "replace")


def test_looking_back(home: Home, good):
    [run] = home.client().runs(notebook=str(good[0]))
    listed = cellyard(home, "runs", "--notebook", str(good[0]))
    assert (listed.returncode, "succeeded" in listed.stdout) == (0, True)
    shown = cellyard(home, "show", str(run["id"]))
    assert re.search(r"^make +succeeded", shown.stdout, re.MULTILINE)
    assert cellyard(home, "logs", str(run["id"]), "make").stdout == "made\n"
    assert cellyard(home, "logs", str(run["id"])).stdout == "made\n"


def test_logs_can_be_followed(home: Home):
    stream = home.client().submit_step(step("import time\nfor i in range(3): print(i); time.sleep(0.3)", name="f"))
    run = next(stream)["run"]
    assert cellyard(home, "logs", "-f", str(run)).stdout == "0\n1\n2\n"
    list(stream)


def test_check_finds_a_damaged_value(home: Home):
    run_step(home.client(), "value = 'to be damaged'")
    assert cellyard(home, "check").returncode == 0
    file = next(home.folder.glob("store/objects/*/*"))
    good = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(good + b"x")
    done = cellyard(home, "check")
    assert done.returncode == 1
    assert file.name in done.stderr
    assert "1 damaged" in done.stdout
    file.write_bytes(good)


@pytest.mark.parametrize(
    "arguments",
    [("run", "nowhere.ipynb"), ("show", "98765"), ("logs", "98765"), ("cancel", "98765"), ("dance",), (), ("run",)],
)
def test_what_cannot_be_meant_ends_with_2(home: Home, arguments):
    done = cellyard(home, *arguments)
    assert done.returncode == 2, done.stdout
    assert done.stderr


def test_a_file_that_is_no_notebook_ends_with_2(home: Home, tmp_path):
    path = tmp_path / "text.ipynb"
    path.write_text("this is not JSON")
    done = cellyard(home, "run", path)
    assert (done.returncode, "is not a notebook" in done.stderr) == (2, True)


def test_a_kernel_that_is_not_there_ends_with_2(home: Home, tmp_path):
    path = write_notebook(tmp_path / "foreign.ipynb", "1")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["kernelspec"] = {"name": "cobol", "display_name": "COBOL", "language": "cobol"}
    nbformat.write(notebook, path)
    done = cellyard(home, "run", path)
    assert (done.returncode, "cobol" in done.stderr) == (2, True)


def test_an_engine_that_cannot_start_ends_with_3():
    with engine_home(CELLYARD_BACKEND="nonsense") as broken:
        done = cellyard(broken, "runs")
        assert (done.returncode, "nonsense" in done.stderr) == (3, True)


def test_the_engine_is_started_described_and_stopped():
    with engine_home() as home:
        assert cellyard(home, "engine", "status").returncode == 3
        assert "pid" in cellyard(home, "engine", "run").stdout
        assert "2 CPU, 4 GiB" in cellyard(home, "engine", "status").stdout
        assert "has stopped" in cellyard(home, "engine", "stop").stdout
        assert home.client().info() is None
        assert "no engine runs" in cellyard(home, "engine", "stop").stdout


def test_in_the_foreground_it_stays_and_logs():
    with engine_home() as home:
        process = subprocess.Popen(
            [sys.executable, "-m", "cellyard", "engine", "run", "--foreground"],
            env=home.process_env,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: home.client().info() is not None, "it answers")
        run_step(home.client(), "pass")
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "listens at" in log


def test_the_pipeline_is_drawn_without_an_engine(home: Home, tmp_path):
    path = write_notebook(tmp_path / "drawn.ipynb", LOAD, MAKE, USE, "total")
    assert "<- make: parts" in cellyard(home, "graph", path).stdout
    assert '-- "parts" -->' in cellyard(home, "graph", path, "--format", "mermaid").stdout
    wrong = write_notebook(tmp_path / "wrong.ipynb", LOAD, USE)
    done = cellyard(home, "graph", wrong)
    assert (done.returncode, "cell 3, line 2: nobody makes 'parts'" in done.stdout) == (1, True)
