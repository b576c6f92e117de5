"""cellyard: mark a notebook cell with ``%%step`` and run it on a worker of the size it asks for.

``cellyard.History`` reads earlier runs; ``cellyard.log_metric``, ``log_param`` and ``log_figure`` add to the run that
is going on. They come on first use: importing the package loads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cellyard.history import History
    from cellyard.logged import log_figure, log_metric, log_param

__version__ = "0.1.0"

__all__ = ["History", "__version__", "load_ipython_extension", "log_figure", "log_metric", "log_param"]


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext cellyard`` is ``%load_ext kernel_magics``."""
    # Asked of IPython, by name: the engine imports no face.
    shell.extension_manager.load_extension("kernel_magics")


def __getattr__(name: str) -> Any:
    if name == "History":
        from cellyard.history import History

        return History
    if name in ("log_figure", "log_metric", "log_param"):
        from cellyard import logged

        return getattr(logged, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
