"""Coming back: steps that a kernel before this one began, or a page that is no longer there.

A cell that is executed again takes such a step over, instead of running it a second time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cellyard.errors import CellyardError
from cellyard.model.states import is_terminal
from cellyard.model.step import StepRequest

if TYPE_CHECKING:
    from cellyard.service.client import EngineClient
    from kernel_magics.session import Session

__all__ = ["ComeBack", "Earlier"]

_REMEMBERED = 100
_SMALL = 20_000
_TOGETHER = 0.5
"""Seconds for which what has been taken is gathered before the engine is told."""
_LAST_WORDS = 5.0


@dataclass(frozen=True, slots=True)
class Earlier:
    """A step that was begun before."""

    name: str
    run: int
    token: str
    has_ended: bool
    request: StepRequest

    @classmethod
    def of(cls, step: Mapping[str, Any], notebook: str, session: str) -> Earlier:
        """From the step's record."""
        request = StepRequest.from_dict({**step, "notebook": notebook, "session": session, "run": None})
        token = str(step["token"]).partition(".")[0]
        return cls(step["name"], step["run_id"], token, is_terminal(step["state"]), request)


@dataclass(frozen=True, slots=True)
class _Ran:
    """A step that this kernel has run: where from, and which of the kernel's cells that was."""

    client: str
    cell: int
    earlier: Earlier


class ComeBack:
    """What one kernel knows of steps that it may take over."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._left: dict[tuple[str, str], Earlier] = {}
        self._ran: dict[tuple[str, str], _Ran] = {}
        self._number = 0
        self._lock = threading.RLock()
        self._has_looked = False
        self._took: deque[str] = deque(maxlen=_REMEMBERED)
        self._taken: queue.SimpleQueue[str] | None = None
        self._telling: threading.Thread | None = None

    # -- steps of earlier kernels

    def look(self) -> list[Earlier]:
        """Ask the engine, which is started if need be; the oldest first."""
        identity = self._session.identity
        with self._lock:
            every = (
                Earlier.of(step, identity.notebook, identity.session)
                for step in self._session.client.untaken(identity.notebook)
            )
            found = [each for each in every if each.token not in self._took]
            self._left = {(each.request.raw_line, each.request.source): each for each in found}
            self._has_looked = True
        return found

    def look_once(self) -> None:
        """Ask, unless that was done, and no step was lost sight of since."""
        with self._lock:
            if not self._has_looked:
                self.look()

    def lost_sight(self) -> None:
        """A step of this kernel may go on, or have ended, without its end having been seen here."""
        self._has_looked = False

    def sentence(self) -> str:
        """What to say of them; nothing where there are none."""
        running = sum(not each.has_ended for each in self._left.values())
        ended = len(self._left) - running
        parts = [
            f"{running} step{'s are' if running > 1 else ' is'} running" if running else "",
            f"{ended} finished" if ended else "",
        ]
        return ", ".join(filter(None, parts)) + ": %steps attach" if self._left else ""

    def find(self, line: str, source: str) -> Earlier | None:
        """The step that this very cell began and that its user has not seen to its end. Each is found once."""
        key = (line, source)
        with self._lock:
            self.look_once()  # there may have been no engine to ask when the magics were loaded
            return self._left.pop(key, None) or self._unseen(key)

    def drop(self, earlier: Earlier) -> None:
        """It has been taken over otherwise."""
        with self._lock:
            self._left.pop((earlier.request.raw_line, earlier.request.source), None)

    # -- pages of this kernel

    def before_cell(self) -> None:
        """A page has a cell run."""
        self._number += 1

    def ran(self, request: StepRequest, run: int | None, token: str) -> None:
        """This kernel has run a step to its end, and shown that end."""
        if run is not None:
            if len(request.private) > _SMALL:  # the state of the process, which is not needed again
                request = replace(request, private="")
            earlier = Earlier(request.name, run, token, True, request)
            while len(self._ran) >= _REMEMBERED:
                del self._ran[next(iter(self._ran))]
            self._ran[(request.raw_line, request.source)] = _Ran(self._client(), self._number, earlier)

    def _unseen(self, key: tuple[str, str]) -> Earlier | None:
        """What this kernel ran last, for a page that is not the one that asks now. After any other cell the notebook is
        being run anew."""
        ran = self._ran.pop(key, None)
        if ran is None or ran.client == self._client() or self._number > ran.cell + 1:
            return None
        return ran.earlier

    def _client(self) -> str:
        """Which page asks: each load of a page has a name of its own."""
        kernel = getattr(self._session.shell, "kernel", None)
        return "" if kernel is None else str(kernel.get_parent().get("header", {}).get("session", ""))

    # -- what has been taken

    def took(self, token: str) -> None:
        """What this step made is bound here; the engine hears of it soon."""
        with self._lock:
            self._took.append(token)
            self._left = {key: each for key, each in self._left.items() if each.token != token}
        if self._taken is None:
            self._taken = queue.SimpleQueue()
            work = (self._session.client, self._taken)
            self._telling = threading.Thread(target=_tell, args=work, name="cellyard-taken", daemon=True)
            self._telling.start()
        self._taken.put(token)

    def close(self) -> None:
        """Tell what is still to be told, and nothing more: an engine that is stopped after this is not asked again,
        which would start the next one."""
        if self._taken is not None and self._telling is not None:
            self._taken.put("")
            self._telling.join(timeout=_LAST_WORDS)


def _tell(client: EngineClient, taken: queue.SimpleQueue[str]) -> None:
    while token := taken.get():
        time.sleep(_TOGETHER)
        tokens = [token]
        while not taken.empty() and (token := taken.get()):
            tokens.append(token)
        try:
            client.taken(tokens)
        except CellyardError:
            continue  # the next kernel offers them once more, which does no harm
        if not token:
            return
