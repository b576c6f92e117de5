"""What a step costs over the same cell run plainly.

Runs ``x = N`` in a real kernel as a plain cell and as a step, and the same work by ``client.submit`` on a
LocalCluster, taken in turns in one run. Every step is checked: its run is recorded, its artifact is read by another
process, and it ran under a pid that is not the kernel's. Also measured: loading the extension, and the first step of
a cold session.

    python benchmarks/overhead.py [--steps 50]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from kernel import Kernel, home

BOUND_MS = 15.0
LOAD_BOUND_MS = 150.0
PAUSE_S = 0.1
COLD_BOUND_S = 2.0


def milliseconds(times: list[float]) -> str:
    ordered = sorted(times)
    return f"{1e3 * statistics.median(times):7.2f} ms   (p90 {1e3 * ordered[int(len(ordered) * 0.9)]:.2f})"


def cold_start() -> tuple[float, float]:
    """Seconds of %load_ext, and from before it to the end of the first step, in a new session without an engine."""
    with home():
        kernel = Kernel()
        kernel.run("import sys")
        began = time.perf_counter()
        load = kernel.run("%load_ext kernel_magics")
        kernel.run("%%step first\nx = 1")
        total = time.perf_counter() - began
        kernel.close()
    return load, total


def in_turns(
    kernel: Kernel, submit: Callable[[int], object], count: int
) -> tuple[list[float], list[float], list[float]]:
    """Times of plain cells, steps and Dask tasks, one of each in turn, a moment apart as a person's are."""
    plain, steps, tasks = [], [], []
    for number in range(count):
        time.sleep(PAUSE_S)
        plain.append(kernel.run(f"y = {number}"))
        steps.append(kernel.run(step_cell(number)))
        began = time.perf_counter()
        submit(number)
        tasks.append(time.perf_counter() - began)
        assert kernel.value("x") == str(number)
        assert kernel.value("pid != __import__('os').getpid()") == "True"
    return plain, steps, tasks


def step_cell(number: int) -> str:
    """A trivial step that leaves its number and its process."""
    return f"%%step trivial\nimport os\nx = {number}\npid = os.getpid()"


READER = """
import json, sys
import cellyard
values = [cellyard.History().run(run).step("trivial").value("x") for run in json.loads(sys.argv[1])]
print(json.dumps(values))
"""


def check_records(count: int) -> None:
    """Each step left a run record, and an artifact that a new process reads."""
    import cellyard

    found = cellyard.History().runs(limit=count + 10)
    runs = [run for run in found if run.steps and run.steps[0].name == "trivial"]
    runs = sorted(runs, key=lambda run: run.id)[-count:]
    assert len(runs) == count, f"{len(runs)} run records instead of {count}"
    assert all(run.state == "succeeded" for run in runs)
    read = subprocess.run(
        [sys.executable, "-c", READER, json.dumps([run.id for run in runs])], capture_output=True, text=True, check=True
    )
    assert json.loads(read.stdout) == list(range(count)), "the artifacts do not hold the values"


def main() -> int:
    """Print the table; exit code 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50)
    count = parser.parse_args().steps
    from distributed import Client, LocalCluster

    colds = [cold_start() for _ in range(3)]
    with (
        home(),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as dask,
    ):
        kernel = Kernel()
        kernel.run("%load_ext kernel_magics")
        for number in range(5):
            kernel.run(f"%%step warm\nw = {number}")
            time.sleep(0.3)

        def submit(number: int) -> object:
            return dask.submit(lambda n: n, number, pure=False).result()

        submit(0)
        plain, steps, tasks = in_turns(kernel, submit, count)
        check_records(count)
        close = [kernel.run(step_cell(number)) for number in range(count)]
        kernel.close()
    extra = statistics.median(steps) - statistics.median(plain)
    load, cold = statistics.median(c[0] for c in colds), statistics.median(c[1] for c in colds)
    print(f"plain cell                      {milliseconds(plain)}")
    print(f"the same cell as a step         {milliseconds(steps)}")
    print(f"  steps back to back            {milliseconds(close)}")
    print(f"client.submit on a LocalCluster {milliseconds(tasks)}")
    print(f"a step costs over a plain cell  {1e3 * extra:7.2f} ms   (bound {BOUND_MS:g} ms)")
    print(f"  as a ratio of client.submit   {extra / statistics.median(tasks):7.2f}")
    print(f"%load_ext kernel_magics         {1e3 * load:7.2f} ms   (bound {LOAD_BOUND_MS:g} ms)")
    print(f"first step of a cold session    {cold:7.2f} s    (bound {COLD_BOUND_S:g} s)")
    return int(1e3 * extra > BOUND_MS or 1e3 * load > LOAD_BOUND_MS or cold > COLD_BOUND_S)


if __name__ == "__main__":
    sys.exit(main())
