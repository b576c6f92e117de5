"""Resources: how much CPU, memory and GPU a step asks for, or a machine has.

Sizes are read as Kubernetes and Dask write them, and written as people read them.
Pure: no I/O, no knowledge of any machine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellyard.errors import InvalidSize

__all__ = [
    "UNLIMITED",
    "Resources",
    "format_cpu",
    "format_duration",
    "format_memory",
    "parse_cpu",
    "parse_duration",
    "parse_gpu",
    "parse_memory",
]

CPU_EXAMPLES = "4, 0.5, 500m"
MEMORY_EXAMPLES = "8GiB, 500MB, 1.5GiB, 8Gi"
GPU_EXAMPLES = "0, 1, 2"
DURATION_EXAMPLES = "90s, 10m, 1h, 1h30m"

UNLIMITED = 1 << 20
"""As many GPUs as nobody has."""

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_CPU = re.compile(rf"{_NUMBER}(m?)")
_MEMORY = re.compile(rf"{_NUMBER}\s*([A-Za-z]*)")
_DURATION = re.compile(rf"{_NUMBER}\s*(ms|min|m|s|h|d)\s*", re.IGNORECASE)
_DURATIONS = re.compile(rf"(?:{_DURATION.pattern})+", re.IGNORECASE)
_SIGNED = re.compile(r"-\s*\d")

_UNITS: dict[str, int] = {"b": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _UNITS |= {_letter: 1000**_power, f"{_letter}b": 1000**_power}
    _UNITS |= {f"{_letter}i": 1024**_power, f"{_letter}ib": 1024**_power}

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Resources:
    """CPU in cores, memory in bytes (None: no limit of its own), GPUs in whole devices.

    A capacity without limit has infinitely many CPUs, and :data:`UNLIMITED` GPUs.
    """

    cpu: float = 1.0
    memory: int | None = None
    gpu: int = 0

    def __str__(self) -> str:
        parts = [f"{format_cpu(self.cpu)} CPU"]
        if self.memory is not None:
            parts.append(format_memory(self.memory))
        if 0 < self.gpu < UNLIMITED:
            parts.append(f"{self.gpu} GPU")
        return ", ".join(parts)

    def fits(self, capacity: Resources) -> bool:
        """Whether a machine of this capacity, otherwise idle, could ever give these resources."""
        return self.shortage(capacity) is None

    def shortage(self, capacity: Resources) -> str | None:
        """What the capacity lacks, in words ("8 GiB memory (there is 4 GiB)"), or None when it fits."""
        lacking: list[str] = []
        if self.cpu > capacity.cpu:
            lacking.append(f"{format_cpu(self.cpu)} CPU (there are {format_cpu(capacity.cpu)})")
        if self.memory is not None and capacity.memory is not None and self.memory > capacity.memory:
            lacking.append(f"{format_memory(self.memory)} memory (there is {format_memory(capacity.memory)})")
        if self.gpu > capacity.gpu:
            lacking.append(f"{self.gpu} GPU (there are {capacity.gpu})")
        return ", ".join(lacking) or None

    def to_dict(self) -> dict[str, Any]:
        """``{"cpu": float, "memory": int, "gpu": int}``; what has no limit is None, as JSON wants it."""
        return {
            "cpu": None if math.isinf(self.cpu) else self.cpu,
            "memory": self.memory,
            "gpu": self.gpu if self.gpu < UNLIMITED else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Resources:
        """The resources that :meth:`to_dict` wrote; what is missing has its default."""
        memory, cpu, gpu = data.get("memory"), data.get("cpu", 1.0), data.get("gpu", 0)
        return cls(
            cpu=math.inf if cpu is None else float(cpu),
            memory=None if memory is None else int(memory),
            gpu=UNLIMITED if gpu is None else int(gpu),
        )


def parse_cpu(text: str, *, option: str = "--cpu") -> float:
    """CPUs from "4", "0.5" or "500m" (thousandths). Raises InvalidSize."""
    match = _CPU.fullmatch(text.strip())
    if match is None:
        raise _invalid(option, text, _why_not_a_number(text, "a number of CPUs"), CPU_EXAMPLES)
    value = float(match[1]) / (1000 if match[2] else 1)
    if value <= 0:
        raise _invalid(option, text, "a step needs more than no CPU.", CPU_EXAMPLES)
    return value


def parse_memory(text: str, *, option: str = "--memory") -> int:
    """Bytes from "8GiB", "8Gi" (1024³), "8GB", "8G" (1000³) or "4096B". Raises InvalidSize.

    A number without a unit is refused with what it probably means: 16000 is bytes to Kubernetes
    and megabytes to most people.
    """
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        raise _invalid(option, text, _why_not_a_number(text, "an amount of memory"), MEMORY_EXAMPLES)
    number, unit = match[1], match[2]
    reason = _why_not_a_unit(number, unit)
    if reason is not None:
        raise _invalid(option, text, reason, MEMORY_EXAMPLES)
    value = round(float(number) * _UNITS[unit.lower()])
    if value <= 0:
        raise _invalid(option, text, "it must be more than nothing.", MEMORY_EXAMPLES)
    return value


def parse_gpu(text: str, *, option: str = "--gpu") -> int:
    """Whole GPUs. Raises InvalidSize."""
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit()):
        raise _invalid(option, text, "GPUs are given whole.", GPU_EXAMPLES)
    return int(stripped)


def parse_duration(text: str, *, option: str = "--timeout") -> float:
    """Seconds from "90s", "10m", "1h30m" or a bare number of seconds. Raises InvalidSize."""
    stripped = text.strip()
    if re.fullmatch(_NUMBER, stripped):
        return float(stripped)
    if not _DURATIONS.fullmatch(stripped):
        raise _invalid(option, text, _why_not_a_number(text, "a time"), DURATION_EXAMPLES)
    parts = list(_DURATION.finditer(stripped))
    units = [part[2].lower() for part in parts]
    if len(set(units)) != len(units):
        raise _invalid(option, text, "a unit is given twice.", DURATION_EXAMPLES)
    return sum(float(part[1]) * _SECONDS[unit] for part, unit in zip(parts, units, strict=True))


def format_cpu(cpu: float) -> str:
    """ "2", "0.5": at most three decimals."""
    if math.isinf(cpu):
        return "any number of"
    return f"{cpu:.3f}".rstrip("0").rstrip(".")


def format_memory(size: float) -> str:
    """Bytes in words: "7.9 GiB", "512 MiB", "900 B"."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        # 1023.95 would be shown as 1024.0 of the smaller unit.
        if abs(value) < 1023.95:
            break
        value, unit = value / 1024, larger
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


def format_duration(seconds: float) -> str:
    """Seconds in words: "12 ms", "3.4 s", "1 min 30 s", "2 h 5 min", "3 d 4 h"."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 3600:
        return _two_units(whole, "min", 60, "s", 1)
    if whole < 86400:
        return _two_units(whole, "h", 3600, "min", 60)
    return _two_units(whole, "d", 86400, "h", 3600)


def _two_units(seconds: int, large: str, large_size: int, small: str, small_size: int) -> str:
    rest = seconds % large_size // small_size
    return f"{seconds // large_size} {large}" + (f" {rest} {small}" if rest else "")


def _invalid(option: str, text: str, reason: str, examples: str) -> InvalidSize:
    return InvalidSize(option=option, text=text, reason=reason, examples=examples)


def _why_not_a_number(text: str, what: str) -> str:
    if not text.strip():
        return f"nothing is given, where {what} should be."
    if _SIGNED.match(text.strip()):
        return "it is negative."
    return f"this is not {what}."


def _why_not_a_unit(number: str, unit: str) -> str | None:
    if not unit:
        return f"the unit is missing; did you mean {_likely_memory(number)}?"
    if unit == "m":
        # To Kubernetes this is thousandths of a byte, which nobody means.
        return f"'m' is ambiguous; did you mean {number}MiB?"
    if unit.lower() not in _UNITS:
        return f"{unit!r} is not a unit of memory."
    return None


def _likely_memory(number: str) -> str:
    value = float(number)
    if value < 1000:
        return f"{number}GiB"
    return f"{number}MiB" if value < 10_000_000 else f"{number}B"
