"""A small engine to be killed: ``python -m tests.backends.engine_probe FOLDER``.

Runs a step that leaves a daemon behind, prints the pids of all processes below it, and waits.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import psutil

from cellyard.backends.dask_local.backend import DaskLocalBackend
from cellyard.model.resources import Resources
from tests.backends.submitting import Inbox, make_task

DAEMON = "import subprocess, time\nsubprocess.Popen(['sleep', '300'], start_new_session=True)\n"


async def main(folder: Path) -> None:
    backend, inbox = DaskLocalBackend(store=str(folder), runtime=folder, capacity=Resources(cpu=1.0)), Inbox()
    await backend.start(inbox.listen)
    task = make_task(DAEMON + "print('begun', flush=True)\ntime.sleep(300)")
    await backend.submit(task)
    await inbox.saw(task, "output")
    print(json.dumps([each.pid for each in psutil.Process().children(recursive=True)]), flush=True)
    await asyncio.sleep(300)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
