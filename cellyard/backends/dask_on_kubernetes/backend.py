"""The engine's side of the Kubernetes backend. Imports neither Dask nor a client of Kubernetes.

When process K dies, steps that have begun go on in the cluster: the next K finds them by the engine's name and the
steps' tokens, and tells what was missed by number.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from cellyard.backends.base import Message, Offer, StepTask, WorkerSeen, cancelled, check_fits
from cellyard.backends.dask_on_kubernetes.roster import Limits
from cellyard.backends.dask_on_kubernetes.shapes import shape_of
from cellyard.backends.hosted import HostedBackend, LiveTask
from cellyard.errors import InvalidSettings
from cellyard.model.kubernetes import KubernetesSettings
from cellyard.settings import Settings
from cellyard.worker.link import Frame, pack

__all__ = ["DaskOnKubernetesBackend", "engine_name"]

_PASSED_ON = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
)
"""The variables by which workers reach the store as the engine does."""


class DaskOnKubernetesBackend(HostedBackend):
    """Steps on pods of their size; the contract is ``cellyard.backends.base.Backend``.

    ``runtime`` holds the engine's name, by which it finds its cluster again. ``env`` is where the store's credentials
    are looked for.
    """

    module: ClassVar[str] = "cellyard.backends.dask_on_kubernetes.host"
    title: ClassVar[str] = "The process that talks to Kubernetes"
    place: ClassVar[str] = "kubernetes"
    outlives_engine: ClassVar[bool] = True
    closed_within: ClassVar[float] = 30.0

    def __init__(
        self,
        *,
        store: str,
        runtime: Path,
        settings: KubernetesSettings,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._limits = limits_of(settings)
        self.capacity = self._limits.capacity()
        self._workers: tuple[WorkerSeen, ...] = ()
        self._dashboard = ""
        given = os.environ if env is None else env
        needs = store.startswith("s3://") and settings.passes_credentials
        super().__init__(
            {
                "store": store,
                "runtime": str(runtime),
                "engine": engine_name(runtime),
                "settings": settings.to_dict(),
                "secret": {key: given[key] for key in _PASSED_ON if given.get(key)} if needs else {},
            }
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> DaskOnKubernetesBackend:
        """The backend of these settings."""
        return cls(store=settings.store_address, runtime=settings.runtime, settings=settings.kubernetes)

    @property
    def offer(self) -> Offer:
        """What the settings allow; the cluster says for itself what it has."""
        return Offer(
            capacity=self.capacity,
            memory=self._settings.memory,
            caps_cpu=False,
            honours=frozenset({"disk", "image", "node", "spot", "priority"}),
            place="kubernetes",
            workers=self._settings.max_workers,
            idle=self._settings.idle,
        )

    @property
    def workers(self) -> tuple[WorkerSeen, ...]:
        """Those that the process has told of."""
        return self._workers if self._ready.is_set() else ()

    @property
    def dashboard(self) -> str:
        """The command that leads to it, while there is a scheduler."""
        return self._dashboard if self._ready.is_set() else ""

    async def submit(self, task: StepTask) -> None:
        """Queue a step; see the contract. Raises InvalidSettings when its pod could not reach the store."""
        self._check_store()
        size = shape_of(task, self._settings).resources
        check_fits(task, self.capacity, size)
        self._take(LiveTask(task))

    async def attach(self, task: StepTask, number: int) -> None:
        """Go on with an attempt that an engine before this one has submitted, after its messages of that number. Its
        request need not be whole: it is not sent again. One that the cluster does not have ends as lost."""
        self._take(LiveTask(task, begun=True, number=number))

    def _check_store(self) -> None:
        """A folder is of use only where the pods have it too, under the same name."""
        if "://" in self._store or self._settings.scheduler is not None:
            return
        shared = [Path(str(each["mount_path"])) for each in self._settings.volumes]
        if not any(Path(self._store).is_relative_to(each) for each in shared):
            reason = (
                "pods cannot reach a folder of this machine. Set store to s3://BUCKET/PREFIX (or to a folder on a "
                "volume that kubernetes.volumes mounts under the same path), then start the notebook again."
            )
            raise InvalidSettings(key="store", value=self._store, origin="the settings", reason=reason)

    def _send(self, live: LiveTask) -> None:
        assert self._link is not None
        task = live.task
        how = "attach" if live.begun else "submit"
        self._link.send(how, task.token, task.name, pack(task.to_dict()), live.number)

    def _on_frame(self, frame: Frame) -> None:
        match frame:
            case ["crew", workers, dashboard]:
                self._workers = tuple(WorkerSeen.from_dict(each) for each in workers)
                self._dashboard = dashboard
            case _:
                super()._on_frame(frame)

    def _deliver(self, token: str, messages: list[Message]) -> None:
        """Each message says its number, by which an engine that comes later knows where to go on."""
        live = self._live.get(token)
        if live is not None:
            messages = [{**each, "number": live.number} for each in messages]
        super()._deliver(token, messages)

    def _on_death(self, cause: str) -> None:
        """What has begun goes on in the cluster, and the next process finds it there."""
        for token, live in list(self._live.items()):
            if live.unwanted and not live.begun:
                self._deliver(token, [cancelled(live.task.name)])

    async def settled(self, token: str) -> None:
        """The end of this attempt is recorded: nobody will ask for it again."""
        if self._ready.is_set() and self._link is not None:
            self._link.send("settled", token)


def limits_of(settings: KubernetesSettings) -> Limits:
    """What all workers may have together."""
    most = {"cpu": settings.max_cpu, "memory": settings.max_memory, "gpu": settings.max_gpu}
    given = {key: float(value) for key, value in most.items() if value is not None}
    return Limits(**given, workers=settings.max_workers, idle=settings.idle)


def engine_name(runtime: Path) -> str:
    """The name of the engine of this runtime folder, made up at its first start: 8 characters, unlike any other's."""
    file = runtime / "engine.name"
    try:
        name = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        name = ""
    if not name:
        runtime.mkdir(parents=True, exist_ok=True)
        name = secrets.token_hex(4)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        unfinished.write_text(name, encoding="ascii")
        unfinished.rename(file)
    return name
