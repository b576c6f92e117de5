"""What a step does on this machine, on pods: stopping, causes, evidence, post-mortems and coming back."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import cluster_settings, fresh_bucket, fresh_namespace, installed, kubectl
from tests.cluster.leftovers import left_behind, until
from tests.cluster.test_notebook_on_kubernetes import printed_until
from tests.kernel_magics import test_async, test_causes, test_debug, test_evidence, test_interrupt
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home

pytestmark = [pytest.mark.long, pytest.mark.timeout(300, func_only=True)]

NOTEBOOK = "/tmp/evidence.ipynb"
PRICES = {"CELLYARD_PRICE_CPU": "36", "CELLYARD_PRICE_MEMORY": "7.2", "CELLYARD_CURRENCY": "EUR"}


@pytest.fixture(scope="module")
def home(kubeconfig: str, s3_server: None, worker_image: str) -> Iterator[Home]:
    with fresh_namespace() as namespace, installed(namespace, worker_image), fresh_bucket() as store:
        settings = cluster_settings(namespace, worker_image, store)
        with engine_home(**settings, **PRICES, CELLYARD_KUBERNETES_MAX_WORKERS="2") as found:
            yield found
        until("nothing is left of the engine", lambda: not left_behind(namespace), within=60)


@pytest.fixture(scope="module")
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at({**home.env, "JPY_SESSION_NAME": NOTEBOOK}) as found:
        found.run("%%step warm --cpu 0.5\npass", timeout=120)
        yield found


class TestStopping:
    """As ``tests/kernel_magics/test_interrupt.py``."""

    test_within_a_second = staticmethod(
        test_interrupt.test_it_raises_keyboardinterrupt_within_a_second_and_the_kernel_lives_on
    )
    test_recorded = staticmethod(test_interrupt.test_it_is_in_the_records_as_cancelled)
    test_caught = staticmethod(test_interrupt.test_user_code_may_catch_it_and_go_on)
    test_twice = staticmethod(test_interrupt.test_a_second_one_ends_a_step_that_will_not_listen)
    test_cancelled = staticmethod(test_async.test_cancel_ends_it_and_its_values_say_so)
    test_awaited = staticmethod(test_async.test_wait_raises_what_failed)
    test_kept = staticmethod(test_async.test_catch_binds_the_exception_and_the_cell_goes_on)


class TestCauses:
    """As ``test_causes.py`` and ``test_debug.py``."""

    test_words = staticmethod(test_causes.test_a_failure_says_what_to_do)
    test_part = staticmethod(test_causes.test_a_value_that_could_not_travel_says_which_part_of_it_when_it_is_used)
    test_post_mortem = staticmethod(test_debug.test_debug_opens_on_the_frames_of_the_step)
    test_libraries = staticmethod(test_debug.test_frames_in_libraries_are_shown_with_their_source)
    test_reproduced = staticmethod(test_debug.test_reproduce_binds_the_inputs_and_offers_the_source)


class TestEvidence:
    """As ``test_evidence.py``."""

    test_curve = staticmethod(test_evidence.test_out_of_memory_is_told_with_curve_objects_and_a_proposal)
    test_growing = staticmethod(test_evidence.test_a_retry_after_it_has_twice_the_memory_and_each_attempt_its_curve)
    test_sizes = staticmethod(test_evidence.test_sizes_proposes_with_the_evidence_and_auto_applies_it)
    test_cost = staticmethod(test_evidence.test_a_run_has_its_cost_by_the_price_table)


def test_a_container_that_is_killed_whole_leaves_the_curve_of_its_memory(kernel: Kernel, home: Home) -> None:
    id = kernel.begin(
        "%%step gone --cpu 0.5 --memory 300MiB\nimport os, time\nheld = []\nfor _ in range(15):\n"
        "    held.append(b'x' * (12 << 20))\n    time.sleep(0.5)\nprint('pod', os.environ['HOSTNAME'], flush=True)\n"
        "time.sleep(100)"
    )
    pod = printed_until(kernel, id, "\n").split()[-1]
    namespace = home.env["CELLYARD_KUBERNETES_NAMESPACE"]
    run = home.client().notebook_steps(NOTEBOOK)[-1]["run_id"]
    kubectl("exec", pod, "-n", namespace, "--", "python", "-c", "import os; os.kill(1, 15)", check=False)
    ran = kernel.finish(id, timeout=60)
    assert ran.error is not None
    assert ran.error["ename"] == "WorkerLost"
    assert "container was killed" in ran.error["evalue"]
    found = home.client().samples(run, "gone")
    assert found["peak"] > 150 << 20
    assert len(found["samples"]) > 5


def test_a_container_out_of_memory_says_so_with_the_curve(kernel: Kernel, home: Home) -> None:
    """More than the container may have, at once: whoever is first, the worker's guard or the kernel of the node."""
    failed = kernel.fail(
        "%%step bursts --cpu 0.5 --memory 200MiB\nimport time\nheld = []\nfor _ in range(10):\n"
        "    held.append(b'x' * (10 << 20))\n    time.sleep(0.1)\nheld.append(b'x' * (2 << 30))\ntime.sleep(100)",
        timeout=120,
    )
    assert failed.error["ename"] == "StepOutOfMemory", failed.words
    assert re.search(r"Try --memory [\d.]+GiB", failed.words)
    run = home.client().notebook_steps(NOTEBOOK)[-1]["run_id"]
    assert len(home.client().samples(run, "bursts")["samples"]) > 5


def test_a_restarted_kernel_finds_its_step_on_its_pod(home: Home, tmp_path) -> None:
    notebook = {"JPY_SESSION_NAME": str(tmp_path / "restarted.ipynb")}
    cell = (
        "%%step lasting --cpu 0.5\nimport time\nfor i in range(60):\n    print(i, flush=True)\n    time.sleep(0.1)\n"
        "made = [i]\ni"
    )
    with kernel_at({**home.env, **notebook}) as first:
        id = first.begin(cell)
        first.until_output(id, "3\n", timeout=60)
    with kernel_at({**home.env, **notebook}) as second:
        began = time.monotonic()
        ran = second.run(cell, timeout=60)
        assert ran.result == "59"
        assert [int(each) for each in ran.stdout.split()] == list(range(60))
        assert time.monotonic() - began < 20
        assert second.look("made") == [59]
    steps = home.client().notebook_steps(os.fspath(notebook["JPY_SESSION_NAME"]))
    assert len(steps) == 1
