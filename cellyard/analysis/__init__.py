"""What a cell needs and does, told by its text and by the live functions that it reaches. Nothing is run.

- :func:`analyze` -> :class:`Facts`: names read, bound, unbound, changed;
- :func:`needed_names`, :func:`changed_names`, :func:`missing_names`: facts against a namespace;
- :func:`names_used_by`, :func:`reachable_names`: the same for live functions, classes and instances;
- :func:`modules_imported_by`, :func:`modules_imported_in`: what live code, or a text, imports when it runs;
- :func:`token_names`, :func:`nearest_name`: words of a raw cell, and the likeliest spelling;
- :func:`wants_all_names`: whether a raw cell looks at the namespace as a whole;
- :func:`hazards`: what cannot work in a step.
"""

from __future__ import annotations

from cellyard.analysis.deleted import only_deleted
from cellyard.analysis.facts import Facts
from cellyard.analysis.functions import GlobalUse, globals_used_by, names_used_by, parts_of, reachable_names
from cellyard.analysis.hazards import NOBODY_TO_ASK, Hazard, hazards
from cellyard.analysis.imports import modules_imported_by, modules_imported_in
from cellyard.analysis.names import analyze
from cellyard.analysis.needs import MissingName, changed_names, changes_when_read, missing_names, needed_names
from cellyard.analysis.tokens import nearest_name, token_names, wants_all_names, wants_definitions

__all__ = [
    "NOBODY_TO_ASK",
    "Facts",
    "GlobalUse",
    "Hazard",
    "MissingName",
    "analyze",
    "changed_names",
    "changes_when_read",
    "globals_used_by",
    "hazards",
    "missing_names",
    "modules_imported_by",
    "modules_imported_in",
    "names_used_by",
    "nearest_name",
    "needed_names",
    "only_deleted",
    "parts_of",
    "reachable_names",
    "token_names",
    "wants_all_names",
    "wants_definitions",
]
