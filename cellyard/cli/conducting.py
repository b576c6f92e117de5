"""Conductor: carries out what is left of a planned run. One asyncio loop; a place for the cells that are no steps."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

from cellyard.errors import CellyardError
from cellyard.model.cache_key import identity_of, key_of
from cellyard.notebook.building import cell_name, graph_of
from cellyard.notebook.flow import Flow, Made
from cellyard.notebook.parameters import parameter_values
from cellyard.notebook.reading import notebook_of

if TYPE_CHECKING:
    from cellyard.cli.notebook import NotebookRun
    from cellyard.cli.progress import Progress
    from cellyard.service.client import EngineClient, StepStream

__all__ = ["Assignment", "Conductor", "Outputs", "Place"]

Json = dict[str, Any]


class Outputs(Protocol):
    """Where the outputs of one step go, as messages; the last of ``outputs`` is how it has failed."""

    outputs: list[Json]

    def show(self, message: Mapping[str, Any]) -> None: ...

    def fail(self, error: Mapping[str, Any]) -> None: ...


class Shown(Protocol):
    """The cells of what runs, with what they have shown. ``numbers`` are their execution counts."""

    content: Json
    cells: list[Json]
    numbers: dict[int, int]

    def outputs(self, index: int) -> Outputs: ...

    def number(self, index: int) -> None: ...


class Assignment(Protocol):
    """What is to be run: what was asked for, what the engine has planned, what has been taken from earlier runs."""

    client: EngineClient
    wanted: NotebookRun
    run: int
    planned: Json
    taken: dict[str, Json]

    @property
    def executed(self) -> Shown: ...


class Place(Protocol):
    """Where the cells run that are no steps, and what they need is packed: a kernel, or a shell of this process."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """It is there. Raises UsageError when it cannot be."""

    async def call(self, method: str, *given: Any, **named: Any) -> Any:
        """What a method of the driver (``kernel_magics.driving``) answers. Raises CellyardError."""

    async def run_cell(self, cell: int) -> tuple[str, str, str] | None:
        """Run a cell; type, message and traceback of its failure."""

    def interrupt(self, *, by_force: bool) -> Awaitable[Any]:
        """Stop the cell that runs; ``by_force``: whatever it costs."""


class Conductor:
    """The steps and cells of one run, from the kernel's start to its end."""

    def __init__(self, work: Assignment, place: Place, progress: Progress, refresh: Callable[[], None]) -> None:
        self._work = work
        self._place = place
        self._progress = progress
        self._refresh = refresh
        notebook = notebook_of(work.executed.content)
        values: Mapping[str, Any] = {}
        graph = graph_of(notebook)
        if work.wanted.parameters:
            values = parameter_values(graph.pipeline.parameters, work.wanted.parameters)
            graph = graph_of(notebook, values)
        self._values = values
        self._graph = graph
        self._parts: Json = work.planned["parts"]
        self._reusable = set(work.planned["reusable"])
        self._steps = {step.name: step for step in graph.pipeline.steps}
        self._flow = Flow(graph, [each["name"] for each in work.planned["steps"]])
        for name, taken in work.taken.items():
            self._flow.begin(name)
            self._flow.end(name, Made.of(taken["finished"]))
            progress.cell_done(self._steps[name].cell)
        self._keys = {each["name"]: each["key"] for each in work.planned["steps"] if each["name"] in work.taken}
        self._shown = self._cells_to_run()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._streams: dict[str, StepStream] = {}
        self._kept: list[Json] = []
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Future[Any]] = set()
        self._threads = ThreadPoolExecutor(max_workers=work.wanted.jobs, thread_name_prefix="cellyard-step")

    def _cells_to_run(self) -> list[int]:
        """The plain cells that are to run after steps: those whose results are not there, and those that make what
        these need. In the notebook's order."""
        planned = {each["name"]: each["action"] for each in self._work.planned["cells"]}
        found: set[str] = set()
        for cell in reversed(self._graph.pipeline.shown):
            name = cell_name(cell)
            needed = any(
                name in makers for other in found for makers in self._graph.sources[int(other.split()[1]) - 1].values()
            )
            if name in planned and (planned[name] == "run" or needed):
                found.add(name)
        done = [cell for cell in self._graph.pipeline.shown if cell_name(cell) not in found]
        for cell in done:
            self._progress.cell_done(cell)
        return sorted(int(name.split()[1]) - 1 for name in found)

    def carry_out(self) -> None:
        """Run everything; the progress says how it ended. Raises UsageError when there is no such kernel."""
        try:
            asyncio.run(self._carry_out())
        finally:
            if self._kept:
                self._work.client.keep_cells(self._work.run, self._kept)
            self._threads.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Stop what runs, and begin nothing more. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    async def _carry_out(self) -> None:
        async with self._place.opened():
            self._loop = asyncio.get_running_loop()
            # In place of those of whoever else is in this process: nbclient's would kill the kernel and leave no trace.
            for number in (signal.SIGINT, signal.SIGTERM):
                self._loop.add_signal_handler(number, self._on_signal)
            await self._preamble()
            await self._steps_and_cells()
        self._progress.ended(stopped=self._stopping)
        self._refresh()

    @property
    def _goes_on(self) -> bool:
        return not self._stopping and self._progress.state == "running"

    async def _preamble(self) -> None:
        await self._ask(None, "is_ready")
        for cell in self._graph.pipeline.preamble:
            if not self._goes_on:
                return
            await self._run_cell(cell)
            if self._values and any(each.cell == cell for each in self._graph.pipeline.parameters):
                await self._ask(cell, "set_parameters", dict(self._values))
            if self._goes_on:
                await self._ask(cell, "ran", cell, is_preamble=True)
                self._keep(cell)

    async def _steps_and_cells(self) -> None:
        """Begin what may begin; between, run the cells whose turn it is; wait for what runs."""
        while True:
            begun = await self._begin_ready() if self._goes_on else False
            if begun:
                continue
            if self._goes_on and self._shown and self._flow.all_done_before(self._shown[0]):
                await self._run_shown(self._shown.pop(0))
                continue
            if not self._running:
                return
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)

    async def _begin_ready(self) -> bool:
        """Begin one step that may; whether there was one."""
        for name in self._flow.ready():
            if len(self._running) >= self._work.wanted.jobs:
                return False
            if name in self._running:  # its last try is being stopped
                continue
            await self._begin(name)
            return True
        return False

    async def _begin(self, name: str) -> None:
        step = self._steps[name]
        cell = step.cell
        key, parts = self._key(name)
        given: Json = {
            "name": name,
            "source": step.source,
            "line": step.line,
            "raw_line": step.raw_line,
            "options": {**step.options.to_dict(), "priority": step.options.priority or self._work.wanted.priority},
            "cell_id": step.cell_id,
            "number": self._work.executed.numbers[cell],
            "marked": step.marked,
            "inputs": self._flow.inputs(name),
            "states": self._flow.states(cell),
            "held": self._flow.held(cell),
            "key": key,
            "parts": parts,
            "reuse": name in self._reusable,
            "draws_afresh": self._flow.draws_afresh(name),
        }
        self._flow.begin(name)
        request = await self._ask(cell, "request", cell, given)
        if request is None:
            self._flow.stop(name)
            return
        self._keys[name] = key
        self._progress.cell_started(cell)
        self._running[name] = asyncio.ensure_future(self._follow(name, cell, request))

    def _key(self, name: str) -> tuple[str, Json]:
        identities, random = self._flow.identities(name)
        parts = {**self._parts[name], "inputs": identities}
        if random is not None:
            parts["random"] = self._keys.get(random, "") if random else ""
        parts |= self._state_before(self._steps[name].cell)
        return key_of(parts), parts

    def _state_before(self, cell: int) -> Json:
        """What cells know of the process state that they begin with: the key of the step that has changed it last."""
        maker = self._graph.state.get(cell)
        return {} if maker is None else {"state": self._keys.get(maker, "")}

    async def _follow(self, name: str, cell: int, request: Json) -> None:
        """The step from its submission to its end."""
        outputs = self._work.executed.outputs(cell)
        assert self._loop is not None
        try:
            finished = await self._loop.run_in_executor(self._threads, self._run_step, name, request, outputs)
        except CellyardError as error:
            finished = {"error": error.to_step_error(traceback=[f"{type(error).__name__}: {error}"])}
        finally:
            del self._running[name]
            self._streams.pop(name, None)
        self._end(name, cell, finished, outputs)

    def _run_step(self, name: str, request: Json, outputs: Any) -> Json:
        """In a thread: what the step has ended with. Raises what the engine refuses."""
        stream = self._streams[name] = self._work.client.submit_step(request)
        if self._stopping:
            stream.interrupt()
        for event in stream:
            if event["kind"] == "output":
                outputs.show(event["content"])
            elif event["kind"] == "finished":
                return dict(event["content"])
        raise CellyardError("the engine ended the step's events without its end")

    def _end(self, name: str, cell: int, finished: Json, outputs: Any) -> None:
        if name not in self._flow.begun:
            return  # it was begun too early, and will be begun again
        error = finished["error"]
        if error is not None and not self._is_caught(name, finished):
            self._flow.stop(name)
            outputs.fail(error)
            if self._goes_on:
                self._progress.failed(
                    cell, error["type"], error["message"], "\n".join(outputs.outputs[-1]["traceback"])
                )
            return
        self._progress.cell_done(cell)
        for again in self._flow.end(name, Made.of(finished)):
            self._progress.say(f"step {again}: begins again, because {name} has changed what it had been given")
            if again in self._streams:
                self._streams[again].cancel()

    def _is_caught(self, name: str, finished: Json) -> bool:
        """Whether what failed is bound to a name, for others to look at."""
        catch = self._steps[name].options.catch
        return catch is not None and any(catch in output["names"] for output in finished["outputs"])

    async def _run_shown(self, cell: int) -> None:
        """A cell that shows something, with all names as they are where it stands."""
        given = {
            "inputs": self._flow.visible(cell),
            "states": self._flow.states(cell),
            "held": self._flow.held(cell),
        }
        await self._ask(cell, "place", cell, given)
        if self._goes_on:
            await self._run_cell(cell)
        if self._goes_on:
            await self._ask(cell, "ran", cell, is_preamble=False)
            self._keep(cell)

    def _keep(self, cell: int) -> None:
        """What the cell has shown may be taken by the next run, as its key says."""
        parts = {**self._parts[cell_name(cell)], "inputs": self._identities(cell), **self._state_before(cell)}
        key = self._keys[cell_name(cell)] = key_of(parts)
        shown = json.loads(json.dumps(self._work.executed.cells[cell]["outputs"]))
        self._kept.append({"name": cell_name(cell), "key": key, "parts": parts, "shown": shown})

    def _identities(self, cell: int) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, makers in sorted(self._graph.sources.get(cell, {}).items()):
            for maker in makers:
                if maker not in self._steps:
                    found[name] = str(self._keys.get(maker, ""))
                    break
                reference = self._flow.made(maker).references.get(name)
                if reference is not None:
                    found[name] = identity_of(reference)
                    break
        return found

    async def _run_cell(self, cell: int) -> None:
        """Run a cell that is no step."""
        self._progress.cell_started(cell)
        self._refresh()
        failure = await self._place.run_cell(cell)
        if failure is None:
            self._progress.cell_done(cell)
        else:
            self._progress.failed(cell, *failure)
        self._work.executed.number(cell)

    async def _ask(self, cell: int | None, method: str, *given: Any, **named: Any) -> Any:
        """What a method of the driver in the kernel answers; None, and the run has failed, where it cannot."""
        try:
            return await self._place.call(method, *given, **named)
        except CellyardError as error:
            text = f"{type(error).__name__}: {error}"
            if cell is not None:
                self._work.executed.outputs(cell).fail({"type": type(error).__name__, "message": str(error)})
            self._progress.failed(cell or 0, type(error).__name__, str(error), text)
            return None

    def _on_signal(self) -> None:
        self._progress.interrupted = True
        self._stop()

    def _stop(self) -> None:
        """A second time, steps are ended by force and the kernel is killed."""
        again, self._stopping = self._stopping, True
        self._tasks.add(asyncio.ensure_future(self._place.interrupt(by_force=again)))
        for stream in list(self._streams.values()):
            (stream.cancel if again else stream.interrupt)()
