"""Carrying out steps.

admission, verdict     pure: what size a step gets; how an attempt ended
live                   the steps that have been accepted and have not finished
hub, journal, telling  events: numbered in memory, written soon after, told in order
runs, owners           open runs and the processes that own them
routing                the backends, by the names that steps call them
runner                 the loop
"""

from __future__ import annotations

__all__: list[str] = []
