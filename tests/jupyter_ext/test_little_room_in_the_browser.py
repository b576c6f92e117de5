"""The sidebar narrower than JupyterLab makes it by itself: nothing hangs over, nothing is cut off."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.jupyter_ext.test_in_the_browser import LOAD, ROWS, SLOW

pytestmark = pytest.mark.timeout(300)

WIDTH = 200
NARROW = ":root, body, #jp-left-stack { --jp-sidebar-min-width: 0; min-width: 0 !important; }"
# What is only heard, and what ends in an ellipsis, is meant to be as it is.
CUT_OFF = """() => {
  const sidebar = document.querySelector('.cy-sidebar');
  const room = sidebar.getBoundingClientRect();
  const scrolls = each => each.scrollWidth > each.clientWidth + 1;
  return [...sidebar.querySelectorAll('*')].filter(each => {
    const [style, box] = [getComputedStyle(each), each.getBoundingClientRect()];
    if (!box.width || each instanceof SVGElement || each.closest('.cy-unseen, .cy-state-word, thead')) return false;
    const isCut = scrolls(each) && style.overflowX !== 'visible' && style.textOverflow !== 'ellipsis';
    return isCut || box.right > room.right + 0.5 || box.left < room.left - 0.5;
  }).map(each => `${each.tagName} ${each.className}: ${each.textContent.slice(0, 60)}`);
}"""


def test_nothing_is_cut_off_in_a_narrow_sidebar(page, lab):
    shown = page(width=900, height=860)
    name = "prepare_the_training_data"
    cells = [ROWS, f"%%step {name} --memory 512MiB\neven = rows[::2]", "%%step broken --after nowhere\nx = even / 0"]
    shown.open("a notebook with a long name.ipynb", LOAD, *cells)
    for number in range(4):
        shown.run(number)
    expect(shown.badge(3)).to_contain_text("failed", timeout=SLOW)
    shown.write(2, f"%%step {name} --memory 512MiB\neven = rows")
    expect(shown.badge(2)).to_contain_text("stale")
    narrow(shown)
    for theme in ("Light", "Dark"):
        shown.theme(f"JupyterLab {theme}")
        shown.tab("Notebook")
        shown.button("Graph").click()
        shown.sidebar.locator(".cy-node").nth(1).click()
        expect(shown.sidebar.locator(".cy-chosen")).to_contain_text("stale", ignore_case=True)
        look(shown, f"graph-{theme}")
        shown.button("Table").click()
        row = shown.sidebar.get_by_role("row", name=re.compile(f"^{name}"))
        expect(row.get_by_role("cell")).to_contain_text([name, "succeeded", "512"])
        look(shown, f"table-{theme}")
        shown.tab("Runs")
        expect(shown.sidebar.locator(".cy-list-row").first).to_be_visible()
        look(shown, f"runs-{theme}")
        shown.tab("Schedules")
        expect(shown.sidebar).to_contain_text("No schedules yet.")
        look(shown, f"schedules-{theme}")
        shown.tab("Workers")
        expect(shown.sidebar).to_contain_text("Idle: no step runs here.")
        look(shown, f"workers-{theme}")
    shown.theme("JupyterLab Light")


def look(shown, name: str) -> None:
    assert shown.page.evaluate(CUT_OFF) == [], name
    assert shown.faults(".cy-sidebar") == [], name
    shown.picture(f"narrow-{name.lower()}", shown.sidebar)


def narrow(shown) -> None:
    """Make it as narrow as somebody would whose JupyterLab lets them."""
    shown.page.add_style_tag(content=NARROW)
    # JupyterLab measures how narrow a sidebar may be when it is opened.
    shown.command("application:toggle-left-area")
    shown.command("application:toggle-left-area")
    shown.sidebar.wait_for()
    box = shown.sidebar.bounding_box()
    edge, middle = box["x"] + box["width"] + 3, box["y"] + box["height"] / 2
    shown.page.mouse.move(edge, middle)
    shown.page.mouse.down()
    shown.page.mouse.move(edge - box["width"] + WIDTH, middle, steps=5)
    shown.page.mouse.up()
    assert abs(shown.sidebar.bounding_box()["width"] - WIDTH) < 2
