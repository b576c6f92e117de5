"""Runs beside the data: one clean process per step.

*Pool*: starts and watches step processes on a worker's loop. *Step parent*: a process with the notebook's packages
imported, which forks. *Child*: the process of one step. *Channel*: the child's messages to its worker.
"""

from __future__ import annotations

from cellyard.worker.pool import StepPool

__all__ = ["StepPool"]
