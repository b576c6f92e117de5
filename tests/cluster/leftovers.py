"""What is left of cellyard in a namespace, and waiting for it to go."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.cluster.conftest import kubectl

__all__ = ["left_behind", "until"]

KINDS = "daskclusters,daskworkergroups,deployments,replicasets,pods,services,secrets"

T = TypeVar("T")


def left_behind(namespace: str, engine: str | None = None) -> list[str]:
    """All objects of one engine, or of any, that are still there."""
    selector = "cellyard.io/engine" + (f"={engine}" if engine else "")
    found = json.loads(kubectl("get", KINDS, "-n", namespace, "-l", selector, "-o", "json"))
    items: list[dict[str, Any]] = found["items"]
    return [f"{each['kind']} {each['metadata']['name']}" for each in items]


def until(what: str, check: Callable[[], T], *, within: float = 30.0) -> T:
    """The first true answer of ``check``, asked again and again for so many seconds."""
    deadline = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.7)  # each look costs a third of a second of CPU
    return found
