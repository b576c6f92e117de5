"""``%%step``: parse, pack, run, show, bind."""

from __future__ import annotations

import contextlib
import linecache
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cellyard.analysis.facts import Facts
from cellyard.analysis.parsing import python_of, tree_of
from cellyard.artifacts.exceptions import words_of
from cellyard.artifacts.store import OBJECTS
from cellyard.environment.elsewhere import depart, first_variables
from cellyard.errors import CellyardError, EngineUnavailable
from cellyard.model.cache_key import key_of
from cellyard.model.step import StepRequest
from cellyard.model.step_line import StepLine, expand, name_of_code, parse_step_line
from cellyard.worker import process_state
from cellyard.worker.ahead import seal
from cellyard.worker.module_places import PLACES
from kernel_magics.binding import bind_all
from kernel_magics.cell_output import output_of_cell
from kernel_magics.comeback import Earlier
from kernel_magics.expected import expected_names
from kernel_magics.following import Following
from kernel_magics.live_output import LiveOutput, is_ending
from kernel_magics.live_view import LiveView
from kernel_magics.packing import Inputs
from kernel_magics.remote_errors import exception_of, remember, shown_by, shown_plainly, was_stopped
from kernel_magics.session import Session

if TYPE_CHECKING:
    from cellyard.service.client import StepStream

__all__ = ["StepCell", "know_text"]


_SUPPLIES = 2
"""A worker may first lack what its platform needs beside the lock, and then the packages."""


class StepCell:
    """Runs the cells of one kernel as steps."""

    def __init__(self, session: Session) -> None:
        self.shell = session.shell
        self._session = session
        self._token = ""

    def run(self, line: str, cell: str) -> None:
        """Run a cell whose first line is ``%%step`` and ``line``; returns when it has ended and its values are bound.

        Raises the exception of the step, or what is wrong with the request.
        """
        __tracebackhide__ = True
        with _plain_errors(), self._in_sight():
            self._know_source(line, cell)
            if self._session.identity.run is None and self._come_back(line, cell):
                return
            request, facts = self._request(line, cell)
            if request.options.is_async and request.run is None:
                self._begin(request, facts)
                return
            finished, worker = self._run(request)
            for _ in range(_SUPPLIES):
                if request.environment is None or not self._supplied(finished, request.environment):
                    break
                finished, worker = self._run(request)
            self._take(finished, request)
        self._raise(self._failure(finished["error"], request, worker))

    def attach(self, earlier: Earlier) -> BaseException | None:
        """Follow a step that was begun before, from its first output on, and take over what it makes.

        Returns its exception, unless its line keeps that.
        """
        request = self._known_request(earlier)
        state = "is running: followed here"
        if earlier.has_ended:
            state = "has run before; this is what it showed and made. Execute the cell again to run it anew"
        _note(f"step {earlier.name!r} (run {earlier.run}) {state}")
        stream = self._session.client.attach(earlier.token)
        replay = LiveOutput(self.shell, replays=True)
        if request.options.is_async and not earlier.has_ended:
            self._follow_later(stream, request, self._expected(request))
            return None
        with _plain_errors():
            following = self._viewed(Following(stream, LiveOutput(self.shell), replay=replay))
            finished, worker = self._carry(following)
            self._take(finished, request, token=earlier.token)
        return self._failure(finished["error"], request, worker)

    @contextlib.contextmanager
    def _in_sight(self) -> Iterator[None]:
        """An engine that is gone need not have taken the step with it: the cell, executed again, looks for it."""
        try:
            yield
        except EngineUnavailable:
            self._session.comeback.lost_sight()
            raise
        except KeyboardInterrupt as stopped:
            if self._token or stopped.args:
                raise
            raise KeyboardInterrupt("the step has not begun") from None

    def _come_back(self, line: str, cell: str) -> bool:
        """Whether this very cell has begun a step that its user has not seen to its end; it is then taken over."""
        count = self._execution_count()
        pending = self._session.pending.running(line, cell, count) if self._session.has_pending else None
        if pending is not None and not self._given_otherwise(pending.request):
            replay = output_of_cell(self.shell, self._execution_count())
            stream = self._session.client.attach(pending.following.stream.token)
            pending.move(self._viewed(Following(stream, replay, replay=replay), name=pending.name))
            return True
        earlier = self._session.comeback.find(line, cell)
        if earlier is None:
            return False
        if other := self._given_otherwise(earlier.request):
            was = f"step {earlier.name!r} (run {earlier.run}) was given another {', '.join(other)}"
            if earlier.has_ended:
                _note(f"{was}, and runs anew")
                return False
            _note(f"{was} than there is now")
        self._raise(self.attach(earlier))
        return True

    def _given_otherwise(self, before: StepRequest) -> list[str]:
        """The names that a step of this cell would be given with other values now than that one was, as far as the
        notebook has them."""
        try:
            _, inputs, _ = self._packed(before.name, before.source, before.options)
        except CellyardError:  # of a notebook that does not have all of them again
            return []
        known = {name: each["id"] for each in before.inputs for name in each["names"]}
        now = {name: each["id"] for each in inputs.references for name in each["names"] if name[:1] not in "@-_"}
        return sorted(name for name in now if known.get(name, now[name]) != now[name])

    def _known_request(self, earlier: Earlier) -> StepRequest:
        """What the records have of its request; a step on another machine had an environment."""
        request = earlier.request
        return request if self._session.is_here(request.options.backend) else replace(request, environment={})

    def _take(self, finished: Mapping[str, Any], request: StepRequest, *, token: str = "") -> None:
        """Bind what the step made; it need not be offered to a later kernel."""
        bind_all(self._session.namespace, finished, request)
        if token:
            self._session.client.taken([token])
        elif request.run is None:
            self._session.comeback.took(self._token)
            self._session.comeback.ran(request, self._session.log.run, self._token)

    def _raise(self, failure: BaseException | None) -> None:
        __tracebackhide__ = True
        if failure is not None:
            raise shown_by(self.shell, failure)

    def _failure(self, error: Mapping[str, Any] | None, request: StepRequest, worker: str) -> BaseException | None:
        """The step's exception; None where there is none, or it is kept because the line says so."""
        found = None
        if error is not None:
            found = exception_of(
                error,
                step=request.name,
                worker=worker,
                load=self._session.namespace.load,
                names=self._session.namespace.names,
            )
        catch = request.options.catch
        if error is not None and (catch is None or was_stopped(error)):
            return found
        if catch is not None:
            self._session.namespace.names[catch] = found
        if found is not None:
            remember(found)
            words = f"{type(found).__name__}: {words_of(found).removesuffix('.')}"
            _note(f"step {request.name!r} has failed, with {words}; it is kept as {catch!r}")
        return None

    def _begin(self, request: StepRequest, facts: Facts) -> None:
        """Start a step that nobody waits for yet."""
        stream = self._session.client.submit_step(request.to_dict())
        self._token = stream.token
        makes = expected_names(request.source, facts, request.options, self._session.namespace.names)
        self._follow_later(stream, request, makes)

    def _follow_later(self, stream: StepStream, request: StepRequest, makes: set[str]) -> None:
        output = output_of_cell(self.shell, self._execution_count())
        following = self._viewed(Following(stream, output, replay=output), name=request.name)
        following.begin()
        self._session.log.run = following.run
        self._session.pending.add(request, following, makes)

    def _expected(self, request: StepRequest) -> set[str]:
        namespace = self._session.namespace
        return expected_names(request.source, namespace.analyze(request.source), request.options, namespace.names)

    def _request(self, line: str, cell: str) -> tuple[StepRequest, Facts]:
        """Everything is checked and stored here, before anything is queued."""
        expanded = expand(line, self.shell.user_ns)
        options = self._session.identity.placed(parse_step_line(expanded))
        facts, inputs, common = self._packed(options.name or name_of_code(cell), cell, options)
        parts = self._meaning(options.code(cell), facts, inputs, options) if options.cache else None
        request = StepRequest(
            **common,
            cell_id=self._cell_id(),
            line=expanded,
            raw_line=line,
            execution_count=self._execution_count(),
            key=key_of(parts) if parts else "",
            parts=parts,
            reuse=parts is not None,
        )
        return request, facts

    def _packed(self, name: str, cell: str, options: StepLine) -> tuple[Facts, Inputs, dict[str, Any]]:
        """What the cell does, what goes with it, and what its request has of both, of the notebook and of its user."""
        namespace = self._session.namespace
        facts = namespace.facts(name, options.code(cell), above=options.above)
        inputs = namespace.pack(name, options.code(cell), facts, options.inputs)
        environment = self._environment(options, facts, inputs)
        identity, origin = self._session.identity, self._session.origin()
        common = {
            "notebook": identity.notebook,
            "session": identity.session,
            "run": identity.run,
            "name": name,
            "source": cell,
            "options": options,
            "inputs": inputs.references,
            "private": self._private(inputs, options, is_elsewhere=environment is not None),
            "packages": inputs.packages,
            "environment": environment,
            "owner": origin.owner,
            "commit": origin.commit,
        }
        return facts, inputs, common

    def _meaning(self, cell: str, facts: Facts, inputs: Inputs, options: StepLine) -> dict[str, Any]:
        """What the cell means, for its result to be found again."""
        # Imported here: only cells that say --cache need it.
        from kernel_magics.cache_meaning import live_parts

        tree = tree_of(python_of(cell, self.shell.input_transformer_manager.transform_cell))
        return live_parts(tree, facts, inputs, options, self.shell.user_ns, self._session.identity.notebook)

    def _environment(self, options: StepLine, facts: Facts, inputs: Inputs) -> dict[str, Any] | None:
        """What the step needs on another machine; nothing where it runs on this one."""
        if self._session.is_here(options.backend):
            return None
        gathered = self._session.reach.gather(facts, inputs)
        for note in gathered.notes:
            _note(note)
        return gathered.environment.to_dict()

    def _cell_id(self) -> str | None:
        parent = getattr(self.shell, "parent_header", None) or {}
        found = parent.get("metadata", {}).get("cellId")
        return str(found) if found else None

    def _execution_count(self) -> int:
        """The number of the cell that runs now."""
        return int(self.shell.displayhook.prompt_count)

    def _supplied(self, finished: Mapping[str, Any], environment: Mapping[str, Any]) -> bool:
        return self._session.reach.supply(finished["error"], environment, _note)

    def _why_no_input(self, options: StepLine, *, is_elsewhere: bool) -> str:
        """Why nobody can be asked for input while the step runs; empty where the user can be."""
        if options.is_async:
            return "it runs with --async, and nobody waits under its cell"
        if is_elsewhere:
            return "it runs on another machine, where nobody can be asked"
        kernel = getattr(self.shell, "kernel", None)
        return "" if kernel is None or kernel._allow_stdin else "this frontend does not support input requests"

    def _file(self) -> str:
        """What the cell that runs now is called as a file."""
        number = self._execution_count()
        return next((name for name, each in reversed(self._numbers().items()) if each == number), "")

    def _numbers(self) -> dict[str, int]:
        """The cells of this kernel by their files."""
        found: dict[str, int] = self.shell.compile._filename_map
        return found

    def _texts(self, files: Iterable[str]) -> dict[str, tuple[int, str]]:
        """The cells that these files are, for tracebacks in the step."""
        numbers = self._numbers()
        return {name: (numbers[name], "".join(linecache.getlines(name))) for name in files if name in numbers}

    def _know_source(self, line: str, cell: str) -> None:
        """Functions that the step defines have the cell as their source, not the call of a magic."""
        know_text(self._file(), f"%%step {line}\n{cell}")

    def _private(self, inputs: Inputs, options: StepLine, *, is_elsewhere: bool) -> str:
        state = self._captured()
        if is_elsewhere:
            state = depart(state, first_variables())
        content = {
            "pure": inputs.pure,
            OBJECTS: self._session.namespace.recent(inputs.references),
            "colors": self.shell.colors,
            "line_offset": self._line_offset(),
            "file": self._file(),
            "files": self._texts(inputs.files),
            "sources": inputs.sources,
            "unsent": inputs.unsent,
            "behind": inputs.behind,
            PLACES: self._session.namespace.places.gone(),
            "local_modules": self._session.namespace.local_modules(),
            "no_input": self._why_no_input(options, is_elsewhere=is_elsewhere),
        }
        return seal(content, state, is_elsewhere=is_elsewhere)

    def _captured(self) -> dict[str, Any]:
        """The process state that the step begins with."""
        return process_state.capture()

    def _line_offset(self) -> int:
        """How many lines of the cell come before the step's code."""
        return 1

    def _run(self, request: StepRequest) -> tuple[Mapping[str, Any], str]:
        """Run the step, showing what it shows; returns its finished content and the worker's name."""
        stream = self._session.client.submit_step(request.to_dict())
        self._token = stream.token
        return self._carry(self._viewed(Following(stream, LiveOutput(self.shell))))

    def _viewed(self, following: Following, *, name: str = "") -> Following:
        """With a live view, where there is a front end; ``name`` of a step that does not hold the kernel."""
        settings = self._session.client.settings
        if getattr(self.shell, "kernel", None) is not None and settings.live_view != math.inf:
            stop = _stopping(following.stream)
            hint = f"%steps cancel {name}" if name else "the stop button of the notebook ends it"
            view = LiveView(following.output, after=settings.live_view, prices=settings.prices, stop=stop, hint=hint)
            following.view = view
        return following

    def _carry(self, following: Following) -> tuple[Mapping[str, Any], str]:
        """Follow to the end; the stop button interrupts the step, and a second time kills it. It counts at any moment,
        also while the time before is seen to."""
        stream, pressed, heeded = following.stream, 0, 0
        while following.finished is None:
            try:
                if pressed == heeded:
                    following.follow()
                    continue
                seen = pressed
                if not stream.may_be_known or is_ending(self.shell):
                    break
                (stream.interrupt if seen == 1 else stream.cancel)()
                heeded = seen
            except KeyboardInterrupt:
                pressed += 1
        if following.finished is None:
            raise KeyboardInterrupt(*([] if stream.may_be_known else ["the step has not begun"]))
        self._session.log.run = stream.run
        return following.finished, following.worker


def know_text(file: str, text: str) -> None:
    """From now on whoever asks for the lines of that file, which is a cell, is given those of the text."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def _stopping(stream: StepStream) -> Callable[[], None]:
    """What a button does: the first time it interrupts the step, then it kills it."""
    ways = iter([stream.interrupt])

    def stop() -> None:
        next(ways, stream.cancel)()

    return stop


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """cellyard's own errors are shown as one sentence, and so is the stop button where it has stopped only us."""
    try:
        yield
    except (CellyardError, KeyboardInterrupt) as error:
        raise shown_plainly(error) from None
