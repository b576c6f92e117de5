"""The end of a process is noticed, however it came."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from cellyard.execution.owners import Owners, is_alive


class Ended:
    def __init__(self) -> None:
        self.runs: list[int] = []
        self._event = asyncio.Event()

    def __call__(self, run: int) -> None:
        self.runs.append(run)
        self._event.set()

    async def wait(self) -> None:
        async with asyncio.timeout(10):
            await self._event.wait()


@pytest.mark.parametrize("how", ["kill", "terminate"])
async def test_a_process_that_is_killed_has_ended(how):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended = Ended()
    owners = Owners(ended)
    owners.watch(3, process.pid)
    assert is_alive(process.pid)
    getattr(process, how)()
    await ended.wait()
    process.communicate()
    assert ended.runs == [3]
    assert len(owners) == 0


async def test_a_process_that_has_ended_before_is_told_at_once():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    ended = Ended()
    owners = Owners(ended)
    owners.watch(1, process.pid)
    await ended.wait()
    assert ended.runs == [1]
    assert not is_alive(process.pid)


async def test_who_is_forgotten_is_not_told():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended = Ended()
    owners = Owners(ended)
    owners.watch(1, process.pid)
    owners.forget(1)
    process.communicate()
    await asyncio.sleep(0.1)
    assert ended.runs == []
