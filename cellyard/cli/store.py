"""``cellyard check`` and ``gc``: stored objects against the hashes that name them; and those that nobody needs."""

from __future__ import annotations

import argparse
import sys
import time

from cellyard.artifacts import open_store
from cellyard.artifacts.garbage import find_garbage
from cellyard.model import format_memory, parse_duration, parse_memory
from cellyard.service.client import EngineClient
from cellyard.settings import load_settings

__all__ = ["check", "gc"]

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


def gc(arguments: argparse.Namespace) -> int:
    """Throw away values that no run of late speaks of. Steps may run meanwhile; runs stay in the records."""
    from cellyard.records.reserve import reserve_used  # with half a second of imports, which check does not need

    keep = parse_duration(arguments.keep, option="--keep")
    most = parse_memory(arguments.max, option="--max") if arguments.max else None
    client = EngineClient(notify=lambda text: print(text, file=sys.stderr))
    try:
        store = open_store(client.settings.store_address)
        with reserve_used(client.settings.records):  # who comes here may have a full disk
            found = find_garbage(store, client.references(), since=time.time() - keep, most=most)
            if not arguments.dry_run:
                # First nobody may take them any more, then they may go.
                client.forget_results(list(found.artifacts))
                store.remove(found.ids)
    finally:
        client.close()
    verb = "would be removed" if arguments.dry_run else "removed"
    print(f"{len(found.ids)} objects {verb}, {format_memory(found.size)}; {format_memory(found.kept)} stay")
    return 0
