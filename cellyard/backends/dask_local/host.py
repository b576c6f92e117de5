"""The Dask process: ``python -m cellyard.backends.dask_local.host FD PARENT``.

FD is its end of the link, PARENT the engine's pid; the first frame from the engine is the configuration. The
step parent is started before Dask is imported, so that both get ready side by side.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from cellyard.backends.dask_config import configure
from cellyard.worker.link import receive_blocking
from cellyard.worker.processes import adopt_orphans, die_with_parent

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Serve until told to end, and take every step along; 0 then, 1 when Dask broke."""
    link, parent = (int(each) for each in arguments)
    faulthandler.enable()
    die_with_parent(parent)
    adopt_orphans()
    # A handler, not SIG_IGN: steps would inherit that, and they want to be interrupted.
    signal.signal(signal.SIGINT, lambda *_: None)
    os.set_inheritable(link, False)
    sock = socket.socket(fileno=link)
    try:
        _, config = receive_blocking(sock)
    except EOFError:
        return 0
    pool = _pool(config)

    # After the step parent was started: the import takes long.
    gc.disable()  # until all is there, as in the engine
    configure()
    from cellyard.backends.dask_local.serving import serve

    return serve(sock, pool, config["resources"], Path(config["runtime"]) / "dask")


def _pool(config: dict[str, Any]) -> Any:
    module, _, name = config["pool"].partition(":")
    factory = getattr(importlib.import_module(module), name)
    parent = factory.spawn_parent(config["store"])
    return factory(
        store=config["store"],
        runtime=Path(config["runtime"]),
        cpus=config["cpus"],
        gpus=config["gpus"],
        parent=parent,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
