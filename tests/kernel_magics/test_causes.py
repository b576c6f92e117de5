"""Each way in which a step can fail says what happened and what to do."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from cellyard.errors import StepOutOfMemory, WorkerLost
from cellyard.execution.causes import Seen, explained
from cellyard.model import Resources
from cellyard.worker.pool import out_of_memory
from kernel_magics.advice import advice
from tests.notebooks.kernels import Kernel

LOCK = (
    "import threading\nclass Holder:\n    pass\nholder = Holder()\nholder.inner = {'deep': [threading.Lock()]}"
    "\nholder.inner['deep'][0].acquire()"
)
FAILURES = {
    "out of memory": ("--memory 60MiB", "x = bytearray(90 << 20)\nimport time; time.sleep(30)", "Try --memory"),
    "timeout": ("--timeout 200ms", "import time\ntime.sleep(60)", "--timeout gives it more time"),
    "killed": ("", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "%steps reproduce"),
    "missing module": ("", "import surely_not_installed", "install it here"),
    "missing part of a module": ("", "import json.nosuch", "'json' was found, and has no 'nosuch'"),
    "disk full": ("", "with open('/dev/full', 'w') as f:\n    f.write('x')", "free some of it, or write elsewhere"),
    "too much at once": ("", "import numpy as np\nnp.ones(1 << 50)", "--memory"),
    "output that cannot travel": ("--out holder", LOCK, "inner"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_says_what_to_do(kernel: Kernel, what: str):
    options, source, advised = FAILURES[what]
    failed = kernel.fail(f"%%step failing {options}\n{source}")
    assert advised in failed.words, failed.words


def test_a_module_is_said_to_be_missing_on_the_worker_only_where_that_is_another_machine():
    error = {"type": "ModuleNotFoundError", "message": "No module named 'json'"}
    assert "not on the worker" in advice(error, worker="pod-7:1")
    assert advice(error, worker=f"{socket.gethostname()}:1") == ""


def test_of_a_disk_elsewhere_more_can_be_asked_for():
    assert "--disk" in advice({"type": "OSError", "message": "[Errno 28] No space left on device"}, worker="pod-7:1")


@pytest.mark.parametrize(("most", "advised"), [(3 << 30, "all the memory that there is here"), (8 << 30, "4.75GiB")])
def test_no_more_memory_is_proposed_than_there_is(most: int, advised: str):
    told = StepOutOfMemory(**out_of_memory("train", (3 << 30) + 1, 3 << 30)).to_step_error()
    error, _ = explained({"error": told}, Seen(), Resources(1, 3 << 30), began=0.0, most=most)
    assert error is not None
    assert advised in error["message"]


def test_a_quota_that_is_used_up_is_told_from_a_full_disk():
    error = {"type": "OSError", "message": f"[Errno {errno.EDQUOT}] {os.strerror(errno.EDQUOT)}: 'out.bin'"}
    assert "quota" in advice(error)
    assert "quota" not in advice({"type": "OSError", "message": f"[Errno {errno.ENOSPC}] No space left on device"})


def test_a_value_that_could_not_travel_says_which_part_of_it_when_it_is_used(kernel: Kernel):
    kernel.run(f"%%step holds\n{LOCK}")
    failed = kernel.fail("def use(it):\n    return it.inner\nuse(holder)")
    assert "inner" in failed.error["evalue"]
    assert "lock" in failed.error["evalue"]
    assert "return it.inner" in failed.words
    for ours in ("stand_ins", "wrapt", "kernel_magics"):
        assert ours not in failed.words


def test_a_worker_that_did_not_live_to_tell_leaves_the_curve_and_the_objects():
    seen = Seen()
    for second in range(10):
        seen.note(1000.0 + second, second * 100 << 20, second * 0.5)
    seen.objects = [{"name": "frame", "type": "DataFrame", "bytes": 700 << 20, "where": ""}]
    lost = WorkerLost(step="train", worker="pod-7", hint="The pod is gone.").to_step_error()
    error, curve = explained({"error": lost}, seen, Resources(1, 1000 << 20), began=1000.0)
    assert error is not None
    assert "may have run out of memory" in error["message"]
    assert "frame (700 MiB)" in error["message"]
    assert "Try --memory 1.5GiB" in error["message"]
    assert [point[0] for point in curve] == [float(second) for second in range(10)]
    assert any("▁" in line for line in error["traceback"])
    capped, _ = explained({"error": lost}, seen, Resources(1, 1000 << 20), began=1000.0, most=1100 << 20)
    assert capped is not None
    assert "Try --memory 1100MiB, the most that there is here" in capped["message"]
    with_room, _ = explained({"error": lost}, seen, Resources(1, 10_000 << 20), began=1000.0)
    assert with_room == lost
