"""Steps that nobody waits for yet: ``%%step --async``. Using a value that one of them makes waits for it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from cellyard.artifacts.exceptions import words_of
from cellyard.artifacts.reference import Preview, Reference
from cellyard.errors import CellyardError
from cellyard.model.step import StepRequest
from kernel_magics.binding import bind_rest
from kernel_magics.expected import names_read
from kernel_magics.following import Following
from kernel_magics.reader import Reader
from kernel_magics.remote_errors import exception_of, remember, shown_lines, shown_plainly, was_stopped
from kernel_magics.stand_ins import LazyGroup, StandIn, group_of, is_stand_in

if TYPE_CHECKING:
    from kernel_magics.comeback import ComeBack
    from kernel_magics.namespace import Namespace

__all__ = ["PendingStep", "PendingSteps"]

_METHODS = ("__call__", "__iter__", "__next__", "__aiter__", "__anext__", "__length_hint__", "__fspath__")
_WAIT = 0.2
_MISSING = object()


class PendingStep:
    """One step, from its start to the moment when what it made is bound. Read by the reader's thread; all else happens
    on the thread of the notebook's cells."""

    def __init__(self, request: StepRequest, following: Following, makes: Collection[str], names: dict[str, Any]):
        self.request = request
        self.following = following
        self.is_bound = False
        self.is_end_known = True
        self.failure: Callable[[], BaseException] | None = None
        self._names = names
        self._before = dict(names)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.group = _PendingGroup(self, tuple(sorted(makes)), names)
        names.update({name: StandIn(self.group, name) for name in makes})

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def shown_as(self) -> tuple[str, ...]:
        """The names by which cells may mean the value that it shows."""
        return (f"_{self.request.execution_count}", "Out", "_oh")

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    # -- what the reader calls

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to read."""
        return self.has_ended and self.following.stream.ended

    def fileno(self) -> int:
        return self.following.stream.fileno()

    def advance(self, most: int) -> bool:
        """Show what has come; True when there may be more."""
        with self._lock:
            return self._advance(most)

    def move(self, following: Following) -> None:
        """From now on what it shows appears elsewhere, from the first output on."""
        with self._lock:
            self.following.stream.close()
            self.following = following

    def _advance(self, most: int) -> bool:
        try:
            more = self.following.advance(most)
        except Exception as error:  # noqa: BLE001 - the thread follows other steps as well
            problem = error if isinstance(error, CellyardError) else CellyardError(f"{type(error).__name__}: {error}")
            self.following.finished = _unknown_end(problem)
            self.is_end_known = False
            self.following.stream.close()
            more = False
        finished = self.following.finished
        if finished is not None and not self._ended.is_set():
            if finished["error"] is not None:
                self._show(finished["error"])
            self._ended.set()
        return more

    def keeps(self, error: Mapping[str, Any]) -> bool:
        """Whether its line has the error kept, and not raised."""
        return self.request.options.catch is not None and not was_stopped(error)

    def _show(self, error: Mapping[str, Any]) -> None:
        output = self.following.output
        try:
            if self.keeps(error):
                words = f"{error['type']}: {error['message'].removesuffix('.')}"
                kept = f"it is kept as {self.request.options.catch!r}"
                text = f"note: step {self.name!r} has failed, with {words}; {kept}\n"
                output.show({"type": "stream", "name": "stderr", "text": text})
            else:
                lines = shown_lines(error, step=self.name, worker=self.following.worker)
                output.error(error["type"], error["message"], lines)
        except Exception as trouble:  # noqa: BLE001 - nothing can be shown there; whoever uses its values is told
            print(f"note: the end of step {self.name!r} could not be shown: {trouble}", file=sys.__stderr__)

    # -- what cells call

    def wait(self, seconds: float | None = None) -> bool:
        """Return when the step has ended, or after that time; False when it has not. May be interrupted."""
        return self._ended.wait(seconds)

    def waits_for(self, name: str) -> bool:
        """Whether the name is still bound to what this step will make."""
        value = self._names.get(name)
        return is_stand_in(value) and group_of(value) is self.group

    def is_ours(self, name: str) -> bool:
        """Whether the name may be bound to what the step made: nobody has bound it anew since the step began."""
        return self.waits_for(name) or self._names.get(name, _MISSING) is self._before.get(name, _MISSING)

    def changed(self, name: str) -> bool:
        """Whether the name was bound, to something that the step was not expected to change."""
        return name in self._before and not self.waits_for(name)

    def left(self) -> list[str]:
        """The names that still wait, after all that the step made has been bound."""
        return [name for name in self.group.reference.names if self.waits_for(name)]

    def restore(self, names: Collection[str]) -> None:
        """The step has not touched these after all."""
        for name in names:
            if name in self._before:
                self._names[name] = self._before[name]
            else:
                self._names.pop(name, None)

    def settled(self) -> None:
        """Whoever kept a stand-in aside gets what its name is bound to now, also when that is bound anew later. What
        was there before is needed no more."""
        names = [name for name in self.group.reference.names if name in self._names and not self.waits_for(name)]
        self.group.made = {name: self._names[name] for name in names}
        self._before = {}


class PendingSteps:
    """All such steps of one kernel. ``namespace`` gives the notebook's names; ``transformers`` are what the shell puts
    the code of each cell through; ``comeback`` hears of what has been bound."""

    def __init__(self, namespace: Callable[[], Namespace], transformers: list[Any], comeback: ComeBack) -> None:
        self._comeback = comeback
        self._namespace = namespace
        self._transformers = transformers
        self._reader = Reader()
        self._steps: list[PendingStep] = []
        self._failed: list[PendingStep] = []
        self._lock = threading.RLock()
        self._in_cell = False

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __iter__(self) -> Any:
        return iter(list(self._steps))

    def before_cell(self, source: str) -> None:
        """Bind what has been made, and wait for what the coming cell uses."""
        self._in_cell = True
        self.bind_ended()
        if not self._steps or source.startswith(("%steps", "%%step")):
            return
        used = names_read(source, self._namespace())
        try:
            for step in self:
                for name in sorted(used):
                    if step.waits_for(name) or name in step.shown_as:
                        self.settle(step, name)
        except KeyboardInterrupt as stopped:
            self.stop_cell(stopped)

    def stop_cell(self, stopped: KeyboardInterrupt) -> None:
        """The coming cell ends before its first line, as by that interrupt: one that strikes now IPython would show as
        an error of ours, and run the cell all the same."""
        self._transformers.append(_Stop(self._transformers, stopped))

    def after_cell(self) -> None:
        """No cell runs now; one that did not parse has passed by what was to end it."""
        self._in_cell = False
        self._transformers[:] = [each for each in self._transformers if not isinstance(each, _Stop)]

    def add(self, request: StepRequest, following: Following, makes: Collection[str]) -> None:
        """The step has been accepted; its names are bound to stand-ins that wait."""
        step = PendingStep(request, following, makes, self._namespace().names)
        step.group.settle = lambda name: self.settle(step, name)
        step.group.may_wait = self.may_wait
        self._in_cell = True  # the one that began it
        self._steps.append(step)
        self._reader.add(step)

    def names(self) -> list[str]:
        """The names of those that have not been bound."""
        return [step.name for step in self]

    def bind_ended(self) -> None:
        """Bind what those steps have made that have ended."""
        for step in self:
            if step.has_ended:
                self._bind(step)

    def running(self, line: str, source: str, count: int) -> PendingStep | None:
        """The step that this very cell has begun, as long as it runs; not where it has begun it in the execution of
        that ``count``, which goes on."""
        same = (step for step in self if (step.request.raw_line, step.request.source) == (line, source))
        earlier = (step for step in same if step.request.execution_count != count)
        return next((step for step in earlier if not step.has_ended), None)

    def wait(self, names: Collection[str]) -> None:
        """Wait for the steps of these names (none: all) and bind what they made. Raises the first failure of any since
        it was last asked."""
        for step in self:
            if not names or step.name in names:
                self.settle(step, "")
        failed = [step for step in self._failed if not names or step.name in names]
        self._failed = [step for step in self._failed if step not in failed]
        found = [(step.name, step.failure()) for step in failed if step.failure is not None]
        for name, error in found[1:]:
            print(f"note: step {name!r} has failed, too: {type(error).__name__}: {words_of(error)}", file=sys.stderr)
        for _, error in found[:1]:
            raise error

    def settle(self, step: PendingStep, name: str) -> None:
        """Return when the step has ended and what it made is bound; says for what it waits.

        Outside of cells nobody may be kept waiting: Tab would stop the kernel. Whoever inspects objects then finds one
        without attributes (AttributeError).
        """
        if not step.has_ended:
            if not self.may_wait():
                raise AttributeError(f"step {step.name!r}, which makes {name!r}, is still running")
            what = f", which makes {name!r}" if name else ""
            print(f"waiting for step {step.name!r} (run {step.following.run}){what}", file=sys.stderr)
            try:
                while not step.wait(_WAIT):
                    continue
            except KeyboardInterrupt:
                which = f"step {step.name!r} (run {step.following.run})"
                raise KeyboardInterrupt(f"no longer waits for {which}; it goes on") from None
        self._bind(step)

    def may_wait(self) -> bool:
        """Whether whoever asks may be kept waiting: a cell, or a thread of the user's."""
        return self._in_cell or threading.current_thread() is not threading.main_thread()

    def _bind(self, step: PendingStep) -> None:
        with self._lock:
            if not step.is_bound:
                step.is_bound = True
                self._steps.remove(step)
                self._take(step)
                step.settled()
                if step.is_end_known:
                    token = step.following.stream.token
                    self._comeback.took(token)
                    self._comeback.ran(step.request, step.following.run, token)
                else:
                    self._comeback.lost_sight()
                self._failed += [step] if step.failure is not None else []

    def _take(self, step: PendingStep) -> None:
        finished, namespace = step.following.finished, self._namespace()
        assert finished is not None
        made = [name for output in finished["outputs"] for name in output["names"]]
        keep = {name for name in made if not step.is_ours(name)}
        changed = [name for name in made if name not in keep and step.changed(name)]
        before = {name: namespace.names.get(name) for name in changed}
        bind_rest(namespace, finished, step.request, keep=keep, is_ours=step.is_ours)
        # A module that is imported again is the same one.
        changed = [name for name in changed if namespace.names.get(name) is not before[name]]
        if changed:
            print(f"note: step {step.name!r} has changed {', '.join(changed)}", file=sys.stderr)
        error, catch = finished["error"], step.request.options.catch
        if error is not None:

            def failure() -> BaseException:
                worker = step.following.worker
                return exception_of(error, step=step.name, worker=worker, load=namespace.load, names=namespace.names)

            step.failure = failure if not step.keeps(error) else None
            found = failure()
            remember(found)
        if catch and step.failure is None and step.is_ours(catch):
            namespace.names[catch] = None if error is None else found
        if step.failure is None:
            step.restore(step.left())


class _Stop:
    """Ends the cell before its first line, as an interrupt."""

    def __init__(self, transformers: list[Any], stopped: KeyboardInterrupt) -> None:
        self._transformers = transformers
        self._stopped = stopped

    def visit(self, tree: Any) -> Any:
        self._transformers.remove(self)
        raise shown_plainly(self._stopped) from None


class _PendingGroup(LazyGroup):
    """What a step will make: known by name alone."""

    def __init__(self, step: PendingStep, makes: tuple[str, ...], names: dict[str, Any]) -> None:
        preview = Preview(type="pending", methods=_METHODS)
        reference = Reference("", makes, 0, (), dict.fromkeys(makes, preview))
        super().__init__(reference, _nothing, names)
        self.settle: Callable[[str], None] = lambda name: None
        self.may_wait: Callable[[], bool] = lambda: True
        self.made: dict[str, Any] = {}
        self._step = step

    @property
    def is_fetched(self) -> bool:
        return self._step.is_bound and self._step.failure is None

    @property
    def is_pending(self) -> bool:
        return True

    @property
    def is_out_of_reach(self) -> bool:
        return not self._step.has_ended and not self.may_wait()

    def words(self, name: str) -> str:
        step = self._step
        state = "has failed" if step.failure else "has ended" if step.has_ended else "is running"
        return f"<{name}: made by step {step.name!r}, which {state}>"

    def fetch_one(self, name: str) -> Any:
        """The value, once there is one. Raises the step's exception, and NameError when the step has not made it."""
        self.check_available(name)
        if name not in self.made:
            raise NameError(f"name {name!r} is not defined: step {self._step.name!r} did not make it")
        value = self.made[name]
        return group_of(value).fetch_one(value._self_name) if is_stand_in(value) else value

    def fetch(self) -> dict[str, Any]:
        return {name: self.fetch_one(name) for name in self.reference.names}

    def check_available(self, name: str = "") -> None:
        """Return when the step has ended, with what it made bound. Raises the step's exception."""
        self.settle(name or next(iter(self.reference.names), ""))
        if self._step.failure is not None and name not in self.made:
            raise self._step.failure()


def _nothing(reference: Reference) -> dict[str, Any]:
    return {}


def _unknown_end(error: CellyardError) -> dict[str, Any]:
    """The end of a step whose events cannot be had."""
    return {"state": "lost", "outputs": [], "deleted": [], "result": None, "error": error.to_step_error()}
