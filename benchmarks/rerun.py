"""What a run costs in which nothing has to run, what planning costs, and what an item of a map costs.

Measures, in one go: an unchanged run again of ten steps from a fresh process, with the engine up; planning a thousand
steps; ten thousand trivial items of a map. With ``--peers PYTHON`` (an interpreter that has metaflow and flytekit) the
same ten steps by Metaflow's ``resume`` and by flytekit's local cache are measured beside it, in turns.

    python benchmarks/rerun.py [--rounds 5] [--peers PYTHON]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kernel import home

RERUN_BOUND_S = 0.3
PLAN_BOUND_S = 1.0
ITEMS_BOUND = 500
ITEMS = 10_000

METAFLOW = """
from metaflow import FlowSpec, step
class Ten(FlowSpec):
    @step
    def start(self):
        self.x = 1
        self.next(self.s1)
{steps}
    @step
    def end(self):
        print(self.x)
if __name__ == "__main__":
    Ten()
"""
METAFLOW_STEP = """
    @step
    def s{n}(self):
        self.x += {n}
        self.next(self.{following})
"""
FLYTEKIT = """
from flytekit import task, workflow
{tasks}
@workflow
def ten() -> int:
    x0 = t0(x=1)
{calls}
    return x9
print(ten())
"""


def notebook(*cells: str) -> dict[str, Any]:
    """A notebook of nbformat 4."""
    made = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(cells)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}


def chain(count: int) -> list[str]:
    """Steps each of which uses the one before it."""
    return ["%%step s0\nx0 = 1", *(f"%%step s{n}\nx{n} = x{n - 1} + {n}\nprint(x{n})" for n in range(1, count))]


def processor() -> float:
    """Seconds of processors that the processes have used that this one has started and seen the end of."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command: Sequence[str], folder: Path, env: dict[str, str] | None = None) -> float:
    """Seconds that a process takes; raises when it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env or dict(os.environ), capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return took


def cellyard(*arguments: str) -> list[str]:
    """A command of ours."""
    return [sys.executable, "-m", "cellyard", *arguments]


def rerun(folder: Path) -> Callable[[], float]:
    """One unchanged run again of ten steps; every one of them is checked to have been taken."""
    path = folder / "ten.ipynb"
    path.write_text(json.dumps(notebook("%load_ext kernel_magics", *chain(10), "x9")))
    timed(cellyard("run", str(path)), folder)

    def again() -> float:
        began = time.perf_counter()
        done = subprocess.run(cellyard("run", str(path)), cwd=folder, capture_output=True, text=True, check=True)
        took = time.perf_counter() - began
        assert done.stdout.count("reused") == 10, done.stdout
        executed = json.loads((folder / "ten.executed.ipynb").read_text())
        assert executed["cells"][-1]["outputs"][0]["data"]["text/plain"] == "46"
        return took

    return again


def planning(folder: Path) -> Callable[[], float]:
    """One plan of a thousand steps, made in the engine."""
    path = folder / "thousand.ipynb"
    path.write_text(json.dumps(notebook(*chain(1000))))
    from cellyard.service.client import EngineClient

    client = EngineClient()

    def plan() -> float:
        began = time.perf_counter()
        found = client.plan(path=str(path))
        assert len(found["steps"]) == 1000
        return time.perf_counter() - began

    return plan


def items(folder: Path) -> Callable[[], float]:
    """Ten thousand trivial items, as the step's own record says; their values are checked."""
    from cellyard.history import History

    def run() -> float:
        path = folder / "items.ipynb"
        cell = f"%%step items --cpu 2 --map n=range({ITEMS})\ny = n * 2  # {time.time()}"
        path.write_text(json.dumps(notebook("%load_ext kernel_magics", cell)))
        timed(cellyard("run", str(path), "--force"), folder)
        step = History().runs(limit=1)[0]["items"]
        assert step["y"] == [n * 2 for n in range(ITEMS)]
        return float(step.seconds or 0.0)

    return run


def metaflow(python: str, folder: Path) -> Callable[[], float]:
    """Metaflow's resume of ten steps that had all succeeded but the last."""
    steps = "".join(METAFLOW_STEP.format(n=n, following=f"s{n + 1}" if n < 8 else "end") for n in range(1, 9))
    (folder / "ten_flow.py").write_text(METAFLOW.format(steps=steps))
    env = {
        **os.environ,
        "METAFLOW_HOME": str(folder),
        "USERNAME": "benchmark",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder),
    }
    timed([python, "ten_flow.py", "run"], folder, env)
    return lambda: timed([python, "ten_flow.py", "resume", "end"], folder, env)


def flytekit(python: str, folder: Path) -> Callable[[], float]:
    """flytekit's local cache of ten tasks."""
    tasks = "\n".join(
        f"@task(cache=True, cache_version='1')\ndef t{n}(x: int) -> int:\n    return x + {n}\n" for n in range(10)
    )
    calls = "\n".join(f"    x{n} = t{n}(x=x{n - 1})" for n in range(1, 10))
    (folder / "ten_tasks.py").write_text(FLYTEKIT.format(tasks=tasks, calls=calls))
    env = {**os.environ, "HOME": str(folder)}
    timed([python, "ten_tasks.py"], folder, env)
    return lambda: timed([python, "ten_tasks.py"], folder, env)


def main() -> int:
    """Measure and print; 1 when a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter with metaflow and flytekit")
    arguments = parser.parse_args()
    with home() as folder:
        measured: dict[str, Callable[[], float]] = {
            "unchanged run again of 10 steps": rerun(folder),
            "planning 1,000 steps": planning(folder),
            f"{ITEMS:,} trivial items": items(folder),
        }
        if arguments.peers:
            measured["Metaflow, resume"] = metaflow(arguments.peers, folder)
            measured["flytekit, local cache"] = flytekit(arguments.peers, folder)
        found: dict[str, list[float]] = {name: [] for name in measured}
        used: dict[str, list[float]] = {name: [] for name in measured}
        for _ in range(arguments.rounds):
            for name, measure in measured.items():
                before = processor()
                found[name].append(measure())
                used[name].append(processor() - before)
    for name, seconds in found.items():
        span = f"({min(seconds):.3f} to {max(seconds):.3f})"
        own = statistics.median(used[name])  # of planning, and of items, the engine and its workers do the work
        print(f"{name:<34} {statistics.median(seconds):7.3f} s   {span:<18}  CPU {own:.3f} s")
    again, plan, mapped = (statistics.median(found[name]) for name in list(measured)[:3])
    print(f"items a second                     {ITEMS / mapped:7.0f}")
    bounds = {
        "again": again < RERUN_BOUND_S,
        "planning": plan < PLAN_BOUND_S,
        "items": ITEMS / mapped > ITEMS_BOUND,
    }
    print("bounds: " + ", ".join(f"{name} {'holds' if holds else 'MISSED'}" for name, holds in bounds.items()))
    return 0 if all(bounds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
