"""KubernetesExporter: a CronJob that runs the notebook inside the cluster, its steps on pods of their own. Pure.

The job's pod holds the kernel and an engine; the engine has a DaskCluster of its own, gone when the run is over.
The notebook lies in a ConfigMap, values go to the store on S3, and the store's credentials come from a Secret that is
only named here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from shlex import quote
from typing import Any, ClassVar

from cellyard.backends.dask_on_kubernetes.pod_specs import quantity
from cellyard.backends.dask_on_kubernetes.shapes import DEFAULT_IMAGE
from cellyard.errors import UsageError
from cellyard.exporters.base import Export, ExporterFacts, ExportRequest
from cellyard.exporters.readme import readme
from cellyard.kubernetes.kubeconfig import DEFAULT_NAMESPACE
from cellyard.kubernetes.manifests import account, binding, container_security, pod_security, role, scratch
from cellyard.kubernetes.objects import Manifest, labels, to_yaml, with_labels
from cellyard.kubernetes.rights import ENGINE_INSIDE
from cellyard.model.resources import Resources, format_memory

__all__ = ["CronJobOptions", "KubernetesExporter"]

MOST_BYTES = 1 << 20
"""What a ConfigMap can hold."""
LONGEST_NAME = 52
"""Of a CronJob: Kubernetes adds eleven characters for each job."""

_FOLDER = "/notebook"
_NEVER = "0 0 1 1 *"
_IDLE_CPU = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJobOptions:
    """How the job runs. ``resources`` are those of its own pod, which holds the kernel and the engine: what plain cells
    use. ``secrets`` are the names of Secrets whose keys become variables of this pod and of the workers' pods."""

    name: str = ""
    resources: Resources = field(default_factory=lambda: Resources(1, 1 << 30))
    secrets: tuple[str, ...] = ()
    service_account: str | None = None
    concurrency: str = "Forbid"
    late: int = 600
    deadline: int | None = None
    keep: int = 3
    forget_after: int = 7 * 24 * 3600


class KubernetesExporter:
    """The exporter; its options are the fields of CronJobOptions, and ``bundle``: the files of the notebook's bundle,
    which is then what runs, instead of the notebook."""

    about: ClassVar[ExporterFacts] = ExporterFacts(
        title="Kubernetes: a CronJob that runs it in a cluster", keeps_time=True, carries_bundle=True
    )

    def export(self, request: ExportRequest) -> Export:
        """Four files: the notebook, the rights, the job, and how to use them. Raises UsageError for a store that pods
        cannot reach, for files that are too large, and for names that Kubernetes cannot have."""
        given = dict(request.options)
        bundle = given.pop("bundle", None)
        options = CronJobOptions(**given)
        job = _Job(request, replace(options, name=_name(options.name or request.stem)), bundle)
        objects = (job.notebook(), *job.rights(), job.cron_job())
        files = {
            f"1-{job.carried}.yaml": to_yaml(objects[:1]),
            "2-rights.yaml": to_yaml(objects[1:-1]),
            "3-cronjob.yaml": to_yaml(objects[-1:]),
            "README.md": readme(job.facts()),
        }
        return Export(files=files, objects=objects, notes=job.notes())


@dataclass(frozen=True, slots=True)
class _Job:
    """One notebook's objects."""

    request: ExportRequest
    options: CronJobOptions
    bundle: Mapping[str, bytes] | None = None

    @property
    def carried(self) -> str:
        """What the job has with it: the notebook's bundle, or the notebook itself."""
        return "notebook" if self.bundle is None else "bundle"

    @property
    def name(self) -> str:
        return self.options.name

    @property
    def namespace(self) -> str:
        return self.request.settings.kubernetes.namespace or DEFAULT_NAMESPACE

    @property
    def account(self) -> str:
        return self.options.service_account or self.name

    @property
    def image(self) -> str:
        return self.request.settings.kubernetes.image or DEFAULT_IMAGE

    @property
    def secrets(self) -> tuple[Any, ...]:
        named = self.request.settings.kubernetes.secrets
        return (*named, *(each for each in self.options.secrets if each not in named))

    def notebook(self) -> Manifest:
        """The ConfigMap: the bundle, or the notebook without its outputs and the files that go with it."""
        data = self._data()
        size = sum(len(key.encode()) + len(text.encode()) for key, text in data.items())
        if size > MOST_BYTES:
            each = ", ".join(f"{key} {format_memory(len(text.encode()))}" for key, text in data.items())
            raise UsageError(
                f"a ConfigMap holds at most {format_memory(MOST_BYTES)}, and this is {format_memory(size)} ({each}). "
                "Put data into the store or a bucket, and modules into the image."
            )
        keyed = {_key(name): text for name, text in data.items()}
        if len(keyed) < len(data):
            raise UsageError(f"{', '.join(data)}: these names are too much alike for a ConfigMap; rename one.")
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self._metadata(), "data": keyed}

    def _data(self) -> dict[str, str]:
        if self.bundle is not None:
            return _texts(self.bundle)
        return {self.request.notebook: _without_outputs(self.request.content), **_texts(self.request.files)}

    def rights(self) -> list[Manifest]:
        """The pod's account, and what an engine needs for a DaskCluster in this namespace."""
        own = [] if self.options.service_account else [account(self.name, self.namespace, "scheduled-run")]
        made = [
            *own,
            role(self.name, self.namespace, "scheduled-run", ENGINE_INSIDE),
            binding(self.name, self.namespace, "scheduled-run", account=self.account, account_place=self.namespace),
        ]
        return [with_labels(each, self._labels()) for each in made]

    def cron_job(self) -> Manifest:
        """The CronJob; without a schedule it is suspended, and runs when somebody asks for it."""
        options, schedule = self.options, self.request.schedule
        job: Manifest = {
            # What has run half may not be repeated without a look at it.
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": options.forget_after,
            "template": {"metadata": {"labels": self._labels()}, "spec": self._pod()},
        }
        if options.deadline is not None:
            job["activeDeadlineSeconds"] = options.deadline
        return {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": self._metadata(),
            "spec": {
                "schedule": schedule.expression if schedule else _NEVER,
                "timeZone": schedule.timezone if schedule else "Etc/UTC",
                "suspend": schedule is None,
                "concurrencyPolicy": options.concurrency,
                "startingDeadlineSeconds": options.late,
                "successfulJobsHistoryLimit": options.keep,
                "failedJobsHistoryLimit": options.keep,
                "jobTemplate": {"metadata": {"labels": self._labels()}, "spec": job},
            },
        }

    def facts(self) -> dict[str, Any]:
        """What the README says of it."""
        return {
            "name": self.name,
            "namespace": self.namespace,
            "notebook": self.request.notebook,
            "schedule": self.request.schedule,
            "image": self.image,
            "store": self.request.settings.store,
            "executed": self._executed("POD"),
            "carried": self.carried,
            "secrets": self._secret_names(),
            "account": self.options.service_account,
        }

    def notes(self) -> tuple[str, ...]:
        """What is to be known before it first runs."""
        notes = []
        if not self.secrets and not self.options.service_account:
            notes.append(
                "No Secret is named: pods must reach the store without one (--secret NAME, or --service-account NAME)."
            )
        if not self.request.settings.records.startswith("sqlite"):
            notes.append(
                "The records' address may hold a password, and is not written out: put CELLYARD_RECORDS into the "
                "Secret, with a database or schema of its own (one engine at a time writes one), to keep the records."
            )
        return tuple(notes)

    def _pod(self) -> Manifest:
        kubernetes = self.request.settings.kubernetes
        volumes, mounts = scratch("tmp", "cache")
        size = self.options.resources
        most = {"cpu": f"{max(1, round(size.cpu * 1000))}m", "memory": quantity(size.memory or 1 << 30)}
        # Most of the time it waits for steps, and should not keep their CPUs.
        least = {**most, "cpu": f"{max(1, round(min(size.cpu, _IDLE_CPU) * 1000))}m"}
        container: Manifest = {
            "name": "run",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", self._command()],
            "env": self._variables(),
            "envFrom": [{"secretRef": {"name": each}} for each in self.secrets if isinstance(each, str)],
            "resources": {"requests": least, "limits": most},
            "securityContext": container_security(),
            "volumeMounts": [*mounts, {"name": "notebook", "mountPath": _FOLDER, "readOnly": True}],
        }
        spec: Manifest = {
            **pod_security(account=self.account, pull_secrets=kubernetes.image_pull_secrets),
            "restartPolicy": "Never",
            # The first process of a container would have to look after what others leave; here Kubernetes does.
            "shareProcessNamespace": True,
            "terminationGracePeriodSeconds": 60,
            "containers": [container],
            "volumes": [*volumes, {"name": "notebook", "configMap": {"name": self.name, "items": self._items()}}],
        }
        if kubernetes.node_selector:
            spec["nodeSelector"] = dict(kubernetes.node_selector)
        if kubernetes.tolerations:
            spec["tolerations"] = [dict(each) for each in kubernetes.tolerations]
        if kubernetes.priority_class:
            spec["priorityClassName"] = kubernetes.priority_class
        return spec

    def _items(self) -> list[Manifest]:
        """The files under the names that they had: a ConfigMap's keys may not have all of their characters."""
        return [{"key": _key(name), "path": name} for name in self._data()]

    def _command(self) -> str:
        """In a folder that can be written to, as a notebook may expect."""
        executed = self._executed("$POD_NAME")
        what = quote(self.request.notebook) if self.bundle is None else "."
        run = f'cellyard run {what} --on kubernetes --stop-engine --output "{executed}"'
        # Followed, because the folder holds links alone.
        return f"mkdir /tmp/run && cp -rL {_FOLDER}/* /tmp/run && cd /tmp/run && exec {run}"

    def _executed(self, pod: str) -> str:
        suffix = "ipynb" if self.bundle is None else "html"
        return f"{self.request.settings.store.rstrip('/')}/executed/{self.name}/{pod}.{suffix}"

    def _variables(self) -> list[Manifest]:
        settings = self.request.settings
        kubernetes = replace(
            settings.kubernetes, namespace=self.namespace, context=None, image=self.image, secrets=self.secrets
        )
        if self.options.service_account:
            kubernetes = replace(kubernetes, service_account=self.options.service_account)
        plain = {
            "CELLYARD_STORE": settings.store,
            # From the first moment: an engine that begins with local workers would need their memory, too.
            "CELLYARD_BACKEND": "kubernetes",
            "CELLYARD_KUBERNETES": json.dumps(kubernetes.to_dict(), indent=2),
        }
        named = [each for each in self.secrets if isinstance(each, Mapping)]
        return [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            *({"name": name, "value": value} for name, value in plain.items()),
            *(
                {"name": each["env"], "valueFrom": {"secretKeyRef": {"name": each["secret"], "key": each["key"]}}}
                for each in named
            ),
        ]

    def _secret_names(self) -> list[str]:
        return sorted({each if isinstance(each, str) else each["secret"] for each in self.secrets})

    def _metadata(self) -> Manifest:
        return {"name": self.name, "namespace": self.namespace, "labels": self._labels()}

    def _labels(self) -> dict[str, str]:
        own = {**labels("scheduled-run"), "app.kubernetes.io/instance": self.name}
        return {**self.request.settings.kubernetes.labels, **own}


def _name(text: str) -> str:
    """A name as Kubernetes allows them, from a notebook's."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not name:
        raise UsageError(f"{text!r} makes no name for Kubernetes (small letters and digits): give one with --name.")
    return name[:LONGEST_NAME].rstrip("-")


def _key(name: str) -> str:
    return re.sub(r"[^-._a-zA-Z0-9]", "-", name)


def _without_outputs(content: bytes) -> str:
    """The notebook's text without what it showed when it last ran: the run makes that anew."""
    try:
        notebook = json.loads(content.decode("utf-8"))
        cells = notebook["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"this is not a notebook: {error}") from error
    for cell in cells:
        if cell.get("cell_type") == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    texts = {}
    for name, content in files.items():
        try:
            texts[name] = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(f"{name} is not a text; put it into the store, a bucket or the image.") from error
    return texts
