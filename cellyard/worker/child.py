"""The step process: forked ahead, waits for one step, runs it in IPython's shell, stores what it made, ends.

Nothing survives it. SIGINT is held back until the cell runs and ignored after it, so neither loading nor storing is
cut in two, and an interrupt that comes too early strikes when the cell begins.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import resource
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from cellyard import logged
from cellyard.artifacts.changes import LoadedGroup
from cellyard.artifacts.definitions import registry
from cellyard.artifacts.held import HandlerState, HeldState, PatchState, put_back
from cellyard.artifacts.own_magics import new_magics, own_magics
from cellyard.artifacts.patches import PATCH
from cellyard.artifacts.reference import is_held
from cellyard.artifacts.store import OBJECTS, Store, open_store
from cellyard.environment.elsewhere import Sojourn
from cellyard.errors import CellyardError, StepKilled
from cellyard.worker import process_state
from cellyard.worker.ahead import Ahead, unseal
from cellyard.worker.answers import anonymous_memory_here, recordable, refused
from cellyard.worker.asking import Asking
from cellyard.worker.cells_read import CellsRead
from cellyard.worker.collecting import collect_outputs, describe_error
from cellyard.worker.comms import forward_comms
from cellyard.worker.frames import describe_frames, describe_running
from cellyard.worker.interrupts import hold_interrupts, interruptible
from cellyard.worker.link import receive_blocking
from cellyard.worker.local_modules import accept_readings
from cellyard.worker.logging_state import handlers_beside
from cellyard.worker.measuring import MOST, largest_objects
from cellyard.worker.module_places import PLACES, ModulePlaces
from cellyard.worker.outputs import Channel, DescriptorCapture, StreamWriter, flush_standard_streams
from cellyard.worker.processes import adopt_orphans, die_with_parent
from cellyard.worker.rehearsal import rehearse
from cellyard.worker.reloads import RELOADED, Reloads
from cellyard.worker.shell import StepShell, make_shell
from cellyard.worker.sizing import use_processors
from cellyard.worker.standing import tell_when_asked

if TYPE_CHECKING:
    from cellyard.worker.items import Items

__all__ = ["serve_one_step"]


#: Seconds for which a store that does not answer is waited for: by then others have used its address.
PATIENCE = 90.0
#: Seconds between what a step answers and its end.
LINGER = 0.02
#: Seconds that a step may have reached this process later than its beginning was told.
_ON_ITS_WAY = 0.05
#: The value of a name that the cell may bind or delete, and does not read.
UNSENT = object()


def serve_one_step(sock: socket.socket, owner: int, store: str = "") -> None:
    """Wait for a step, run it, answer; be ready to use that store. The process is to end when this returns."""
    die_with_parent(owner, signal.SIGKILL)
    os.setsid()
    adopt_orphans()
    hold_interrupts()
    channel = Channel(sock)
    capture = DescriptorCapture(channel)
    capture.start()
    sys.stdout = StreamWriter(channel, "stdout", 1)
    sys.stderr = StreamWriter(channel, "stderr", 2)
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
    shell = make_shell()
    shell.open_loop()
    tell_when_asked()
    rehearse(shell)
    _open_ahead(store)
    ahead = Ahead()
    try:
        while (frame := receive_blocking(sock))[0] == "ahead":
            ahead.prepare(*frame[1:])
    except EOFError:  # the worker no longer needs this child
        return
    _, task, place = frame
    step: _Step | None = None
    try:
        step = _Step(task, place, channel, capture, ahead)
        step.prepare()
        succeeded = step.run()
        answer = step.finish(succeeded)
    except CellyardError as error:
        answer = refused(error, step.error if step is not None else None)
    except Exception as error:  # noqa: BLE001 - whatever went wrong in our own part must be told, not lost
        reason = f"failed outside the cell ({type(error).__name__}: {error})"
        told = StepKilled(step=task["name"], reason=reason, hint=traceback.format_exc())
        answer = refused(told, step.error if step is not None else None)
    channel.send("finished", **answer)
    # To end takes a processor some milliseconds, which the answer needs now on its way through other processes.
    time.sleep(LINGER)


def _open_ahead(store: str) -> None:
    """Connect before there is anything to do. What is wrong now may be right for the step; if not, it tells."""
    with contextlib.suppress(CellyardError):
        open_store(store).rehearse()


class _Step:
    def __init__(
        self,
        task: Mapping[str, Any],
        place: Mapping[str, Any],
        channel: Channel,
        capture: DescriptorCapture,
        ahead: Ahead,
    ) -> None:
        self._came = time.monotonic()
        self._process = os.getpid()
        self._capture = capture
        self.request = task["request"]
        self.name = task["name"]
        self._place = place
        self._channel = channel
        self._store: Store = open_store(place["store"], patience=PATIENCE)
        self._plain, self._private = unseal(self.request["private"])
        self._ahead = ahead
        self._watcher = ahead.watcher
        self._sojourn: Sojourn | None = None
        self._shell: StepShell = make_shell()
        self._groups: list[LoadedGroup] = []
        self._items: Items | None = None
        self.error: dict[str, Any] | None = None
        self._reloads = Reloads()
        self._places = ModulePlaces(self._private.get(PLACES, ()))
        registry.origin = f"@{task['token'][:12]}"
        process_state.mark_ids(task["token"][:12])

    def prepare(self) -> None:
        """Size, process state, then the values that the cell reads."""
        self._ahead.take_over(self._plain, self._place)
        self._watcher.apply(self._settled(self._private.get("state", {})))
        accept_readings(self._private.get("local_modules") or {})
        self._store.accept(self._private.get(OBJECTS, {}))
        self._store.open()  # what the cell makes of the environment is not meant for us
        self._own_environment()
        Asking(self._channel, self._private.get("no_input", "nobody waits for it who could be asked")).install()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a kernel nothing would be unpickled
            patches = self._load_inputs()
        for name, changes in patches.items():  # afterwards: it may be who shows warnings
            put_back(name, changes)
        self._shell.connect(self._channel)
        self._capture.answer(self._channel.socket, self._measure)
        forward_comms(self._channel)
        logged.use(self._channel.log)
        self._shell.colors = self._private.get("colors", "neutral")
        self._shell.step_source = self.request["source"]
        self._shell.line_offset = self._private.get("line_offset", 1)
        self._begin()
        names = self._shell.user_ns
        for name in self._private.get("unsent", ()):  # the notebook has it, which shows when the cell deletes it
            names.setdefault(name, UNSENT)
        self._before = dict(names)
        tokens = {token for reference in self.request["inputs"] for token in reference.get("tokens") or ()}
        self._held = HeldState(tokens, names)
        self._magics = own_magics()
        self._handlers, self._patches = HandlerState(handlers_beside(), names), PatchState(names)
        self._reloads.watch()

    def _measure(self) -> None:
        """The worker asks what takes so much memory, or, at its limit, also where the cell is."""
        try:
            [asked] = receive_blocking(self._channel.socket)
        except (EOFError, OSError):  # the worker is gone, and with it will be this process
            return
        objects = largest_objects(self._shell.user_ns)
        if self._items is not None:
            objects = sorted([*objects, *self._items.largest()], key=lambda each: -int(each["bytes"]))[:MOST]
        self._channel.send("objects", objects=objects)
        if asked != "last words":
            return
        try:
            for told in describe_running(self._shell.user_ns, self._store, self._shell.compile.shown):
                self._channel.send("standing", **told)
        except Exception as trouble:  # noqa: BLE001 - of the store: the variables are missing, and nothing else
            print(f"note: %debug has no variables of this step: {trouble}", file=sys.stderr)
        finally:
            self._channel.send("last words")

    def _begin(self) -> None:
        """The shell's own part of the namespace: what earlier cells were and have shown."""
        shown = {name: v for name, v in self._shell.user_ns.items() if name[:1] == "_" and name[1:].isdecimal()}
        self._shell.compile.know(self._private.get("files", {}))
        file, sources = self._private.get("file", ""), self._private.get("sources")
        self._shell.begin(self.request["execution_count"], file, shown, sources)

    def _settled(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The kernel's state as it can be had here; the same, where the kernel is on this machine."""
        elsewhere = self._place.get("elsewhere")
        if elsewhere is None:
            return state
        os.makedirs(elsewhere["scratch"], exist_ok=True)  # noqa: PTH103
        self._sojourn = Sojourn(process_state.capture(("environment", "path")), **elsewhere)
        return self._sojourn.settle(state)

    def _changed_state(self) -> Mapping[str, Any]:
        """What the cell has changed in the listed process state, as the kernel can take it over."""
        changes = process_state.portable(self._watcher.changes())
        return changes if self._sojourn is None else self._sojourn.report(changes)

    def _own_environment(self) -> None:
        """The variables of ``--env``, which are for this step alone."""
        given = dict(self.request["options"].get("env") or ())
        self._replaced = {key: (value, os.environ.get(key)) for key, value in given.items()}
        os.environ.update(given)

    def _restore_environment(self) -> None:
        """Variables of ``--env`` do not go back to the kernel, unless the cell has set them itself."""
        for key, (given, before) in self._replaced.items():
            if os.environ.get(key) != given:
                continue
            if before is None:
                del os.environ[key]
            else:
                os.environ[key] = before

    def _load_inputs(self) -> dict[str, Any]:
        """Bind what came; what is set in modules is only returned."""
        from cellyard.artifacts.artifact import load, prefetch

        patches: dict[str, Any] = {}
        namespace = self._shell.user_ns
        pure = set(self._private.get("pure", ()))
        prefetch(self._store, self.request["inputs"])
        for reference in self.request["inputs"]:
            values = self._places.tried(lambda: load(self._store, reference, namespace))  # noqa: B023 - called at once
            for name in filter(is_held, values):
                if name.startswith(PATCH):
                    patches[name] = values[name]
                else:
                    put_back(name, values[name])
            bound = reference.get("bind") or [name for name in values if not is_held(name)]
            namespace.update({name: values[name] for name in bound})
            is_watched = not pure.issuperset(values)
            self._groups.append(LoadedGroup(reference, values, self._store, namespace, is_watched=is_watched))
        return patches

    def run(self) -> bool:
        """Run the cell; True when it succeeded."""
        error = self._run_cell()
        if os.getpid() != self._process:
            _leave_fork(error)
        if catch := self.request["options"].get("catch"):
            self._shell.user_ns[catch] = error
        self._flush()
        if error is not None:
            trace = getattr(self._shell, "step_traceback", [])
            self.error = describe_error(error, trace, self._shell.user_ns, self._store)
            # Whoever interrupts does not want to wait.
            if not isinstance(error, KeyboardInterrupt) or self._is_over_time():
                self.error = self._with_frames(self.error, error)
        return error is None

    def _is_over_time(self) -> bool:
        """Whether it was the step's timeout that has interrupted it: it is told like any interrupt, a moment later."""
        timeout = self.request["options"].get("timeout")
        return timeout is not None and time.monotonic() - self._came > timeout - _ON_ITS_WAY

    def _with_frames(self, described: dict[str, Any], error: BaseException) -> dict[str, Any]:
        """With what %debug opens upon; whatever is wrong with that must not take the place of the error itself."""
        try:
            told = self._shell.step_told or {"frames": describe_frames(error, self._shell.user_ns, self._store)}
            return {**described, **told}
        except Exception as trouble:  # noqa: BLE001 - of the user's objects, or of the store
            note = f"note: %debug has no frames of this step: {type(trouble).__name__}: {trouble}"
            return {**described, "traceback": [*described["traceback"], note]}

    def _run_cell(self) -> BaseException | None:
        if self.request["options"].get("map"):
            return self._run_items()
        try:
            with interruptible():
                result = self._shell.run_in_loop(self.request["source"])
        except KeyboardInterrupt as early:  # it struck just before the cell's first line, or just after its last
            self._shell.step_traceback = ["KeyboardInterrupt: before the cell began"]
            return early
        error: BaseException | None = result.error_before_exec or result.error_in_exec
        return error

    def _run_items(self) -> BaseException | None:
        """Run the cell once per item."""
        from cellyard.worker.items import Items

        self._items = Items(self._shell, self.request, self._store, self._channel)
        try:
            with interruptible():
                return self._items.run()
        except KeyboardInterrupt as stopped:
            self._shell.step_traceback = ["KeyboardInterrupt: while items were running"]
            return stopped

    def _flush(self) -> None:
        """All text of the cell is on the channel before what the step answers."""
        flush_standard_streams()
        self._capture.stop()
        self._channel.flush()

    def finish(self, succeeded: bool) -> dict[str, Any]:
        """Store what the cell made and say how it ended. A failed cell's bindings come back too, as they stay in a
        kernel whose cell failed."""
        memory = anonymous_memory_here()
        self._restore_environment()
        held = self._held_changes()  # before the state, which tells which loggers have what of it
        changed = self._changed_state()
        warnings.simplefilter("ignore")  # in a kernel nothing would be pickled
        made = collect_outputs(
            self._shell,
            self._before,
            self._groups,
            self._store,
            held=held,
            holders=self._held.holders(),
            wanted=self._wanted(),
            may_lack=not succeeded,
            is_kept=bool(self.request.get("key")),
            roomy=lambda: use_processors(self._ahead.processors),
        )
        private = base64.b64encode(pickle.dumps({**changed, **self._handed_on(made)})).decode()
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return {
            "state": "succeeded" if succeeded else "failed",
            "process_state": recordable(changed) if changed else None,
            **made,
            "error": self.error,
            "private": private,
            "anonymous_memory": memory,
            "items_memory": self._items.peak if self._items is not None else 0,
            "cpu_seconds": sum(u.ru_utime + u.ru_stime for u in usage),
        }

    def _held_changes(self) -> dict[str, Any]:
        """What no name leads to and has changed: in definitions, in the shell, in loggers."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cells = CellsRead(self._shell, with_local_modules=self._private.get("local_modules") is not None)
            cells.read(self.request["source"])
            cells.know_patches()
            patches = self._patches.changes()
            for name in cells.unset(self._private.get("behind", ())):  # the kernel keeps its own
                patches.pop(name, None)
            found = {**patches, **self._handlers.changes(handlers_beside())}
            return {**self._held.changes(), **new_magics(self._magics), **found}

    def _wanted(self) -> list[str] | None:
        """The names of ``--out``, and with them that of ``--catch``; None: all."""
        options = self.request["options"]
        given, catch = options.get("outputs"), options.get("catch")
        return given if given is None or not catch else [*given, catch]

    def _handed_on(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """Small objects that the kernel would otherwise have to fetch from a store elsewhere; what it is to reload."""
        told = [*made["outputs"], made["result"], (self.error or {}).get("exception")]
        small = self._store.recent(each["id"] for each in told if each)
        found = {OBJECTS: small, RELOADED: self._reloads.names, PLACES: self._places.known()}
        return {name: value for name, value in found.items() if value}


def _leave_fork(error: BaseException | None) -> NoReturn:
    """End a process that the cell has forked, and that has come to the cell's end: all that follows is the step's."""
    flush_standard_streams()
    code = error.code if isinstance(error, SystemExit) else error and 1
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)
