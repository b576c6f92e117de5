"""The pool: what a step shows, makes and returns, and that each process is a clean one."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from cellyard.artifacts import pack
from cellyard.worker.pool import StepPool
from tests.worker.running import Stepper

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_messages_come_in_order(steps: Stepper) -> None:
    ran = await steps.run(
        "import sys\nfrom IPython.display import display, HTML, clear_output, update_display\n"
        "print('one')\nprint('two', file=sys.stderr)\nhandle = display(HTML('<b>three</b>'), display_id='d')\n"
        "update_display(HTML('<b>four</b>'), display_id='d')\nclear_output(wait=True)\nprint('five')\n6 * 7"
    )
    assert [each["kind"] for each in ran.messages] == ["started", *["output"] * 7, "finished"]
    kinds = [(m["type"], m.get("name") or m.get("wait")) for m in ran.shown()]
    assert kinds == [
        ("stream", "stdout"),
        ("stream", "stderr"),
        ("display_data", None),
        ("update_display_data", None),
        ("clear_output", True),
        ("stream", "stdout"),
        ("execute_result", None),
    ]
    assert ran.shown()[2]["data"]["text/html"] == "<b>three</b>"
    assert ran.shown()[3]["transient"] == ran.shown()[2]["transient"] == {"display_id": "d"}
    assert ran.shown()[6]["data"]["text/plain"] == "42"
    assert ran.finished["state"] == "succeeded"


async def test_a_quiet_last_line_shows_nothing(steps: Stepper) -> None:
    ran = await steps.run("6 * 7;")
    assert ran.shown() == []
    assert ran.finished["result"] is None


async def test_the_last_value_comes_back(steps: Stepper) -> None:
    ran = await steps.run("[1, 2]")
    assert ran.finished["result"]["names"] == ["_7"]
    assert ran.finished["outputs"] == []


async def test_text_of_subprocesses_and_of_c_keeps_its_place(steps: Stepper) -> None:
    ran = await steps.run(
        "import os, subprocess, ctypes\nlibc = ctypes.CDLL(None)\nprint('a')\n"
        "subprocess.run('echo b; echo B >&2', shell=True)\nprint('c')\nos.write(1, 'd\\u00e9\\n'.encode())\n"
        "libc.puts(b'e')\nlibc.fflush(None)\nprint('f')\n!echo g"
    )
    assert ran.text("stdout").split() == ["a", "b", "c", "dé", "e", "f", "g"]
    assert ran.text("stderr").split() == ["B"]


async def test_text_of_a_forked_process_arrives(steps: Stepper) -> None:
    ran = await steps.run(
        "import multiprocessing as mp\ndef work(): print('from below', flush=True)\n"
        "p = mp.get_context('fork').Process(target=work); p.start(); p.join()\nprint('after')"
    )
    assert ran.text().split("\n")[:2] == ["from below", "after"]


async def test_text_is_seen_while_the_step_still_runs(steps: Stepper) -> None:
    ran = steps.start("import time\nprint('begun')\ntime.sleep(0.05)\nprint('later')\ntime.sleep(60)")
    await ran.printed("later")
    assert ran.messages[-1]["kind"] == "output"
    steps.pool.kill(ran.token)
    await ran.end()


async def test_a_flood_of_text_arrives_whole(steps: Stepper) -> None:
    ran = await steps.run("for i in range(20_000): print(i)")
    assert ran.text() == "".join(f"{i}\n" for i in range(20_000))
    assert len(ran.messages) < 2_000


async def test_a_process_that_never_ceases_to_write_does_not_hold_the_step(steps: Stepper) -> None:
    ran = await steps.run("import subprocess, time\np = subprocess.Popen(['yes'])\ntime.sleep(0.05)\ndel p")
    assert ran.finished["state"] == "succeeded"
    assert "y\ny\n" in ran.text()


async def test_a_figure_is_shown_when_the_cell_ends(steps: Stepper) -> None:
    pytest.importorskip("matplotlib")
    ran = await steps.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('T');")
    assert [m["type"] for m in ran.shown()] == ["display_data"]
    assert "image/png" in ran.shown()[0]["data"]


async def test_an_error_is_told_with_the_line_of_the_cell(steps: Stepper) -> None:
    ran = await steps.run("x = 1\n\ndef f():\n    return 1 / 0\n\nf()", private={"line_offset": 1, "colors": "nocolor"})
    error = ran.finished["error"]
    assert (ran.finished["state"], error["type"], error["message"]) == (
        "failed",
        "ZeroDivisionError",
        "division by zero",
    )
    trace = "\n".join(error["traceback"])
    assert "line 5" in trace or "5     return 1 / 0" in trace, trace
    assert "line: 7" in trace or "line 7" in trace or "7 f()" in trace, trace
    assert error["exception"]["names"] == ["exception"]
    assert steps.values(ran)["x"] == 1, "what a failed cell has bound stays, as in a kernel"


async def test_a_cell_that_does_not_parse_fails_as_in_a_kernel(steps: Stepper) -> None:
    ran = await steps.run("x = (1,\ny = ]")
    assert (ran.finished["state"], ran.finished["error"]["type"]) == ("failed", "SyntaxError")


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "import sys; sys.exit()", "exit()"])
async def test_an_exit_of_the_cell_ends_the_cell_and_says_so(steps: Stepper, source: str) -> None:
    ran = await steps.run(source)
    assert ran.finished["kind"] == "finished"
    assert ran.finished["state"] in ("failed", "succeeded")
    assert ran.finished["error"] is None or ran.finished["error"]["type"] == "SystemExit"


async def test_names_go_in_and_come_back(steps: Stepper) -> None:
    values = {"x": [1], "y": {"a": 2}, "gone": 5, "same": [0]}
    references = tuple(each.to_dict() for each in pack(values, {"__name__": "__main__"}, steps.store))
    ran = await steps.run("x.append(2)\nz = y['a'] * 10\ndel gone\nlen(same)", inputs=references)
    assert steps.values(ran) == {"x": [1, 2], "z": 20}
    assert ran.finished["deleted"] == ["gone"]


async def test_what_cannot_come_back_is_told_and_the_rest_comes(steps: Stepper) -> None:
    ran = await steps.run("a = 1\ng = (x for x in [])\nb = [g]")
    assert ran.finished["state"] == "succeeded"
    unavailable = {o["names"][0] for o in ran.finished["outputs"] if o.get("unavailable")}
    assert unavailable == {"g", "b"}


async def test_an_output_that_was_asked_for_and_cannot_travel_fails_the_step(steps: Stepper) -> None:
    ran = await steps.run("g = (x for x in [])", line="--out g")
    assert (ran.finished["state"], ran.finished["error"]["type"]) == ("failed", "CannotTravel")


async def test_a_missing_input_is_an_error_of_the_step(steps: Stepper) -> None:
    reference = {"id": "0" * 64, "names": ["x"], "size": 1}
    ran = await steps.run("print('never')", inputs=(reference,))
    assert (ran.finished["state"], ran.finished["error"]["type"]) == ("failed", "ArtifactMissing")
    assert ran.text() == ""


async def test_every_step_has_a_clean_process(steps: Stepper) -> None:
    first = await steps.run(
        "import os, sys, json, random, warnings\nleft = 1\nos.environ['LEFT'] = '1'\nsys.left = 1\njson.left = 1\n"
        "os.chdir('/')\nwarnings.simplefilter('error')\nimport threading\nthreading.Thread(target=print).start()"
    )
    assert first.finished["state"] == "succeeded"
    second = await steps.run(
        "import os, sys, json\n"
        "[name for name in ('left', 'sys') if name in globals() and name == 'left'], "
        "os.environ.get('LEFT'), hasattr(sys, 'left'), hasattr(json, 'left'), os.getcwd() == '/'"
    )
    assert second.shown()[-1]["data"]["text/plain"] == "([], None, False, False, False)"
    assert first.pid != second.pid


async def test_random_numbers_differ_from_step_to_step(steps: Stepper) -> None:
    source = "import random, numpy\n[random.random(), numpy.random.rand()]"
    await steps.run("pass", packages=("numpy",))
    await asyncio.sleep(1.5)  # for a parent that has imported numpy
    drawn = [(await steps.run(source, packages=("numpy",))).shown()[-1]["data"]["text/plain"] for _ in range(3)]
    numbers = [number for each in drawn for number in each.strip("[]").split(", ")]
    assert len(set(numbers)) == 6


async def test_environment_of_the_step_line_is_the_cells(steps: Stepper) -> None:
    ran = await steps.run("import os\nos.environ['STAGE']", line="--env STAGE=test")
    assert ran.shown()[-1]["data"]["text/plain"] == "'test'"


async def test_a_step_keeps_to_its_processors_and_threads(steps: Stepper) -> None:
    cell = (
        "import os, numpy, threadpoolctl\nthreads = {i['num_threads'] for i in threadpoolctl.threadpool_info()}\n"
        "len(os.sched_getaffinity(0)), sorted(threads), os.environ['OMP_NUM_THREADS']"
    )
    for cpu in range(1, min(2, len(os.sched_getaffinity(0))) + 1):
        ran = await steps.run(cell, cpu=float(cpu))
        assert ran.shown()[-1]["data"]["text/plain"] == f"({cpu}, [{cpu}], '{cpu}')"


async def test_two_steps_of_one_processor_get_different_ones(steps: Stepper) -> None:
    if len(os.sched_getaffinity(0)) == 1:
        return
    cell = "import os, time\nprint(os.sched_getaffinity(0))\ntime.sleep(0.3)"
    one, other = steps.start(cell), steps.start(cell)
    await asyncio.gather(one.end(), other.end())
    assert one.text() != other.text()


async def test_packages_of_the_notebook_are_imported_ahead(steps: Stepper) -> None:
    cell = "import sys\n'psutil' in sys.modules"
    assert (await steps.run(cell, packages=("psutil",))).shown()[-1]["data"]["text/plain"] == "False"
    async with asyncio.timeout(90):
        while (await steps.run(cell)).shown()[-1]["data"]["text/plain"] == "False":
            await asyncio.sleep(0.1)


async def test_nothing_leaks_over_fifty_steps(steps: Stepper) -> None:
    def counts() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(psutil.Process().children(recursive=True))

    await steps.run("pass")
    await asyncio.sleep(0.3)
    before = counts()
    for number in range(50):
        ran = await steps.run(f"x = {number}")
        assert steps.values(ran) == {"x": number}
    async with asyncio.timeout(5):
        while counts() > before:
            await asyncio.sleep(0.05)


async def test_a_step_without_anybody_to_import_for_starts_in_milliseconds(tmp_path: Path) -> None:
    pool = StepPool(store=str(tmp_path / "store"), runtime=tmp_path)
    begun = time.perf_counter()
    await pool.start()
    assert time.perf_counter() - begun < 0.5, "start does not wait for the parent"
    ran = await Stepper(pool, str(tmp_path / "store")).run("1")
    assert ran.finished["state"] == "succeeded"
    await pool.close()
