"""What Kubernetes says of a pod, in words: why it waits, why it will not start, why it has ended. Pure.

Takes pods and events as the API server gives them; see :func:`why_waiting` and :func:`why_gone`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cellyard.backends.dask_on_kubernetes.shapes import Shape
from cellyard.errors import CellyardError, ImageUnavailable, QuotaReached, WorkerUnstartable
from cellyard.model.resources import format_memory

__all__ = ["SCHEDULER_GONE", "Gone", "Waiting", "why_gone", "why_waiting"]

Object = Mapping[str, Any]

SCHEDULER_GONE = 69
"""The exit code of a worker whose scheduler has gone."""

_KILLED = 137

PATIENCE = 30.0
"""Seconds after which what may still go away by itself (an image that cannot be pulled) counts as final."""

_IMAGE_FINAL = {"ErrImageNeverPull", "InvalidImageName", "ImageInspectError"}
_IMAGE_WAITS = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"}
_NOT_BEGUN = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_MOST_RESTARTS = 2

_TAKEN = {
    "PreemptionByScheduler": "A pod of higher priority took its place (preempted).",
    "DeletionByTaintManager": "Its node no longer bears it: the node was lost, or is being emptied.",
    "EvictionByEvictionAPI": "It was evicted, as when a node is emptied for maintenance.",
    "DeletionByPodGC": "Its node no longer exists.",
    "TerminationByKubelet": "Its node ended it: the node ran short of resources, or shut down.",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a worker's pod does not run yet: ``text`` is a sentence; ``error`` is set when waiting is of no use.
    ``short``: the cluster, or the namespace's quota, has no room for it now."""

    text: str
    error: CellyardError | None = None
    short: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """Why a worker has gone. ``kind``: "memory" or "disk" (over its limit), "taken" (by the cluster; not its fault),
    "exit" (its container ended), "deleted" (someone deleted it), "unknown"."""

    kind: str
    text: str


def why_waiting(
    pod: Object | None, events: Iterable[Object], shape: Shape, *, seconds: float, namespace: str = ""
) -> Waiting | None:
    """Why the worker does not run, as far as can be told; ``seconds``: for how long it has been wanted. ``events`` are
    those of the pod and of what makes it. None: nothing is wrong, as far as is known."""
    if pod is None:
        return _not_made(list(events), shape, namespace)
    for status in _statuses(pod):
        found = _container_waits(status, shape, seconds)
        if found is not None:
            return found
    condition = _condition(pod, "PodScheduled")
    if condition is not None and condition.get("status") == "False":
        return _unscheduled(str(condition.get("message") or ""), shape)
    return None


def why_gone(pod: Object | None, events: Iterable[Object], node: Object | None = None) -> Gone:
    """Why a worker that was there has gone: from its pod as it was seen last (None: it is not there any more), its
    events, and its node if that is known."""
    events = list(events)
    if pod is None:
        return _from_events(events) or Gone("deleted", "Its pod was deleted.")
    found = _from_status(pod) or _from_containers(pod) or _from_events(events) or _from_node(node)
    if found is not None:
        return found
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return Gone("deleted", "Its pod was deleted.")
    return Gone("unknown", "Its connection to the scheduler broke.")


# Before it runs.


def _not_made(events: Sequence[Object], shape: Shape, namespace: str) -> Waiting | None:
    """No pod yet: the namespace's quota, or a rule of the cluster, refuses it."""
    for event in reversed(events):
        if event.get("reason") != "FailedCreate":
            continue
        message = str(event.get("message") or "")
        if "exceeded quota" in message:
            return _quota(message, shape, namespace)
        if "forbidden" in message or "denied" in message:
            reason = message.partition("is forbidden:")[2].strip() or message
            error = WorkerUnstartable(reason=f"a rule of the cluster refuses its pod ({reason})")
            return Waiting(f"a rule of the cluster refuses the worker's pod: {reason}", error)
    return None


def _quota(message: str, shape: Shape, namespace: str) -> Waiting:
    """As Kubernetes writes it: "exceeded quota: q, requested: a=1,b=2, used: a=0,b=0, limited: a=0,b=0"."""
    parts = {key: _amounts(text) for key, text in re.findall(r"(requested|used|limited): ([^ ]+?)(?:, |$)", message)}
    requested, used, limited = (parts.get(key, {}) for key in ("requested", "used", "limited"))
    words = [
        f"{key}: {amount} more than {used.get(key, '0')} of {limited[key]} that are used"
        for key, amount in requested.items()
        if key in limited
    ]
    reason = "; ".join(words) or message.partition("exceeded quota:")[2].strip()
    text = f"the quota of the namespace{f' {namespace}' if namespace else ''} is reached ({reason})"
    if any(_number(amount) > _number(limited[key]) for key, amount in requested.items() if key in limited):
        hint = "Ask for less, or have the quota raised."
        return Waiting(text, QuotaReached(wanted=str(shape), reason=reason, hint=hint), short=True)
    return Waiting(f"{text}; it waits until there is room", short=True)


def _amounts(text: str) -> dict[str, str]:
    return dict(each.split("=", 1) for each in text.split(",") if "=" in each)


_SUFFIXES = {
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


def _number(quantity: str) -> float:
    match = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", quantity)
    return float(match[1]) * _SUFFIXES.get(match[2], 1.0) if match else 0.0


def _container_waits(status: Object, shape: Shape, seconds: float) -> Waiting | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "").strip()
    if reason in _IMAGE_FINAL | _IMAGE_WAITS:
        return _image(str(status.get("image") or shape.image), reason, message, seconds)
    if reason in _NOT_BEGUN:
        error = WorkerUnstartable(reason=message or reason) if seconds > PATIENCE else None
        return Waiting(f"the worker's container cannot be begun: {message or reason}", error)
    restarts = int(status.get("restartCount") or 0)
    ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated")
    if ended and not status.get("ready") and (restarts >= _MOST_RESTARTS or reason == "CrashLoopBackOff"):
        how = _how_ended(ended)
        return Waiting(f"the worker's container {how} as soon as it starts", WorkerUnstartable(reason=f"it {how}"))
    return None


def _image(image: str, reason: str, message: str, seconds: float) -> Waiting:
    detail = _innermost(message) or reason
    text = f"the image {image} cannot be used: {detail}"
    hint = "Set kubernetes.image, or --image, to one that the nodes can pull."
    final = reason in _IMAGE_FINAL or seconds > PATIENCE
    return Waiting(text, ImageUnavailable(image=image, reason=detail, hint=hint) if final else None)


def _innermost(message: str) -> str:
    """The end of a chain of errors, which tells most."""
    parts = [each.strip(' "') for each in message.split(": ") if each.strip(' "')]
    return parts[-1] if parts else ""


def _unscheduled(message: str, shape: Shape) -> Waiting:
    """The scheduler counts nodes: "0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. …"."""
    wishes = {
        r"Insufficient cpu": f"{shape.cpu:g} CPU",
        r"Insufficient memory": f"{format_memory(shape.memory)} memory",
        r"Insufficient ephemeral-storage": f"{format_memory(shape.disk or 0)} disk",
        r"Insufficient \S*gpu\S*": f"{shape.gpu} GPU",
        r"didn't match Pod's node affinity/selector": _labels(shape),
        r"untolerated taint": "a node that it may use (all others are reserved by a taint)",
        r"Too many pods": "a node with room for one more pod",
        r"volume|persistentvolumeclaim": "its volume",
    }
    lacking = [text for pattern, text in wishes.items() if re.search(pattern, message.partition("preemption:")[0])]
    if not lacking:
        return Waiting(f"the cluster has no place for the worker now: {message or 'no reason was given'}", short=True)
    counted = re.match(r"(\d+)/(\d+) nodes", message)
    nodes = f" (of {counted[2]} node{'s' if counted[2] != '1' else ''})" if counted else ""
    return Waiting(f"no node{nodes} has free what the step asks for: {', '.join(lacking)}", short=True)


def _labels(shape: Shape) -> str:
    named = [f"{key}={value}" for key, value in shape.node] + (["spot"] if shape.spot else [])
    return f"a node with {' and '.join(named)}" if named else "a node that the settings' node_selector allows"


# After it ran.


def _from_status(pod: Object) -> Gone | None:
    """What the pod itself says of being taken away."""
    status = pod.get("status") or {}
    condition = _condition(pod, "DisruptionTarget")
    if condition is not None and condition.get("status") == "True":
        reason = str(condition.get("reason"))
        text = _TAKEN.get(reason, f"The cluster took its pod away ({reason}).")
        return Gone("taken", _with(text, condition.get("message")))
    reason = str(status.get("reason") or "")
    message = str(status.get("message") or "")
    if reason == "Evicted" and re.search(r"(local storage|emptyDir|EmptyDir volume).*(limit|exceeds)", message):
        return Gone("disk", _with("Its pod used more local disk than it may.", message))
    if reason in {"Evicted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"}:
        text = "Its pod was evicted." if reason == "Evicted" else f"Its node took it away ({reason})."
        return Gone("taken", _with(text, status.get("message")))
    return None


def _from_node(node: Object | None) -> Gone | None:
    if node is None or _condition(node, "Ready", "status") == "True":
        return None
    why = _condition(node, "Ready", "message") or "it does not answer"
    return Gone("taken", f"Its node {node['metadata']['name']} was lost: {str(why).rstrip('.')}.")


def _from_containers(pod: Object) -> Gone | None:
    for status in _statuses(pod):
        ended = (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated")
        if ended is None:
            continue
        # With another exit code it is a process of the container that was killed, some time before.
        if ended.get("reason") == "OOMKilled" and ended.get("exitCode") == _KILLED:
            return Gone("memory", "Kubernetes ended the whole container, because it used more memory than it may.")
        deleted = (pod.get("metadata") or {}).get("deletionTimestamp")
        if not deleted:
            return Gone("exit", f"Its container {_how_ended(ended)}.")
    return None


def _from_events(events: Iterable[Object]) -> Gone | None:
    for event in events:
        reason, message = event.get("reason"), event.get("message")
        if reason == "Preempted":
            return Gone("taken", _with(_TAKEN["PreemptionByScheduler"], message))
        if reason == "Evicted":
            return Gone("taken", _with("Its pod was evicted.", message))
        if reason in {"TaintManagerEviction", "NodeNotReady", "NodeShutdown"}:
            return Gone("taken", _with(_TAKEN["DeletionByTaintManager"], message))
    return None


def _how_ended(ended: Object) -> str:
    if ended.get("reason") == "OOMKilled":
        return "used more memory than it may and was killed"
    if ended.get("signal"):
        return f"was killed by signal {ended['signal']}"
    code = int(ended.get("exitCode") or 0)
    if code == SCHEDULER_GONE:
        return "ended because the Dask scheduler in the cluster was lost"
    if code > 128:
        return f"was killed by signal {code - 128}"
    return f"ended with exit code {code}"


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _condition(thing: Object, kind: str, field: str | None = None) -> Any:
    for each in (thing.get("status") or {}).get("conditions") or ():
        if each.get("type") == kind:
            return each if field is None else each.get(field)
    return None


def _with(text: str, message: object) -> str:
    detail = str(message or "").strip().rstrip(".")
    return f"{text} Kubernetes says: {detail}." if detail else text
