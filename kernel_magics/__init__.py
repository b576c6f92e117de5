"""cellyard in the kernel: ``%load_ext kernel_magics`` gives ``%%step`` and ``%steps``.

*Stand-in*: what a name is bound to while its value stays in the store. *Namespace*: the notebook's names, as seen by
steps. Light: nothing here imports Dask, SQLAlchemy or nbformat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics and start the engine in the background."""
    from kernel_magics.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away; running steps go on."""
    from kernel_magics.extension import unload

    unload(shell)
