"""One JupyterLab and one browser for all tests of this folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, sync_playwright

from tests.house.source_tree import ROOT
from tests.jupyter_ext.browsers import Lab, open_chromium
from tests.jupyter_ext.servers import LabServer, lab_server

NOT_OURS = ("Canceled future", "Cannot read properties of undefined (reading 'schema')")
"""JupyterLab's own, when a kernel is restarted while it answers; Notebook 7's own, when it reads its settings."""


@pytest.fixture(scope="session")
def labextension() -> None:
    """What is built is what the sources say, and JupyterLab finds it."""
    done = subprocess.run(
        [sys.executable, ROOT / "js" / "labextension.py", "link"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def lab(labextension) -> Iterator[LabServer]:
    """A JupyterLab behind a base URL."""
    with lab_server() as found:
        yield found


@pytest.fixture
def http(lab: LabServer) -> Iterator[httpx.Client]:
    """A client that may do what the user may."""
    with lab.http() as found:
        yield found


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Loading JupyterLab for the first time costs a browser twice what it costs the next time."""
    return tmp_path_factory.mktemp("chromium")


@pytest.fixture(scope="module")
def browser(profile: Path) -> Iterator[BrowserContext]:
    """For one file of tests alone: while playwright is at work its loop counts as the running one of this process, and
    no test that is a coroutine can begin."""
    with sync_playwright() as playwright:
        found = open_chromium(playwright, profile)
        yield found
        found.close()


@pytest.fixture(scope="module")
def kept() -> Iterator[list[Lab]]:
    """At most one page, which tests of a file may have one after the other."""
    pages: list[Lab] = []
    yield pages
    for each in pages:
        each.close()


@pytest.fixture
def page(browser: BrowserContext, lab: LabServer, kept: list[Lab]) -> Iterator[Callable[..., Lab]]:
    """Opens pages, and no error may have been thrown in them. Each is closed with the test, but one that is to be kept
    for the next: loading JupyterLab takes longer than most tests."""
    opened: list[Lab] = []
    keeping: list[Lab] = []

    def open_page(*, keep: bool = False, **size: int) -> Lab:
        opened.append(kept.pop() if keep and kept else Lab(browser, lab, **size))
        keeping.extend(opened[-1:] if keep else ())
        return opened[-1]

    yield open_page
    thrown = [error for page in opened for error in page.errors if not any(each in error for each in NOT_OURS)]
    for each in opened:
        if each in keeping and not thrown and not each.page.locator(".jp-Dialog").count():
            kept.append(each)
        else:
            each.close()
    assert thrown == []
