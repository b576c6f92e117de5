"""Binding what a step has made: to the names of the notebook, and to what IPython keeps of shown values."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from cellyard.artifacts.store import OBJECTS
from cellyard.environment.elsewhere import returned
from cellyard.model.step import StepRequest
from cellyard.worker import process_state
from cellyard.worker.module_places import PLACES
from cellyard.worker.reloads import RELOADED, reload_all
from kernel_magics.displayed import is_shown_name

if TYPE_CHECKING:
    from kernel_magics.namespace import Namespace

__all__ = ["bind_all", "bind_rest"]


def bind_all(namespace: Namespace, finished: Mapping[str, Any], request: StepRequest) -> None:
    """Bind what a step made for which its cell has waited, and take over what it changed in the process state."""
    if finished.get("reused"):
        _bind_reused(namespace, finished, request)
        return
    state = _accepted(namespace, finished)
    earlier = namespace.bind(_with_maker(finished, request), finished["deleted"], request.inputs)
    if state:
        if request.environment is not None:
            state = returned(state, process_state.capture(("environment", "path")))
        process_state.apply(state)
    if finished["result"]:
        namespace.show(request.execution_count, finished["result"], finished["outputs"], earlier)


def _bind_reused(namespace: Namespace, finished: Mapping[str, Any], request: StepRequest) -> None:
    """What an earlier step has made, perhaps of another number: what it had shown is what this one shows."""
    result = finished["result"]
    told = [*finished["outputs"], *([result] if result else [])]
    shown = {name for each in told for name in each["names"] if is_shown_name(name)}
    namespace.bind(finished["outputs"], finished["deleted"], request.inputs, keep=shown)
    kept = (finished.get("process_state") or {}).get("kept")
    if kept:
        process_state.apply(pickle.loads(base64.b64decode(kept)))
    if result:
        namespace.show_value(result)


def bind_rest(
    namespace: Namespace,
    finished: Mapping[str, Any],
    request: StepRequest,
    *,
    keep: Collection[str],
    is_ours: Callable[[str], bool],
) -> None:
    """Bind what a step made while others ran: but those to ``keep``. ``is_ours`` says which names it may delete. The
    process state is that of the cells since."""
    _accepted(namespace, finished)
    deleted = [name for name in finished["deleted"] if is_ours(name)]
    namespace.bind(_with_maker(finished, request), deleted, request.inputs, keep=keep)
    if finished["result"]:
        namespace.keep_shown(request.execution_count, finished["result"], finished["outputs"])


def _with_maker(finished: Mapping[str, Any], request: StepRequest) -> list[dict[str, Any]]:
    """The outputs, which say where they were made, for the day when one is missing."""
    maker = f", which step {request.name!r} made in run {finished.get('run')},"
    return [{**output, "made_by": maker} for output in finished["outputs"]]


def _accepted(namespace: Namespace, finished: Mapping[str, Any]) -> dict[str, Any]:
    """What came beside the events, for this kernel alone: small objects go to the store, modules that the step has
    reloaded are so here, and where its own lie is known, before values of their classes come; the process state is
    left."""
    private = finished.get("private")
    found: dict[str, Any] = pickle.loads(base64.b64decode(private)) if private else {}
    namespace.accept(found.pop(OBJECTS, {}))
    reload_all(found.pop(RELOADED, ()))
    namespace.places.add(found.pop(PLACES, ()))
    return found
