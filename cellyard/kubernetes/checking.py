"""Checking: every link from this machine to a step that ran on a pod, one after the other.

What depends on a link that failed is not tried. The last links are seen by running one tiny step through the backend,
with an engine's name of its own, so that it shares no pod with anybody.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cellyard.artifacts import load
from cellyard.artifacts.store import open_store
from cellyard.backends.base import Message, StepTask
from cellyard.backends.dask_on_kubernetes.pod_specs import ENGINE
from cellyard.backends.dask_on_kubernetes.shapes import DEFAULT_IMAGE
from cellyard.backends.registry import create_backend
from cellyard.environment.versions import Versions, check_versions, versions_here
from cellyard.errors import CellyardError, ClusterError, ClusterRefused, StoreError
from cellyard.kubernetes.api import ManagedApi
from cellyard.kubernetes.installing import waiting_reason
from cellyard.kubernetes.manifests import OPERATOR_NAME, served_by
from cellyard.kubernetes.rights import ENGINE as ENGINE_RIGHTS
from cellyard.kubernetes.rights import rights_in
from cellyard.model.resources import Resources
from cellyard.model.step import StepRequest
from cellyard.settings import Settings

__all__ = ["LINKS", "Link", "check_links"]

LINKS = (
    "API server",
    "rights",
    "custom resources",
    "operator",
    "image",
    "pods start",
    "scheduler",
    "store from here",
    "store from a pod",
    "versions",
)

_OF_SCHEDULER = ("scheduler", "store from here", "store from a pod", "versions")
"""Those that matter where steps go to a Dask scheduler that is there already."""

_INSTALL = "Run: cellyard kubernetes install"
_STEP_WITHIN = 150.0
_STORE_PATIENCE = 10.0
# Half a CPU: with less, a worker takes long to start.
_RESOURCES = Resources(cpu=0.5, memory=128 << 20)
_KINDS = {"daskclusters", "daskworkergroups"}
# Where the tiny step's error says that the chain is broken.
_BROKEN_AT = {
    "ImageUnavailable": "image",
    "WorkerUnstartable": "pods start",
    "QuotaReached": "pods start",
    "OperatorMissing": "operator",
    "ClusterRefused": "rights",
    "VersionMismatch": "versions",
}
_SOURCE = """
import json
from cellyard.environment.versions import versions_here
print(json.dumps(versions_here().to_dict()))
answer = {answer!r}
"""


@dataclass(frozen=True, slots=True)
class Link:
    """One link. ``ok`` is None when it was not tried; ``advice`` says what to do when it failed."""

    name: str
    ok: bool | None
    found: str
    advice: str = ""


async def check_links(settings: Settings, *, operator_namespace: str) -> AsyncIterator[Link | str]:
    """The links of ``LINKS`` in their order; between them, what is being done now, as text."""
    found: dict[str, Link] = {}
    given = settings.kubernetes.scheduler
    looking = _looked_at(settings, operator_namespace) if given is None else _at_scheduler(settings, given)
    async for each in looking:
        if isinstance(each, Link):
            found[each.name] = each
        else:
            yield each
    if found.get("operator") is not None and found["operator"].ok is None and "scheduler" in found:
        # It could not be seen, and what it does can.
        found["operator"] = Link("operator", True, "it made the pods")
    for name in LINKS if given is None else _OF_SCHEDULER:
        yield found.get(name) or Link(name, None, "a link that it needs has failed")


async def _at_scheduler(settings: Settings, address: str) -> AsyncIterator[Link | str]:
    """Of a Dask cluster that is there already nothing is asked but to run the step."""
    yield "writing to the store"
    here = await asyncio.to_thread(_store_from_here, settings)
    yield here
    if not here.ok:
        return
    with tempfile.TemporaryDirectory(prefix="cy-") as folder:
        run = _Run(replace(settings, runtime=Path(folder)), uuid.uuid4().hex)
        async for note in run.messages():
            yield note
    if run.started:
        yield Link("scheduler", True, f"{address}: reached, and a worker of it")
        for link in _end_of(run, f"the workers of {address}"):
            yield link
    else:
        advice = f"Check the setting kubernetes.scheduler, and that {address} has workers with cellyard."
        yield Link("scheduler", False, run.said, advice)


async def _looked_at(settings: Settings, operator_namespace: str) -> AsyncIterator[Link | str]:
    yield "asking the API server"
    try:
        async with ManagedApi.opened(settings.kubernetes) as api:
            yield Link("API server", True, f"{api.server}, namespace {api.namespace}")
            async for each in _with_api(settings, api, operator_namespace):
                yield each
    except ClusterError as error:
        yield Link("API server", False, str(error), "Check KUBECONFIG and --context, or the network.")
        yield await asyncio.to_thread(_store_from_here, settings)


async def _with_api(settings: Settings, api: ManagedApi, operator_namespace: str) -> AsyncIterator[Link | str]:
    yield "writing to the store"
    here = await asyncio.to_thread(_store_from_here, settings)
    yield here
    well = bool(here.ok)
    for look in (_rights(api), _definitions(api), _operator(api, operator_namespace)):
        link = await look
        well = well and link.ok is not False
        yield link
    if well:
        async for each in _step(settings, api):
            yield each


async def _rights(api: ManagedApi) -> Link:
    missing = await api.missing(rights_in(ENGINE_RIGHTS), api.namespace)
    if not missing:
        return Link("rights", True, f"all that an engine needs in {api.namespace}")
    advice = (
        f"Ask for the Role cellyard-engine in {api.namespace}, which `cellyard kubernetes install` makes: kubectl "
        f"create rolebinding ME -n {api.namespace} --role=cellyard-engine --user=ME"
    )
    return Link("rights", False, f"missing: {', '.join(map(str, missing))}", advice)


async def _definitions(api: ManagedApi) -> Link:
    known = await api.kinds("kubernetes.dask.org/v1")
    if known >= _KINDS:
        return Link("custom resources", True, "DaskCluster and DaskWorkerGroup, kubernetes.dask.org/v1")
    return Link("custom resources", False, "the cluster knows no DaskCluster and DaskWorkerGroup", _INSTALL)


async def _operator(api: ManagedApi, place: str) -> Link:
    named = {"name": OPERATOR_NAME, "namespace": place}
    try:
        found = await api.read({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named})
    except ClusterRefused:
        return Link("operator", None, f"not to be seen from here (no right to look into {place}); the step will show")
    if found is None:
        # It may be another one, of Dask's own chart, or in another namespace.
        return Link("operator", None, f"none of cellyard's in {place}; the step will show whether there is another")
    served = served_by(found)
    if served and api.namespace not in served:
        return Link("operator", False, f"it serves {', '.join(served)}, and not {api.namespace}", _INSTALL)
    if found.get("status", {}).get("availableReplicas"):
        return Link("operator", True, f"{place}/{OPERATOR_NAME}, for {', '.join(served) or 'all namespaces'}")
    pods = await api.all_of("v1", "Pod", place, "app.kubernetes.io/component=operator")
    reason = " ".join(filter(None, map(waiting_reason, pods))) or "its pod is not ready"
    return Link("operator", False, reason, f"Look at: kubectl logs -n {place} deploy/{OPERATOR_NAME}")


def _store_from_here(settings: Settings) -> Link:
    name = "store from here"
    if "://" not in settings.store and settings.kubernetes.scheduler is None:
        advice = "Set CELLYARD_STORE=s3://BUCKET/PREFIX, and the AWS_* variables."
        return Link(name, False, f"{settings.store} is a folder of this machine, which pods cannot reach", advice)
    content = uuid.uuid4().bytes
    try:
        store = open_store(settings.store_address, patience=_STORE_PATIENCE)
        with store.writing() as batch:
            written = batch.put(content)
        # Another one, which has nothing at hand.
        read = open_store(settings.store_address, patience=_STORE_PATIENCE).read(written)
    except StoreError as error:
        return Link(name, False, str(error), "Check the bucket, and the AWS_* variables of this process.")
    return Link(name, read == content, f"{settings.store}: written and read")


async def _step(settings: Settings, api: ManagedApi) -> AsyncIterator[Link | str]:
    """Run the tiny step, and tell how far it came."""
    answer = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="cy-") as folder:
        run = _Run(replace(settings, runtime=Path(folder)), answer)
        async for note in run.messages():
            yield note
        pods = [] if run.succeeded else await _pods(api, Path(folder))
    for link in _links_of(run, pods, settings):
        yield link


class _Run:
    """The tiny step, once, on a backend of its own."""

    def __init__(self, settings: Settings, answer: str) -> None:
        self.settings = settings
        self.answer = answer
        self.seen: list[Message] = []
        self.error: dict[str, Any] | None = None
        self.finished: Message | None = None

    @property
    def succeeded(self) -> bool:
        return self.finished is not None and self.finished["state"] == "succeeded"

    @property
    def started(self) -> bool:
        return any(each["kind"] == "started" for each in self.seen)

    @property
    def said(self) -> str:
        """What it failed with."""
        return str((self.error or {}).get("message", "it did not end"))

    @property
    def printed(self) -> str:
        messages = (each["message"] for each in self.seen if each["kind"] == "output")
        return "".join(each.get("text", "") for each in messages)

    async def messages(self) -> AsyncIterator[str]:
        """Run it; what is said of it meanwhile. Whatever becomes of it, nothing of it is left."""
        queue: asyncio.Queue[Message] = asyncio.Queue()

        def listen(token: str, messages: list[Message]) -> None:
            for each in messages:
                queue.put_nowait(each)

        backend = create_backend("kubernetes", self.settings)
        await backend.start(listen)
        try:
            yield "starting a scheduler and a worker"
            await backend.submit(_task(self.answer))
            async with asyncio.timeout(_STEP_WITHIN):
                while self.finished is None:
                    message = await queue.get()
                    self.seen.append(message)
                    if message["kind"] == "note":
                        yield message["text"]
                    if message["kind"] == "finished":
                        self.finished, self.error = message, message["error"]
        except TimeoutError:
            notes = [each["text"] for each in self.seen if each["kind"] == "note"]
            said = notes[-1] if notes else "nothing was said of it"
            self.error = {"type": "TimeoutError", "message": f"no result within {_STEP_WITHIN:.0f} s; last: {said}"}
        except CellyardError as error:
            self.error = error.to_step_error()
        finally:
            await backend.close()


def _links_of(run: _Run, pods: list[dict[str, Any]], settings: Settings) -> Iterator[Link]:
    """What the step's end says of the links that it took."""
    image = settings.kubernetes.image or DEFAULT_IMAGE
    chain = {
        "image": f"{image}, pulled",
        "pods start": "a scheduler and a worker, without rights on a root that nobody can write to",
        "scheduler": "reached, and the worker reached it",
    }
    broken = None if run.started else _broken_at(run, pods)
    if broken is not None and broken not in chain:
        yield _failed(broken, run)
        return
    for name, found in chain.items():
        if name == broken:
            yield _failed(name, run)
            return
        yield Link(name, True, found)
    yield from _end_of(run, image)


def _end_of(run: _Run, image: str) -> Iterator[Link]:
    """What a step that has begun says; ``image``: what it ran in."""
    if run.error is not None:
        yield _failed("store from a pod", run)
        return
    yield _store_from_pod(run)
    yield _versions(run, image)


def _broken_at(run: _Run, pods: list[dict[str, Any]]) -> str:
    kind = (run.error or {}).get("type", "")
    if kind in _BROKEN_AT:
        return _BROKEN_AT[kind]
    if not pods:
        return "operator"
    return "pods start" if any(map(waiting_reason, pods)) else "scheduler"


def _failed(name: str, run: _Run) -> Link:
    advice = {
        "rights": "Ask for the Role cellyard-engine.",
        "operator": _INSTALL,
        "image": "Name an image that the nodes can pull: --image, or the setting kubernetes.image.",
        "pods start": "See docs/kubernetes.md: sizes, quotas, node selectors.",
        "scheduler": "Network policies must let the worker reach the scheduler's port 8786.",
        "store from a pod": "Pods must reach the store: its address from inside the cluster, Secret or account.",
        "versions": "Use an image built from the same versions.",
    }[name]
    return Link(name, False, run.said, advice)


def _store_from_pod(run: _Run) -> Link:
    assert run.finished is not None
    name = "store from a pod"
    outputs = {each: output for output in run.finished["outputs"] for each in output["names"]}
    try:
        values = load(open_store(run.settings.store_address, patience=_STORE_PATIENCE), outputs["answer"])
    except (StoreError, KeyError) as error:
        return Link(name, False, f"what the step wrote cannot be read: {error}", "Both must use the same store.")
    return Link(name, values["answer"] == run.answer, "what the step wrote was read here")


def _versions(run: _Run, image: str) -> Link:
    try:
        check_versions(versions_here(), Versions.from_dict(json.loads(run.printed)), step="check", image=image)
    except CellyardError as error:
        return Link("versions", False, str(error), "Use an image built from the same versions.")
    ours = versions_here()
    packages = ", ".join(f"{name} {version}" for name, version in ours.packages.items())
    return Link("versions", True, f"Python {ours.python}, {packages}")


async def _pods(api: ManagedApi, runtime: Path) -> list[dict[str, Any]]:
    """The pods that were there for the step, as far as they still are."""
    name = (runtime / "engine.name").read_text(encoding="ascii").strip()
    return await api.all_of("v1", "Pod", api.namespace, f"{ENGINE}={name}")


def _task(answer: str) -> StepTask:
    source = _SOURCE.format(answer=answer)
    request = StepRequest(notebook="check", session="check", name="check", source=source, execution_count=1)
    return StepTask(
        token=uuid.uuid4().hex, run=0, step=0, name="check", request=request.to_dict(), resources=_RESOURCES
    )
