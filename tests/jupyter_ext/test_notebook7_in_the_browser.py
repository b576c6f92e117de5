"""Notebook 7: a page with one notebook. Each test leaves pictures in build/screenshots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.jupyter_ext.browsers import SECONDS, Lab, notebook
from tests.jupyter_ext.servers import TOKEN, LabServer, lab_server

pytestmark = pytest.mark.timeout(300)

SLOW = 60 * SECONDS


@pytest.fixture(scope="module")
def lab(labextension) -> Iterator[LabServer]:
    with lab_server(program="notebook") as found:
        yield found


def test_a_step_runs_its_run_is_shown_and_the_notebook_exported(page, lab):
    shown: Lab = page()
    refused: list[str] = []
    shown.page.on("console", lambda told: "cellyard" in told.text and refused.append(told.text))
    cells = notebook("%load_ext kernel_magics", "%%step seven\nseven = 7\nprint('seven:', seven)")
    (lab.root / "seven.ipynb").write_text(cells, encoding="utf-8")
    shown.page.goto(f"{lab.url}/notebooks/seven.ipynb?token={TOKEN}")
    # Before it has its kernel it would ask for one.
    shown.page.get_by_role("button", name="Python 3 (ipykernel)").wait_for()
    shown.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    for _ in range(2):
        shown.page.get_by_role("button", name="Run this cell and advance").click()
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    shown.badge(1).get_by_role("button", name="run ").click()
    run = shown.page.locator(".cy-run-tab")
    expect(run).to_be_visible()
    expect(run).to_contain_text("seven: 7")
    shown.picture("notebook7-run")
    shown.page.get_by_role("button", name="Export to pipeline").click()
    dialog = shown.page.locator(".cy-dialog")
    dialog.get_by_label("Lock the packages").uncheck()
    shown.button("Export", within=dialog).click()
    expect(shown.page.locator(".Toastify__toast")).to_contain_text("files written to seven-pipeline")
    shown.picture("notebook7-exported")
    expect(shown.page.locator(".Toastify__toast", has_text="failed")).to_have_count(0)
    assert (lab.root / "seven-pipeline" / "pipeline.yaml").exists()
    assert refused == []
