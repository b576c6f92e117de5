"""A step's size inside its process: processors, thread pools, GPUs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["SIZE", "THREAD_SETTINGS", "use_processors", "use_size"]

#: Keeps libraries from starting threads when they are imported; a child gets its own counts after the fork.
THREAD_SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}

SIZE = ("cpus", "gpus", "threads")
"""What of a step's place :func:`use_size` looks at."""
_POOL_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


def use_size(place: Mapping[str, Any]) -> None:
    """Keep this process and its children to the processors of ``place``, with as many threads per pool.

    ``place`` has ``cpus`` (processor numbers) and ``gpus`` (device numbers). With ``threads`` it is only their number,
    on any processors. Libraries that are loaded get their count from their own setters; those loaded later read it from
    the environment, or see the affinity.
    """
    cpus = list(place["cpus"])
    count: int = place.get("threads", len(cpus))
    if "threads" not in place and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)
    os.environ.update(dict.fromkeys(_POOL_VARIABLES, str(count)))
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, place["gpus"]))
    if count > 1:
        _resize_loaded_pools(count)


def use_processors(cpus: Iterable[int]) -> None:
    """The calling thread, and those that it starts, on any of ``cpus``."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)


def _resize_loaded_pools(count: int) -> None:
    """The parent loaded its libraries with one thread each."""
    from threadpoolctl import ThreadpoolController

    if {"numpy", "scipy", "sklearn"} & sys.modules.keys():
        # A limit that is not used as a context manager stays for the life of the process.
        ThreadpoolController().limit(limits=count)
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].set_cpu_count(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "numexpr" in sys.modules:
        sys.modules["numexpr"].set_num_threads(count)
