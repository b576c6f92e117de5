"""What the magics share: the shell, who we are, and, from the first use on, the engine's client and the namespace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cellyard.errors import CellyardError
from cellyard.origin import Origin, origin_of
from cellyard.whereabouts import Whereabouts
from kernel_magics.identity import Identity
from kernel_magics.logging_cells import CellLog

if TYPE_CHECKING:
    from cellyard.service.client import EngineClient
    from kernel_magics.comeback import ComeBack
    from kernel_magics.namespace import Namespace
    from kernel_magics.pending import PendingSteps
    from kernel_magics.reach import Reach

__all__ = ["Session"]

_HERE = {"local", "in_process"}
_ORIGIN_HOLDS = 5.0


class Session:
    """One kernel's connection to cellyard."""

    def __init__(self, shell: Any, identity: Identity) -> None:
        self.shell = shell
        self._identity = identity
        self._whereabouts: Whereabouts | None = None
        self._lock = threading.RLock()
        self._client: EngineClient | None = None
        self._namespace: Namespace | None = None
        self._reach: Reach | None = None
        self._pending: PendingSteps | None = None
        self._checker: Any = None
        self._origin: tuple[float, str, Origin] | None = None
        self.log = CellLog(self)
        self._comeback: ComeBack | None = None
        self._preparing: threading.Thread | None = None
        self._said = False

    @property
    def identity(self) -> Identity:
        """Which notebook and kernel this is; another one when the notebook is renamed, or its user names it."""
        if self._identity.kernel:
            with self._lock:
                if self._whereabouts is None:
                    self._whereabouts = Whereabouts(self.client.settings.runtime)
                self._identity = self._identity.now(self._whereabouts)
        return self._identity

    @identity.setter
    def identity(self, identity: Identity) -> None:
        self._identity = identity

    def is_here(self, backend: str | None) -> bool:
        """Whether workers of that backend (None: the default) share this machine's files and packages."""
        return (backend or self.client.settings.backend) in _HERE

    @property
    def client(self) -> EngineClient:
        """The engine's client."""
        with self._lock:
            if self._client is None:
                from cellyard.service.client import EngineClient

                self._client = EngineClient(notify=print)
            return self._client

    @property
    def namespace(self) -> Namespace:
        """The notebook's names."""
        with self._lock:
            if self._namespace is None:
                from kernel_magics.namespace import Namespace
                from kernel_magics.prefilter import StandInChecker

                self._namespace = Namespace(self.shell, self.client.settings.store_address)
                self._checker = StandInChecker(self.shell)
            return self._namespace

    @property
    def pending(self) -> PendingSteps:
        """The steps of this kernel that nobody waits for yet."""
        with self._lock:
            if self._pending is None:
                from kernel_magics.pending import PendingSteps

                self._pending = PendingSteps(lambda: self.namespace, self.shell.ast_transformers, self.comeback)
                self.shell.events.register("post_run_cell", self._after_cell)
            return self._pending

    @property
    def has_pending(self) -> bool:
        """Whether there are steps that nobody waits for yet."""
        return bool(self._pending)

    @property
    def comeback(self) -> ComeBack:
        """The steps of earlier kernels and pages."""
        with self._lock:
            if self._comeback is None:
                from kernel_magics.comeback import ComeBack

                self._comeback = ComeBack(self)
            return self._comeback

    @property
    def reach(self) -> Reach:
        """What steps need that run on other machines."""
        with self._lock:
            if self._reach is None:
                from kernel_magics.reach import Reach

                self._reach = Reach(self.client.settings.store_address)
            return self._reach

    def origin(self) -> Origin:
        """Who works here, and on which commit; looked at again after some seconds."""
        now, notebook = time.monotonic(), self.identity.notebook
        if self._origin is None or now - self._origin[0] > _ORIGIN_HOLDS or self._origin[1] != notebook:
            self._origin = (now, notebook, origin_of(notebook))
        return self._origin[2]

    def before_cell(self, info: Any) -> None:
        """Wait for, and fetch, what the coming cell uses; nothing, while no step has made anything."""
        if self._comeback is not None:
            self._comeback.before_cell()
        if self._pending:
            self._pending.before_cell(info.raw_cell or "")
        if self._namespace is not None:
            try:
                self._namespace.before_cell(info)
            except KeyboardInterrupt as stopped:
                self.pending.stop_cell(stopped)

    def _after_cell(self, result: Any) -> None:
        self.pending.after_cell()

    def say_what_is_left(self) -> None:
        """Say what steps of earlier kernels there are, if the engine can be asked at once; else :meth:`prepare` does so
        when it is there."""
        if not self.identity.is_named or self.client.info() is None:
            return
        try:
            self.comeback.look()
        except CellyardError:  # it has just ended, or cannot read its records: that is said when it is needed
            return
        self._said = True
        if sentence := self.comeback.sentence():
            print(sentence)

    def _tell_later(self) -> Callable[[], None] | None:
        """The same, for when the engine has started; it appears under the cell that runs now."""
        if not self.identity.is_named:
            return None
        from kernel_magics.cell_output import output_of_cell

        output = output_of_cell(self.shell, 0)

        def tell() -> None:
            self.comeback.look_once()
            if sentence := self.comeback.sentence():
                output.show({"type": "stream", "name": "stdout", "text": f"{sentence}\n"})

        return tell

    def prepare(self) -> None:
        """Start the engine, and meanwhile import what the first step needs; in the background."""
        self._preparing = threading.Thread(target=self._prepare, name="cellyard-prepare", daemon=True)
        self._preparing.start()

    def prepared(self) -> None:
        """Return when that has been imported: two threads that import one package from two ends wait for each other."""
        if self._preparing is not None:
            self._preparing.join()
            self._preparing = None

    def _prepare(self) -> None:
        client = self.client
        tell = None if self._said else self._tell_later()
        threading.Thread(target=_start, args=(client, tell), name="cellyard-start", daemon=True).start()
        namespace = self.namespace
        import kernel_magics.step_magic  # noqa: F401

        threading.Thread(target=namespace.connect, name="cellyard-connect", daemon=True).start()

    def close(self) -> None:
        """Close the connections; running steps go on. Stand-ins go on fetching themselves when they are used."""
        if self._checker is not None:
            self.shell.prefilter_manager.unregister_checker(self._checker)
        if self._pending is not None:
            self.shell.events.unregister("post_run_cell", self._after_cell)
        if self._comeback is not None:
            self._comeback.close()
        if self._client is not None:
            self._client.close()


def _start(client: EngineClient, tell: Callable[[], None] | None) -> None:
    """A failure is not told here: the first step meets it again, and tells it where the user is looking."""
    from cellyard.errors import CellyardError

    try:
        client.ensure()
        if tell is not None:
            tell()
    except CellyardError:
        return
