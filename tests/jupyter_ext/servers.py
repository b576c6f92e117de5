"""JupyterLab servers for tests: a real one in a process of its own, behind a base URL, with a home of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from cellyard.service.lifecycle import log_tail
from tests.service.engines import Home, until

__all__ = ["LabServer", "lab_server"]

BASE = "/user/x/"
TOKEN = "a-token-for-tests"


class LabServer:
    """One JupyterLab (or ``program`` "notebook"), its folder of notebooks, and the home of its engine."""

    def __init__(self, home: Home, *, program: str = "jupyterlab") -> None:
        self.home = home
        self._program = program
        self.root = home.folder / "files"
        self.root.mkdir()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, its base URL included, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}{BASE.rstrip('/')}"

    def http(self, *, token: str | None = TOKEN) -> httpx.Client:
        """A client that knows the token, or another one, or none."""
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def start(self) -> None:
        """Start it, on the same port as before if it was stopped; it answers after the call."""
        runtime = self.home.folder / "jupyter"
        given = self.home.process_env
        environment = given | {
            "JUPYTER_CONFIG_DIR": str(runtime / "config"),
            "JUPYTER_DATA_DIR": str(runtime / "data"),
            "JUPYTER_RUNTIME_DIR": str(runtime / "run"),
            "JUPYTERLAB_SETTINGS_DIR": str(runtime / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(runtime / "workspaces"),
            "IPYTHONDIR": str(runtime / "ipython"),
            "PATH": f"{_without_node(runtime)}{os.pathsep}{given['PATH']}",
        }
        options = [
            "--no-browser",
            "--allow-root",
            f"--ServerApp.port={self.port}",
            f"--ServerApp.root_dir={self.root}",
            f"--ServerApp.base_url={BASE}",
            f"--IdentityProvider.token={TOKEN}",
            "--ServerApp.jpserver_extensions=jupyter_ext=True",
            "--LabApp.expose_app_in_browser=True",
        ]
        told_once = runtime / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
        told_once.parent.mkdir(parents=True, exist_ok=True)
        # Nobody is there to be asked, and there is nothing to ask for news.
        told_once.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")
        self._log = (self.home.folder / "lab.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", self._program, *options],
            env=environment,
            cwd=self.root,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        told = runtime / "run" / f"jpserver-{self._process.pid}.json"
        until(lambda: self._is_written(told), "the server says where it is", seconds=90)
        self.port = int(json.loads(told.read_text(encoding="utf-8"))["port"])
        until(self._answers, "the server answers", seconds=60)

    def stop(self) -> None:
        """End it at once; kernels end with it, the engine does not."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:  # a thread of anyio that nobody ended, now and then on a busy machine
                process.kill()
                process.wait()
            self._log.close()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Meanwhile it takes connections and answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has said."""
        return (self.home.folder / "lab.log").read_text(encoding="utf-8", errors="replace")

    def followers(self) -> int:
        """How many streams of events its engine serves."""
        with self.http() as http:
            return int(http.get("/cellyard/status").json()["engine"]["followers"])

    def condition(self) -> str:
        """What it and its engine say at this moment, and what they have said last, for a test that has failed."""
        with self.http() as http:
            try:
                said = http.get("/cellyard/status", timeout=10).text
            except httpx.TransportError as error:
                said = repr(error)
        log = "\n".join(self.log().splitlines()[-20:])
        return f"{said}\n{log}\n{log_tail(self.home.settings, lines=20)}"

    def _is_written(self, told: Path) -> bool:
        return (told.is_file() and told.read_text(encoding="utf-8").rstrip().endswith("}")) or self._has_ended()

    def _has_ended(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        return False

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError), self.http() as http:
            return http.get("/api").status_code == 200
        return self._has_ended()


def _without_node(runtime: Path) -> Path:
    """A folder whose ``node`` is none, as users have it: JupyterLab would start it for its settings with each page."""
    node = runtime / "bin" / "node"
    node.parent.mkdir(parents=True, exist_ok=True)
    node.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    node.chmod(0o755)
    return node.parent


@contextlib.contextmanager
def lab_server(*, program: str = "jupyterlab", **env: str) -> Iterator[LabServer]:
    """A started server; it, its kernels and its engine end with the context."""
    with tempfile.TemporaryDirectory(prefix="cy-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder), PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **env)
        server = LabServer(home, program=program)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            home.close()
