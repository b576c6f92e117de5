"""What Kubernetes says of pods, in words: from objects as a cluster gave them (``kubernetes_objects``)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from cellyard.backends.dask_on_kubernetes.failures import SCHEDULER_GONE, why_gone, why_waiting
from cellyard.backends.dask_on_kubernetes.shapes import Shape
from cellyard.errors import ImageUnavailable, QuotaReached, WorkerUnstartable

RECORDED = Path(__file__).parent / "kubernetes_objects"
GIB = 1 << 30
SHAPE = Shape(64.0, 900 * GIB, 1, node=(("zone", "nowhere"),))


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def waiting(name: str, *, seconds: float = 1.0) -> Any:
    found = recorded(name)
    return why_waiting(found["pod"], found["events"], SHAPE, seconds=seconds, namespace="steps")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pending-cpu", "no node (of 2 nodes) has free what the step asks for: 64 CPU"),
        ("pending-memory", "no node (of 2 nodes) has free what the step asks for: 900 GiB memory"),
        ("pending-gpu", "no node (of 2 nodes) has free what the step asks for: 1 GPU"),
        ("pending-selector", "no node (of 2 nodes) has free what the step asks for: a node with zone=nowhere"),
    ],
)
def test_a_pod_that_has_no_place_says_which_wish_is_short(name: str, words: str) -> None:
    found = waiting(name, seconds=9999)
    assert found.text == words
    assert found.short
    assert found.error is None, "another node may come"


def test_an_image_that_cannot_be_pulled_is_said_and_final_after_a_while() -> None:
    found = waiting("image-missing")
    assert "registry.example/no-such-image:1" in found.text
    assert found.error is None
    assert isinstance(waiting("image-missing", seconds=60).error, ImageUnavailable)


def test_an_image_that_is_no_image_is_final_at_once() -> None:
    found = waiting("image-invalid")
    assert isinstance(found.error, ImageUnavailable)
    assert "No/Image" in str(found.error)


def test_a_secret_that_is_missing_is_said() -> None:
    found = waiting("config-error")
    assert 'secret "nothing" not found' in found.text
    assert found.error is None
    assert isinstance(waiting("config-error", seconds=60).error, WorkerUnstartable)


def test_a_container_that_ends_again_and_again_is_final() -> None:
    found = waiting("crash")
    assert found.text == "the worker's container ended with exit code 1 as soon as it starts"
    assert isinstance(found.error, WorkerUnstartable)


def test_a_step_larger_than_the_quota_is_refused_and_another_waits() -> None:
    found = waiting("quota")
    assert isinstance(found.error, QuotaReached)
    assert "limits.memory: 2Gi more than 921700Mi of 1Gi that are used" in found.text
    assert found.short
    full = recorded("quota")["events"]
    for event in full:
        event["message"] = event["message"].replace("limited: limits.memory=1Gi", "limited: limits.memory=900Gi")
    later = why_waiting(None, full, SHAPE, seconds=1, namespace="steps")
    assert later is not None
    assert later.error is None
    assert "waits until there is room" in later.text


def test_nothing_is_said_of_a_pod_that_just_starts() -> None:
    pod = copy.deepcopy(recorded("config-error")["pod"])
    pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
    assert why_waiting(pod, [], SHAPE, seconds=5) is None
    assert why_waiting(None, [], SHAPE, seconds=5) is None


def gone(name: str) -> Any:
    found = recorded(name)
    return why_gone(found["pod"], found["events"], found.get("node"))


def test_a_container_over_its_memory() -> None:
    found = gone("out-of-memory")
    assert found.kind == "memory"
    assert "more memory than it may" in found.text


def test_a_preempted_pod_is_taken() -> None:
    found = gone("preempted")
    assert found.kind == "taken"
    assert "higher priority" in found.text
    events = recorded("preempted")["events"]
    assert why_gone(None, events).kind == "taken", "also from its events alone, when the pod was not seen any more"


def test_a_pod_of_a_lost_node_is_taken() -> None:
    found = gone("node-lost")
    assert found.kind == "taken"
    assert "node was lost" in found.text
    # Before the pod is marked, its node tells.
    early = copy.deepcopy(recorded("node-lost"))
    early["pod"]["status"]["conditions"] = []
    early["pod"]["metadata"].pop("deletionTimestamp")
    told = why_gone(early["pod"], [], early["node"])
    assert (told.kind, told.text) == ("taken", "Its node node-2 was lost: Kubelet stopped posting node status.")


def ended(code: int, reason: str = "Error", *, deleted: bool = False) -> dict[str, Any]:
    pod: dict[str, Any] = copy.deepcopy(recorded("out-of-memory")["pod"])
    pod["status"]["containerStatuses"][0] |= {
        "state": {"terminated": {"exitCode": code, "reason": reason}},
        "lastState": {},
    }
    if deleted:
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return pod


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (143, "Its container was killed by signal 15."),
        (1, "Its container ended with exit code 1."),
        (SCHEDULER_GONE, "Its container ended because the Dask scheduler in the cluster was lost."),
    ],
)
def test_a_container_that_ended(code: int, words: str) -> None:
    assert (why_gone(ended(code), []).kind, why_gone(ended(code), []).text) == ("exit", words)


def test_a_process_that_was_killed_earlier_is_not_why_a_deleted_pod_has_gone() -> None:
    assert why_gone(ended(143, "OOMKilled", deleted=True), []).kind == "deleted"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("The node was low on resource: memory. Container worker was using 1Gi, request is 0.", "taken"),
        ("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.", "disk"),
        ('Usage of EmptyDir volume "tmp" exceeds the limit "1Gi".', "disk"),
    ],
)
def test_an_eviction_is_the_steps_fault_only_where_it_is(message: str, kind: str) -> None:
    pod = ended(143)
    pod["status"] |= {"phase": "Failed", "reason": "Evicted", "message": message}
    found = why_gone(pod, [])
    assert found.kind == kind
    assert message.rstrip(".") in found.text


def test_one_that_is_simply_deleted() -> None:
    assert why_gone(None, []).kind == "deleted"
