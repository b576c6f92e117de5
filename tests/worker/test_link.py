"""Frames between processes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from cellyard.worker.link import Frame, Link, pack, receive_blocking, send_blocking, unpack


@pytest.mark.parametrize(
    "value",
    [
        ["x", None, True, -1, 2.5, "€", b"\x00\xff"],
        {"nested": [{"a": [1, 2]}], "": {}},
        [2**64, -(2**200)],
        "lone \ud800 surrogate",
    ],
)
def test_values_of_json_and_bytes_arrive_as_they_were(value: Any) -> None:
    assert unpack(pack(value)) == value


def test_what_is_neither_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="set cannot be sent"):
        pack([{1, 2}])


def test_frames_pass_between_two_threads_without_a_loop() -> None:
    one, other = socket.socketpair()
    with one, other:
        send_blocking(one, ["hello", 1])
        assert receive_blocking(other) == ["hello", 1]
        one.close()
        with pytest.raises(EOFError):
            receive_blocking(other)


async def pair(on_frame: Callable[[Frame], None], on_lost: Callable[[], None]) -> tuple[Link, Link]:
    """A link that nobody listens to, and one with these listeners."""
    one, other = socket.socketpair()
    return await Link.open(one, lambda frame: None, lambda: None), await Link.open(other, on_frame, on_lost)


async def test_frames_of_any_size_arrive_in_order_and_the_end_is_told_once() -> None:
    frames: list[Frame] = []
    lost = asyncio.Event()
    sender, receiver = await pair(frames.append, lost.set)
    sizes = [0, 1, 70_000, 5_000_000, 3]
    for size in sizes:
        sender.send("data", b"x" * size)
    await sender.flushed()
    await sender.close()
    await asyncio.wait_for(lost.wait(), 5)
    assert [len(frame[1]) for frame in frames] == sizes
    receiver.send("nobody is there")
    await receiver.flushed()
    await receiver.close()


async def test_a_closed_link_is_silent() -> None:
    frames: list[Frame] = []
    sender, receiver = await pair(frames.append, lambda: frames.append(["lost"]))
    await receiver.close()
    sender.send("late")
    await sender.close()
    assert frames == []
