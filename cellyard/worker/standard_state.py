"""What a notebook may set in the standard library as a whole, as a part of the process state.

The functions for csv, locale and socket are called only where that module is imported.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["csv", "locale", "set_csv", "set_locale", "set_start_method", "start_method"]

_OF_DIALECTS = (
    "delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting", "skipinitialspace", "strict",
)  # fmt: skip
_OF_CSV = {"excel", "excel-tab", "unix"}


def csv() -> dict[str, Any]:
    """How long a field may be, and the notebook's own dialects."""
    library = sys.modules["csv"]
    own = (name for name in library.list_dialects() if name not in _OF_CSV)
    dialects = {name: {key: getattr(library.get_dialect(name), key) for key in _OF_DIALECTS} for name in own}
    return {"limit": library.field_size_limit(), "dialects": dialects}


def set_csv(value: Mapping[str, Any]) -> None:
    """Have these dialects and no others of its own."""
    library, now = sys.modules["csv"], csv()
    library.field_size_limit(value["limit"])
    for name in now["dialects"].keys() - value["dialects"].keys():
        library.unregister_dialect(name)
    for name, dialect in value["dialects"].items():
        if now["dialects"].get(name) != dialect:
            library.register_dialect(name, **dialect)


def locale() -> str:
    """What holds in all categories."""
    library = sys.modules["locale"]
    return str(library.setlocale(library.LC_ALL))


def set_locale(value: str) -> None:
    """If this machine knows it."""
    library = sys.modules["locale"]
    if value != locale():
        with contextlib.suppress(library.Error):
            library.setlocale(library.LC_ALL, value)


def start_method() -> str | None:
    """How ``multiprocessing`` makes processes, where somebody has said so."""
    found: str | None = multiprocessing.get_start_method(allow_none=True)
    return found


def set_start_method(value: str | None) -> None:
    """For all that is made from now on."""
    if value != start_method():
        multiprocessing.set_start_method(value, force=True)
