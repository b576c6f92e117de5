"""Growing: sizes that follow what a step has used: ``--memory auto``, and more memory after it ran out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cellyard.backends.base import Offer
from cellyard.execution.admission import Admission, admit
from cellyard.execution.journal import Journal
from cellyard.model import Resources, StepRequest, format_memory
from cellyard.model.sizing import propose

__all__ = ["grown", "sized"]

_LOOKED_AT = 20


async def sized(request: StepRequest, journal: Journal, offer: Offer) -> tuple[StepRequest, Admission]:
    """The size of a step there; the request has the memory that earlier attempts speak for, where it leaves that to us.
    Raises DoesNotFit."""
    request, notes = await _by_evidence(request, journal, offer)
    admission = admit(request, offer)
    return request, replace(admission, notes=(*notes, *admission.notes))


async def _by_evidence(request: StepRequest, journal: Journal, offer: Offer) -> tuple[StepRequest, tuple[str, ...]]:
    if not request.options.memory_auto:
        return request, ()
    found = await journal.read(lambda records: records.evidence(request.notebook, request.name, most=_LOOKED_AT))
    proposal = propose(found.get(request.name, []))
    if proposal.memory is None:
        return request, ("--memory auto: it has not run here before, so what it uses is measured now",)
    memory = min(proposal.memory, offer.capacity.memory or proposal.memory)
    options = replace(request.options, resources=replace(request.options.resources, memory=memory))
    note = f"--memory auto: {format_memory(memory)} ({proposal.because})"
    return replace(request, options=options), (note,)


def grown(resources: Resources, error: Mapping[str, Any] | None, capacity: Resources) -> Resources | None:
    """The size of the next attempt: after one that ran out of memory twice as much of it, as far as there is. None when
    there is no more: it would only run out again."""
    if not error or error["type"] != "StepOutOfMemory" or resources.memory is None:
        return resources
    larger = min(2 * resources.memory, capacity.memory or 2 * resources.memory)
    return replace(resources, memory=larger) if larger > resources.memory else None
