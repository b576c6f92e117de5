"""A worker's pod: ``python -m cellyard.backends.dask_on_kubernetes.worker``; what it is, its variables say.

The step parent is started before Dask is imported, so that both get ready side by side. One Dask worker, which offers
its shape once: it runs one step at a time. When the scheduler is gone it ends; the pod starts it again.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cellyard.backends.dask_config import MESSAGE_INTERVAL, configure
from cellyard.backends.dask_on_kubernetes.failures import SCHEDULER_GONE
from cellyard.worker.pool import StepPool
from cellyard.worker.processes import adopt_orphans, end_adopted

if TYPE_CHECKING:
    from cellyard.backends.dask_on_kubernetes.steps import ClusterSteps

__all__ = ["main"]

_THREADS = 100
"""Steps are asynchronous tasks, so this makes no threads; the shape is the limit."""
_SCHEDULER_WITHIN = "300s"
_SWEEP_EVERY = 2.0


def main() -> int:
    """Serve until the scheduler has gone, and then return SCHEDULER_GONE; or until the pod ends."""
    faulthandler.enable()
    adopt_orphans()
    store = os.environ["CELLYARD_STORE"]
    parent = StepPool.spawn_parent(store)
    # At once: what a step has made is in the store or is not, and the container takes its processes along.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    configure({"distributed.comm.timeouts.connect": "10s"})

    from cellyard.backends.dask_on_kubernetes.steps import ClusterSteps, make_pool

    pool = make_pool(store, gpus=int(os.environ.get("CELLYARD_GPUS", "0")), parent=parent)
    plugin = ClusterSteps(os.environ["CELLYARD_TOPIC"], store, pool)
    asyncio.run(_serve(plugin, os.environ))
    return SCHEDULER_GONE


async def _serve(plugin: ClusterSteps, env: Mapping[str, str]) -> None:
    from distributed import Worker

    class StepWorker(Worker):
        def start_http_server(self, *args: object, **kwargs: object) -> None:
            """None: nobody asks it anything."""

    worker = await StepWorker(
        env["DASK_SCHEDULER_ADDRESS"],
        # Unlike any before it in this pod: the scheduler may not have noticed yet that that one has ended.
        name=f"{env['DASK_WORKER_NAME']}:{env['CELLYARD_POD']}:{uuid.uuid4().hex[:6]}",
        local_directory="/tmp/dask",
        nthreads=_THREADS,
        resources={env["CELLYARD_SHAPE"]: 1},
        memory_limit=0,
        plugins=(plugin,),
        extensions={},
        death_timeout=_SCHEDULER_WITHIN,
    )
    worker.batched_stream.interval = MESSAGE_INTERVAL
    sweeping = asyncio.create_task(_sweep(plugin))
    await worker.finished()
    sweeping.cancel()


async def _sweep(plugin: ClusterSteps) -> None:
    """End what steps left behind. The pool's own processes are spared."""
    while True:
        await asyncio.sleep(_SWEEP_EVERY)
        end_adopted(plugin.pool.pids())


if __name__ == "__main__":
    sys.exit(main())
