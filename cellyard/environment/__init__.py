"""What a step needs to run elsewhere: agreeing versions, local modules, packages, process state.

*Environment*: all of it, as it goes with a step's request; *gathering* it is the kernel's part, *preparing* for it the
worker's. *Local module*: one beside the notebook, or installed from a folder of this machine; it travels as a
*bundle*, one object of the store. *Lock*: the installed packages that the notebook uses, each of one version.
*Entry*: a small thing with a name in the store, written once and never changed.
"""

from __future__ import annotations

from cellyard.environment.request import Environment, ModuleBundle
from cellyard.environment.versions import Versions, check_versions, compare, versions_here

__all__ = ["Environment", "ModuleBundle", "Versions", "check_versions", "compare", "versions_here"]
