"""Where steps run.

Backend     the contract: start, submit, interrupt, cancel, close (``base``)
StepTask    one attempt of a step, ready to run (``base``)
Message     what comes back for a token, in order, ending with exactly one "finished" (``base``)
local       a Dask scheduler and worker in a process of their own on this machine (``dask_local``)
in_process  the twin: the same promises without Dask and without another process (``in_process``)

Imports nothing here: the Dask process must reach its first fork before anything heavy is loaded.
"""

from __future__ import annotations

__all__: list[str] = []
