"""The program beside the checkout that makes a cluster and an S3 server on this machine, where there is one."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.house.source_tree import ROOT

__all__ = ["CLUSTER", "ask", "one_at_a_time", "s3_variables"]

CLUSTER = ROOT.parent / "shared/cluster/cluster"
"""The program that makes a cluster of one node."""


def ask(verb: str) -> str:
    """What it prints. On a new machine the first answer takes a minute, and nobody else may ask meanwhile."""
    with one_at_a_time("program"):
        done = subprocess.run([str(CLUSTER), verb], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def s3_variables() -> dict[str, str]:
    """The environment's variables that lead to its S3 server, which is started."""
    return dict(word.split("=", 1) for word in shlex.split(ask("s3")) if "=" in word)


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Of all processes of this user only one is within."""
    with (Path(tempfile.gettempdir()) / f"cellyard-{what}-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
