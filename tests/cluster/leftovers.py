"""What is left of cellyard in a namespace, and waiting for it to go."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.cluster.conftest import kubectl

__all__ = ["left_behind", "operators_say", "until"]

KINDS = "daskclusters,daskworkergroups,deployments,replicasets,pods,services,secrets"

T = TypeVar("T")


def left_behind(namespace: str, engine: str | None = None) -> list[str]:
    """All objects of one engine, or of any, that are still there."""
    selector = "cellyard.io/engine" + (f"={engine}" if engine else "")
    found = json.loads(kubectl("get", KINDS, "-n", namespace, "-l", selector, "-o", "json"))
    items: list[dict[str, Any]] = found["items"]
    return [f"{each['kind']} {each['metadata']['name']}" for each in items]


def operators_say(place: str) -> str:
    """How the operator of a namespace is, and what it has said lately, also before it was started again."""
    asked = (
        ["describe", "pods", "-n", place],
        ["logs", "deploy/cellyard-operator", "-n", place, "--previous", "--tail=60"],
        ["logs", "deploy/cellyard-operator", "-n", place, "--tail=60"],
    )
    said = "".join(kubectl(*each, check=False) for each in asked)
    return "\n".join(line for line in said.splitlines() if "/healthz" not in line)


def until(what: str, check: Callable[[], T], *, within: float = 30.0, told: Callable[[], str] = str) -> T:
    """The first true answer of ``check``, asked again and again for so many seconds; ``told`` explains a failure."""
    deadline = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}\n{told()}"
        time.sleep(0.7)  # each look costs a third of a second of CPU
    return found
