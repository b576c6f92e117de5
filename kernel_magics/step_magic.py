"""``%%step``: parse, pack, run, show, bind."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import linecache
import pickle
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cellyard.analysis.facts import Facts
from cellyard.artifacts.store import OBJECTS
from cellyard.environment.elsewhere import depart, first_variables, returned
from cellyard.errors import CellyardError
from cellyard.model.step import StepRequest
from cellyard.model.step_line import StepLine, expand, parse_step_line
from cellyard.worker import process_state
from kernel_magics.live_output import LiveOutput
from kernel_magics.packing import Inputs
from kernel_magics.remote_errors import exception_of, shown_plainly
from kernel_magics.session import Session

__all__ = ["StepCell"]


_HERE = {"local", "in_process"}
"""Backends whose workers share this machine's files and packages."""
_SUPPLIES = 2
"""A worker may first lack what its platform needs beside the lock, and then the packages."""


class StepCell:
    """Runs the cells of one kernel as steps."""

    def __init__(self, session: Session) -> None:
        self.shell = session.shell
        self._session = session

    def run(self, line: str, cell: str) -> None:
        """Run a cell whose first line is ``%%step`` and ``line``; returns when it has ended and its values are bound.

        Raises the exception of the step, or what is wrong with the request.
        """
        with _plain_errors():
            self._know_source(line, cell)
            request = self._request(line, cell)
            finished, worker = self._run(request)
            for _ in range(_SUPPLIES):
                if request.environment is None or not self._supplied(finished, request.environment):
                    break
                finished, worker = self._run(request)
            self._bind(finished, request)
        if finished["error"] is not None:
            raise exception_of(finished["error"], step=request.name, worker=worker, load=self._session.namespace.load)

    def _request(self, line: str, cell: str) -> StepRequest:
        """Everything is checked and stored here, before anything is queued."""
        expanded = expand(line, self.shell.user_ns)
        options = self._session.identity.placed(parse_step_line(expanded))
        name = options.name or _name_of(cell)
        namespace = self._session.namespace
        facts = namespace.facts(name, cell)
        inputs = namespace.pack(name, cell, facts, options.inputs)
        environment = self._environment(options, facts, inputs)
        identity, origin = self._session.identity, self._session.origin()
        return StepRequest(
            notebook=identity.notebook,
            session=identity.session,
            run=identity.run,
            name=name,
            cell_id=self._cell_id(),
            source=cell,
            line=expanded,
            raw_line=line,
            options=options,
            execution_count=self._execution_count(),
            inputs=inputs.references,
            private=self._private(inputs, is_elsewhere=environment is not None),
            packages=inputs.packages,
            environment=environment,
            owner=origin.owner,
            commit=origin.commit,
        )

    def _environment(self, options: StepLine, facts: Facts, inputs: Inputs) -> dict[str, Any] | None:
        """What the step needs on another machine; nothing where it runs on this one."""
        if (options.backend or self._session.client.settings.backend) in _HERE:
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

    def _why_no_input(self, *, is_elsewhere: bool) -> str:
        """Why nobody can be asked for input while the step runs; empty where the user can be."""
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
        text = f"%%step {line}\n{cell}"
        name = self._file()
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)

    def _private(self, inputs: Inputs, *, is_elsewhere: bool) -> str:
        state = process_state.portable(process_state.capture())
        content = {
            "state": depart(state, first_variables()) if is_elsewhere else state,
            "pure": inputs.pure,
            OBJECTS: self._session.namespace.recent(inputs.references),
            "colors": self.shell.colors,
            "line_offset": 1,
            "file": self._file(),
            "files": self._texts(inputs.files),
            "sources": inputs.sources,
            "no_input": self._why_no_input(is_elsewhere=is_elsewhere),
        }
        return base64.b64encode(pickle.dumps(content)).decode()

    def _run(self, request: StepRequest) -> tuple[Mapping[str, Any], str]:
        """Run the step, showing what it shows; returns its finished content and the worker's name."""
        following = _Following(LiveOutput(self.shell))
        stream = self._session.client.submit_step(request.to_dict())
        interrupts = 0
        while following.finished is None:
            try:
                following.follow(stream)
            except KeyboardInterrupt:
                interrupts += 1
                (stream.interrupt if interrupts == 1 else stream.cancel)()
        self._session.log.run = stream.run
        return following.finished, following.worker

    def _bind(self, finished: Mapping[str, Any], request: StepRequest) -> None:
        namespace = self._session.namespace
        private = pickle.loads(base64.b64decode(finished["private"])) if finished.get("private") else {}
        namespace.accept(private.pop(OBJECTS, {}))
        namespace.bind(finished["outputs"], finished["deleted"], request.inputs)
        if private:
            self._take_over(private, request)
        if finished["result"]:
            namespace.show(request.execution_count, finished["result"], finished["outputs"])

    def _take_over(self, state: Mapping[str, Any], request: StepRequest) -> None:
        """What the step has changed in the listed process state."""
        if request.environment is not None:
            state = returned(state, process_state.capture(("environment", "path")))
        process_state.apply(state)


class _Following:
    """What is known of a step from its events so far."""

    def __init__(self, output: LiveOutput) -> None:
        self.finished: Mapping[str, Any] | None = None
        self.worker = "?"
        self._output = output

    def follow(self, stream: Iterator[Mapping[str, Any]]) -> None:
        """Show what comes, to the end of the stream; KeyboardInterrupt at any point loses nothing but that event."""
        for event in stream:
            kind, content = event["kind"], event["content"]
            if kind == "output":
                self._output.show(content)
            elif kind == "state":
                self.worker = content.get("worker") or self.worker
            elif kind == "finished":
                self.finished = content
        if self.finished is None:
            raise CellyardError("the engine ended the step's events without its end")


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """cellyard's own errors are shown as one sentence."""
    try:
        yield
    except CellyardError as error:
        raise shown_plainly(error) from None


def _name_of(cell: str) -> str:
    """A step without a name is known by its source."""
    return "step-" + hashlib.sha256(cell.encode()).hexdigest()[:8]
