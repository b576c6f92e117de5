"""JupyterLab before a real cluster: a pod is seen to start, and how long that took stays to be seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.cluster.conftest import cluster_settings, fresh_bucket, fresh_namespace, installed
from tests.cluster.leftovers import left_behind, until
from tests.jupyter_ext.browsers import Lab, open_chromium
from tests.jupyter_ext.conftest import labextension  # noqa: F401 - a fixture
from tests.jupyter_ext.servers import lab_server

SLOW = 90_000


@pytest.fixture
def lab(
    kubeconfig: str,
    s3_server: None,
    worker_image: str,
    labextension: None,  # noqa: F811
    tmp_path: Path,
) -> Iterator[Lab]:
    """A page of a JupyterLab whose steps go to a namespace of their own."""
    with fresh_namespace() as namespace, installed(namespace, worker_image), fresh_bucket() as store:
        settings = cluster_settings(namespace, worker_image, store)
        with lab_server(**settings) as server, sync_playwright() as playwright:
            browser = open_chromium(playwright, tmp_path / "chromium")
            page = Lab(browser, server)
            yield page
            assert page.errors == []
            page.close()
            browser.close()
        until("nothing is left of the engine", lambda: not left_behind(namespace))


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_pod_is_seen_to_start_to_work_and_to_stay_warm(lab: Lab) -> None:
    lab.open(
        "pods.ipynb", "%load_ext kernel_magics", "%%step far --cpu 0.5\nimport time\ntime.sleep(3)\nprint('from a pod')"
    )
    lab.run(0)
    lab.tab("Workers")
    lab.run(1)
    workers = lab.sidebar.get_by_role("list", name="Workers of kubernetes")
    expect(workers).to_contain_text("starting", timeout=SLOW)
    expect(lab.sidebar).to_contain_text("no limit")
    lab.picture("pod-starting")
    expect(workers).to_contain_text("busy", timeout=SLOW)
    expect(lab.badge(1)).to_contain_text("running", timeout=SLOW)
    lab.picture("pod-busy")
    expect(lab.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    expect(lab.output(1)).to_contain_text("from a pod")
    expect(workers).to_contain_text("idle, warm", timeout=SLOW)
    assert lab.faults(".cy-sidebar") == []
    lab.badge(1).get_by_role("button", name=re.compile("^run ")).click()
    far = lab.page.locator(".cy-run-tab").get_by_role("tab", name=re.compile("far"))
    expect(far.locator(".cy-bar-starts")).to_be_visible()
    expect(far).to_contain_text(re.compile("took .* to start"))
    lab.picture("pod-run")
