"""Process K: ``python -m cellyard.backends.dask_on_kubernetes.host FD PARENT``.

FD is its end of the link, PARENT the engine's pid; the first frame from the engine is the configuration.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from cellyard.backends.dask_config import configure
from cellyard.worker.link import receive_blocking
from cellyard.worker.processes import die_with_parent

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Serve until told to end, then take every worker along; when killed, leave them to the next."""
    link, parent = (int(each) for each in arguments)
    faulthandler.enable()
    die_with_parent(parent)
    signal.signal(signal.SIGINT, lambda *_: None)
    os.set_inheritable(link, False)
    sock = socket.socket(fileno=link)
    try:
        _, config = receive_blocking(sock)
    except EOFError:
        return 0
    # The client of the API writes the keys of the kubeconfig to temporary files, and leaves them there.
    own = Path(config["runtime"]) / "kubernetes"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o700, parents=True)
    tempfile.tempdir = str(own)
    gc.disable()  # until all is imported, as in the engine
    configure({"distributed.comm.timeouts.tcp": "60s"})
    from cellyard.backends.dask_on_kubernetes.serving import serve

    try:
        return serve(sock, config)
    finally:
        shutil.rmtree(own, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
