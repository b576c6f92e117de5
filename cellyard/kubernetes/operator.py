"""Loaded by the operator beside dask-kubernetes' controller, where it serves certain namespaces only."""

from __future__ import annotations

from collections.abc import Iterator

import kopf

__all__ = ["Lasting", "configure"]

_FIRST = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0)
_THEN = 30.0


class Lasting:
    """Pauses between attempts at a request, in seconds: longer and longer, and without an end. Each use begins anew."""

    def __iter__(self) -> Iterator[float]:
        yield from _FIRST
        while True:
            yield _THEN


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: object) -> None:
    """Serve the given namespaces, and go on when one of them is deleted."""
    # All are there, and so are the definitions; to look for new ones takes rights in the whole cluster.
    settings.scanning.disabled = True
    # A deleted namespace takes our rights in it along; an operator that gave up then would fail all others, too.
    settings.networking.error_backoffs = Lasting()
