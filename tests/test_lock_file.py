"""One live process at a time has the lock, and it is free as soon as its holder is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from cellyard.lock_file import LockFile

HOLDER = """
import sys, time
from pathlib import Path
from cellyard.lock_file import LockFile
assert LockFile(Path(sys.argv[1])).acquire("the other")
print("has it", flush=True)
time.sleep(60)
"""


def test_one_at_a_time_has_it(tmp_path: Path) -> None:
    first, second = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    assert first.acquire("the first, with a long name")
    assert not second.acquire("the second")
    assert second.note() == "the first, with a long name"
    first.release()
    assert second.acquire("the second")
    assert first.note() == "the second"
    second.release()


def test_it_goes_with_a_holder_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "has it\n"
    lock = LockFile(path)
    assert not lock.acquire("me")
    assert lock.note() == "the other"
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    assert lock.acquire("me")
    lock.release()


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "lock")
    lock.acquire("me")
    lock.release()
    assert (tmp_path / "lock").stat().st_mode & 0o077 == 0
