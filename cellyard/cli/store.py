"""``cellyard check``: every stored object against the hash that names it."""

from __future__ import annotations

import argparse
import sys

from cellyard.artifacts import open_store
from cellyard.settings import load_settings

__all__ = ["check"]


def check(arguments: argparse.Namespace) -> int:
    """Read every object; 1 when one is damaged. Needs no engine, and steps may run meanwhile."""
    settings = load_settings()
    good = damaged = 0
    for _, error in open_store(settings.store).verify():
        if error is None:
            good += 1
        else:
            damaged += 1
            print(error, file=sys.stderr)
    print(f"{settings.store}: {good + damaged} objects, {damaged} damaged")
    return 1 if damaged else 0
