"""``%steps plan|run|resume``: the notebook's file as a pipeline, from inside the notebook."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cellyard.errors import UsageError
from cellyard.model.resources import format_duration
from cellyard.tables import as_html
from kernel_magics.session import Session
from kernel_magics.words import WordParser, words_of

__all__ = ["PipelineCommand", "PlanTable"]

Json = Mapping[str, Any]


class PlanTable:
    """A plan as a table, in text and in HTML that stands alone."""

    def __init__(self, steps: Sequence[Json]) -> None:
        self._steps = steps

    def __repr__(self) -> str:
        width = max((len(each["name"]) for each in self._steps), default=0)
        lines: list[str] = []
        for each in self._steps:
            lines.append(f"{each['action']:<5}  {each['name']:<{width}}  {each['because']}")
            lines += [f"       {'':<{width}}  {text}" for text in _more(each)]
        return "\n".join(lines) or "no steps: begin a cell with %%step NAME"

    def _repr_html_(self) -> str:
        rows = [(each["name"], each["action"], "\n".join([each["because"], *_more(each)])) for each in self._steps]
        return as_html(("step", "", "why"), rows)


def _more(step: Json) -> list[str]:
    changes = [str(text) for text in step["changes"] if text != step["because"]]
    return changes + str(step["diff"]).splitlines()


class PipelineCommand:
    """Plans, runs and resumes the notebook of one kernel as it was last saved."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def plan(self, words: list[str]) -> PlanTable:
        """What a run would do."""
        given = _parsed("plan", words)
        found = self._session.client.plan(path=self._path(), **_wanted(given))
        for each in found["problems"]:
            print(f"{each['level']}: cell {each['cell'] + 1}, line {each['line']}: {each['message']}", file=sys.stderr)
        return PlanTable(found["steps"])

    def run(self, words: list[str]) -> None:
        """Run it, in a process of its own, and show how it goes until it has ended; interrupting leaves it running."""
        given = _parsed("run", words)
        more = {"on": given.on, "jobs": given.jobs, "name": given.name, "tags": given.tag or None}
        self._follow(self._session.client.start_pipeline(self._path(), **_wanted(given), **more))

    def resume(self, words: list[str]) -> None:
        """Go on with a run (the notebook's newest, unless its number is given) that has stopped before its end."""
        client = self._session.client
        if words:
            number = _number(words[0])
        else:
            runs = [each for each in client.runs(notebook=self._path()) if each["kind"] == "notebook"]
            if not runs:
                raise UsageError("this notebook has not run as a whole yet: say %steps run")
            number = runs[0]["id"]
        self._follow(client.resume_run(number))

    def _path(self) -> str:
        return str(self._session.identity.file())

    def _follow(self, run: Json) -> None:
        """Say what becomes of each step."""
        print(f"run {run['id']} of {Path(run['notebook']).name}, as it was last saved")
        client = self._session.client
        try:
            for event in client.events(run=run["id"], follow=True):
                if event["kind"] == "finished":
                    print(f"step {event['step']}: {_told(event['content'])}")
        except KeyboardInterrupt:
            print(f"run {run['id']} goes on; cellyard cancel {run['id']} stops it")
            return
        found = client.run(run["id"])
        print(f"run {run['id']}: {found['state']}")
        if found["error"]:
            print(f"{found['error']['type']}: {found['error']['message']}", file=sys.stderr)


def _told(content: Json) -> str:
    if content.get("reused"):
        return f"reused from run {content['reused']}"
    return f"{content['state']} after {format_duration(content['seconds'])}"


def _parsed(verb: str, words: list[str]) -> argparse.Namespace:
    parser = WordParser(verb)
    parser.add_argument("-p", dest="parameter", action="append", nargs="+", default=[])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--from", dest="start", action="append", default=[])
    parser.add_argument("--force", action="store_true")
    if verb == "run":
        for name in ("--on", "--name"):
            parser.add_argument(name)
        parser.add_argument("--jobs", type=int)
        parser.add_argument("--tag", action="append", default=[])
    return parser.parse_args(words_of(" ".join(words)))


def _wanted(given: argparse.Namespace) -> dict[str, Any]:
    # Imported here: every kernel loads this module, and few ask for a plan.
    from cellyard.notebook.parameters import parse_assignments

    return {
        "parameters": parse_assignments(given.parameter),
        "only": given.only,
        "start": given.start,
        "force": given.force,
    }


def _number(word: str) -> int:
    if not word.isdigit():
        raise UsageError(f"{word!r} is not the number of a run")
    return int(word)
