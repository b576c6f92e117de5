"""%steps shows and steers the steps of this notebook."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.notebooks.kernels import Kernel
from tests.service.engines import Home


def test_before_any_step_it_says_how_to_begin(kernel: Kernel):
    assert kernel.run("%steps").result == (
        "No steps have run in this notebook yet: start a cell with %%step NAME --cpu 2 --memory 4GiB"
    )


def test_it_is_a_table_of_state_size_time_memory_and_outputs(kernel: Kernel):
    kernel.run("%%step loading --cpu 1 --memory 500MiB\nrows, columns = [1], [2]")
    kernel.fail("%%step failing\n1/0")
    ran = kernel.run("%steps")
    head, rule, first, second = ran.result.splitlines()
    assert head.split() == ["step", "state", "size", "time", "peak", "memory", "outputs", "run"]
    assert set(rule) == {"-", " "}
    assert first.startswith("loading  succeeded  1 CPU, 500 MiB")
    assert "rows, columns" in first
    assert second.startswith("failing  failed")
    html = ran.results[0]["data"]["text/html"]
    assert html.count("<tr>") == 3
    assert "<script" not in html
    assert "http" not in html


def test_the_latest_run_of_a_step_is_the_one_shown(kernel: Kernel):
    kernel.run("%%step failing\n'better'")
    assert "failing  succeeded" in kernel.run("%steps").result


def test_logs_shows_again_what_the_last_run_showed(kernel: Kernel):
    kernel.run("%%step talking\nimport sys\nprint('out')\nprint('err', file=sys.stderr)\n{'a': 1}")
    ran = kernel.run("%steps logs talking")
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")
    assert ran.results[0]["data"]["text/plain"] == "{'a': 1}"


def test_an_unknown_step_or_word_is_told_with_what_there_is(kernel: Kernel):
    failed = kernel.fail("%steps logs nobody")
    assert failed.error["ename"] == "NotFound"
    assert "talking" in failed.error["evalue"]
    failed = kernel.fail("%steps dance")
    assert failed.error["ename"] == "UsageError"
    assert "logs" in failed.error["evalue"]
    assert len(failed.error["traceback"]) == 1


def test_cancel_stops_a_step_that_runs(kernel: Kernel, home: Home, notebook: str):
    kernel.run(
        "import threading, time\ntold = []\n"
        "def one():\n    try:\n"
        "        get_ipython().run_cell_magic('step', 'endless', 'import time; time.sleep(100)')\n"
        "    except Exception as e:\n        told.append(type(e).__name__)\n"
        "thread = threading.Thread(target=one)\nthread.start()"
    )
    deadline = time.monotonic() + 20
    known = home.client()
    running = ("endless", "running")
    while running not in {(s["name"], s["state"]) for s in known.notebook_steps(notebook)}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kernel.run("%steps cancel endless\nthread.join(20)")
    assert kernel.look("told") == ["StepCancelled"]
    assert "endless" in kernel.run("%steps").result


def test_the_notebook_can_be_named_where_no_front_end_does(kernel: Kernel, home: Home, notebook: str):
    assert kernel.run("%steps notebook").result == repr(notebook)
    assert kernel.run("%steps notebook /tmp/renamed here.ipynb").result == "'/tmp/renamed here.ipynb'"
    kernel.run("%%step elsewhere\n1")
    assert [s["name"] for s in home.client().notebook_steps("/tmp/renamed here.ipynb")] == ["elsewhere"]
    kernel.run(f"%steps notebook {notebook}")


def test_help_names_every_word(kernel: Kernel):
    shown = kernel.inspect("%steps")
    for word in ("logs", "cancel", "notebook"):
        assert f"%steps {word}" in shown


def test_each_attempt_has_a_log_of_its_own(kernel: Kernel, tmp_path: Path):
    count = tmp_path / "count"
    ran = kernel.run(
        "%%step again --retries 2 --retry-delay 10ms\nfrom pathlib import Path\n"
        f"count = Path({str(count)!r})\nnumber = len(count.read_text()) if count.exists() else 0\n"
        "count.write_text('x' * (number + 1))\nprint('this is try', number)\nassert number == 2"
    )
    assert [f"this is try {n}" in ran.stdout for n in range(3)] == [True] * 3
    assert kernel.run("%steps logs again 2").stdout == "this is try 1\n"
    whole = kernel.run("%steps logs again").stdout
    assert whole.index("attempt 1 of 3") < whole.index("try 0") < whole.index("attempt 2 of 3") < whole.index("try 1")
    assert "has had 3 attempt(s)" in kernel.fail("%steps logs again 4").error["evalue"]


def test_a_timeout_has_an_error_of_its_own_and_shows_where_it_struck(kernel: Kernel):
    failed = kernel.fail("%%step too_slow --timeout 300ms\nimport time\ntime.sleep(60)")
    assert failed.error["ename"] == "StepTimeout"
    assert failed.seconds < 10
    assert "time.sleep(60)" in failed.words


@pytest.mark.parametrize("verb", ["sizes", "preflight", "wait", "cost"])
def test_a_name_that_no_step_has_is_said_to_be_none(kernel: Kernel, verb: str):
    kernel.run("%%step there_is_one\n1")
    failed = kernel.fail(f"%steps {verb} no_such_step")
    assert failed.error["ename"] == "NotFound"
    assert "no_such_step" in failed.error["evalue"]
    assert "there_is_one" in failed.error["evalue"]
    kernel.run("%steps wait there_is_one")
