"""Items: a cell that runs once for each item of a list."""

from __future__ import annotations

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
    assert {each["type"] for each in shown[1:]} == {"update_display_data"}
    last = shown[-1]["data"]["text/plain"]
    assert "3000 of 3000 done" in last
    assert len(last.splitlines()) <= 22
    assert len(ran.messages) < 60


async def test_a_few_items_show_what_they_print(steps: Stepper) -> None:
    ran = await steps.run("print('item', n)\ny = n", line="s --map n=[7,8]")
    assert ran.text("stdout") == "item 7\nitem 8\n"
    assert "item 8" in ran.shown()[-1]["data"]["text/plain"]


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
