"""Whether what the sidebar says of its connection is so, when something on the way hangs, breaks off or comes late."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Route, expect

from cellyard.records import RunOrigin, open_records
from tests.jupyter_ext.browsers import SECONDS
from tests.jupyter_ext.servers import TOKEN
from tests.service.engines import until

pytestmark = pytest.mark.timeout(300)

LOAD = "%load_ext kernel_magics"
STATUS = re.compile("/cellyard/status")
EVENTS = re.compile(r"/cellyard/api/v1/events\?")
HELD_EFFECTS = """
// Drawing the sidebar takes longer than React gives itself at a time: it goes on in its next task, and that comes when
// this test wants it.
const [set, post] = [Element.prototype.setAttribute, MessagePort.prototype.postMessage];
const waiting = [];
Element.prototype.setAttribute = function (name, value) {
  set.call(this, name, value);
  if (name === 'data-liveness' && window.areHeld === undefined) {
    window.areHeld = true;
    for (const began = performance.now(); performance.now() < began + 20; ) continue;
  }
};
MessagePort.prototype.postMessage = function (...given) {
  if (window.areHeld) waiting.push(() => post.apply(this, given));
  else post.apply(this, given);
};
window.letGo = () => {
  window.areHeld = false;
  waiting.forEach(each => each());
};
"""


def test_a_connection_that_comes_while_the_sidebar_is_being_drawn_is_shown(page, lab):
    lab.home.client().ensure()
    shown = page()
    shown.page.add_init_script(HELD_EFFECTS)
    held = hold(shown, STATUS)
    shown.page.goto(f"{shown.server.url}/lab?token={TOKEN}&reset")
    shown.page.wait_for_function("() => window.areHeld")
    while not held:
        shown.page.wait_for_timeout(50)
    with shown.page.expect_response(EVENTS):
        held[0].continue_()
    shown.page.wait_for_timeout(500)
    # The fault has happened: it is live by now, and what would say so has not begun to listen.
    assert shown.sidebar.get_attribute("data-liveness") == "connecting"
    shown.page.evaluate("() => window.letGo()")
    expect(shown.sidebar).to_have_attribute("data-liveness", "live", timeout=10 * SECONDS)


def test_a_layout_that_is_never_restored_keeps_nobody_from_the_engine(page, lab):
    lab.home.client().ensure()
    shown = page()
    asked = hold(shown, re.compile("/lab/api/workspaces/"))
    shown.page.goto(f"{shown.server.url}/lab?token={TOKEN}")
    expect(shown.sidebar).to_have_attribute("data-liveness", "live")
    assert asked
    assert shown.page.locator("#jupyterlab-splash").count() == 1


def test_a_stream_that_breaks_off_again_and_again_is_told_and_tried_less_often(page, lab):
    shown = page()
    shown.open("breaks-off.ipynb", LOAD)
    opened: list[float] = []

    def break_off(route: Route) -> None:
        opened.append(time.monotonic())
        route.fulfill(status=200, content_type="text/event-stream", body=": alive\n\n")

    shown.page.route(EVENTS, break_off)
    shown.page.context.set_offline(True)
    shown.page.context.set_offline(False)
    shown.liveness("failing")
    expect(shown.sidebar.get_by_role("alert")).to_contain_text("The stream of its events breaks off")
    shown.picture("breaks-off")
    assert shown.faults(".cy-sidebar") == []
    seen = set()
    before = len(opened)
    until = time.monotonic() + 11
    while time.monotonic() < until:
        shown.page.wait_for_timeout(20)
        seen.add(shown.sidebar.get_attribute("data-liveness"))
    # It never looks live in between.
    assert seen == {"failing"}
    assert 1 <= len(opened) - before <= 3
    shown.page.unroute(EVENTS)
    shown.liveness("live")


def test_many_steps_that_run_leave_jupyterlab_its_connections(page, tmp_path):
    shown = page()
    gate = tmp_path / "go"
    code = (
        f"import os, time\nprint('begun', flush=True)\nwhile not os.path.exists({str(gate)!r}):\n    time.sleep(0.2)\n"
    )
    steps = [f"%%step s{number} --async --cpu 0.1\n{code}print('done')" for number in range(7)]
    shown.open("many.ipynb", LOAD, *steps)
    for number in range(8):
        shown.run(number)
    for number in range(1, 8):
        expect(shown.output(number)).to_contain_text("begun", timeout=60 * SECONDS)
    shown.command("docmanager:save")
    shown.reload()
    shown.liveness("live")
    for number in range(1, 8):
        expect(shown.badge(number)).to_contain_text("running")
        expect(shown.output(number)).to_have_text("begun\n")
    shown.page.wait_for_timeout(2000)
    asked = "async url => (await fetch(url, { signal: AbortSignal.timeout(8000) })).status"
    assert shown.page.evaluate(asked, f"{shown.server.url}/api/status") == 200
    gate.touch()
    for number in range(1, 8):
        expect(shown.badge(number)).to_contain_text("succeeded", timeout=60 * SECONDS)
        expect(shown.output(number)).to_have_text("begun\ndone\n")


def test_a_page_that_nobody_sees_gives_up_its_connections_and_catches_up_when_it_is_seen(page, lab, tmp_path):
    shown = page()
    gate = tmp_path / "go"
    code = f"import os, time\nprint('begun')\nwhile not os.path.exists({str(gate)!r}):\n    time.sleep(0.2)\n"
    shown.open("unseen.ipynb", LOAD, f"%%step unseen --async\n{code}print('done')")
    shown.run(0)
    shown.run(1)
    expect(shown.output(1)).to_contain_text("begun", timeout=60 * SECONDS)
    shown.command("docmanager:save")
    shown.reload()
    shown.liveness("live")
    expect(shown.output(1)).to_have_text("begun\n")
    until(lambda: lab.followers() >= 2, "the page follows the engine and the run")
    see = """is_hidden => {
        Object.defineProperty(document, 'hidden', { configurable: true, value: is_hidden });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    shown.page.evaluate(see, True)
    until(lambda: lab.followers() == 1, "only the kernel follows", seconds=40)
    gate.touch()
    until(lambda: lab.followers() == 0, "the step has ended", seconds=40)
    shown.page.evaluate(see, False)
    shown.liveness("live")
    expect(shown.badge(1)).to_contain_text("succeeded", timeout=60 * SECONDS)
    expect(shown.output(1)).to_have_text("begun\ndone\n")


def hold(shown, requests: re.Pattern[str]) -> list[Route]:
    """From now on these requests are not answered; those that came."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    shown.page.route(requests, keep)
    return held


def test_runs_that_came_while_the_engine_was_away_are_all_there_and_old_ones_are_found(page, lab):
    shown = page()
    shown.open("many-runs.ipynb", LOAD)
    shown.tab("Runs")
    shown.page.wait_for_timeout(500)
    lab.home.client().stop(drain=False, timeout=20)
    shown.liveness("stopped")
    many_runs(lab)
    lab.home.client().ensure()
    shown.liveness("live")
    row = shown.sidebar.locator(".cy-list-row").first
    # Nothing in the middle is missing.
    for name in ("run-0-of-many", "run-60-of-many"):
        shown.sidebar.get_by_label("Search runs").fill(name)
        expect(row).to_contain_text(name)
    # The page knows all of them now; one that is loaded anew does not, and asks the engine.
    for text, state, found in (("depth 77", "", 0), ("of-many", "cancelled", 1), ("many RUN-2-", "", 2)):
        shown.reload()
        shown.tab("Runs")
        expect(row).to_be_visible()
        shown.sidebar.get_by_label("Search runs").fill(text)
        shown.sidebar.get_by_label("Only runs in state").select_option(state)
        expect(row).to_contain_text(f"run-{found}-of-many")
    shown.sidebar.get_by_label("Search runs").fill("nowhere to be found")
    expect(shown.sidebar).to_contain_text("No run fits the search.")
    shown.picture("runs-not-found")


def many_runs(lab) -> None:
    """More than are read at a time, of which the oldest two are unlike the others."""
    records = open_records(lab.home.settings.records)
    for at in range(620):
        origin = RunOrigin(name=f"run-{at}-of-many", parameters={"depth": 77} if at == 0 else {})
        run = records.create_run(kind="notebook", notebook="/n/many.ipynb", session="k", origin=origin)
        records.finish_run(run, "cancelled" if at == 1 else "succeeded")
    records.close()
