"""Dask on Kubernetes: one pod per worker, of exactly the size that a step asks for, and back to none.

backend      the engine's side
host         process K beside the engine: its first moments; ``serving`` is its work
connection   K's connection to the Dask scheduler, which may break and is made again (``tunnel``: from outside)
attendance   the workers that a scheduler has; crew makes them, guests finds them there
crew         workers and what they do with steps (``tasks``)
cluster      the DaskCluster and its worker groups, by way of ``api``
roster       pure: which worker for which step, what to create, what to delete
watching     what Kubernetes says of the pods; ``failures`` (pure) puts it into words, ``troubles`` asks for them
pod_specs    pure: from sizes and settings to what Kubernetes is told; ``shapes`` names the sizes
scheduler    what runs in the scheduler's pod; ``ledger`` keeps there what K has not yet seen
worker       what runs in a worker's pod

Imports nothing here: the engine's side must stay light.
"""

from __future__ import annotations

__all__: list[str] = []
