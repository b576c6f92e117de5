"""Engines for tests: each with a home of its own, ended with its test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cellyard.model import StepRequest, parse_step_line
from cellyard.service.client import EngineClient
from cellyard.settings import Settings, load_settings

__all__ = ["Home", "engine_home", "finished", "run_step", "state_of", "step", "until"]

OTHER_ENGINE = """
import sys
import cellyard
{change}
from cellyard.service.main import main
sys.exit(main())
"""


class Home:
    """One folder with store, records and runtime, and clients of the engine there."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.env = {
            "CELLYARD_HOME": str(folder),
            "CELLYARD_CPU": "2",
            "CELLYARD_MEMORY": "4GiB",
            "CELLYARD_LIVE_VIEW": "off",
            **env,
        }
        self.settings: Settings = load_settings(self.env)
        self.said: list[str] = []
        self._clients: list[EngineClient] = []

    @property
    def process_env(self) -> dict[str, str]:
        """The environment of a process that is to use this home."""
        return os.environ | self.env

    def client(self) -> EngineClient:
        """A new client; closed with the home."""
        client = EngineClient(self.settings, notify=self.said.append)
        self._clients.append(client)
        return client

    def start_changed(self, change: str) -> subprocess.Popen[bytes]:
        """An engine process in which some facts about cellyard are different."""
        self.settings.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER_ENGINE.format(change=change)],
            env=os.environ | self.settings.to_env(),
            start_new_session=True,
        )
        until(lambda: self.client().info() is not None, "the changed engine answers")
        return process

    def kill_engine(self) -> int:
        """SIGKILL for the engine; its pid, which is dead after the call."""
        facts = self.client().info()
        assert facts is not None
        os.kill(facts["pid"], signal.SIGKILL)
        until(lambda: self.client().info() is None, "nobody answers")
        return int(facts["pid"])

    def close(self) -> None:
        with contextlib.suppress(ConnectionError):
            self.client().stop(drain=False, timeout=20)
        for client in self._clients:
            client.close()


@contextlib.contextmanager
def engine_home(**env: str) -> Iterator[Home]:
    """A home for one test or module. Not below pytest's folder, whose path may be too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="cy-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder), **env)
        try:
            yield home
        finally:
            home.close()


def step(source: str, *, name: str = "work", line: str = "", session: str = "s", **more: Any) -> dict[str, Any]:
    """A step's request, as a face sends it."""
    options = parse_step_line(line)
    request = StepRequest(
        notebook=more.pop("notebook", "n.ipynb"), session=session, name=name, source=source, options=options, **more
    )
    return request.to_dict()


def run_step(client: EngineClient, source: str, **more: Any) -> list[dict[str, Any]]:
    """All events of a step that is run to its end."""
    return list(client.submit_step(step(source, **more)))


def until_it_runs(stream: Iterator[dict[str, Any]]) -> None:
    """Read a step's events up to the one that says that it runs; it may take long to start."""
    seen = [next(stream)["kind"]]
    while seen[-1] in ("accepted", "starting"):
        seen.append(next(stream)["kind"])
    assert (seen[0], seen[-1]) == ("accepted", "state")


def state_of(client: EngineClient, notebook: str, name: str) -> str:
    """What the records say of a notebook's step."""
    [state] = [str(each["state"]) for each in client.notebook_steps(notebook) if each["name"] == name]
    return state


def finished(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What the last event, the step's end, says."""
    assert events[-1]["kind"] == "finished", [each["kind"] for each in events]
    content: dict[str, Any] = events[-1]["content"]
    return content


def until(holds: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds:g} s it did not hold that {what}"
        time.sleep(0.02)
