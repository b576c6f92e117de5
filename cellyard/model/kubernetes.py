"""KubernetesSettings: the table ``[kubernetes]`` of the settings, understood and valid. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from cellyard.errors import InvalidSettings, InvalidSize
from cellyard.model.resources import parse_cpu, parse_duration, parse_gpu, parse_memory

__all__ = ["KubernetesSettings", "read_kubernetes"]

DEFAULT_IDLE = 300.0
DEFAULT_MEMORY = 2 << 30
DEFAULT_WORKERS = 20

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """Where and how steps run on Kubernetes. What is None or empty is left to the cluster.

    ``namespace`` and ``context`` are the kubeconfig's unless given; ``image`` is what workers and their scheduler
    run. ``idle``: seconds after which a worker without work, and then the Dask cluster itself, is deleted.
    ``max_cpu``, ``max_memory`` (bytes), ``max_gpu`` and ``max_workers`` bound what steps have together; ``memory`` is
    what a step has that names none. ``scheduler``: the address of a Dask scheduler to use instead of one of our own.

    ``volumes`` are tables with ``mount_path`` and a volume source as Kubernetes writes it; ``secrets`` name Secrets
    whose keys become environment variables, or are tables with ``secret``, ``key`` and ``env``. ``pass_credentials``:
    whether pods reach an S3 store with the engine's credentials; None means that they do unless they have ``secrets``
    or a ``service_account``. ``spot`` holds the ``node_selector`` and ``tolerations`` that ``--spot`` stands for here.
    """

    namespace: str | None = None
    context: str | None = None
    image: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    idle: float = DEFAULT_IDLE
    max_cpu: float | None = None
    max_memory: int | None = None
    max_gpu: int | None = None
    max_workers: int = DEFAULT_WORKERS
    memory: int = DEFAULT_MEMORY
    gpu_resource: str = "nvidia.com/gpu"
    scheduler: str | None = None
    service_account: str | None = None
    priority_class: str | None = None
    node_selector: Table = field(default_factory=dict)
    tolerations: tuple[Table, ...] = ()
    volumes: tuple[Table, ...] = ()
    secrets: tuple[str | Table, ...] = ()
    pass_credentials: bool | None = None
    labels: Table = field(default_factory=dict)
    spot: Table = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON; what has its default is left out."""
        default = KubernetesSettings()
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if value != getattr(default, each.name):
                found[each.name] = list(value) if isinstance(value, tuple) else value
        return found

    @property
    def passes_credentials(self) -> bool:
        """Whether the engine's credentials for the store go to the pods."""
        if self.pass_credentials is not None:
            return self.pass_credentials
        return not self.secrets and not self.service_account

    @classmethod
    def from_dict(cls, data: Table) -> KubernetesSettings:
        """The settings that :meth:`to_dict` wrote."""
        known: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in data.items()}
        return cls(**known)


def read_kubernetes(table: Table, origin: str) -> KubernetesSettings:
    """The settings of a table as a person writes it: sizes and times as text. Raises InvalidSettings, with
    ``origin`` as the place where it was written."""
    known: dict[str, Any] = {}
    for key, value in table.items():
        reader = _READERS.get(key)
        if reader is None:
            near = difflib.get_close_matches(key, _READERS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(_READERS)}."
            raise _invalid(key, value, origin, f"there is no such setting. {hint}")
        try:
            known[key] = reader(value)
        except InvalidSize as error:
            raise _invalid(key, value, origin, f"{error.reason} Examples: {error.examples}.") from error
        except ValueError as error:
            raise _invalid(key, value, origin, str(error)) from error
    return KubernetesSettings(**known)


def _invalid(key: str, value: object, origin: str, reason: str) -> InvalidSettings:
    return InvalidSettings(key=f"kubernetes.{key}", value=value, origin=origin, reason=reason)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text is needed.")
    return value.strip()


def _name(value: Any) -> str:
    if not _NAME.fullmatch(_text(value)):
        raise ValueError("a name as Kubernetes has them is needed: small letters, digits, '-' and '.'.")
    return str(value).strip()


def _idle(value: Any) -> float:
    seconds = parse_duration(str(value), option="idle")
    if seconds < 1:
        raise ValueError("workers that go before they can be used again would never be warm; a second at least.")
    return seconds


def _count(value: Any) -> int:
    text = str(value).strip()
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError("a whole number above nothing is needed.")
    return int(text)


def _truth(value: Any) -> bool:
    known = {"true": True, "false": False}.get(str(value).strip().lower())
    if known is None:
        raise ValueError("true or false is needed.")
    return known


def _address(value: Any) -> str:
    if not re.fullmatch(r"(tcp|tls|ws|wss)://\S+", _text(value)):
        raise ValueError("the address of a Dask scheduler is needed, such as tcp://scheduler.dask:8786.")
    return str(value).strip()


def _table(value: Any) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, Mapping):
        raise ValueError("a table is needed.")
    return dict(found)


def _labels(value: Any) -> dict[str, str]:
    found = _table(value)
    if not all(isinstance(each, str) for each in found.values()):
        raise ValueError("a table of texts is needed.")
    return found


def _list(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip().startswith("[") else [each.strip() for each in value.split(",")]
    if not isinstance(value, list | tuple):
        raise ValueError("a list is needed.")
    return tuple(value)


def _tables(value: Any) -> tuple[Table, ...]:
    found = _list(value)
    if not all(isinstance(each, Mapping) for each in found):
        raise ValueError("a list of tables is needed.")
    return tuple(dict(each) for each in found)


def _names(value: Any) -> tuple[str, ...]:
    return tuple(_name(each) for each in _list(value))


def _volumes(value: Any) -> tuple[Table, ...]:
    found = _tables(value)
    for each in found:
        if not str(each.get("mount_path", "")).startswith("/"):
            raise ValueError("each volume needs a mount_path that begins with /.")
        if not each.keys() - {"mount_path", "name", "sub_path", "read_only"}:
            raise ValueError("each volume needs a source, such as persistentVolumeClaim = {claimName = 'data'}.")
    return found


def _secrets(value: Any) -> tuple[str | Table, ...]:
    found = _list(value)
    for each in found:
        if isinstance(each, Mapping):
            if each.keys() != {"secret", "key", "env"}:
                raise ValueError("each is the name of a Secret, or a table with secret, key and env.")
        else:
            _name(each)
    return tuple(dict(each) if isinstance(each, Mapping) else str(each) for each in found)


def _spot(value: Any) -> dict[str, Any]:
    found = _table(value)
    if found.keys() - {"node_selector", "tolerations"}:
        raise ValueError("it may have node_selector and tolerations.")
    return found


_READERS: dict[str, Callable[[Any], Any]] = {
    "namespace": _name,
    "context": _text,
    "image": _text,
    "image_pull_secrets": _names,
    "idle": _idle,
    "max_cpu": lambda value: parse_cpu(str(value), option="max_cpu"),
    "max_memory": lambda value: parse_memory(str(value), option="max_memory"),
    "max_gpu": lambda value: parse_gpu(str(value), option="max_gpu"),
    "max_workers": _count,
    "memory": lambda value: parse_memory(str(value), option="memory"),
    "gpu_resource": _text,
    "scheduler": _address,
    "service_account": _name,
    "priority_class": _name,
    "node_selector": _labels,
    "tolerations": _tables,
    "volumes": _volumes,
    "secrets": _secrets,
    "pass_credentials": _truth,
    "labels": _labels,
    "spot": _spot,
}
"""Each key, and what reads it: from TOML's values, or from the text of a variable."""
