"""Runs beside the data: one clean process per step.

*Pool* (``pool.StepPool``): starts and watches step processes on a worker's loop. *Step parent*: a process with the
notebook's packages imported, which forks. *Child*: the process of one step. *Channel*: the child's messages to its
worker. Imports nothing by itself: kernel and children use single modules of it.
"""

from __future__ import annotations

__all__: list[str] = []
