"""The engine process and the way to it.

main, engine, app, routes, events    the process: its life, its HTTP API, its event streams
client, finder, following, wire       the light client: what kernels, servers and the command line import
lifecycle                             the lock, the socket and the log that both sides know
"""

from __future__ import annotations

__all__: list[str] = []
