"""What size a step gets, before anything runs. Pure: a request and what a backend offers in, a size and notes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cellyard.backends.base import Offer
from cellyard.errors import DoesNotFit
from cellyard.model import Resources, StepLine, StepRequest, format_memory

__all__ = ["Admission", "admit", "lacking"]

_PLACING = ("disk", "image", "node", "spot", "priority")


@dataclass(frozen=True, slots=True)
class Admission:
    """The size that a step gets, and what its user should know about it (whole sentences)."""

    resources: Resources
    notes: tuple[str, ...] = ()


def admit(request: StepRequest, offer: Offer) -> Admission:
    """The step's size there. What can never be had raises DoesNotFit, unless the line says ``--fit``, or the CPUs of
    a machine are the only thing: a step that waits for what will never be there looks like one that works."""
    wanted = _wanted(request.resources, offer)
    given, notes = _capped(wanted, offer, fit=request.options.fit)
    shortage = given.shortage(offer.capacity)
    if shortage is not None:
        hint = f"It lacks {shortage}. Ask for less, or add --fit to take what there is."
        raise DoesNotFit(step=request.name, wanted=str(wanted), capacity=str(offer.capacity), hint=hint)
    return Admission(given, (*notes, *_ignored(request.options, offer)))


def lacking(resources: Resources, offer: Offer, *, fit: bool) -> str | None:
    """What a step of that size could never get there, in words."""
    given, _ = _capped(_wanted(resources, offer), offer, fit=fit)
    return given.shortage(offer.capacity)


def _wanted(resources: Resources, offer: Offer) -> Resources:
    return replace(resources, memory=offer.memory) if resources.memory is None else resources


def _ignored(options: StepLine, offer: Offer) -> Iterator[str]:
    """The options that say where on a cluster a step belongs mean nothing on one machine, and do no harm there."""
    given = [name for name in _PLACING if getattr(options, name) and name not in offer.honours]
    if given:
        flags = " and ".join(f"--{name}" for name in given)
        yield f"{flags} {'says' if len(given) == 1 else 'say'} nothing to {offer.place}, where the step runs without"


def _capped(wanted: Resources, offer: Offer, *, fit: bool) -> tuple[Resources, tuple[str, ...]]:
    given, capacity, notes = wanted, offer.capacity, []
    if wanted.cpu > capacity.cpu and (fit or offer.caps_cpu):
        given = replace(given, cpu=capacity.cpu)
        notes.append(f"--cpu {wanted.cpu:g} is more than there is here; the step gets {capacity.cpu:g} CPU")
    if fit and _exceeds(wanted.memory, capacity.memory):
        given = replace(given, memory=capacity.memory)
        notes.append(
            f"--memory {format_memory(wanted.memory or 0)} is more than there is here; "
            f"the step gets {format_memory(capacity.memory or 0)}"
        )
    if fit and wanted.gpu > capacity.gpu:
        given = replace(given, gpu=capacity.gpu)
        notes.append(f"--gpu {wanted.gpu} is more than there is here; the step gets {capacity.gpu} GPU")
    return given, tuple(notes)


def _exceeds(wanted: int | None, capacity: int | None) -> bool:
    return wanted is not None and capacity is not None and wanted > capacity
