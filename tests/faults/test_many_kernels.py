"""Fifty steps at once from five kernels: nothing lost, nothing mixed up, each output under its own cell."""

from __future__ import annotations

import contextlib

from tests.notebooks.kernels import kernel_at
from tests.service.engines import Home

KERNELS, STEPS = 5, 10

CELL = """%%step at_{step}
import time
print("start", "{who}", {step})
time.sleep(0.02)
value_{step} = ("{who}", {step}, sum(range({step} * 1000)))
print("end", "{who}", {step})
value_{step}
"""


def test_every_output_and_value_is_its_own_and_every_run_is_recorded(home: Home):
    with contextlib.ExitStack() as stack:
        kernels = [
            stack.enter_context(kernel_at({**home.env, "JPY_SESSION_NAME": f"/tmp/notebook-{k}.ipynb"}))
            for k in range(KERNELS)
        ]
        sent = [[k.begin(CELL.format(who=f"k{n}", step=s)) for s in range(STEPS)] for n, k in enumerate(kernels)]
        for n, kernel in enumerate(kernels):
            for s, id in enumerate(sent[n]):
                ran = kernel.finish(id, timeout=100)
                value = (f"k{n}", s, sum(range(s * 1000)))
                assert ran.error is None, ran.words
                assert ran.stdout == f"start k{n} {s}\nend k{n} {s}\n"
                assert ran.result == repr(value)
            assert kernel.look("[" + ",".join(f"value_{s}" for s in range(STEPS)) + "]") == [
                (f"k{n}", s, sum(range(s * 1000))) for s in range(STEPS)
            ]
        client = home.client()
        runs = client.runs(limit=1000)
        assert len(runs) == KERNELS * STEPS
        assert {run["state"] for run in runs} == {"succeeded"}
        for n in range(KERNELS):
            of_kernel = client.notebook_steps(f"/tmp/notebook-{n}.ipynb")
            assert [s["name"] for s in of_kernel] == [f"at_{s}" for s in range(STEPS)]
            for step in of_kernel:
                logs = [
                    e["content"]["text"]
                    for e in client.events(run=step["run_id"])
                    if e["kind"] == "output" and "text" in e["content"]
                ]
                assert "".join(logs).count(f"k{n}") == 2
