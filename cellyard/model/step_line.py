"""The grammar of ``%%step [NAME] [options]``, used by the magic and by the notebook reader alike.

The table of options is in ``step_options``: the parser, the help and the completion are made from it.
Pure: it never prints, never exits, and evaluates nothing.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import re
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from cellyard.errors import InvalidStepLine
from cellyard.model.plain import Plain
from cellyard.model.resources import Resources
from cellyard.model.step_options import OPTIONS, StepOption

__all__ = ["StepLine", "complete", "expand", "help_text", "name_of_code", "parse_step_line"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_WRITTEN = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+""", re.DOTALL)
"""A word of a line, with its quotes."""
_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class StepLine(Plain):
    """A %%step line, understood.

    ``cpu_given`` and ``memory_given`` tell a size that was written from a default, ``memory_auto`` one that is
    to be judged by what earlier attempts used. ``inputs`` and
    ``outputs`` are None where they are to be detected. ``timeout`` and ``retry_delay`` are seconds, ``disk``
    bytes. An empty ``backend`` is that of the settings. ``catch`` is the name that is bound to the exception of a step
    that failed, and to None after one that did not; ``is_async``: its cell does not wait for it.
    """

    name: str | None = None
    resources: Resources = field(default_factory=Resources)
    cpu_given: bool = False
    memory_given: bool = False
    memory_auto: bool = False
    backend: str = ""
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    env: tuple[tuple[str, str], ...] = ()
    fit: bool = False
    disk: int | None = None
    image: str | None = None
    node: tuple[tuple[str, str], ...] = ()
    spot: bool = False
    priority: int = 0
    after: tuple[str, ...] = ()
    catch: str | None = None
    is_async: bool = False
    cache: bool = False
    files: tuple[str, ...] = ()
    map: tuple[str, str] | None = None
    max_parallel: int | None = None
    max_failures: int = 0
    isolate: bool = False

    def code(self, source: str) -> str:
        """The code below the line as it is to be read: where it runs once per item, under a line that binds one."""
        return source if self.map is None else f"{self.map[0]} = [*({self.map[1]})][0]\n{source}"

    @property
    def above(self) -> int:
        """How many lines of the cell come before :meth:`code`."""
        return 1 if self.map is None else 0

    def to_dict(self) -> dict[str, Any]:
        """The line as JSON."""
        return {
            "name": self.name,
            "resources": self.resources.to_dict(),
            "cpu_given": self.cpu_given,
            "memory_given": self.memory_given,
            "memory_auto": self.memory_auto,
            "backend": self.backend,
            "inputs": None if self.inputs is None else list(self.inputs),
            "outputs": None if self.outputs is None else list(self.outputs),
            "timeout": self.timeout,
            "retries": self.retries,
            "retry_delay": self.retry_delay,
            "env": [list(pair) for pair in self.env],
            "fit": self.fit,
            "disk": self.disk,
            "image": self.image,
            "node": [list(pair) for pair in self.node],
            "spot": self.spot,
            "priority": self.priority,
            "after": list(self.after),
            "catch": self.catch,
            "is_async": self.is_async,
            "cache": self.cache,
            "files": list(self.files),
            "map": None if self.map is None else list(self.map),
            "max_parallel": self.max_parallel,
            "max_failures": self.max_failures,
            "isolate": self.isolate,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepLine:
        """The line that :meth:`to_dict` wrote; what is missing has its default, unknown keys are ignored."""
        known = cls._known(data)
        known["resources"] = Resources.from_dict(data.get("resources") or {})
        for key in ("inputs", "outputs"):
            known[key] = None if data.get(key) is None else tuple(data[key])
        known["map"] = (str(data["map"][0]), str(data["map"][1])) if data.get("map") else None
        for key in ("after", "files"):
            known[key] = tuple(data.get(key) or ())
        for key in ("env", "node"):
            known[key] = tuple((str(name), str(value)) for name, value in data.get(key) or ())
        return cls(**known)


_BY_FLAG: Mapping[str, StepOption] = {option.flag: option for option in OPTIONS}


def parse_step_line(line: str) -> StepLine:
    """The line behind ``%%step``, already expanded. Raises InvalidStepLine, or InvalidSize for a size."""
    names, given = _sort_words(_split(line), line)
    if len(names) > 1:
        words = ", ".join(names)
        _refuse(line, f"a step has one name, and here are {len(names)} words: {words}.{_hint(names[1])}")
    if names and not _NAME.fullmatch(names[0]):
        form = "a letter or '_', then letters, digits, '_', '-' or '.'"
        _refuse(line, f"{names[0]!r} is no name for a step: {form}.")
    default = StepLine()
    return StepLine(
        name=names[0] if names else None,
        resources=Resources(given.get("--cpu", 1.0), given.get("--memory"), given.get("--gpu", 0)),
        cpu_given="--cpu" in given,
        memory_given=given.get("--memory") is not None,
        memory_auto="--memory" in given and given["--memory"] is None,
        backend=given.get("--on", default.backend),
        inputs=given.get("--in"),
        outputs=given.get("--out"),
        timeout=given.get("--timeout"),
        retries=given.get("--retries", 0),
        retry_delay=given.get("--retry-delay", 0.0),
        env=given.get("--env", ()),
        fit="--fit" in given,
        disk=given.get("--disk"),
        image=given.get("--image"),
        node=given.get("--node", ()),
        spot="--spot" in given,
        priority=given.get("--priority", 0),
        after=given.get("--after", ()),
        catch=given.get("--catch"),
        is_async="--async" in given,
        cache="--cache" in given,
        files=given.get("--file", ()),
        map=given.get("--map"),
        max_parallel=given.get("--max-parallel"),
        max_failures=given.get("--max-failures", 0),
        isolate="--isolate" in given,
    )


def _split(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=False)
    except ValueError:
        _refuse(line, "a quotation mark is opened and not closed.")
    written = _WRITTEN.findall(line)
    if len(written) == len(words):
        for at, (word, before) in enumerate(zip(words, ["", *words], strict=False)):
            if before == "--map" or word.startswith("--map="):
                words[at] = _with_own_quotes(word, written[at])
    return words


def _with_own_quotes(word: str, written: str) -> str:
    """The value of ``--map`` as it was written, where its quotes belong to its expression, as in ``p=["a","b"]``. They
    do not where they are around all of it, or where it can only be read without them."""
    items = written.removeprefix("--map=").partition("=")[2]
    try:
        is_text = isinstance(ast.parse(items, mode="eval").body, ast.Constant | ast.JoinedStr)
    except (SyntaxError, ValueError):
        return word
    return word if is_text else written


def _sort_words(words: list[str], line: str) -> tuple[list[str], dict[str, Any]]:
    """The words that are no options, and the options' values by flag."""
    names: list[str] = []
    given: dict[str, Any] = {}
    waiting = iter(words)
    for word in waiting:
        if not word.startswith("-"):
            names.append(word)
            continue
        flag, equals, text = word.partition("=")
        option = _BY_FLAG.get(flag)
        if option is None:
            _refuse(line, f"there is no option {flag}.{_hint(flag)} %%step? shows them all.")
        if option.metavar is not None and not equals:
            text = next(waiting, "--")
        elif option.metavar is None and equals:
            _refuse(line, f"{flag} is a switch and takes no value.")
        given[flag] = _value(option, text, given, line)
    return names, given


def _value(option: StepOption, text: str, given: Mapping[str, Any], line: str) -> Any:
    if option.flag in given and not option.repeats:
        _refuse(line, f"{option.flag} is given twice.")
    if option.metavar is not None and text.startswith("--"):
        _refuse(line, f"{option.flag} needs a value, for example: {option.example}.")
    try:
        value = option.read(text)
    except ValueError as error:
        raise InvalidStepLine(f"{option.flag}: {error}. For example: {option.example}.", line=line) from error
    return given[option.flag] + value if option.flag in given else value


def _refuse(line: str, message: str) -> NoReturn:
    raise InvalidStepLine(message, line=line)


def _hint(word: str) -> str:
    """' Did you mean --cpu?' for the option nearest to the word, or nothing."""
    flag = "--" + word.lstrip("-").partition("=")[0].lower().replace("_", "-")
    near = difflib.get_close_matches(flag, _BY_FLAG, n=1, cutoff=0.65)
    return f" Did you mean {near[0]}?" if near else ""


def name_of_code(code: str) -> str:
    """What a step is called that has no name: by the code below its line, however that is indented or ends."""
    return "step-" + hashlib.sha256(textwrap.dedent(code).rstrip().encode()).hexdigest()[:8]


def expand(line: str, names: Mapping[str, object]) -> str:
    """The line with each ``{name}`` or ``{name.attribute}`` replaced by its value's text.

    ``{{`` and ``}}`` stand for one brace. Nothing is called and nothing else is evaluated. An unknown name,
    an expression, or a single brace raises InvalidStepLine.
    """

    def replaced(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] is None:
            _refuse(line, f"a {match[0]!r} stands alone; write {match[0] * 2!r} for the character itself.")
        return str(_look_up(match[1].strip(), names, line))

    return _BRACES.sub(replaced, line)


def _look_up(path: str, names: Mapping[str, object], line: str) -> object:
    if not _PATH.fullmatch(path):
        _refuse(line, f"{{{path}}} is not a name; only {{name}} and {{name.attribute}} are expanded here.")
    first, *attributes = path.split(".")
    if first not in names:
        near = difflib.get_close_matches(first, [name for name in names if name[:1] != "_"], n=1)
        _refuse(line, f"{{{path}}}: there is no {first!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
    value = names[first]
    for attribute in attributes:
        try:
            value = getattr(value, attribute)
        except AttributeError as error:
            raise InvalidStepLine(f"{{{path}}}: {error}.", line=line) from error
    return value


def complete(line_before_cursor: str) -> list[str]:
    """What the word before the cursor may become: whole words, in the table's order.

    The line may or may not begin with ``%%step``. Names of steps and variables are not known here.
    """
    before, _, word = line_before_cursor.rpartition(" ")
    earlier = [each.partition("=")[0] for each in before.replace("%%step", "", 1).split()]
    flag, equals, text = word.partition("=")
    if equals and flag in _BY_FLAG:
        return [f"{flag}={value}" for value in _BY_FLAG[flag].values if value.startswith(text)]
    previous = _BY_FLAG.get(earlier[-1]) if earlier and not before.endswith("=") else None
    if previous is not None and previous.metavar is not None and not before.split()[-1].count("="):
        return [value for value in previous.values if value.startswith(word)]
    if word and not word.startswith("-"):
        return []
    return [
        option.flag
        for option in OPTIONS
        if option.flag.startswith(word) and (option.repeats or option.flag not in earlier)
    ]


def help_text() -> str:
    """What ``%%step?`` shows: the form, every option with an example, and how sizes are written."""
    rows = [(f"{option.flag} {option.metavar or ''}".rstrip(), option) for option in OPTIONS]
    width = max(len(left) for left, _ in rows)
    indent = " " * (width + 4)
    lines = [f"  {left:<{width}}  {option.help}\n{indent}e.g. {option.example}" for left, option in rows]
    return "\n".join([_ABOVE, *lines, "", _BELOW])


_ABOVE = """%%step [NAME] [options]

Run this cell as a step, in a process of its own on a worker of the size it asks for. The names it reads go
with it, the names it writes come back, and what it prints and shows appears under the cell.

NAME is how runs and errors call the step, and may be left out. Options:
"""

_BELOW = """Sizes: memory as 8GiB or 8Gi (1024 based), 500MB or 500M (1000 based), always with a unit;
CPUs as 4, 0.5 or 500m; times as 90s, 10m, 1h30m. An option and its value may be joined: --memory=8GiB.
{name} and {name.attribute} in the line are replaced by the notebook's values; {{ and }} are single braces.

Example:  %%step train --cpu 4 --memory 16GiB --retries 2 --timeout 1h"""
