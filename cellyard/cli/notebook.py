"""``cellyard run NOTEBOOK`` and ``resume RUN``: the notebook's pipeline, planned and carried out as one run.

Steps run side by side as far as graph and sizes allow; results that are there are taken. The cells between them run in
a kernel of their own, which is started only when something has to run. nbformat, nbclient and rich are imported then.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellyard.cli.executed import Executed
from cellyard.errors import CellyardError, NotFound, UsageError
from cellyard.model import TERMINAL
from cellyard.model.states import in_words
from cellyard.origin import origin_of
from cellyard.service.client import EngineClient

if TYPE_CHECKING:
    from cellyard.cli.conducting import Conductor
    from cellyard.cli.progress import Progress

__all__ = ["NotebookRun", "Work", "check_plan", "finish", "following", "resume", "run"]

_LAST_EVENTS = 5.0
_STOPS_WITHIN = 45.0
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NotebookRun:
    """What is asked for: the notebook, the values of its parameters, what of it, where, and how many steps at once."""

    path: Path
    parameters: Json
    only: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    force: bool = False
    resumes: int | None = None
    backend: str | None = None
    priority: int = 0
    jobs: int = 64

    def question(self) -> Json:
        """What the engine is asked to plan."""
        return {
            "path": str(self.path),
            "parameters": self.parameters,
            "only": list(self.only),
            "start": list(self.start),
            "force": self.force,
            "resumes": self.resumes,
        }


def run(arguments: argparse.Namespace) -> int:
    """Run the notebook and write what became of it, also after a failure; 0, or 1 when a cell or step failed."""
    # Imported here: `cellyard runs` and others need none of it.
    from cellyard.notebook.parameters import parse_assignments

    wanted = NotebookRun(
        arguments.notebook.absolute(),
        dict(parse_assignments(arguments.parameters)),
        tuple(arguments.only),
        tuple(arguments.start),
        arguments.force,
        backend=arguments.on,
        priority=arguments.priority,
        jobs=arguments.jobs,
    )
    return _carry_out(wanted, arguments)


def resume(arguments: argparse.Namespace) -> int:
    """Go on where a failed, cancelled or lost run has stopped; what had succeeded there does not run again."""
    client = EngineClient()
    try:
        before = client.run(arguments.run)
    finally:
        client.close()
    if before["state"] not in TERMINAL:
        raise UsageError(f"run {before['id']} {in_words(before['state'])}: there is nothing to resume")
    if before["kind"] != "notebook":
        raise UsageError(f"run {before['id']} was a single cell: run that cell again")
    path = arguments.notebook or Path(before["notebook"])
    if not path.is_file():
        raise NotFound(what=f"notebook {path}", hint="Say where it is now: cellyard resume RUN NOTEBOOK")
    wanted = NotebookRun(
        path.absolute(), dict(before["parameters"]), resumes=before["id"], backend=arguments.on, jobs=arguments.jobs
    )
    return _carry_out(wanted, arguments)


def _carry_out(wanted: NotebookRun, arguments: argparse.Namespace) -> int:
    from cellyard.notebook.reading import read_notebook

    notebook = read_notebook(wanted.path)
    output = arguments.output or str(wanted.path.with_name(f"{wanted.path.stem}.executed.ipynb"))
    executed = Executed(notebook.content, (cell.index for cell in notebook.code))
    client = EngineClient(notify=lambda text: print(text, file=sys.stderr))
    try:
        client.ensure()
        planned = client.plan(**wanted.question(), details=True)
        check_plan(planned, wanted.path)
        number = _open(client, wanted, arguments)
        if arguments.announce:
            _announce(number)
        work = Work(client, wanted, number, planned, executed)
        work.reuse()
        if work.is_complete:
            executed.write(output)
            client.finish_run(number, state="succeeded")
            _say_reused(work, output)
            return 0
        return _conduct(work, output)
    finally:
        if arguments.stop_engine:
            client.stop(drain=False, timeout=_STOPS_WITHIN)
        client.close()


def check_plan(planned: Json, path: Path) -> None:
    """Refuse a notebook that cannot be meant, before anything runs."""
    wrong = [each for each in planned["problems"] if each["level"] == "error"]
    if wrong:
        lines = [f"  cell {each['cell'] + 1}, line {each['line']}: {each['message']} {each['hint']}" for each in wrong]
        raise UsageError("\n".join([f"{path.name} cannot run as a pipeline:", *map(str.rstrip, lines)]))


def _announce(number: int) -> None:
    """Tell who has started this process which run it is, and nothing more: nobody reads it."""
    print(json.dumps({"run": number}), flush=True)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


def _open(client: EngineClient, wanted: NotebookRun, arguments: argparse.Namespace) -> int:
    labels = {"name": arguments.name, "tags": arguments.tag, "parameters": wanted.parameters, "resumes": wanted.resumes}
    origin = origin_of(wanted.path, compare=True).to_dict()
    return int(client.create_run(notebook=str(wanted.path), **labels, **origin)["id"])


class Work:
    """One run with what is known of it: what was planned, and what has been taken from earlier runs."""

    def __init__(self, client: EngineClient, wanted: NotebookRun, run: int, planned: Json, executed: Executed) -> None:
        self.client = client
        self.wanted = wanted
        self.run = run
        self.planned = planned
        self.executed = executed
        self.taken: dict[str, Json] = {}

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to run."""
        steps = all(each["name"] in self.taken for each in self.planned["steps"])
        return steps and all(each["action"] == "reuse" for each in self.planned["cells"])

    def reuse(self) -> None:
        """Record and show everything that the plan takes from earlier runs."""
        known = {each["name"]: each for each in self.planned["pipeline"]["steps"]}
        chosen = [each for each in self.planned["steps"] if each["action"] == "reuse"]
        requests = [self._request(known[each["name"]], each) for each in chosen]
        for each in self.client.reuse(self.run, requests) if requests else ():
            self.taken[each["name"]] = each
            outputs = self.executed.outputs(known[each["name"]]["cell"])
            for message in each["shown"]:
                outputs.show(message)
        for each in self.planned["cells"]:
            if each["action"] == "reuse":
                self.executed.show(int(each["name"].split()[1]) - 1, each["shown"] or ())

    def _request(self, step: Json, decided: Json) -> Json:
        keys = ("name", "cell_id", "source", "line", "raw_line", "options")
        return {
            **{key: step[key] for key in keys},
            "notebook": str(self.wanted.path),
            "session": "",
            "execution_count": self.executed.numbers[step["cell"]],
            "key": decided["key"],
            "result": decided["result"],
        }


def _say_reused(work: Work, output: str) -> None:
    """What a run came to in which nothing had to run, without the time that a table in colours takes to import."""
    for each in work.planned["steps"]:
        print(f"step {each['name']}: reused, {each['because']}")
    print(f"run {work.run} of {work.wanted.path.name}: succeeded, with nothing to run")
    print(f"  executed notebook      {output}")


def _conduct(work: Work, output: str) -> int:
    """Run what has to run."""
    from cellyard.cli.conducting import Conductor
    from cellyard.cli.passing_over import IRI_GRAMMARS, passing_over
    from cellyard.cli.progress import Progress
    from cellyard.cli.views import make_view

    with passing_over(IRI_GRAMMARS):
        from cellyard.cli.notebook_kernel import NotebookKernel

    sources = {index: work.executed.cells[index]["source"] for index in work.executed.numbers}
    progress = Progress(work.wanted.path, sources)
    progress.run = work.run
    with make_view(progress) as view:
        conductor = Conductor(work, NotebookKernel(work), progress, view.refresh)
        with following(work.client, progress, view.refresh, conductor):
            try:
                conductor.carry_out()
            finally:
                work.executed.write(output)
                finish(work.client, progress)
    view.summary(work.client.steps(work.run), output=output)
    return {"succeeded": 0, "cancelled": 130 if progress.interrupted else 1}.get(progress.state, 1)


@contextlib.contextmanager
def following(
    client: EngineClient, progress: Progress, refresh: Callable[[], None], conductor: Conductor
) -> Iterator[None]:
    """Show the steps' events as they come, to the run's last one; stop when it was cancelled from elsewhere."""
    events = client.events(run=progress.run, follow=True)

    def follow() -> None:
        try:
            for event in events:
                progress.event(event)
                refresh()
                if event["step_id"] is None and event["content"].get("state") == "cancelled":
                    conductor.stop()
        except CellyardError as error:
            progress.say(str(error))

    thread = threading.Thread(target=follow, name="cellyard-events", daemon=True)
    thread.start()
    try:
        yield
        thread.join(timeout=_LAST_EVENTS)
    finally:
        events.close()
        thread.join(timeout=_LAST_EVENTS)


def finish(client: EngineClient, progress: Progress) -> None:
    """Tell the engine how the run ended, unless it already knows better (cancelled)."""
    found = client.run(progress.run)
    if found["state"] in TERMINAL:
        progress.state = found["state"]
        return
    if progress.state in ("running", "cancelled"):
        # "running": it ended by an error of ours, in the middle.
        progress.state = "cancelled"
        client.cancel_run(progress.run)
    else:
        client.finish_run(progress.run, state=progress.state, error=progress.error)
