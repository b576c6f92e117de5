"""Runs the Dask process's inside in a process where it can be looked at; prints what is left as JSON.

``python -m tests.backends.host_probe FOLDER STEPS``. A process of its own: Dask is configured before its import.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from cellyard.backends.base import cost
from cellyard.backends.dask_config import configure
from cellyard.worker.link import Link, pack
from cellyard.worker.pool import StepPool
from tests.backends.submitting import Inbox, make_task

configure()

from cellyard.backends.dask_local.cluster import LocalCluster  # noqa: E402
from cellyard.backends.dask_local.serving import StepHost  # noqa: E402


def left(cluster: LocalCluster) -> dict[str, Any]:
    """All that could have been kept of a step."""
    topics = cluster.scheduler._broker._topics
    return {
        "tasks": len(cluster.scheduler.tasks),
        "groups": len(cluster.scheduler.task_groups),
        "prefixes": len(cluster.scheduler.task_prefixes),
        "events": sum(len(each.events) for each in topics.values()),
        "transitions": len(cluster.scheduler.transition_log),
        "futures": len(cluster.client.futures),
        "worker_data": len(cluster.worker.data),
        "worker_tasks": len(cluster.worker.state.tasks),
        "worker_threads": len(cluster.worker.threads),
        "worker_log": len(cluster.worker.state.log),
    }


async def main(folder: Path, steps: int) -> None:
    inbox = Inbox()

    def on_frame(frame: list[Any]) -> None:
        if frame[0] == "messages":
            inbox.listen(frame[1], frame[2])
        elif frame[0] == "ready":
            ready.set()

    ready = asyncio.Event()
    pool = StepPool(store=str(folder / "store"), runtime=folder)
    host = StepHost(pool, {"cpu": 2000}, folder / "dask", ending=lambda: None)
    ours, theirs = socket.socketpair()
    link = await Link.open(ours, on_frame, lambda: None)
    serving = asyncio.create_task(host.serve(theirs))
    await ready.wait()
    tasks = [make_task("pass") for _ in range(steps)]
    for task in tasks:
        link.send("submit", task.token, task.name, cost(task.resources), pack(task.to_dict()))
    cancelled = tasks[1::50]
    for task in cancelled:
        link.send("cancel", task.token)
    for task in tasks:
        await inbox.finished(task)
    await asyncio.sleep(0.3)
    found = left(host.cluster) | {
        "host_steps": len(host._steps),
        "intervals": [each.interval for each in host.cluster.streams()],
        "threads": [each.name for each in threading.enumerate()],
        "one_each": all([m["kind"] for m in inbox.messages[t.token]].count("finished") == 1 for t in tasks),
        "states": sorted({inbox.messages[task.token][-1]["state"] for task in tasks}),
    }
    link.send("close")
    found["code"] = await serving
    await link.close()
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ["PYTHONUNBUFFERED"] = "1"
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
