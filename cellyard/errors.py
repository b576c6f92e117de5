"""Every error that cellyard raises, in one tree.

    CellyardError
    ├── UsageError                    what was asked for cannot be meant
    │   ├── InvalidSize                 a CPU, memory, GPU or time that does not parse
    │   ├── InvalidStepLine             the %%step line
    │   ├── InvalidCell                 the cell's body does not parse
    │   ├── UnknownName                 a cell reads a name that nobody made; also a NameError
    │   ├── InvalidSettings             a setting, with where it came from
    │   ├── DoesNotFit                  a size that this backend can never give
    │   ├── StepAlreadyRunning          two steps of one name at once
    │   └── NotFound                    a run, step or artifact that does not exist
    ├── CannotTravel                  a value that no other process can be given
    ├── EnvironmentUnfit              the worker cannot be given what the step needs
    │   ├── VersionMismatch             Python, Dask or what pickles, of another version there
    │   ├── ModulesTooLarge             local modules that are too much to send along
    │   └── PackagesUnavailable         packages that could not be installed there
    ├── StepError                     a step ended badly, and not by its own exception
    │   ├── StepOutOfMemory
    │   ├── StepTimeout
    │   ├── StepKilled
    │   ├── StepCancelled
    │   └── WorkerLost
    │       └── WorkerTaken             evicted, preempted, or gone with its node: no fault of the step
    ├── EngineError                   the engine process
    │   ├── EngineUnavailable
    │   │   └── EngineEnded             in the middle of a request that must not be repeated unseen
    │   ├── EngineLeaving
    │   └── EngineMismatch
    ├── ClusterError                  Kubernetes
    │   ├── ClusterUnreachable          the API server does not answer
    │   ├── ClusterRefused              rights that are missing
    │   ├── OperatorMissing             nobody there makes workers
    │   ├── ImageUnavailable            the node cannot get the image
    │   ├── QuotaReached                more than the namespace may ever have
    │   └── WorkerUnstartable           its container ends, or is never begun
    ├── RecordsError                  the database of runs
    │   ├── RecordsLocked
    │   ├── RecordsInUse
    │   └── Unrecordable                what the database will never take
    ├── StoreError                    the store of artifacts
    │   ├── ArtifactMissing
    │   ├── ArtifactCorrupt
    │   ├── StoreFull
    │   ├── StoreUnreachable            nobody answers at its address
    │   └── StoreRefused                its server answers, and says no: bucket, credentials, rights
    └── IllegalState                  a state change that the table does not have

Every class builds its message from its fields, keeps them as attributes, and survives pickling and
:meth:`CellyardError.to_dict` / :func:`error_from_dict`. Imports nothing of cellyard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "ArtifactCorrupt", "ArtifactMissing", "CannotTravel", "CellyardError", "ClusterError", "ClusterRefused",
    "ClusterUnreachable", "DoesNotFit", "EngineEnded", "EngineError", "EngineLeaving", "EngineMismatch",
    "EngineUnavailable", "EnvironmentUnfit", "IllegalState", "ImageUnavailable", "InvalidCell", "InvalidSettings",
    "InvalidSize", "InvalidStepLine", "ModulesTooLarge", "NotFound", "OperatorMissing", "PackagesUnavailable",
    "QuotaReached", "RecordsError", "RecordsInUse", "RecordsLocked", "StepAlreadyRunning", "StepCancelled", "StepError",
    "StepKilled", "StepOutOfMemory", "StepTimeout", "StoreError", "StoreFull", "StoreRefused", "StoreUnreachable",
    "UnknownName", "Unrecordable", "UsageError", "VersionMismatch", "WorkerLost", "WorkerTaken", "WorkerUnstartable",
    "error_from_dict",
]  # fmt: skip


class CellyardError(Exception):
    """The root. Built from keyword fields; the message is the class's ``template`` filled with them."""

    template: ClassVar[str] = "{message}"

    def __init__(self, message: str = "", **fields: Any) -> None:
        self.fields: dict[str, Any] = {"message": message, **fields} if message else dict(fields)
        super().__init__(self.template.format_map(_Blanks(self.fields)).strip())

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.fields)

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON: class name, message, fields."""
        return {"error": type(self).__name__, "message": str(self), "fields": self.fields}

    def to_step_error(self, *, traceback: Sequence[str] = (), cause: str | None = None) -> dict[str, Any]:
        """The error as a step's finished message carries errors, the user's own among them.

        ``cellyard`` holds it as :func:`error_from_dict` reads it; ``exception`` would be the user's, as an artifact.
        """
        return {
            "type": type(self).__name__,
            "message": str(self),
            "traceback": list(traceback),
            "exception": None,
            "cause": cause,
            "cellyard": self.to_dict(),
        }


class _Blanks(dict[str, Any]):
    """Fields for a template; one that was not given reads as nothing."""

    def __missing__(self, key: str) -> str:
        return ""


def _rebuild(cls: type[CellyardError], fields: Mapping[str, Any]) -> CellyardError:
    return cls(**fields)


def error_from_dict(data: Mapping[str, Any]) -> CellyardError:
    """The error that :meth:`CellyardError.to_dict` wrote; an unknown class becomes the root."""
    found = _classes(CellyardError).get(str(data.get("error")))
    if found is None:
        return CellyardError(str(data.get("message", "")))
    return found(**data.get("fields", {}))


def _classes(root: type[CellyardError]) -> dict[str, type[CellyardError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _classes(child)
    return found


class UsageError(CellyardError):
    """What was asked for cannot be meant; nothing was run."""


class InvalidSize(UsageError):
    """A size that does not parse. Fields: option, text, reason, examples."""

    template = "{option} {text!r}: {reason} Examples: {examples}."


class InvalidStepLine(UsageError):
    """The %%step line is not understood. Fields: message, line."""

    template = "{message}"


class InvalidCell(UsageError):
    """The cell's body does not parse. Fields: step, line, column, reason, text."""

    template = "step {step}: line {line} of the cell does not parse: {reason}\n{text}"


class UnknownName(UsageError, NameError):
    """A cell reads a name that does not exist. Fields: step, name, line, hint. Whoever is ready for the NameError that
    a plain cell would raise is ready for this."""

    template = "step {step} reads {name!r} (line {line}), but the notebook has no such name. {hint}"

    def __init__(self, message: str = "", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.name = str(self.fields.get("name", ""))  # a NameError has one itself


class InvalidSettings(UsageError):
    """A setting that cannot hold. Fields: key, value, origin, reason."""

    template = "{key} = {value!r} (from {origin}): {reason}"


class DoesNotFit(UsageError):
    """A size that the backend can never give. Fields: step, wanted, capacity, hint."""

    template = "step {step} asks for {wanted}, and the most there is here is {capacity}. {hint}"


class StepAlreadyRunning(UsageError):
    """A step of that name runs in this notebook. Fields: step, run, hint."""

    template = "a step named {step!r} is still running here (run {run}). {hint}"


class NotFound(UsageError):
    """Something that does not exist was asked for. Fields: what, hint."""

    template = "there is no {what}. {hint}"


class CannotTravel(CellyardError):
    """A value that no other process can be given. Fields: name, type, reason, hint, where."""

    template = "{name!r} ({type}) cannot travel{where}: {reason} {hint}"


class EnvironmentUnfit(CellyardError):
    """The worker cannot be given what the step needs; its cell has not begun. Fields: message."""


class VersionMismatch(EnvironmentUnfit):
    """What must agree between kernel and worker does not. Fields: step, table, hint."""

    template = "the worker and this notebook differ in what must agree:\n{table}\n{hint}"


class ModulesTooLarge(EnvironmentUnfit):
    """Local modules are more than is sent along. Fields: module, size, limit, largest, hint."""

    template = "the local module {module!r} holds {size}, and at most {limit} go with a step. {largest}{hint}"


class PackagesUnavailable(EnvironmentUnfit):
    """Packages that the worker lacks could not be installed there. Fields: packages, reason, hint."""

    template = "the worker lacks {packages}, and could not install this: {reason}\n{hint}"


class StepError(CellyardError):
    """A step ended badly, and not by an exception of its own. Fields: step, message."""


class StepOutOfMemory(StepError):
    """Fields: step, used, limit, hint."""

    template = "step {step} used {used} of the {limit} it may have and was stopped. {hint}"


class StepTimeout(StepError):
    """Fields: step, timeout, hint."""

    template = "step {step} did not end within {timeout} and was stopped. {hint}"


class StepKilled(StepError):
    """Fields: step, reason, hint."""

    template = "the process of step {step} {reason}. {hint}"


class StepCancelled(StepError):
    """Fields: step, by."""

    template = "step {step} was cancelled{by}."


class WorkerLost(StepError):
    """Fields: step, worker, hint."""

    template = "the worker {worker} that ran step {step} was lost. {hint}"


class WorkerTaken(WorkerLost):
    """The cluster took the worker away; the step is tried again as if that attempt had not been. Fields: step, worker,
    hint."""

    template = "the worker {worker} that ran step {step} was taken away. {hint}"


class EngineError(CellyardError):
    """The engine process. Fields: message."""


class EngineUnavailable(EngineError):
    """The engine did not answer. Fields: waited, log."""

    template = "the engine did not answer within {waited}. {log}"


class EngineEnded(EngineUnavailable):
    """It ended while it was asked for something, and nobody knows whether that was done. Fields: reason."""

    template = "the engine ended in the middle of this ({reason}): see whether it was done before you ask again."


class EngineLeaving(EngineError):
    """The engine finishes what runs and takes nothing new. Fields: running."""

    template = "the engine is leaving ({running} step(s) still run) and takes nothing new."


class EngineMismatch(EngineError):
    """An engine of another environment serves this store. Fields: table, hint."""

    template = "the engine of this store belongs to another environment:\n{table}\n{hint}"


class ClusterError(CellyardError):
    """Kubernetes. Fields: message."""


class ClusterUnreachable(ClusterError):
    """The API server did not answer. Fields: reason."""

    template = "the Kubernetes API cannot be reached: {reason}"


class ClusterRefused(ClusterError):
    """Rights that are missing. Fields: reason, hint."""

    template = "Kubernetes does not allow it: {reason}. {hint}"


class OperatorMissing(ClusterError):
    """Nobody in the cluster makes workers of what we ask for. Fields: reason, hint."""

    template = "the Dask operator is missing: {reason}. {hint}"


class ImageUnavailable(ClusterError):
    """Fields: image, reason, hint."""

    template = "the image {image} cannot be used: {reason}. {hint}"


class QuotaReached(ClusterError):
    """A worker that is larger than the namespace's quota. Fields: wanted, reason, hint."""

    template = "the quota of the namespace has no room for {wanted}: {reason}. {hint}"


class WorkerUnstartable(ClusterError):
    """A worker's container ends, or cannot be begun. Fields: reason, log."""

    template = "the worker's container does not start: {reason}.{log}"


class RecordsError(CellyardError):
    """The database of runs. Fields: message."""


class RecordsLocked(RecordsError):
    """Another process holds the records. Fields: path, waited."""

    template = "the records {path} were locked by another process for {waited}; nothing was written."


class RecordsInUse(RecordsError):
    """Another engine writes the records. Fields: path, holder."""

    template = (
        "the records {path} belong to another engine now{holder}, and one at a time may write them. End that one "
        "(`cellyard engine stop` where it runs), or set CELLYARD_RECORDS to a database of its own for this one."
    )


class Unrecordable(RecordsError):
    """The database will never take it, and trying again is of no use. Fields: path, reason."""

    template = "the records {path} did not take it: {reason}"


class StoreError(CellyardError):
    """The store of artifacts. Fields: message."""


class ArtifactMissing(StoreError):
    """Fields: id, store; whose, hint where it is the value of a name."""

    template = "{whose}artifact {id} is not in the store {store}. {hint}"


class ArtifactCorrupt(StoreError):
    """Fields: id, path, reason."""

    template = "artifact {id} is damaged ({path}): {reason}"


class StoreFull(StoreError):
    """Fields: path, needed."""

    template = (
        "no space left in the store {path} ({needed} were to be written); nothing was committed. "
        "Free some space there (`cellyard gc` throws away what no run of late speaks of), or set CELLYARD_STORE to "
        "another place."
    )


class StoreUnreachable(StoreError):
    """Nobody answered. Fields: store, endpoint, reason, waited, hint."""

    template = "the store {store} did not answer at {endpoint} within {waited}: {reason}. {hint}"


class StoreRefused(StoreError):
    """The server answered and does not let us. Fields: store, endpoint, reason, hint."""

    template = "the store {store} at {endpoint} refused: {reason}. {hint}"


class IllegalState(CellyardError):
    """A state change that the table does not have. Fields: what, history."""

    template = "{what}: {history} is not a legal change."
