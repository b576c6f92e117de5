"""JupyterLab as a person meets it. Each test leaves pictures in build/screenshots."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Route, expect

from tests.jupyter_ext.browsers import SECONDS
from tests.service.engines import until

pytestmark = pytest.mark.timeout(300)

LOAD = "%load_ext kernel_magics"
ROWS = "%%step load --cpu 1 --memory 1GiB\nrows = list(range(300_000))\nprint(len(rows), 'rows')"
COUNTING = (
    "%%step count --cpu 1\nimport time\nfor number in range(900):\n    print('number', number)\n    time.sleep(0.1)"
)
SLOW = 60 * SECONDS


def test_from_a_plain_cell_to_a_step_that_runs_and_is_stopped(page):
    lab = page(keep=True)
    lab.open("first.ipynb", "total = sum(range(10))\nprint('the sum is', total)", COUNTING.replace("%%step count", "#"))
    expect(lab.sidebar).to_contain_text("This notebook has no steps yet")
    lab.picture("empty-notebook")
    lab.command("cellyard:show")
    lab.page.evaluate("() => void jupyterapp.commands.execute('cellyard:export')")
    expect(lab.page.locator(".cy-dialog")).to_contain_text("There is nothing to export: the notebook has no steps.")
    lab.button("Close", within=lab.page.locator(".cy-dialog")).click()
    lab.button("Insert %load_ext kernel_magics").click()
    expect(lab.cell(0).locator(".cm-content")).to_have_text(LOAD)
    # The cell that was chosen is still the one that would be made a step; one without code cannot be.
    expect(lab.cell(1)).to_have_class(re.compile("jp-mod-active"))
    turn = lab.button("Turn this cell into a step")
    expect(turn).to_be_enabled()
    lab.command("notebook:change-cell-to-markdown")
    expect(turn).to_be_disabled()
    expect(lab.sidebar).to_contain_text("The cell that is active now has no code.")
    lab.command("notebook:change-cell-to-code")
    expect(turn).to_be_enabled()
    speak = "name => jupyterapp.shell.currentWidget.content.model.setMetadata('language_info', {name})"
    lab.page.evaluate(speak, "R")
    expect(lab.sidebar).to_contain_text("Steps are cells of notebooks in Python")
    lab.page.evaluate(speak, "python")
    # From the cell's own toolbar.
    lab.cell(1).locator(".jp-InputArea-prompt").click()
    lab.cell(1).get_by_role("button", name="Run this cell on a worker").click()
    dialog = lab.page.locator(".cy-dialog")
    expect(dialog.get_by_label("Name").first).to_be_focused()
    dialog.get_by_label("memory", exact=False).first.fill("512")
    expect(dialog).to_contain_text("memory")
    expect(dialog.locator(".cy-error")).to_contain_text("512")
    lab.picture("step-form-error")
    dialog.get_by_label("memory", exact=False).first.fill("512MiB")
    expect(dialog).to_contain_text("The line is a good one.")
    lab.picture("step-form")
    # A quote that is not closed stays where it is, and what the kernel fills in is not called wrong.
    dialog.get_by_label("Name").first.fill("it's")
    dialog.get_by_label("memory", exact=False).first.fill("{size}")
    expect(dialog).to_contain_text("What is in braces is filled in when the cell runs")
    expect(dialog.locator(".cy-error")).to_have_count(0)
    dialog.get_by_label("Name").first.fill("total")
    dialog.get_by_label("memory", exact=False).first.fill("512MiB")
    expect(dialog).to_contain_text("The line is a good one.")
    lab.button("Apply", within=dialog).click()
    expect(lab.cell(1).locator(".cm-line").first).to_have_text("%%step total --memory 512MiB")
    lab.run(0)
    lab.run(1)
    expect(lab.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    expect(lab.badge(1)).to_contain_text("512 MiB")
    expect(lab.output(1)).to_have_text("the sum is 45")
    # A long one: live under its cell, in the status bar, among the workers; and stopped.
    lab.write(2, COUNTING)
    lab.run(2)
    expect(lab.badge(2)).to_contain_text("running", timeout=SLOW)
    expect(lab.output(2)).to_contain_text("number 3", timeout=SLOW)
    expect(lab.page.locator(".cy-status")).to_have_text("Steps: 1 running")
    lab.picture("running")
    lab.tab("Workers")
    expect(lab.sidebar).to_contain_text("1 of 2")
    expect(lab.sidebar.get_by_role("list", name="Workers of local")).to_contain_text("busy, 2 CPU")
    lab.picture("workers")
    lab.button("Stop count", within=lab.badge(2)).click()
    expect(lab.badge(2)).to_contain_text("cancelled", timeout=SLOW)
    # The button has gone; whoever uses a keyboard is still there.
    expect(lab.badge(2).get_by_role("button", name=re.compile("^run "))).to_be_focused()
    expect(lab.sidebar).to_contain_text("Idle: no step runs here.")
    expect(lab.sidebar.get_by_role("list", name="Workers of local")).to_contain_text("idle, warm")
    expect(lab.page.locator(".cy-status")).to_have_count(0)


def test_the_graph_the_table_and_a_failure(page):
    lab = page(keep=True)
    lab.open(
        "graph.ipynb",
        LOAD,
        ROWS,
        "%%step even\neven = [row for row in rows if row % 2 == 0]",
        "%%step odd\nodd = [row for row in rows if row % 2]",
        "%%step ratio --memory 512MiB\nprint('dividing')\ndisplay(even[:3])\n"
        "ratio = len(even) / (len(odd) - len(even))",
    )
    nodes = lab.sidebar.locator(".cy-node")
    expect(nodes).to_have_count(4)
    expect(lab.sidebar.locator(".cy-edge")).to_have_count(4)
    lab.button("Run all").click()
    expect(lab.badge(4)).to_contain_text("failed", timeout=SLOW)
    expect(nodes.nth(0)).to_contain_text("succeeded")
    # A plan says what would run, until something has.
    lab.button("Plan").click()
    expect(nodes.nth(3).locator(".cy-stale")).to_have_text("run", timeout=SLOW)
    lab.run(4)
    expect(nodes.nth(3).locator(".cy-stale")).to_have_count(0)
    expect(lab.output(4).last).to_contain_text("ZeroDivisionError", timeout=SLOW)
    expect(lab.badge(4)).to_contain_text("failed", timeout=SLOW)
    nodes.nth(3).click()
    expect(lab.sidebar.locator(".cy-chosen")).to_contain_text("ZeroDivisionError")
    expect(lab.cell(4)).to_have_class(re.compile("jp-mod-active"))
    lab.picture("graph")
    lab.button("Table").click()
    row = lab.sidebar.get_by_role("row", name=re.compile("^ratio"))
    expect(row).to_contain_text("even, odd")
    lab.picture("table")
    # An edit makes it stale.
    lab.write(2, "%%step even\neven = [row for row in rows if row % 2 == 0][:-1]")
    expect(lab.badge(2)).to_contain_text("stale")
    # The run's page: cause, output, values.
    lab.badge(4).get_by_role("button", name=re.compile("^run ")).click()
    run = lab.page.locator(".cy-run-tab")
    expect(run.locator(".cy-cause")).to_contain_text("division by zero")
    expect(run.locator(".cy-log .jp-OutputArea-output")).to_have_text(["dividing", "[0, 2, 4]"])
    expect(run.locator(".cy-values")).to_contain_text("even")
    run.get_by_label("Search the output").fill("divid")
    expect(run.locator(".cy-found li")).to_have_text("dividing")
    # Also in what is no stream.
    run.get_by_label("Search the output").fill("[0, 2")
    expect(run.locator(".cy-found li")).to_have_text("[0, 2, 4]")
    expect(run.locator(".cy-found li")).to_have_attribute("value", "2")
    lab.picture("failed-run")


def test_a_step_comes_back_after_a_page_reload_and_a_kernel_restart(page):
    lab = page()
    lab.open("back.ipynb", LOAD, COUNTING)
    lab.run(0)
    lab.run(1)
    expect(lab.output(1)).to_contain_text("number 2", timeout=SLOW)
    lab.command("docmanager:save")
    lab.reload()
    expect(lab.badge(1)).to_contain_text("running", timeout=SLOW)
    last = number_shown(lab)
    until(lambda: number_shown(lab) > last + 5, "the step goes on under its cell", seconds=60)
    text = lab.output(1).inner_text()
    assert [line for line in text.splitlines() if line][:3] == ["number 0", "number 1", "number 2"]
    lab.picture("back-after-reload")
    lab.page.evaluate("() => void jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    last = number_shown(lab)
    until(lambda: number_shown(lab) > last + 15, "it goes on without the kernel that began it", seconds=60)
    expect(lab.badge(1)).to_contain_text("running")
    lab.button("Stop count", within=lab.badge(1)).click()
    expect(lab.badge(1)).to_contain_text("cancelled", timeout=SLOW)
    # What a step ends with stays under its cell, also where the page hears of the end later than of its output.
    lab.write(1, "%%step fails\nimport time\ntime.sleep(1)\n1 / 0")
    lab.run(0)
    lab.run(1)
    expect(lab.badge(1)).to_contain_text("running", timeout=SLOW)
    expect(lab.badge(1)).to_contain_text("failed", timeout=SLOW)
    expect(lab.output(1).last).to_contain_text("ZeroDivisionError: division by zero")


def test_of_two_notebooks_side_by_side_both_show_their_steps(page):
    lab = page(width=1500)
    lab.open("left.ipynb", LOAD, "%%step left\nimport time\ntime.sleep(8)\nprint('done at the left')")
    left = lab.page.locator(".jp-NotebookPanel").first
    lab.run(0)
    lab.run(1)
    expect(left.locator(".cy-badge")).to_contain_text("running", timeout=SLOW)
    # A copy: its cells have the same ids.
    right = lab.open_beside("right.ipynb", LOAD, "%%step right\nprint('at the right')", "%%step more")
    expect(right.locator(".cy-badge").first).to_contain_text("not run")
    expect(left.locator(".cy-badge")).to_contain_text("running")
    expect(lab.sidebar).to_contain_text("right.ipynb")
    lab.picture("side-by-side")
    # It ends while the other is in front, and is still stopped and opened by its own badge.
    expect(left.locator(".cy-badge")).to_contain_text("succeeded", timeout=SLOW)
    expect(left.locator(".jp-OutputArea-output")).to_contain_text(["done at the left"])
    expect(right.locator(".cy-badge").first).to_contain_text("not run")
    left.locator(".jp-CodeCell").first.locator(".jp-InputArea-prompt").click()
    expect(lab.sidebar).to_contain_text("left.ipynb")
    expect(lab.sidebar.locator(".cy-node")).to_have_count(1)
    expect(right.locator(".cy-badge")).to_have_count(2)


def number_shown(lab) -> int:
    found = re.findall(r"number (\d+)", lab.output(1).inner_text())
    return int(found[-1]) if found else -1


def test_what_is_shown_is_never_called_live_when_it_is_not(page, lab):
    shown = page()
    shown.hurry(40)
    shown.open("away.ipynb", LOAD, ROWS)
    lab.home.client().stop(drain=False, timeout=20)
    shown.liveness("stopped")
    expect(shown.sidebar).to_contain_text("The engine is not running.")
    shown.picture("engine-stopped")
    shown.tab("Schedules")
    expect(shown.sidebar).to_contain_text("Which schedules there are is known while the engine runs.")
    shown.tab("Notebook")
    # To look at a step's line starts none.
    shown.sidebar.locator(".cy-node").first.click()
    shown.button("Edit…").click()
    expect(shown.page.locator(".cy-dialog")).to_contain_text("The line is not checked: no engine runs")
    shown.picture("step-form-without-engine")
    shown.button("Cancel", within=shown.page.locator(".cy-dialog")).click()
    shown.liveness("stopped")
    # One that is asked to start and does not come.
    engine = re.compile("/cellyard/api/v1/engine")
    shown.page.route(engine, lambda route: None)
    shown.button("Start it now").click()
    shown.liveness("connecting")
    expect(shown.sidebar.get_by_role("alert")).to_contain_text("No answer within 40 s")
    shown.liveness("stopped")
    shown.picture("engine-not-started")
    shown.page.unroute(engine)
    shown.button("Try again").click()
    shown.liveness("live")
    lab.home.kill_engine()
    # A step that needs it starts it again, and nobody has to reload anything.
    shown.liveness("stopped")
    shown.run(0)
    shown.run(1)
    shown.liveness("live")
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    lab.stop()
    shown.liveness("offline")
    expect(shown.sidebar).to_contain_text("The Jupyter server does not answer.")
    shown.picture("server-away")
    lab.start()
    shown.liveness("live")
    shown.page.context.set_offline(True)
    shown.liveness("offline")
    shown.page.context.set_offline(False)
    shown.liveness("live")


@pytest.mark.long
def test_a_server_that_hangs_is_told_and_found_again(page, lab):
    shown = page()
    shown.open("hangs.ipynb", LOAD, ROWS)
    with lab.hanging():
        # First nothing is heard for too long, and then the question whether it is there is not answered.
        expect(shown.sidebar).not_to_have_attribute("data-liveness", "live", timeout=SLOW)
        expect(shown.sidebar).to_have_attribute("data-liveness", "offline", timeout=SLOW)
    shown.liveness("live")


def test_a_notebook_becomes_a_pipeline_that_is_proven_and_scheduled(page, lab):
    shown = page()
    shown.open(
        "report.ipynb", "count = 3", "%%step total\ntotal = count * 2", "%%step size --after nowhere\nsize = total + 1"
    )
    shown.tag(0, "parameters")
    shown.button("Export to pipeline…").click()
    dialog = shown.page.locator(".cy-dialog")
    # What keeps it from being one: the way to the cell, and no way around it.
    expect(dialog.locator(".cy-problems")).to_contain_text("nowhere")
    expect(shown.button("Export", within=dialog)).to_have_count(0)
    shown.picture("export-problem")
    dialog.locator(".cy-problems .cy-link").first.click()
    expect(dialog).to_have_count(0)
    shown.write(2, "%%step size\nsize = total + 1")
    expect(shown.sidebar.locator(".cy-node")).to_have_count(2)
    shown.button("Export to pipeline…").click()
    expect(dialog).to_contain_text("2 steps")
    dialog.get_by_label("Lock the packages").uncheck()
    dialog.get_by_label("Prove it").check()
    dialog.get_by_label("Value of count").fill("many")
    expect(dialog.get_by_role("alert")).to_contain_text("of type int, as 3 is")
    # What cannot be meant cannot be exported.
    export = shown.button("Export", within=dialog)
    expect(export).to_be_disabled()
    dialog.get_by_label("Value of count").fill("5")
    expect(export).to_be_enabled()
    dialog.get_by_label("Folder").fill("")
    expect(dialog.get_by_role("alert")).to_contain_text("a folder of its own")
    expect(export).to_be_disabled()
    dialog.get_by_label("Folder").fill("report-pipeline")
    dialog.get_by_label("Schedule").fill("0 6 * * 7")
    expect(dialog.get_by_role("alert")).to_contain_text("Sunday is 0")
    expect(export).to_be_disabled()
    dialog.get_by_label("Schedule").fill("0 6 * * 1-5")
    expect(dialog.locator(".cy-next")).to_contain_text("Monday through Friday")
    dialog.get_by_label("Time zone").fill("Nowhere/City")
    expect(dialog.get_by_role("alert")).to_contain_text("Nowhere/City")
    expect(export).to_be_disabled()
    shown.picture("export-wrong")
    dialog.get_by_label("Time zone").fill("Europe/Berlin")
    expect(dialog.locator(".cy-next")).to_contain_text("Monday through Friday")
    expect(dialog.locator(".cy-next li")).to_have_count(5)
    shown.picture("export")
    assert shown.faults(".cy-dialog") == []
    shown.button("Export", within=dialog).click()
    # Live: the notebook's run is told while the bundle's has not begun.
    said = dialog.get_by_role("log")
    expect(said).to_contain_text("proving: the notebook runs", timeout=SLOW)
    expect(said).not_to_contain_text("proving: every value is compared", timeout=1)
    shown.picture("proving")
    expect(said).to_contain_text("step 2 of 2: size", timeout=SLOW)
    expect(dialog.locator(".cy-verdict")).to_contain_text("Proven: all 4 values are those", timeout=SLOW)
    shown.picture("proven")
    assert shown.faults(".cy-dialog") == []
    shown.button("Close", within=dialog).click()
    expect(shown.page.locator(".jp-MarkdownViewer")).to_contain_text("The bundle gives the notebook's values")
    assert "name: count" in (lab.root / "report-pipeline" / "pipeline.yaml").read_text()
    shown.tab("Schedules")
    card = shown.sidebar.get_by_role("region", name="report")
    expect(card).to_contain_text("Monday through Friday")
    expect(card).to_contain_text("It has not run yet.")
    # What is exported again takes the schedule's place, or gets one of another name, or none.
    shown.page.get_by_role("tab", name="report.ipynb").click()
    shown.tab("Notebook")
    export_again(shown, lab)
    replace_it(shown)
    shown.tab("Schedules")
    expect(card).to_contain_text("Monday through Friday")
    shown.button("Edit…", within=card).click()
    expect(dialog.get_by_label("Value of count")).to_have_attribute("placeholder", "4")
    dialog.get_by_label("Schedule").fill("")
    expect(dialog.get_by_role("alert")).to_contain_text("Without a time it would never run.")
    expect(shown.button("Apply", within=dialog)).to_be_disabled()
    dialog.get_by_label("Schedule").fill("30 7 * * 1")
    dialog.get_by_label("Value of count").fill("7")
    expect(dialog.locator(".cy-next")).to_contain_text("Monday")
    shown.picture("schedule-form")
    assert shown.faults(".cy-dialog") == []
    # A failure costs nobody what they have typed.
    shown.page.route(re.compile("/v1/schedules/report"), lambda route: route.abort())
    shown.button("Apply", within=dialog).click()
    expect(dialog.locator(".cy-form-problem")).to_contain_text("no connection to the Jupyter server")
    expect(dialog.get_by_label("Value of count")).to_have_value("7")
    shown.picture("schedule-not-changed")
    shown.page.unroute_all(behavior="ignoreErrors")
    shown.button("Apply", within=dialog).click()
    expect(card).to_contain_text("07:30")
    shows_what_a_schedule_ran(shown, card)
    # What goes on is asked for again until it does not.
    shown.page.route(re.compile(r"/v1/schedules\?"), runs_now)
    shown.button("Pause", within=card).click()
    expect(card).to_contain_text("paused")
    expect(card).to_contain_text("running")
    shown.page.unroute_all(behavior="ignoreErrors")
    expect(card).not_to_contain_text("running")
    shown.picture("schedules")
    assert shown.faults(".cy-sidebar") == []
    shown.button("Remove…", within=card).click()
    shown.page.locator(".jp-Dialog").get_by_role("button", name="Remove").click()
    expect(shown.sidebar).to_contain_text("No schedules yet.")


def export_again(shown, lab) -> None:
    """Its files are written and shown also where it cannot be scheduled."""
    dialog = shown.page.locator(".cy-dialog")
    shown.button("Export to pipeline…").click()
    dialog.get_by_label("Lock the packages").uncheck()
    dialog.get_by_label("Folder").fill("again")
    dialog.get_by_label("Schedule").fill("0 6 * * 1-5")
    name = dialog.get_by_label("Name", exact=False)
    expect(name).to_have_value("report")
    expect(dialog.get_by_role("alert")).to_contain_text("There is a schedule report already")
    expect(shown.button("Export", within=dialog)).to_be_disabled()
    shown.picture("export-name-taken")
    assert shown.faults(".cy-dialog") == []
    replace = dialog.get_by_label("Replace it")
    replace.check()
    expect(shown.button("Export", within=dialog)).to_be_enabled()
    name.fill("other")
    expect(replace).to_have_count(0)
    shown.page.route(re.compile(r"/v1/schedules\?"), refuse)
    expect(dialog.locator(".cy-next")).to_be_visible()
    shown.button("Export", within=dialog).click()
    expect(dialog.locator(".cy-cause")).to_contain_text("files written to again, but not scheduled", timeout=SLOW)
    reason = dialog.locator(".cy-cause pre")
    assert reason.evaluate("each => each.scrollWidth <= each.clientWidth")
    shown.page.unroute_all(behavior="ignoreErrors")
    shown.picture("not-scheduled")
    shown.button("Close", within=dialog).click()
    assert (lab.root / "again" / "pipeline.yaml").exists()
    expect(shown.page.get_by_role("tab", name="README.md").first).to_be_visible()
    # What was typed is there again.
    shown.page.get_by_role("tab", name="report.ipynb").click()
    shown.button("Export to pipeline…").click()
    expect(dialog.get_by_label("Folder")).to_have_value("again")
    expect(name).to_have_value("other")
    shown.button("Cancel", within=dialog).click()


def replace_it(shown) -> None:
    """The schedule runs what is exported from now on, at the times that it has, when no others are given."""
    dialog = shown.page.locator(".cy-dialog")
    shown.write(0, "count = 4")
    shown.button("Export to pipeline…").click()
    dialog.get_by_label("Name", exact=False).fill("report")
    dialog.get_by_label("Replace it").check()
    expect(dialog).to_contain_text("at these times. Its history")
    dialog.get_by_label("Schedule").fill("")
    expect(dialog).to_contain_text("at the times that it has")
    shown.picture("export-replaces")
    shown.button("Export", within=dialog).click()
    expect(dialog).to_have_count(0, timeout=SLOW)
    shown.page.get_by_role("tab", name="report.ipynb").click()


def refuse(route: Route) -> None:
    """Whatever is not only looked at."""
    if route.request.method == "GET":
        route.continue_()
    else:
        route.fulfill(status=400, json={"error": "UsageError", "message": "not now, " + "because " * 60})


def shows_what_a_schedule_ran(shown, card) -> None:
    """A bundle among the engine's files: nothing of Jupyter's can be opened or changed."""
    shown.button("Run now", within=card).click()
    card.get_by_role("button", name=re.compile("^run ")).first.click(timeout=SLOW)
    run = shown.page.locator(".jp-MainAreaWidget:not(.lm-mod-hidden) .cy-run-tab")
    expect(run.locator("h2")).to_contain_text("succeeded", timeout=SLOW)
    expect(run.locator("header")).to_contain_text("schedule report")
    expect(run.locator("header button")).to_have_count(0)
    expect(run).to_contain_text("no notebook among the files of this server")
    expect(shown.button("Reproduce in the notebook", within=run)).to_have_count(0)
    expect(shown.button("Use it", within=run)).to_have_count(0)
    shown.picture("run-of-a-schedule")
    # Each graph has arrows of its own: those of a hidden one are not drawn.
    shown.tab("Notebook")
    expect(shown.page.locator(".cy-graph marker")).to_have_count(2)
    ids = shown.page.locator(".cy-graph marker").evaluate_all("all => all.map(each => each.id)")
    ends = shown.page.locator(".cy-edge").evaluate_all("all => all.map(each => each.getAttribute('marker-end'))")
    assert sorted(ends) == sorted({f"url(#{each})" for each in ids})
    shown.tab("Schedules")
    shown.button("Pause", within=card).wait_for()


def runs_now(route: Route) -> None:
    """Schedules whose last firing goes on."""
    answer = route.fetch()
    firing = {"id": 1, "due": 0, "cause": "time", "state": "running", "note": "", "run_id": None}
    told = answer.json()
    told["schedules"] = [each | {"last": firing} for each in told["schedules"]]
    route.fulfill(response=answer, json=told)


def test_the_runs_by_keyboard_in_two_themes_and_in_little_room(page):
    lab = page(width=900, height=640)
    lab.open("keys.ipynb", LOAD, ROWS, "%%step broken\nraise ValueError('\\x1b[31mno ' + 'and no ' * 900)")
    lab.run(0)
    lab.run(1)
    expect(lab.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    lab.run(2)
    expect(lab.badge(2)).to_contain_text("failed", timeout=SLOW)
    # However much an error says, what can be done is in sight.
    lab.sidebar.locator(".cy-node").nth(1).click()
    expect(lab.sidebar.locator(".cy-chosen .cy-error")).to_have_text(re.compile("^ValueError: no and no "))
    expect(lab.sidebar.get_by_role("button", name=re.compile("^Open run"))).to_be_in_viewport()
    lab.picture("much-said")
    lab.sidebar.get_by_role("tab", name="Notebook", exact=True).focus()
    lab.page.keyboard.press("ArrowRight")
    expect(lab.sidebar.get_by_role("tab", name="Runs", exact=True)).to_be_focused()
    for _ in range(3):
        lab.page.keyboard.press("Tab")
    expect(lab.sidebar.get_by_role("listbox", name="Runs")).to_be_focused()
    lab.page.keyboard.press("ArrowDown")
    # The list hears of a run later than its cell.
    expect(lab.sidebar.locator(".cy-list-row").first).to_contain_text("broken")
    chosen = lab.sidebar.locator(".cy-list-row.cy-active")
    runs = lab.sidebar.get_by_role("listbox", name="Runs")
    for key, place in (("End", chosen.get_attribute("aria-setsize") or ""), ("Home", "1"), ("ArrowDown", "2")):
        lab.page.keyboard.press(key)
        expect(chosen).to_have_attribute("aria-posinset", place)
        expect(runs).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "")
    expect(chosen).to_contain_text("load")
    for theme in ("JupyterLab Light", "JupyterLab Dark High Contrast"):
        lab.theme(theme)
        lab.picture(f"runs-{theme.split('JupyterLab ')[1].replace(' ', '-').lower()}")
        assert lab.faults(".cy-sidebar") == [], theme
        assert lab.faults(".cy-badge") == [], theme
    lab.sidebar.get_by_role("listbox", name="Runs").focus()  # a menu has had it, for the theme
    lab.page.keyboard.press("Enter")
    run = lab.page.locator(".cy-run-tab")
    expect(run).to_contain_text("300000 rows")
    lab.picture("run-dark-high-contrast")
    assert lab.faults(".cy-run-tab") == []
    lab.theme("JupyterLab Light")
    assert lab.faults(".cy-run-tab") == []
    # The size that it should have asked for, into its cell.
    lab.button("Use it", within=run).click()
    expect(lab.cell(1).locator(".cm-line").first).to_have_text(re.compile(r"^%%step load --cpu 1 --memory \d+MiB$"))
    lab.picture("resized")
    lab.tab("Workers")
    assert lab.faults(".cy-sidebar") == []

    # What cannot be drawn is said where it would be, and nowhere else.
    odd = {"places": [{"name": "odd", "place": "", "steps": [], "workers": []}]}
    lab.page.get_by_role("tab", name="keys.ipynb").click()
    lab.page.route(re.compile("/workers"), lambda route: route.fulfill(json=odd))
    lab.run(1)
    expect(lab.sidebar.get_by_role("alert")).to_contain_text("This cannot be shown")
    lab.page.unroute_all()
    lab.run(1)
    lab.tab("Runs")
    expect(lab.sidebar.locator(".cy-list-row").first).to_be_visible()
    lab.tab("Workers")
    expect(lab.sidebar).to_contain_text("Idle: no step runs here.")
