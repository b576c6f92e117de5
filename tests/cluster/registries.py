"""A package registry that pods can reach, with one tiny package of its own: what is fetched from it is counted."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["NAME", "Registry", "install_wheel", "registry"]

NAME = "cellyard-tiny"
WHEEL = "cellyard_tiny-1.2.3-py3-none-any.whl"
_FILES = {
    "cellyard_tiny.py": "def shout(text):\n    return text.upper() + '!'\n",
    "cellyard_tiny-1.2.3.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.2.3\n",
    "cellyard_tiny-1.2.3.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
    "Tag: py3-none-any\n",
}


class Registry:
    """``url`` is its index, ``fetched`` counts the requests per path."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.fetched: Counter[str] = Counter()


@contextlib.contextmanager
def registry(folder: Path, towards: str) -> Iterator[Registry]:
    """Serve a registry in ``folder`` to whoever reaches this machine by the address from which it reaches the server
    at the URL ``towards``."""
    page = folder / "simple" / NAME
    page.mkdir(parents=True)
    (page / "index.html").write_text(f'<!DOCTYPE html><a href="/{WHEEL}">{WHEEL}</a>')
    _write_wheel(folder / WHEEL)

    class Counting(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(folder))

        def do_GET(self) -> None:
            found.fetched[self.path] += 1
            super().do_GET()

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("0.0.0.0", 0), Counting)
    found = Registry(f"http://{_own_address(towards)}:{server.server_port}/simple")
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def _own_address(towards: str) -> str:
    target = urlsplit(towards)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((target.hostname, target.port or 443))
        return str(probe.getsockname()[0])


def _write_wheel(path: Path) -> None:
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in _FILES.items())
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in _FILES.items():
            wheel.writestr(name, text)
        wheel.writestr("cellyard_tiny-1.2.3.dist-info/RECORD", f"{record}cellyard_tiny-1.2.3.dist-info/RECORD,,\n")


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def install_wheel(folder: Path, site: Path) -> None:
    """The package is installed in ``site`` after the call."""
    with zipfile.ZipFile(folder / WHEEL) as wheel:
        wheel.extractall(site)
