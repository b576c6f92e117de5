"""Reach: the modules that a step's code and values lead to, and with them what it needs on another machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cellyard.analysis import modules_imported_by
from cellyard.analysis.facts import Facts
from cellyard.artifacts.definitions import registry
from cellyard.artifacts.store import open_store
from cellyard.environment.gathering import Gathered, Gatherer
from cellyard.errors import PackagesUnavailable, error_from_dict
from kernel_magics.packing import Inputs

__all__ = ["Reach"]


class Reach:
    """Gathers for the steps of one kernel; ``store`` is where its local modules go."""

    def __init__(self, store: str) -> None:
        self._store = open_store(store)
        self._gatherer = Gatherer(self._store)

    def gather(self, facts: Facts, inputs: Inputs) -> Gathered:
        """What a step with these facts and inputs needs. Local modules are those that it surely may reach; of installed
        packages, all that the notebook has imported, so that most of its steps need the same."""
        reached = set(_reached(facts, inputs))
        return self._gatherer.gather(reached, also_installed=inputs.packages)

    def supply(
        self, error: Mapping[str, Any] | None, environment: Mapping[str, Any], tell: Callable[[str], None]
    ) -> bool:
        """Where a step failed because its worker has no way to a registry: install here what it lacks, if that can be
        done, for the worker to find in the store. True: the step may be tried again."""
        found = error_from_dict(error["cellyard"]) if error and error.get("cellyard") else None
        if not isinstance(found, PackagesUnavailable) or "remedy" not in found.fields:
            return False
        from cellyard.environment.filling import supply
        from cellyard.environment.installer import Progress

        tell(f"the worker could not install {found.packages}: trying from here")
        try:
            supply(found.remedy, environment["lock"], self._store, Progress(tell))
        except PackagesUnavailable as refused:
            tell(f"nor could it be done from here: {refused.reason}")
            return False
        return True


def _reached(facts: Facts, inputs: Inputs) -> Iterator[str]:
    """Top-level modules that the cell imports, that its values come from, and that its functions import."""
    yield from facts.imported_modules
    for module in facts.star_imports:
        yield module.partition(".")[0]
    for reference in inputs.references:
        yield from reference["modules"]
        for token in reference.get("tokens") or ():
            definition = registry.find(token)
            if definition is not None:
                yield from modules_imported_by(definition)
    if facts.uses_dynamic:  # then any module that the notebook has may be meant
        yield from (name.partition(".")[0] for name in inputs.packages if name in sys.modules)
