"""Values as artifacts: content-addressed, shared by mapping, readable from any process.

*Object*: immutable bytes named by their hash. *Artifact*: one alias group of values with its buffers and definitions.
*Reference*: what is known of an artifact without reading it. *Store*: where objects are. *Definition*: a function or
class of the notebook.
"""

from __future__ import annotations

from cellyard.artifacts.artifact import load, pack
from cellyard.artifacts.reference import Preview, Reference
from cellyard.artifacts.store import LocalStore, Store, open_store

__all__ = ["LocalStore", "Preview", "Reference", "Store", "load", "open_store", "pack"]
