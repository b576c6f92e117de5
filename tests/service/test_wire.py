"""HTTP over a Unix socket, whatever way the bytes are cut."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellyard.service.wire import Broken, Connection, Unreachable

LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nX-Kind: plain\r\n\r\nhello world"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"

Serve = Callable[[Sequence[bytes]], Path]


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Starts a server that answers its one connection with the given pieces, one after the other, and closes."""
    threads: list[threading.Thread] = []
    with tempfile.TemporaryDirectory(prefix="cy-") as folder:

        def start(pieces: Sequence[bytes]) -> Path:
            path = Path(folder) / f"{len(threads)}.sock"
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(str(path))
            listening.listen()
            threads.append(threading.Thread(target=answer, args=(listening, pieces)))
            threads[-1].start()
            return path

        yield start
        for thread in threads:
            thread.join(timeout=10)


def answer(listening: socket.socket, pieces: Sequence[bytes]) -> None:
    with listening, listening.accept()[0] as connected:
        connected.recv(65536)
        for piece in pieces:
            connected.sendall(piece)


def connect(path: Path) -> Connection:
    connection = Connection(path)
    connection.open(timeout=10)
    return connection


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % len(data) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([LENGTH, CHUNKED]), st.lists(st.integers(0, 200), max_size=12))
def test_an_answer_is_read_whole_wherever_it_is_cut(serve, data, places):
    connection = connect(serve(cut(data, places)))
    response = connection.request("GET", "/")
    assert response.status == 200
    assert response.read() == b"hello world"
    assert response.read() == b""
    connection.close()


def test_headers_are_found_in_lower_case(serve):
    connection = connect(serve([LENGTH]))
    response = connection.request("POST", "/", b"{}")
    assert response.headers["x-kind"] == "plain"
    connection.close()


def test_an_empty_answer_leaves_the_connection_ready(serve):
    connection = connect(serve([EMPTY + b""]))
    assert connection.request("GET", "/").read() == b""
    connection.close()


@pytest.mark.parametrize("part", [1, 20, len(CHUNKED) - 14, len(CHUNKED) - 1])
def test_an_answer_that_ends_too_early_is_broken(serve, part):
    connection = connect(serve([CHUNKED[:part]]))
    with pytest.raises(Broken):
        connection.request("GET", "/").read()
    assert not connection.is_reusable()


def test_a_connection_in_mid_answer_or_closed_is_not_reusable(serve):
    connection = connect(serve([LENGTH]))
    assert connection.is_reusable()
    response = connection.request("GET", "/")
    assert not connection.is_reusable()
    response.read()
    connection.close()
    assert not connection.is_reusable()


def test_where_nobody_listens_nothing_was_sent(tmp_path):
    with pytest.raises(Unreachable, match="no engine"):
        Connection(Path("/tmp/cy-nobody.sock")).open(timeout=1)
