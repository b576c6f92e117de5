"""``cellyard engine run|status|stop``."""

from __future__ import annotations

import argparse
from typing import Any

from cellyard.model import Resources
from cellyard.service.client import EngineClient
from cellyard.service.lifecycle import log_path
from cellyard.settings import load_settings

__all__ = ["run", "status", "stop"]


def run(arguments: argparse.Namespace) -> int:
    """Be the engine (foreground), or start one in the background and say where it is."""
    settings = load_settings()
    if not arguments.foreground:
        _say(EngineClient(settings, notify=print).ensure())
        return 0
    from cellyard.service.main import main

    before = EngineClient(settings).info()
    if before is not None:
        print(f"an engine runs already (pid {before['pid']}); stop it first: cellyard engine stop")
        return 0
    return main(settings, foreground=True)


def status(arguments: argparse.Namespace) -> int:
    """Say what runs; 3 when nothing does."""
    settings = load_settings()
    facts = EngineClient(settings).info()
    if facts is None:
        print(f"no engine runs for the store {settings.store}")
        return 3
    _say(facts)
    print(f"log      {log_path(settings)}")
    return 0


def stop(arguments: argparse.Namespace) -> int:
    """Stop the engine and wait until it is gone."""
    client = EngineClient(load_settings())
    facts = client.info()
    if facts is None:
        print("no engine runs")
        return 0
    if facts["running"] and not arguments.now:
        print(f"waiting for {facts['running']} running step(s); `cellyard engine stop --now` cancels them")
    client.stop(drain=not arguments.now)
    print(f"the engine (pid {facts['pid']}) has stopped")
    return 0


def _say(facts: dict[str, Any]) -> None:
    capacity = Resources.from_dict(facts["capacity"])
    print(f"engine   cellyard {facts['version']}, pid {facts['pid']}, {facts['state']}")
    print(f"python   {facts['python']} in {facts['prefix']}")
    print(f"gives    {capacity}")
    print(f"runs     {facts['running']} step(s)")
    print(f"store    {facts['store']}")
    print(f"records  {facts['records']}")
