"""The options of the %%step line: one table, and what reads the value of each. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from cellyard.model.resources import parse_cpu, parse_duration, parse_gpu, parse_memory

__all__ = ["OPTIONS", "StepOption"]

_BACKEND = re.compile(r"[a-z][a-z0-9_-]*")
_ENV_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL_KEY = re.compile(r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


def _read_names(text: str) -> tuple[str, ...]:
    names = tuple(each.strip() for each in text.split(",") if each.strip())
    for name in names:
        if not name.isidentifier() or iskeyword(name):
            raise ValueError(f"{name!r} is not a Python name")
    return names


def _read_steps(text: str) -> tuple[str, ...]:
    names = tuple(each.strip() for each in text.split(",") if each.strip())
    if not names:
        raise ValueError("no step is named")
    return names


def _read_name(text: str) -> str:
    (name, *others) = _read_names(text) or ("",)
    if not name or others:
        raise ValueError(f"{text!r} is not one Python name")
    return name


def _read_map(text: str) -> tuple[str, str]:
    name, equals, items = (each.strip() for each in text.partition("="))
    if not equals or not name.isidentifier() or iskeyword(name) or not items:
        raise ValueError(f"{text!r} is not of the form NAME=ITEMS, as in `for NAME in ITEMS`")
    try:
        compile(items, "<map>", "eval")
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{items!r} is no expression (where it has blanks: --map '{name}=[1, 2]')") from error
    return name, items


def _read_parallel(text: str) -> int:
    if (count := _read_count(text)) < 1:
        raise ValueError("at least one item has to run at a time")
    return count


def _read_file(text: str) -> tuple[str, ...]:
    if not text.strip():
        raise ValueError("no file is named")
    return (text,)


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


def _read_memory(text: str) -> int | None:
    """None: from what earlier attempts used."""
    return None if text == "auto" else parse_memory(text)


def _read_timeout(text: str) -> float:
    seconds = parse_duration(text, option="--timeout")
    if seconds <= 0:
        raise ValueError("a step needs more than no time")
    return seconds


def _read_delay(text: str) -> float:
    return parse_duration(text, option="--retry-delay")


def _read_disk(text: str) -> int:
    return parse_memory(text, option="--disk")


def _read_image(text: str) -> str:
    if not text or any(each.isspace() for each in text):
        raise ValueError(f"{text!r} is not the name of an image")
    return text


def _read_node(text: str) -> tuple[tuple[str, str], ...]:
    key, equals, value = text.partition("=")
    if not equals or not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
        raise ValueError(f"{text!r} is not of the form KEY=VALUE, as labels of nodes are")
    return ((key, value),)


def _read_priority(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,6}", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


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
        "Memory it may use; a step that needs more is stopped and says so. auto: by what earlier runs used.",
        "--memory 8GiB",
        ("auto", "512MiB", "1GiB", "2GiB", "4GiB", "8GiB", "16GiB"),
        _read_memory,
    ),
    StepOption("--gpu", "N", "GPUs it needs, whole.", "--gpu 1", ("1", "2"), parse_gpu),
    StepOption(
        "--fit",
        None,
        "Take what there is, with a note, where the sizes asked for can never be given.",
        "--fit",
    ),
    StepOption(
        "--on",
        "BACKEND",
        "Where the step runs (as the settings say unless given).",
        "--on kubernetes",
        ("local", "kubernetes"),
        _read_backend,
    ),
    StepOption("--disk", "SIZE", "Local disk its pod needs.", "--disk 20GiB", ("10GiB", "50GiB"), _read_disk),
    StepOption("--image", "IMAGE", "The image its pod runs.", "--image registry/mine:1", (), _read_image),
    StepOption(
        "--node",
        "KEY=VALUE",
        "A label that the node of its pod must have.",
        "--node zone=west",
        (),
        _read_node,
        repeats=True,
    ),
    StepOption("--spot", None, "On capacity that is cheaper, and may be taken back; then it runs again.", "--spot"),
    StepOption(
        "--priority",
        "N",
        "Before steps of a lower number, while they wait (0 unless given).",
        "--priority 10",
        ("1", "10"),
        _read_priority,
    ),
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
        "--after",
        "STEPS",
        "Steps that come first when the notebook is run as a pipeline, though it takes nothing from them.",
        "--after load,clean",
        (),
        _read_steps,
        repeats=True,
    ),
    StepOption(
        "--cache",
        None,
        "Take the result of an earlier run of the same code on the same values, if there is one.",
        "--cache",
    ),
    StepOption(
        "--file",
        "PATH",
        "A file that it depends on: when its content changes, no earlier result is taken.",
        "--file data.csv",
        (),
        _read_file,
        repeats=True,
    ),
    StepOption(
        "--map",
        "NAME=ITEMS",
        "Run the cell once per item, as in `for NAME in ITEMS`; each name it writes becomes the list of its values.",
        "--map part=parts",
        (),
        _read_map,
    ),
    StepOption(
        "--max-parallel",
        "N",
        "So many items of --map at once (as many as the step has CPUs unless given).",
        "--max-parallel 4",
        ("1", "2", "4", "8"),
        _read_parallel,
    ),
    StepOption(
        "--max-failures",
        "N",
        "So many items of --map may fail; their values are None (0 unless given).",
        "--max-failures 10",
        ("1", "10"),
        _read_count,
    ),
    StepOption("--isolate", None, "A process of its own for each item of --map.", "--isolate"),
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
        "--catch",
        "NAME",
        "Go on when it fails: NAME is then bound to its exception, otherwise to None.",
        "--catch error",
        ("error",),
        _read_name,
    ),
    StepOption("--async", None, "Return at once; whoever uses a value that it makes waits for it.", "--async"),
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
