"""After a failed step: %debug where it was, and its inputs and source in the kernel."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home

FAILS = (
    "%%step fails_inside\nimport threading\nfactor = 3\n"
    "def inner(rows, lock):\n    total = sum(rows)\n    return total / (total - total)\n"
    "def outer(rows):\n    doubled = [row * factor for row in rows]\n    return inner(doubled, (one for one in rows))\n"
    "outer([1, 2, 3])"
)


def test_debug_opens_on_the_frames_of_the_step(kernel: Kernel):
    kernel.fail("plain_error")
    assert kernel.fail(FAILS).error["ename"] == "ZeroDivisionError"
    said = kernel.debug("p total", "p rows", "p lock", "up", "p doubled", "up", "p factor")
    assert "total / (total - total)" in said
    assert "18" in said
    assert said.count("[3, 6, 9]") == 2
    assert "could not travel" in said
    assert "return inner(doubled, (one for one in rows))" in said
    assert "\n3\n" in said


LONG = "import time\ndef inner(rows):\n    total = sum(rows)\n    time.sleep(60)\ninner([1, 2, 3])"


def test_debug_after_a_timeout_opens_where_it_struck(kernel: Kernel):
    kernel.fail("plain_error")
    assert kernel.fail(f"%%step too_long --timeout 300ms\n{LONG}").error["ename"] == "StepTimeout"
    said = kernel.debug("p total * 7", "up", "p 'at the top'")
    assert "time.sleep(60)" in said
    assert "42" in said
    assert "inner([1, 2, 3])" in said


GROWS = (
    "import time\nclass Own: pass\ndef grow(held, step):\n    own, seen = Own(), {'at': [step, 'far']}\n"
    "    while True:\n        held.append(bytearray(step))\n        time.sleep(0.02)\n"
    "all_rows = []\ngrow(all_rows, 1 << 20)"
)


def test_debug_after_a_step_without_memory_opens_where_it_grew(kernel: Kernel):
    kernel.fail("plain_error")
    failed = kernel.fail(f"%%step too_large --memory 100MiB\n{GROWS}")
    assert failed.error["ename"] == "StepOutOfMemory"
    assert "It was in line 10 of its cell." in failed.error["evalue"]
    assert re.search(r"Cell In\[\d+\], line 10\n +grow\(all_rows, 1 << 20\)", failed.words)
    assert re.search(r"Cell In\[\d+\], line [78], in grow", failed.words)
    said = kernel.debug("p step * 3", "p seen", "p own", "p held", "up", "p 'at the top'")
    assert "3145728" in said
    assert "{'at': [1048576, 'far']}" in said
    assert "<Own of" in said
    assert re.search(r"<list of [0-9,]+ bytes: not kept when the memory was used up>", said)
    assert "grow(all_rows, 1 << 20)" in said


def test_debug_after_one_call_that_held_the_interpreter_opens_on_its_line(kernel: Kernel):
    kernel.fail("plain_error")
    failed = kernel.fail("%%step at_once --memory 60MiB\ndef make(n):\n    return [0] * n\nall_rows = make(1 << 30)")
    assert failed.error["ename"] == "StepOutOfMemory"
    assert "It was in line 4 of its cell." in failed.error["evalue"]
    assert re.search(r"Cell, line 3, in make\n +return \[0\] \* n", failed.words)
    assert "return [0] * n" in kernel.debug("p 1")


RAISED_FROM = (
    "%%step raised_from\ndef deep(arg):\n    inner = arg * 3\n    return 1 / (arg - arg)\n"
    "def outer(arg):\n    seven = arg + 7\n    try:\n        deep(arg)\n    except ZeroDivisionError as e:\n"
    "        raise RuntimeError('later') from e\nouter(11)"
)


def test_debug_shows_the_variables_of_what_an_error_was_raised_from(kernel: Kernel):
    kernel.fail(RAISED_FROM)
    said = kernel.debug("p seven", "exceptions 0", "p arg, inner", "up", "p arg, seven")
    for part in ("18\n", "(11, 33)", "(11, 18)", "return 1 / (arg - arg)"):
        assert part in said


def test_debug_says_of_variables_that_could_not_be_stored_that_they_were_not_kept(kernel: Kernel):
    breaks = "import cellyard.worker.child as child\ndef full(*_):\n    raise OSError('no room')\n"
    failing = "def own(z, *rest):\n    here = z + 1\n    return 1/0\nown(5, 6)"
    failed = kernel.fail(f"%%step unstored\n{breaks}child.describe_frames = full\n{failing}")
    assert "%debug has no frames of this step: OSError: no room" in failed.words
    said = kernel.debug("p z", "p here", "p rest")
    assert said.count("<not kept") == 3
    assert "Ellipsis" not in said


def test_debug_says_where_a_step_has_left_no_frames_and_leads_to_the_cell_alone(kernel: Kernel):
    for cell in ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "unknown_one + 1"):
        kernel.fail(f"%%step left_nothing\n{cell}")
        said = kernel.debug("w", "up")
        assert "There are no frames of the step" in said
        assert "%%step left_nothing" in said
        assert "step_magic" not in said


def test_debug_passes_from_the_cell_to_the_step(kernel: Kernel):
    kernel.fail(FAILS)
    said = kernel.debug("up", "up", "up", "w")
    assert "Oldest frame" not in said
    for ours in ("kernel_magics", "interactiveshell"):
        assert ours not in said


def test_debug_after_an_error_that_is_kept_opens_on_that(kernel: Kernel):
    kernel.fail("plain_error")
    kernel.run("%%step kept --catch problem\ndef kept_one(z):\n    return z / 0\nkept_one(5)")
    assert "5\n" in kernel.debug("p z")


def test_debug_in_a_step_finds_no_error_of_before(kernel: Kernel):
    assert "nothing to debug" in kernel.run("%%step debugs\n%debug").stderr


def test_debug_after_an_async_failure_opens_on_its_frames(kernel: Kernel):
    kernel.fail("plain_error")
    kernel.try_run(f"{FAILS} ".replace("fails_inside", "fails_later --async"))
    assert kernel.fail("%steps wait fails_later").error["ename"] == "ZeroDivisionError"
    kernel.fail("plain_error")
    kernel.try_run(f"{FAILS} ".replace("fails_inside", "fails_later --async"))
    kernel.run("import time; time.sleep(1.5)")
    said = kernel.debug("p total")
    assert "total / (total - total)" in said
    assert "18" in said


def test_debug_after_a_later_plain_error_opens_on_that(kernel: Kernel):
    kernel.fail(FAILS)
    kernel.fail("def plain():\n    here = 'plain one'\n    1/0\nplain()")
    assert "plain one" in kernel.debug("p here")


def test_frames_in_libraries_are_shown_with_their_source(kernel: Kernel):
    kernel.fail("%%step in_library\nimport json\nvalue = json.loads('{broken')")
    said = kernel.debug("p s", "up", "up", "up")
    assert "raw_decode" in said
    assert "json.loads('{broken')" in said


NEWEST = "cellyard.History().runs(limit=1)[0].id"


def test_reproduce_binds_the_inputs_and_offers_the_source(kernel: Kernel):
    kernel.run("given = {'a': [1, 2]}\nhidden = 5")
    source = "given['a'].append(3)\nbroken = given['b'] + hidden"
    kernel.fail(f"%%step reproducible\n{source}")
    kernel.run("given = None")
    ran = kernel.run("%steps reproduce reproducible")
    assert "its source is in the next cell" in ran.stdout
    [payload] = [each for each in kernel.payloads if each["source"] == "set_next_input"]
    assert payload["text"].strip() == source
    assert kernel.run("given, hidden").result == "({'a': [1, 2]}, 5)"
    assert kernel.fail(payload["text"]).error["ename"] == "KeyError"
    # An earlier run, by its number.
    earlier = int(kernel.run(f"import cellyard\n{NEWEST}").result)
    kernel.run("given = 'other'\nhidden = 0")
    kernel.fail(f"%%step reproducible\n{source}")
    assert f"of run {earlier}" in kernel.run(f"%steps reproduce reproducible {earlier}").stdout
    assert kernel.run("given, hidden").result == "({'a': [1, 2]}, 5)"
    assert "It has: reproducible" in kernel.fail(f"%steps reproduce other {earlier}").error["evalue"]


def test_reproduce_without_the_values_leaves_those_that_are_here(kernel: Kernel, home: Home):
    kernel.run("numbers = list(range(200_000))")
    kernel.fail("%%step used\ntotal = sum(numbers)\n1/0")
    [step] = home.client().steps(int(kernel.run(f"import cellyard\n{NEWEST}").result))
    [id] = [each["id"] for each in step["inputs"] if "numbers" in each["names"]]
    [stored] = Path(home.settings.store).rglob(f"*{id[2:]}*")
    stored.rename(stored.with_suffix(".away"))
    assert kernel.fail("%steps reproduce used").error["ename"] == "ArtifactMissing"
    assert kernel.run("len(numbers)").result == "200000"
    stored.with_suffix(".away").rename(stored)


def test_preflight_finds_what_would_go_wrong_and_runs_nothing(kernel: Kernel, notebook: str, tmp_path: Path):
    cells = [
        "rows = list(range(300_000))\nhandle = open('/dev/null')",
        "%%step fine\nimport json\ntotal = sum(rows)",
        "%%step short_of --memory 900GiB\nunknown_name + 1",
        "%%step lacking\nimport not_a_module_at_all\nhandle.read()",
        f"%%step touches\nopen({str(tmp_path / 'ran')!r}, 'w').close()",
    ]
    code = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": each, "outputs": [], "execution_count": None}
        for n, each in enumerate(cells)
    ]
    path = tmp_path / "checked.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": code}))
    kernel.run(f"rows = list(range(300_000))\nhandle = open('/dev/null')\n%steps notebook {path}")
    kernel.run("%steps preflight fine")
    ran = kernel.run("%steps preflight")
    kernel.run(f"%steps notebook {notebook}")
    assert ran.seconds < 1.5
    rows = {line.split()[0]: line for line in ran.result.splitlines()}
    assert rows["fine"].endswith("none")
    assert "MiB" in rows["fine"]
    assert "can never get" in rows["short_of"]
    assert "unknown_name" in rows["short_of"]
    assert "no module 'not_a_module_at_all'" in rows["lacking"]
    assert "cannot travel" in rows["lacking"]
    assert rows["touches"].endswith("none")
    assert not (tmp_path / "ran").exists()


def test_preflight_looks_at_the_cells_that_were_run_where_the_file_is_not_known(kernel: Kernel):
    kernel.run("%%step looked_at_as_run\nimport json\nlen(json.dumps([1]))")
    kernel.fail("%%step lacks_as_run\nimport surely_not_there")
    rows = {line.split()[0]: line for line in kernel.run("%steps preflight").result.splitlines()}
    assert rows["looked_at_as_run"].endswith("none")
    assert "no module 'surely_not_there'" in rows["lacks_as_run"]


def test_preflight_warns_of_questions_where_nobody_is_asked(kernel: Kernel):
    question = "name = input('? ') if False else 1"
    kernel.run(f"%%step asks_here\n{question}")
    kernel.run(f"%%step asks_nobody --async\n{question}")
    kernel.run("%steps wait asks_nobody")
    rows = {line.split()[0]: line for line in kernel.run("%steps preflight").result.splitlines()}
    assert rows["asks_here"].endswith("none")
    assert "nobody to ask" in rows["asks_nobody"]


def test_commands_without_a_name_or_with_no_number_say_so(kernel: Kernel):
    for line, told in {
        "logs": "which step? This notebook has run: ",
        "cancel": "which step? ",
        "reproduce": "which step? ",
        "reproduce reproducible x": "'x' is no number of a run",
    }.items():
        assert told in kernel.fail(f"%steps {line}").error["evalue"]


def test_preflight_looks_into_cells_with_magics_and_at_each_backend(home: Home):
    with kernel_at({**home.env, "JPY_SESSION_NAME": "/tmp/preflight.ipynb"}) as kernel:
        kernel.fail("%%step with_magic\n%precision 3\nimport surely_not_there")
        kernel.run("%%step capped --cpu 64\n1 + 1")
        kernel.fail("%%step far --on nowhere\nlen([1])")
        rows = {line.split()[0]: line for line in kernel.run("%steps preflight").result.splitlines()}
    assert "no module 'surely_not_there'" in rows["with_magic"]
    assert rows["capped"].endswith("none")  # it gets the CPUs that there are
    assert "nowhere" in rows["far"]
