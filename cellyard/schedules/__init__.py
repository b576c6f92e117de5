"""What runs when.

cron       cron expressions in time zones. Pure
deciding   what follows from times that have come: start, wait, skip, replace. Pure
watching   files and artifacts whose change starts a run, told by their fingerprints
lifetime   whether the engine can outlive the session it was started in
launching  the processes of scheduled runs, and who is told of a failure
scheduler  the loop in the engine that puts these together

Imports nothing here: only an engine with schedules needs the loop.
"""

from __future__ import annotations

__all__: list[str] = []
