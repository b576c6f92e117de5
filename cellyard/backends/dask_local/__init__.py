"""A real Dask scheduler on this machine, in a process of its own.

backend   the engine's side (what it shares with other backends is in ``hosted``)
host      the Dask process: its first moments, before Dask is imported
serving   the Dask process: the engine's link on one side, the cluster on the other
cluster   scheduler, worker and client in one event loop, without any port

Imports nothing here, for the sake of the Dask process's start.
"""

from __future__ import annotations

__all__: list[str] = []
