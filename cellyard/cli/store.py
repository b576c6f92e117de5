"""``cellyard check``: every stored object against the hash that names it."""

from __future__ import annotations

import argparse
import sys

from cellyard.artifacts import open_store
from cellyard.settings import load_settings

__all__ = ["check"]

_ABANDONED = 86400.0


def check(arguments: argparse.Namespace) -> int:
    """Read every object; 1 when one is damaged. Needs no engine, and steps may run meanwhile."""
    settings = load_settings()
    store = open_store(settings.store_address)
    good = damaged = 0
    for _, error in store.verify():
        if error is None:
            good += 1
        else:
            damaged += 1
            print(error, file=sys.stderr)
    print(f"{settings.store}: {good + damaged} objects, {damaged} damaged")
    if removed := store.sweep(_ABANDONED):
        print(f"{removed} writes that nobody had finished for a day were removed")
    return 1 if damaged else 0
