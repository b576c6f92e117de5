"""``%steps export`` and ``%steps schedule``: the notebook, as it was last saved, carried away to run by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cellyard.errors import UsageError
from cellyard.service.schedule_options import add_schedule_options, schedule_request
from kernel_magics.session import Session
from kernel_magics.words import WordParser, words_of

__all__ = ["LeavingCommand"]


class LeavingCommand:
    """Exports and schedules one notebook."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def schedule(self, line: str) -> None:
        """Have it run when it is time: ``"0 6 * * 1-5" --timezone Europe/Berlin``; prints when that is."""
        parser = WordParser("schedule")
        parser.add_argument("expression", nargs="?")
        add_schedule_options(parser)
        given = parser.parse_args(words_of(line))
        owner = self._session.origin().owner
        request = schedule_request(self._session.identity.file(), given.expression, given, owner)
        made = self._session.client.add_schedule(request)
        for note in made["notes"]:
            print(f"note: {note}")
        when = f", next at {made['next'][0]}" if made["next"] else ""
        print(f"schedule {made['name']} runs the notebook as it was last saved{when}")

    def export(self, line: str) -> None:
        """Write what runs it elsewhere: ``--to bundle --output DIR`` and the options of ``cellyard export``."""
        parser = WordParser("export")
        parser.add_argument("--to", default="bundle")
        parser.add_argument("--output", type=Path, required=True)
        given, rest = parser.parse_known_args(words_of(line))
        output = str(given.output.expanduser().absolute())
        found = self._session.client.export(
            str(self._session.identity.file()), to=given.to, output=output, options=_options(rest)
        )
        print(found["said"].rstrip())


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
