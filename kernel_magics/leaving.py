"""``%steps export`` and ``%steps schedule``: the notebook, as it was last saved, carried away to run by itself."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any, NoReturn

from cellyard.errors import UsageError
from cellyard.service.schedule_options import add_schedule_options, schedule_request
from kernel_magics.session import Session

__all__ = ["LeavingCommand"]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%steps {self.prog}: {message}")


class LeavingCommand:
    """Exports and schedules one notebook."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def schedule(self, line: str) -> None:
        """Have it run when it is time: ``"0 6 * * 1-5" --timezone Europe/Berlin``; prints when that is."""
        parser = _Parser(prog="schedule", add_help=False)
        parser.add_argument("expression", nargs="?")
        add_schedule_options(parser)
        given = parser.parse_args(_words(line))
        owner = self._session.origin().owner
        request = schedule_request(self._notebook(), given.expression, given, owner)
        made = self._session.client.add_schedule(request)
        for note in made["notes"]:
            print(f"note: {note}")
        when = f", next at {made['next'][0]}" if made["next"] else ""
        print(f"schedule {made['name']} runs the notebook as it was last saved{when}")

    def export(self, line: str) -> None:
        """Write what runs it elsewhere: ``--to bundle --output DIR`` and the options of ``cellyard export``."""
        parser = _Parser(prog="export", add_help=False)
        parser.add_argument("--to", default="bundle")
        parser.add_argument("--output", type=Path, required=True)
        given, rest = parser.parse_known_args(_words(line))
        output = str(given.output.expanduser().absolute())
        found = self._session.client.export(str(self._notebook()), to=given.to, output=output, options=_options(rest))
        print(found["said"].rstrip())

    def _notebook(self) -> Path:
        path = Path(self._session.identity.notebook)
        if not path.is_file():
            raise UsageError(f"the notebook's file is not known ({path}): say %steps notebook PATH first.")
        return path


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line}: {error}") from error


def _options(words: list[str]) -> dict[str, Any]:
    """``--name value``, ``--name=value`` and ``--name`` as a table; what is repeated becomes a list."""
    found: dict[str, list[Any]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.removeprefix("--").partition("=")
            found.setdefault(name, []).append(value if equals else True)
        elif name and found[name][-1] is True:
            found[name][-1] = _whole(name, word)
        else:
            raise UsageError(f"%steps export: {word!r} belongs to no option.")
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _whole(name: str, text: str) -> str:
    """A path from here: the engine is somewhere else."""
    return str(Path(text).expanduser().absolute()) if name == "include" else text
