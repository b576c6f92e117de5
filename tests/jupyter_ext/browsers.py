"""A real browser before a real JupyterLab: what a person sees and does, in words of this product."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, Playwright, expect

from tests.house.source_tree import ROOT
from tests.jupyter_ext.servers import TOKEN, LabServer

__all__ = ["OPTIONS", "Lab", "chromium", "notebook", "open_chromium"]

PICTURES = Path(os.environ.get("CELLYARD_SCREENSHOTS") or ROOT / "build" / "screenshots")
SECONDS = 1000
# The machine's network is closed to the browser, and it would go on trying.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
]
# No page of a test lives so long that machine code would be worth its making.
SHORT_LIVED = "--js-flags=--no-maglev --no-opt"
# The machine may be busy with other tests.
expect.set_options(timeout=60 * SECONDS)
CLOSE_ALL = """() => {
  for (const each of [...jupyterapp.shell.widgets('main')]) {
    each.dispose();
  }
}"""
HAS_KERNEL = "() => [...jupyterapp.shell.widgets('main')].some(each => each.sessionContext?.session?.kernel)"
IS_KNOWN = "() => ['idle', 'busy'].includes(jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status)"
AXE = ROOT / "js" / "node_modules" / "axe-core" / "axe.min.js"


def open_chromium(playwright: Playwright, profile: Path) -> BrowserContext:
    """A browser as a person has it, who comes back: what it has loaded and compiled is kept in ``profile``."""
    return playwright.chromium.launch_persistent_context(
        profile, executable_path=chromium(), args=[*OPTIONS, SHORT_LIVED], reduced_motion="reduce"
    )


def chromium() -> str:
    """Where Debian's Chromium is (or another, by its other names); best the one that draws no windows."""
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return found
    raise AssertionError("these tests drive a real browser: run scripts/browser, or install chromium")


def notebook(*cells: str) -> str:
    """A notebook of code cells, as a file; the cells' ids are c0, c1, …"""
    code = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for n, source in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return json.dumps({"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


class Lab:
    """One page with JupyterLab in it."""

    def __init__(self, browser: BrowserContext, server: LabServer, *, width: int = 1280, height: int = 840) -> None:
        self.server = server
        self.page: Page = browser.new_page()
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.set_default_timeout(90 * SECONDS)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        # Printed as it comes: shown with a test that has failed.
        self.page.on("console", lambda told: told.type in ("warning", "error") and print(f"browser: {told.text}"))
        self.page.on("requestfailed", lambda request: print(f"browser: {request.url} {request.failure}"))

    def close(self) -> None:
        """Close the page; the browser has its network again."""
        self.page.context.set_offline(False)
        self.page.close()

    # -- doing

    def open(self, name: str, *cells: str) -> None:
        """Write a notebook and open it, with the sidebar; alone, where JupyterLab is there already."""
        (self.server.root / name).write_text(notebook(*cells), encoding="utf-8")
        if self.page.url == "about:blank":
            self.page.goto(f"{self.server.url}/lab/tree/{name}?token={TOKEN}&reset")
        else:
            self.page.evaluate(CLOSE_ALL)
            self.tab("Notebook")
            expect(self.sidebar.locator(".cy-node")).to_have_count(0)
            self.command("docmanager:open", path=name)
        self.arrived()
        self.page.wait_for_function(IS_KNOWN)
        if not self.sidebar.is_visible():
            self.page.locator('.lm-TabBar-tab[data-id="cellyard-sidebar"]').click()
        self.liveness("live")

    def open_beside(self, name: str, *cells: str) -> Locator:
        """Write a notebook and open it at the right of the one in front; its panel."""
        (self.server.root / name).write_text(notebook(*cells), encoding="utf-8")
        self.command("docmanager:open", path=name, options={"mode": "split-right"})
        panel = self.page.locator(".jp-NotebookPanel").last
        panel.locator(".jp-CodeCell").first.wait_for()
        return panel

    def hurry(self, seconds: int) -> None:
        """From the next page on, what waits for so long waits for a second."""
        script = f"(wait => {{ setTimeout = (work, time) => wait(work, time === {seconds}000 ? 1000 : time); }})"
        self.page.add_init_script(f"{script}(window.setTimeout.bind(window));")

    def reload(self) -> None:
        """Load the page anew, as the browser's button does."""
        self.page.reload()
        self.arrived()

    def arrived(self) -> None:
        """Wait until a page that is being loaded shows its notebook and has its kernel, before which JupyterLab leaves
        aside what it is asked to run."""
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")
        self.cell(0).wait_for()
        self.page.wait_for_function(HAS_KERNEL)

    def tab(self, name: str) -> None:
        """Choose a tab of the sidebar."""
        self.sidebar.get_by_role("tab", name=name, exact=True).click()

    def button(self, name: str, *, within: Locator | None = None) -> Locator:
        return (within or self.sidebar).get_by_role("button", name=name, exact=True)

    def run(self, number: int) -> None:
        """Run one cell."""
        self.cell(number).locator(".jp-InputArea-prompt").click()
        self.page.keyboard.press("Control+Enter")

    def write(self, number: int, source: str) -> None:
        """Give a cell another source."""
        call = "([at, text]) => jupyterapp.shell.currentWidget.content.widgets[at].model.sharedModel.setSource(text)"
        self.page.evaluate(call, [number, source])

    def tag(self, number: int, tag: str) -> None:
        """Give a cell a tag."""
        call = "([at, tag]) => jupyterapp.shell.currentWidget.content.widgets[at].model.setMetadata('tags', [tag])"
        self.page.evaluate(call, [number, tag])

    def command(self, command: str, **arguments: Any) -> None:
        """Carry out a command of JupyterLab, by its name."""
        call = "async ([name, args]) => { await window.jupyterapp.commands.execute(name, args); }"
        self.page.evaluate(call, [command, arguments])

    def theme(self, name: str) -> None:
        """Change the theme."""
        self.command("apputils:change-theme", theme=name)
        self.page.locator(f'body[data-jp-theme-name="{name}"]').wait_for(state="attached")

    # -- seeing

    @property
    def sidebar(self) -> Locator:
        return self.page.locator(".cy-sidebar")

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(number)

    def badge(self, number: int) -> Locator:
        return self.cell(number).locator(".cy-badge")

    def output(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-OutputArea-output")

    def liveness(self, wanted: str) -> None:
        """Wait until the sidebar says of what it shows that it is live, or stopped, offline …"""
        try:
            expect(self.sidebar).to_have_attribute("data-liveness", wanted, timeout=60 * SECONDS)
        except AssertionError as error:
            error.add_note(self.server.condition())
            raise

    def picture(self, name: str, of: Locator | None = None) -> None:
        """Keep what is to be seen, for people (and for the documents)."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=PICTURES / f"{name}.png", animations="disabled")

    def faults(self, within: str) -> list[str]:
        """What axe finds to be seriously wrong for people who use a keyboard, a screen reader or little contrast."""
        self.page.add_script_tag(path=AXE)
        found = self.page.evaluate("selector => axe.run(selector, {resultTypes: ['violations']})", within)
        return [
            f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]
