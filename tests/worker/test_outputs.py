"""Text on its way from the child to its worker: all of it, in order, soon, and in few messages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import groupby

import pytest

from cellyard.worker.link import receive_blocking
from cellyard.worker.outputs import GATHER_SECONDS, Channel, StreamWriter


class Far:
    """The worker's end: everything that arrives, with its time."""

    def __init__(self, sock: socket.socket) -> None:
        self.frames: list[tuple[float, str, dict[str, object]]] = []
        self._socket = sock
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                kind, content = receive_blocking(self._socket)
            except EOFError:
                return
            self.frames.append((time.monotonic(), kind, content))

    def texts(self) -> list[tuple[str, str]]:
        messages = [content["message"] for _, kind, content in self.frames if kind == "output"]
        return [(m["name"], m["text"]) for m in messages if isinstance(m, dict) and m["type"] == "stream"]

    def end(self) -> None:
        self._thread.join(5)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Far]]:
    ours, theirs = socket.socketpair()
    far = Far(theirs)
    yield Channel(ours), far
    ours.close()
    far.end()
    theirs.close()


def wait_for(far: Far, count: int) -> None:
    deadline = time.monotonic() + 5
    while len(far.frames) < count and time.monotonic() < deadline:
        time.sleep(0.002)


def wait_for_the_end(far: Far) -> None:
    deadline = time.monotonic() + 5
    while (not far.frames or far.frames[-1][1] != "finished") and time.monotonic() < deadline:
        time.sleep(0.002)


def test_the_first_line_goes_out_at_once(ends: tuple[Channel, Far]) -> None:
    channel, far = ends
    before = set(threading.enumerate())
    channel.write("stdout", "now\n")
    assert set(threading.enumerate()) <= before, "no thread was started that would send it later"
    wait_for(far, 1)
    assert far.texts() == [("stdout", "now\n")]


def test_text_that_follows_quickly_is_gathered_and_arrives_by_itself(ends: tuple[Channel, Far]) -> None:
    channel, far = ends
    for number in range(1000):
        channel.write("stdout", f"{number}\n")
    wait_for(far, 2)
    time.sleep(3 * GATHER_SECONDS)
    assert "".join(text for _, text in far.texts()) == "".join(f"{number}\n" for number in range(1000))
    assert len(far.frames) < 20


def test_streams_keep_their_order(ends: tuple[Channel, Far]) -> None:
    channel, far = ends
    for name, text in [("stdout", "0"), ("stdout", "1"), ("stderr", "2"), ("stderr", "3"), ("stdout", "4")]:
        channel.write(name, text)
    channel.flush()
    channel.send("finished")
    wait_for_the_end(far)
    assert "".join(text for _, text in far.texts()) == "01234"
    assert [name for name, _ in groupby(far.texts(), key=lambda each: each[0])] == ["stdout", "stderr", "stdout"]


def test_a_message_comes_after_the_text_before_it(ends: tuple[Channel, Far]) -> None:
    channel, far = ends
    channel.write("stdout", "a")
    channel.write("stdout", "b")
    channel.show({"type": "display_data"})
    channel.write("stdout", "c")
    channel.send("finished", state="succeeded")
    wait_for_the_end(far)
    shown = [content.get("message", content) for _, _, content in far.frames]
    texts = [m.get("text", m.get("type", m.get("state"))) for m in shown if isinstance(m, dict)]
    assert "".join(map(str, texts)) == "abdisplay_datacsucceeded"


def test_threads_that_print_lose_nothing(ends: tuple[Channel, Far]) -> None:
    channel, far = ends

    def write(number: int) -> None:
        for _ in range(500):
            channel.write("stdout", f"{number}\n")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    channel.send("finished")
    wait_for_the_end(far)
    lines = "".join(text for _, text in far.texts()).split()
    assert sorted(lines) == sorted(str(n) for n in range(4) for _ in range(500))


def test_a_stream_is_like_a_text_file(ends: tuple[Channel, Far]) -> None:
    channel, far = ends
    stream = StreamWriter(channel, "stderr", 2)
    print("one", 2, sep="-", file=stream)
    assert stream.write("") == 0
    assert stream.writable()
    assert not stream.isatty()
    assert (stream.fileno(), stream.name, stream.encoding) == (2, "stderr", "utf-8")
    with pytest.raises(TypeError, match="must be str, not bytes"):
        stream.write(b"bytes")  # type: ignore[arg-type]
    channel.flush()
    wait_for(far, 1)
    assert "".join(text for _, text in far.texts()) == "one-2\n"
    assert {name for name, _ in far.texts()} == {"stderr"}


CAPTURED = """
import os, socket, subprocess, sys
from cellyard.worker.outputs import Channel, DescriptorCapture, StreamWriter
channel = Channel(socket.socket(fileno=int(sys.argv[1])))
capture = DescriptorCapture(channel)
capture.start()
sys.stdout = StreamWriter(channel, "stdout", 1)
for n in range(50):
    print(f"python {n}")
    os.write(1, f"descriptor {n}\\n".encode())
    if n % 10 == 0:
        subprocess.run(["echo", f"process {n}"])
euro = "\\u20ac".encode()
os.write(1, euro[:1]); capture.drain(); os.write(1, euro[1:])
os.write(1, b"\\xff" + b"x" * 50_000)
capture.stop()
channel.send("finished")
"""


CROWDED = """
import os, socket, sys, threading
from cellyard.worker.outputs import Channel, DescriptorCapture
sys.setswitchinterval(1e-6)
channel = Channel(socket.socket(fileno=int(sys.argv[1])))
capture = DescriptorCapture(channel)
capture.start()
failures = []
def look():
    try:
        for _ in range(3000):
            capture.drain()
    except Exception as error:
        failures.append(error)
threads = [threading.Thread(target=look) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
capture.stop()
channel.send("finished")
sys.exit(str(failures) if failures else 0)
"""


def test_threads_may_look_for_text_of_descriptors_at_once() -> None:
    ours, theirs = socket.socketpair()
    far = Far(ours)
    command = [sys.executable, "-c", CROWDED, str(theirs.fileno())]
    done = subprocess.run(command, pass_fds=[theirs.fileno()], timeout=60, check=False)
    theirs.close()
    far.end()
    ours.close()
    texts = "".join(text for _, text in far.texts())
    assert (done.returncode, texts) == (0, "")


def test_descriptors_join_the_same_order_and_characters_stay_whole() -> None:
    ours, theirs = socket.socketpair()
    far = Far(ours)
    done = subprocess.run(
        [sys.executable, "-c", CAPTURED, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    theirs.close()
    far.end()
    ours.close()
    assert done.returncode == os.EX_OK, done.stderr
    expected = []
    for n in range(50):
        expected += [f"python {n}", f"descriptor {n}", *([f"process {n}"] if n % 10 == 0 else [])]
    text = "".join(text for _, text in far.texts())
    assert text == "\n".join(expected) + "\n€\ufffd" + "x" * 50_000
    assert far.frames[-1][1] == "finished"
