"""What takes longer to see in JupyterLab: whole runs and their pages, and what is told while one looks elsewhere."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.jupyter_ext.test_in_the_browser import COUNTING, LOAD, SLOW

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

TABLE = "%%step table\nimport time\nimport pandas as pd\ntable = pd.DataFrame({'a': [1, 2]})\ntime.sleep(2.5)"
BROKEN = "%%step ratio --memory 512MiB\nprint('dividing')\nratio = len(table) / 0"


def test_a_run_in_the_background_is_planned_watched_mended_resumed_and_reproduced(page):
    lab = page()
    lab.open("whole.ipynb", LOAD, TABLE, BROKEN, "%%step last\nlast = ratio + 1")
    # Both save the notebook, and one does so while the other has not ended.
    lab.button("Plan").click()
    expect(lab.sidebar.locator(".cy-node").nth(0)).to_contain_text("run", timeout=SLOW)
    lab.button("In background").click()
    run = lab.page.locator(".jp-MainAreaWidget:not(.lm-mod-hidden) .cy-run-tab")
    expect(run.locator("h2")).to_contain_text("failed", timeout=2 * SLOW)
    expect(run.locator(".cy-cause")).to_contain_text("division by zero")
    expect(run.locator(".cy-node")).to_have_count(2)
    expect(run.locator(".cy-edge")).to_have_count(1)
    expect(run.locator(".cy-timeline-row").first).to_contain_text(re.compile(r"waited .*, took .* to start, ran "))
    assert lab.faults(".cy-run-tab") == []
    run.get_by_role("tab", name=re.compile("table")).click()
    expect(run.get_by_role("img", name="Memory over time")).to_be_visible()
    expect(run.locator(".cy-evidence")).to_contain_text("CPUs in use")
    run.locator(".cy-values summary", has_text="DataFrame").click()
    expect(run.locator(".cy-values table")).to_contain_text("2")
    lab.picture("run-of-a-notebook")
    # What was computed is taken again by the run that goes on.
    lab.command("docmanager:open", path="whole.ipynb")
    lab.write(2, BROKEN.replace("/ 0", "/ 2"))
    lab.command("docmanager:save")
    lab.page.get_by_role("tab", name=re.compile("^Run ")).click()
    lab.button("Resume", within=run).click()
    expect(run.locator("h2")).to_contain_text("succeeded", timeout=2 * SLOW)
    expect(run.locator(".cy-facts").first).to_contain_text("Cached")
    lab.picture("resumed")
    run.get_by_role("tab", name=re.compile("ratio")).click()
    lab.button("Reproduce in the notebook", within=run).click()
    expect(lab.output(3).first).to_contain_text("its source is in the next cell", timeout=SLOW)
    expect(lab.cell(4).locator(".cm-content")).to_contain_text("len(table) / 2")
    lab.picture("reproduced")


def test_a_long_step_is_among_what_runs_and_its_end_is_told(page):
    lab = page()
    lab.open("told.ipynb", LOAD, COUNTING, "%%step slow\nimport time\ntime.sleep(31)\nraise ValueError('in vain')")
    lab.run(0)
    lab.run(1)
    expect(lab.badge(1)).to_contain_text("running", timeout=SLOW)
    lab.page.locator('.lm-TabBar-tab[data-id="jp-running-sessions"]').click()
    panel = lab.page.locator("#jp-running-sessions")
    expect(panel.locator(".jp-RunningSessions-item", has_text="count")).to_contain_text("told.ipynb")
    lab.picture("running-panel")
    item = panel.locator(".jp-RunningSessions-item", has_text="count")
    item.hover()
    item.locator(".jp-RunningSessions-itemShutdown").click()
    expect(lab.badge(1)).to_contain_text("cancelled", timeout=SLOW)
    expect(panel.locator(".jp-RunningSessions-item", has_text="count")).to_have_count(0)
    lab.run(2)
    expect(lab.badge(2)).to_contain_text("running", timeout=SLOW)
    toast = lab.page.locator(".Toastify__toast", has_text="slow failed after")
    expect(toast).to_contain_text("ValueError", timeout=2 * SLOW)
    lab.picture("notification")
    toast.get_by_role("button", name="Show the run").click()
    expect(lab.page.locator(".cy-run-tab")).to_contain_text("in vain")


def test_nothing_is_seriously_wrong_for_anybody_in_any_theme(page):
    lab = page()
    cells = [
        "count = 3",
        "%%step good --cpu 1\ngood = count",
        "%%step bad\nbad = good / 0",
        "%%step more --memory 512MiB",
    ]
    lab.open("themes.ipynb", LOAD, *cells, COUNTING)
    lab.tag(1, "parameters")
    for number in range(5):
        lab.run(number)
        if number in (2, 3):
            expect(lab.badge(number)).to_contain_text("succeeded" if number == 2 else "failed", timeout=SLOW)
    lab.run(5)
    expect(lab.badge(5)).to_contain_text("running", timeout=SLOW)
    lab.write(2, "%%step good --cpu 1\ngood = count + 1")
    expect(lab.badge(2)).to_contain_text("stale")
    dialog = lab.page.locator(".cy-dialog")
    for theme in ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"):
        lab.theme(theme)
        name = theme.removeprefix("JupyterLab ").replace(" ", "-").lower()
        lab.tab("Notebook")
        lab.button("Graph").click()
        lab.sidebar.locator(".cy-node").nth(1).click()
        assert lab.faults(".cy-sidebar") == [], theme
        lab.picture(f"graph-{name}")
        lab.button("Table").click()
        assert lab.faults(".cy-sidebar") == [], theme
        lab.button("Edit…").click()
        dialog.locator("summary").click()
        assert lab.faults(".cy-dialog") == [], theme
        lab.picture(f"step-form-{name}")
        lab.button("Cancel", within=dialog).click()
        lab.button("Export to pipeline…").click()
        dialog.get_by_label("Schedule").fill("0 6 * * 1-5")
        expect(dialog.locator(".cy-next")).to_contain_text("Friday")
        assert lab.faults(".cy-dialog") == [], theme
        lab.picture(f"export-{name}")
        lab.button("Cancel", within=dialog).click()
        for tab in ("Schedules", "Workers"):
            lab.tab(tab)
            assert lab.faults(".cy-sidebar") == [], (theme, tab)
    lab.button("Stop count", within=lab.badge(5)).click()
    expect(lab.badge(5)).to_contain_text("cancelled", timeout=SLOW)
