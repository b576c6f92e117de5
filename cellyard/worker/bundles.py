"""MIME bundles as JSON, as a kernel makes them before it sends them: bytes in base64, numbers as Python's own."""

from __future__ import annotations

import binascii
import datetime
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["as_json"]

_JSON = (str, type(None), bool, int, float)


def as_json(value: Any) -> Any:
    """The value, with everything in it that is not JSON replaced. Raises TypeError for what nobody can show."""
    kind = type(value)
    if kind in _JSON:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {_key(key): as_json(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return binascii.b2a_base64(value, newline=False).decode("ascii")
    if isinstance(value, datetime.date):  # a datetime is one, too
        return value.isoformat()
    return _other(value)


def _other(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Iterable):
        return [as_json(each) for each in value]
    raise TypeError(f"{value!r} is not JSON serializable")


def _key(key: Any) -> str:
    return key if type(key) is str else str(key)
