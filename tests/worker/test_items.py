"""Items: a cell that runs once for each item of a list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cellyard.artifacts import pack
from tests.worker.running import Ran, Stepper

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_each_name_becomes_the_list_of_its_values_in_order(steps: Stepper) -> None:
    inputs = tuple(each.to_dict() for each in pack({"parts": list("abc"), "base": [1]}, {}, steps.store))
    source = "base.append(part)\nup = part.upper()\nif part != 'b':\n    rare = 1\ndef helper(): pass\nup"
    ran = await steps.run(source, line="s --map part=parts", inputs=inputs)
    assert ran.finished["error"] is None
    assert steps.values(ran) == {"up": ["A", "B", "C"], "rare": [1, None, 1]}
    assert ran.finished["result"] is None


async def test_each_item_has_the_names_as_they_were(steps: Stepper) -> None:
    ran = await steps.run("seen = 'left' in globals()\nleft = n", line="s --map n=range(40)")
    assert steps.values(ran) == {"seen": [False] * 40, "left": list(range(40))}


async def test_many_items_are_shown_in_one_small_table(steps: Stepper) -> None:
    ran = await steps.run("print('item', n)\ny = n * n", line="s --map n=range(3000)")
    assert steps.values(ran)["y"] == [n * n for n in range(3000)]
    shown = ran.shown()
    assert shown[0]["type"] == "display_data"
    assert {each["type"] for each in shown[1:]} == {"stream", "update_display_data"}
    assert ran.text("stdout") == "".join(f"--- item {n}\nitem {n}\n" for n in range(3000))
    last = shown[-1]["data"]["text/plain"]
    assert "3000 of 3000 done" in last
    assert len(last.splitlines()) <= 22
    assert len(ran.messages) < 60


async def test_all_that_items_show_comes_item_by_item(steps: Stepper) -> None:
    source = (
        "import os, sys\nfrom IPython.display import HTML, clear_output, display\nprint('begins', n)\n"
        "if n == 1:\n    print('b' * 5000, end='')\nif n == 2:\n    os._exit(3)\n"
        "print('lost'); clear_output(); print('at', n, file=sys.stderr); display(HTML(f'<b>{n}</b>'))\ny = 1 // n"
    )
    ran = await steps.run(source, line="s --map n=[7,1,2,0] --max-failures 2")
    assert ran.finished["error"] is None
    below = "--- item {0}\nat {1}\n"
    died = "--- item 2 failed: its process ended with exit code 3\nbegins 2\n"
    failed = "--- item 3 failed: ZeroDivisionError: integer division or modulo by zero\nat 0\n"
    assert ran.text() == below.format(0, 7) + below.format(1, 1) + died + failed
    tables = ran.shown()[0], ran.shown()[-1]
    assert [m["data"].get("text/html") for m in ran.shown() if m["type"] == "display_data" and m not in tables] == [
        "<b>7</b>",
        "<b>1</b>",
        "<b>0</b>",
    ]
    assert "at 7" in tables[1]["data"]["text/plain"]


async def test_a_stopped_item_shows_what_it_has_printed(steps: Stepper) -> None:
    source = "import time\nprint('begins', n)\nif n == 5:\n    time.sleep(0.4)\n    1 / 0\ntime.sleep(60)"
    ran = await steps.run(source, line="s --map n=[5,6] --max-parallel 2")
    assert "--- item 0 failed: ZeroDivisionError: division by zero\nbegins 5\n" in ran.text("stdout")
    assert "--- item 1, which was stopped\nbegins 6\n" in ran.text("stdout")


async def test_the_middle_is_cut_where_an_item_prints_too_much(steps: Stepper) -> None:
    source = "print('first')\nfor _ in range(300): print('x' * 99)\nprint('last')"
    ran = await steps.run(source, line="s --map n=[1]", asked={"log_limit": 8000})
    assert len(ran.text("stdout")) < 8100
    assert "first" in ran.text("stdout")
    assert "its middle is left out" in ran.text("stderr")
    assert ran.text("stdout").endswith("last\n")


async def test_a_failed_item_fails_the_step_with_its_own_error(steps: Stepper) -> None:
    ran = await steps.run("y = 1 // n", line="s --map n=[1,0,2]")
    error = ran.finished["error"]
    assert (error["type"], error["message"]) == ("ZeroDivisionError", "integer division or modulo by zero")
    assert "in item 1 of 3" in "".join(error["traceback"])
    assert ran.finished["outputs"] == []


async def test_some_may_fail(steps: Stepper) -> None:
    ran = await steps.run("y = 1 // n", line="s --map n=[1,0,2] --max-failures 1")
    assert ran.finished["error"] is None
    assert steps.values(ran) == {"y": [1, None, 0]}
    assert "1 failed" in ran.shown()[-1]["data"]["text/plain"]


async def test_an_item_whose_process_dies_fails_alone(steps: Stepper) -> None:
    source = "import os, signal\nif n == 30:\n    os.kill(os.getpid(), signal.SIGKILL)\ny = n"
    ran = await steps.run(source, line="s --map n=range(60) --max-failures 1", cpu=2)
    assert ran.finished["error"] is None
    assert steps.values(ran)["y"] == [*range(30), None, *range(31, 60)]
    assert "SIGKILL" in ran.shown()[-1]["data"]["text/plain"]


async def test_only_the_failed_are_tried_again(steps: Stepper, tmp_path) -> None:
    source = (
        f"from pathlib import Path\nlog = Path({str(tmp_path)!r}) / f'{{n}}'\n"
        "tries = len(log.read_text()) if log.exists() else 0\nlog.write_text('x' * (tries + 1))\n"
        "assert n != 3 or tries\ny = tries"
    )
    ran = await steps.run(source, line="s --map n=range(5) --retries 2")
    assert steps.values(ran)["y"] == [0, 0, 0, 1, 0]
    assert [len((tmp_path / str(n)).read_text()) for n in range(5)] == [1, 1, 1, 2, 1]


async def test_an_isolated_item_has_a_process_of_its_own(steps: Stepper) -> None:
    ran = await steps.run("import os\npid = os.getpid()", line="s --map n=range(6) --isolate --max-parallel 2", cpu=2)
    assert len(set(steps.values(ran)["pid"])) == 6
    shared = await steps.run("import os\npid = os.getpid()", line="s --map n=range(200)")
    assert len(set(steps.values(shared)["pid"])) == 1


async def test_an_interrupt_ends_all_of_it(steps: Stepper) -> None:
    running = steps.start("import time\ntime.sleep(60)", line="s --map n=range(4) --max-parallel 2")
    await running.saw(
        lambda message: "running" in str(message.get("message", {}).get("data", "")) and "2 running" in str(message)
    )
    steps.pool.interrupt(running.token)
    ran = await running.end()
    assert (ran.finished["state"], ran.finished["error"]["type"]) == ("cancelled", "KeyboardInterrupt")


async def test_what_is_no_list_is_the_steps_error(steps: Stepper) -> None:
    ran = await steps.run("y = n", line="s --map n=missing")
    assert ran.finished["error"]["type"] == "NameError"
    assert "Cell In[7], line 1" in traceback_of(ran)
    error = (await steps.run("y = n", line="s --map n=5")).finished["error"]
    assert error["message"] == "--map n=5 needs a list, or whatever else a loop can go through: " + (
        "'int' object is not iterable"
    )
    assert "items.py" not in str(error["traceback"])


async def test_the_cell_is_compiled_as_any_cell(steps: Stepper) -> None:
    source = "import asyncio\nawait asyncio.sleep(0.01)\ny = n\ndef f(x: int): ...\nkind = f.__annotations__['x']"
    ran = await steps.run(source, line="s --map n=[3,4]")
    assert steps.values(ran) == {"y": [3, 4], "kind": [int, int]}
    failed = await steps.run("import asyncio\nawait asyncio.sleep(0)\n1 / n", line="s --map n=[0]")
    assert failed.finished["error"]["type"] == "ZeroDivisionError"
    assert "Cell In[7], line 4" in traceback_of(failed)
    assert "base_events" not in traceback_of(failed)
    wrong = await steps.run("y = n\nreturn", line="s --map n=[0]")
    assert wrong.finished["error"]["type"] == "SyntaxError"
    assert "Cell In[7], line 3" in traceback_of(wrong)


@pytest.mark.parametrize(
    ("source", "type"),
    [("import sys\nsys.exit(n)", "SystemExit"), ("import sys\nraise KeyboardInterrupt", "KeyboardInterrupt")],
)
async def test_what_ends_a_cell_ends_an_item(steps: Stepper, source: str, type: str) -> None:
    ran = await steps.run(source, line="s --map n=[3,4]")
    shown = traceback_of(ran)
    assert ran.finished["error"]["type"] == type
    assert "Cell In[7], line 3" in shown
    assert "in item 0 of 2" in shown
    assert "item_lane.py" not in shown
    source = source.replace("\n", "\nif n == 3: ") + "\ny = n"
    some = await steps.run(source, line="s --map n=[3,4] --max-failures 1")
    assert steps.values(some) == {"y": [None, 4]}
    assert some.text("stdout") == f"--- item 0 failed: {type}{': 3' if 'exit' in source else ''}\n"


async def test_the_items_peak_is_its_own_and_part_of_the_steps(steps: Stepper) -> None:
    source = "much = bytearray(100 << 20)\nfor at in range(0, len(much), 4096): much[at] = 1\ndel much"
    ran = await steps.run(source, line="s --map n=[1]")
    assert 99 << 20 <= ran.finished["peak_memory"] < 120 << 20, "the system counts pages in lots"
    small = await steps.run("y = n", line="s --map n=[1]")
    assert re.search(r"done +\d+ ms +\d+ KiB", small.shown()[-1]["data"]["text/plain"]), "and none of what it shares"


def traceback_of(ran: Ran) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(ran.finished["error"]["traceback"]))


async def test_what_cannot_travel_is_left_out_and_said(steps: Stepper) -> None:
    ran = await steps.run("with open('/dev/null') as file:\n    y = n", line="s --map n=range(3)")
    assert steps.values(ran) == {"y": [0, 1, 2]}
    assert "file is no list" in ran.text("stderr")
    wanted = await steps.run("with open('/dev/null') as file:\n    y = n", line="s --map n=range(3) --out file")
    assert wanted.finished["error"]["type"] == "CannotTravel"


async def test_another_try_runs_those_items_alone_that_had_not_ended_well(steps: Stepper, tmp_path: Path) -> None:
    log, bad = tmp_path / "log", tmp_path / "bad"
    source = f"from pathlib import Path\nwith open({str(log)!r}, 'a') as file:\n    print(n, file=file)\n"
    source += f"assert n != 2 or not Path({str(bad)!r}).exists()\ny = n * n"

    async def tried(items: str, *, key: str = "k", kept: Sequence[dict[str, Any]] = ()) -> tuple[Ran, list[int]]:
        log.write_text("")
        ran = await steps.run(source, line=f"s --map n={items} --isolate", asked={"key": key, "kept": kept})
        return ran, sorted(map(int, log.read_text().split()))

    bad.touch()
    first, _ = await tried("range(4)")
    assert "2 were done and need not run again" in "".join(first.finished["error"]["traceback"])
    kept = [each for each in first.messages if each["kind"] == "items"]
    assert [each["items"] for each in kept] == [[0], [1]]
    without_key, _ = await tried("range(4)", key="")
    assert not [each for each in without_key.messages if each["kind"] == "items"]

    bad.unlink()
    again, ran = await tried("range(4)", kept=kept)
    assert ran == [2, 3]
    assert steps.values(again)["y"] == [0, 1, 4, 9]
    assert "4 of 4 done, 0 running, 0 waiting (2 by an earlier try)" in str(again.shown())
    _, ran = await tried("[0,1,2,4]", kept=kept)
    assert ran == [0, 1, 2, 4], "these are other items"
