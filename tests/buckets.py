"""A real S3 server for tests: the one that AWS_ENDPOINT_URL names, else that of a cluster beside the checkout.

For faults there are servers of one's own, where the server's program can be had, and a relay to cut connections at.
"""

from __future__ import annotations

import contextlib
import functools
import lzma
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.program import CLUSTER, s3_variables
from tests.house.source_tree import ROOT

__all__ = ["Bucket", "OwnServer", "Relay", "bucket", "own_server", "s3", "server_program"]

_START_WITHIN = 20.0


@pytest.fixture(scope="session")
def s3() -> Iterator[Mapping[str, str]]:
    """The variables that lead to a server; set for the tests that ask for them."""
    found = _given() or _of_cluster()
    with pytest.MonkeyPatch.context() as env:
        for name, value in found.items():
            env.setenv(name, value)
        yield found


def _given() -> dict[str, str]:
    names = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {name: os.environ[name] for name in names if name in os.environ} if os.environ.get(names[0]) else {}


def _of_cluster() -> dict[str, str]:
    if not CLUSTER.exists():
        pytest.skip("no S3 server: AWS_ENDPOINT_URL is not set")
    return s3_variables()


@functools.cache
def _client(told: tuple[tuple[str, str], ...]) -> Any:
    """A client for what the environment says of the server. To make one takes longer than most requests."""
    import botocore.session

    return botocore.session.get_session().create_client("s3", verify=False)


@dataclass
class Bucket:
    """A bucket of its own, at the server that the environment names now."""

    name: str = field(default_factory=lambda: f"cellyard-test-{uuid.uuid4().hex[:12]}")

    @property
    def url(self) -> str:
        return f"s3://{self.name}/some/where"

    def make(self) -> None:
        """It exists after the call."""
        self.call("create_bucket")

    def call(self, method: str, **arguments: Any) -> Any:
        """One request about it, past all that is tested."""
        told = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
        return getattr(_client(told), method)(Bucket=self.name, **arguments)

    def listed(self) -> list[str]:
        """The keys of all its objects."""
        return sorted(each["Key"] for each in self.call("list_objects_v2").get("Contents", ()))

    def content(self, key: str) -> bytes:
        """What is stored under the key, as it is stored."""
        found: bytes = self.call("get_object", Key=key)["Body"].read()
        return found

    def metadata(self, key: str) -> dict[str, str]:
        """What is noted beside it."""
        found: dict[str, str] = self.call("head_object", Key=key)["Metadata"]
        return found

    def replace(self, key: str, content: bytes) -> None:
        """Other content under the key, with what was noted beside it."""
        self.call("put_object", Key=key, Body=content, Metadata=self.metadata(key))

    def uploads(self) -> list[str]:
        """The ids of uploads that have not ended."""
        return [each["UploadId"] for each in self.call("list_multipart_uploads").get("Uploads", ())]

    def remove(self) -> None:
        """It and all in it are gone; also what a writer that was stopped puts there only now."""
        from botocore.exceptions import ClientError

        deadline = time.monotonic() + 10
        while True:
            self._empty()
            try:
                self.call("delete_bucket")
            except ClientError as error:
                if error.response["Error"]["Code"] != "BucketNotEmpty" or time.monotonic() > deadline:
                    raise
            else:
                return

    def _empty(self) -> None:
        for upload in self.call("list_multipart_uploads").get("Uploads", ()):
            self.call("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
        for key in self.listed():
            self.call("delete_object", Key=key)


@pytest.fixture
def bucket(s3: Mapping[str, str]) -> Iterator[Bucket]:
    """A bucket for one test."""
    found = Bucket()
    found.make()
    yield found
    found.remove()


class OwnServer:
    """A server of one's own, to be stopped and started again with what it holds."""

    def __init__(self, program: Path, folder: Path, host: str = "127.0.0.1") -> None:
        self._program = program
        self._folder = folder
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind((host, 0))
            self.port: int = free.getsockname()[1]

    @property
    def env(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://{self._host}:{self.port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "tester-secret",
        }

    def start(self) -> None:
        """It answers after the call."""
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        command = [self._program, "--access", "tester", "--secret", "tester-secret", "--region", "us-east-1"]
        command += ["--port", f"{self._host}:{self.port}", "posix", data]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        deadline = time.monotonic() + _START_WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self._host, self.port), 1):
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def stop(self) -> None:
        """It is gone at once, as if its machine had been switched off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnServer]:
    """A server for one test, which the environment names."""
    server = OwnServer(server_program(), tmp_path / "server")
    server.start()
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    yield server
    server.stop()


def server_program() -> Path:
    """The S3 server's program; the test is passed over where there is none."""
    found = shutil.which("versitygw")
    if found:
        return Path(found)
    packed = CLUSTER.parent / "bin" / "versitygw.xz"
    if not packed.exists():
        pytest.skip("no versitygw on the path")
    program = ROOT / ".pytest_cache" / "versitygw"
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        unfinished = program.with_name(f"versitygw.{os.getpid()}")
        with lzma.open(packed) as source, unfinished.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        unfinished.chmod(0o755)
        unfinished.rename(program)
    return program


class Relay:
    """A way to a server on which one connection can be cut, or fall silent, when it has carried so many bytes."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.cuts = 0
        self._cut_after: int | None = None
        self._is_silent = False
        self._closed = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, count: int, *, silently: bool = False) -> None:
        """Cut the next connection that has carried so many bytes, once. ``silently``: it stays open and carries nothing
        more, as when a router forgets it."""
        self._cut_after, self._is_silent = count, silently

    def close(self) -> None:
        self._closed.set()
        _shut(self._listening)  # closed alone, it would go on accepting
        self._listening.close()
        for each in self._open:
            _shut(each)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            try:
                there = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # the server is away, and who asked for it sees just that
                here.close()
                continue
            self._open += [here, there]
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                carried += len(data)
                if self._cut_after is not None and carried > self._cut_after:
                    self._cut_after = None
                    self.cuts += 1
                    if self._is_silent:
                        self._closed.wait()
                    break
                sink.sendall(data)
        _shut(source)
        _shut(sink)


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
