"""How steps end before their time: interrupts, limits, signals, deaths; and that they leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import psutil  # type: ignore[import-untyped]
import pytest

from tests.worker.running import Ran, Stepper

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def gone(pid: int, *, within: float = 3.0) -> bool:
    """Whether a process ends in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize("busy", ["time.sleep(60)", "while True: pass"])
async def test_an_interrupt_is_seen_within_a_second(steps: Stepper, busy: str) -> None:
    ran = steps.start(f"import time\nx = 5\nprint('begun')\n{busy}")
    await ran.printed("begun")
    begun = time.perf_counter()
    assert steps.pool.interrupt(ran.token)
    await ran.end()
    assert time.perf_counter() - begun < 1.0
    assert (ran.finished["state"], ran.finished["error"]["type"]) == ("cancelled", "KeyboardInterrupt")
    assert steps.values(ran)["x"] == 5


async def test_an_interrupt_that_a_system_call_does_not_notice_is_not_lost(steps: Stepper) -> None:
    """As when it strikes just before the call; here another thread gets the signal, so the call goes on."""
    ran = steps.start(
        "import signal, threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\nprint('begun')\ntime.sleep(60)"
    )
    await ran.printed("begun")
    await asyncio.sleep(0.1)
    begun = time.perf_counter()
    steps.pool.interrupt(ran.token)
    await ran.end()
    assert time.perf_counter() - begun < 1.0
    assert ran.finished["state"] == "cancelled"


async def test_an_interrupt_reaches_the_steps_own_processes(steps: Stepper) -> None:
    ran = steps.start("print('begun')\n!sleep 60")
    await ran.printed("begun")
    await asyncio.sleep(0.2)
    steps.pool.interrupt(ran.token)
    begun = time.perf_counter()
    await ran.end()
    assert time.perf_counter() - begun < 3.0


async def test_an_interrupt_that_the_cell_catches_is_the_cells_affair(steps: Stepper) -> None:
    ran = steps.start(
        "import time\ntry:\n    print('begun')\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    caught = True"
    )
    await ran.printed("begun")
    steps.pool.interrupt(ran.token)
    await ran.end()
    assert ran.finished["state"] == "succeeded"
    assert steps.values(ran)["caught"] is True


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.003])
async def test_an_interrupt_that_comes_too_early_is_not_lost(steps: Stepper, pause: float) -> None:
    ran = steps.start("import time\ntime.sleep(60)")
    await asyncio.sleep(pause)
    assert steps.pool.interrupt(ran.token)
    async with asyncio.timeout(5):
        await ran.end()
    assert ran.finished["state"] == "cancelled"


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.003])
async def test_a_step_killed_at_its_start_ends_at_once(steps: Stepper, pause: float) -> None:
    ran = steps.start("import time\ntime.sleep(60)")
    await asyncio.sleep(pause)
    assert steps.pool.kill(ran.token)
    async with asyncio.timeout(5):
        await ran.end()
    assert ran.finished["state"] == "cancelled"
    assert [each["kind"] for each in ran.messages].count("finished") == 1


async def test_unknown_and_finished_tokens_are_told_apart_from_running_ones(steps: Stepper) -> None:
    ran = await steps.run("pass")
    for token in ("nobody", ran.token):
        assert not steps.pool.interrupt(token)
        assert not steps.pool.kill(token)


@pytest.mark.parametrize(
    "greedy",
    ["x = bytearray(600 << 20)", "x = [bytearray(1 << 20) for _ in range(600)]", "IN_A_CHILD"],
    ids=["at once", "bit by bit", "in a process of its own"],
)
async def test_the_memory_limit_ends_that_step_alone(steps: Stepper, greedy: str) -> None:
    if greedy == "IN_A_CHILD":
        greedy = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'x = bytearray(600 << 20); input()'])"
    other = steps.start("import time\nprint('begun')\ntime.sleep(0.6)\nprint('still here')")
    await other.printed("begun")
    ran = await steps.run(f"{greedy}\nimport time\ntime.sleep(20)", memory=200 << 20)
    error = ran.finished["error"]
    assert (ran.finished["state"], error["type"]) == ("failed", "StepOutOfMemory")
    assert "200 MiB" in error["message"]
    assert "--memory" in error["message"]
    assert ran.finished["peak_memory"] >= 200 << 20
    await other.end()
    assert other.finished["state"] == "succeeded"
    assert await gone(ran.pid)


async def test_memory_of_the_store_is_not_the_steps(steps: Stepper) -> None:
    made = await steps.run("import numpy as np\nbig = np.zeros(20_000_000)")
    (big,) = [each for each in made.finished["outputs"] if each["names"] == ["big"]]
    ran = await steps.run("total = float(big.sum())", memory=100 << 20, inputs=(big,))
    assert ran.finished["state"] == "succeeded", ran.finished["error"]
    assert ran.finished["peak_memory"] < 100 << 20


SHARING = (
    "import multiprocessing, time\nx = bytearray(b'x') * (150 << 20)\n"
    "def hold(seconds):\n    time.sleep(seconds)\n    return len(x)\n"
    "pool = multiprocessing.get_context('fork').Pool(4)\n"
)


async def test_what_forked_processes_share_counts_once(steps: Stepper) -> None:
    ran = await steps.run(f"{SHARING}print(pool.map(hold, [0.6] * 4))", memory=500 << 20)
    assert ran.finished["state"] == "succeeded", ran.finished["error"]
    assert ran.text().count(str(150 << 20)) == 4
    # Storing it takes as much again.
    assert 150 << 20 <= ran.finished["peak_memory"] < 400 << 20


async def test_what_forked_processes_no_longer_share_counts_for_each(steps: Stepper) -> None:
    """Nothing is allocated: each writes to what it shared."""
    changed = SHARING.replace("    time", "    for at in range(0, len(x), 4096): x[at] = 1\n    time")
    ran = await steps.run(f"{changed}pool.map(hold, [20] * 4)", memory=500 << 20)
    assert ran.finished["error"]["type"] == "StepOutOfMemory"


async def test_memory_is_reported_while_a_step_runs(steps: Stepper) -> None:
    ran = steps.start("x = bytearray(150 << 20)\nimport time\ntime.sleep(60)")
    told = await ran.saw(lambda each: each["kind"] == "memory")
    assert 150 << 20 <= told["bytes"] <= told["peak"] < 250 << 20
    steps.pool.kill(ran.token)
    await ran.end()


@pytest.mark.parametrize(
    ("deadly", "named"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
        ("os._exit(7)", "exit code 7"),
    ],
)
async def test_a_step_whose_process_dies_says_how(steps: Stepper, deadly: str, named: str) -> None:
    ran = await steps.run(f"import os, signal\nprint('last words')\n{deadly}")
    assert (ran.finished["state"], ran.finished["error"]["type"]) == ("failed", "StepKilled")
    assert named in ran.finished["error"]["message"]
    assert ("Another process, or a fault" in ran.finished["error"]["message"]) is (named != "exit code 7")
    assert "last words" in ran.text()
    assert (await steps.run("1")).finished["state"] == "succeeded"


async def test_when_the_step_parent_dies_its_steps_end_and_the_next_one_runs(steps: Stepper) -> None:
    ran = steps.start("import time\nprint('begun')\ntime.sleep(60)")
    await ran.printed("begun")
    parent = psutil.Process(ran.pid).parent()
    assert parent is not None
    os.kill(parent.pid, signal.SIGKILL)
    await ran.end()
    assert ran.finished["state"] == "failed"
    assert await gone(ran.pid)
    assert (await steps.run("1")).finished["state"] == "succeeded"


LEFTOVERS = {
    "a process of a session of its own": (
        "import subprocess\nprint(subprocess.Popen(['sleep', '61'], start_new_session=True).pid)"
    ),
    "a process of multiprocessing": (
        "import multiprocessing as mp, time\n"
        "p = mp.get_context('fork').Process(target=time.sleep, args=(61,)); p.start()\n"
        "print(p.pid)"
    ),
    "a pool of multiprocessing": (
        "import multiprocessing as mp, os\npool = mp.get_context('fork').Pool(2)\nprint(*pool.map(abs, [1]) and "
        "[p.pid for p in pool._pool])"
    ),
    "loky's workers": (
        "import os\nfrom joblib import Parallel, delayed\n"
        "print(*set(Parallel(2, backend='loky')(delayed(os.getpid)() for _ in range(8))))"
    ),
    "a daemon that forked twice": (
        "import os, time\nr, w = os.pipe()\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.write(w, str(os.getpid()).encode()); time.sleep(61)\n    os._exit(0)\n"
        "print(os.read(r, 20).decode())"
    ),
    "a daemon with children of its own": (
        "import subprocess\nscript = 'setsid sleep 61 & echo $! >&2; echo $$ >&2; wait'\n"
        "p = subprocess.Popen(['setsid', 'sh', '-c', script], stderr=subprocess.PIPE, text=True)\n"
        "print(p.stderr.readline(), p.stderr.readline(), p.pid)"
    ),
}


@pytest.mark.parametrize("what", LEFTOVERS)
@pytest.mark.parametrize("how", ["ends", "is killed"])
async def test_nothing_that_a_step_started_outlives_it(steps: Stepper, what: str, how: str) -> None:
    ran = steps.start(LEFTOVERS[what] + ("\nimport time\nprint('ready')\ntime.sleep(60)" if how != "ends" else ""))
    if how == "is killed":
        await ran.printed("ready")
        steps.pool.kill(ran.token)
    await ran.end()
    started = pids_printed(ran)
    assert started, ran.finished
    for pid in started:
        assert await gone(pid), f"{pid} is still there: {psutil.Process(pid).cmdline()}"


def pids_printed(ran: Ran) -> set[int]:
    return {int(word) for word in ran.text("stdout").split() if word.isdigit()}


async def test_other_steps_are_spared_when_one_leaves_processes(steps: Stepper) -> None:
    other = steps.start("import subprocess\nprint('begun')\nsubprocess.run(['sleep', '1']).returncode")
    await other.printed("begun")
    await steps.run(LEFTOVERS["a daemon that forked twice"])
    await other.end()
    assert other.shown()[-1]["data"]["text/plain"] == "0"


@pytest.mark.parametrize("how", ["sys.exit(0)", "raise ValueError('in the fork')", "pass"])
async def test_a_forked_process_that_comes_to_the_cells_end_takes_nothing_with_it(steps: Stepper, how: str) -> None:
    """The output of the step is read on; what a fork would have told of itself is not told."""
    ran = await steps.run(
        "import os, subprocess, sys\nprint('before')\npid = os.fork()\n"
        f"if pid == 0:\n    {how}\nelse:\n    os.waitpid(pid, 0)\n"
        "    done = subprocess.run('yes | head -c 1000000', shell=True).returncode"
    )
    assert ran.finished["state"] == "succeeded", ran.finished["error"]
    assert steps.values(ran)["done"] == 0
    assert ran.text().count("before") == 1
    assert ran.text().count("y") >= 500_000


@pytest.mark.parametrize("replace", ["os.close(1); os.close(2)", "os.dup2(null, 1); os.dup2(null, 2)"])
async def test_a_step_that_replaces_its_descriptors_costs_no_cpu_time(steps: Stepper, replace: str) -> None:
    ran = await steps.run(
        f"import os, time\nnull = os.open('/dev/null', os.O_WRONLY)\n{replace}\nbegan = time.process_time()\n"
        "time.sleep(1)\nused = time.process_time() - began\nprint('still heard')"
    )
    assert steps.values(ran)["used"] < 0.2
    assert "still heard" in ran.text()
