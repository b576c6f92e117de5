"""A step that goes on through an outage of its store."""

from __future__ import annotations

import time

from tests.buckets import OwnServer
from tests.notebooks.kernels import Kernel
from tests.service.engines import Home

__all__ = ["step_through_outage"]

_SOURCE = "import time\nprint('begun')\ntime.sleep(2)\nmade = large + 1\nprint('made')"


def step_through_outage(kernel: Kernel, home: Home, server: OwnServer, *, away: float, options: str = "") -> None:
    """A step makes a value while the server is away for so many seconds: it waits, and the value is there."""
    before = kernel.run(f"%%step before {options}\nimport numpy as np\nlarge = np.arange(1_000_000)", timeout=90)
    assert before.error is None, before.words
    cell = kernel.begin(f"%%step during {options}\n{_SOURCE}")
    kernel.until_output(cell, "begun")
    server.stop()
    stopped = time.monotonic()
    kernel.until_output(cell, "made")
    time.sleep(away - (time.monotonic() - stopped))  # the outage itself
    assert [run["state"] for run in home.client().runs()] == ["running", "succeeded"], "the step did not wait"
    server.start()
    ran = kernel.finish(cell, timeout=60)
    assert ran.error is None, ran.words
    assert kernel.run("int(made[-1])").result == "1000000"
    assert [run["state"] for run in home.client().runs()] == ["succeeded", "succeeded"]
