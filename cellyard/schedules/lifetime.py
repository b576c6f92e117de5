"""Lifetime: whether the engine can outlive the session it was started in, told by what the session left in its
environment. Pure, but for :func:`lifetime_here`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["lifetime_here", "why_short_lived"]

_SIGNS = (
    ("KUBERNETES_SERVICE_HOST", "this is a pod, and ends with its session"),
    ("JUPYTERHUB_API_TOKEN", "this server belongs to a JupyterHub, which stops it when it idles"),
    ("BINDER_SERVICE_HOST", "this is a Binder session, which ends when it idles"),
    ("COLAB_RELEASE_TAG", "this is a Colab session, which ends when it idles"),
    ("KAGGLE_KERNEL_RUN_TYPE", "this is a Kaggle session, which ends when it idles"),
    ("CODESPACES", "this is a codespace, which stops when it idles"),
    ("CI", "this is a job of continuous integration, and ends with it"),
)
_CONTAINERS = ("/.dockerenv", "/run/.containerenv")
_KILLS = re.compile(r"^\s*KillUserProcesses\s*=\s*(yes|true|on|1)\s*$", re.MULTILINE | re.IGNORECASE)
OFFER = "To have it run without this machine: cellyard export NOTEBOOK --to kubernetes --schedule CRON --output DIR"


def why_short_lived(env: Mapping[str, str], files: Mapping[str, str], *, lingers: bool) -> str | None:
    """Why what runs here ends with the session, as a sentence with what to do instead; None where it goes on.

    ``files``: those that tell of it and exist, with their content; ``lingers``: whether the user's processes stay.
    """
    reasons = [why for sign, why in _SIGNS if env.get(sign)]
    if not reasons and any(each in files for each in _CONTAINERS):
        reasons = ["this is a container, and what it runs ends with it"]
    if not reasons and not lingers and any(_KILLS.search(text) for text in files.values()):
        reasons = ["this system ends a user's processes with the session (loginctl enable-linger lets them stay)"]
    return f"Schedules run only while the engine does, and {reasons[0]}. {OFFER}" if reasons else None


def lifetime_here() -> str | None:
    """The same for this process."""
    candidates = (*_CONTAINERS, "/etc/systemd/logind.conf")
    files = {each: _content(Path(each)) for each in candidates if Path(each).exists()}
    lingers = Path("/var/lib/systemd/linger", os.environ.get("USER", "-")).exists()
    return why_short_lived(os.environ, files, lingers=lingers)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
