"""Exporters by name: a table of strings, imported on first use, open to others by entry point."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any

from cellyard.errors import UsageError
from cellyard.exporters.base import Exporter, ExporterFacts

__all__ = ["ENTRY_POINTS", "EXPORTERS", "create_exporter", "exporter_names", "exporters_told"]

ENTRY_POINTS = "cellyard.exporters"
"""The group in which another distribution names its exporters."""

EXPORTERS: dict[str, tuple[str, str]] = {
    "bundle": ("cellyard.exporters.bundle:BundleExporter", "It needs: pip install 'cellyard[engine]'."),
    "kubernetes": (
        "cellyard.exporters.kubernetes:KubernetesExporter",
        "It needs: pip install 'cellyard[kubernetes]'.",
    ),
}
"""Name -> where the class is, and the sentence to show when its import fails."""


def exporter_names() -> list[str]:
    """All names that :func:`create_exporter` knows, sorted."""
    return sorted(EXPORTERS.keys() | {each.name for each in entry_points(group=ENTRY_POINTS)})


def exporters_told() -> list[dict[str, Any]]:
    """All exporters by name, each with what it says of itself, or with the ``problem`` that keeps it from being used.
    Imports them."""
    return [_told(name) for name in exporter_names()]


def _told(name: str) -> dict[str, Any]:
    try:
        facts, problem = create_exporter(name).about, ""
    except UsageError as error:
        facts, problem = ExporterFacts(title=name), str(error)
    return {"name": name, **facts.to_dict(), "problem": problem}


def create_exporter(name: str) -> Exporter:
    """The exporter of that name; raises UsageError when there is none, or when it cannot be imported."""
    if name in EXPORTERS:
        return _load(name, *EXPORTERS[name])
    for each in entry_points(group=ENTRY_POINTS, name=name):
        where = each.dist.name if each.dist is not None else each.value
        return _load(name, each.value, f"It belongs to {where}.")
    raise UsageError(f"nothing is known of exporting to {name!r}; known are: {', '.join(exporter_names())}.")


def _load(name: str, path: str, hint: str) -> Exporter:
    module, _, attribute = path.partition(":")
    try:
        found: Exporter = getattr(importlib.import_module(module), attribute)()
        facts = found.about
    except (ImportError, AttributeError) as error:
        raise UsageError(f"exporting to {name} could not be loaded ({error}). {hint}") from error
    if not isinstance(facts, ExporterFacts):
        raise UsageError(f"exporting to {name}: its `about` is no ExporterFacts. {hint}")
    return found
