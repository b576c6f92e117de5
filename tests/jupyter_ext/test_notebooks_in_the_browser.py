"""What becomes of a notebook and its cells, and of their steps. Each test leaves pictures in build/screenshots."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.jupyter_ext.browsers import SECONDS
from tests.service.engines import until

pytestmark = pytest.mark.timeout(300)

LOAD = "%load_ext kernel_magics"
SLOW = 60 * SECONDS
WAITING = "import os, time\nwhile not os.path.exists({gate!r}):\n    time.sleep(0.05)\n"


def begun(shown, folder, notebook: str, line: str, *, last: str = ""):
    """A notebook whose step has printed "before", and prints "after" when the file is there that is returned."""
    gate = folder / "go"
    code = "print('before', flush=True)\n" + WAITING.format(gate=str(gate)) + "print('after')"
    shown.open(notebook, LOAD, "\n".join(filter(None, [line, code, last])))
    shown.run(0)
    shown.run(1)
    expect(shown.output(1)).to_contain_text("before", timeout=SLOW)
    return gate


def test_a_renamed_notebook_keeps_its_steps_in_their_middle_and_afterwards(page, lab, tmp_path):
    shown = page()
    gate = tmp_path / "go"
    slow = "%%step slow\nprint('begun', flush=True)\n" + WAITING.format(gate=str(gate)) + "print('done')"
    shown.open("first-name.ipynb", LOAD, slow, "%%step quick\nprint('quickly')")
    shown.run(0)
    shown.run(2)
    expect(shown.badge(2)).to_contain_text("succeeded", timeout=SLOW)
    shown.run(1)
    expect(shown.output(1)).to_contain_text("begun", timeout=SLOW)
    rename(shown, "first-name.ipynb", "second-name.ipynb")
    expect(shown.badge(1)).to_contain_text("running")
    expect(shown.badge(2)).to_contain_text("succeeded")
    expect(shown.button("Stop slow", within=shown.badge(1))).to_be_visible()
    shown.picture("renamed")
    shown.command("docmanager:save")
    shown.reload()
    expect(shown.badge(1)).to_contain_text("running", timeout=SLOW)
    gate.touch()
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    expect(shown.output(1)).to_contain_text("done")
    # What it runs from now on is found, too; with the kernel that had the old name, and with that kernel's next life.
    shown.write(2, "%%step quick\n1 / 0")
    shown.run(2)
    expect(shown.badge(2)).to_contain_text("failed", timeout=SLOW)
    shown.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    shown.write(2, "%%step quick\nprint('again')")
    shown.run(0)
    shown.run(2)
    expect(shown.badge(2)).to_contain_text("succeeded", timeout=SLOW)
    # A new notebook of the old name begins with nothing.
    other = shown.open_beside("first-name.ipynb", LOAD, "%%step quick\nprint('other')")
    expect(other.locator(".cy-badge")).to_contain_text("not run")


def test_a_notebook_that_is_named_before_any_engine_runs_has_its_steps(page, lab):
    shown = page()
    shown.open("Untitled7.ipynb", LOAD, "%%step early\nprint('early')")
    lab.home.client().stop(drain=False, timeout=20)
    shown.liveness("stopped")
    rename(shown, "Untitled7.ipynb", "named.ipynb")
    shown.command("docmanager:save")
    shown.reload()
    shown.run(0)
    shown.run(1)
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)


def test_output_of_a_step_that_nobody_waits_for_appears_once(page):
    shown = page(keep=True)
    shown.open(
        "async.ipynb",
        LOAD,
        "%%step later --async\nimport time\nfor number in range(12):\n    print('number', number)\n    time.sleep(0.3)",
    )
    shown.run(0)
    shown.run(1)
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    expect(shown.output(1)).to_contain_text("number 11")
    shown.picture("async")
    assert re.findall(r"number (\d+)", shown.output(1).inner_text()) == [str(number) for number in range(12)]


def test_a_step_that_ended_while_the_page_was_away_shows_all_of_its_output(page, lab, tmp_path):
    shown = page()
    gate = begun(shown, tmp_path, "away-at-the-end.ipynb", "%%step away", last="1 / 0")
    shown.command("docmanager:save")
    shown.page.goto("about:blank")
    gate.touch()
    path = str(lab.root / "away-at-the-end.ipynb")
    until(lambda: lab.home.client().notebook_steps(path)[0]["state"] == "failed", "it has ended", seconds=60)
    shown.page.go_back()
    shown.arrived()
    expect(shown.badge(1)).to_contain_text("failed", timeout=SLOW)
    expect(shown.output(1).first).to_contain_text("after")
    expect(shown.output(1).last).to_contain_text("ZeroDivisionError")
    shown.picture("ended-while-away")
    assert shown.output(1).first.inner_text().count("before") == 1


def test_steps_without_a_name_and_below_blank_lines_are_steps_as_others(page):
    shown = page(keep=True)
    shown.open("odd-cells.ipynb", LOAD, "%%step\nq = 1", "\n\n%%step lead\nprint('led')")
    expect(shown.sidebar.locator(".cy-node")).to_have_count(2)
    shown.run(0)
    shown.run(1)
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    shown.run(2)
    expect(shown.badge(2)).to_contain_text("succeeded", timeout=SLOW)
    expect(shown.badge(2)).not_to_contain_text("stale")
    expect(shown.badge(1)).not_to_contain_text("stale")
    shown.cell(2).get_by_role("button", name="Run this cell on a worker").click()
    dialog = shown.page.locator(".cy-dialog")
    expect(dialog.get_by_label("Name").first).to_have_value("lead")
    dialog.get_by_label("Name").first.fill("led")
    shown.button("Apply", within=dialog).click()
    expect(shown.cell(2).locator(".cm-content")).to_contain_text("%%step led")
    expect(shown.cell(2).locator(".cm-content")).not_to_contain_text("%%step lead")
    shown.picture("odd-cells")


def test_the_form_changes_what_was_changed_in_it_and_no_cell_that_may_not_be(page):
    shown = page()
    fixed = "%%step fixed\nprint('as it is')"
    shown.open("form.ipynb", LOAD, "%%step --out one one --env 'WORDS=two  words'\none = 1", fixed)
    shown.page.evaluate("() => jupyterapp.shell.currentWidget.content.widgets[2].model.setMetadata('editable', false)")
    shown.cell(1).locator(".jp-InputArea-prompt").click()
    shown.cell(1).get_by_role("button", name="Run this cell on a worker").click()
    dialog = shown.page.locator(".cy-dialog")
    dialog.get_by_label("Name").first.fill("two")
    dialog.get_by_text("All options").click()
    field = dialog.locator(".cy-field", has_text="An environment variable").locator("input")
    expect(field).to_have_value("'WORDS=two  words'")
    field.fill("")
    field.press_sequentially("MODE=fast 'WORDS=three  words'")
    expect(field).to_have_value("MODE=fast 'WORDS=three  words'")
    shown.picture("form-quotes")
    shown.button("Apply", within=dialog).click()
    assert first_line(shown, 1) == "%%step --out one two --env MODE=fast --env 'WORDS=three  words'"
    shown.sidebar.locator(".cy-node").nth(1).click()
    shown.button("Edit…", within=shown.sidebar.locator(".cy-chosen")).click()
    expect(shown.page.locator(".Toastify__toast")).to_contain_text("may not be edited")
    shown.picture("not-to-be-edited")
    expect(dialog).to_have_count(0)


def test_an_export_that_cannot_save_the_notebook_or_has_no_answer_says_so(page, lab):
    shown = page()
    shown.hurry(40)
    shown.open("unsaved.ipynb", "%%step one\none = 1")
    expect(shown.sidebar.locator(".cy-node")).to_have_count(1)
    shown.write(0, "%%step one\none = 2")
    contents = re.compile("/api/contents/unsaved")
    shown.page.route(contents, lambda route: route.abort() if route.request.method == "PUT" else route.continue_())
    shown.button("Export to pipeline…").click()
    shown.button("Export", within=shown.page.locator(".cy-dialog")).click()
    # JupyterLab's own word of it comes first.
    shown.page.locator(".jp-Dialog", has_text="File Save Error").get_by_role("button", name="Close").click()
    expect(shown.page.locator(".Toastify__toast")).to_contain_text("Nothing was exported")
    shown.picture("export-not-saved")
    # One that is never answered: its dialog says so.
    shown.page.unroute(contents)
    shown.page.route(re.compile("/export-jobs"), lambda route: None)
    shown.button("Export to pipeline…").click()
    shown.button("Export", within=shown.page.locator(".cy-dialog")).click()
    expect(shown.page.locator(".cy-dialog .cy-cause")).to_contain_text("No answer within 40 s")
    shown.picture("export-unanswered")
    shown.button("Close", within=shown.page.locator(".cy-dialog")).click()
    assert not (lab.root / "unsaved-pipeline").exists()


def test_all_views_of_a_notebook_show_what_its_steps_show_once(page, tmp_path):
    shown = page()
    gate = begun(shown, tmp_path, "views.ipynb", "%%step seen")
    shown.command("docmanager:clone")
    views = shown.page.locator(".jp-NotebookPanel")
    expect(views).to_have_count(2)
    expect(views.last.locator(".cy-badge")).to_contain_text("running")
    outputs = views.last.locator(".jp-OutputArea-output")
    expect(outputs).to_have_text("before\n")
    gate.touch()
    expect(views.last.locator(".cy-badge")).to_contain_text("succeeded", timeout=SLOW)
    expect(outputs).to_have_text("before\nafter\n")
    # Also where a page that was loaded anew tells it, to both.
    gate.unlink()
    shown.run(1)
    expect(outputs).to_have_text("before\n", timeout=SLOW)
    expect(views.last.locator(".cy-badge")).to_contain_text("running")
    shown.command("docmanager:save")
    shown.reload()
    expect(shown.badge(1)).to_contain_text("running", timeout=SLOW)
    expect(shown.output(1)).to_have_text("before\n", timeout=SLOW)
    if views.count() == 1:
        shown.command("docmanager:clone")
    expect(views.last.locator(".cy-badge")).to_contain_text("running")
    gate.touch()
    expect(views.last.locator(".cy-badge")).to_contain_text("succeeded", timeout=SLOW)
    expect(outputs).to_have_text("before\nafter\n")
    shown.page.wait_for_timeout(500)
    expect(outputs).to_have_text("before\nafter\n")
    shown.picture("two-views")


def test_a_run_in_the_background_leaves_the_output_of_the_notebook_as_it_is(page, tmp_path):
    shown = page()
    gate = tmp_path / "go"
    gate.touch()
    when = "%%step when --after first\nimport time\nprint('at', time.time(), flush=True)\n"
    shown.open("apart.ipynb", LOAD, "%%step first\nfirst = 1", when + WAITING.format(gate=str(gate)))
    for number in range(3):
        shown.run(number)
    expect(shown.cell(2).locator(".jp-InputArea-prompt")).to_have_text("[3]:", timeout=SLOW)
    before = shown.output(2).inner_text()
    gate.unlink()
    shown.button("In background").click()
    run = shown.page.locator(".jp-MainAreaWidget:not(.lm-mod-hidden) .cy-run-tab")
    step = run.get_by_role("tabpanel", name="when")
    expect(step).to_contain_text("running", timeout=SLOW)
    shown.command("docmanager:open", path="apart.ipynb")
    expect(shown.badge(2)).to_contain_text("running", timeout=SLOW)
    # Whatever happens in the notebook, its steps are looked at.
    shown.write(0, f"{LOAD}\n# and no more")
    shown.page.wait_for_timeout(1500)
    assert shown.output(2).inner_text() == before
    expect(shown.cell(2).locator(".jp-InputArea-prompt")).to_have_text("[3]:")
    # Its page stays with the step that was stopped.
    shown.page.get_by_role("tab", name=re.compile("^Run ")).click()
    shown.button("Cancel the run", within=run).click()
    expect(run.locator("h2")).to_contain_text("cancelled", timeout=SLOW)
    expect(step).to_contain_text("cancelled")
    shown.picture("cancelled-run")
    shown.command("docmanager:open", path="apart.ipynb")
    expect(shown.badge(2)).to_contain_text("cancelled", timeout=SLOW)
    shown.page.wait_for_timeout(500)
    assert shown.output(2).inner_text() == before


def test_a_step_whose_kernel_was_shut_down_goes_on_under_its_cell(page, tmp_path):
    shown = page(keep=True)
    gate = begun(shown, tmp_path, "shut-down.ipynb", "%%step goes-on")
    shown.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    expect(shown.badge(1)).to_contain_text("running")
    gate.touch()
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    # Nothing of the kernel's own end.
    expect(shown.output(1)).to_have_text("before\nafter\n")
    shown.picture("kernel-shut-down")


def test_a_notebook_that_is_closed_and_opened_in_the_middle_of_its_step_shows_it_again(page, tmp_path):
    shown = page(keep=True)
    gate = begun(shown, tmp_path, "closed.ipynb", "%%step closed")
    shown.command("docmanager:save")
    close(shown)
    shown.command("docmanager:open", path="closed.ipynb")
    expect(shown.badge(1)).to_contain_text("running", timeout=SLOW)
    expect(shown.output(1)).to_have_text("before\n", timeout=SLOW)
    expect(shown.button("Stop closed", within=shown.badge(1))).to_be_visible()
    shown.picture("closed-and-opened")
    gate.touch()
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    expect(shown.output(1)).to_have_text("before\nafter\n")
    expect(shown.cell(1).locator(".jp-InputArea-prompt")).to_have_text("[2]:")


@pytest.mark.parametrize("ends_away", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_step_that_had_shown_nothing_when_its_notebook_was_saved_comes_back_by_itself(page, lab, tmp_path, ends_away):
    shown = page()
    gate, name = tmp_path / "go", f"silent-{ends_away}.ipynb"
    shown.open(name, LOAD, "%%step silent\n" + WAITING.format(gate=str(gate)) + "print('after')")
    shown.run(0)
    shown.run(1)
    expect(shown.badge(1)).to_contain_text("running", timeout=SLOW)
    shown.command("docmanager:save")
    if ends_away:
        shown.page.goto("about:blank")
        gate.touch()
        path = str(lab.root / name)
        until(lambda: lab.home.client().notebook_steps(path)[0]["state"] == "succeeded", "it has ended", seconds=60)
        shown.page.go_back()
        shown.arrived()
    else:
        shown.reload()
        expect(shown.badge(1)).to_contain_text("running", timeout=SLOW)
        gate.touch()
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    expect(shown.output(1)).to_have_text("after\n")
    # What somebody has cleared stays so.
    shown.command("notebook:clear-all-cell-outputs")
    shown.command("docmanager:save")
    shown.reload()
    expect(shown.button("Show its output", within=shown.badge(1))).to_be_visible()
    expect(shown.output(1)).to_have_count(0)
    if ends_away:
        shows_what_was_never_saved(shown)


def shows_what_was_never_saved(shown) -> None:
    """A step that began and ended after its notebook was saved; but not under a cell that is not as it was."""
    before = re.search(r"run \d+", shown.badge(1).inner_text())
    assert before is not None
    shown.run(0)
    # First the kernel takes what has ended meanwhile.
    shown.run(1)
    shown.run(1)
    expect(shown.badge(1)).not_to_contain_text(re.compile(rf"{before[0]}\b"), timeout=SLOW)
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    expect(shown.output(1)).to_have_text("after\n")
    # The badge hears of a step's end before the cell has its number.
    expect(shown.cell(1).locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"\[\d+\]:"))
    shown.command("notebook:clear-all-cell-outputs")
    expect(shown.button("Show its output", within=shown.badge(1))).to_be_visible()
    shown.page.wait_for_timeout(500)
    expect(shown.output(1)).to_have_count(0)
    shown.reload()
    expect(shown.output(1)).to_have_text("after\n")
    expect(shown.cell(1).locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"\[\d+\]:"))
    shown.picture("never-saved")
    path = shown.server.root / "silent-True.ipynb"
    path.write_text(path.read_text().replace("print('after')", "print('else')"))
    shown.reload()
    expect(shown.badge(1)).to_contain_text("stale")
    expect(shown.button("Show its output", within=shown.badge(1))).to_be_visible()
    expect(shown.output(1)).to_have_count(0)


def test_a_copy_of_a_cell_has_not_run_and_a_cell_made_anew_has(page):
    shown = page(keep=True)
    shown.open("copies.ipynb", LOAD, "%%step one\nprint('one')")
    shown.run(0)
    shown.run(1)
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    shown.command("notebook:copy-cell")
    shown.command("notebook:paste-cell-below")
    expect(shown.badge(2)).to_contain_text("not run")
    expect(shown.badge(1)).to_contain_text("succeeded")
    expect(shown.sidebar).to_contain_text("another step above is called one, too")
    shown.picture("copied-cell")
    # When the first goes, the other is the step of that name.
    shown.cell(1).locator(".jp-InputArea-prompt").click()
    shown.command("notebook:delete-cell")
    expect(shown.badge(1)).to_contain_text("succeeded")


def test_of_two_cells_of_one_name_each_says_what_became_of_it(page):
    shown = page(keep=True)
    shown.open("twins.ipynb", LOAD, "%%step one\n1 / 0", "%%step one\nprint('two')")
    shown.run(0)
    shown.run(1)
    expect(shown.badge(1)).to_contain_text("failed", timeout=SLOW)
    expect(shown.badge(2)).to_contain_text("not run")
    shown.run(2)
    expect(shown.badge(2)).to_contain_text("succeeded", timeout=SLOW)
    expect(shown.badge(1)).to_contain_text("failed")
    passed = shown.badge(1).get_by_text("stale")
    expect(passed).to_have_attribute("title", "Another cell called one has run since.")
    expect(shown.badge(2)).not_to_contain_text("stale")
    shown.command("docmanager:save")
    shown.reload()
    expect(shown.badge(1)).to_contain_text("failed", timeout=SLOW)
    expect(shown.badge(2)).to_contain_text("succeeded")
    shown.picture("twins")
    shown.run(1)
    expect(shown.badge(1)).not_to_contain_text("stale", timeout=SLOW)
    expect(shown.badge(2)).to_contain_text("stale")


def test_a_long_name_leaves_room_for_what_has_happened(page):
    shown = page()
    name = "a_step_with_a_name_that_nobody_would_want_to_write_twice"
    shown.open("long-name.ipynb", LOAD, f"%%step {name}\nrows = [1]", "%%step next\nprint(rows)")
    shown.sidebar.locator(".cy-node").first.click()
    heading = shown.sidebar.locator(".cy-chosen h3")
    assert is_within(shown, heading.get_by_text("not run"))
    shown.button("Table").click()
    assert is_within(shown, shown.sidebar.get_by_role("row", name=re.compile(f"^{name}")).get_by_text("not run"))
    shown.picture("long-name")


def is_within(shown, seen) -> bool:
    box, sidebar = seen.bounding_box(), shown.sidebar.bounding_box()
    return bool(box["x"] + box["width"] <= sidebar["x"] + sidebar["width"])


def first_line(shown, number: int) -> str:
    call = "at => jupyterapp.shell.currentWidget.content.widgets[at].model.sharedModel.getSource()"
    return str(shown.page.evaluate(call, number)).split("\n", 1)[0]


def rename(shown, before: str, after: str) -> None:
    """As the menu does."""
    call = "async ([from, to]) => { await jupyterapp.serviceManager.contents.rename(from, to); }"
    shown.page.evaluate(call, [before, after])
    shown.page.get_by_role("tab", name=after).first.wait_for()


def close(shown) -> None:
    """Close the notebook in front, as the cross of its tab does."""
    shown.page.locator("#jp-main-dock-panel .lm-TabBar-tab.jp-mod-current .lm-TabBar-tabCloseIcon").click()
    expect(shown.page.locator(".jp-NotebookPanel")).to_have_count(0)


# The last of all: no page that was open before it would do afterwards.
def test_a_step_that_ended_while_the_server_was_away_shows_all_of_its_output(page, lab, tmp_path):
    shown = page()
    gate = begun(shown, tmp_path, "server-away.ipynb", "%%step later --async")
    expect(shown.output(1)).to_have_text("before\n", timeout=SLOW)
    lab.stop()
    shown.liveness("offline")
    gate.touch()
    path = str(lab.root / "server-away.ipynb")
    until(lambda: lab.home.client().notebook_steps(path)[0]["state"] == "succeeded", "it has ended", seconds=60)
    lab.start()
    shown.liveness("live")
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=SLOW)
    expect(shown.output(1)).to_have_text("before\nafter\n")
    shown.picture("ended-while-the-server-was-away")
