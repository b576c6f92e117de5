"""Settings: where the store, the records and the engine are, and what the machine is taken to have.

Read once, from ``CELLYARD_*`` variables, else from a TOML file, and validated whole. Light: no database, no
network; the only thing read is the settings file, and nothing is written but by :func:`prepare_runtime`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cellyard.errors import InvalidSettings, InvalidSize
from cellyard.model.kubernetes import KubernetesSettings, read_kubernetes
from cellyard.model.prices import Prices
from cellyard.model.resources import parse_cpu, parse_duration, parse_gpu, parse_memory
from cellyard.model.store_address import is_bucket, parse_bucket, with_cache

__all__ = ["Settings", "load_settings", "prepare_runtime"]

SOCKET_NAME = "engine.sock"
MAX_SOCKET_PATH = 106 if sys.platform == "linux" else 102
"""Bytes, without the zero at the end (108 with it on Linux, 104 on macOS)."""
TEMPORARY_SUFFIX = 12
"""Bytes kept free, because the engine binds under a temporary name beside the socket and then renames it."""

# Not tempfile.gettempdir(): TMPDIR differs between sessions of one user, and is often long.
SHARED_TEMPORARY = Path("/tmp")

DEFAULT_IDLE = 900.0
DEFAULT_LOG_LIMIT = 8 << 20
DEFAULT_LIVE_VIEW = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, valid.

    ``store`` is a folder or a place in a bucket (``s3://bucket/prefix``), for which ``cache`` is a folder of this
    machine that keeps at most ``cache_size`` bytes (None: 20 GiB, or half of what is free). ``schedules`` is the folder
    with what scheduled runs need. ``records`` is an SQLAlchemy URL, ``runtime`` the folder of socket, lock and log
    (made by :func:`prepare_runtime`), ``idle`` the seconds after which an engine without work leaves. ``cpu``,
    ``memory`` (bytes) and ``gpu`` stand in for the machine's own capacity; None: what the machine has. ``backend`` is
    where steps run that do not say. ``log_limit``: how much text of a step is kept; ``live_view``: seconds after which
    a running step shows its state; ``price_cpu``, ``price_memory`` and ``price_gpu``: per hour of a CPU, a GiB, a GPU,
    in ``currency``. ``kubernetes`` is the table ``[kubernetes]`` of the file; its entries may also be given as
    variables, such as ``CELLYARD_KUBERNETES_NAMESPACE``.
    """

    store: str
    records: str
    runtime: Path
    cache: str = ""
    schedules: str = ""
    cache_size: int | None = None
    idle: float = DEFAULT_IDLE
    cpu: float | None = None
    memory: int | None = None
    gpu: int | None = None
    backend: str = "local"
    log_limit: int = DEFAULT_LOG_LIMIT
    live_view: float = DEFAULT_LIVE_VIEW
    price_cpu: float = 0.0
    price_memory: float = 0.0
    price_gpu: float = 0.0
    currency: str = ""
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)

    @property
    def socket(self) -> Path:
        """The engine's Unix socket; its path always fits the operating system's limit."""
        return self.runtime / SOCKET_NAME

    @property
    def store_address(self) -> str:
        """The store as ``open_store`` takes it: with its cache, where it has one."""
        return with_cache(self.store, self.cache, self.cache_size)

    @property
    def prices(self) -> Prices:
        """What a step costs."""
        return Prices(self.price_cpu, self.price_memory, self.price_gpu, self.currency)

    @property
    def records_name(self) -> str:
        """The URL of the records as it may be shown: without a password."""
        return _without_password(self.records)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON."""
        values = {key: getattr(self, key) for key in _KEYS}
        return values | {"runtime": str(self.runtime), _TABLE: self.kubernetes.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """The settings that :meth:`to_dict` wrote."""
        kubernetes = KubernetesSettings.from_dict(data.get(_TABLE) or {})
        return cls(**{**data, "runtime": Path(data["runtime"]), _TABLE: kubernetes})

    def to_env(self) -> dict[str, str]:
        """The variables from which :func:`load_settings` makes exactly these settings in another process."""
        values = self.to_dict()
        for size in ("memory", "cache_size", "log_limit"):
            if values[size] is not None:
                values[size] = f"{values[size]}B"
        values[_TABLE] = json.dumps(values[_TABLE])
        return {_variable(key): str(value) for key, value in values.items() if value not in (None, "")}


@dataclass(frozen=True, slots=True)
class _Given:
    """One setting as it was written, and where."""

    text: str
    origin: str


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process, or of the environment given.

    ``CELLYARD_HOME=DIR`` puts everything that is not set by itself below DIR, the settings file included.
    Raises InvalidSettings with the key, its value and where it came from.
    """
    env = os.environ if env is None else env
    home = _home(env)
    given = _from_file(_settings_file(home)) | _from_env(env)
    data = home or _user_data()
    store = _read(given, "store", _store) or str(data / "store")
    return Settings(
        store=store,
        records=_read(given, "records", _database) or f"sqlite:///{data / 'records.sqlite'}",
        runtime=_read(given, "runtime", _runtime) or _default_runtime(home, store, env),
        cache=_read(given, "cache", _folder) or str(data / "cache"),
        schedules=_read(given, "schedules", _folder) or str(data / "schedules"),
        cache_size=_read(given, "cache_size", _size),
        idle=_read(given, "idle", _idle, DEFAULT_IDLE),
        cpu=_read(given, "cpu", parse_cpu),
        memory=_read(given, "memory", parse_memory),
        gpu=_read(given, "gpu", parse_gpu),
        backend=_read(given, "backend", _word, "local"),
        log_limit=_read(given, "log_limit", _log_limit, DEFAULT_LOG_LIMIT),
        live_view=_read(given, "live_view", _live_view, DEFAULT_LIVE_VIEW),
        price_cpu=_read(given, "price_cpu", _price, 0.0),
        price_memory=_read(given, "price_memory", _price, 0.0),
        price_gpu=_read(given, "price_gpu", _price, 0.0),
        currency=_read(given, "currency", str, ""),
        kubernetes=_kubernetes(_settings_file(home), env),
    )


def prepare_runtime(settings: Settings) -> Path:
    """The runtime folder, made if need be; after the call it is ours and closed to others (mode 0700).

    Raises InvalidSettings when someone else owns it, or when it cannot be made: the engine's socket and log
    would otherwise be open to them.
    """
    folder = settings.runtime
    try:
        for each in (_own_parent(folder), folder):
            if each is not None:
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
                _check_ours(each)
        if stat.S_IMODE(folder.stat().st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise _invalid_runtime(folder, f"the folder cannot be made: {error}") from error
    return folder


def _own_parent(folder: Path) -> Path | None:
    """The per-user folder under a shared one such as /tmp, which others could have made before us."""
    return folder.parent if folder.parent.parent == SHARED_TEMPORARY else None


def _check_ours(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise _invalid_runtime(folder, "this is not a folder of its own (a link or a file).")
    if found.st_uid != os.getuid():
        raise _invalid_runtime(folder, f"it belongs to another user (uid {found.st_uid}).")


def _invalid_runtime(folder: Path, reason: str) -> InvalidSettings:
    return InvalidSettings(key="runtime", value=str(folder), origin="the runtime folder", reason=reason)


_TABLE = "kubernetes"
_KEYS = (
    "store", "records", "runtime", "cache", "schedules", "cache_size", "idle", "cpu", "memory", "gpu", "backend",
    "log_limit", "live_view", "price_cpu", "price_memory", "price_gpu", "currency",
)  # fmt: skip


def _variable(key: str) -> str:
    return f"CELLYARD_{key.upper()}"


def _home(env: Mapping[str, str]) -> Path | None:
    text = env.get("CELLYARD_HOME", "")
    return Path(text).expanduser().absolute() if text else None


def _user_data() -> Path:
    from platformdirs import user_data_path

    return user_data_path("cellyard")


def _settings_file(home: Path | None) -> Path:
    if home is not None:
        return home / "settings.toml"
    from platformdirs import user_config_path

    return user_config_path("cellyard") / "settings.toml"


def _from_env(env: Mapping[str, str]) -> dict[str, _Given]:
    names = {key: _variable(key) for key in _KEYS}
    return {key: _Given(env[name], name) for key, name in names.items() if env.get(name)}


def _from_file(path: Path) -> dict[str, _Given]:
    values = _toml(path)
    values.pop(_TABLE, None)
    for key, value in values.items():
        _check_entry(key, value, path)
    return {key: _Given(str(value), str(path)) for key, value in values.items()}


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(key="settings", value=path.name, origin=str(path), reason=str(error)) from error


def _kubernetes(path: Path, env: Mapping[str, str]) -> KubernetesSettings:
    """The table of the file, and above it variables; the whole in one variable stands instead of the file."""
    whole = _variable(_TABLE)
    if env.get(whole):
        return KubernetesSettings.from_dict(json.loads(env[whole]))
    table = _toml(path).get(_TABLE, {})
    if not isinstance(table, Mapping):
        raise InvalidSettings(key=_TABLE, value=table, origin=str(path), reason="a table is needed: [kubernetes].")
    read_kubernetes(table, str(path))
    names = {name.removeprefix(f"{whole}_").lower(): name for name in env if name.startswith(f"{whole}_")}
    given = {key: env[name] for key, name in names.items() if env[name]}
    read_kubernetes(given, f"{whole}_*")
    return read_kubernetes({**table, **given}, "the settings")


def _check_entry(key: str, value: object, path: Path) -> None:
    if key not in _KEYS:
        near = difflib.get_close_matches(key, _KEYS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(_KEYS)}."
        reason = f"there is no such setting. {hint}"
        raise InvalidSettings(key=key, value=value, origin=str(path), reason=reason)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidSettings(key=key, value=value, origin=str(path), reason="a text or a number is needed.")


def _read(given: Mapping[str, _Given], key: str, parse: Callable[[str], Any], default: Any = None) -> Any:
    found = given.get(key)
    if found is None:
        return default
    try:
        return parse(found.text)
    except InvalidSize as error:
        reason = f"{error.reason} Examples: {error.examples}."
        raise InvalidSettings(key=key, value=found.text, origin=found.origin, reason=reason) from error
    except ValueError as error:
        shown = _without_password(found.text)
        raise InvalidSettings(key=key, value=shown, origin=found.origin, reason=str(error)) from error


def _without_password(url: str) -> str:
    return re.sub(r"(?<=://)([^/@]*?):[^/]*@", r"\1:***@", url)


def _store(text: str) -> str:
    if not is_bucket(text):
        return _folder(text)
    address = parse_bucket(text)
    if (address.cache, address.cache_size) != (None, None):
        raise ValueError("the settings cache and cache_size say where its cache is, and how large.")
    return address.url


def _folder(text: str) -> str:
    if "://" in text:
        raise ValueError("a folder on this machine is needed, or s3://bucket/prefix for the store.")
    return str(Path(text).expanduser().absolute())


def _size(text: str) -> int:
    return parse_memory(text, option="cache_size")


def _log_limit(text: str) -> int:
    return parse_memory(text, option="log_limit")


def _live_view(text: str) -> float:
    return math.inf if text in ("off", "inf") else parse_duration(text, option="live_view")


def _price(text: str) -> float:
    price = float(text)
    if not (math.isfinite(price) and price >= 0):
        raise ValueError("a price per hour is needed, such as 0.04.")
    return price


def _database(text: str) -> str:
    scheme = text.partition("://")[0].partition("+")[0] if "://" in text else ""
    if scheme not in ("sqlite", "postgresql"):
        raise ValueError("a database URL is needed, such as sqlite:////home/me/records.sqlite.")
    return text


def _runtime(text: str) -> Path:
    folder = Path(text).expanduser().absolute()
    if not _socket_fits(folder):
        raise ValueError(f"the path of a socket in it would be over {MAX_SOCKET_PATH} bytes.")
    return folder


def _idle(text: str) -> float:
    seconds = parse_duration(text, option="idle")
    if seconds <= 0:
        raise ValueError("an engine needs more than no time before it may leave.")
    return seconds


def _word(text: str) -> str:
    if not text.replace("_", "").replace("-", "").isalnum():
        raise ValueError("the name of a backend is needed.")
    return text


def _socket_fits(folder: Path) -> bool:
    return len(os.fsencode(folder / SOCKET_NAME)) + TEMPORARY_SUFFIX <= MAX_SOCKET_PATH


def _default_runtime(home: Path | None, store: str, env: Mapping[str, str]) -> Path:
    """One folder per user and store, so that every face finds the same engine."""
    if home is not None and _socket_fits(home / "runtime"):
        return home / "runtime"
    digest = hashlib.sha256(os.fsencode(store)).hexdigest()[:8]
    session = env.get("XDG_RUNTIME_DIR", "")
    if session and _is_ours(Path(session)) and _socket_fits(Path(session) / "cellyard" / digest):
        return Path(session) / "cellyard" / digest
    return SHARED_TEMPORARY / f"cellyard-{os.getuid()}" / digest


def _is_ours(folder: Path) -> bool:
    # After sudo the variable still names the other user's folder.
    return folder.is_dir() and folder.stat().st_uid == os.getuid()
