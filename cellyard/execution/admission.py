"""What size a step gets, before anything runs. Pure: a request and a capacity in, a size and notes out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cellyard.errors import DoesNotFit, UsageError
from cellyard.model import Resources, StepRequest, format_memory

__all__ = ["Admission", "admit"]


@dataclass(frozen=True, slots=True)
class Admission:
    """The size that a step gets, and what its user should know about it (whole sentences)."""

    resources: Resources
    notes: tuple[str, ...] = ()


def admit(request: StepRequest, capacity: Resources, *, backend: str = "local") -> Admission:
    """The step's size here. CPU above the capacity is capped; memory and GPUs are only when the line says
    ``--fit``, otherwise DoesNotFit is raised: a step that waits for what will never be there looks like one
    that works."""
    if request.options.backend != backend:
        raise UsageError(
            f"step {request.name} asks for --on {request.options.backend}, and this engine has only {backend!r}."
        )
    wanted = request.resources
    given, notes = _capped(wanted, capacity, fit=request.options.fit)
    shortage = given.shortage(capacity)
    if shortage is not None:
        hint = f"It lacks {shortage}. Ask for less, or add --fit to take what there is."
        raise DoesNotFit(step=request.name, wanted=str(wanted), capacity=str(capacity), hint=hint)
    return Admission(given, notes)


def _capped(wanted: Resources, capacity: Resources, *, fit: bool) -> tuple[Resources, tuple[str, ...]]:
    given, notes = wanted, []
    if wanted.cpu > capacity.cpu:
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
