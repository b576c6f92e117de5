"""The grammar of ``%%step [NAME] [options]``, used by the magic and by the notebook reader alike.

:data:`OPTIONS` is the one table: the parser, the help and the completion are made from it.
Pure: it never prints, never exits, and evaluates nothing.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any, NoReturn

from cellyard.errors import InvalidStepLine
from cellyard.model.resources import Resources, parse_cpu, parse_duration, parse_gpu, parse_memory

__all__ = ["OPTIONS", "StepLine", "StepOption", "complete", "expand", "help_text", "parse_step_line"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_BACKEND = re.compile(r"[a-z][a-z0-9_-]*")
_ENV_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class StepLine:
    """A %%step line, understood.

    ``cpu_given`` and ``memory_given`` tell a size that was written from a default. ``inputs`` and
    ``outputs`` are None where they are to be detected. ``timeout`` and ``retry_delay`` are seconds.
    """

    name: str | None = None
    resources: Resources = field(default_factory=Resources)
    cpu_given: bool = False
    memory_given: bool = False
    backend: str = "local"
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    env: tuple[tuple[str, str], ...] = ()
    fit: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The line as JSON."""
        return {
            "name": self.name,
            "resources": self.resources.to_dict(),
            "cpu_given": self.cpu_given,
            "memory_given": self.memory_given,
            "backend": self.backend,
            "inputs": None if self.inputs is None else list(self.inputs),
            "outputs": None if self.outputs is None else list(self.outputs),
            "timeout": self.timeout,
            "retries": self.retries,
            "retry_delay": self.retry_delay,
            "env": [list(pair) for pair in self.env],
            "fit": self.fit,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepLine:
        """The line that :meth:`to_dict` wrote; what is missing has its default, unknown keys are ignored."""
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        known["resources"] = Resources.from_dict(data.get("resources") or {})
        for key in ("inputs", "outputs"):
            known[key] = None if data.get(key) is None else tuple(data[key])
        known["env"] = tuple((str(key), str(value)) for key, value in data.get("env") or ())
        return cls(**known)


def _read_names(text: str) -> tuple[str, ...]:
    names = tuple(each.strip() for each in text.split(",") if each.strip())
    for name in names:
        if not name.isidentifier() or iskeyword(name):
            raise ValueError(f"{name!r} is not a Python name")
    return names


def _read_env(text: str) -> tuple[tuple[str, str], ...]:
    key, equals, value = text.partition("=")
    if not equals or not _ENV_KEY.fullmatch(key):
        raise ValueError(f"{text!r} is not of the form KEY=VALUE")
    return ((key, value),)


def _read_count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _read_backend(text: str) -> str:
    if not _BACKEND.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a backend")
    return text


def _read_timeout(text: str) -> float:
    seconds = parse_duration(text, option="--timeout")
    if seconds <= 0:
        raise ValueError("a step needs more than no time")
    return seconds


def _read_delay(text: str) -> float:
    return parse_duration(text, option="--retry-delay")


@dataclass(frozen=True, slots=True)
class StepOption:
    """One option of the line: how it is written, explained, completed and read.

    ``metavar`` is None for a switch; ``values`` are likely ones, for completion; ``read`` turns the text into
    the value (InvalidSize or ValueError when it cannot); one that ``repeats`` may be given again and adds up.
    """

    flag: str
    metavar: str | None
    help: str
    example: str
    values: tuple[str, ...] = ()
    read: Callable[[str], Any] = str
    repeats: bool = False


OPTIONS: tuple[StepOption, ...] = (
    StepOption(
        "--cpu",
        "N",
        "CPUs the step may use, and that its thread pools are set to (1 unless given).",
        "--cpu 2",
        ("1", "2", "4", "8", "500m"),
        parse_cpu,
    ),
    StepOption(
        "--memory",
        "SIZE",
        "Memory it may use; a step that needs more is stopped and says so.",
        "--memory 8GiB",
        ("512MiB", "1GiB", "2GiB", "4GiB", "8GiB", "16GiB"),
        parse_memory,
    ),
    StepOption("--gpu", "N", "GPUs it needs, whole.", "--gpu 1", ("1", "2"), parse_gpu),
    StepOption(
        "--fit",
        None,
        "Take what there is, with a note, where the sizes asked for can never be given.",
        "--fit",
    ),
    StepOption("--on", "BACKEND", "Where the step runs.", "--on local", ("local",), _read_backend),
    StepOption(
        "--in",
        "NAMES",
        "The names it is given, instead of those found in its code.",
        "--in df,params",
        (),
        _read_names,
        repeats=True,
    ),
    StepOption(
        "--out",
        "NAMES",
        "The names it gives back, instead of those found in its code.",
        "--out model",
        (),
        _read_names,
        repeats=True,
    ),
    StepOption(
        "--timeout",
        "TIME",
        "Stop it, as failed, after this time.",
        "--timeout 1h30m",
        ("90s", "10m", "1h"),
        _read_timeout,
    ),
    StepOption("--retries", "N", "Try again this often when it fails.", "--retries 2", ("1", "2", "3"), _read_count),
    StepOption(
        "--retry-delay",
        "TIME",
        "Wait this long before trying again.",
        "--retry-delay 30s",
        ("5s", "30s", "1m"),
        _read_delay,
    ),
    StepOption(
        "--env",
        "KEY=VALUE",
        "An environment variable for this step alone.",
        "--env MODE=fast",
        (),
        _read_env,
        repeats=True,
    ),
)
"""Every option that there is, in the order in which the help shows them."""

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
        memory_given="--memory" in given,
        backend=given.get("--on", default.backend),
        inputs=given.get("--in"),
        outputs=given.get("--out"),
        timeout=given.get("--timeout"),
        retries=given.get("--retries", 0),
        retry_delay=given.get("--retry-delay", 0.0),
        env=given.get("--env", ()),
        fit="--fit" in given,
    )


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=False)
    except ValueError:
        _refuse(line, "a quotation mark is opened and not closed.")


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
